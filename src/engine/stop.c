/*
 * Cancel, terminate, kill. Every refusal leaves a durable row too: who asked for what, and why not.
 */
#include "engine/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"

#define AGAIN_MS 2000 /* one more look at what was found nowhere a moment ago */
#define LOOKED_FOR_MS 20000 /* for what nobody knows of: two looks among very many others' */

struct stopping {
	struct want want;
	struct later later;
	struct ql_wait wait;
	struct ql_engine *engine;
	struct ql_stop *op;
	char eval_id[QL_EVAL_ID];
	struct ql_store_read read;
	bool adopting;
	bool begins; /* the decision made the cancellation */
	struct ql_err err;
};

static void
finish(struct stopping *stopping, const struct ql_err *err)
{
	struct ql_engine *engine = stopping->engine;
	struct ql_stop *op = stopping->op;
	if (err) {
		op->err = *err;
		ql_tally_refusal(engine, err);
	}
	free(stopping);
	op->done(op, err ? -1 : 0);
	ql_engine_op_end(engine);
}

static void
on_later(struct later *later)
{
	struct stopping *stopping = QL_OWNER(later, struct stopping, later);
	finish(stopping, stopping->err.code ? &stopping->err : NULL);
}

static void
finish_later(struct stopping *stopping)
{
	stopping->later.fn = on_later;
	ql_later(stopping->engine, &stopping->later);
}

/* What the caller is shown: the record as it is durable. */
static void
show(struct stopping *stopping, const struct ql_live *live)
{
	struct ql_record *record = &stopping->op->record;
	struct ql_record shown = live->record;
	shown.state = live->durable;
	shown.payload = NULL;
	ql_record_done(record);
	if (ql_record_copy(record, &shown))
		ql_engine_log(stopping->engine, "out of memory: an answer goes out empty");
}

/* ---- refused: a row of its own ---- */

static void
on_refusal_durable(struct decided *decided, const struct ql_err *err)
{
	struct stopping *stopping = decided->arg;
	if (decided->live)
		show(stopping, decided->live);
	finish(stopping, err ? err : &stopping->err);
}

static void
refuse(struct stopping *stopping, struct ql_live *live)
{
	struct ql_engine *engine = stopping->engine;
	struct ql_stop *op = stopping->op;
	struct ql_change *change = ql_change_new(QL_CHANGE_REFUSAL);
	struct decided *decided = NULL;
	if (change && (change->what = ql_str_dup(stopping->err.text)))
		decided = live ? ql_batch_add_to(live, change, true) : ql_batch_add(engine, change);
	if (!decided) {
		ql_changes_free(change);
		finish_later(stopping);
		return;
	}
	memcpy(change->record.eval_id, stopping->eval_id, sizeof(change->record.eval_id));
	change->record.actor = ql_str_dup(op->caller.actor);
	change->record.reason = ql_str_dup(op->reason);
	change->mode = op->mode;
	change->at = ql_engine_now(engine);
	decided->done = on_refusal_durable;
	decided->arg = stopping;
}

static void
unknown(struct stopping *stopping)
{
	const char *task_id = stopping->op->task_id;
	ql_record_done(&stopping->op->record);
	ql_fail(&stopping->err, QL_E_NOT_FOUND, "there is no %s %s",
		task_id ? "task" : "evaluation", task_id ? task_id : stopping->eval_id);
	refuse(stopping, NULL);
}

/* ---- under way: wait for the end as long as was asked for ---- */

static void
on_reread(struct ql_store_read *read, int status)
{
	struct stopping *stopping = QL_OWNER(read, struct stopping, read);
	struct ql_record *record = &stopping->op->record;
	bool same = !status && read->record_count &&
		    read->records[0].state.attempt == record->state.attempt;
	if (same) {
		ql_record_done(record);
		*record = read->records[0];
		read->records[0] = (struct ql_record){0};
	}
	bool gone = !status && !read->record_count;
	ql_store_read_done(read);
	if (gone) { /* nothing of it was found anywhere */
		unknown(stopping);
		return;
	}
	finish(stopping, NULL); /* else what was shown before the wait still holds */
}

