/*
 * What a broker forgot: one that comes back from an older copy of what it had (a snapshot, a log whose end was not
 * written, a replica that was behind) has messages again that were taken out, or acknowledged, since. So it is told
 * the time every now and then, and after each connect it says which it was told last: what was cancelled after that is
 * taken out again, and its tombstone lies until the workers are back. A run of it that is seen is killed on sight.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "engine/private.h"
#include "rules/selector.h"

#define BATCH 500
#define PAUSE_MS 20
#define TELL_MS 2000 /* between two times that it is told */
#define MARGIN_MS 1000 /* what was decided then was done a moment before, or after */
#define BLIND_MS 3600000 /* it was never told: Redis' own snapshots are an hour apart at most */
#define LIE_MS 30000 /* workers have, to come back */
#define LYING_MAX 100000 /* tombstones; of more the messages are taken out all the same */

struct recalled {
	UT_hash_handle hh;
	char eval_id[QL_EVAL_ID];
	char task_id[QL_TASK_ID];
	bool looked; /* its message is looked for no more */
};

bool
ql_recall_has(const struct ql_engine *engine, const char *eval_id)
{
	struct recalled *recalled;
	HASH_FIND_STR(engine->recall.lying, eval_id, recalled);
	return recalled != NULL;
}

bool
ql_recall_looks(const struct ql_engine *engine, const char *eval_id)
{
	struct recalled *recalled;
	HASH_FIND_STR(engine->recall.lying, eval_id, recalled);
	return recalled && !recalled->looked;
}

void
ql_recall_looked(struct ql_engine *engine, const char *eval_id)
{
	struct recalled *recalled;
	HASH_FIND_STR(engine->recall.lying, eval_id, recalled);
	if (recalled)
		recalled->looked = true;
}

static void
lay(struct ql_live *live)
{
	struct recall *recall = &live->engine->recall;
	struct recalled *recalled;
	HASH_FIND_STR(recall->lying, live->record.eval_id, recalled);
	if (recalled)
		recalled->looked = false;
	if (recalled || HASH_COUNT(recall->lying) >= LYING_MAX)
		return;
	recalled = calloc(1, sizeof(*recalled));
	if (!recalled)
		return; /* its message is taken out all the same */
	memcpy(recalled->eval_id, live->record.eval_id, sizeof(recalled->eval_id));
	ql_record_task_id(&live->record, live->record.state.attempt, recalled->task_id);
	HASH_ADD_STR(recall->lying, eval_id, recalled);
	ql_tomb_follow(live);
}

static void
lift_all(struct ql_engine *engine)
{
	struct ql_broker *broker = engine->config.broker;
	struct recalled *recalled, *next;
	HASH_ITER (hh, engine->recall.lying, recalled, next) {
		struct ql_live *live = ql_live_find(engine, recalled->eval_id);
		HASH_DEL(engine->recall.lying, recalled);
		if (live)
			ql_tomb_follow(live);
		else if (!engine->closing)
			broker->ops->lift(broker, recalled->task_id);
		free(recalled);
	}
}

void
ql_recall_done(struct ql_engine *engine)
{
	struct recalled *recalled, *next;
	HASH_ITER (hh, engine->recall.lying, recalled, next) {
		HASH_DEL(engine->recall.lying, recalled);
		free(recalled);
	}
	ql_selector_done(&engine->recall.selector);
}

/* ---- a pass ---- */

static void begin(struct ql_engine *engine);

static void
set_wake(struct ql_engine *engine, void (*fn)(struct wake *wake), int64_t in_ms)
{
	engine->recall.wake.fn = fn;
	ql_wake_set(engine, &engine->recall.wake, ql_engine_now(engine) + in_ms);
}

static void
on_tell(struct wake *wake)
{
	struct ql_engine *engine = QL_OWNER(wake, struct ql_engine, recall.wake);
	struct ql_broker *broker = engine->config.broker;
	if (engine->closing)
		return;
	broker->ops->remember(broker, ql_engine_now(engine));
	set_wake(engine, on_tell, TELL_MS);
}

static void
on_lain(struct wake *wake)
{
	struct ql_engine *engine = QL_OWNER(wake, struct ql_engine, recall.wake);
	lift_all(engine);
	engine->recall.under_way = false;
	if (engine->recall.due)
		begin(engine);
	else
		on_tell(wake);
}

static void
each(struct scan *scan, struct ql_live *live, const struct ql_err *err)
{
	struct ql_engine *engine = scan->engine;
	if (err || engine->closing || !ql_live_ready(live))
		return;
	const struct ql_state *state = &live->record.state;
	if (state->status != QL_STATUS_CANCELLED || !state->enqueued_at)
		return;
	engine->recall.count++;
	lay(live);
	ql_act(live, &(struct ql_act){.kind = QL_ACT_REMOVE, .epoch = state->epoch});
}

static void
on_next(struct wake *wake)
{
	struct ql_engine *engine = QL_OWNER(wake, struct ql_engine, recall.wake);
	if (!engine->closing)
		ql_scan(engine, &engine->recall.scan);
}

static void
on_page(struct scan *scan, const struct ql_err *err)
{
	struct ql_engine *engine = scan->engine;
	struct recall *recall = &engine->recall;
	struct ql_filter filter = scan->read.filter;
	if (engine->closing)
		return;
	if (!err && !scan->next_cursor) {
		if (recall->count)
			ql_engine_log(engine,
				"the broker may have forgotten what was done since a while ago: "
				"%zu tasks that were cancelled since are taken out of it again",
				recall->count);
		set_wake(engine, on_lain, recall->count ? LIE_MS : TELL_MS);
		return;
	}
	if (!err)
		filter.cursor = scan->next_cursor;
	scan->read = (struct ql_store_read){.kind = QL_READ_LIST, .filter = filter};
	set_wake(engine, on_next, err ? QL_ENGINE_RETRY_MS : PAUSE_MS);
}

static void
begin(struct ql_engine *engine)
{
	struct recall *recall = &engine->recall;
	int64_t now = ql_engine_now(engine);
	int64_t since = recall->since ? recall->since - MARGIN_MS : now - BLIND_MS;
	struct ql_err err;
	char text[64];
	size_t at;
	recall->due = false;
	recall->under_way = true;
	recall->count = 0;
	ql_wake_clear(engine, &recall->wake);
	ql_selector_done(&recall->selector);
	snprintf(text, sizeof(text), "ended<%lldms", now > since ? (long long)(now - since) : 1);
	if (ql_selector_parse(text, &recall->selector, &at, &err))
		abort(); /* it is ours */
	recall->scan.each = each;
	recall->scan.over = on_page;
	recall->scan.read = (struct ql_store_read){.kind = QL_READ_LIST,
		.filter = {.statuses = 1u << QL_STATUS_CANCELLED,
			.selector = &recall->selector,
			.now = now,
			.limit = BATCH}};
	ql_scan(engine, &recall->scan);
}

static void
go_on(struct ql_engine *engine)
{
	struct recall *recall = &engine->recall;
	if (recall->ready && recall->due && !recall->under_way && !engine->closing)
		begin(engine);
}

void
ql_recall_start(struct ql_engine *engine)
{
	engine->recall.ready = true;
	go_on(engine);
}

void
ql_recall_since(void *arg, int64_t since)
{
	struct ql_engine *engine = arg;
	struct recall *recall = &engine->recall;
	bool pending = recall->due || recall->under_way;
	if (!pending || since < recall->since)
		recall->since = since;
	recall->due = true;
	go_on(engine);
}
