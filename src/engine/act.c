/*
 * Performs what was decided, at the place of execution, and feeds the answers back. An answer is a
 * promise: it becomes DELIVERED or UNREACHABLE and carries the act's epoch, so that a late one changes
 * nothing. But for what is prepared first (prepare.c), closing doesn't wait for them: the runtime and the
 * broker answer what is open when they close.
 */
#include "engine/acting.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "engine/bulk/bulk.h"

void
ql_acting_free(struct acting *act)
{
	struct ql_live *live =
		act->op.kind == QL_ACT_REMOVE ? ql_live_find(act->engine, act->eval_id) : NULL;
	if (live && live->taking == act)
		live->taking = NULL;
	if (act->op.kind == QL_ACT_REMOVE)
		ql_recall_looked(act->engine, act->eval_id);
	if (act->op.kind == QL_ACT_REMOVE && act->engine->removals-- == QL_BULK_REMOVALS)
		ql_bulks_room(act->engine);
	if (act->prepared)
		ql_prepared_free(act->prepared);
	free(act->reason);
	free(act->place);
	free(act);
}

/* Nobody but who has it in memory waits for an answer. */
static void
feed_answer(struct acting *act, int status)
{
	const struct ql_runtime_op *op = &act->op;
	struct ql_engine *engine = act->engine;
	struct ql_sighting answer = {
		.event =
			{
				.kind = status ? QL_EVENT_UNREACHABLE : QL_EVENT_DELIVERED,
				.incarnation = op->incarnation,
				.epoch = op->epoch,
				.answers = op->kind,
			},
		.eval_id = act->eval_id,
	};
	if (op->incarnation ? ql_live_of_run(engine, op->incarnation)
			    : ql_live_find(engine, act->eval_id))
		ql_sighted(engine, &answer);
}

static void
on_acted(struct ql_runtime_op *op, int status)
{
	struct acting *act = QL_OWNER(op, struct acting, op);
	struct ql_engine *engine = act->engine;
	if (status && op->incarnation)
		ql_engine_log(engine, "%s of run %016llx: %s", ql_act_word(op->kind),
			(unsigned long long)op->incarnation, op->err.text);
	else if (status)
		ql_engine_log(
			engine, "%s of %s: %s", ql_act_word(op->kind), act->task_id, op->err.text);
	if (status)
		ql_tally_act(engine, op);
	if (status && act->remote && op->kind == QL_ACT_INSPECT)
		ql_missed_incomplete(engine);
	feed_answer(act, status);
	ql_lane_leave(act);
	bool prepared = act->prepared != NULL;
	ql_acting_free(act);
	if (prepared)
		ql_engine_op_end(engine);
}

void
ql_acting_submit(struct acting *act)
{
	struct ql_broker *broker = act->engine->config.broker;
	struct ql_runtime *runtime = act->engine->config.runtime;
	bool waits = false;
	act->op.done = on_acted;
	act->op.timeout_ms = act->op.kind == QL_ACT_REMOVE ? QL_ENGINE_TAKE_MS : QL_ENGINE_ACT_MS;
	if (!act->lane && ql_lane_enter(act, &waits, &act->op.err))
		on_acted(&act->op, -1);
	else if (waits)
		return;
	else if (act->remote)
		broker->ops->act(broker, &act->op);
	else if (runtime)
		runtime->ops->act(runtime, &act->op);
	else
		on_acted(&act->op, ql_fail(&act->op.err, QL_E_UNAVAILABLE,
					   "this server has no runtime (--workers 0)"));
}

void
ql_acting_go(struct acting *act)
{
	enum ql_act_kind kind = act->op.kind;
	bool keeps = kind == QL_ACT_KILL || kind == QL_ACT_SALVAGE;
	if (ql_prepare_behind(act))
		return;
	if (act->remote && keeps && act->op.incarnation)
		ql_prepare_keep(act);
	else
		ql_acting_submit(act);
}

static int64_t
notice_deadline(const struct ql_state *state)
{
	return state->cancel.next_at ? state->cancel.next_at : state->run_until;
}

/* A run that took no slot of the local runner's is a worker's, and so is the task itself. */
static bool
is_remote(const struct ql_live *live, uint64_t incarnation)
{
	const struct ql_run *run = ql_state_run(&live->record.state, incarnation);
	return live->engine->config.broker && (!run || !incarnation || run->slot < 0);
}

