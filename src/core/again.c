/*
 * What is open, asked again. A lost request and a lost reply look the same: so an act is repeated
 * and looked after, by turns, with the same epoch, until there is evidence.
 */

#include "core/move.h"

#define SLOWEST 5 /* the pause between two repeats doubles after each pair, up to 2^5 retry_ms */

static enum ql_act_kind
rung_act(const struct ql_state *state, const struct ql_run *run)
{
	bool reached;
	switch ((enum ql_rung)state->cancel.rung) {
	case QL_RUNG_NOTICE:
		reached = run->flags & QL_RUN_NOTICED;
		break;
	case QL_RUNG_TERMINATE:
		reached = run->flags & QL_RUN_SIGNALLED;
		break;
	default:
		return QL_ACT_NONE;
	}
	if (!reached)
		return state->cancel.rung == QL_RUNG_NOTICE ? QL_ACT_NOTICE : QL_ACT_TERMINATE;
	/* A notice is not heard by what is still held: see which it is. */
	return run->phase == QL_PHASE_HELD ? QL_ACT_INSPECT : QL_ACT_NONE;
}

static bool
is_the_only_one(const struct ql_state *state, const struct ql_run *run)
{
	for (int i = 0; i < QL_RUNS; i++) {
		if (state->runs[i].incarnation && &state->runs[i] != run)
			return false;
	}
	return true;
}

/*
 * There is nothing to ask of it but whether it is still there: a worker begins what it holds in its
 * own time, or drops it, and may have begun it as another run; and what another producer sent has
 * no run deadline.
 */
static bool
is_watched(const struct ql_state *state, const struct ql_run *run)
{
	if (run->phase == QL_PHASE_HELD && !run->released_at)
		return run->killed_at ? run->flags & QL_RUN_WARNED : !is_the_only_one(state, run);
	return run->phase == QL_PHASE_RUNNING && run->slot < 0 && !run->killed_at &&
	       !state->run_until && !state->cancel.next_at && rung_act(state, run) == QL_ACT_NONE;
}

static enum ql_act_kind
alive_act(const struct ql_state *state, const struct ql_run *run)
{
	if (is_watched(state, run))
		return QL_ACT_INSPECT;
	if (run->killed_at)
		return QL_ACT_KILL;
	if (run->phase == QL_PHASE_CLAIMED)
		return QL_ACT_INSPECT;
	if (ql_state_stopping(state))
		return rung_act(state, run);
	return run->phase == QL_PHASE_HELD && run->released_at ? QL_ACT_RELEASE : QL_ACT_NONE;
}

/* The act that waits for evidence of this run, or NONE. */
static enum ql_act_kind
open_act(const struct ql_state *state, const struct ql_run *run)
{
	switch ((enum ql_phase)run->phase) {
	case QL_PHASE_CLAIMED:
	case QL_PHASE_HELD:
	case QL_PHASE_RUNNING:
		return alive_act(state, run);
	case QL_PHASE_EXITED:
		return run->killed_at ? QL_ACT_KILL : QL_ACT_INSPECT;
	case QL_PHASE_GONE:
		if (!(run->flags & QL_RUN_REPORTED))
			return QL_ACT_INSPECT;
		return ql_settle_forgettable(state, run) ? QL_ACT_FORGET : QL_ACT_NONE;
	default:
		return QL_ACT_NONE;
	}
}

static bool
is_salvaged(const struct ql_state *state, const struct ql_run *run)
{
	return state->salvage_until && run->flags & QL_RUN_SALVAGING &&
	       !(run->flags & QL_RUN_SALVAGED);
}

/* With no run of it open, what is open concerns the task: its message, or a run somewhere. */
static enum ql_act_kind
task_act(const struct ql_move *move, bool look)
{
	const struct ql_state *state = move->next;
	if (!move->policy->remote_broker || !ql_move_is_adrift(move))
		return QL_ACT_NONE;
	if (state->status == QL_STATUS_QUEUED)
		return state->enqueued_at ? QL_ACT_NONE : QL_ACT_ENQUEUE;
	if (!ql_state_stopping(state) || ql_seek_waits(state))
		return QL_ACT_NONE;
	bool remove = state->cancel.rung == QL_RUNG_REMOVE;
	return remove != look ? QL_ACT_REMOVE : QL_ACT_INSPECT;
}

static void
ask_run(struct ql_move *move, const struct ql_run *run, bool look)
{
	enum ql_act_kind act = open_act(move->next, run);
	if (act == QL_ACT_NONE)
		return;
	if (look && act != QL_ACT_FORGET)
		act = QL_ACT_INSPECT;
	if (act == QL_ACT_TERMINATE && !(run->flags & QL_RUN_NOTICED))
		ql_move_act(move, QL_ACT_NOTICE, run);
	ql_move_act(move, act, run);
}

bool
ql_again_ask(struct ql_move *move, bool look)
{
	enum ql_act_kind act = task_act(move, look);
	if (act != QL_ACT_NONE)
		ql_move_act_on(move, act, 0);
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &move->next->runs[i];
		ask_run(move, run, look);
		if (is_salvaged(move->next, run))
			ql_move_act(move, QL_ACT_SALVAGE, run);
	}
	return move->decision->act_count > 0;
}

/* ---- when ---- */

static void
earlier(int64_t *at, int64_t other)
{
	if (other && (!*at || other < *at))
		*at = other;
}

static int64_t
pause_ms(const struct ql_move *move)
{
	int pairs = move->next->tries / 2;
	return move->policy->retry_ms << (pairs < SLOWEST ? pairs : SLOWEST);
}

/* Not before `at` if that is still to come. */
static int64_t
until(const struct ql_move *move, int64_t at, int64_t otherwise)
{
	return at > move->event->now && at < otherwise ? at : otherwise;
}

static int64_t
run_again_at(const struct ql_move *move, const struct ql_run *run)
{
	const struct ql_state *state = move->next;
	const struct ql_policy *policy = move->policy;
	int64_t now = move->event->now;
	int64_t again = now + pause_ms(move);
	bool over = ql_status_settled((enum ql_status)state->status);
	bool stopping = ql_state_stopping(state);
	if (open_act(state, run) == QL_ACT_NONE)
		return is_salvaged(state, run) ? again : 0;
	if (run->phase == QL_PHASE_GONE)
		return run->flags & QL_RUN_REPORTED
			       ? again
			       : until(move, run->exited_at + policy->prove_ms, again);
	if (state->status == QL_STATUS_UNCONFIRMED || (over && run->killed_at) ||
		is_watched(state, run))
		return now + policy->watch_ms;
	if (run->phase == QL_PHASE_CLAIMED && !run->killed_at &&
		now < run->claimed_at + policy->start_ms)
		return run->claimed_at + policy->start_ms;
	if (!stopping && run->killed_at)
		return until(move, run->killed_at + policy->prove_ms, again);
	if (!stopping && run->phase == QL_PHASE_EXITED)
		return until(move, run->exited_at + policy->prove_ms, again);
	return again;
}

void
ql_again_arm(struct ql_move *move)
{
	struct ql_state *next = move->next;
	int64_t at = 0;
	for (int i = 0; i < QL_RUNS; i++)
		earlier(&at, run_again_at(move, &next->runs[i]));
	if (task_act(move, false) != QL_ACT_NONE)
		earlier(&at, next->status == QL_STATUS_UNCONFIRMED
				     ? move->event->now + move->policy->watch_ms
				     : move->event->now + pause_ms(move));
	if (!at) {
		next->retry_at = 0;
		next->tries = 0;
		return;
	}
	earlier(&next->retry_at, at);
}
