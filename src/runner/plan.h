/*
 * A run's way into the world. The supervisor clones the builder into the run's cgroup and new
 * namespaces; the builder makes the sandbox's file system, then clones, as the supervisor's
 * children, PID 1 of the run's PID namespace and the program's process, and ends. So the
 * supervisor itself is the parent of both: it sees the program's true exit, by waitid.
 *
 *	supervisor -> builder		in the cgroup and the namespaces from its first instruction
 *	builder -> PID 1 (init)		mounts /proc, gives up all rights, reaps until it is killed
 *	builder -> program		gives up all rights, is held until the byte of RELEASE
 *
 * Each reports over one socket: an end of file there means that the program was exec'ed or that
 * all three are dead. None outlives the supervisor: they die by PDEATHSIG, and for the moment
 * before that is set they look whether the other end of the `life` pipe is still held.
 */
#ifndef QL_RUNNER_PLAN_H
#define QL_RUNNER_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "runner/cgroup.h"
#include "runner/spec.h"

#define QL_SANDBOX_WORK "/work"
#define QL_SANDBOX_NOTICE "/quell/cancel/notice"
#define QL_SANDBOX_CHECKPOINT "/quell/checkpoint"

#define QL_CHECKPOINT_BYTES (64 << 20)
#define QL_CHECKPOINT_INODES 10000
#define QL_CHECKPOINT_MS 2000 /* to collect it */

#define QL_ROOT_BYTES (4 << 20) /* of the sandbox's own root: folders and /etc */
#define QL_NOTICE_BYTES (64 << 10)
#define QL_NOTICE_INODES 64
#define QL_SCRATCH_INODES 65536 /* of /tmp, /work and /dev/shm together */
#define QL_SCRATCH_SHARE 2 /* their bytes: memory_mb divided by this */
#define QL_SCRATCH_MIN_MB 16
#define QL_OPEN_FILES 4096 /* RLIMIT_NOFILE of the program */

/* Everything is the supervisor's; the children inherit it with its descriptors. */
struct ql_plan {
	const struct ql_spec *spec;
	const char *folder; /* the run folder's absolute path */
	const char *mark; /* "QUELL_RUN=<incarnation>", by which the verifier knows its processes */
	char name[32]; /* "quell-<incarnation>": the source of its mounts */
	bool rootless; /* not root: a user namespace instead of a uid of its own */
	uid_t uid; /* to run as */
	gid_t gid;
	unsigned enforced; /* limits that the cgroups have; the others become rlimits */
	int doors[QL_RUNNER_CGROUPS + 1]; /* of v1 cgroups, see ql_cgroup_enter */
	int life; /* read end: one byte is the release, end of file is death */
	int report; /* where struct ql_report is sent to */
	int mounted; /* the builder's: PID 1 sends a byte when /proc is mounted */
	int output[2]; /* write ends of stdout and stderr */
	int code; /* the program's text, or -1 */
	int checkpoint; /* a tar to start from, or -1 */
};

enum ql_report_kind {
	QL_REPORT_FAILED, /* text */
	QL_REPORT_BUILT, /* pids; descriptors: notice folder, checkpoint folder */
	QL_REPORT_INIT, /* its inode; descriptor: the PID namespace */
	QL_REPORT_HELD,
};

struct ql_report {
	int32_t kind;
	int32_t init;
	int32_t program;
	uint64_t pidns;
	char text[QL_ERR_TEXT];
};

#define QL_REPORT_FDS 2

int ql_report_send(int sock, const struct ql_report *report, const int *fds, int count);

/* Never waits. 1: one report, with ret_fds -1 where it had none; 0: end of file; -1 with errno. */
int ql_report_receive(int sock, struct ql_report *ret_report, int ret_fds[QL_REPORT_FDS]);

/* Clones the builder: its pid, and a pidfd in ret_pidfd. -1: nothing was started. */
pid_t ql_builder_start(const struct ql_plan *plan, int cgroup, int *ret_pidfd, struct ql_err *e);

/*
 * In the builder: the sandbox's file system, but for /proc, which only PID 1 can mount, at "proc" from
 * the builder's working folder; and, after that, the move into it. Not before: an ordinary
 * user may mount a /proc only where another one can be seen whole.
 */
int ql_root_build(const struct ql_plan *plan, int ret_fds[QL_REPORT_FDS], struct ql_err *e);
int ql_root_enter(struct ql_err *e);

/* In the children of the builder. They never return. */
_Noreturn void ql_init_main(const struct ql_plan *plan);
_Noreturn void ql_program_main(const struct ql_plan *plan);

/* Of all three: say what failed and die. */
_Noreturn void ql_report_failure(const struct ql_plan *plan, const struct ql_err *e);

/* SIGKILL when the supervisor dies, or at once if it did before. */
void ql_die_with_supervisor(const struct ql_plan *plan);

/* No exec of ours or our children's gives a capability; those that we have stay. */
int ql_bound_rights(struct ql_err *e);

/* Becomes the run's uid with no capability, now or, after ql_bound_rights, by exec, ever. */
int ql_drop_rights(const struct ql_plan *plan, struct ql_err *e);

#endif
