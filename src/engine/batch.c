/*
 * Group commit: at most one is in flight; what is decided meanwhile gathers in the next. Acts and
 * answers are released after it. If it fails, every evaluation in it and in the gathering batch
 * goes back to what the store has, requests are refused, sightings are kept and fed again.
 *
 * A commit costs the same for one change as for many. So what nobody waits for begins none: it goes with
 * the next one that is begun, or by itself after a moment.
 *
 * What the store has is not what was durable before: a commit can be answered as failed and have
 * become durable all the same. So each of them is stale until it was read again.
 */
#include "engine/private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"

bool
ql_batch_full(const struct ql_engine *engine, size_t more)
{
	size_t count = engine->gathering ? engine->gathering->count : 0;
	return count + more > QL_ENGINE_GATHER_MAX;
}

void
ql_batch_hasten(struct ql_engine *engine)
{
	if (engine->gathering)
		engine->gathering->soon = true;
	ql_turn_soon(engine);
}

static bool
gathers(const struct ql_engine *engine)
{
	return engine->gathering && engine->gathering->op.changes;
}

bool
ql_batch_under_way(struct ql_engine *engine)
{
	if (!gathers(engine))
		return engine->in_flight;
	ql_batch_hasten(engine);
	return true;
}

static struct batch *
batch_new(struct ql_engine *engine)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	if (batch)
		batch->engine = engine;
	return batch;
}

static void
append_changes(struct batch *batch, struct decided *decided, struct ql_change *changes)
{
	decided->changes = changes;
	if (batch->last_change)
		batch->last_change->next = changes;
	else
		batch->op.changes = changes;
	for (struct ql_change *change = changes; change; change = change->next) {
		decided->change_count++;
		batch->count++;
		batch->last_change = change;
	}
}

static struct decided *
add(struct ql_engine *engine, struct ql_change *changes, bool soon)
{
	ql_turn_soon(engine);
	if (!engine->gathering)
		engine->gathering = batch_new(engine);
	struct batch *batch = engine->gathering;
	struct decided *decided = batch ? calloc(1, sizeof(*decided)) : NULL;
	if (!decided)
		return NULL;
	if (batch->last)
		batch->last->next = decided;
	else
		batch->first = decided;
	batch->last = decided;
	batch->soon |= soon;
	if (changes)
		append_changes(batch, decided, changes);
	return decided;
}

struct decided *
ql_batch_add(struct ql_engine *engine, struct ql_change *changes)
{
	return add(engine, changes, true);
}

struct decided *
ql_batch_add_to(struct ql_live *live, struct ql_change *changes, bool soon)
{
	struct decided *decided = add(live->engine, changes, soon);
	if (!decided)
		return NULL;
	decided->live = live;
	live->pins++;
	live->uncommitted++;
	return decided;
}

static void
take_text(char **text, char **change)
{
	if (!*change)
		return;
	free(*text);
	*text = *change;
	*change = NULL;
}

/* The texts of an attempt go with it. */
static void
clear_texts(struct ql_record *record)
{
	char **texts[] = {&record->error, &record->worker, &record->runtime, &record->container,
		&record->container_runtime, &record->container_name, &record->container_image,
		&record->actor, &record->reason};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		free(*texts[i]);
		*texts[i] = NULL;
	}
}

static void
count_queue(struct ql_engine *engine, const struct ql_state *was, const struct ql_state *is)
{
	engine->queued += is->status == QL_STATUS_QUEUED;
	engine->queued -= was && was->status == QL_STATUS_QUEUED;
	if (!ql_state_waiting(is) || (was && ql_state_waiting(was)))
		return;
	engine->may_wait = true;
	ql_overdue_at(engine, is->queue_until);
}

/* What only the ladder works with is nobody else's business. */
static bool
looks_the_same(const struct ql_state *was, const struct ql_state *is)
{
	struct ql_state shown = *was;
	shown.epoch = is->epoch;
	shown.tries = is->tries;
	shown.retry_at = is->retry_at;
	shown.salvage_until = is->salvage_until;
	memcpy(shown.runs, is->runs, sizeof(shown.runs));
	return !memcmp(&shown, is, sizeof(shown));
}

bool
ql_batch_is_quiet(const struct ql_state *was, const struct ql_decision *decision)
{
	const struct ql_state *is = &decision->next;
	return !decision->act_count && looks_the_same(was, is) &&
	       ql_state_slots(was) == ql_state_slots(is);
}

static void
tell(struct ql_engine *engine, const struct ql_record *record, bool stopping)
{
	struct ql_subscriber *sub, *next;
	DL_FOREACH_SAFE (engine->subscribers, sub, next)
		sub->changed(sub, record, stopping);
	ql_watch_changed(engine, record);
}

