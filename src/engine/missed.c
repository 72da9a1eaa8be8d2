/*
 * What a broker's workers did while there was no server: a task that waits may have ended meanwhile, and
 * nobody tells it again. After a start each of them is looked at once, some at a time.
 */
#include "engine/private.h"

#define BATCH 500
#define PAUSE_MS 500

static void
look(struct scan *scan, struct ql_live *live, const struct ql_err *err)
{
	if (err || scan->engine->closing || !ql_live_ready(live))
		return;
	const struct ql_state *state = &live->record.state;
	if (state->status == QL_STATUS_QUEUED && !ql_state_open(state))
		ql_act(live, &(struct ql_act){.kind = QL_ACT_INSPECT, .epoch = state->epoch});
}

static void
on_pause_over(struct wake *wake)
{
	struct ql_engine *engine =
		(struct ql_engine *)((char *)wake - offsetof(struct ql_engine, missed_pause));
	if (!engine->closing)
		ql_scan(engine, &engine->missed);
}

static void
on_page_over(struct scan *scan, const struct ql_err *err)
{
	struct ql_engine *engine = scan->engine;
	int64_t cursor = err ? scan->read.filter.cursor : scan->next_cursor;
	if (engine->closing || (!err && !cursor))
		return;
	scan->read = (struct ql_store_read){.kind = QL_READ_LIST, .filter = scan->read.filter};
	scan->read.filter.cursor = cursor;
	ql_wake_set(engine, &engine->missed_pause, ql_engine_now(engine) + PAUSE_MS);
}

void
ql_missed_start(struct ql_engine *engine)
{
	if (!engine->config.broker)
		return;
	engine->missed_pause.fn = on_pause_over;
	engine->missed.each = look;
	engine->missed.over = on_page_over;
	engine->missed.read = (struct ql_store_read){.kind = QL_READ_LIST,
		.filter = {.statuses = 1u << QL_STATUS_QUEUED, .limit = BATCH}};
	ql_scan(engine, &engine->missed);
}
