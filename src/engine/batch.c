/*
 * Group commit: at most one is in flight; what is decided meanwhile gathers in the next. Acts and
 * answers are released after it. If it fails, every evaluation in it and in the gathering batch
 * goes back to what the store has, requests are refused, sightings are kept and fed again.
 */
#include "engine/private.h"

#include <assert.h>
#include <stdlib.h>

bool
ql_batch_full(const struct ql_engine *engine, size_t more)
{
	size_t count = engine->gathering ? engine->gathering->count : 0;
	return count + more > QL_ENGINE_GATHER_MAX;
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

struct decided *
ql_batch_add(struct ql_engine *engine, struct ql_change *changes)
{
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
	if (changes)
		append_changes(batch, decided, changes);
	ql_turn_soon(engine);
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
		&record->actor, &record->reason};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		free(*texts[i]);
		*texts[i] = NULL;
	}
}

static void
count_queue(struct ql_engine *engine, const struct ql_state *was, const struct ql_state *is)
{
	bool existed = was->attempt != 0;
	engine->queued +=
		(is->status == QL_STATUS_QUEUED) - (existed && was->status == QL_STATUS_QUEUED);
	engine->waiting += ql_state_waiting(is) - (existed && ql_state_waiting(was));
}

static void
notify(struct ql_engine *engine, const struct ql_record *record, bool stopping)
{
	struct ql_subscriber *sub, *next;
	DL_FOREACH_SAFE (engine->subscribers, sub, next)
		sub->changed(sub, record, stopping);
	ql_watch_changed(engine, record);
}

static void
apply_to_live(struct ql_live *live, struct ql_change *change, bool stopping)
{
	struct ql_record *record = &change->record;
	if (record->state.attempt != live->durable.attempt)
		clear_texts(&live->record);
	take_text(&live->record.error, &record->error);
	take_text(&live->record.worker, &record->worker);
	take_text(&live->record.runtime, &record->runtime);
	take_text(&live->record.container, &record->container);
	take_text(&live->record.actor, &record->actor);
	take_text(&live->record.reason, &record->reason);
	count_queue(live->engine, &live->durable, &record->state);
	live->durable = record->state;
	struct ql_record shown = live->record;
	shown.state = live->durable;
	notify(live->engine, &shown, stopping);
}

static void
decided_free(struct decided *decided)
{
	struct ql_sighting *sighting = decided->sighting;
	if (sighting) {
		free((char *)sighting->text);
		free((char *)sighting->container);
		free(sighting);
	}
	free(decided);
}

static void
unhold(struct ql_live *live)
{
	live->uncommitted--;
	ql_live_refresh(live);
	if (live->wants)
		ql_live_reload(live);
	ql_live_release(live);
}

static void
release(struct ql_engine *engine, struct decided *decided)
{
	struct ql_live *live = decided->live;
	struct ql_change *change = decided->changes;
	for (size_t i = 0; i < decided->change_count; i++, change = change->next) {
		if (live && change->kind == QL_CHANGE_STATE) {
			apply_to_live(live, change, decided->stopping);
		} else if (change->kind == QL_CHANGE_NEW) {
			count_queue(engine, &(struct ql_state){0}, &change->record.state);
			notify(engine, &change->record, false);
		}
	}
	for (int i = 0; i < decided->act_count; i++)
		ql_act(live, &decided->acts[i]);
	if (decided->done)
		decided->done(decided, NULL);
	if (live)
		unhold(live);
}

static void
take_back(struct ql_engine *engine, struct decided *decided, const struct ql_err *err)
{
	struct ql_live *live = decided->live;
	if (live && decided->changes) {
		live->record.state = live->durable;
		live->stale = true;
	}
	if (decided->sighting && engine->kept_count < QL_ENGINE_KEPT_MAX) {
		struct kept *kept = calloc(1, sizeof(*kept));
		if (kept) {
			kept->sighting = *decided->sighting;
			free(decided->sighting);
			decided->sighting = NULL;
			LL_APPEND(engine->kept, kept);
			engine->kept_count++;
		}
	}
	if (decided->done)
		decided->done(decided, err);
	if (live)
		unhold(live);
}

/* err NULL: it is durable. */
static void
batch_end(struct ql_engine *engine, struct batch *batch, const struct ql_err *err)
{
	struct decided *decided = batch->first;
	while (decided) {
		struct decided *next = decided->next;
		if (err)
			take_back(engine, decided, err);
		else
			release(engine, decided);
		decided_free(decided);
		decided = next;
	}
	ql_changes_free(batch->op.changes);
	free(batch);
}

static void
on_retry(struct wake *wake)
{
	struct ql_engine *engine =
		(struct ql_engine *)((char *)wake - offsetof(struct ql_engine, retry));
	struct kept *kept = engine->kept;
	engine->kept = NULL;
	engine->kept_count = 0;
	while (kept) {
		struct kept *next = kept->next;
		ql_sighted(engine, &kept->sighting);
		free((char *)kept->sighting.text);
		free((char *)kept->sighting.container);
		free(kept);
		kept = next;
	}
	struct ql_live *live, *next_live;
	HASH_ITER (hh, engine->lives, live, next_live) {
		if (live->stale)
			ql_live_reload(live);
	}
	engine->claim_again = true;
	ql_claim(engine);
}

/* Reads again what is stale, feeds again what was kept, and lets claims probe the store. */
void
ql_batch_retry(struct ql_engine *engine, int64_t in_ms)
{
	engine->retry.fn = on_retry;
	ql_wake_set(engine, &engine->retry, ql_engine_now(engine) + in_ms);
}

static void
commit_failed(struct ql_engine *engine, struct batch *batch, const struct ql_err *err)
{
	if (engine->store_ok)
		ql_engine_log(engine, "store: %s: requests are refused until a commit succeeds",
			err->text);
	engine->store_ok = false;
	engine->store_err = *err;
	struct batch *gathered = engine->gathering;
	engine->gathering = NULL;
	batch_end(engine, batch, err);
	if (gathered)
		batch_end(engine, gathered, err);
	ql_batch_retry(engine, QL_ENGINE_RETRY_MS);
}

static void
commit_done(struct ql_engine *engine, struct batch *batch)
{
	if (!engine->store_ok)
		ql_engine_log(engine, "store: commits again");
	engine->store_ok = true;
	batch_end(engine, batch, NULL);
	ql_claim(engine);
}

static void
on_commit(struct ql_store_commit *op, int status)
{
	struct batch *batch = (struct batch *)((char *)op - offsetof(struct batch, op));
	struct ql_engine *engine = batch->engine;
	assert(engine->in_flight == batch);
	engine->in_flight = NULL;
	if (status) {
		struct ql_err err = op->err;
		commit_failed(engine, batch, &err);
	} else {
		commit_done(engine, batch);
	}
	if (engine->gathering)
		ql_turn_soon(engine);
	ql_engine_op_end(engine);
}

void
ql_batch_flush(struct ql_engine *engine)
{
	struct batch *batch = engine->gathering;
	if (!batch || engine->in_flight)
		return;
	engine->gathering = NULL;
	if (!batch->op.changes) {
		batch_end(engine, batch, NULL);
		return;
	}
	engine->in_flight = batch;
	batch->op.done = on_commit;
	ql_engine_op_begin(engine);
	engine->config.store->ops->commit(engine->config.store, &batch->op);
}
