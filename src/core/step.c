#include "core/step.h"

#include "core/move.h"

const struct ql_policy ql_policy_default = {
	.retry_ms = 1000,
	.start_ms = 30 * 1000,
	.prove_ms = 10 * 1000,
	.salvage_ms = 2 * 1000,
	.watch_ms = 60 * 1000,
	.second_look_ms = 2 * 1000,
};

typedef enum ql_verdict hear_fn(struct ql_move *move);

static hear_fn *const hearers[QL_EVENT_COUNT] = {
	[QL_EVENT_SUBMIT] = ql_hear_submit,
	[QL_EVENT_ADOPT] = ql_hear_adopt,
	[QL_EVENT_CLAIM] = ql_hear_claim,
	[QL_EVENT_CANCEL] = ql_hear_cancel,
	[QL_EVENT_RESTORE] = ql_hear_restore,
	[QL_EVENT_RESUME] = ql_hear_resume,
	[QL_EVENT_TIME] = ql_hear_time,
	[QL_EVENT_DELIVERED] = ql_hear_delivered,
	[QL_EVENT_UNREACHABLE] = ql_hear_unreachable,
	[QL_EVENT_REMOVED] = ql_hear_removed,
	[QL_EVENT_NOT_QUEUED] = ql_hear_not_queued,
	[QL_EVENT_HELD] = ql_hear_held,
	[QL_EVENT_RUNNING] = ql_hear_running,
	[QL_EVENT_EXITED] = ql_hear_exited,
	[QL_EVENT_RETRIED] = ql_hear_retried,
	[QL_EVENT_GONE] = ql_hear_gone,
	[QL_EVENT_STUCK] = ql_hear_stuck,
	[QL_EVENT_LOST] = ql_hear_lost,
	[QL_EVENT_ABSENT] = ql_hear_absent,
	[QL_EVENT_FAILED_START] = ql_hear_failed_start,
	[QL_EVENT_BOXED] = ql_hear_boxed,
	[QL_EVENT_SALVAGED] = ql_hear_salvaged,
};

/* For the decisions that leave everything as it goes. */
static const char *
waits_for(const struct ql_state *state)
{
	for (int i = 0; state->status == QL_STATUS_RUNNING && i < QL_RUNS; i++) {
		if (ql_run_is_asked(&state->runs[i]))
			return "the attempt goes on";
	}
	if (state->salvage_until)
		return "waiting for its salvage";
	if (ql_state_open(state))
		return "waiting for the proof that nothing is left";
	return state->retry_at ? "its record can go" : "it is over";
}

/* What follows from the decision by itself; a refused or ignored event leaves no trace. */
static void
finish(struct ql_move *move)
{
	struct ql_decision *decision = move->decision;
	if (decision->verdict == QL_VERDICT_DONE) {
		ql_settle(move);
		ql_again_arm(move);
		if (!move->what_said)
			ql_what(move, "%s", waits_for(move->next));
	} else {
		decision->next = *move->was;
	}
	if (!ql_verdict_makes_row(decision->verdict))
		decision->act_count = 0;
	for (int i = 0; i < decision->act_count; i++) {
		decision->acts[i].epoch = decision->next.epoch;
		decision->acts[i].boxes = ql_seek_boxes(move, &decision->acts[i]);
	}
}

void
ql_step(const struct ql_state *state, const struct ql_policy *policy, const struct ql_event *event,
	struct ql_decision *ret_decision)
{
	struct ql_move move = {.was = state,
		.policy = policy,
		.event = event,
		.decision = ret_decision,
		.next = &ret_decision->next};
	ret_decision->next = *state;
	ret_decision->act_count = 0;
	ret_decision->why[0] = 0;
	ret_decision->verdict = hearers[event->kind](&move);
	finish(&move);
}
