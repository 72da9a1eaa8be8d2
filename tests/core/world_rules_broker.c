/* What must never be of a task whose message is elsewhere. */
#include "world.h"

#include <inttypes.h>

/* A look that found nothing was believed: the first of two, or one more of many. */
static void
account_look(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_state *is)
{
	if (is->absent_at && is->absent_at != was->absent_at)
		world->believed[is->absent_at % 64] = world->looks[event->epoch % 64];
}

static int64_t
first_look(const struct world *world, const struct ql_state *state)
{
	return world->believed[state->absent_at % 64];
}

/* Containers of it run, and did so then. */
static bool
is_boxed(const struct world *world, int32_t attempt, int64_t then)
{
	return world->boxed && world->boxed_of == attempt && world->boxed_since < then;
}

static void
check_unknown(struct world *world, const struct ql_state *was, const struct ql_event *event)
{
	int64_t first = first_look(world, was);
	int64_t between = world->looks[event->epoch % 64] - first;
	const char *left = broker_left(world, was->attempt, first);
	if (!was->adopted)
		world_fault(world, "unknown, and it was submitted here");
	if (was->seen)
		world_fault(world, "unknown, and it was seen");
	if (event->now < was->ahead_until)
		world_fault(world, "unknown, and its tombstone was to lie");
	if (!was->absent_at || between < world->policy.second_look_ms)
		world_fault(world, "unknown, after looks %" PRId64 " ms apart", between);
	if (left)
		world_fault(world, "unknown, and %s", left);
	if (is_boxed(world, was->attempt, world->looks[event->epoch % 64]))
		world_fault(world, "unknown, and containers of it run");
	world_tally(world, TALLY_UNKNOWN);
}

/*
 * A copy beside the message that was removed, or one that is being taken as a look is made, is the
 * tombstone's business, and what another has revoked is theirs. What comes after the look is killed on
 * sight.
 */
static void
check_cancelled(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_state *is)
{
	bool settled = ql_status_settled((enum ql_status)was->status);
	if (is->status != QL_STATUS_CANCELLED || settled)
		return;
	bool looked = event->kind == QL_EVENT_ABSENT || event->kind == QL_EVENT_EXITED;
	bool absent = was->absent_at && event->kind == QL_EVENT_ABSENT;
	bool removed = event->kind == QL_EVENT_REMOVED;
	int64_t before = !looked          ? event->now + 1
			 : was->absent_at ? first_look(world, was)
					  : world->looks[event->epoch % 64];
	const char *left = broker_left(world, is->attempt, before);
	bool copies = world->redeliveries;
	bool theirs = !is->cancel.requested_at;
	if (left && !(copies && (removed || theirs || !broker_has(world, is->attempt, before))))
		world_fault(world, "cancelled, and %s", left);
	if (is->adopted && !world->existed)
		world_fault(world, "cancelled, and it never existed");
	int64_t last = looked          ? world->looks[event->epoch % 64]
		       : removed       ? world->removed_at
		       : is->absent_at ? first_look(world, is)
				       : event->now + 1;
	if (!theirs && is_boxed(world, is->attempt, last))
		world_fault(world, "cancelled, and containers of it run");
	if (absent)
		world_tally(world, TALLY_NOWHERE);
	if (is->cancel.rung == QL_RUNG_REAP)
		world_tally(world, TALLY_COUNTED);
	if (is->cancel.outcome == QL_OUTCOME_DISCARDED && is->runs[0].incarnation)
		world_tally(world, TALLY_HELD_DROPPED);
	if (event->kind == QL_EVENT_REMOVED && was->started_at)
		world_tally(world, TALLY_RETRY_REMOVED);
	if (!is->cancel.requested_at)
		world_tally(world, TALLY_REVOKED);
}

/* Something may run for the whole grace after its kill; what is held is waited for without an end. */
static void
check_patience(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_state *is)
{
	const struct ql_cancel *cancel = &is->cancel;
	bool runs = false, held = ql_state_open(was);
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &was->runs[i];
		runs = runs || run->phase == QL_PHASE_RUNNING;
		bool waits = run->phase == QL_PHASE_HELD && run->flags & QL_RUN_WARNED;
		held = held && (waits || !ql_phase_takes_slot((enum ql_phase)run->phase));
	}
	if (cancel->rung == QL_RUNG_KILL &&
		(was->cancel.rung != QL_RUNG_KILL || was->cancel.rung_at < cancel->rung_at))
		world->patience[event->now % 64] =
			event->now + cancel->grace_ms + world->policy.prove_ms;
	if (is->status != QL_STATUS_UNCONFIRMED || was->status == QL_STATUS_UNCONFIRMED)
		return;
	if (held)
		world_fault(
			world, "unconfirmed, and all that is open is held by workers that know");
	if (runs && event->now < world->patience[was->cancel.rung_at % 64])
		world_fault(world, "unconfirmed before its grace and its time for proof were over");
}