void
ql_batch_changed(struct ql_engine *engine, const struct ql_state *was,
	const struct ql_record *record, bool stopping, uint32_t outlets)
{
	count_queue(engine, was, &record->state);
	ql_tally_changed(engine, was, record);
	ql_outbox_posted(engine, outlets);
	if (!was || !looks_the_same(was, &record->state))
		tell(engine, record, stopping);
}

static void
apply_state(struct ql_live *live, struct ql_change *change, const struct decided *decided)
{
	struct ql_record *record = &change->record;
	struct ql_state was = live->durable;
	bool boxed = record->container_name != NULL;
	if (record->state.attempt != was.attempt)
		clear_texts(&live->record);
	take_text(&live->record.error, &record->error);
	take_text(&live->record.worker, &record->worker);
	take_text(&live->record.runtime, &record->runtime);
	take_text(&live->record.container, &record->container);
	take_text(&live->record.container_runtime, &record->container_runtime);
	take_text(&live->record.container_name, &record->container_name);
	take_text(&live->record.container_image, &record->container_image);
	take_text(&live->record.actor, &record->actor);
	take_text(&live->record.reason, &record->reason);
	live->durable = record->state;
	ql_tomb_follow(live);
	struct ql_record shown = live->record;
	shown.state = live->durable;
	ql_batch_changed(live->engine, &was, &shown, decided->stopping, change->outlets);
	if (boxed && looks_the_same(&was, &shown.state))
		tell(live->engine, &shown, decided->stopping);
	ql_tally_gone(live->engine, &was, &shown, decided->sighting);
}

static void
apply(struct ql_engine *engine, const struct decided *decided, struct ql_change *change)
{
	struct ql_live *live = decided->live;
	switch (change->kind) {
	case QL_CHANGE_NEW:
		ql_batch_changed(engine, NULL, &change->record, false, change->outlets);
		break;
	case QL_CHANGE_STATE:
		apply_state(live, change, decided);
		break;
	case QL_CHANGE_FORGET:
		live->gone = true;
		ql_forget_kept(engine, live->record.eval_id, live->durable.attempt);
		break;
	case QL_CHANGE_DISOWN:
		live->gone = true;
		ql_tomb_follow(live);
		ql_watch_gone(engine, live->record.eval_id);
		break;
	case QL_CHANGE_DROP_OBJECT:
		ql_places_dropped(engine, change);
		break;
	case QL_CHANGE_REFUSAL:
	case QL_CHANGE_REPLAY:
	case QL_CHANGE_REPORT:
	case QL_CHANGE_DELIVERED:
	case QL_CHANGE_PUT_OBJECT:
	case QL_CHANGE_AUDIT:
	case QL_CHANGE_AUDIT_TRIM:
		break;
	}
}

static void
decided_end(struct decided *decided, const struct ql_err *err)
{
	struct ql_live *live = decided->live;
	if (decided->attempt && !err)
		decided->attempt->written = true;
	if (decided->done)
		decided->done(decided, err);
	ql_sighting_free(decided->sighting);
	free(decided);
	if (!live)
		return;
	live->uncommitted--;
	ql_live_refresh(live);
	if (live->wants)
		ql_live_reload(live);
	ql_live_wake_rests(live);
	ql_live_release(live);
}

static void
release(struct ql_engine *engine, struct decided *decided)
{
	struct ql_change *change = decided->changes;
	for (size_t i = 0; i < decided->change_count; i++, change = change->next)
		apply(engine, decided, change);
	/* by the same commit it may be nobody's: whoever sends that task from now on can */
	bool disowned = decided->live && decided->live->stale;
	for (int i = 0; i < decided->act_count && !disowned; i++)
		ql_act(decided->live, &decided->acts[i]);
	decided_end(decided, NULL);
}

/* err NULL: it is durable. */
static void
batch_end(struct ql_engine *engine, struct batch *batch, const struct ql_err *err)
{
	struct decided *decided = batch->first;
	while (decided) {
		struct decided *next = decided->next;
		if (err)
			decided_end(decided, err);
		else
			release(engine, decided);
		decided = next;
	}
	ql_changes_free(batch->op.changes);
	free(batch);
}

/* ---- a commit that failed ---- */

static bool
decides(const struct decided *decided)
{
	const struct ql_change *change = decided->changes;
	return decided->live && change &&
	       (change->kind == QL_CHANGE_NEW || change->kind == QL_CHANGE_STATE ||
		       change->kind == QL_CHANGE_FORGET || change->kind == QL_CHANGE_DISOWN);
}

/* Of the whole batch before any answer goes out: an answer may bring the next request. */
static void
take_back(struct batch *batch)
{
	for (struct decided *decided = batch->first; decided; decided = decided->next) {
		if (!decides(decided))
			continue;
		decided->live->stale = true;
		decided->spell.owner = decided->live->record.owner;
		if (decided->spell.cpu_us)
			ql_spending_take_back(batch->engine, &decided->spell);
		ql_sighting_keep(decided->live, decided->sighting);
		decided->sighting = NULL;
	}
}

