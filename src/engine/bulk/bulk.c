/* The requests about batches: each reads what is durable, decides, and answers when that is durable too. */
#include "engine/bulk/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/rand.h"
#include "base/str.h"

struct asking {
	struct asking *prev, *next; /* among those that hold room */
	bool holds_room;
	struct ql_engine *engine;
	struct ql_bulk_ask *op;
	struct later later;
	struct ql_store_read read;
	struct ql_write write;
	struct bulk_freeze freeze;
	struct bulk_drift drift;
	struct ql_bulk old; /* UNDO: the one that is taken back */
	struct bulk_undo undo;
	struct ql_change *changes;
	struct ql_err err;
};

struct bulk *
ql_bulk_find(struct ql_engine *engine, const char *id)
{
	struct bulk *bulk;
	DL_FOREACH (engine->bulks, bulk) {
		if (!strcmp(bulk->head.id, id))
			break;
	}
	return bulk;
}

static bool
is_own(const struct ql_caller *caller, const char *owner)
{
	return caller->owner && owner && !strcmp(caller->owner, owner);
}

/* Held from here on: a batch that is being frozen takes a place as one that runs does. */
static int
take_room(struct asking *asking, struct ql_err *e)
{
	struct ql_engine *engine = asking->engine;
	const struct ql_caller *caller = &asking->op->caller;
	const struct bulk *bulk;
	const struct asking *other;
	int all = 0, own = 0;
	DL_FOREACH (engine->bulks, bulk) {
		all++;
		own += is_own(caller, bulk->head.owner);
	}
	DL_FOREACH (engine->bulk_askings, other) {
		all++;
		own += is_own(caller, other->op->caller.owner);
	}
	if (all >= QL_BULK_RUNNING_MAX)
		return ql_fail(e, QL_E_LIMIT,
			"%d batches are under way, and no more may be: wait for one, or cancel it",
			all);
	if (own >= QL_BULK_OWN_MAX && !caller->all)
		return ql_fail(e, QL_E_LIMIT,
			"%d batches of yours are under way, and no more may be: wait for one, or "
			"cancel it",
			own);
	asking->holds_room = true;
	DL_APPEND(engine->bulk_askings, asking);
	return 0;
}

/* ---- answers ---- */

static void
finish(struct asking *asking, const struct ql_err *err)
{
	struct ql_engine *engine = asking->engine;
	struct ql_bulk_ask *op = asking->op;
	if (err)
		op->err = *err;
	if (asking->holds_room)
		DL_DELETE(engine->bulk_askings, asking);
	ql_bulk_done(&asking->old);
	ql_changes_free(asking->changes);
	free(asking);
	op->done(op, err ? -1 : 0);
	ql_engine_op_end(engine);
}

static void
on_later(struct later *later)
{
	struct asking *asking = QL_OWNER(later, struct asking, later);
	finish(asking, &asking->err);
}

static void
fail_later(struct asking *asking)
{
	asking->later.fn = on_later;
	ql_later(asking->engine, &asking->later);
}

static void
out_of_memory(struct asking *asking)
{
	ql_fail(&asking->err, QL_E_UNAVAILABLE, "out of memory for a batch: try again later");
	finish(asking, &asking->err);
}

/* ---- the audit ---- */

int
ql_bulk_add_attempt(const struct ql_bulk_ask *op, struct ql_change *changes)
{
	if (!op->caller.attempt)
		return 0;
	struct ql_attempt attempt = *op->caller.attempt;
	bool begins = op->bulk.phase == QL_BULK_RUNNING;
	attempt.target = attempt.target ? attempt.target : op->bulk.id;
	attempt.count = op->bulk.total > 1 ? op->bulk.total : 0;
	return ql_attempt_add(changes, &attempt, begins ? 202 : 200, 0);
}

void
ql_bulk_attempt_kept(const struct ql_bulk_ask *op, int status)
{
	if (op->caller.attempt)
		op->caller.attempt->written = !status;
}

/* It is durable: it begins, unless it is a preview. */
static void
begin(struct asking *asking)
{
	struct ql_bulk head;
	struct ql_err err;
	if (asking->op->bulk.phase != QL_BULK_RUNNING) {
		finish(asking, NULL);
		return;
	}
	if (ql_bulk_copy(&head, &asking->op->bulk)) {
		out_of_memory(asking);
		return;
	}
	if (ql_bulk_begin(asking->engine, &head, &err)) {
		ql_bulk_done(&head);
		finish(asking, &err);
		return;
	}
	finish(asking, NULL);
}

static void
on_durable(struct ql_write *write, int status)
{
	struct asking *asking = QL_OWNER(write, struct asking, write);
	ql_bulk_attempt_kept(asking->op, status);
	if (status)
		finish(asking, &write->err);
	else
		begin(asking);
}

