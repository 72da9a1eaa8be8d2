/* The clock: which deadline has passed, or what is asked again after the server was away. */
#include <inttypes.h>
#include <stddef.h>

#include "core/move.h"

static bool
is_due(const struct ql_move *move, int64_t at)
{
	return at && at <= move->event->now;
}

static void
queue_is_over(struct ql_move *move)
{
	struct ql_stop_request request = {
		.mode = QL_MODE_CANCEL, .cause = QL_CAUSE_QUEUE_TTL, .grace_ms = -1};
	ql_say(move, "%s", ql_cause_sentence(QL_CAUSE_QUEUE_TTL));
	ql_ladder_begin(move, &request);
}

static void
salvage_is_over(struct ql_move *move)
{
	char span[QL_SPAN];
	move->next->salvage_until = 0;
	ql_say(move, "no salvage after %s", ql_explain_span(move->policy->salvage_ms, span));
	ql_what(move, "goes on without it");
}

/* Gone, and nobody can say how it ended. */
static bool
exit_is_untold(struct ql_move *move)
{
	bool any = false;
	for (int i = 0; i < QL_RUNS; i++) {
		struct ql_run *run = &move->next->runs[i];
		if (run->phase != QL_PHASE_GONE || run->flags & QL_RUN_REPORTED)
			continue;
		if (!is_due(move, run->exited_at + move->policy->prove_ms))
			continue;
		ql_move_ended(move, run, QL_PHASE_GONE, QL_RUN_LOST | QL_RUN_REPORTED);
		any = true;
	}
	if (any) {
		ql_say(move, "nothing is left, and nobody says how it ended");
		ql_what(move, "taken as lost");
	}
	return any;
}

/* Its start was asked for, looked after once, and it never came. */
static bool
start_is_over(struct ql_move *move, struct ql_run *run)
{
	char span[QL_SPAN];
	if (run->phase != QL_PHASE_CLAIMED || run->killed_at || !move->next->tries ||
		!is_due(move, run->claimed_at + move->policy->start_ms))
		return false;
	run->killed_at = move->event->now;
	move->next->epoch++;
	move->next->tries = 0;
	move->next->retry_at = 0;
	ql_say(move, "not held %s after its start", ql_explain_span(move->policy->start_ms, span));
	ql_what(move, "given up");
	ql_what(move, "kill whatever comes of it");
	ql_move_act(move, QL_ACT_KILL, run);
	return true;
}

/* Its program has exited by itself; a part of it stays. */
static bool
remains_are_over(struct ql_move *move, struct ql_run *run)
{
	char span[QL_SPAN];
	if (run->phase != QL_PHASE_EXITED || run->killed_at ||
		!is_due(move, run->exited_at + move->policy->prove_ms))
		return false;
	run->killed_at = move->event->now;
	move->next->epoch++;
	move->next->tries = 0;
	move->next->retry_at = 0;
	ql_say(move, "something of it is left %s after its exit",
		ql_explain_span(move->policy->prove_ms, span));
	ql_what(move, "kill what is left");
	ql_move_act(move, QL_ACT_KILL, run);
	return true;
}

static bool
run_is_overdue(struct ql_move *move)
{
	for (int i = 0; i < QL_RUNS; i++) {
		struct ql_run *run = &move->next->runs[i];
		if (start_is_over(move, run) || remains_are_over(move, run))
			return true;
	}
	return false;
}

/* Nothing but runs that were given up is left, and their end can't be proven. */
static bool
discard_is_over(struct ql_move *move)
{
	const struct ql_run *oldest = NULL;
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &move->next->runs[i];
		if (!ql_run_is_open(run))
			continue;
		if (!run->killed_at)
			return false;
		if (!oldest || run->killed_at < oldest->killed_at)
			oldest = run;
	}
	if (!oldest || !is_due(move, oldest->killed_at + move->policy->prove_ms))
		return false;
	char span[QL_SPAN];
	ql_say(move, "no proof %s after the kill", ql_explain_span(move->policy->prove_ms, span));
	ql_settle_unconfirmed(move);
	return true;
}

static enum ql_verdict
ask_again(struct ql_move *move)
{
	struct ql_state *next = move->next;
	bool look = next->tries % 2 == 0;
	ql_again_ask(move, look);
	next->tries++;
	next->retry_at = 0;
	ql_say(move, "no evidence yet");
	ql_what(move, "%s again (%" PRId32 ")", look ? "look" : "ask", next->tries);
	return QL_VERDICT_DONE;
}

static enum ql_verdict
retry_is_due(struct ql_move *move)
{
	bool settled = ql_status_settled((enum ql_status)move->next->status);
	bool unconfirmed = move->next->status == QL_STATUS_UNCONFIRMED;
	bool stopping = ql_state_stopping(move->next);
	if (exit_is_untold(move))
		return QL_VERDICT_DONE;
	if ((unconfirmed || !stopping) && run_is_overdue(move))
		return QL_VERDICT_DONE;
	if (!stopping && !settled && !unconfirmed && !move->next->salvage_until &&
		discard_is_over(move))
		return QL_VERDICT_DONE;
	return ask_again(move);
}

/* Early for every deadline: the server came back, and nobody knows what of the open acts was done. */
static enum ql_verdict
back(struct ql_move *move)
{
	if (!ql_again_ask(move, false)) {
		ql_say(move, "no deadline has passed");
		ql_what(move, "nothing to do");
		return QL_VERDICT_IGNORED;
	}
	ql_say(move, "the server came back");
	ql_what(move, "ask again for what is open");
	move->next->retry_at = 0;
	return QL_VERDICT_DONE;
}

enum ql_verdict
ql_hear_time(struct ql_move *move)
{
	const struct ql_state *was = move->was;
	bool runs = was->status == QL_STATUS_RUNNING || was->status == QL_STATUS_CANCELLING;
	if (was->status == QL_STATUS_QUEUED && is_due(move, was->queue_until))
		queue_is_over(move);
	else if (runs && is_due(move, was->run_until))
		ql_ladder_timeout(move);
	else if (is_due(move, was->salvage_until))
		salvage_is_over(move);
	else if (is_due(move, was->cancel.next_at))
		ql_ladder_climb(move);
	else if (is_due(move, was->retry_at))
		return retry_is_due(move);
	else
		return back(move);
	return QL_VERDICT_DONE;
}
