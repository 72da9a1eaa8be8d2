/* Fills free slots from the queue, which lives in the store, and ends what waited for too long. */
#include "engine/private.h"

#include "base/owner.h"
#include "base/rand.h"

static int32_t
free_slot(const struct ql_engine *engine)
{
	for (int32_t slot = 0; slot < engine->config.workers; slot++) {
		if (!engine->slots[slot])
			return slot;
	}
	return -1;
}

static void
claim_one(struct scan *scan, struct ql_live *live, const struct ql_err *err)
{
	struct ql_engine *engine = scan->engine;
	int32_t slot = free_slot(engine);
	if (err || slot < 0 || !engine->accepting) {
		engine->may_wait = true;
		return;
	}
	struct ql_decision decision;
	struct feeding feeding = {.event = {
					  .kind = QL_EVENT_CLAIM,
					  .incarnation = ql_rand_u64(),
					  .slot = slot,
				  }};
	if (ql_feed(live, &feeding, &decision) != QL_VERDICT_DONE) {
		engine->may_wait = true;
		return;
	}
	engine->claimed++;
}

/* Exact again, where commits that failed have left a doubt: what is queued is in memory now. */
static void
count_queued(struct ql_engine *engine)
{
	struct ql_live *live, *next;
	engine->queued = 0;
	HASH_ITER (hh, engine->lives, live, next)
		engine->queued += live->loaded && live->durable.status == QL_STATUS_QUEUED;
}

static void
on_pause_over(struct wake *wake)
{
	struct ql_engine *engine = QL_OWNER(wake, struct ql_engine, claim_pause);
	ql_claim(engine);
}

/*
 * What was claimed, or could not be as it is being decided on, is scanned again after the commit
 * that is under way.
 */
static void
on_claims_over(struct scan *scan, const struct ql_err *err)
{
	struct ql_engine *engine = scan->engine;
	if (err) {
		engine->may_wait = true;
		ql_batch_retry(engine, QL_ENGINE_RETRY_MS);
		return;
	}
	if (scan->at == (size_t)scan->read.filter.limit)
		engine->may_wait = true;
	if (!scan->at && !engine->may_wait)
		count_queued(engine);
	if (ql_batch_under_way(engine))
		return;
	if (!scan->at || engine->claimed)
		ql_claim(engine);
	else
		ql_wake_set(
			engine, &engine->claim_pause, ql_engine_now(engine) + QL_ENGINE_RETRY_MS);
}

static bool
may_claim(const struct ql_engine *engine)
{
	return engine->accepting && !engine->claims.under_way && engine->may_wait &&
	       !engine->claim_pause.node.slot && engine->slots_used < engine->config.workers &&
	       engine->store_ok;
}

static bool
is_runtime_away(const struct ql_engine *engine)
{
	struct ql_dependency runtime;
	ql_engine_runtime(engine, &runtime);
	return runtime.state != QL_BREAKER_CLOSED;
}

/* What waits goes on waiting while nothing can be started: claimed, it would only fail. */
void
ql_claim(struct ql_engine *engine)
{
	engine->claim_pause.fn = on_pause_over;
	if (!may_claim(engine))
		return;
	if (is_runtime_away(engine)) {
		ql_wake_set(
			engine, &engine->claim_pause, ql_engine_now(engine) + QL_ENGINE_RETRY_MS);
		return;
	}
	engine->may_wait = false;
	engine->claimed = 0;
	engine->claims.each = claim_one;
	engine->claims.over = on_claims_over;
	engine->claims.read = (struct ql_store_read){.kind = QL_READ_CLAIMABLE,
		.filter = {.limit = engine->config.workers - engine->slots_used}};
	ql_scan(engine, &engine->claims);
}

/* ---- what waited for too long ---- */

static void
end_overdue(struct scan *scan, struct ql_live *live, const struct ql_err *err)
{
	if (err || scan->engine->closing)
		return;
	if (ql_state_waiting(&live->record.state))
		ql_feed_time(live);
	scan->engine->ended += !ql_state_waiting(&live->record.state);
}

static void
on_overdues_over(struct scan *scan, const struct ql_err *err)
{
	struct ql_engine *engine = scan->engine;
	int64_t now = ql_engine_now(engine);
	engine->overdue_more = false;
	if (err || engine->ended < scan->at)
		ql_overdue_at(engine, now + QL_ENGINE_RETRY_MS);
	else if (scan->at < QL_ENGINE_OVERDUE_BATCH)
		ql_overdue_at(engine, scan->next_at);
	else if (ql_batch_under_way(engine))
		engine->overdue_more = true;
	else
		ql_overdue_at(engine, now);
}

static void
on_overdue(struct wake *wake)
{
	struct ql_engine *engine = QL_OWNER(wake, struct ql_engine, overdue);
	int64_t now = ql_engine_now(engine);
	if (engine->closing)
		return;
	if (engine->overdues.under_way) {
		ql_overdue_at(engine, now + QL_ENGINE_RETRY_MS);
		return;
	}
	engine->ended = 0;
	engine->overdues.each = end_overdue;
	engine->overdues.over = on_overdues_over;
	engine->overdues.read = (struct ql_store_read){.kind = QL_READ_OVERDUE,
		.filter = {.until = now, .limit = QL_ENGINE_OVERDUE_BATCH}};
	ql_scan(engine, &engine->overdues);
}

void
ql_overdue_at(struct ql_engine *engine, int64_t at)
{
	bool earlier = !engine->overdue.node.slot || at < engine->overdue.node.at;
	engine->overdue.fn = on_overdue;
	if (at && earlier)
		ql_wake_set(engine, &engine->overdue, at);
}
