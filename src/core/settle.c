/*
 * How an attempt ends: salvage of what a run left, the settlement from evidence, and the runtime's
 * own record dropped at last.
 */
#include <stddef.h>

#include "core/move.h"

/* ---- the result of the attempt, from the rulings on its runs ---- */

/* A known exit by itself comes first, then a stop, then what only says that it did not end well. */
static int
weight(const struct ql_run *run, const struct ql_ruling *ruling)
{
	bool finish = ruling->outcome == QL_OUTCOME_FINISHED_FIRST;
	if (ruling->outcome == QL_OUTCOME_DISCARDED)
		return 2;
	if (!finish)
		return 4;
	if (run->flags & QL_RUN_UNSTARTED)
		return 1;
	return run->flags & QL_RUN_LOST ? 3 : 5;
}

static bool
beats(const struct ql_run *run, const struct ql_run *best)
{
	if (!best)
		return true;
	struct ql_ruling ruling = ql_race_judge(run), other = ql_race_judge(best);
	int mine = weight(run, &ruling), its = weight(best, &other);
	if (mine != its)
		return mine > its;
	if (ruling.outcome != other.outcome)
		return ruling.outcome > other.outcome;
	return run->exited_at < best->exited_at;
}

/* The run whose end is the attempt's, or NULL while none has ended. */
static const struct ql_run *
result_of(const struct ql_state *state)
{
	const struct ql_run *best = NULL;
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &state->runs[i];
		if (run->flags & QL_RUN_REPORTED && beats(run, best))
			best = run;
	}
	return best;
}

static bool
is_finish(const struct ql_run *run)
{
	struct ql_ruling ruling = ql_race_judge(run);
	return ruling.outcome == QL_OUTCOME_FINISHED_FIRST;
}

/* Its program may still run, or may have ended in a way that nobody has told yet. */
static bool
is_unresolved(const struct ql_run *run)
{
	if (run->phase == QL_PHASE_GONE)
		return !(run->flags & QL_RUN_REPORTED);
	if (!ql_run_is_open(run) || run->phase == QL_PHASE_EXITED)
		return false;
	return run->released_at || !run->killed_at;
}

static bool
someone(const struct ql_state *state, bool (*is_so)(const struct ql_run *run))
{
	for (int i = 0; i < QL_RUNS; i++) {
		if (is_so(&state->runs[i]))
			return true;
	}
	return false;
}

/* ---- salvage ---- */

static bool
another_is_kept(const struct ql_state *state, const struct ql_run *run)
{
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *other = &state->runs[i];
		if (other != run && other->flags & QL_RUN_SALVAGING && is_finish(other))
			return true;
	}
	return false;
}

/* A kill is answered first; what it left is kept after. */
static bool
wants_salvage(const struct ql_state *state, const struct ql_run *run)
{
	bool ended = run->phase == QL_PHASE_EXITED || run->phase == QL_PHASE_GONE;
	if (!ended || !(run->flags & QL_RUN_REPORTED) ||
		run->flags & (QL_RUN_UNSTARTED | QL_RUN_SALVAGING))
		return false;
	bool settled = ql_status_settled((enum ql_status)state->status);
	if (state->cancel.mode == QL_MODE_KILL && !settled && !is_finish(run))
		return false;
	return !another_is_kept(state, run);
}

static void
start_salvage(struct ql_move *move)
{
	struct ql_state *next = move->next;
	char span[QL_SPAN];
	for (int i = 0; i < QL_RUNS; i++) {
		struct ql_run *run = &next->runs[i];
		if (!wants_salvage(next, run))
			continue;
		run->flags |= QL_RUN_SALVAGING;
		next->salvage_until = move->event->now + move->policy->salvage_ms;
		next->retry_at = 0;
		next->tries = 0;
		ql_move_act(move, QL_ACT_SALVAGE, run);
		ql_what(move, "salvage within %s", ql_explain_span(move->policy->salvage_ms, span));
	}
}

/* ---- settlement ---- */

