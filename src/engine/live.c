#include "engine/private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"

static void
on_wake(struct wake *wake)
{
	struct ql_live *live = QL_OWNER(wake, struct ql_live, wake);
	assert(live->magic == LIVE_MAGIC);
	ql_feed_time(live);
}

struct ql_live *
ql_live_find(struct ql_engine *engine, const char *eval_id)
{
	struct ql_live *live;
	HASH_FIND(hh, engine->lives, eval_id, strlen(eval_id), live);
	return live;
}

struct ql_live *
ql_live_of_run(struct ql_engine *engine, uint64_t incarnation)
{
	struct run_ref *ref;
	HASH_FIND(hh, engine->runs, &incarnation, sizeof(incarnation), ref);
	return ref ? ref->live : NULL;
}

static struct ql_live *
live_new(struct ql_engine *engine, const char *eval_id)
{
	struct ql_live *live = calloc(1, sizeof(*live));
	if (!live)
		return NULL;
	live->magic = LIVE_MAGIC;
	live->engine = engine;
	live->wake.fn = on_wake;
	if (ql_recall_has(engine, eval_id))
		live->tomb = QL_TOMB_LIES;
	ql_str_copy(live->record.eval_id, sizeof(live->record.eval_id), eval_id);
	HASH_ADD(hh, engine->lives, record.eval_id, strlen(live->record.eval_id), live);
	return live;
}

static void
unref_run(struct ql_engine *engine, struct run_ref *ref)
{
	if (!ref->incarnation)
		return;
	HASH_DEL(engine->runs, ref);
	ref->incarnation = 0;
}

static void
ref_runs(struct ql_live *live)
{
	struct ql_engine *engine = live->engine;
	for (int i = 0; i < QL_RUNS; i++) {
		struct run_ref *ref = &live->refs[i];
		uint64_t incarnation = live->record.state.runs[i].incarnation;
		if (ref->incarnation == incarnation)
			continue;
		unref_run(engine, ref);
		ref->incarnation = incarnation;
		ref->live = live;
		if (incarnation)
			HASH_ADD(hh, engine->runs, incarnation, sizeof(ref->incarnation), ref);
	}
}

static bool
uses_slot(const struct ql_state *state, int32_t slot)
{
	for (int i = 0; i < QL_RUNS; i++) {
		if (state->runs[i].slot == slot && state->runs[i].incarnation &&
			ql_phase_takes_slot((enum ql_phase)state->runs[i].phase))
			return true;
	}
	return false;
}

/*
 * A slot is taken from its decision on, and free only when its evidence is durable. So it stays
 * taken when the commit of either fails, until it was read what became of it.
 */
static void
refresh_slots(struct ql_live *live)
{
	struct ql_engine *engine = live->engine;
	for (int32_t slot = 0; slot < engine->config.workers; slot++) {
		bool used = uses_slot(&live->record.state, slot) || uses_slot(&live->durable, slot);
		if (used && !engine->slots[slot]) {
			engine->slots[slot] = live;
			engine->slots_used++;
		} else if (!used && engine->slots[slot] == live) {
			engine->slots[slot] = NULL;
			engine->slots_used--;
			ql_claim(engine);
		}
	}
}

static void
count_stop(struct ql_live *live, bool stopping)
{
	bool ended = live->stopping && !stopping;
	live->engine->stops += stopping;
	live->engine->stops -= live->stopping;
	live->stopping = stopping;
	if (ended)
		ql_bulks_room(live->engine);
}

void
ql_live_refresh(struct ql_live *live)
{
	ref_runs(live);
	refresh_slots(live);
	count_stop(live, live->record.state.status == QL_STATUS_CANCELLING);
	ql_wake_set(live->engine, &live->wake,
		ql_state_live(&live->record.state) ? ql_state_wake(&live->record.state) : 0);
}

void
ql_live_free(struct ql_live *live)
{
	struct ql_engine *engine = live->engine;
	for (int i = 0; i < QL_RUNS; i++)
		unref_run(engine, &live->refs[i]);
	count_stop(live, false);
	ql_wake_clear(engine, &live->wake);
	HASH_DEL(engine->lives, live);
	ql_kept_free(live);
	free(live->exit_text);
	ql_record_done(&live->record);
	live->magic = 0;
	free(live);
}

static bool
droppable(const struct ql_live *live)
{
	if (live->pins || live->uncommitted || live->loading || live->wants)
		return false;
	return live->gone || (!live->stale && !ql_state_live(&live->durable));
}

bool
ql_live_ready(const struct ql_live *live)
{
	return live->loaded && !live->loading && !live->stale;
}

bool
ql_live_ends(const struct ql_live *live)
{
	const struct ql_state *state = &live->record.state;
	return ql_status_settled((enum ql_status)state->status) &&
	       (ql_state_live(state) || live->uncommitted);
}