/* The head, and what is gathered besides. */
static void
keep(struct asking *asking)
{
	struct ql_change *head = ql_bulk_keep_head(&asking->op->bulk);
	if (head)
		LL_APPEND(asking->changes, head);
	if (!head || ql_bulk_add_attempt(asking->op, asking->changes)) {
		out_of_memory(asking);
		return;
	}
	asking->write = (struct ql_write){.changes = asking->changes, .done = on_durable};
	asking->changes = NULL;
	ql_engine_write(asking->engine, &asking->write);
}

/* ---- make ---- */

static void
on_frozen(struct bulk_freeze *freeze, const struct ql_err *err)
{
	struct asking *asking = QL_OWNER(freeze, struct asking, freeze);
	struct ql_err why;
	if (err) {
		why = *err; /* it stands in what is freed */
		finish(asking, &why);
		return;
	}
	begin(asking);
}

/* -1: out of memory. */
static int
fill(struct asking *asking, struct ql_bulk *head)
{
	const struct ql_bulk_ask *op = asking->op;
	int64_t now = ql_engine_now(asking->engine);
	*head = (struct ql_bulk){
		.phase = op->preview ? QL_BULK_PREVIEW : QL_BULK_RUNNING,
		.mode = op->mode,
		.top = op->top,
		.grace_ms = op->grace_ms,
		.all = op->caller.all,
		.actor = ql_str_dup(op->caller.actor),
		.owner = ql_str_dup(op->caller.owner),
		.reason = ql_str_dup(op->reason),
		.selector = ql_str_dup(op->selector_text),
		.created_at = now,
		.started_at = op->preview ? 0 : now,
		.expires_at = op->preview ? now + QL_BULK_PREVIEW_MS : 0,
	};
	ql_rand_id(now, head->id);
	bool lost = (op->caller.owner && !head->owner) || (op->reason && !head->reason) ||
		    (op->selector_text && !head->selector);
	return !head->actor || lost ? -1 : 0;
}

static void
make(struct asking *asking)
{
	struct ql_bulk_ask *op = asking->op;
	if (fill(asking, &op->bulk)) {
		ql_fail(&asking->err, QL_E_UNAVAILABLE, "out of memory for a batch");
		fail_later(asking);
		return;
	}
	asking->freeze = (struct bulk_freeze){
		.engine = asking->engine, .head = &op->bulk, .op = op, .done = on_frozen};
	ql_bulk_freeze(&asking->freeze);
}

/* ---- execute ---- */

static void
on_drifted(struct bulk_drift *drift, const struct ql_err *err)
{
	struct asking *asking = QL_OWNER(drift, struct asking, drift);
	struct ql_err why;
	if (err) {
		why = *err;
		finish(asking, &why);
		return;
	}
	keep(asking);
}

static void
execute(struct asking *asking)
{
	struct ql_bulk *head = &asking->op->bulk;
	struct ql_err err;
	int64_t now = ql_engine_now(asking->engine);
	if (head->phase != QL_BULK_PREVIEW) {
		ql_fail(&err, QL_E_CONFLICT, "the preview %s was executed: it is %s", head->id,
			ql_bulk_phase_word(head->phase));
		finish(asking, &err);
		return;
	}
	if (now >= head->expires_at) {
		ql_fail(&err, QL_E_CONFLICT,
			"the preview %s is older than %lld minutes: make another", head->id,
			(long long)(QL_BULK_PREVIEW_MS / 60000));
		finish(asking, &err);
		return;
	}
	if (take_room(asking, &err)) {
		finish(asking, &err);
		return;
	}
	head->phase = QL_BULK_RUNNING;
	head->started_at = now;
	head->expires_at = 0;
	if (!head->selector) {
		keep(asking);
		return;
	}
	asking->drift =
		(struct bulk_drift){.engine = asking->engine, .head = head, .done = on_drifted};
	ql_bulk_drift(&asking->drift);
}

/* ---- cancel ---- */

/* It asks for no more from now on, and over a crash too: what is kept of it later says so as well. */
static void
end_running(struct asking *asking, struct bulk *running)
{
	struct ql_bulk *head = &asking->op->bulk;
	running->head.phase = QL_BULK_STOPPED;
	running->head.finished_at = ql_engine_now(asking->engine);
	ql_bulk_done(head);
	if (ql_bulk_copy(head, &running->head))
		out_of_memory(asking);
	else
		keep(asking);
	ql_bulk_end(running);
}

static void
cancel(struct asking *asking)
{
	struct ql_bulk *head = &asking->op->bulk;
	struct bulk *running = ql_bulk_find(asking->engine, head->id);
	struct ql_err err;
	if (running) {
		end_running(asking, running);
		return;
	}
	if (head->phase != QL_BULK_PREVIEW) {
		ql_fail(&err, QL_E_CONFLICT, "batch %s is over: it is %s", head->id,
			ql_bulk_phase_word(head->phase));
		finish(asking, &err);
		return;
	}
	head->phase = QL_BULK_STOPPED;
	head->finished_at = ql_engine_now(asking->engine);
	keep(asking);
}

/* ---- undo ---- */

