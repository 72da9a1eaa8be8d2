/*
 * The run's cgroups: a leaf of its own in each hierarchy that this host lets us use. On a v2 host that
 * is one folder with identity, kill, events and limits; on a hybrid one the v2 folder has no
 * memory, pids or cpu, and these stand in v1 hierarchies beside it; on a v1 host there are only
 * those; without rights on any there is none, and limits are what rlimits can do («weak mode»).
 */
#ifndef QL_RUNNER_CGROUP_H
#define QL_RUNNER_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "runner/proto.h"

#define QL_CGROUP_SERVER "quell-server" /* where the server stands once it handed its folder down */

enum ql_limit { QL_LIMIT_MEMORY, QL_LIMIT_PIDS, QL_LIMIT_CPU, QL_LIMIT_COUNT };

/* A hierarchy and, in it, the folder that runs are put into: our own, or the given one. */
struct ql_cgroup_tree {
	char folder[QL_RUNNER_CGROUP_PATH]; /* absolute */
	bool v2;
};

struct ql_cgroup_host {
	struct ql_cgroup_tree trees[QL_RUNNER_CGROUPS];
	int count;
};

/* The leaves of one run. A zeroed one has none. */
struct ql_cgroup {
	char paths[QL_RUNNER_CGROUPS][QL_RUNNER_CGROUP_PATH]; /* as in struct ql_runner_status */
	bool v2[QL_RUNNER_CGROUPS];
	int count;
	unsigned enforced; /* bits 1 << enum ql_limit */
};

struct ql_cgroup_limits {
	int64_t memory_bytes;
	int64_t pids; /* tasks, our own PID 1 included */
	int64_t cpu_milli;
};

/*
 * Where this host's hierarchies are: from /proc/self/mountinfo and /proc/self/cgroup. v2_folder
 * (or NULL) replaces our own folder in the v2 one. Finds nothing rather than fail.
 */
void ql_cgroup_find(const char *v2_folder, struct ql_cgroup_host *ret_host);

/* Enables the controllers for what is below the v2 folder, as far as that is allowed. */
void ql_cgroup_hand_down(const char *folder);

/* What the leaves will be called; touches nothing, so that the names can be kept first. */
void
ql_cgroup_name(const struct ql_cgroup_host *host, const char *name, struct ql_cgroup *ret_group);

/* Makes the leaves and writes the limits. A hierarchy that refuses is left out. */
void ql_cgroup_make(struct ql_cgroup *group, const struct ql_cgroup_limits *limits);

/* The leaf that clone3 can start a process in, as a descriptor, or -1. */
int ql_cgroup_open_v2(const struct ql_cgroup *group);

/*
 * The v1 leaves' doors, opened by us and entered by the (single-threaded) caller of _enter: moving
 * oneself by `tasks` is the one move that doesn't wait for an RCU grace period (16 ms measured).
 * ret_fds ends with -1.
 */
int ql_cgroup_open_v1(
	const struct ql_cgroup *group, int ret_fds[QL_RUNNER_CGROUPS + 1], struct ql_err *e);
int ql_cgroup_enter(const int *fds, struct ql_err *e);

/* cgroup.events of the v2 leaf, for EPOLLPRI, or -1. */
int ql_cgroup_open_events(const struct ql_cgroup *group);

/* SIGKILL to every member; on v1 as many passes as it takes up to a bound. */
void ql_cgroup_kill(const struct ql_cgroup *group);

/* The kernel's OOM killer has chosen one of its processes. Ask before the removal. */
bool ql_cgroup_had_oom(const struct ql_cgroup *group);

/* Processor time of all that ever ran in it, in microseconds; 0 = no hierarchy counts it. */
int64_t ql_cgroup_cpu_us(const struct ql_cgroup *group);

/* Removes the leaves. -1 while one isn't empty. */
int ql_cgroup_remove(struct ql_cgroup *group, struct ql_err *e);

/* To and from the form in which the status file keeps them. */
void ql_cgroup_load(struct ql_cgroup *ret_group, const char (*paths)[QL_RUNNER_CGROUP_PATH]);

#endif
