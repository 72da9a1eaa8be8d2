/*
 * One item of a batch: asked for like a stop or restore that came alone, and what was said of it. Beside
 * those who ask alone it is brought into memory first, and waits there for a commit that has room for it:
 * one that others want, or one of its own when nobody wanted any for a moment.
 */
#include "engine/bulk/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"

struct bulk_item {
	struct bulk_item *prev, *next;
	struct want want;
	struct ql_live *live; /* pinned */
	struct bulk_part *part;
	size_t at;
	bool looked_for;
	bool waited; /* for the stop that is to be taken back */
	union {
		struct ql_stop stop;
		struct ql_revise revise;
		struct ql_wait wait;
	};
};

static enum ql_said
what_was_said(const struct bulk_item *item, int status)
{
	const struct ql_stop *stop = &item->stop;
	if (!status && stop->verdict == QL_VERDICT_ALREADY)
		return QL_SAID_ALREADY;
	if (!status && stop->verdict == QL_VERDICT_JOINED)
		return QL_SAID_JOINED;
	if (!status)
		return stop->record.state.cancel.outcome == QL_OUTCOME_REMOVED ? QL_SAID_REMOVED
									       : QL_SAID_STOPPING;
	if (stop->err.code == QL_E_NOT_FOUND)
		return QL_SAID_UNKNOWN;
	return stop->err.code == QL_E_FINISHED ? QL_SAID_FINISHED : QL_SAID_REFUSED;
}

/* The one that asked for it may be this batch, before a crash. */
static enum ql_said
as_ours(const struct bulk *bulk, const struct bulk_item *item, enum ql_said said)
{
	const struct ql_record *record = &item->stop.record;
	const struct ql_cancel *cancel = &record->state.cancel;
	bool ours = cancel->requested_at >= bulk->head.started_at && record->actor &&
		    !strcmp(record->actor, bulk->head.actor);
	if (said == QL_SAID_ALREADY && ours && cancel->outcome == QL_OUTCOME_REMOVED)
		return QL_SAID_REMOVED;
	if ((said == QL_SAID_ALREADY || said == QL_SAID_JOINED) && ours)
		return QL_SAID_STOPPING;
	return said;
}

static bool
is_trouble(const struct ql_err *err)
{
	return err->code == QL_E_UNAVAILABLE || err->code == QL_E_DISK_FULL ||
	       err->code == QL_E_TIMEOUT;
}

static void
answer(struct bulk_item *item, enum ql_said said, const struct ql_err *err, bool waits)
{
	struct bulk_part *part = item->part;
	struct bulk *bulk = part->bulk;
	part->asked[item->at] = false;
	part->under_way--;
	bulk->under_way--;
	bulk->looked_for -= item->looked_for;
	if (err && is_trouble(err)) {
		ql_bulk_rest(bulk);
	} else if (waits) {
		part->put_off++;
		bulk->put_off = true;
	} else {
		part->changed = true;
		ql_bulk_chunk_say(&part->chunk, item->at, said);
		bulk->head.said[QL_SAID_UNASKED]--;
		bulk->head.said[said]++;
	}
	free(item);
	ql_bulk_work(bulk);
}

/* Others are asked for meanwhile: a look at very many at once costs what one does. */
static void
on_looking(struct ql_stop *stop)
{
	struct bulk_item *item = QL_OWNER(stop, struct bulk_item, stop);
	item->looked_for = true;
	item->part->bulk->looked_for++;
	ql_bulk_work(item->part->bulk);
}

/* The server ends before anybody said that he knows of it: the next one looks. */
static bool
is_open(const struct bulk_item *item, enum ql_said said)
{
	const struct ql_state *state = &item->stop.record.state;
	return said == QL_SAID_STOPPING && state->adopted && !state->seen &&
	       item->part->bulk->engine->stopping;
}

static void
on_stopped(struct ql_stop *stop, int status)
{
	struct bulk_item *item = QL_OWNER(stop, struct bulk_item, stop);
	struct ql_err err = stop->err;
	enum ql_said said = as_ours(item->part->bulk, item, what_was_said(item, status));
	bool waits = status ? stop->no_room : is_open(item, said);
	ql_stop_done(stop);
	answer(item, said, status ? &err : NULL, waits);
}

/* ---- taken back ---- */

static void ask(struct bulk_item *item);

static enum ql_said
why_not_restored(const struct ql_revise *revise)
{
	const struct ql_state *state = &revise->record.state;
	bool began = state->cancel.outcome != QL_OUTCOME_REMOVED &&
		     state->cancel.outcome != QL_OUTCOME_DISCARDED;
	if (revise->err.code == QL_E_NOT_FOUND)
		return QL_SAID_UNKNOWN;
	if (revise->unkept)
		return QL_SAID_LOST;
	if (state->status == QL_STATUS_CANCELLED && began)
		return QL_SAID_BEGUN;
	return ql_state_stopping(state) ? QL_SAID_STOPPING : QL_SAID_REFUSED;
}

