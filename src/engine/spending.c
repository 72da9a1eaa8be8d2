/*
 * What the runs of each owner use of the processors: durable with their end, and looked at while they
 * go on, whenever a budget asks.
 */
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "engine/policing.h"

#define SWEEP_MS 3600000
#define SWEEP_PAGE 1000

/* ---- runs that are over ---- */

struct putting {
	struct ql_change *after;
	int64_t at;
};

static int
put(void *arg, const char *id, const char *text)
{
	struct putting *putting = arg;
	struct ql_change *change = ql_change_put(QL_OBJECT_SPENDING, id, text);
	if (!change)
		return -1;
	change->at = putting->at;
	change->next = putting->after->next;
	putting->after->next = change;
	return 0;
}

int
ql_spending_add(struct ql_engine *engine, const struct ql_spell *spell, struct ql_change *changes)
{
	struct ql_ledger *ledger = engine->policing->ledger;
	struct putting putting = {.after = changes, .at = ql_engine_now(engine)};
	if (ql_ledger_add(ledger, spell))
		return -1;
	if (!ql_ledger_documents(ledger, spell, put, &putting))
		return 0;
	ql_ledger_take_back(ledger, spell); /* what was put already is put right by the next run */
	return -1;
}

void
ql_spending_take_back(struct ql_engine *engine, const struct ql_spell *spell)
{
	ql_ledger_take_back(engine->policing->ledger, spell);
}

/* ---- runs that go on ---- */

struct look {
	uv_work_t work;
	struct policing *policing;
	struct spending_want *wants;
	int64_t now;
	size_t count, most;
	struct seen_run {
		struct ql_live *live; /* pinned */
		struct ql_run_names names;
		bool named; /* else the broker has said what it used */
		struct ql_spell spell;
	} runs[];
};

/* A local one is looked at on a thread; of a worker's it is known what was read last. */
static bool
can_be_seen(struct ql_engine *engine, const struct ql_run *run, struct seen_run *seen)
{
	struct ql_runtime *runtime = engine->config.runtime;
	struct ql_broker *broker = engine->config.broker;
	struct ql_err err;
	if (run->slot < 0 && broker)
		seen->spell.cpu_us = broker->ops->cpu_us(broker, run->incarnation);
	else if (run->slot >= 0 && runtime && runtime->ops->names)
		seen->named = !runtime->ops->names(runtime, run->incarnation, &seen->names, &err);
	return seen->named || seen->spell.cpu_us > 0;
}

static void
add_runs(struct look *look, struct ql_live *live)
{
	for (int i = 0; i < QL_RUNS && look->count < look->most; i++) {
		const struct ql_run *run = &live->durable.runs[i];
		struct seen_run *seen = &look->runs[look->count];
		if (!run->released_at || !ql_phase_takes_slot((enum ql_phase)run->phase))
			continue;
		seen->spell = (struct ql_spell){.from = run->released_at, .to = look->now};
		seen->named = false;
		if (!can_be_seen(look->policing->engine, run, seen))
			continue;
		seen->live = live;
		live->pins++;
		look->count++;
	}
}

static void
on_look(uv_work_t *work)
{
	struct look *look = work->data;
	for (size_t i = 0; i < look->count; i++) {
		struct seen_run *seen = &look->runs[i];
		if (seen->named)
			seen->spell.cpu_us = ql_run_cpu_us(&seen->names);
	}
}

static void
tell(struct look *look)
{
	struct ql_spell *spells = calloc(look->count + 1, sizeof(*spells));
	size_t count = 0;
	for (size_t i = 0; spells && i < look->count; i++) {
		spells[count] = look->runs[i].spell;
		spells[count].owner = look->runs[i].live->record.owner;
		count += spells[count].owner && spells[count].cpu_us > 0;
	}
	if (spells)
		ql_ledger_run(look->policing->ledger, spells, count);
	free(spells);
}

