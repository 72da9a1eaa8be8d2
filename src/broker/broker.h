/*
 * The broker: where messages wait for workers that are not Quell's. One seam, with a real driver
 * (celery/), a fake and a faulty one under one contract suite. Without a broker the queue lives
 * in the store.
 *
 * A *task* is the message of one attempt, named by its task_id. A *run* is one delivery of it to a worker,
 * named for ever by its incarnation, which the driver makes from what distinguishes one delivery
 * from another (task, node, pid, time of start): the same delivery has the same name after a
 * restart of the server. A worker that has the message and has not begun it holds a run too.
 *
 * Acts are operations of the runtime's kind (runtime/runtime.h), with task_id, eval_id and attempt
 * filled. `done` says that an act was taken over: a promise. What is true comes through the sink
 * as a sighting that names the evaluation, for the engine may not have it in memory.
 *
 * The tombstones that the engine lays are what workers are told of, at their start, after a loss
 * of connection and before they could forget. The engine lays them again at each start, from
 * the store.
 */
#ifndef QL_BROKER_BROKER_H
#define QL_BROKER_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/breaker.h"
#include "base/err.h"
#include "outlet/outlet.h"
#include "runtime/runtime.h"
#include "sweeper/finder.h"

/* Bounds; a refusal names its number. */
#define QL_BROKER_OPS_MAX 262144 /* operations open in one driver */
#define QL_BROKER_TOMBSTONES_MAX 1000000
#define QL_BROKER_WORKERS_MAX 4096 /* workers that are known, and kept over a restart */
#define QL_BROKER_WORKER_KEEP_MS \
	3600000 /* of silence, under a server that runs: it is forgotten then */
#define QL_TASK_NODE 256 /* bytes of a worker's name, with its NUL */
#define QL_TASK_ID_MAX 255 /* bytes of another producer's task id, as celery_taskmeta bounds it */

/* Where a task was seen. */
enum ql_place {
	QL_PLACE_UNKNOWN, /* nowhere: no queue, no worker, no result */
	QL_PLACE_QUEUED, /* in a list: queue, position (0 = next) */
	QL_PLACE_RESERVED, /* a worker has it, and has not begun it */
	QL_PLACE_SCHEDULED, /* a worker holds it until eta */
	QL_PLACE_ACTIVE, /* it runs: node, pid, since */
	QL_PLACE_FINISHED, /* its result is there: state */
};

/* GET /api/task/{task_id}. Asks every place there is; says what could not be asked. */
struct ql_locate {
	const char *task_id; /* the caller's until done */
	/* who had it last, or NULL: is told of where nobody says that he has it */
	const char *worker_before;
	int64_t timeout_ms;
	void (*done)(struct ql_locate *op, int status);
	struct ql_err err;

	enum ql_place place;
	bool complete; /* every known worker answered, and every list was looked through */
	char queue[QL_TASK_NODE];
	int64_t position;
	char node[QL_TASK_NODE];
	int64_t pid; /* in the worker's own PID namespace */
	int64_t since; /* unix ms: when it began; FINISHED: when it ended. 0 = not said */
	int64_t eta; /* unix ms */
	char state[32]; /* Celery's word */
	char worker[QL_ERR_TEXT]; /* what is known of that node, its heartbeats too; "" = nothing */
	bool silent; /* it missed its heartbeats, or does not answer */
	bool marked; /* its message: whoever takes it drops it */
	bool unheard; /* ACTIVE: its result alone says that node began it, which does not answer now */
	/* why nothing ends a task that runs there; NULL = something may */
	const char *no_terminate;
	const char *no_kill; /* and why a kill doesn't either: nor can its containers be ended */
	char note[QL_ERR_TEXT]; /* what could not be asked, and what to do; "" = nothing */

	struct ql_ticket ticket;
	void *driver; /* the driver's own, until done */
};

/* A task that must never run, told to workers while a copy of its message may exist. */
struct ql_tombstone {
	const char *task_id;
	int64_t eta; /* unix ms when a worker that holds it begins it; 0 = not known */
	const char *eval_id; /* whose it is */
	int32_t attempt;
	/*
	 * Nothing of it was found yet, and perhaps nobody knows of it: only who can take it back is told, until
	 * it is laid again without this.
	 */
	bool tentative;
};

struct ql_broker;

struct ql_broker_ops {
	const char *name; /* "celery", "fake" */

