/*
 * A container's first process, where it runs on this host: held by a pidfd, so that a signal and
 * the news of its death can only be its own, and by what the kernel knows of the rest of
 * the container: its cgroup and its PID namespace. The id stands in its cgroup's path, which the
 * process itself can't leave: by that a pid that the daemon names is made sure of. A pid of another
 * host fails that test.
 */
#ifndef QL_RUNTIME_DOCKER_PROCESS_H
#define QL_RUNTIME_DOCKER_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "proof/proof.h"
#include "runtime/runtime.h"

#define QL_DOCKER_CGROUP QL_NAMES_PATH /* bytes of a cgroup's path */
#define QL_DOCKER_CGROUPS 3

struct ql_docker_process {
	uv_poll_t poll;
	int pidfd; /* owned, as is pidns_fd */
	int pidns_fd; /* holds the namespace, so that its number is no other's; -1 = the host's own */
	int32_t pid;
	uint64_t start;
	uint64_t pidns;
	char cgroups[QL_DOCKER_CGROUPS][QL_DOCKER_CGROUP]; /* of v2 and v1, where they are there */
	bool watched;
	void (*died)(void *arg);
	void *died_arg;
	void (*closed)(void *arg);
	void *closed_arg;
};

/*
 * pid is what the daemon says; with 0 the host is looked through for one that is in the container's
 * cgroup. NULL and errno: ESRCH, there is no such process here, or it is dead; ENXIO, there is, but it
 * isn't in the container's cgroup; others: it can't be told now.
 */
struct ql_docker_process *ql_docker_process_find(const char *id, int64_t pid);

/* died is called from the loop once it has exited. -1: it can't be watched. */
int ql_docker_process_watch(
	struct ql_docker_process *process, uv_loop_t *loop, void (*died)(void *arg), void *arg);

/* SIGKILL to it alone; the kernel takes its PID namespace down with it. -1 with errno. */
int ql_docker_process_kill(const struct ql_docker_process *process);

/*
 * Processor time of all that is or was in its container, in us; 0: not known, as its cgroups are gone
 * or none counts it. Reads small files.
 */
int64_t ql_docker_process_cpu_us(const struct ql_docker_process *process);

/* By what the kernel knows it; without the boot. */
void
ql_docker_process_names(const struct ql_docker_process *process, struct ql_run_names *ret_names);

/* Is anything of the container left? */
void ql_docker_process_prove(const struct ql_docker_process *process, struct ql_proof *ret_proof);

/* Lets go of it; closed is called from the loop when its memory is free, unless it is NULL. */
void
ql_docker_process_free(struct ql_docker_process *process, void (*closed)(void *arg), void *arg);

#endif
