/* What the places of execution and the broker answer to an act: promises, not evidence. */

#include "core/move.h"

static enum ql_verdict
ignore(struct ql_move *move, const char *why)
{
	ql_say(move, "%s", why);
	ql_what(move, "nothing to do");
	return QL_VERDICT_IGNORED;
}

static bool
is_late(const struct ql_move *move)
{
	return move->event->epoch != move->was->epoch;
}

static void
took_over(struct ql_move *move)
{
	struct ql_cancel *cancel = &move->next->cancel;
	ql_say(move, "%s was taken over", ql_act_word(move->event->answers));
	if (ql_state_stopping(move->next) && cancel->evidence < QL_EVIDENCE_DELIVERED)
		cancel->evidence = QL_EVIDENCE_DELIVERED;
}

/* The grace counts from when the program could hear of it. */
static enum ql_verdict
asked(struct ql_move *move, int32_t flag, enum ql_rung rung)
{
	struct ql_cancel *cancel = &move->next->cancel;
	struct ql_run *run = ql_move_run(move);
	char span[QL_SPAN];
	if (!run || run->flags & flag || !ql_run_is_open(run) || !ql_state_stopping(move->next))
		return ignore(move, "an answer that changes nothing");
	run->flags |= flag;
	took_over(move);
	if (cancel->rung != (int32_t)rung || !cancel->next_at) {
		ql_what(move, "waiting for its end");
		return QL_VERDICT_DONE;
	}
	if (cancel->next_at < move->event->now + cancel->grace_ms)
		cancel->next_at = move->event->now + cancel->grace_ms;
	ql_what(move, "%s in %s unless it ends", ql_rung_word((enum ql_rung)(rung + 1)),
		ql_explain_span(cancel->next_at - move->event->now, span));
	return QL_VERDICT_DONE;
}

static enum ql_verdict
enqueued(struct ql_move *move)
{
	if (move->was->enqueued_at)
		return ignore(move, "an answer that changes nothing");
	move->next->enqueued_at = move->event->now;
	move->next->retry_at = 0;
	took_over(move);
	ql_what(move, "its message is in the queue");
	return QL_VERDICT_DONE;
}

/* It will not begin: but what a worker will do is a promise, and its proof comes when it does. */
static enum ql_verdict
warned(struct ql_move *move, struct ql_run *run)
{
	run->flags |= QL_RUN_WARNED;
	took_over(move);
	ql_what(move, "its worker will drop it");
	return QL_VERDICT_DONE;
}

static enum ql_verdict
killing(struct ql_move *move)
{
	struct ql_run *run = ql_move_run(move);
	if (run && ql_move_is_held_elsewhere(move, run) && !(run->flags & QL_RUN_WARNED))
		return warned(move, run);
	if (move->was->cancel.evidence >= QL_EVIDENCE_DELIVERED || !ql_state_stopping(move->was))
		return ignore(move, "an answer that changes nothing");
	took_over(move);
	ql_what(move, "waiting for the proof");
	return QL_VERDICT_DONE;
}

static enum ql_verdict
forgotten(struct ql_move *move)
{
	struct ql_run *run = ql_move_run(move);
	if (!run || !ql_settle_forgettable(move->next, run))
		return ignore(move, "an answer that changes nothing");
	run->flags |= QL_RUN_FORGOTTEN;
	took_over(move);
	ql_what(move, "it is over");
	return QL_VERDICT_DONE;
}

enum ql_verdict
ql_hear_delivered(struct ql_move *move)
{
	if (is_late(move))
		return ignore(move, "an answer to an earlier epoch");
	switch (move->event->answers) {
	case QL_ACT_ENQUEUE:
		return enqueued(move);
	case QL_ACT_NOTICE:
		return asked(move, QL_RUN_NOTICED, QL_RUNG_NOTICE);
	case QL_ACT_TERMINATE:
		return asked(move, QL_RUN_SIGNALLED, QL_RUNG_TERMINATE);
	case QL_ACT_KILL:
		return killing(move);
	case QL_ACT_FORGET:
		return forgotten(move);
	default:
		return ignore(move, "a promise, not evidence");
	}
}

enum ql_verdict
ql_hear_unreachable(struct ql_move *move)
{
	const struct ql_run *run = ql_move_run(move);
	if (is_late(move))
		return ignore(move, "an answer to an earlier epoch");
	if (move->event->answers != QL_ACT_START || !run || run->phase != QL_PHASE_CLAIMED)
		return ignore(move, "nothing is known; it is asked again in time");
	ql_say(move, "start got no answer, or a refusal: nothing is known");
	ql_what(move, "look whether it is there");
	ql_move_act(move, QL_ACT_INSPECT, run);
	return QL_VERDICT_DONE;
}

/* ---- the broker ---- */

enum ql_verdict
ql_hear_removed(struct ql_move *move)
{
	if (is_late(move))
		return ignore(move, "an answer to an earlier epoch");
	if (!ql_state_stopping(move->was) || !ql_move_is_adrift(move))
		return ignore(move, "a message was removed, and a run of it is known");
	ql_say(move, "its message was taken out of the queue");
	ql_move_seen(move);
	ql_move_all_asked(move);
	move->next->again_at = 0;
	bool runless = ql_move_has_no_run(move);
	if (runless && move->event->flags & QL_RUN_REDELIVERED) {
		ql_say(move, ", and a worker had had it before");
		if (move->was->cancel.rung == QL_RUNG_REMOVE)
			ql_seek(move);
		else /* as long as that was to take: what is removed once is told with each repeat */
			ql_what(move, "a run of it is looked for");
		return QL_VERDICT_DONE;
	}
	if (runless) /* else the run that it had says how it was stopped */
		ql_settle_cancelled(move, QL_OUTCOME_REMOVED);
	return QL_VERDICT_DONE;
}

enum ql_verdict
ql_hear_not_queued(struct ql_move *move)
{
	if (is_late(move))
		return ignore(move, "an answer to an earlier epoch");
	if (!ql_state_stopping(move->was) || !ql_move_is_adrift(move) ||
		move->was->cancel.rung != QL_RUNG_REMOVE)
		return ignore(move, "the queue does not have it: that proves nothing");
	ql_say(move, "its message is not in the queue, a worker may have it");
	ql_seek(move);
	return QL_VERDICT_DONE;
}