static void
on_looked(uv_work_t *work, int status)
{
	struct look *look = work->data;
	struct ql_engine *engine = look->policing->engine;
	(void)status;
	tell(look);
	look->policing->look = NULL;
	for (size_t i = 0; i < look->count; i++)
		ql_live_release(look->runs[i].live);
	while (look->wants) {
		struct spending_want *want = look->wants;
		look->wants = want->next;
		want->ready(want);
	}
	free(look);
	ql_engine_op_end(engine);
}

static struct look *
begin_look(struct policing *policing)
{
	struct ql_engine *engine = policing->engine;
	size_t most = (size_t)engine->slots_used;
	if (engine->config.broker)
		most += HASH_COUNT(engine->lives); /* a second run of one at once is rare */
	if (most > QL_LEDGER_RUNS)
		most = QL_LEDGER_RUNS;
	struct look *look = calloc(1, sizeof(*look) + most * sizeof(look->runs[0]));
	struct ql_live *live, *next;
	if (!look)
		abort(); /* not even an answer can be made */
	look->policing = policing;
	look->most = most;
	look->now = ql_engine_now(engine);
	look->work.data = look;
	HASH_ITER (hh, engine->lives, live, next) {
		if (live->loaded)
			add_runs(look, live);
	}
	ql_engine_op_begin(engine);
	uv_queue_work(engine->config.loop, &look->work, on_look, on_looked);
	return look;
}

void
ql_spending_look(struct policing *policing, struct spending_want *want)
{
	if (!policing->look)
		policing->look = begin_look(policing);
	want->next = policing->look->wants;
	policing->look->wants = want;
}

/* ---- at the start, and after a day ---- */

int
ql_spending_load(struct policing *policing, const struct ql_object *object, struct ql_err *e)
{
	return ql_ledger_load(policing->ledger, object->text, e);
}

static void
on_swept(struct ql_write *write, int status)
{
	struct policing *policing = QL_OWNER(write, struct policing, spending_write);
	struct ql_engine *engine = policing->engine;
	bool more = !status && policing->spending_more;
	if (status)
		ql_engine_log(engine, "old spending isn't removed: %s", write->err.text);
	if (!engine->stopping)
		ql_wake_set(engine, &policing->spending_sweep,
			ql_engine_now(engine) + (more ? 0 : SWEEP_MS));
}

static void
on_old(struct ql_store_read *read, int status)
{
	struct policing *policing = QL_OWNER(read, struct policing, spending_read);
	struct ql_engine *engine = policing->engine;
	struct ql_change *changes = NULL;
	char oldest[QL_LEDGER_ID];
	size_t count = 0;
	ql_ledger_oldest(ql_engine_now(engine), oldest);
	for (size_t i = 0; !status && i < read->object_count; i++) {
		if (strcmp(read->objects[i].id, oldest) >= 0)
			break;
		struct ql_change *change = ql_change_drop(QL_OBJECT_SPENDING, read->objects[i].id);
		if (!change)
			break;
		change->next = changes;
		changes = change;
		count++;
	}
	ql_store_read_done(read);
	policing->spending_more = count == SWEEP_PAGE;
	policing->spending_write = (struct ql_write){.changes = changes, .done = on_swept};
	if (changes)
		ql_engine_write(engine, &policing->spending_write);
	else
		on_swept(&policing->spending_write, 0);
	ql_engine_op_end(engine);
}

static void
on_sweep(struct wake *wake)
{
	struct policing *policing = QL_OWNER(wake, struct policing, spending_sweep);
	if (policing->engine->stopping)
		return;
	policing->spending_read = (struct ql_store_read){.kind = QL_READ_OBJECTS,
		.filter = {.object = QL_OBJECT_SPENDING, .limit = SWEEP_PAGE},
		.done = on_old};
	ql_engine_op_begin(policing->engine);
	ql_engine_read(policing->engine, &policing->spending_read);
}

void
ql_spending_loaded(struct policing *policing)
{
	struct ql_engine *engine = policing->engine;
	policing->spending_sweep.fn = on_sweep;
	ql_wake_set(engine, &policing->spending_sweep, ql_engine_now(engine));
}