static void
on_waited(struct ql_wait *wait)
{
	struct stopping *stopping = QL_OWNER(wait, struct stopping, wait);
	stopping->read = (struct ql_store_read){
		.kind = QL_READ_GET, .filter = {.eval_id = stopping->eval_id}, .done = on_reread};
	ql_engine_read(stopping->engine, &stopping->read);
}

static void
wait(struct stopping *stopping, int64_t wait_ms, bool seen)
{
	stopping->op->only_step = false;
	stopping->wait = (struct ql_wait){
		.eval_id = stopping->eval_id, .wait_ms = wait_ms, .seen = seen, .done = on_waited};
	ql_engine_wait(stopping->engine, &stopping->wait);
}

static void
on_durable(struct decided *decided, const struct ql_err *err)
{
	struct stopping *stopping = decided->arg;
	struct ql_stop *op = stopping->op;
	if (err) {
		finish(stopping, err);
		return;
	}
	const struct ql_state *state = &decided->live->durable;
	show(stopping, decided->live);
	op->only_step = stopping->begins;
	if (ql_wait_is_over(state)) {
		finish(stopping, NULL);
	} else if (op->looking && state->adopted && !state->seen) {
		op->looking(op);
		wait(stopping, LOOKED_FOR_MS, true);
	} else if (op->wait_ms) {
		wait(stopping, op->wait_ms, false);
	} else {
		finish(stopping, NULL);
	}
}

/* ---- the decision ---- */

static void
refusal_text(struct stopping *stopping, const struct ql_live *live, const struct ql_decision *ret)
{
	const char *word = ql_status_word((enum ql_status)live->record.state.status);
	if (ret->verdict == QL_VERDICT_FINISHED)
		ql_fail(&stopping->err, QL_E_FINISHED, "%s had %s: there was nothing to stop",
			stopping->eval_id, word);
	else if (ret->verdict == QL_VERDICT_FENCED)
		ql_fail(&stopping->err, QL_E_FENCED,
			"attempt %d was named, and attempt %d of %s is the current one",
			stopping->op->attempt, live->record.state.attempt, stopping->eval_id);
	else
		ql_fail(&stopping->err, QL_E_CONFLICT, "%s", ret->why);
}

/* Beside a broker an id that the store doesn't know may be another producer's. */
static bool
adopts(struct stopping *stopping, const struct ql_err *err)
{
	struct ql_engine *engine = stopping->engine;
	struct ql_stop *op = stopping->op;
	if (!engine->config.broker || err->code != QL_E_NOT_FOUND || !op->caller.all ||
		stopping->adopting)
		return false;
	stopping->adopting = true;
	if (!op->in_bulk && ql_adopt_was_unknown(engine, stopping->eval_id) &&
		op->wait_ms < AGAIN_MS)
		op->wait_ms = AGAIN_MS;
	ql_adopt(engine, op, stopping->eval_id, &stopping->want);
	return true;
}

/* A task of an earlier attempt is not the current one's. */
static bool
is_other_task(const struct ql_stop *op, const struct ql_live *live)
{
	char task_id[QL_TASK_ID];
	if (!op->task_id)
		return false;
	ql_record_task_id(&live->record, live->record.state.attempt, task_id);
	return strcmp(task_id, op->task_id) != 0;
}

/* Kills have an eighth more, so that one gets through. */
static size_t
most_stops(const struct ql_engine *engine, enum ql_mode mode)
{
	int64_t most = engine->config.max_stops ? engine->config.max_stops : QL_ENGINE_STOPS_MAX;
	return (size_t)(mode == QL_MODE_KILL ? most + (most + 7) / 8 : most);
}

size_t
ql_stop_room(const struct ql_engine *engine, enum ql_mode mode)
{
	size_t most = most_stops(engine, mode);
	return engine->stops < most ? most - engine->stops : 0;
}

/* What only waits in the queue is stopped at once. */
static int
check_room(struct stopping *stopping, const struct ql_live *live)
{
	struct ql_engine *engine = stopping->engine;
	enum ql_mode mode = stopping->op->mode;
	if (live->record.state.status != QL_STATUS_RUNNING || ql_stop_room(engine, mode))
		return 0;
	stopping->op->no_room = true;
	return ql_fail(&stopping->err, QL_E_LIMIT,
		"%zu stops are under way, and the most is %zu: ask again when some are over",
		engine->stops, most_stops(engine, mode));
}