static void
close_attempt(struct ql_move *move, enum ql_status status, enum ql_cause cause)
{
	struct ql_state *next = move->next;
	next->status = (int32_t)status;
	next->cause = (int32_t)cause;
	next->finished_at = move->event->now;
	next->run_until = 0;
	next->tries = 0;
	next->retry_at = 0;
	if (!next->cancel.requested_at)
		return;
	next->cancel.settled_at = move->event->now;
	next->cancel.next_at = 0;
}

/* Of what had containers that ran it is not said that it never did. */
static enum ql_outcome
outcome_of_all(const struct ql_state *state, enum ql_outcome outcome)
{
	bool never = outcome == QL_OUTCOME_REMOVED || outcome == QL_OUTCOME_DISCARDED;
	return never && state->boxed_at ? QL_OUTCOME_KILLED : outcome;
}

void
ql_settle_cancelled(struct ql_move *move, enum ql_outcome outcome)
{
	struct ql_cancel *cancel = &move->next->cancel;
	outcome = outcome_of_all(move->next, outcome);
	if (!cancel->stopped_at)
		cancel->stopped_at = move->event->now;
	cancel->outcome = (int32_t)outcome;
	cancel->evidence = cancel->unasked ? QL_EVIDENCE_EXITED : QL_EVIDENCE_VERIFIED;
	close_attempt(move, QL_STATUS_CANCELLED, (enum ql_cause)cancel->cause);
	ql_what(move, "%s: %s", ql_status_word(QL_STATUS_CANCELLED), ql_outcome_sentence(outcome));
}

void
ql_settle_unconfirmed(struct ql_move *move)
{
	struct ql_state *next = move->next;
	next->status = QL_STATUS_UNCONFIRMED;
	next->cause = next->cancel.requested_at ? next->cancel.cause : QL_CAUSE_LOST;
	next->run_until = 0;
	next->tries = 0;
	next->retry_at = 0;
	if (next->cancel.requested_at) {
		next->cancel.settled_at = move->event->now;
		next->cancel.next_at = 0;
		next->cancel.outcome = QL_OUTCOME_UNCONFIRMED;
	}
	ql_what(move, "%s: %s", ql_status_word(QL_STATUS_UNCONFIRMED),
		ql_outcome_sentence(QL_OUTCOME_UNCONFIRMED));
}

static void
settle_finish(struct ql_move *move, const struct ql_run *result, const struct ql_ruling *ruling)
{
	struct ql_cancel *cancel = &move->next->cancel;
	bool stopped = ql_state_stopping(move->next);
	if (stopped)
		cancel->outcome = QL_OUTCOME_FINISHED_FIRST;
	close_attempt(move, ruling->status, ruling->cause);
	ql_what(move, "%s", ql_status_word(ruling->status));
	if (ruling->cause)
		ql_say(move, ": %s",
			result->flags & QL_RUN_UNSTARTED ? ruling->sentence
							 : ql_cause_sentence(ruling->cause));
	if (stopped)
		ql_say(move, "; the stop: %s", ql_outcome_sentence(QL_OUTCOME_FINISHED_FIRST));
}

/* A stop needs proof that nothing is left; what finished by itself does not wait for that. */
static bool
may_settle(const struct ql_move *move, const struct ql_run *result)
{
	const struct ql_state *state = move->next;
	if (!result || someone(state, is_unresolved))
		return false;
	bool finish = is_finish(result) && !(result->flags & QL_RUN_UNSTARTED);
	if (state->again_at && !finish && ql_state_stopping(state))
		return false; /* its message may make one more run */
	if (finish)
		return !state->salvage_until;
	if (ql_state_open(state) || ql_move_is_uncounted(move, state))
		return false;
	return state->cancel.mode == QL_MODE_KILL || !state->salvage_until;
}

static void
settle(struct ql_move *move)
{
	struct ql_state *next = move->next;
	const struct ql_run *result = result_of(next);
	if (ql_status_settled((enum ql_status)next->status) || !may_settle(move, result))
		return;
	struct ql_ruling ruling = ql_race_judge(result);
	next->exit_code = result->exit_code;
	next->exit_signal = result->exit_signal;
	if (ruling.status == QL_STATUS_CANCELLED && next->cancel.requested_at) {
		ql_settle_cancelled(move, ruling.outcome);
		return;
	}
	if (ruling.status == QL_STATUS_CANCELLED && result->flags & QL_RUN_REVOKED) {
		close_attempt(move, QL_STATUS_CANCELLED, QL_CAUSE_USER);
		ql_what(move, "%s: %s", ql_status_word(QL_STATUS_CANCELLED), ruling.sentence);
		return;
	}
	if (ruling.status == QL_STATUS_CANCELLED) { /* its start was given up, and yet it ran */
		ruling.status = QL_STATUS_FAILED;
		ruling.cause = QL_CAUSE_LOST;
	}
	settle_finish(move, result, &ruling);
}