/* One of which nothing is left counts too: what the broker keeps of the task's end may be of that one. */
static bool
has_twin(const struct ql_state *state, uint64_t incarnation)
{
	for (int i = 0; incarnation && i < QL_RUNS; i++) {
		const struct ql_run *run = &state->runs[i];
		if (run->incarnation && run->incarnation != incarnation && run->released_at)
			return true;
	}
	return false;
}

/* The strongest means that may have been tried on that run, by this server or one before it. */
static enum ql_rung
reached(const struct ql_state *state, uint64_t incarnation)
{
	const struct ql_run *run = ql_state_run(state, incarnation);
	if (!incarnation || !run || !ql_state_stopping(state))
		return QL_RUNG_NONE;
	if (run->killed_at)
		return QL_RUNG_KILL;
	bool signalled = run->flags & QL_RUN_SIGNALLED || state->cancel.rung == QL_RUNG_TERMINATE;
	return signalled ? QL_RUNG_TERMINATE : QL_RUNG_NONE;
}

static struct acting *
acting_new(struct ql_live *live, const struct ql_act *decided)
{
	const struct ql_record *record = &live->record;
	struct acting *act = calloc(1, sizeof(*act));
	if (!act)
		return NULL;
	act->engine = live->engine;
	act->remote = is_remote(live, decided->incarnation);
	ql_str_copy(act->eval_id, sizeof(act->eval_id), record->eval_id);
	ql_record_task_id(record, record->state.attempt, act->task_id);
	act->op = (struct ql_runtime_op){
		.kind = decided->kind,
		.incarnation = decided->incarnation,
		.epoch = decided->epoch,
		.eval_id = act->eval_id,
		.task_id = act->task_id,
		.attempt = record->state.attempt,
		.grace_ms = record->state.cancel.grace_ms,
		.once = !record->state.adopted,
		.settles = ql_state_stopping(&record->state) && !ql_state_has_run(&record->state),
		.boxes = decided->boxes,
		.sought = record->state.absent_at,
		.twin = has_twin(&record->state, decided->incarnation),
		.reached = reached(&record->state, decided->incarnation),
	};
	if (act->remote)
		act->place = ql_str_dup(ql_place_of(live->engine, decided->incarnation));
	act->op.place = act->place;
	if (decided->kind == QL_ACT_NOTICE) {
		act->reason = ql_str_dup(record->reason);
		act->op.notice.reason = act->reason;
		act->op.notice.deadline = notice_deadline(&record->state);
	}
	return act;
}

/* Its message is being taken out of the queue: a further look for it would find the same, later. */
static bool
is_being_taken(const struct ql_live *live, const struct ql_act *decided)
{
	bool looks = decided->kind == QL_ACT_REMOVE || decided->kind == QL_ACT_INSPECT;
	return looks && !decided->incarnation && live->taking &&
	       live->taking->op.epoch == decided->epoch;
}

void
ql_act(struct ql_live *live, const struct ql_act *decided)
{
	struct ql_engine *engine = live->engine;
	if (is_being_taken(live, decided))
		return;
	struct acting *act = acting_new(live, decided);
	if (!act) {
		ql_engine_log(engine, "out of memory: %s of %s is asked again later",
			ql_act_word(decided->kind), live->record.eval_id);
		return;
	}
	if (decided->kind == QL_ACT_REMOVE) {
		live->taking = act;
		engine->removals++;
	}
	if (decided->kind == QL_ACT_START || decided->kind == QL_ACT_ENQUEUE)
		ql_prepare(act, live, decided->slot);
	else
		ql_acting_go(act);
}

static void
on_purged(struct ql_runtime_op *op, int status)
{
	struct acting *act = QL_OWNER(op, struct acting, op);
	ql_engine_log(act->engine, "run %016llx has no record: %s",
		(unsigned long long)op->incarnation,
		status ? op->err.text : "nothing of it is left");
	ql_tally_orphan(act->engine, status ? QL_METRIC_ORPHANS_STUCK : QL_METRIC_ORPHANS_REAPED,
		QL_ORPHAN_RUN);
	ql_acting_free(act);
}

void
ql_purge(struct ql_engine *engine, uint64_t incarnation)
{
	struct ql_runtime *runtime = engine->config.runtime;
	struct acting *act = calloc(1, sizeof(*act));
	if (!runtime || !act) {
		free(act);
		return;
	}
	act->engine = engine;
	act->op.incarnation = incarnation;
	act->op.timeout_ms = QL_ENGINE_ACT_MS;
	act->op.done = on_purged;
	ql_tally_orphan(engine, QL_METRIC_ORPHANS_FOUND, QL_ORPHAN_RUN);
	runtime->ops->purge(runtime, &act->op);
}
