/*
 * A hand on a worker's host, where that is this one: the process of a task by pidfd and start time, and the
 * children that it would leave behind. It proves and it ends; it never signals what it can't name.
 */
#ifndef QL_BROKER_CELERY_HAND_H
#define QL_BROKER_CELERY_HAND_H

#include <stdbool.h>
#include <stdint.h>

#define QL_HAND_CHILDREN 256 /* of one task; more are not followed */

struct ql_hand_process {
	int32_t pid;
	uint64_t start;
};

struct ql_hand {
	bool holds; /* it is on this host, and this is its process */
	struct ql_hand_process task;
	struct ql_hand_process children[QL_HAND_CHILDREN];
	int child_count;
	int64_t cpu_from_us; /* its process's processor time when it was taken: that of tasks before this one, mostly */
	int64_t cpu_us; /* and as it was read last, its children's that live included */
};

/* The main process of a worker; false, and pid 0, where it is none of this host that can be named for sure. */
bool ql_hand_meet(struct ql_hand_process *process, int64_t main_pid);
bool ql_hand_lives(const struct ql_hand_process *process);

/*
 * Takes hold of a task's process: `pid` on this host whose parent is the worker's main process. False where it
 * isn't there, or isn't a child of it, or where that is no worker of Celery's, or one of another PID namespace: the
 * numbers that a worker in a container knows may be anybody's here.
 */
bool ql_hand_take(struct ql_hand *hand, int64_t main_pid, int64_t pid);
/* Its process was there at that time (unix ms). By the clock as it goes now: where that was set since, it may say no. */
bool ql_hand_is_of(const struct ql_hand *hand, int64_t since);
/* Reads how much processor time it and the children that are known have used. */
void ql_hand_meter(struct ql_hand *hand);
/* What was read last, from when it was taken on; 0: not known. The clock's ticks are 10 ms. */
int64_t ql_hand_used_us(const struct ql_hand *hand);
/* Its children as of now, and their children: to be called before its process is ended. It is metered, too. */
void ql_hand_count(struct ql_hand *hand);
bool ql_hand_task_lives(const struct ql_hand *hand);
/* One of its children lives though it doesn't. */
int ql_hand_orphans(const struct ql_hand *hand);
/* SIGKILL by pidfd, with the start time checked behind it. -1: it isn't ours to signal. */
int ql_hand_kill_task(const struct ql_hand *hand);
void ql_hand_kill_orphans(const struct ql_hand *hand);

#endif
