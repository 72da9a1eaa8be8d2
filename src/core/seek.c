/*
 * A stopped task of which no run is open, and whose message is not in the queue: a worker may have
 * taken it a moment ago, its producer may not have sent it yet, or it is nowhere. One look can fall
 * into the moment between the queue and a worker's books, so two have to find nothing.
 */
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

enum ql_verdict
ql_seek_nowhere(struct ql_move *move)
{
	const struct ql_state *was = move->was;
	const int64_t apart = move->policy->second_look_ms;
	char span[QL_SPAN];
	if (!ql_state_stopping(was) || !ql_move_is_adrift(move))
		return ignore(move, "it is not looked for");
	if (move->event->epoch != was->epoch || ql_seek_waits(was))
		return ignore(move, "an answer to an earlier epoch");
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
