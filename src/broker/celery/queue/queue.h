/*
 * The lists that workers take their messages from: putting a message in, finding and removing
 * those of given tasks, while workers and producers go on. Nothing here ever moves a message that
 * was not asked for, and each Redis command is short, however long a list is.
 *
 * Finding looks through each list in chunks, from the end where workers take (index -1) to the
 * other. What others do meanwhile moves the indexes: each chunk overlaps the one before and goes
 * on behind the last message seen, and begins anew where that is gone. Everything that is asked
 * in one turn of the loop, or while a look is under way, shares the next one. A look is over when nothing
 * is left to be found. A message that was put once, and bears no mark of having been put back, has
 * no second copy: whoever takes one and puts it back leaves that mark. Such ones are mostly asked for in the order in
 * which they stand, so they are looked for near the last finds first: what is not there is looked for everywhere.
 *
 * Removing takes out the very bytes that were read, by a script that compares them: a message that
 * a worker took in between is not hurt and counts as not found. The bytes stay in
 * `quell:removed:TASK` for a week, so that the same request, made again after a crash, has the
 * same answer; of a message that was put here once nothing but that it is gone, in
 * `quell:sent:TASK`: who put it can make it anew. The same script can write what its removal leads to as the task's result,
 * where it has none. Where others depend on the message's end (canvas), it stays in its place with
 * `expires` in the past: any worker drops it and tells them. So does one in `unacked`, where
 * it is not known who holds it. Where very many are removed at once each is replaced by one and
 * the same mark, a message that any worker drops, and the marks are swept out in few commands, a moment
 * later where looks follow each other.
 *
 * Operations are structs embedded in their callers'; `done` once, from the loop, never from within
 * the call, at the latest at the deadline. Giving up means «stop waiting», never «it did not
 * happen».
 */
#ifndef QL_BROKER_CELERY_QUEUE_QUEUE_H
#define QL_BROKER_CELERY_QUEUE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/heap.h"
#include "broker/broker.h"
#include "broker/celery/redis/redis.h"

#define QL_QUEUE_NAMES_MAX 4096 /* queues that are looked through */
#define QL_QUEUE_STEPS_MAX 10 /* priority steps of each */
#define QL_QUEUE_CHUNK 500 /* messages read at once, and bytes */
#define QL_QUEUE_CHUNK_BYTES (512 << 10)
#define QL_QUEUE_HELD_MAX \
	(256 << 20) /* bytes of found messages in one look; more wait for the next */
#define QL_QUEUE_MANY 200 /* removals in one look from which on they are marked and swept, */
#define QL_QUEUE_MANY_PASSED 100000 /* or as many messages that they would pass one by one */
#define QL_QUEUE_RESTARTS_MAX 64 /* in a row: a list that moves faster than it can be read */
#define QL_QUEUE_TRIES 3 /* looks for a message that was taken away under our hands */
#define QL_QUEUE_KEPT_S 604800 /* quell:removed:TASK, and quell:sent:TASK once it was removed */
#define QL_QUEUE_SENT_S 86400 /* quell:sent:TASK */
#define QL_QUEUE_RESULT_S "86400" /* a result, as Celery's own result_expires */
#define QL_QUEUE_NAMES_MS 30000 /* the names of queues are asked for anew after that, */
#define QL_QUEUE_NAMES_YOUNG_MS 1000 /* or after that where a task is in none of them */
#define QL_QUEUE_WALK_MAX 10000 /* pages of one SCAN, SSCAN or HSCAN */

struct ql_queues;
struct ql_queue_want;

struct ql_queue_steps {
	int of[QL_QUEUE_STEPS_MAX];
	size_t count;
};

/* "0,3,6,9", or NULL for that: numbers that rise from 0 on, to 255 at most. */
int ql_queue_steps_parse(const char *text, struct ql_queue_steps *ret_steps, struct ql_err *e);

