/*
 * The workers that are known: by their heartbeats, by their hello, and by their replies. Pure: times are
 * of one clock that never jumps, and come from the caller.
 *
 * A worker that was heard of is HERE. One that missed QL_WORKER_BEATS beats is SILENT: gone, cut off from
 * the broker, frozen, or of a solo pool at work; which of them cannot be seen from the outside. One that said
 * that it goes has LEFT: it may yet run what it had. Who stays away is dropped after QL_BROKER_WORKER_KEEP_MS, but for one
 * whose process is seen to live.
 */
#ifndef QL_BROKER_CELERY_CONTROL_WORKER_H
#define QL_BROKER_CELERY_CONTROL_WORKER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "broker/broker.h"
#include "broker/celery/hand.h"
#include "broker/celery/wire/message.h"

#define QL_WORKER_BEATS 5 /* missed ones, until it is silent, */
#define QL_WORKER_BEATS_DEAD \
	2 /* where its process is seen to be dead: one that was begun anew beats by then */
#define QL_WORKER_PACE_MS 2000 /* Celery's own, where a worker says none */
#define QL_WORKER_PROBED_MS 150000 /* one that beats not: until it is silent */

enum ql_worker_state { QL_WORKER_HERE, QL_WORKER_SILENT, QL_WORKER_LEFT };

enum ql_pool {
	QL_POOL_UNKNOWN, /* not asked yet, or of a kind that is not in this list */
	QL_POOL_PREFORK,
	QL_POOL_THREADS,
	QL_POOL_SOLO,
	QL_POOL_GEVENT,
	QL_POOL_EVENTLET,
};

struct ql_worker {
	UT_hash_handle hh;
	char node[QL_TASK_NODE];
	char version[32]; /* "5.2.6", or "" */
	int64_t pid; /* of its main process, in its own PID namespace; 0 = not known */
	enum ql_worker_state state;
	enum ql_pool pool;
	bool beats; /* it sends heartbeats */
	bool deaf; /* it is heard of, and did not answer when all were asked last */
	int64_t heard_at;
	int64_t pace_ms;
	int64_t active; /* tasks that it ran at its last heartbeat; -1 = not said */
	int64_t begun; /* that it ever began, as of that; -1 = not said */
	uint64_t given_back; /* the control's: up to this turn it was told what was lifted */
	struct ql_hand_process
		process; /* the driver's: its main process, where that is on this host */
	uint64_t said; /* the driver's: the hash of what its log said last of it */
};

struct ql_workers {
	struct ql_worker *by_node;
	size_t here; /* how many are HERE */
};

struct ql_worker *ql_workers_find(const struct ql_workers *workers, const char *node);

/* The worker of that heartbeat or of that name, now heard of. NULL: over the bound, or no memory. */
struct ql_worker *
ql_workers_beat(struct ql_workers *workers, const struct ql_beat *beat, int64_t now);
struct ql_worker *ql_workers_heard(struct ql_workers *workers, const char *node, int64_t now);

/* It was known before this server began: silent until it is heard of. */
void ql_workers_expect(struct ql_workers *workers, const char *node, int64_t now);

/* What the reply to `stats` says of it: its pid and its pool. */
void ql_worker_learn(struct ql_worker *worker, const json_t *stats);

/* What its reply to `report` says: its version, where no heartbeat did. */
void ql_worker_read_report(struct ql_worker *worker, const json_t *reply);

/* Looks at the time: each that falls silent is told; who stayed away too long is told and dropped. */
struct ql_worker_fates {
	void (*silent)(void *arg, struct ql_worker *worker);
	void (*dropped)(void *arg, struct ql_worker *worker);
	void *arg;
};
void ql_workers_sweep(struct ql_workers *workers, int64_t now, const struct ql_worker_fates *whom);

void ql_workers_done(struct ql_workers *workers);

/* What follows the @ in its name, or all of it. */
const char *ql_worker_host(const struct ql_worker *worker);

/* 5.2.6 as 50206; 0 = not known. */
int ql_worker_version(const struct ql_worker *worker);

const char *ql_pool_name(enum ql_pool pool);

/* Can it end a running task? What it can't, ret_why says (or NULL). */
bool ql_worker_can_terminate(const struct ql_worker *worker, const char **ret_why);

/* One line of it, for doctor and the log. */
void ql_worker_show(const struct ql_worker *worker, int64_t now, char *ret_text, size_t size);

#endif