/* ---- what follows an exit ---- */

/* It was never let go, and its kill is not proven. */
static bool
is_held_back(const struct ql_run *run)
{
	return ql_run_is_open(run) && run->phase != QL_PHASE_EXITED && !ql_run_is_asked(run);
}

/* Nobody is left to be asked: on to the kill of what is held, or to keeping what was left. */
static void
follow_asking(struct ql_move *move)
{
	struct ql_state *next = move->next;
	if (someone(next, is_held_back))
		ql_ladder_go(move, QL_RUNG_KILL);
	else if (next->salvage_until)
		ql_ladder_go(move, QL_RUNG_SALVAGE);
	else if (ql_state_open(next))
		ql_ladder_go(move, QL_RUNG_REAP);
}

/* A run has ended: from asking it to stop, on to keeping what it left and to the proof. */
static void
follow(struct ql_move *move)
{
	struct ql_state *next = move->next;
	struct ql_cancel *cancel = &next->cancel;
	bool open = ql_state_open(next);
	if (ql_move_is_uncounted(move, next) && !ql_move_is_uncounted(move, move->was))
		ql_seek_others(move);
	if (next->status != QL_STATUS_CANCELLING || ql_move_is_adrift(move) ||
		someone(next, ql_run_is_asked))
		return;
	if (!open && someone(next, is_unresolved))
		cancel->next_at = 0; /* all is gone; only how it ended is not told */
	else if (cancel->rung < QL_RUNG_KILL) /* REMOVE too: its end may be all that was seen */
		follow_asking(move);
	else if (cancel->rung == QL_RUNG_KILL && !open && next->salvage_until) {
		cancel->rung = QL_RUNG_SALVAGE;
		cancel->next_at = 0; /* the salvage has a deadline of its own */
	} else if (cancel->rung == QL_RUNG_SALVAGE && !next->salvage_until) {
		cancel->rung = QL_RUNG_REAP;
	}
	if (open && cancel->rung > QL_RUNG_KILL && !cancel->next_at) /* of a run met since */
		cancel->next_at = move->event->now + move->policy->prove_ms;
}

/* None of its runs is left but its message is: that is waited for, or taken out under a stop. */
static void
come_again(struct ql_move *move)
{
	struct ql_state *next = move->next;
	bool was_free = move->was->again_at && !ql_state_open(move->was);
	if (!next->again_at || ql_state_open(next) || was_free ||
		ql_status_settled((enum ql_status)next->status))
		return;
	if (ql_state_stopping(next)) {
		ql_ladder_take_out(move);
		return;
	}
	if (next->status == QL_STATUS_RUNNING) /* both were kept: the next run has its own */
		next->queue_until = next->run_until = 0;
	next->status = QL_STATUS_QUEUED;
	ql_what(move, "queued for its next delivery");
}

bool
ql_settle_forgettable(const struct ql_state *state, const struct ql_run *run)
{
	return ql_status_settled((enum ql_status)state->status) && !state->salvage_until &&
	       run->phase == QL_PHASE_GONE && !(run->flags & QL_RUN_FORGOTTEN);
}

static void
forget(struct ql_move *move)
{
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &move->next->runs[i];
		if (!ql_settle_forgettable(move->next, run) ||
			ql_settle_forgettable(move->was, &move->was->runs[i]))
			continue;
		ql_move_act(move, QL_ACT_FORGET, run);
		move->next->retry_at = 0;
		move->next->tries = 0;
	}
}

void
ql_settle(struct ql_move *move)
{
	start_salvage(move);
	settle(move);
	start_salvage(move);
	come_again(move);
	follow(move);
	forget(move);
}