static void
on_stop_over(struct ql_wait *wait)
{
	struct bulk_item *item = QL_OWNER(wait, struct bulk_item, wait);
	if (item->part->bulk->engine->stopping)
		answer(item, QL_SAID_UNASKED, NULL, true);
	else
		ask(item);
}

/* The batch asked for its stop, which is under way beside a broker: only what came of it can be taken back. */
static void
wait_for_stop(struct bulk_item *item)
{
	struct bulk *bulk = item->part->bulk;
	item->waited = item->looked_for = true;
	bulk->looked_for++;
	item->wait = (struct ql_wait){.eval_id = item->part->chunk.ids[item->at],
		.wait_ms = QL_BULK_STOPS_MS,
		.done = on_stop_over};
	ql_engine_wait(bulk->engine, &item->wait);
	ql_bulk_work(bulk);
}

static void
on_restored(struct ql_revise *revise, int status)
{
	struct bulk_item *item = QL_OWNER(revise, struct bulk_item, revise);
	struct ql_err err = revise->err;
	enum ql_said said = status ? why_not_restored(revise) : QL_SAID_RESTORED;
	ql_revise_done(revise);
	if (said == QL_SAID_STOPPING && !item->waited && !is_trouble(&err))
		wait_for_stop(item);
	else
		answer(item, said, status ? &err : NULL, false);
}

/* ---- asked for ---- */

static void
ask(struct bulk_item *item)
{
	struct bulk *bulk = item->part->bulk;
	const struct ql_bulk *head = &bulk->head;
	const char *eval_id = item->part->chunk.ids[item->at];
	struct ql_caller caller = {.actor = head->actor, .owner = head->owner, .all = head->all};
	if (head->undoes[0]) {
		item->revise = (struct ql_revise){.caller = caller,
			.eval_id = eval_id,
			.kind = QL_REVISE_RESTORE,
			.since = head->started_at,
			.done = on_restored};
		ql_engine_revise(bulk->engine, &item->revise);
		return;
	}
	item->stop = (struct ql_stop){.caller = caller,
		.eval_id = eval_id,
		.in_bulk = true,
		.mode = head->mode,
		.top = head->top,
		.cause = QL_CAUSE_USER,
		.grace_ms = head->grace_ms,
		.reason = head->reason,
		.looking = on_looking,
		.done = on_stopped};
	ql_engine_stop(bulk->engine, &item->stop);
}

/* ---- beside those who ask alone ---- */

static bool
is_beside(const struct ql_engine *engine)
{
	return ql_engine_now(engine) - engine->stopped_alone_at < QL_BULK_BESIDE_MS;
}

static void
on_loaded(struct want *want, struct ql_live *live, const struct ql_err *err)
{
	struct bulk_item *item = QL_OWNER(want, struct bulk_item, want);
	struct ql_engine *engine = item->part->bulk->engine;
	if (err || !is_beside(engine)) {
		ask(item); /* what is wrong with it, is said to that */
		return;
	}
	item->live = live;
	live->pins++;
	ql_engine_op_begin(engine);
	DL_APPEND(engine->bulk_held, item);
	if (!engine->bulk_pause.node.slot)
		ql_bulk_items_wait(engine);
}

static void
on_pause(struct wake *wake)
{
	struct ql_engine *engine = QL_OWNER(wake, struct ql_engine, bulk_pause);
	if (engine->in_flight)
		return; /* its end begins another */
	ql_bulk_items_go(engine);
	ql_bulk_items_wait(engine);
}

void
ql_bulk_items_wait(struct ql_engine *engine)
{
	engine->bulk_pause.fn = on_pause;
	if (engine->bulk_held)
		ql_wake_set(engine, &engine->bulk_pause, ql_engine_now(engine) + QL_BULK_PAUSE_MS);
}

void
ql_bulk_items_go(struct ql_engine *engine)
{
	struct bulk_item *item;
	int riders = engine->gathering ? engine->gathering->riders : 0;
	for (; (item = engine->bulk_held) && riders < QL_BULK_BURST; riders++) {
		struct ql_live *live = item->live;
		DL_DELETE(engine->bulk_held, item);
		ask(item);
		ql_live_release(live);
		ql_engine_op_end(engine);
	}
	if (engine->gathering)
		engine->gathering->riders = riders;
}

void
ql_bulk_item_ask(struct bulk_part *part, size_t at)
{
	struct bulk *bulk = part->bulk;
	struct ql_engine *engine = bulk->engine;
	struct bulk_item *item = calloc(1, sizeof(*item));
	if (!item) {
		ql_bulk_rest(bulk);
		return;
	}
	item->part = part;
	item->at = at;
	part->asked[at] = true;
	part->under_way++;
	bulk->under_way++;
	item->want.ready = on_loaded;
	if (is_beside(engine))
		ql_live_want(engine, part->chunk.ids[at], &item->want);
	else
		ask(item);
}
