/*
 * What a broker's workers did while nobody heard: there was no server, or the broker was away from it. A task that
 * waits may have ended meanwhile, and nobody tells it again. After a start, and each time that the broker is
 * back, each of them is looked at once, some at a time, and each run that is open. Where not every place could
 * be asked (workers come back more slowly than the broker) all of it is done again, later.
 */
#include "base/owner.h"
#include "engine/private.h"

#define BATCH 500
#define PAUSE_MS 500

static const int64_t again_ms[] = {10000, 60000, 300000};
#define AGAIN_MAX ((int)(sizeof(again_ms) / sizeof(*again_ms)))

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
begin(struct ql_engine *engine)
{
	struct missed *missed = &engine->missed;
	struct ql_live *live, *next;
	missed->due = missed->incomplete = false;
	missed->under_way = true;
	ql_wake_clear(engine, &missed->pause);
	HASH_ITER (hh, engine->lives, live, next) {
		if (!ql_live_ready(live))
			continue;
		live->pins++;
		ql_inspect_runs(live);
		ql_live_release(live);
	}
	missed->scan.read = (struct ql_store_read){.kind = QL_READ_LIST,
		.filter = {.statuses = 1u << QL_STATUS_QUEUED, .limit = BATCH}};
	ql_scan(engine, &missed->scan);
}

static void
go_on(struct ql_engine *engine)
{
	struct missed *missed = &engine->missed;
	if (missed->ready && missed->due && !missed->under_way && !engine->closing)
		begin(engine);
}

/* Its last looks are answered by now. */
static void
on_answered(struct wake *wake)
{
	struct ql_engine *engine = QL_OWNER(wake, struct ql_engine, missed.pause);
	engine->missed.again++;
	engine->missed.due = engine->missed.incomplete;
	go_on(engine);
}

static void
on_pause_over(struct wake *wake)
{
	struct ql_engine *engine = QL_OWNER(wake, struct ql_engine, missed.pause);
	if (!engine->closing)
		ql_scan(engine, &engine->missed.scan);
}

static void
pause_for(struct ql_engine *engine, void (*fn)(struct wake *wake), int64_t ms)
{
	engine->missed.pause.fn = fn;
	ql_wake_set(engine, &engine->missed.pause, ql_engine_now(engine) + ms);
}

static void
end(struct ql_engine *engine)
{
	struct missed *missed = &engine->missed;
	missed->under_way = false;
	if (missed->due)
		go_on(engine);
	else if (missed->again < AGAIN_MAX)
		pause_for(engine, on_answered, again_ms[missed->again]);
}

static void
on_page_over(struct scan *scan, const struct ql_err *err)
{
	struct ql_engine *engine = scan->engine;
	int64_t cursor = err ? scan->read.filter.cursor : scan->next_cursor;
	if (engine->closing)
		return;
	if (!err && !cursor) {
		end(engine);
		return;
	}
	scan->read = (struct ql_store_read){.kind = QL_READ_LIST, .filter = scan->read.filter};
	scan->read.filter.cursor = cursor;
	pause_for(engine, on_pause_over, PAUSE_MS);
}

void
ql_missed_start(struct ql_engine *engine)
{
	engine->missed.scan.each = look;
	engine->missed.scan.over = on_page_over;
	engine->missed.ready = true;
	go_on(engine);
}

void
ql_missed_back(void *arg)
{
	struct ql_engine *engine = arg;
	struct missed *missed = &engine->missed;
	missed->due = true;
	missed->again = 0;
	go_on(engine);
}

void
ql_missed_incomplete(struct ql_engine *engine)
{
	engine->missed.incomplete = true;
}
