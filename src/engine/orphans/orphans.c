#include "engine/orphans/orphans.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"

/* Of what is settled a run may be in memory yet: its processes are on their way out, a task is not. */
bool
ql_orphan_is_live(const struct sweeping *sweeping, const struct ql_trace *trace)
{
	struct ql_engine *engine = sweeping->engine;
	bool by_run = trace->incarnation && ql_live_of_run(engine, trace->incarnation);
	if (trace->kind != QL_ORPHAN_TASK && trace->kind != QL_ORPHAN_CONTAINER)
		return by_run;
	const struct ql_live *live = ql_live_find(engine, trace->eval_id);
	return live && !ql_status_settled((enum ql_status)live->record.state.status);
}

/* ---- verdicts ---- */

static struct known *
known_find(const struct sweeping *sweeping, const struct ql_trace *trace)
{
	for (size_t i = 0; i < sweeping->known_count; i++) {
		if (ql_trace_is(&sweeping->known[i].trace, trace))
			return &sweeping->known[i];
	}
	return NULL;
}

static struct known
know(const struct sweeping *sweeping, const struct ql_trace *trace)
{
	const struct known *before = known_find(sweeping, trace);
	struct known now = {.found_at = ql_engine_now(sweeping->engine), .looks = 1};
	if (before) {
		now.found_at = before->found_at;
		now.told = before->told;
		if (ql_orphan_is_sure(before->trace.marks))
			now.looks += before->looks;
	}
	now.trace = *trace;
	return now;
}

/* Counted once, however often it is found. */
static void
tell(struct sweeping *sweeping, struct known *known)
{
	struct ql_engine *engine = sweeping->engine;
	const struct ql_trace *trace = &known->trace;
	if (known->told)
		return;
	known->told = true;
	ql_tally_orphan(engine, QL_METRIC_ORPHANS_FOUND, trace->kind);
	ql_engine_log(engine, "orphan: %s %s has no record%s%s; see: quell orphans",
		ql_orphan_kind_word(trace->kind), trace->name, *trace->text ? ": " : "",
		trace->text);
}

static void
show(struct sweeping *sweeping, struct known *known)
{
	struct ql_engine *engine = sweeping->engine;
	struct ql_orphans *op = sweeping->op;
	struct ql_orphan_facts facts = {.known_ms = ql_engine_now(engine) - known->found_at,
		.min_age_ms = engine->config.orphan_age_ms,
		.looks = known->looks};
	enum ql_orphan_verdict verdict = ql_orphan_judge(&known->trace, &facts);
	if (verdict == QL_ORPHAN_YOUNG)
		return;
	if (verdict >= QL_ORPHAN_FRESH)
		tell(sweeping, known);
	op->found[op->count++] = (struct ql_orphan){
		.trace = known->trace, .verdict = verdict, .found_at = known->found_at};
}

/* Of a look that did not reach all places, what was known and not seen stays known. */
static size_t
carry_over(const struct sweeping *sweeping, struct known *all, size_t count)
{
	size_t fresh = count;
	for (size_t i = 0; i < sweeping->known_count && count < QL_FIND_MAX; i++) {
		bool again = false;
		for (size_t j = 0; j < fresh && !again; j++)
			again = ql_trace_is(&all[j].trace, &sweeping->known[i].trace);
		if (!again)
			all[count++] = sweeping->known[i];
	}
	return count;
}

static const struct ql_record *
record_of(const struct sweeping *sweeping, const struct ql_trace *trace)
{
	const struct ql_store_read *read = &sweeping->read;
	for (size_t i = 0; *trace->eval_id && i < read->record_count; i++) {
		if (!strcmp(read->records[i].eval_id, trace->eval_id))
			return &read->records[i];
	}
	return NULL;
}

/* A folder is its record's as long as there is one; what runs only while that is not settled. */
static bool
is_recorded(const struct sweeping *sweeping, const struct ql_trace *trace)
{
	const struct ql_record *record = record_of(sweeping, trace);
	if (ql_orphan_is_live(sweeping, trace))
		return true;
	return record && (trace->kind == QL_ORPHAN_FOLDER ||
				 !ql_status_settled((enum ql_status)record->state.status));
}

/* Since its end something that outlived its record is left over, and not since its own beginning. */
static void
hold_against_record(const struct sweeping *sweeping, struct ql_trace *trace)
{
	const struct ql_record *record = record_of(sweeping, trace);
	if (!record)
		return;
	if (ql_orphan_outlived(trace, &record->state))
		trace->marks |= 1u << QL_MARK_SETTLED;
	int64_t age_ms = ql_engine_now(sweeping->engine) - record->state.finished_at;
	if (trace->age_ms < 0 || trace->age_ms > age_ms)
		trace->age_ms = age_ms;
}

