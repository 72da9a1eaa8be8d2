/*
 * A stopped task of which no run is open, and whose message is not in the queue: a worker may have
 * taken it a moment ago, its producer may not have sent it yet, or it is nowhere. One look can fall
 * into the moment between the queue and a worker's books, so two have to find nothing.
 *
 * Its worker may have died with it and left what the task had begun: containers, which run on. Where no run of it was
 * seen to its end, they are looked for before anything is said. A stop that may kill ends them; they hear no notice
 * and no SIGTERM, so no grace is waited for.
 */
#include <signal.h>

#include "core/move.h"

#define LAZIEST 32 /* watch_ms between two looks, at the most */

static enum ql_verdict
ignore(struct ql_move *move, const char *why)
{
	ql_say(move, "no trace of it: %s", why);
	ql_what(move, "nothing to do");
	return QL_VERDICT_IGNORED;
}

static void
look(struct ql_move *move, enum ql_rung rung)
{
	struct ql_state *next = move->next;
	next->epoch++;
	next->tries = 0;
	next->retry_at = 0;
	next->cancel.rung = (int32_t)rung;
	next->cancel.rung_at = move->event->now;
	next->cancel.next_at = next->status == QL_STATUS_UNCONFIRMED
				       ? 0
				       : move->event->now + move->policy->prove_ms;
	ql_move_act_on(move, QL_ACT_INSPECT, 0);
}

void
ql_seek(struct ql_move *move)
{
	look(move, ql_mode_first((enum ql_mode)move->next->cancel.mode));
	ql_what(move, "look for a run of it");
}

void
ql_seek_others(struct ql_move *move)
{
	look(move, QL_RUNG_REAP);
	ql_what(move, "look for another run of it");
}

bool
ql_seek_waits(const struct ql_state *state)
{
	const struct ql_cancel *cancel = &state->cancel;
	return state->absent_at && cancel->rung == QL_RUNG_REMOVE &&
	       cancel->rung_at == state->absent_at;
}

/* Its message may come into the queue meanwhile, so the next look begins there. */
static void
wait(struct ql_move *move, int64_t ms)
{
	struct ql_state *next = move->next;
	next->epoch++;
	next->tries = 0;
	next->retry_at = 0;
	next->absent_at = move->event->now;
	next->cancel.rung = QL_RUNG_REMOVE;
	next->cancel.rung_at = move->event->now;
	next->cancel.next_at = move->event->now + ms;
}

void
ql_seek_again(struct ql_move *move)
{
	char span[QL_SPAN];
	ql_explain_span(move->event->now - move->next->absent_at, span);
	ql_say(move, "no trace of it was found %s ago", span);
	ql_what(move, "look once more");
	ql_ladder_go(move, QL_RUNG_REMOVE);
}

/* Its producer may yet send it: the longer that lasts, the more seldom it is looked for. */
static enum ql_verdict
expect(struct ql_move *move)
{
	const struct ql_state *next = move->next;
	const int64_t watch_ms = move->policy->watch_ms;
	const int64_t second_look_ms = move->policy->second_look_ms;
	char span[QL_SPAN];
	int64_t now = move->event->now;
	int64_t left = next->ahead_until - now;
	int64_t pace = now - next->cancel.requested_at;
	if (pace < watch_ms)
		pace = watch_ms;
	if (pace > LAZIEST * watch_ms)
		pace = LAZIEST * watch_ms;
	if (pace > left)
		pace = left < second_look_ms ? second_look_ms : left;
	wait(move, pace);
	ql_what(move, "its tombstone lies for %s more", ql_explain_span(left, span));
	return QL_VERDICT_DONE;
}

static enum ql_verdict
conclude(struct ql_move *move)
{
	struct ql_state *next = move->next;
	if (next->adopted && !next->seen) {
		if (next->ahead_until > move->event->now)
			return expect(move);
		ql_what(move, "nobody knows of it");
		return QL_VERDICT_UNKNOWN;
	}
	next->again_at = 0;
	if (ql_move_has_no_run(move)) /* else the run that it had says how it was stopped */
		ql_settle_cancelled(move, QL_OUTCOME_DISCARDED);
	return QL_VERDICT_DONE;
}

/* Who says nothing may have a message of which no run was ever seen: that is no evidence. */
static enum ql_verdict
doubt(struct ql_move *move)
{
	struct ql_cancel *cancel = &move->next->cancel;
	int32_t unasked = move->event->unasked;
	if ((cancel->unasked & unasked) == unasked)
		return ignore(move, "not every place says what it has");
	cancel->unasked |= unasked;
	ql_say(move, "no trace of it anywhere, but a place does not say what it has");
	ql_what(move, "look again until it does");
	return QL_VERDICT_DONE;
}