	/*
	 * Of a task:
	 *
	 * ENQUEUE sends op.message, or makes one of op.launch (code, eval_id, image…): DELIVERED when the
	 * broker has it. Asked again it sends none twice, and none after a REMOVE or FORGET of a later epoch.
	 *
	 * REMOVE takes the task's message out of every queue, or marks it so that any worker drops it
	 * where others depend on its end. It is answered by the events REMOVED (with the bytes, where they were taken
	 * out, which `restore` puts back) or NOT_QUEUED, of the act's epoch; DELIVERED alone means nothing.
	 * Asked again after REMOVED it says REMOVED again, until FORGET of the task.
	 *
	 * INSPECT (incarnation 0) tells RUNNING, HELD or EXITED of each run that there is; or ABSENT with
	 * incarnation 0 and the epoch where every place was asked and none has it (REMOVED where a marked
	 * message is all there is of it). Where some could not be asked, done says -1. EXITED carries the
	 * epoch as well where every place was asked and that end is all there is. A place that is known,
	 * and of which it is known too that it says nothing any more, is in their `unasked`, and done says
	 * -1. Such a word is for the places that were asked after the act came, not before. With op.boxes its containers are
	 * looked for before none is said to have it: where some run, BOXED with incarnation 0 and the epoch comes instead of
	 * it; where they are to be ended, they are, and BOXED says so before it. Where that can't be asked, done says -1.
	 *
	 * FORGET (incarnation 0) drops what was kept of its message.
	 *
	 * Of a run:
	 *
	 * NOTICE asks the task itself (Celery: ABORTED). TERMINATE ends it by its worker. KILL ends its
	 * containers, and after op.grace_ms the task, by whatever hand there is. EXITED is told when its
	 * worker wrote its end, GONE when task and containers are proven gone. RETRIED is told once, when
	 * a run is seen to end so: a RETRY in the result backend alone is nothing that is there.
	 *
	 * One that is only held, and whose worker confirmed that it will drop it, answers KILL with
	 * DELIVERED; GONE follows when it dropped it, ABSENT when it holds it no more and nothing says
	 * that it dropped it. A message that its worker dropped unrun is EXITED with
	 * QL_RUN_UNSTARTED | QL_RUN_REVOKED, then GONE. SALVAGE and FORGET as in runtime.h.
	 */
	void (*act)(struct ql_broker *broker, struct ql_runtime_op *op);

	void (*locate)(struct ql_broker *broker, struct ql_locate *op);

	/* Workers are told from now on, and at once where they are there. -1: no memory, or over the bound. */
	int (*bury)(
		struct ql_broker *broker, const struct ql_tombstone *tombstone, struct ql_err *e);

	/* No copy of its message exists any more: a later message under that id is another task. */
	void (*lift)(struct ql_broker *broker, const char *task_id);

	/* Processor time, in us, that a run used until it was looked at last; 0 = not known. */
	int64_t (*cpu_us)(struct ql_broker *broker, uint64_t incarnation);

	/*
	 * A server before this one knew that worker: until it is heard of, what it has is not known. text: what `known`
	 * told of it; or NULL, and node is where a run was that is taken up. May be NULL: the driver knows its workers.
	 */
	void (*expect)(struct ql_broker *broker, const char *node, const char *text);

	/* All that was decided before `now` was done: it says so in `forgot`, for as long as it remembers that. */
	void (*remember)(struct ql_broker *broker, int64_t now);

	/*
	 * What the container of a task that runs was doing when it was looked at last, in its daemon's word; NULL: none
	 * was found. Has it looked for again, for nobody to wait for: what is found first is told as BOXED. Valid
	 * until the loop's next turn. May be NULL where no containers are looked for.
	 */
	const char *(*container)(struct ql_broker *broker, const char *task_id);

	/* What /readyz shows of the broker and the result backend; how many there are, at most size. */
	size_t (*health)(const struct ql_broker *broker, struct ql_dependency *ret, size_t size);

	/* Stops waiting for everything (each open op is done with -1), then calls closed. */
	void (*close)(struct ql_broker *broker, void (*closed)(void *arg), void *arg);
};

struct ql_broker {
	const struct ql_broker_ops *ops;
	uv_loop_t *loop;
	struct ql_runtime_sink sink; /* set by the engine before the first act */
	/*
	 * Told when the broker can be asked: once after it was opened, and each time that it was away for the driver, however
	 * short. What began and ended meanwhile was told nobody, and is found by INSPECT alone. Set with the sink; may be NULL.
	 */
	void (*back)(void *arg);
	/*
	 * Told after each connect, and where it is found out otherwise: what was done since may be undone there, as it may have
	 * come back from an older copy of what it had. since: the last time that `remember` told it and that it
	 * knows; 0: it knows of none. NULL: nobody calls `remember`, and nothing is kept for it.
	 */
	void (*forgot)(void *arg, int64_t since);
	/*
	 * There is a worker of that name, to be kept for `expect` as this text (JSON); NULL: it has nothing any more, or
	 * was not heard of for QL_BROKER_WORKER_KEEP_MS. May be NULL.
	 */
	void (*known)(void *arg, const char *node, const char *text);
	void *back_arg; /* of these three */
	struct ql_outlet *results; /* the result backend, or NULL where there is none */
	/* What its workers run, and the containers that tasks left; freed with it. NULL: it can't tell. */
	struct ql_finder *finder;
};

#endif