/* What was seen since a look that found nothing takes that look back. */
static void
check_seen(struct world *world, const struct ql_state *was, const struct ql_decision *decision)
{
	const struct ql_state *is = &decision->next;
	if (is->absent_at && ql_state_open(is))
		world_fault(world, "nowhere, and a run of it is known");
	for (int i = 0; i < decision->act_count; i++) {
		if (decision->acts[i].kind == QL_ACT_ENQUEUE && was->seen && is->attempt == 1)
			world_fault(world, "its message is sent again, and a run of it was seen");
	}
}

/* Its time for proof was put off, as it is held: only for workers that know of the stop. */
static void
check_watch(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_state *is)
{
	if (event->kind != QL_EVENT_TIME || was->cancel.rung != QL_RUNG_KILL ||
		is->cancel.rung_at != was->cancel.rung_at ||
		is->cancel.next_at != event->now + world->policy.watch_ms)
		return;
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &was->runs[i];
		if (ql_phase_takes_slot((enum ql_phase)run->phase) && !(run->flags & QL_RUN_WARNED))
			world_fault(world, "a worker is waited for that was never told");
	}
	world_tally(world, TALLY_HELD_WATCHED);
}

static void
check_held(struct world *world, const struct ql_decision *decision)
{
	for (int i = 0; i < decision->act_count; i++) {
		const struct ql_act *act = &decision->acts[i];
		const struct ql_run *run = ql_state_run(&decision->next, act->incarnation);
		bool held = run && run->phase == QL_PHASE_HELD;
		if (held && act->kind == QL_ACT_KILL && !decision->next.cancel.requested_at)
			world_fault(world, "a worker is told to drop what nobody stopped");
		if (held && (act->kind == QL_ACT_NOTICE || act->kind == QL_ACT_TERMINATE))
			world_fault(world, "%s to what is held", ql_act_word(act->kind));
	}
}

/* What a worker held goes back to its queue when that one dies: no end of it can be told. */
static void
check_lost(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_state *is)
{
	const struct ql_run *old = ql_state_run(was, event->incarnation);
	const struct ql_run *run = ql_state_run(is, event->incarnation);
	bool held = old && old->phase == QL_PHASE_HELD && !old->released_at;
	if (held && event->kind == QL_EVENT_LOST && run && run->flags & QL_RUN_LOST)
		world_fault(world, "what a worker held is lost with it");
}

static void
tally(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_decision *decision)
{
	const struct ql_state *is = &decision->next;
	bool done = decision->verdict == QL_VERDICT_DONE;
	if (event->kind == QL_EVENT_ADOPT)
		world_tally(world, TALLY_ADOPTED);
	if (done && event->kind == QL_EVENT_HELD)
		world_tally(world, TALLY_HELD_ELSEWHERE);
	if (done && event->kind == QL_EVENT_RETRIED)
		world_tally(
			world, ql_state_stopping(is) ? TALLY_RETRIED_UNDER_STOP : TALLY_RETRIED);
	if (done && event->kind == QL_EVENT_EXITED && is->absent_at != was->absent_at &&
		is->absent_at)
		world_tally(world, TALLY_ONLY_ITS_END);
	if (was->cancel.rung == QL_RUNG_REAP && !ql_state_open(was) && ql_state_open(is))
		world_tally(world, TALLY_ANOTHER);
	if (was->absent_at && !is->absent_at && !ql_status_settled((enum ql_status)is->status))
		world_tally(world, TALLY_OVERLOOKED);
	if (was->absent_at && is->absent_at > was->absent_at)
		world_tally(world, TALLY_AHEAD);
	if (is->status == QL_STATUS_UNCONFIRMED && was->status != is->status && was->boxed_at)
		world_tally(world, TALLY_BOXED_UNCONFIRMED);
}

void
rules_broker(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_decision *decision)
{
	const struct ql_state *is = &decision->next;
	if (!world->policy.remote_broker)
		return;
	account_look(world, was, event, is);
	if (decision->verdict == QL_VERDICT_UNKNOWN)
		check_unknown(world, was, event);
	check_cancelled(world, was, event, is);
	check_patience(world, was, event, is);
	check_held(world, decision);
	check_lost(world, was, event, is);
	check_seen(world, was, decision);
	check_watch(world, was, event, is);
	tally(world, was, event, decision);
}
