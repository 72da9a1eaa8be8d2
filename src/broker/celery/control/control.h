/*
 * Remote control of Celery's workers, on Redis. It keeps every worker told of the tombstones, knows which
 * workers there are, and asks them.
 *
 * Workers forget: at a restart, after a loss of their connection, after three hours. So tombstones are cast
 * when they are laid; again while fewer workers heard the cast than are known to be there; in the answer
 * to each `hello` that a worker says before it takes its first task; for the second in which that worker hears
 * no broadcast yet, until it answered a ping; every hour, so that the oldest of a worker's marks cannot make it drop
 * a renewed one (celery#10506); and just before each known ETA. Being told is no proof: the driver
 * looks at what became of the task.
 *
 * It uses three connections: one for what is published, one that waits for replies, and the
 * driver's for everything that it sends. Replies come to one list of Quell's, whose name is the same after a restart,
 * so that what came too late for one life is thrown away in the next.
 */
#ifndef QL_BROKER_CELERY_CONTROL_CONTROL_H
#define QL_BROKER_CELERY_CONTROL_CONTROL_H

#include <jansson.h>
#include <stdint.h>
#include <uthash.h>
#include <uv.h>

#include "base/err.h"
#include "base/heap.h"
#include "broker/broker.h"
#include "broker/celery/redis/redis.h"
#include "broker/celery/control/worker.h"

/* Bounds; a refusal names its number. */
#define QL_CONTROL_ASKS_MAX 4096 /* questions that wait for replies */
#define QL_CONTROL_CAST_IDS 10000 /* ids in one broadcast, or in one answer to hello */

/* Celery's own limits of what a worker keeps. */
#define QL_CONTROL_REVOKES_MAX 50000
#define QL_CONTROL_REVOKE_EXPIRES_MS 10800000

/* Paces. */
#define QL_CONTROL_CENSUS_MS 60000 /* between two questions to all workers who they are */
#define QL_CONTROL_ASK_MS 2000 /* for its answers */
#define QL_CONTROL_JOIN_MS 500 /* between casts to a worker that said hello, for the first 5 s */
#define QL_CONTROL_JOIN_FAST_MS 5000
#define QL_CONTROL_JOIN_END_MS 60000 /* then it is known by its heartbeats alone */
#define QL_CONTROL_AGAIN_MS 500 /* until what too few heard is cast again; doubles */
#define QL_CONTROL_AGAIN_END_MS 60000
#define QL_CONTROL_REFRESH_MS 3600000
#define QL_CONTROL_ETA_MS 2000 /* so long before an ETA its task is cast again */

struct ql_control;

struct ql_control_config {
	const struct ql_redis_url *url; /* borrowed until closed */
	struct ql_redis *commands; /* borrowed until closed */
	const char *node; /* Quell's name among the nodes: "quell@host" */
	const char *instance; /* names the list of replies; the same after a restart */

	/* the Celery application's settings; NULL or 0 is Celery's default */
	const char *exchange; /* control_exchange */
	const char *event_exchange;
	/*
	 * fanout_prefix, "{db}" already replaced. NULL: "/" db "."; with sentinels also a literal "/{db}.", as that is what
	 * kombu before 5.4 makes of it there.
	 */
	const char *fanout_prefix;
	const char *key_prefix; /* global_keyprefix */
	size_t revokes_max; /* CELERY_WORKER_REVOKES_MAX: no more are told */
	int64_t revoke_expires_ms; /* CELERY_WORKER_REVOKE_EXPIRES: told again in a third of it */
	bool only_asked; /* it answers no hello, and asks nothing that its owner does not */

	/* A worker came, was asked, fell silent, was heard again, or left; may be NULL. */
	void (*changed)(void *arg, const struct ql_worker *worker);
	/* It was silent for QL_BROKER_WORKER_KEEP_MS, and is forgotten behind this; may be NULL. */
	void (*dropped)(void *arg, const struct ql_worker *worker);
	void *arg;
};

int ql_control_open(uv_loop_t *loop, const struct ql_control_config *config,
	struct ql_control **ret_control, struct ql_err *e);

/* Each open question is done with -1, then `closed` is called. Nothing may be asked from then on. */
void ql_control_close(struct ql_control *control, void (*closed)(void *arg), void *arg);

/* As of ql_broker_ops. What is laid or lifted within one turn of the loop goes as one broadcast. */
int
ql_control_bury(struct ql_control *control, const struct ql_tombstone *tombstone, struct ql_err *e);
void ql_control_lift(struct ql_control *control, const char *task_id);

/*
 * Unix ms when that tombstone was last given to Redis in a broadcast; 0: not yet, or there is no such
 * tombstone. A worker does what it hears in the order in which it hears it: one that answers a question asked
 * later has taken what it heard before.
 */
int64_t ql_control_told_at(const struct ql_control *control, const char *task_id);

const struct ql_workers *ql_control_workers(const struct ql_control *control);

/* It was there before this server began: what it has is not known until it is heard of. */
void ql_control_expect(struct ql_control *control, const char *node);
/* What that node answered to `stats`. */
void ql_control_learn(struct ql_control *control, const char *node, const json_t *stats);

/* Is everything there that it takes to hear workers, and to ask them? */
bool ql_control_is_up(const struct ql_control *control);

/* A deadline of the control's own. */
struct ql_control_timer {
	struct ql_heap_node node;
	void (*rang)(struct ql_control *control, struct ql_control_timer *timer);
};

/*
 * A question to some or all workers. done is called once, never from within the call: with 0 when
 * every node that was named, or every worker that heard it and each known to be there, answered so that it can
 * be read (there may be none); else with -1, at the latest at its deadline. replies is whatever came.
 */
struct ql_ask {
	const char *method;
	json_t *arguments; /* borrowed until done; or NULL */
	json_t *nodes; /* a JSON list of names, borrowed until done; NULL = all */
	int64_t timeout_ms; /* 0 = QL_CONTROL_ASK_MS */
	void (*done)(struct ql_ask *ask, int status);

	/* until done returned */
	struct ql_err err; /* names who did not answer, or says why a reply can't be read */
	json_t *replies; /* an object: node -> value */
	json_t *missing; /* an object with those nodes as names from which an answer was expected, and did not come */
	int64_t heard; /* by so many workers; -1 = not known */
	int64_t unreadable; /* replies */

	/* the control's own */
	UT_hash_handle hh;
	struct ql_control_timer due;
	uint64_t ticket;
	bool over;
};

void ql_control_ask(struct ql_control *control, struct ql_ask *ask);

#endif
