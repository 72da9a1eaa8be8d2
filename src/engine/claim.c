/* Fills free slots from the queue, which lives in the store, and ends what waited for too long. */
#include "engine/private.h"

#include <stdlib.h>

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

/* The evaluation in memory, with the payload that the read brought. */
static struct ql_live *
adopt(struct ql_engine *engine, struct ql_record *record)
{
	struct ql_live *live = ql_live_find(engine, record->eval_id);
	if (!live)
		return ql_live_adopt(engine, record);
	if (live->loading || live->stale)
		return NULL;
	free(live->record.payload);
	live->record.payload = record->payload;
	record->payload = NULL;
	return live;
}

static bool
claim_one(struct ql_engine *engine, struct ql_record *record)
{
	int32_t slot = free_slot(engine);
	if (slot < 0)
		return false;
	struct ql_live *live = adopt(engine, record);
	if (!live)
		return false;
	live->pins++;
	struct ql_decision decision;
	struct feeding feeding = {.event = {
					  .kind = QL_EVENT_CLAIM,
					  .incarnation = ql_rand_u64(),
					  .slot = slot,
				  }};
	enum ql_verdict verdict = ql_feed(live, &feeding, &decision);
	ql_live_release(live);
	return verdict == QL_VERDICT_DONE;
}

static void
on_claimable(struct ql_store_read *read, int status)
{
	struct ql_engine *engine =
		(struct ql_engine *)((char *)read - offsetof(struct ql_engine, claim_read));
	size_t claimed = 0;
	engine->claiming = false;
	for (size_t i = 0; !status && !engine->closing && i < read->record_count; i++)
		claimed += claim_one(engine, &read->records[i]);
	bool more = claimed && claimed == read->record_count;
	ql_store_read_done(read);
	if (status)
		ql_batch_retry(engine, QL_ENGINE_RETRY_MS);
	else if (engine->claim_again || more)
		ql_claim(engine);
	ql_engine_op_end(engine);
}

static void
on_pause_over(struct wake *wake)
{
	struct ql_engine *engine =
		(struct ql_engine *)((char *)wake - offsetof(struct ql_engine, claim_pause));
	engine->claim_again = true;
	ql_claim(engine);
}

/* While the store fails, a claim is let through as a probe by the retry alone. */
static bool
may_claim(const struct ql_engine *engine)
{
	return engine->accepting && !engine->claiming && !engine->recovery &&
	       !engine->claim_pause.node.slot && engine->slots_used < engine->config.workers &&
	       ((engine->store_ok && engine->waiting > 0) || engine->claim_again);
}

void
ql_claim(struct ql_engine *engine)
{
	engine->claim_pause.fn = on_pause_over;
	if (!may_claim(engine))
		return;
	engine->claiming = true;
	engine->claim_again = false;
	engine->claim_read = (struct ql_store_read){.kind = QL_READ_CLAIMABLE,
		.filter = {.limit = engine->config.workers - engine->slots_used,
			.with_payload = true},
		.done = on_claimable};
	ql_engine_op_begin(engine);
	ql_engine_read(engine, &engine->claim_read);
}

static void
end_overdue(struct ql_engine *engine, struct ql_record *record)
{
	struct ql_live *live = ql_live_find(engine, record->eval_id);
	if (!live)
		live = ql_live_adopt(engine, record);
	if (!live)
		return;
	live->pins++;
	ql_feed_time(live);
	ql_live_release(live);
}

static void
on_overdue_read(struct ql_store_read *read, int status)
{
	struct ql_engine *engine =
		(struct ql_engine *)((char *)read - offsetof(struct ql_engine, overdue_read));
	int64_t now = ql_engine_now(engine);
	engine->overdue_reading = false;
	for (size_t i = 0; !status && !engine->closing && i < read->record_count; i++)
		end_overdue(engine, &read->records[i]);
	bool more = read->record_count == QL_ENGINE_OVERDUE_BATCH;
	if (status || more)
		ql_overdue_at(engine, now + QL_ENGINE_RETRY_MS);
	else if (read->next_at)
		ql_overdue_at(engine, read->next_at);
	ql_store_read_done(read);
	ql_engine_op_end(engine);
}

static void
on_overdue(struct wake *wake)
{
	struct ql_engine *engine =
		(struct ql_engine *)((char *)wake - offsetof(struct ql_engine, overdue));
	if (engine->overdue_reading || engine->closing)
		return;
	engine->overdue_reading = true;
	engine->overdue_read = (struct ql_store_read){.kind = QL_READ_OVERDUE,
		.filter = {.until = ql_engine_now(engine), .limit = QL_ENGINE_OVERDUE_BATCH},
		.done = on_overdue_read};
	ql_engine_op_begin(engine);
	ql_engine_read(engine, &engine->overdue_read);
}

/* There is one to look at by then; 0 = none. */
void
ql_overdue_at(struct ql_engine *engine, int64_t at)
{
	bool earlier = !engine->overdue.node.slot || at < engine->overdue.node.at;
	engine->overdue.fn = on_overdue;
	if (at && earlier)
		ql_wake_set(engine, &engine->overdue, at);
}