/* Who asks again by himself leaves no row each time. */
static void
no_room(struct stopping *stopping, struct ql_live *live)
{
	if (stopping->op->in_bulk)
		finish_later(stopping);
	else
		refuse(stopping, live);
}

static void
decide(struct stopping *stopping, struct ql_live *live)
{
	struct ql_stop *op = stopping->op;
	struct ql_decision decision;
	struct feeding feeding = {
		.event = {.kind = QL_EVENT_CANCEL,
			.attempt = op->attempt,
			.mode = op->mode,
			.top = op->top,
			.cause = op->cause,
			.grace_ms = op->grace_ms},
		.actor = op->caller.actor,
		.reason = op->reason,
		.attempt = op->caller.attempt,
		.done = on_durable,
		.arg = stopping,
	};
	bool first = !live->record.state.cancel.requested_at;
	if (check_room(stopping, live)) {
		no_room(stopping, live);
		return;
	}
	op->verdict = ql_feed(live, &feeding, &decision);
	stopping->begins = first && op->verdict == QL_VERDICT_DONE;
	ql_str_copy(op->what, sizeof(op->what), decision.why);
	if (op->verdict == QL_VERDICT_JOINED || op->verdict == QL_VERDICT_ALREADY) {
		if (ql_feed_after(live, on_durable, stopping, &stopping->err))
			finish_later(stopping);
	} else if (!ql_verdict_makes_row(op->verdict)) {
		refusal_text(stopping, live, &decision);
		refuse(stopping, live);
	}
}

static void
on_resent(void *arg, struct ql_live *live, const struct ql_err *err)
{
	struct stopping *stopping = arg;
	if (!err) {
		decide(stopping, live);
		return;
	}
	stopping->err = *err;
	refuse(stopping, live);
}

static void
on_wanted(struct want *want, struct ql_live *live, const struct ql_err *err)
{
	struct stopping *stopping = QL_OWNER(want, struct stopping, want);
	struct ql_stop *op = stopping->op;
	if (err && adopts(stopping, err))
		return;
	if (err && err->code != QL_E_NOT_FOUND) {
		stopping->err = *err;
		refuse(stopping, NULL);
	} else if (err || !ql_live_owned(live, &op->caller)) {
		unknown(stopping);
	} else if (is_other_task(op, live)) {
		ql_fail(&stopping->err, QL_E_FENCED, "attempt %d of %s is the current one, not %s",
			live->record.state.attempt, stopping->eval_id, op->task_id);
		refuse(stopping, live);
	} else if (!ql_resent_may_be(live)) {
		decide(stopping, live);
	} else if (ql_resent_look(live, on_resent, stopping, &stopping->err)) {
		refuse(stopping, live);
	}
}

void
ql_engine_stop(struct ql_engine *engine, struct ql_stop *op)
{
	struct stopping *stopping = calloc(1, sizeof(*stopping));
	if (!stopping)
		abort(); /* not even a refusal can be queued */
	op->record = (struct ql_record){0};
	op->only_step = op->no_room = false;
	stopping->engine = engine;
	stopping->op = op;
	stopping->want.ready = on_wanted;
	ql_str_copy(stopping->eval_id, sizeof(stopping->eval_id), op->eval_id);
	if (!op->in_bulk && ql_engine_now(engine) > engine->stopped_alone_at)
		engine->stopped_alone_at = ql_engine_now(engine);
	ql_engine_op_begin(engine);
	if (ql_engine_check_open(engine, &stopping->err)) {
		finish_later(stopping);
		return;
	}
	stopping->adopting =
		op->caller.all && ql_adopt_join(engine, stopping->eval_id, &stopping->want);
	if (!stopping->adopting)
		ql_live_want(engine, stopping->eval_id, &stopping->want);
}

void
ql_stop_done(struct ql_stop *op)
{
	ql_record_done(&op->record);
}