/* ready is called when it rests; the evaluation stays in memory until then. */
void
ql_live_rest(struct ql_live *live, struct want *want)
{
	live->pins++;
	DL_APPEND(live->rests, want);
	ql_batch_hasten(live->engine);
}

void
ql_live_unrest(struct ql_live *live, struct want *want)
{
	DL_DELETE(live->rests, want);
	ql_live_release(live);
}

/* One of them may begin the next attempt: the others then wait for that one's end. */
void
ql_live_wake_rests(struct ql_live *live)
{
	while (live->rests && (live->gone || (!live->uncommitted && ql_live_ready(live) &&
						     !ql_live_ends(live)))) {
		struct want *want = live->rests;
		struct ql_err err;
		if (live->gone)
			ql_fail(&err, QL_E_NOT_FOUND, "there is no evaluation %s",
				live->record.eval_id);
		DL_DELETE(live->rests, want);
		want->ready(want, live->gone ? NULL : live, live->gone ? &err : NULL);
		ql_live_release(live);
	}
}

void
ql_live_release(struct ql_live *live)
{
	assert(live->magic == LIVE_MAGIC && live->pins > 0);
	live->pins--;
	if (droppable(live))
		ql_live_free(live);
}

/* The payload is read again for a start: it may be megabytes. */
static void
take_record(struct ql_live *live, struct ql_record *record)
{
	ql_record_done(&live->record);
	live->record = *record;
	*record = (struct ql_record){0};
	free(live->record.payload);
	live->record.payload = NULL;
	live->durable = live->record.state;
	live->loaded = true;
	live->stale = false;
	ql_live_refresh(live);
}

struct ql_live *
ql_live_adopt(struct ql_engine *engine, struct ql_record *record)
{
	struct ql_live *live = live_new(engine, record->eval_id);
	if (live)
		take_record(live, record);
	return live;
}

bool
ql_live_owned(const struct ql_live *live, const struct ql_caller *caller)
{
	const char *owner = live->record.owner;
	return caller->all || (owner && caller->owner && !strcmp(owner, caller->owner));
}

/*
 * Hands the loaded evaluation, or the reason why there is none, to all who wait for it; to those
 * behind one who forgets it, what comes of that.
 */
static void
hand_out(struct ql_live *live, const struct ql_err *err)
{
	while (live->wants && (err || ql_live_ready(live))) {
		struct want *want = live->wants;
		DL_DELETE(live->wants, want);
		want->ready(want, err ? NULL : live, err);
	}
	ql_live_wake_rests(live);
}

/* A failed commit that became durable all the same is news, and its acts were never performed. */
static void
take_reloaded(struct ql_live *live, struct ql_record *record)
{
	struct ql_state was = live->durable;
	bool known = live->loaded;
	take_record(live, record);
	bool news = known && memcmp(&was, &live->durable, sizeof(was)) != 0;
	if (news)
		ql_batch_changed(live->engine, &was, &live->record,
			live->durable.cancel.requested_at != 0,
			ql_outbox_whom(live->engine, &live->record, &was, &live->durable));
	ql_kept_feed(live);
	if (news)
		ql_take_up(live);
	ql_engine_end_runs(live);
}

void
ql_live_loaded(struct ql_live *live, struct ql_record *record, const struct ql_err *err)
{
	struct ql_engine *engine = live->engine;
	struct ql_err none;
	live->pins++;
	live->loading = false;
	if (err && live->stale)
		ql_batch_retry(engine, QL_ENGINE_RETRY_MS);
	if (record) {
		take_reloaded(live, record);
	} else if (!err) {
		live->gone = true;
		ql_fail(&none, QL_E_NOT_FOUND, "there is no evaluation %s", live->record.eval_id);
		err = &none;
	}
	hand_out(live, err);
	ql_live_release(live);
	ql_engine_op_end(engine);
}

/* Not while a decision on it is under way: what that leaves is what must be read. */
void
ql_live_reload(struct ql_live *live)
{
	if (live->loading || live->uncommitted)
		return;
	live->loading = true;
	ql_engine_op_begin(live->engine);
	ql_load(live);
}

void
ql_live_want(struct ql_engine *engine, const char *eval_id, struct want *want)
{
	struct ql_live *live = ql_live_find(engine, eval_id);
	if (live && ql_live_ready(live)) {
		live->pins++;
		want->ready(want, live, NULL);
		ql_live_release(live);
		return;
	}
	if (!live)
		live = live_new(engine, eval_id);
	if (!live) {
		struct ql_err err;
		ql_fail(&err, QL_E_UNAVAILABLE, "out of memory: try again later");
		want->ready(want, NULL, &err);
		return;
	}
	DL_APPEND(live->wants, want);
	ql_live_reload(live);
}