/* Runs that can't be stopped as that can't be recorded go on; the next start takes them up. */
static void
give_up_stopping(struct ql_engine *engine)
{
	int64_t failing_ms = ql_engine_now(engine) - engine->failing_since;
	if (engine->store_ok || !engine->closing || failing_ms < QL_ENGINE_GIVE_UP_MS)
		return;
	if (engine->stop_runs)
		ql_engine_log(engine, "the store failed for %d s: runs go on without being stopped",
			QL_ENGINE_GIVE_UP_MS / 1000);
	engine->stop_runs = false;
	ql_turn_soon(engine);
}

/* Nobody may ask for anything while the server is not ready, so it must find out by itself. */
static void
probe(struct ql_engine *engine)
{
	if (engine->store_ok || ql_batch_under_way(engine) || !ql_batch_add(engine, NULL))
		return;
	engine->gathering->probe = true;
}

static void
on_retry(struct wake *wake)
{
	struct ql_engine *engine = QL_OWNER(wake, struct ql_engine, retry);
	struct ql_live *live, *next;
	HASH_ITER (hh, engine->lives, live, next) {
		if (live->stale)
			ql_live_reload(live);
	}
	give_up_stopping(engine);
	probe(engine);
	ql_claim(engine);
}

void
ql_batch_retry(struct ql_engine *engine, int64_t in_ms)
{
	engine->retry.fn = on_retry;
	if (!engine->retry.node.slot)
		ql_wake_set(engine, &engine->retry, ql_engine_now(engine) + in_ms);
}

static void
commit_failed(struct ql_engine *engine, struct batch *batch, const struct ql_err *err)
{
	if (engine->store_ok) {
		engine->failing_since = ql_engine_now(engine);
		ql_engine_log(engine, "store: %s: requests are refused until a commit succeeds",
			err->text);
	}
	engine->store_ok = false;
	engine->store_err = *err;
	engine->may_wait = true;
	struct batch *gathered = engine->gathering;
	engine->gathering = NULL;
	take_back(batch);
	if (gathered)
		take_back(gathered);
	batch_end(engine, batch, err);
	if (gathered)
		batch_end(engine, gathered, err);
	ql_bulk_items_wait(engine);
	ql_batch_retry(engine, QL_ENGINE_RETRY_MS);
	ql_outbox_doubt(engine);
}

static void
commit_done(struct ql_engine *engine, struct batch *batch)
{
	bool again = !engine->store_ok;
	if (again)
		ql_engine_log(engine, "store: commits again");
	engine->store_ok = true;
	if (gathers(engine)) /* the store goes on while the answers go out */
		ql_batch_flush(engine);
	ql_bulk_items_wait(engine);
	batch_end(engine, batch, NULL);
	if (again || engine->overdue_more)
		ql_overdue_at(engine, ql_engine_now(engine));
	ql_claim(engine);
}

static void
on_commit(struct ql_store_commit *op, int status)
{
	struct batch *batch = QL_OWNER(op, struct batch, op);
	struct ql_engine *engine = batch->engine;
	assert(engine->in_flight == batch);
	engine->in_flight = NULL;
	ql_tally_commit(engine, batch, status);
	if (status) {
		struct ql_err err = op->err;
		commit_failed(engine, batch, &err);
	} else {
		commit_done(engine, batch);
	}
	ql_turn_soon(engine);
	ql_engine_op_end(engine);
}

static void
on_quiet(struct wake *wake)
{
	ql_batch_hasten(QL_OWNER(wake, struct ql_engine, quiet));
}

static void
wait_for_others(struct ql_engine *engine)
{
	engine->quiet.fn = on_quiet;
	if (!engine->quiet.node.slot)
		ql_wake_set(engine, &engine->quiet, ql_engine_now(engine) + QL_ENGINE_QUIET_MS);
}

void
ql_batch_flush(struct ql_engine *engine)
{
	struct batch *batch = engine->gathering;
	if (!batch || engine->in_flight)
		return;
	if (!batch->soon && !engine->closing) {
		wait_for_others(engine);
		return;
	}
	ql_wake_clear(engine, &engine->quiet);
	if (batch->op.changes)
		ql_bulk_items_go(engine);
	engine->gathering = NULL;
	if (!batch->op.changes && !batch->probe) {
		batch_end(engine, batch, NULL);
		return;
	}
	engine->in_flight = batch;
	batch->op.done = on_commit;
	batch->begun_ns = uv_hrtime();
	ql_engine_op_begin(engine);
	engine->config.store->ops->commit(engine->config.store, &batch->op);
}
