/* What the files of this folder share: one look, and what it found. */
#ifndef QL_BROKER_CELERY_OBSERVE_INSIDE_H
#define QL_BROKER_CELERY_OBSERVE_INSIDE_H

#include "broker/celery/control/control.h"
#include "broker/celery/observe/observe.h"
#include "broker/celery/queue/queue.h"
#include "broker/celery/redis/redis.h"

/* The inspect commands that a look asks. */
enum {
	QL_ASKED_ACTIVE,
	QL_ASKED_RESERVED,
	QL_ASKED_SCHEDULED,
	QL_ASKED_REVOKED,
	QL_ASKED_QUEUES,
	QL_ASKED_STATS,
	QL_ASKED_COUNT,
};

enum ql_found {
#define X(word, name, title, advice) QL_FOUND_##word,
#include "broker/celery/observe/observe.def"
#undef X
	QL_FOUND_COUNT,
};

/* A task, where it was met. */
struct ql_met {
	char *task_id; /* owned */
	enum ql_place
		place; /* QUEUED; UNKNOWN: taken and not acknowledged, and no worker says that it has it */
	const char *queue; /* of QUEUED; lives as long as the look */
	int worker; /* of ACTIVE, RESERVED, SCHEDULED */
	int64_t pid, since, eta; /* 0 = not known */
};

struct ql_observe_look {
	struct ql_observe *observe;
	int64_t began;
	int64_t now; /* unix ms */
	size_t open; /* questions without an answer */
	bool redis_away; /* nothing can be said; err says why */
	struct ql_err err;

	struct ql_observe_ask {
		struct ql_ask ask;
		struct ql_observe_look *look;
	} asks[QL_ASKED_COUNT];
	json_t *replies[QL_ASKED_COUNT]; /* owned: node -> value */
	bool workers_answered; /* all that are there */
	const char *nodes[QL_OBSERVE_WORKERS_MAX]; /* those whose revokes are known; of replies */
	int node_count;
	json_t *marks; /* owned: task id -> bits of the nodes that have it among their revoked */
	json_t *held; /* owned: task ids that workers have */
	json_t *evals; /* owned: evaluations of active tasks */
	json_t *consumers; /* owned: queue -> bits of nodes */

	struct ql_queue_survey survey;
	json_t *queues; /* owned: queue -> messages */
	int64_t unacked;
	int64_t messages; /* gone through */
	struct ql_observe_batch *batch; /* that fills up */
	struct ql_containers_op containers;
	int64_t running; /* containers; -1 = not known */

	json_t *keys; /* owned: of all that was found */
	json_t *found[QL_FOUND_COUNT]; /* owned: as the report tells it */
	int64_t counts[QL_FOUND_COUNT];
	json_t *unasked; /* owned: sentences */
};

struct ql_observe {
	struct ql_observe_config config;
	struct ql_redis_url broker_url, results_url;
	struct ql_queue_steps steps;
	bool reads_results;
	uv_timer_t timer;
	struct ql_redis *commands;
	struct ql_redis *backend; /* = commands where that is the broker */
	struct ql_queues *queues;
	struct ql_control *control;
	struct ql_observe_look *look; /* under way */
	json_t *suspects; /* owned: keys of the first look; NULL: the next one is a first */
	int64_t spent_ms; /* by the first look */
	int parts; /* still to be closed */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- observe.c ---- */

/* Nothing is open any more. */
void ql_observe_looked(struct ql_observe_look *look);

/* ---- look.c ---- */

int ql_observe_look_start(struct ql_observe *observe);
void ql_observe_look_free(struct ql_observe_look *look);
void ql_observe_hold(struct ql_observe_look *look);
/* A question about the lists or the results was answered. */
void ql_observe_read(struct ql_observe_look *look);
/* Redis can't be asked: this look says nothing. */
void ql_observe_away(struct ql_observe_look *look, const struct ql_err *err);
/* A sentence about what is not known. */
void ql_observe_unasked(struct ql_observe_look *look, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- results.c ---- */

/* Takes the task over; its result is read, and then it is judged. */
void ql_observe_meet(struct ql_observe_look *look, struct ql_met met);
/* Reads those that still wait. */
void ql_observe_flush(struct ql_observe_look *look);

/* ---- judge.c: what is wrong ---- */

/* revoked_at: when its result says that it was revoked, 0 where it says no time; -1: it does not say so. */
void ql_observe_judge(struct ql_observe_look *look, const struct ql_met *met, int64_t revoked_at);
void ql_observe_judge_workers(struct ql_observe_look *look);
void ql_observe_judge_queues(struct ql_observe_look *look);
void ql_observe_judge_containers(struct ql_observe_look *look);
uint64_t ql_observe_bits(const json_t *object, const char *key);

/* ---- report.c ---- */

json_t *ql_observe_report(struct ql_observe_look *look);

#endif
