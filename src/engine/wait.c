/* Who waits for an evaluation to be settled, and who follows all changes. */
#include "engine/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"

/* One wait; several for one evaluation are a list under its id. */
struct waiter {
	struct waiter *prev, *next;
	struct wake wake;
	struct later later;
	struct ql_engine *engine;
	struct watch *watch;
	struct ql_wait *op; /* NULL once it was taken back */
	char eval_id[QL_EVAL_ID]; /* for the read, which may outlive the watch */
	bool seen; /* as of op */
	struct ql_store_read read;
	int holds; /* the read, and the wait itself */
};

struct watch {
	char eval_id[QL_EVAL_ID];
	struct waiter *waiters;
	UT_hash_handle hh;
};

bool
ql_wait_is_over(const struct ql_state *state)
{
	enum ql_status status = (enum ql_status)state->status;
	return ql_status_settled(status) || status == QL_STATUS_UNCONFIRMED;
}

static bool
is_over(const struct waiter *waiter, const struct ql_state *state)
{
	return ql_wait_is_over(state) || (waiter->seen && state->seen);
}

static struct watch *
watch_of(struct ql_engine *engine, const char *eval_id)
{
	struct watch *watch;
	HASH_FIND(hh, engine->watches, eval_id, strlen(eval_id), watch);
	return watch;
}

static void
unwatch(struct waiter *waiter)
{
	struct ql_engine *engine = waiter->engine;
	struct watch *watch = waiter->watch;
	if (!watch)
		return;
	waiter->watch = NULL;
	ql_wake_clear(engine, &waiter->wake);
	DL_DELETE(watch->waiters, waiter);
	if (watch->waiters)
		return;
	HASH_DEL(engine->watches, watch);
	free(watch);
}

static void
waiter_release(struct waiter *waiter)
{
	struct ql_engine *engine = waiter->engine;
	if (--waiter->holds)
		return;
	free(waiter);
	ql_engine_op_end(engine);
}

static void
on_later(struct later *later)
{
	struct waiter *waiter = QL_OWNER(later, struct waiter, later);
	struct ql_wait *op = waiter->op;
	waiter->op = NULL;
	if (op)
		op->done(op);
	waiter_release(waiter);
}

/* From within another call: done comes in the next turn. */
static void
waiter_over(struct waiter *waiter)
{
	if (!waiter->watch)
		return;
	unwatch(waiter);
	waiter->later.fn = on_later;
	ql_later(waiter->engine, &waiter->later);
}

static void
on_deadline(struct wake *wake)
{
	waiter_over(QL_OWNER(wake, struct waiter, wake));
}

static void
on_read(struct ql_store_read *read, int status)
{
	struct waiter *waiter = QL_OWNER(read, struct waiter, read);
	bool over = status || !read->record_count || is_over(waiter, &read->records[0].state);
	ql_store_read_done(read);
	if (over)
		waiter_over(waiter);
	waiter_release(waiter);
}

void
ql_engine_wait(struct ql_engine *engine, struct ql_wait *op)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	struct watch *watch = watch_of(engine, op->eval_id);
	if (!watch && (watch = calloc(1, sizeof(*watch)))) {
		ql_str_copy(watch->eval_id, sizeof(watch->eval_id), op->eval_id);
		HASH_ADD(hh, engine->watches, eval_id, strlen(watch->eval_id), watch);
	}
	op->engine_private = waiter;
	if (!waiter || !watch)
		abort(); /* a few hundred bytes: the process can't go on anyway */
	*waiter = (struct waiter){
		.engine = engine, .watch = watch, .op = op, .seen = op->seen, .holds = 2};
	memcpy(waiter->eval_id, watch->eval_id, sizeof(waiter->eval_id));
	DL_APPEND(watch->waiters, waiter);
	waiter->wake.fn = on_deadline;
	int64_t wait_ms = engine->accepting ? op->wait_ms : 0;
	ql_wake_set(engine, &waiter->wake, ql_engine_now(engine) + wait_ms);
	waiter->read = (struct ql_store_read){
		.kind = QL_READ_GET, .filter = {.eval_id = waiter->eval_id}, .done = on_read};
	ql_engine_op_begin(engine);
	ql_engine_read(engine, &waiter->read);
}

void
ql_engine_wait_stop(struct ql_engine *engine, struct ql_wait *op)
{
	struct waiter *waiter = op->engine_private;
	(void)engine;
	waiter->op = NULL;
	waiter_over(waiter);
}

/* The last waiter takes the watch with it. state NULL: all of them are over. */
static void
watch_over(struct watch *watch, const struct ql_state *state)
{
	struct waiter *waiter = watch->waiters;
	while (waiter) {
		struct waiter *next = waiter->next;
		if (!state || is_over(waiter, state))
			waiter_over(waiter);
		waiter = next;
	}
}

void
ql_watch_changed(struct ql_engine *engine, const struct ql_record *record)
{
	struct watch *watch;
	if (!engine->watches)
		return;
	if ((watch = watch_of(engine, record->eval_id)))
		watch_over(watch, &record->state);
}

void
ql_watch_gone(struct ql_engine *engine, const char *eval_id)
{
	struct watch *watch = watch_of(engine, eval_id);
	if (watch)
		watch_over(watch, NULL);
}

void
ql_watch_end(struct ql_engine *engine)
{
	struct watch *watch, *next;
	HASH_ITER (hh, engine->watches, watch, next)
		watch_over(watch, NULL);
}

void
ql_engine_subscribe(struct ql_engine *engine, struct ql_subscriber *sub)
{
	DL_APPEND(engine->subscribers, sub);
}

void
ql_engine_unsubscribe(struct ql_engine *engine, struct ql_subscriber *sub)
{
	DL_DELETE(engine->subscribers, sub);
}