struct ql_queues_config {
	struct ql_redis *redis; /* borrowed until closed */
	const char *const *names; /* looked through besides those of `_kombu.binding.*`; copied */
	size_t name_count;
	struct ql_queue_steps steps;
	const char *separator; /* sep, borrowed; NULL: the bytes 06 16 */
	const char *prefix; /* global_keyprefix, borrowed; NULL: none */
	/* The key and the text of the result of a task whose only message is removed; owned by who asks. -1: out of
	   memory. NULL: no results are written here. */
	int (*revoked)(void *arg, const char *task_id, char **ret_key, char **ret_text);
	void *arg;
};

int ql_queues_open(uv_loop_t *loop, const struct ql_queues_config *config,
	struct ql_queues **ret_queues, struct ql_err *e);

/* Whatever is open is done with -1 before `closed`. The connection must be closed after it. */
void ql_queues_close(struct ql_queues *queues, void (*closed)(void *arg), void *arg);

enum ql_queue_verb {
	QL_QUEUE_FIND, /* where is it? The first copy that will be taken */
	QL_QUEUE_REMOVE, /* out of every list, all copies; marked in `unacked` */
	QL_QUEUE_SURVEY, /* of a ql_queue_survey */
};

struct ql_queue_op {
	enum ql_queue_verb verb;
	const char *task_id; /* the caller's until done */
	int64_t timeout_ms;
	bool once; /* REMOVE: its only message was put here, by ql_queue_put */
	bool settles; /* REMOVE: that it is removed may be written as its result, with the removal */
	void (*done)(struct ql_queue_op *op, int status);
	struct ql_err err;

	/* The answer, with status 0. All false: it is in no list, and no worker holds it unacknowledged. */
	bool listed; /* it was in a list when it was seen */
	bool removed; /* REMOVE: it was in a list, and can't be taken from there any more */
	bool told; /* and its result says so */
	bool marked; /* and its place is kept by a copy that any worker drops */
	bool unacked; /* a worker took it and has not acknowledged it; by REMOVE it is marked there */
	char queue[QL_TASK_NODE]; /* where it is listed; "" where only unacked */
	int64_t position; /* before it in the queue, in all steps; 0 = next */
	const char *
		bytes; /* as it was; valid within done; NULL when not found, or removed long ago and `once` */
	size_t len;

	/* the queues' own */
	struct ql_queue_op *prev, *next;
	struct ql_heap_node due;
	struct ql_queues *queues;
	struct ql_queue_want *want;
	int tries;
	bool surveying;
};

/*
 * Tells what there is, message by message, in the look that it shares with others: op.verb is SURVEY, op.task_id is
 * not read, and op.done comes last. What moves meanwhile may be told twice.
 */
struct ql_queue_survey {
	struct ql_queue_op op; /* first */
	/* A list that is not empty. */
	void (*list)(struct ql_queue_survey *survey, const char *queue, int64_t len);
	/* queue NULL: a worker took it and has not acknowledged it. False: no more of them. */
	bool (*each)(
		struct ql_queue_survey *survey, const char *queue, const char *bytes, size_t len);
	bool enough; /* the queues' own: it said so */
};

void ql_queue_look(struct ql_queues *queues, struct ql_queue_op *op);

/*
 * Puts a message into a queue, which is looked through from then on. Asked again it sends none twice, until it was
 * removed or forgotten.
 */
struct ql_queue_put {
	const char *task_id, *queue, *bytes; /* the caller's until done */
	size_t len;
	int step; /* one of the steps, or between two: the lower one */
	bool back; /* it was removed before, and is to be there again */
	int64_t timeout_ms;
	void (*done)(struct ql_queue_put *put, int status);
	struct ql_err err;
	bool again; /* it had been sent before: nothing was done */
	struct ql_redis_command command; /* the queues' own */
};

void ql_queue_put(struct ql_queues *queues, struct ql_queue_put *put);

/* Drops what is kept of a task: the bytes of its removal, and that it was sent. */
struct ql_queue_forget {
	const char *task_id; /* the caller's until done */
	int64_t timeout_ms;
	void (*done)(struct ql_queue_forget *forget, int status);
	struct ql_err err;
	struct ql_redis_command command; /* the queues' own */
};

void ql_queue_forget(struct ql_queues *queues, struct ql_queue_forget *forget);

#endif
