/* Counts what became durable, for /metrics. */
#include "engine/private.h"

#include <stddef.h>
#include <string.h>

/* Who asks for stops, by what stands before the colon of an actor. */
static const char *
actor_kind(const char *actor)
{
	static const char *const kinds[] = {
		"user", "operator", "admin", "task", "session", "batch", "policy", "quell"};
	size_t len = actor ? strcspn(actor, ":") : 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strlen(kinds[i]) == len && !strncmp(kinds[i], actor, len))
			return kinds[i];
	}
	return QL_METER_OTHER;
}

/* The rule that asked: a policy by its name, or one of the server's own; NULL for people. */
static const char *
policy_name(const struct ql_record *record)
{
	static const char *const rules[] = {"quell:", "policy:"};
	const char *actor = record->actor ? record->actor : "";
	if (record->state.cancel.cause == QL_CAUSE_SUPERSEDED)
		return ql_cause_word(QL_CAUSE_SUPERSEDED);
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		if (!strncmp(actor, rules[i], strlen(rules[i])))
			return actor + strlen(rules[i]);
	}
	return NULL;
}

/* used_us: by the whole run; -1 = not known, and then nothing is estimated. */
static void
count_waste(
	struct ql_engine *engine, const struct ql_record *record, int64_t used_us, int64_t burnt_us)
{
	struct ql_meter *meter = engine->config.meter;
	const char *runtime = record->runtime;
	int64_t saved_us = -1;
	if (used_us >= 0 && record->state.cancel.cause != QL_CAUSE_TIMEOUT)
		saved_us = ql_waste_saved(&engine->waste, record->language, used_us);
	if (used_us >= 0)
		ql_meter_add(
			meter, QL_METRIC_CPU_BURNT, QL_LABELS(runtime), (double)burnt_us / 1e6);
	if (saved_us >= 0)
		ql_meter_add(
			meter, QL_METRIC_CPU_SAVED, QL_LABELS(runtime), (double)saved_us / 1e6);
	ql_meter_add(meter, QL_METRIC_STOPS_METERED,
		QL_LABELS(used_us >= 0 ? "known" : "unknown", saved_us >= 0 ? "known" : "unknown"),
		1);
}

void
ql_tally_gone(struct ql_engine *engine, const struct ql_state *was, const struct ql_record *record,
	const struct ql_sighting *sighting)
{
	const struct ql_state *is = &record->state;
	const struct ql_run *run = ql_run_over(was, is, sighting);
	if (!run)
		return;
	bool finished = !is->cancel.requested_at || is->cancel.outcome == QL_OUTCOME_FINISHED_FIRST;
	if (!finished)
		count_waste(engine, record, sighting->cpu_us ? sighting->cpu_us : -1,
			sighting->cpu_burnt_us);
	else if (sighting->cpu_us && !(run->flags & QL_RUN_UNSTARTED))
		ql_waste_finished(&engine->waste, record->language, sighting->cpu_us);
}

static void
count_outcome(struct ql_engine *engine, const struct ql_record *record)
{
	struct ql_meter *meter = engine->config.meter;
	const struct ql_cancel *cancel = &record->state.cancel;
	enum ql_outcome outcome = (enum ql_outcome)cancel->outcome;
	enum ql_rung rung = ql_outcome_rung(outcome);
	int64_t stopped_at = cancel->stopped_at ? cancel->stopped_at : cancel->settled_at;
	ql_meter_add(meter, QL_METRIC_CANCELLATIONS,
		QL_LABELS(ql_mode_word((enum ql_mode)cancel->mode), ql_outcome_word(outcome),
			actor_kind(record->actor), policy_name(record)),
		1);
	if (rung != QL_RUNG_NONE)
		ql_meter_observe(meter, QL_METRIC_STOP,
			QL_LABELS(ql_rung_word(rung), record->runtime),
			(double)(stopped_at - cancel->requested_at) / 1000);
	if (outcome == QL_OUTCOME_REMOVED)
		count_waste(engine, record, 0, 0);
}

void
ql_tally_changed(
	struct ql_engine *engine, const struct ql_state *was, const struct ql_record *record)
{
	struct ql_meter *meter = engine->config.meter;
	const struct ql_state *is = &record->state;
	bool same = was && was->attempt == is->attempt;
	engine->submitted += !was;
	int32_t outcome = same ? was->cancel.outcome : QL_OUTCOME_NONE;
	if (is->cancel.outcome != QL_OUTCOME_NONE && is->cancel.outcome != outcome)
		count_outcome(engine, record);
	if (ql_settles(was, is))
		ql_meter_add(meter, QL_METRIC_ATTEMPTS,
			QL_LABELS(ql_status_word((enum ql_status)is->status),
				ql_cause_word((enum ql_cause)is->cause)),
			1);
}

void
ql_tally_commit(struct ql_engine *engine, const struct batch *batch, bool failed)
{
	struct ql_meter *meter = engine->config.meter;
	if (failed) {
		ql_meter_add(meter, QL_METRIC_COMMITS_FAILED, QL_NO_LABELS, 1);
		return;
	}
	ql_meter_observe(meter, QL_METRIC_COMMIT, QL_NO_LABELS,
		(double)(uv_hrtime() - batch->begun_ns) / 1e9);
	ql_meter_add(meter, QL_METRIC_CHANGES, QL_NO_LABELS, (double)batch->count);
}

void
ql_tally_refusal(struct ql_engine *engine, const struct ql_err *err)
{
	ql_meter_add(
		engine->config.meter, QL_METRIC_REFUSALS, QL_LABELS(ql_code_name(err->code)), 1);
}

void
ql_tally_act(struct ql_engine *engine, const struct ql_runtime_op *op)
{
	ql_meter_add(engine->config.meter, QL_METRIC_ACTS_FAILED,
		QL_LABELS(ql_act_word(op->kind), ql_code_name(op->err.code)), 1);
}

void
ql_tally_orphan(struct ql_engine *engine, enum ql_metric metric, enum ql_orphan_kind kind)
{
	ql_meter_add(engine->config.meter, metric, QL_LABELS(ql_orphan_kind_word(kind)), 1);
}

/* What an alert looks for the first of must be there before it. */
void
ql_tally_start(struct ql_engine *engine)
{
	static const enum ql_metric orphans[] = {
		QL_METRIC_ORPHANS_FOUND, QL_METRIC_ORPHANS_REAPED, QL_METRIC_ORPHANS_STUCK};
	static const char *const messages[] = {"delivered", "failed", "given_up", "dropped"};
	for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++)
		ql_meter_add(
			engine->config.meter, QL_METRIC_HOOK_MESSAGES, QL_LABELS(messages[i]), 0);
	for (size_t i = 0; i < sizeof(orphans) / sizeof(*orphans); i++) {
		for (int kind = 0; kind < QL_ORPHAN_KINDS; kind++)
			ql_meter_add(engine->config.meter, orphans[i],
				QL_LABELS(ql_orphan_kind_word((enum ql_orphan_kind)kind)), 0);
	}
}

void
ql_engine_census(const struct ql_engine *engine, struct ql_census *ret_census)
{
	struct ql_live *live, *next;
	*ret_census = (struct ql_census){0};
	HASH_ITER (hh, engine->lives, live, next) {
		const struct ql_state *state = &live->durable;
		int64_t at = state->cancel.requested_at;
		ret_census->statuses[state->status] += live->loaded;
		if (state->status == QL_STATUS_CANCELLING &&
			(!ret_census->oldest_stop_at || at < ret_census->oldest_stop_at))
			ret_census->oldest_stop_at = at;
	}
}