/* What runs there were is known to be over: of a place that says nothing, `unasked` tells. */
static enum ql_verdict
count(struct ql_move *move)
{
	struct ql_cancel *cancel = &move->next->cancel;
	move->next->absent_at = move->event->now;
	cancel->unasked |= move->event->unasked;
	ql_say(move, move->event->unasked ? "no place that answers has another run of it"
					  : "no place has another run of it");
	return QL_VERDICT_DONE;
}

/* NULL: it is the answer to the look that is under way. */
static const char *
why_not(const struct ql_move *move)
{
	const struct ql_state *was = move->was;
	if (!ql_state_stopping(was) || !ql_move_is_adrift(move))
		return "it is not looked for";
	if (move->event->epoch != was->epoch || ql_seek_waits(was))
		return "an answer to an earlier epoch";
	return NULL;
}

enum ql_verdict
ql_seek_nowhere(struct ql_move *move)
{
	const struct ql_state *was = move->was;
	const int64_t apart = move->policy->second_look_ms;
	const char *why = why_not(move);
	char span[QL_SPAN];
	if (why)
		return ignore(move, why);
	if (!move->event->unasked)
		ql_move_all_asked(move);
	if (ql_move_is_uncounted(move, was))
		return count(move);
	if (move->event->unasked)
		return doubt(move);
	if (was->absent_at) {
		ql_say(move, "no trace of it anywhere, twice");
		return conclude(move);
	}
	wait(move, apart);
	ql_say(move, "no trace of it anywhere");
	ql_what(move, "look once more in %s", ql_explain_span(apart, span));
	return QL_VERDICT_DONE;
}

/* ---- containers that no run accounts for ---- */

/*
 * A run's own end is told once its containers are gone, and theirs are the task's. Of one that was lost, or was never
 * seen, nobody looked for them.
 */
static bool
may_have_left_some(const struct ql_state *state)
{
	bool looked = false;
	for (int i = 0; i < QL_RUNS; i++) {
		int32_t flags = state->runs[i].flags;
		if (flags & QL_RUN_LOST)
			return true;
		looked |= flags & QL_RUN_REPORTED && !(flags & QL_RUN_UNSTARTED);
	}
	return !looked;
}

enum ql_boxes
ql_seek_boxes(const struct ql_move *move, const struct ql_act *act)
{
	const struct ql_cancel *cancel = &move->next->cancel;
	bool kills = cancel->mode == QL_MODE_KILL || cancel->rung == QL_RUNG_KILL;
	if (act->incarnation || !ql_state_stopping(move->next))
		return QL_BOXES_LEAVE;
	if (act->kind == QL_ACT_REMOVE)
		return kills ? QL_BOXES_END : QL_BOXES_LEAVE;
	if (act->kind != QL_ACT_INSPECT || !may_have_left_some(move->next))
		return QL_BOXES_LEAVE;
	return kills ? QL_BOXES_END : QL_BOXES_FIND;
}

/* It was there, and began: whatever is said of it now, that it never ran is not. */
static void
remember(struct ql_move *move)
{
	struct ql_state *next = move->next;
	if (!next->boxed_at)
		next->boxed_at = move->event->now;
	if (!next->started_at)
		next->started_at = move->event->now;
	next->seen = 1;
}

static enum ql_verdict
ended(struct ql_move *move)
{
	struct ql_cancel *cancel = &move->next->cancel;
	remember(move);
	cancel->stopped_at = move->event->now;
	if (cancel->evidence < QL_EVIDENCE_EXITED)
		cancel->evidence = QL_EVIDENCE_EXITED;
	if (ql_move_has_no_run(move))
		move->next->exit_signal = SIGKILL;
	ql_say(move, "containers of it ran, of which no worker knows");
	ql_what(move, "they were ended");
	return QL_VERDICT_DONE;
}

enum ql_verdict
ql_seek_boxed(struct ql_move *move)
{
	const struct ql_state *was = move->was;
	const char *why = why_not(move);
	if (why)
		return ignore(move, why);
	if (move->event->flags & QL_RUN_BOXES_ENDED)
		return ended(move);
	/* a worker that says nothing may run it, and is asked first */
	bool may_kill = was->cancel.top >= QL_RUNG_KILL && !move->event->unasked;
	if (was->boxed_at && !was->absent_at && !may_kill)
		return ignore(move, "its containers run, as was known");
	remember(move);
	move->next->absent_at = 0;
	ql_say(move, "no trace of it anywhere but its containers, and these run");
	if (may_kill)
		ql_ladder_go(move, QL_RUNG_KILL);
	else
		ql_what(move, "look until they have ended: a kill ends them");
	return QL_VERDICT_DONE;
}