static int
judge_all(struct sweeping *sweeping)
{
	struct ql_orphans *op = sweeping->op;
	bool partial = sweeping->traces.partial || sweeping->found;
	struct known *all = calloc(QL_FIND_MAX, sizeof(*all));
	size_t count = 0;
	op->found = calloc(sweeping->traces.count + 1, sizeof(*op->found));
	if (!all || !op->found) {
		free(all);
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "out of memory: try again later");
	}
	for (size_t i = 0; i < sweeping->traces.count; i++) {
		if (is_recorded(sweeping, &sweeping->traces.all[i]))
			continue;
		hold_against_record(sweeping, &sweeping->traces.all[i]);
		all[count] = know(sweeping, &sweeping->traces.all[i]);
		show(sweeping, &all[count++]);
	}
	if (partial)
		count = carry_over(sweeping, all, count);
	free(sweeping->known);
	sweeping->known = all;
	sweeping->known_count = count;
	op->partial = partial;
	return 0;
}

/* ---- the look ---- */

static void
look_done(struct sweeping *sweeping)
{
	ql_store_read_done(&sweeping->read);
	free(sweeping->list.incarnations);
	free(sweeping->ids);
	ql_traces_done(&sweeping->traces);
	sweeping->read = (struct ql_store_read){0};
	sweeping->list = (struct ql_runtime_list){0};
	sweeping->ids = NULL;
}

void
ql_orphans_end(struct sweeping *sweeping, int status)
{
	struct ql_orphans *op = sweeping->op;
	struct ql_engine *engine = sweeping->engine;
	sweeping->op = op->engine_next;
	bool more = sweeping->op; /* done may begin the next by itself */
	op->done(op, status);
	if (more)
		ql_later(engine, &sweeping->later);
	ql_engine_op_end(engine);
}

static void
judge(struct sweeping *sweeping)
{
	int status = judge_all(sweeping);
	if (!status && sweeping->found)
		ql_engine_log(sweeping->engine, "not all orphans can be looked for: %s",
			sweeping->err.text);
	look_done(sweeping);
	if (status)
		ql_orphans_end(sweeping, -1);
	else
		ql_orphans_reap(sweeping);
}

/* Without their records nothing can be said of kept folders, nor of tasks and containers. */
static void
on_named(struct ql_store_read *read, int status)
{
	struct sweeping *sweeping = QL_OWNER(read, struct sweeping, read);
	if (!status) {
		judge(sweeping);
		return;
	}
	sweeping->op->err = read->err;
	look_done(sweeping);
	ql_orphans_end(sweeping, -1);
}

static void
read_records(struct sweeping *sweeping)
{
	struct ql_engine *engine = sweeping->engine;
	const struct ql_traces *traces = &sweeping->traces;
	size_t count = 0;
	sweeping->ids = calloc(traces->count + 1, sizeof(*sweeping->ids));
	for (size_t i = 0; sweeping->ids && i < traces->count; i++) {
		if (*traces->all[i].eval_id && !ql_orphan_is_live(sweeping, &traces->all[i]))
			sweeping->ids[count++] = traces->all[i].eval_id;
	}
	if (sweeping->ids && !count) {
		judge(sweeping);
		return;
	}
	sweeping->read = (struct ql_store_read){
		.kind = QL_READ_NAMED, .ids = sweeping->ids, .id_count = count, .done = on_named};
	if (sweeping->ids) {
		ql_engine_read(engine, &sweeping->read);
		return;
	}
	ql_fail(&sweeping->read.err, QL_E_UNAVAILABLE, "out of memory: try again later");
	on_named(&sweeping->read, -1);
}

static void
add_run(struct sweeping *sweeping, uint64_t incarnation)
{
	struct ql_trace *trace = ql_traces_add(&sweeping->traces);
	if (!trace)
		return;
	trace->kind = QL_ORPHAN_RUN;
	trace->incarnation = incarnation;
	trace->marks = 1u << QL_MARK_RUNTIME | 1u << QL_MARK_RUN;
	snprintf(trace->name, sizeof(trace->name), "%s/%016llx",
		sweeping->engine->config.runtime->ops->name, (unsigned long long)incarnation);
}

static void
on_listed(struct ql_runtime_list *list, int status)
{
	struct sweeping *sweeping = QL_OWNER(list, struct sweeping, list);
	if (status && !sweeping->found) {
		sweeping->found = -1;
		sweeping->err = list->err;
	}
	for (size_t i = 0; !status && i < list->count; i++) {
		if (!ql_live_of_run(sweeping->engine, list->incarnations[i]))
			add_run(sweeping, list->incarnations[i]);
	}
	read_records(sweeping);
}