static void
on_undone(struct bulk_undo *undo, const struct ql_err *err)
{
	struct asking *asking = QL_OWNER(undo, struct asking, undo);
	struct ql_change *old = err ? NULL : ql_bulk_keep_head(&asking->old);
	struct ql_err why;
	asking->changes = undo->changes;
	if (err) {
		why = *err; /* it stands in what is freed */
		finish(asking, &why);
		return;
	}
	if (!old) {
		out_of_memory(asking);
		return;
	}
	LL_APPEND(asking->changes, old);
	keep(asking);
}

static int
check_undo(struct asking *asking, const struct ql_bulk *old, struct ql_err *e)
{
	int64_t age = ql_engine_now(asking->engine) - old->started_at;
	if (!ql_bulk_phase_ends(old->phase) || !old->started_at)
		return ql_fail(e, QL_E_CONFLICT, "batch %s is %s: cancel it first, or wait",
			old->id, ql_bulk_phase_word(old->phase));
	if (ql_bulk_find(asking->engine, old->id))
		return ql_fail(e, QL_E_CONFLICT, "batch %s still ends: try again", old->id);
	if (old->undoes[0])
		return ql_fail(e, QL_E_CONFLICT, "batch %s is an undo itself", old->id);
	if (old->undone_by[0])
		return ql_fail(
			e, QL_E_CONFLICT, "batch %s was undone by %s", old->id, old->undone_by);
	if (age > QL_BULK_UNDO_MS)
		return ql_fail(e, QL_E_CONFLICT,
			"batch %s began %lld hours ago, and an undo comes within %lld", old->id,
			(long long)(age / 3600000), (long long)(QL_BULK_UNDO_MS / 3600000));
	return take_room(asking, e);
}

static void
undo(struct asking *asking)
{
	struct ql_bulk_ask *op = asking->op;
	struct ql_err err;
	if (check_undo(asking, &op->bulk, &err)) {
		finish(asking, &err);
		return;
	}
	asking->old = op->bulk;
	op->bulk = (struct ql_bulk){0};
	if (fill(asking, &op->bulk)) {
		out_of_memory(asking);
		return;
	}
	op->bulk.mode = QL_MODE_CANCEL;
	ql_str_copy(op->bulk.undoes, sizeof(op->bulk.undoes), asking->old.id);
	ql_str_copy(asking->old.undone_by, sizeof(asking->old.undone_by), op->bulk.id);
	asking->undo = (struct bulk_undo){.engine = asking->engine,
		.old = &asking->old,
		.head = &op->bulk,
		.done = on_undone};
	ql_bulk_undo(&asking->undo);
}

/* ---- what is asked of one that there is ---- */

static bool
may_see(const struct ql_caller *caller, const struct ql_bulk *head)
{
	return caller->all || is_own(caller, head->owner);
}

static void
on_head(struct ql_store_read *read, int status)
{
	struct asking *asking = QL_OWNER(read, struct asking, read);
	struct ql_bulk_ask *op = asking->op;
	struct ql_err err = read->err;
	bool there = !status && read->object_count;
	if (there)
		status = ql_bulk_parse(read->objects[0].text, &op->bulk, &err);
	ql_store_read_done(read);
	if (!status && (!there || !may_see(&op->caller, &op->bulk)))
		status = ql_fail(&err, QL_E_NOT_FOUND, "there is no batch %s", op->id);
	if (status) {
		ql_bulk_done(&op->bulk);
		finish(asking, &err);
		return;
	}
	if (op->verb == QL_BULK_EXECUTE)
		execute(asking);
	else if (op->verb == QL_BULK_CANCEL)
		cancel(asking);
	else
		undo(asking);
}

static int
check_make(struct asking *asking, struct ql_err *e)
{
	struct ql_bulk_ask *op = asking->op;
	if (op->verb != QL_BULK_MAKE || op->preview)
		return 0;
	if (!op->selector && ql_bulk_check_confirmed(op, (int64_t)op->id_count, e))
		return -1;
	return take_room(asking, e);
}

void
ql_engine_bulk(struct ql_engine *engine, struct ql_bulk_ask *op)
{
	struct asking *asking = calloc(1, sizeof(*asking));
	if (!asking)
		abort(); /* not even a refusal can be queued */
	op->bulk = (struct ql_bulk){0};
	op->sample_count = 0;
	op->would_stop = 0;
	asking->engine = engine;
	asking->op = op;
	ql_engine_op_begin(engine);
	if (ql_engine_check_open(engine, &asking->err) || check_make(asking, &asking->err)) {
		fail_later(asking);
	} else if (op->verb == QL_BULK_MAKE) {
		make(asking);
	} else {
		asking->read = (struct ql_store_read){.kind = QL_READ_OBJECTS,
			.filter = {.object = QL_OBJECT_BATCH, .object_id = op->id, .limit = 1},
			.done = on_head};
		ql_engine_read(engine, &asking->read);
	}
}

void
ql_bulk_ask_done(struct ql_bulk_ask *op)
{
	ql_bulk_done(&op->bulk);
}
