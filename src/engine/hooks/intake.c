/*
 * Whom the outbox tells where it tells webhooks: a letter becomes a message for each hook that wants
 * it, all of them durable at once, and only then it is taken. So a letter that comes again after a
 * crash makes the same messages, under the same names.
 */
#include "engine/hooks/hooking.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"

struct item {
	struct item *next;
	char id[QL_RAND_ID]; /* of the hook, which may be gone when it is durable */
	char *text;
};

struct intake {
	struct ql_store_read read;
	struct ql_write write;
	struct ql_delivery *op;
	struct hooking *hooking;
	struct item *items;
	int64_t now;
};

static void
finish(struct intake *intake, int status, const struct ql_err *err)
{
	struct ql_engine *engine = intake->hooking->engine;
	struct ql_delivery *op = intake->op;
	struct item *item, *next;
	LL_FOREACH_SAFE(intake->items, item, next)
	{
		free(item->text);
		free(item);
	}
	op->retry = true;
	if (status)
		op->err = *err; /* which may be the intake's */
	free(intake);
	op->done(op, status);
	ql_engine_op_end(engine);
}

static void
on_written(struct ql_write *write, int status)
{
	struct intake *intake = QL_OWNER(write, struct intake, write);
	struct hooking *hooking = intake->hooking;
	struct item *item;
	char key[QL_HOOK_KEY_TEXT];
	LL_FOREACH (intake->items, item) {
		struct hook *hook = ql_hook_find(hooking, item->id);
		char *text = item->text;
		item->text = NULL;
		if (!status && hook) {
			ql_hook_add(hook, intake->op->number, intake->now, text);
			continue;
		}
		free(text);
		ql_hook_key(item->id, intake->op->number, key);
		if (!status)
			ql_hook_drop(hooking->engine, key);
	}
	finish(intake, status, &write->err);
}

/* Takes the text, which may be NULL. */
static int
add(struct intake *intake, const struct hook *hook, char *text)
{
	char key[QL_HOOK_KEY_TEXT];
	struct item *item = text ? calloc(1, sizeof(*item)) : NULL;
	ql_hook_key(hook->view.hook.id, intake->op->number, key);
	struct ql_change *change = item ? ql_change_put(QL_OBJECT_MESSAGE, key, text) : NULL;
	if (!change) {
		free(text);
		free(item);
		return -1;
	}
	change->at = intake->now;
	LL_PREPEND(intake->write.changes, change);
	ql_str_copy(item->id, sizeof(item->id), hook->view.hook.id);
	item->text = text;
	LL_PREPEND(intake->items, item);
	return 0;
}

static struct ql_letter
letter_of(const struct ql_delivery *op)
{
	return (struct ql_letter){
		.number = op->number,
		.eval_id = (char *)op->eval_id,
		.task_id = (char *)op->task_id,
		.error = (char *)op->error,
		.attempt = op->attempt,
		.status = (int32_t)op->status,
		.finished_at = op->finished_at,
	};
}

static bool
has_room(struct hook *hook)
{
	struct ql_hook_view *view = &hook->view;
	if (view->backlog < QL_HOOK_BACKLOG)
		return true;
	view->tally.dropped++;
	ql_hook_counted(hook);
	ql_meter_add(hook->hooking->engine->config.meter, QL_METRIC_HOOK_MESSAGES,
		QL_LABELS("dropped"), 1);
	return false;
}

/* A selector that asks for its status is asked as of the letter. */
static int
write_all(struct intake *intake, struct ql_record *record)
{
	struct hook *hook, *next;
	const struct ql_delivery *op = intake->op;
	struct ql_letter letter = letter_of(op);
	int event = ql_hook_event_of(op->status);
	char *text = ql_hook_message(&letter, record, intake->now);
	int rc = text ? 0 : -1;
	record->state.status = (int32_t)op->status;
	HASH_ITER (hh, intake->hooking->hooks, hook, next) {
		if (rc || !hook->kept ||
			!ql_hook_wants(
				&hook->view.hook, (enum ql_hook_event)event, record, intake->now) ||
			!has_room(hook))
			continue;
		rc = add(intake, hook, ql_str_dup(text));
	}
	free(text);
	return rc;
}

static void
on_read(struct ql_store_read *read, int status)
{
	struct intake *intake = QL_OWNER(read, struct intake, read);
	struct ql_err err = read->err;
	if (!status && read->record_count && write_all(intake, &read->records[0]))
		status = ql_fail(&err, QL_E_SYSTEM, "out of memory for the messages to webhooks");
	ql_store_read_done(read);
	if (status || !intake->write.changes) {
		ql_changes_free(intake->write.changes);
		finish(intake, status, &err);
		return;
	}
	intake->write.done = on_written;
	ql_engine_write(intake->hooking->engine, &intake->write);
}

static void
deliver(struct ql_outlet *outlet, struct ql_delivery *op)
{
	struct hooking *hooking = QL_OWNER(outlet, struct hooking, outlet);
	struct intake *intake = calloc(1, sizeof(*intake));
	if (!intake)
		abort(); /* not even a failure can be queued */
	intake->hooking = hooking;
	intake->op = op;
	intake->now = ql_engine_now(hooking->engine);
	intake->read = (struct ql_store_read){.kind = QL_READ_GET,
		.filter = {.eval_id = op->eval_id, .limit = 1},
		.done = on_read};
	ql_engine_op_begin(hooking->engine);
	ql_engine_read(hooking->engine, &intake->read);
}

/* The engine is idle then: nothing of it is open. */
static void
intake_close(struct ql_outlet *outlet, void (*closed)(void *arg), void *arg)
{
	(void)outlet;
	closed(arg);
}

void
ql_hook_intake_open(struct hooking *hooking)
{
	hooking->outlet =
		(struct ql_outlet){.name = "webhooks", .deliver = deliver, .close = intake_close};
	hooking->engine->config.outlets[QL_OUTLET_WEBHOOKS] = &hooking->outlet;
}
