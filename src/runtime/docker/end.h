/*
 * The end of one container: looked at, its restart policy disarmed, killed or, when it was never
 * started, removed by force, which wins over a start that is under way and which a kill does not;
 * again and again until its death is proven or its owner gives up.
 *
 * On this host it is the kernel that is asked whether it is dead, and the signal is sent by the
 * server's own hand where it may: Docker forks a runc for each kill and replies when it has
 * cleaned up. Docker is asked to do it whenever that can't be or didn't help at once: a frozen
 * container dies only by its hand. On another host its word is all there is, and `unasked` says so.
 */
#ifndef QL_RUNTIME_DOCKER_END_H
#define QL_RUNTIME_DOCKER_END_H

#include "runtime/docker/api.h"
#include "runtime/docker/process.h"
#include "runtime/docker/state.h"

#define QL_DOCKER_HAND_MS 100 /* for our own signal to have worked, before Docker is asked */
#define QL_DOCKER_STATS_MS 2000 /* for its processor time, by a daemon elsewhere */
#define QL_DOCKER_LOOK_MS 5 /* before it is looked at again; doubled each time */
#define QL_DOCKER_LOOK_MAX_MS 500 /* up to this */

struct ql_docker_end {
	struct ql_docker_end *prev, *next; /* the owner's */
	struct ql_docker *docker;
	struct ql_docker_call look; /* inspect, update or remove: one at a time */
	struct ql_docker_call kill;
	struct ql_docker_call stats; /* asked for once, where its cgroup can't be read */
	struct ql_docker_later later;
	struct ql_docker_process *process; /* NULL: not found on this host */
	struct ql_docker_state state; /* as it was looked at last; its id from the first on */
	char eval_id[129]; /* the owner's */
	int64_t cpu_us; /* its processor time, as it was read last; 0 = not known */
	int tries;
	bool metered; /* by its daemon's word: that was asked for */
	bool over; /* dead, with proof as far as there can be any */
	bool removed;
	bool local; /* its daemon keeps files on this host: so it runs here, if it runs */
	bool hidden; /* it ran, but by its pid it can't be told whether that was here */
	int32_t unasked; /* bits 1 << enum ql_check */
	struct ql_err why; /* what stands in the way */
	void (*found)(struct ql_docker_end *end); /* it runs, and is killed now; or NULL */
	void (*ended)(struct ql_docker_end *end);
	void *owner;
	int *parts; /* of the owner: what is not closed yet; counts the process */
	void (*part_closed)(void *parts_owner);
	void *parts_owner;
};

/* ended is called from the loop, once. All is zero but docker, ended, and what names its owner. */
void ql_docker_end_start(struct ql_docker_end *end, const char *id);

/* It is over, but Docker says that it runs: is that an echo, or was it started anew? Then -1, and go on. */
int ql_docker_end_check(struct ql_docker_end *end);

/* Stops whatever is under way and frees it. */
void ql_docker_end_free(struct ql_docker_end *end);

#endif
