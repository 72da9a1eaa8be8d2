/*
 * After a start: what the store says is live comes into memory and is fed the time; each of its
 * open runs is looked at; what the runtime has without a record is purged.
 */
#include "engine/pages.h"

#include <stdlib.h>

#include "base/owner.h"

struct recovery {
	struct ql_engine *engine;
	struct wake again;
	struct ql_store_read read;
	struct pages pages; /* what was kept besides: crew and places */
	struct ql_runtime_list list;
};

/* All that was durable is known. */
static void
begin(struct ql_engine *engine)
{
	if (engine->stopping)
		return;
	engine->accepting = true;
	ql_outbox_start(engine);
	ql_sweep_start(engine);
	ql_trim_start(engine);
	ql_policing_start(engine);
	ql_orphans_start(engine);
	ql_missed_start(engine);
	ql_recall_start(engine);
	ql_bulks_start(engine);
	ql_claim(engine);
	engine->ready(engine->ready_arg);
}

static void
finish(struct recovery *recovery)
{
	struct ql_engine *engine = recovery->engine;
	ql_store_read_done(&recovery->read);
	free(recovery->list.incarnations);
	free(recovery);
	engine->recovery = NULL;
	ql_hooks_start(engine, begin);
	ql_engine_op_end(engine);
}

void
ql_inspect_runs(struct ql_live *live)
{
	const struct ql_state *state = &live->record.state;
	struct ql_broker *broker = live->engine->config.broker;
	if (broker && broker->ops->expect && live->record.worker && ql_state_open(state))
		broker->ops->expect(broker, live->record.worker, NULL);
	for (int i = 0; i < QL_RUNS; i++) {
		struct ql_act look = {.kind = QL_ACT_INSPECT,
			.epoch = state->epoch,
			.incarnation = state->runs[i].incarnation};
		if (ql_phase_takes_slot((enum ql_phase)state->runs[i].phase))
			ql_act(live, &look);
	}
}

void
ql_take_up(struct ql_live *live)
{
	live->pins++;
	ql_tomb_follow(live);
	ql_inspect_runs(live);
	ql_feed_time(live);
	ql_engine_end_runs(live);
	ql_live_release(live);
}

static void
take_up_all(struct ql_engine *engine)
{
	struct ql_live *live, *next;
	ql_places_sweep(engine);
	HASH_ITER (hh, engine->lives, live, next)
		ql_take_up(live);
}

static void
on_list(struct ql_runtime_list *list, int status)
{
	struct recovery *recovery = QL_OWNER(list, struct recovery, list);
	struct ql_engine *engine = recovery->engine;
	if (status)
		ql_engine_log(
			engine, "runs without a record can't be looked for: %s", list->err.text);
	for (size_t i = 0; !status && i < list->count; i++) {
		if (!ql_live_of_run(engine, list->incarnations[i]))
			ql_purge(engine, list->incarnations[i]);
	}
	take_up_all(engine);
	finish(recovery);
}

static void
adopt_all(struct ql_engine *engine, struct ql_store_read *read)
{
	for (size_t i = 0; i < read->record_count; i++) {
		if (!ql_live_adopt(engine, &read->records[i]))
			ql_engine_log(engine, "out of memory: %s is taken up at the next start",
				read->records[i].eval_id);
	}
	if (read->record_count)
		ql_engine_log(engine, "takes up %zu live evaluations", read->record_count);
}

static void
on_live(struct ql_store_read *read, int status)
{
	struct recovery *recovery = QL_OWNER(read, struct recovery, read);
	struct ql_engine *engine = recovery->engine;
	struct ql_runtime *runtime = engine->config.runtime;
	if (status) {
		ql_engine_log(engine, "the store can't be read, so nothing is started: %s",
			read->err.text);
		ql_wake_set(engine, &recovery->again, ql_engine_now(engine) + QL_ENGINE_RETRY_MS);
		return;
	}
	adopt_all(engine, read);
	if (!runtime) {
		take_up_all(engine);
		finish(recovery);
		return;
	}
	recovery->list.done = on_list;
	runtime->ops->list(runtime, &recovery->list);
}

/* Without its record nothing can be said of any run: until that is read, nothing is accepted. */
static void
read_live(struct wake *again)
{
	struct recovery *recovery = QL_OWNER(again, struct recovery, again);
	struct ql_engine *engine = recovery->engine;
	if (engine->closing) {
		finish(recovery);
		return;
	}
	recovery->read = (struct ql_store_read){.kind = QL_READ_LIVE, .done = on_live};
	ql_engine_read(engine, &recovery->read);
}

static void
on_places(struct pages *pages)
{
	read_live(&QL_OWNER(pages, struct recovery, pages)->again);
}

/* Who is expected is so before anything is looked for. */
static void
on_crew(struct pages *pages)
{
	pages->kind = QL_OBJECT_PLACE;
	pages->each = ql_places_load;
	pages->over = on_places;
	ql_pages_read(pages);
}

void
ql_recover(struct ql_engine *engine)
{
	struct recovery *recovery = calloc(1, sizeof(*recovery));
	if (!recovery)
		abort(); /* at start, before anything was promised */
	recovery->engine = engine;
	recovery->again.fn = read_live;
	engine->recovery = recovery;
	ql_engine_op_begin(engine);
	recovery->pages = (struct pages){
		.engine = engine, .kind = QL_OBJECT_WORKER, .each = ql_crew_load, .over = on_crew};
	ql_pages_read(&recovery->pages);
}