static void
list_runs(struct sweeping *sweeping)
{
	struct ql_runtime *runtime = sweeping->engine->config.runtime;
	if (!runtime) {
		read_records(sweeping);
		return;
	}
	sweeping->list.done = on_listed;
	runtime->ops->list(runtime, &sweeping->list);
}

/* One place that can't be looked at keeps no other from being looked at. */
static void
on_found(struct ql_find *find, int status)
{
	struct sweeping *sweeping = QL_OWNER(find, struct sweeping, find);
	if (status && !sweeping->found) {
		sweeping->found = -1;
		sweeping->err = find->err;
	}
	sweeping->looking++;
	ql_orphans_look(sweeping);
}

void
ql_orphans_look(struct sweeping *sweeping)
{
	while (sweeping->looking < QL_ORPHAN_FINDERS && !sweeping->finders[sweeping->looking])
		sweeping->looking++;
	if (sweeping->looking == QL_ORPHAN_FINDERS) {
		list_runs(sweeping);
		return;
	}
	struct ql_finder *finder = sweeping->finders[sweeping->looking];
	sweeping->find = (struct ql_find){.traces = &sweeping->traces, .done = on_found};
	finder->ops->find(finder, &sweeping->find);
}

static void
begin(struct sweeping *sweeping)
{
	struct ql_engine *engine = sweeping->engine;
	if (ql_engine_check_open(engine, &sweeping->op->err)) {
		ql_orphans_end(sweeping, -1);
		return;
	}
	sweeping->looking = 0;
	sweeping->found = 0;
	ql_orphans_learn_names(sweeping);
}

/* ---- whoever asks ---- */

static void
on_own(struct ql_orphans *op, int status)
{
	struct sweeping *sweeping = QL_OWNER(op, struct sweeping, own);
	struct ql_engine *engine = sweeping->engine;
	sweeping->own_open = false;
	if (status)
		ql_engine_log(engine, "orphans are looked for later: %s", op->err.text);
	ql_orphans_done(op);
	if (!engine->closing)
		ql_wake_set(engine, &sweeping->wake, ql_engine_now(engine) + QL_ENGINE_ORPHANS_MS);
}

static void
on_wake(struct wake *wake)
{
	struct sweeping *sweeping = QL_OWNER(wake, struct sweeping, wake);
	struct ql_engine *engine = sweeping->engine;
	if (engine->closing || sweeping->own_open)
		return;
	sweeping->own_open = true;
	sweeping->own = (struct ql_orphans){.reap = engine->config.reap_orphans,
		.limit = QL_ORPHAN_REAPS,
		.attempt = {.actor = "quell:sweeper"},
		.done = on_own};
	ql_engine_orphans(engine, &sweeping->own);
}

/* `done` never comes from within the call. */
static void
on_turn(struct later *later)
{
	struct sweeping *sweeping = QL_OWNER(later, struct sweeping, later);
	begin(sweeping);
}

void
ql_engine_orphans(struct ql_engine *engine, struct ql_orphans *op)
{
	struct sweeping *sweeping = engine->sweeping;
	struct ql_orphans **last = &sweeping->op;
	op->engine_next = NULL;
	op->server = engine->config.finder ? engine->config.finder->server : NULL;
	ql_engine_op_begin(engine);
	while (*last)
		last = &(*last)->engine_next;
	*last = op;
	if (sweeping->op == op)
		ql_later(engine, &sweeping->later);
}

void
ql_orphans_done(struct ql_orphans *op)
{
	free(op->found);
	op->found = NULL;
	op->count = 0;
}

int
ql_orphans_open(struct ql_engine *engine, struct ql_err *e)
{
	engine->sweeping = calloc(1, sizeof(*engine->sweeping));
	if (!engine->sweeping)
		return ql_fail(e, QL_E_UNAVAILABLE, "the sweeper: out of memory");
	engine->sweeping->engine = engine;
	engine->sweeping->finders[0] = engine->config.finder;
	if (engine->config.broker)
		engine->sweeping->finders[1] = engine->config.broker->finder;
	engine->sweeping->wake.fn = on_wake;
	engine->sweeping->later.fn = on_turn;
	return 0;
}

void
ql_orphans_start(struct ql_engine *engine)
{
	ql_orphans_keep_name(engine->sweeping);
	if (engine->config.finder)
		ql_wake_set(engine, &engine->sweeping->wake,
			ql_engine_now(engine) + QL_ENGINE_ORPHANS_MS);
}

void
ql_orphans_stop(struct ql_engine *engine)
{
	ql_wake_clear(engine, &engine->sweeping->wake);
}

void
ql_orphans_free(struct ql_engine *engine)
{
	if (engine->sweeping)
		free(engine->sweeping->known);
	free(engine->sweeping);
}
