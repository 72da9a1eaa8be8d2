/*
 * The Celery driver's finder: tasks that workers run and containers that tasks started. What workers
 * run is asked of all of them; a container is told of where every one answered and none runs a task of
 * its evaluation. Tasks that are neither of an evaluation of ours nor called REVOKED are nobody's business here.
 */
#ifndef QL_BROKER_CELERY_STRAY_H
#define QL_BROKER_CELERY_STRAY_H

#include "broker/celery/driver.h"

/* Bounds and paces. */
#define QL_STRAY_ASK_MS 3000 /* for all places to answer */
#define QL_STRAY_REAP_MS 10000 /* for the end of one, */
#define QL_STRAY_POLL_MS 50 /* and to the first look at what came of it; doubles */
#define QL_STRAY_POLL_MAX_MS 800

/* A task that a worker runs, until its result was read. */
struct candidate {
	struct ql_redis_command command;
	struct strays *strays;
	struct ql_trace trace;
	bool ours; /* by its id */
	bool revoked;
};

struct strays {
	struct ql_finder finder; /* first */
	struct ql_celery *celery;

	/* of one question to all workers */
	struct ql_ask ask;
	json_t *busy; /* owned: evaluations of which a task runs */
	bool complete; /* every worker that is known answered */
	struct ql_err err; /* why not */
	void (*asked)(struct strays *strays);

	/* of a look */
	struct ql_find *find; /* NULL = none is under way */
	struct candidate *candidates; /* owned */
	size_t candidate_count;
	size_t unread; /* results that are awaited */
	struct ql_containers_op containers;

	/* of a reap */
	struct ql_reap *reap; /* NULL = none is under way */
	struct ql_runtime_op kill;
	struct ql_quest quest;
	uv_timer_t timer;
	int64_t pause_ms;
	int64_t reap_until; /* of ql_alarm_ms */
	bool proven; /* what is reaped was proven gone since: its delivery may be forgotten by now, and met again */
};

/* NULL when out of memory. */
struct ql_finder *ql_strays_new(struct ql_celery *celery);
/* With nothing under way; closed is called from the loop, and then it is freed by its ops. */
void ql_strays_close(struct ql_finder *finder, uv_close_cb closed);

/* That run is over, by the proof of its delivery: it may be the one that is being reaped. */
void ql_strays_over(struct ql_finder *finder, uint64_t incarnation);

/* ---- stray.c ---- */

/* Asks every worker, fills busy and complete (else err says why), then calls asked. */
void ql_strays_ask(struct strays *strays, void (*asked)(struct strays *strays));

/* ---- stray_end.c ---- */

void ql_strays_reap(struct ql_finder *finder, struct ql_reap *op);

#endif
