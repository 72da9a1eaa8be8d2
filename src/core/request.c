/* What people and policies ask for, and the runner's claim. */
#include <inttypes.h>

#include "core/move.h"

/* The next attempt, whose message Quell sends itself where the queue is a broker's. */
static void
queue(struct ql_move *move)
{
	ql_move_attempt(move);
	if (move->policy->remote_broker)
		ql_move_act_on(move, QL_ACT_ENQUEUE, 0);
}

enum ql_verdict
ql_hear_submit(struct ql_move *move)
{
	const struct ql_event *event = move->event;
	struct ql_state *next = move->next;
	ql_say(move, "submitted");
	if (move->was->attempt) {
		ql_what(move, "refused: it exists");
		return QL_VERDICT_REFUSED;
	}
	next->created_at = event->now;
	next->queue_ttl_ms = event->queue_ttl_ms;
	next->timeout_ms = event->timeout_ms;
	next->grace_ms = event->grace_ms;
	queue(move);
	ql_what(move, "queued as attempt 1");
	return QL_VERDICT_DONE;
}

/* It may go on but for its runtime's record, which nobody needs any more. */
static bool
is_over(const struct ql_state *state)
{
	return ql_status_settled((enum ql_status)state->status) && !ql_state_open(state) &&
	       !state->salvage_until;
}

/* Its producer sent it once more: it was found, and is a run of its own. */
static enum ql_verdict
adopt_again(struct ql_move *move)
{
	struct ql_state *next = move->next;
	ql_move_attempt(move);
	next->enqueued_at = move->event->now;
	next->seen = 1;
	ql_what(move, "queued as attempt %" PRId32, next->attempt);
	return QL_VERDICT_DONE;
}

/* Its message is another producer's, and may not be there yet: nobody sends one. */
enum ql_verdict
ql_hear_adopt(struct ql_move *move)
{
	const struct ql_event *event = move->event;
	struct ql_state *next = move->next;
	ql_say(move, "another producer's task is taken up");
	if (move->was->adopted && is_over(move->was))
		return adopt_again(move);
	if (move->was->attempt || !move->policy->remote_broker) {
		ql_what(move, "refused: %s",
			move->was->attempt ? "it exists" : "the queue is the store's own");
		return QL_VERDICT_REFUSED;
	}
	next->created_at = event->now;
	next->grace_ms = event->grace_ms;
	next->adopted = 1;
	ql_move_attempt(move);
	next->enqueued_at = event->now;
	next->absent_at = event->absent_at;
	next->ahead_until = event->ahead_ms ? event->now + event->ahead_ms : 0;
	ql_what(move, "queued as attempt 1");
	return QL_VERDICT_DONE;
}

enum ql_verdict
ql_hear_claim(struct ql_move *move)
{
	struct ql_state *next = move->next;
	ql_say(move, "slot %" PRId32 " is free", move->event->slot);
	if (next->status != QL_STATUS_QUEUED || ql_state_open(next)) {
		ql_what(move, "not started: it is %s%s",
			ql_status_word((enum ql_status)next->status),
			ql_state_open(next) ? " and claimed" : "");
		return QL_VERDICT_REFUSED;
	}
	if (next->enqueued_at || move->policy->remote_broker) {
		ql_what(move, "not started: its message is a broker's");
		return QL_VERDICT_REFUSED;
	}
	struct ql_run *run = ql_move_take(move, QL_PHASE_CLAIMED, move->event->slot);
	if (!run) {
		ql_what(move, "not started: all of its %d places for runs are taken", QL_RUNS);
		return QL_VERDICT_REFUSED;
	}
	next->epoch++;
	next->tries = 0;
	next->retry_at = 0;
	ql_move_act(move, QL_ACT_START, run);
	move->decision->acts[move->decision->act_count - 1].slot = run->slot;
	ql_what(move, "start, held");
	return QL_VERDICT_DONE;
}

/* ---- cancel ---- */

static void
say_request(struct ql_move *move)
{
	const char *mode = ql_mode_word(move->event->mode);
	if (move->event->cause == QL_CAUSE_USER)
		ql_say(move, "user asks to %s", mode);
	else
		ql_say(move, "%s: %s", ql_cause_sentence(move->event->cause), mode);
	bool claimed = move->was->status == QL_STATUS_QUEUED && ql_state_open(move->was);
	if (claimed && move->policy->remote_broker)
		ql_say(move, "; it is held by a worker");
	else
		ql_say(move, "; it is %s%s", ql_status_word((enum ql_status)move->was->status),
			claimed ? ", claimed and not released" : "");
}

static enum ql_verdict
cancel_settled(struct ql_move *move)
{
	if (move->was->status == QL_STATUS_CANCELLED) {
		ql_what(move, "nothing to do: it was cancelled before");
		return QL_VERDICT_ALREADY;
	}
	ql_what(move, "nothing to stop");
	return QL_VERDICT_FINISHED;
}

enum ql_verdict
ql_hear_cancel(struct ql_move *move)
{
	const struct ql_event *event = move->event;
	struct ql_stop_request request = {.mode = event->mode,
		.top = event->top,
		.cause = event->cause,
		.grace_ms = event->grace_ms};
	say_request(move);
	if (event->attempt && event->attempt != move->was->attempt) {
		ql_what(move, "refused: attempt %" PRId32 " is the current one, not %" PRId32,
			move->was->attempt, event->attempt);
		return QL_VERDICT_FENCED;
	}
	if (ql_status_settled((enum ql_status)move->was->status))
		return cancel_settled(move);
	if (ql_state_stopping(move->was))
		return ql_ladder_join(move, &request);
	ql_ladder_begin(move, &request);
	return QL_VERDICT_DONE;
}

/* ---- restore, resume ---- */

static enum ql_verdict
refuse(struct ql_move *move, const char *needs)
{
	ql_what(move, "refused: %s", needs);
	return QL_VERDICT_REFUSED;
}

static bool
never_started(const struct ql_state *state)
{
	return state->cancel.outcome == QL_OUTCOME_REMOVED ||
	       state->cancel.outcome == QL_OUTCOME_DISCARDED;
}

static enum ql_verdict
next_attempt(struct ql_move *move, const char *how)
{
	queue(move);
	ql_what(move, "queued again as attempt %" PRId32 "%s", move->next->attempt, how);
	return QL_VERDICT_DONE;
}

enum ql_verdict
ql_hear_restore(struct ql_move *move)
{
	const struct ql_state *was = move->was;
	const char *status = ql_status_word((enum ql_status)was->status);
	ql_say(move, "user asks to restore; it is %s", status);
	if (!never_started(was))
		return refuse(move,
			was->status == QL_STATUS_CANCELLED
				? "it had started; resume runs it again"
				: "only what was cancelled before it started can be restored");
	if (!is_over(was))
		return refuse(move, "its last run is not over yet; try again in a moment");
	return next_attempt(move, "");
}

enum ql_verdict
ql_hear_resume(struct ql_move *move)
{
	const struct ql_state *was = move->was;
	const char *status = ql_status_word((enum ql_status)was->status);
	ql_say(move, "user asks to resume; it is %s", status);
	if (never_started(was))
		return refuse(move, "it never started; restore brings it back");
	if (was->status == QL_STATUS_SUCCEEDED)
		return refuse(move, "it succeeded; submit it again under another id");
	if (!ql_status_settled((enum ql_status)was->status))
		return refuse(move, "it must be cancelled or failed first");
	if (!is_over(was))
		return refuse(move, "its last run is not over yet; try again in a moment");
	return next_attempt(
		move, was->checkpoint_at ? ", from its checkpoint" : "; it left no checkpoint");
}
