/* What must never be, whatever the world does; and the tally of what it came to. */
#include "world.h"

#include <inttypes.h>
#include <string.h>

static bool
is_settled(const struct ql_state *state)
{
	return ql_status_settled((enum ql_status)state->status);
}

static struct asked *
asked_of(struct world *world, int32_t attempt)
{
	if (attempt < 0 || attempt >= WORLD_ATTEMPTS)
		world_fault(world, "the model's own bound: too many attempts");
	return &world->asked[attempt];
}

/* ---- what was asked, by an account of its own ---- */

static void
may_kill_after(struct asked *asked, int64_t grace_ms)
{
	if (!asked->may_kill || grace_ms < asked->shortest_grace)
		asked->shortest_grace = grace_ms;
	asked->may_kill = true;
}

static void
account_request(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_decision *decision)
{
	struct asked *asked = asked_of(world, was->attempt);
	int64_t grace = event->grace_ms < 0 ? was->grace_ms : event->grace_ms;
	bool escalates = event->top == QL_RUNG_KILL ||
			 (event->top == QL_RUNG_NONE && event->mode == QL_MODE_TERMINATE);
	if (event->kind != QL_EVENT_CANCEL || decision->verdict != QL_VERDICT_DONE)
		return;
	if (event->mode == QL_MODE_KILL)
		asked->kill = true;
	else if (escalates)
		may_kill_after(asked, grace);
	else if (!asked->may_kill || grace < asked->shortest_grace)
		asked->shortest_grace = grace; /* it counts if the top is raised by another */
}

static void
account_deadline(struct world *world, const struct ql_state *was, const struct ql_event *event)
{
	if (event->kind != QL_EVENT_TIME || !was->started_at || !was->timeout_ms ||
		event->now < was->started_at + was->timeout_ms)
		return;
	may_kill_after(asked_of(world, was->attempt), was->grace_ms);
}

static void
account_acts(struct world *world, const struct ql_event *event, const struct ql_decision *decision)
{
	for (int i = 0; i < decision->act_count; i++) {
		const struct ql_act *act = &decision->acts[i];
		struct place_run *run = place_find(world, act->incarnation);
		if (run && act->kind == QL_ACT_TERMINATE && !run->term_decided_at)
			run->term_decided_at = event->now;
		if (run && act->kind == QL_ACT_KILL && decision->verdict == QL_VERDICT_NOTED)
			run->stray = true;
	}
}

/* SIGKILL is about to reach a program that runs. */
void
rules_kill(struct world *world, struct place_run *run)
{
	struct asked *asked = asked_of(world, run->attempt);
	int64_t waited = world->now - run->term_decided_at;
	char name[16];
	world_run_name(run->incarnation, name);
	if (run->stray || asked->kill)
		return;
	if (!asked->may_kill)
		world_fault(world, "%s is killed while it runs, and nobody asked for that", name);
	if (!run->term_decided_at)
		world_fault(world, "%s is killed while it runs, without a SIGTERM before", name);
	if (waited < asked->shortest_grace)
		world_fault(world,
			"%s is killed %" PRId64 " ms after SIGTERM, within the grace of %" PRId64,
			name, waited, asked->shortest_grace);
}

/* Containers that no run accounts for are about to be ended: nobody there could be asked before. */
void
rules_unbox(struct world *world)
{
	const struct asked *asked = asked_of(world, world->boxed_of);
	if (!asked->kill && !asked->may_kill)
		world_fault(world, "its containers are ended, and nobody asked for that");
}

/* ---- each step ---- */

static void
check_shape(struct world *world, const struct ql_state *was, const struct ql_decision *decision)
{
	bool same = !memcmp(was, &decision->next, sizeof(*was));
	const char *arrow = strstr(decision->why, " -> ");
	if (!ql_verdict_makes_row(decision->verdict) && (!same || decision->act_count))
		world_fault(world, "a decision without a row has an effect");
	if (decision->verdict == QL_VERDICT_NOTED && !same)
		world_fault(world, "what is noted changed the state");
	if (!arrow || arrow == decision->why || !arrow[4])
		world_fault(world, "no «why -> what»: %s", decision->why);
	if (strlen(decision->why) >= QL_WHY - 1)
		world_fault(world, "the sentence was cut: %s", decision->why);
}

/* Told or recorded by now, never taken back: but for the runtime's record and late salvage. */
static void
check_settled(struct world *world, const struct ql_state *was, const struct ql_state *is)
{
	struct ql_cancel old = was->cancel, new = is->cancel;
	if (!is_settled(was) || was->attempt != is->attempt)
		return;
	old.evidence = new.evidence = old.unasked = new.unasked = 0;
	old.rung = new.rung = 0;
	if (was->status != is->status || was->cause != is->cause ||
		was->exit_code != is->exit_code || was->exit_signal != is->exit_signal ||
		was->finished_at != is->finished_at || was->started_at != is->started_at)
		world_fault(world, "a settled attempt was changed");
	if (memcmp(&old, &new, sizeof(old)))
		world_fault(world, "the cancellation of a settled attempt was changed");
}

static void
check_attempt(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_state *is)
{
	bool revised = event->kind <= QL_EVENT_ADOPT || event->kind == QL_EVENT_RESTORE ||
		       event->kind == QL_EVENT_RESUME;
	if (was->attempt == is->attempt)
		return;
	if (!revised || is->attempt != was->attempt + 1)
		world_fault(world, "a new attempt that nobody asked for");
	if (was->attempt && !is_settled(was))
		world_fault(world, "a new attempt while the one before is not settled");
	if (ql_state_open(was))
		world_fault(world, "a new attempt while a run of the one before is open");
	if (event->kind == QL_EVENT_RESTORE && was->started_at && !world->retries)
		world_fault(world, "restored, though it had started");
}

static void
check_unconfirmed(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_state *is)
{
	if (was->status != QL_STATUS_UNCONFIRMED || !is_settled(is))
		return;
	bool evidence = event->kind > QL_EVENT_UNREACHABLE || event->kind == QL_EVENT_TIME ||
			!ql_state_open(was);
	if (!evidence)
		world_fault(world, "unconfirmed was settled without evidence");
	world_tally(world, is->status == QL_STATUS_CANCELLED ? TALLY_UNCONFIRMED_CANCELLED
							     : TALLY_UNCONFIRMED_FINISHED);
}

static void
check_run(struct world *world, const struct ql_run *was, const struct ql_run *is)
{
	bool open = ql_phase_takes_slot((enum ql_phase)was->phase);
	bool still = ql_phase_takes_slot((enum ql_phase)is->phase);
	struct place_run *run = place_find(world, was->incarnation);
	if (was->incarnation && !open && is->incarnation == was->incarnation && still)
		world_fault(world, "a run that was over takes a slot again");
	if (open && !still && run && place_is_alive(run))
		world_fault(world, "a slot is freed while its run is there");
	if (was->flags & QL_RUN_REPORTED && !(was->flags & QL_RUN_LOST) &&
		is->incarnation == was->incarnation &&
		(was->exit_code != is->exit_code || was->exit_signal != is->exit_signal ||
			was->sent != is->sent))
		world_fault(world, "an exit was judged twice");
}

static void
check_runs(struct world *world, const struct ql_state *was, const struct ql_state *is)
{
	for (int i = 0; i < QL_RUNS && was->attempt == is->attempt; i++) {
		const struct ql_run *run = &is->runs[i];
		bool made_room = world->policy.remote_broker &&
				 was->runs[i].phase == QL_PHASE_HELD && !ql_state_stopping(was);
		if (was->runs[i].incarnation && run->incarnation && !made_room &&
			was->runs[i].incarnation != run->incarnation)
			world_fault(world, "a place was taken by another run");
		check_run(world, &was->runs[i], run);
	}
}

/* The act follows from the state that is made durable with it: a restart would ask for it too. */
static bool
is_founded(const struct ql_state *is, const struct ql_act *act, const struct ql_run *run)
{
	switch (act->kind) {
	case QL_ACT_START:
		return run->phase == QL_PHASE_CLAIMED;
	case QL_ACT_RELEASE:
		return run->released_at && !ql_state_stopping(is);
	case QL_ACT_NOTICE:
	case QL_ACT_TERMINATE:
		return ql_state_stopping(is) && !run->killed_at;
	case QL_ACT_KILL:
		return run->killed_at;
	case QL_ACT_SALVAGE:
		return is->salvage_until;
	case QL_ACT_FORGET:
		return run->phase == QL_PHASE_GONE && is_settled(is);
	default:
		return act->kind == QL_ACT_INSPECT;
	}
}

static void
check_acts(struct world *world, const struct ql_event *event, const struct ql_decision *decision)
{
	const struct ql_state *is = &decision->next;
	for (int i = 0; i < decision->act_count; i++) {
		const struct ql_act *act = &decision->acts[i];
		const struct ql_run *run = ql_state_run(is, act->incarnation);
		const char *word = ql_act_word(act->kind);
		bool sight = decision->verdict == QL_VERDICT_NOTED &&
			     (act->kind == QL_ACT_KILL || act->kind == QL_ACT_FORGET) &&
			     act->incarnation == event->incarnation;
		if (act->epoch != is->epoch)
			world_fault(world, "%s of another epoch than its decision", word);
		if (act->incarnation && !run && !sight)
			world_fault(world, "%s to a run that is not this attempt's", word);
		if (act->incarnation && run && !is_founded(is, act, run))
			world_fault(world, "%s, and nothing durable asks for it", word);
		if (act->kind == QL_ACT_START && event->kind != QL_EVENT_CLAIM)
			world_fault(world, "started without a claim");
		if (act->kind == QL_ACT_RELEASE && world->policy.remote_broker)
			world_fault(world, "released, and its worker is not Quell's");
		if (act->kind == QL_ACT_ENQUEUE && is->adopted && is->attempt == 1)
			world_fault(world, "another producer's message is sent once more");
	}
}

static void
check_deadline(struct world *world, const struct ql_state *is)
{
	bool waits = ql_state_waiting(is);
	bool elsewhere = world->policy.remote_broker && !is->cancel.requested_at &&
			 (is->status == QL_STATUS_QUEUED || !is->timeout_ms);
	if (ql_state_live(is) && !ql_state_wake(is) && !elsewhere)
		world_fault(
			world, "%s, and no deadline", ql_status_word((enum ql_status)is->status));
	if (ql_state_stopping(is) && waits)
		world_fault(world, "stopped, and waiting in the queue");
}

static void
check_sanity(struct world *world, const struct ql_state *is)
{
	int released = 0;
	for (int i = 0; i < QL_RUNS; i++) {
		const struct place_run *run = place_find(world, is->runs[i].incarnation);
		released += is->runs[i].released_at && !(run && run->delivered);
	}
	if (released > 1)
		world_fault(world, "two runs of one attempt were released");
	if (is->status == QL_STATUS_CANCELLED && !is->cancel.requested_at && !world->revoked)
		world_fault(world, "cancelled, and nobody asked for it");
	if (is->status == QL_STATUS_CANCELLED && is->cancel.requested_at &&
		is->cancel.evidence != QL_EVIDENCE_VERIFIED && !is->cancel.unasked)
		world_fault(world, "cancelled without evidence");
}

static void
tally_step(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_decision *decision)
{
	const struct ql_state *is = &decision->next;
	bool done = decision->verdict == QL_VERDICT_DONE;
	bool stopping = ql_state_stopping(was);
	const struct ql_run *run = ql_state_run(was, event->incarnation);
	if (event->kind == QL_EVENT_CANCEL && done && was->status == QL_STATUS_UNCONFIRMED)
		world_tally(world, TALLY_KILLED_AGAIN);
	if (event->kind == QL_EVENT_CANCEL && done && stopping &&
		is->cancel.mode > was->cancel.mode)
		world_tally(world, TALLY_RAISED);
	if (decision->verdict == QL_VERDICT_JOINED)
		world_tally(world, TALLY_JOINED);
	if (event->kind == QL_EVENT_RESTORE && done)
		world_tally(world, TALLY_RESTORED);
	if (event->kind == QL_EVENT_RESUME && done)
		world_tally(world, TALLY_RESUMED);
	if (is->cancel.cause == QL_CAUSE_TIMEOUT && !was->cancel.cause)
		world_tally(world, TALLY_TIMED_OUT);
	if (is->cancel.cause == QL_CAUSE_QUEUE_TTL && !was->cancel.cause)
		world_tally(world, TALLY_QUEUE_TTL);
	if (is->status == QL_STATUS_UNCONFIRMED && was->status != is->status)
		world_tally(world, TALLY_UNCONFIRMED);
	if (event->kind == QL_EVENT_HELD && run && run->released_at && done)
		world_tally(world, stopping ? TALLY_HELD_THOUGH_RELEASED : TALLY_HELD_AGAIN);
	if (event->kind == QL_EVENT_TIME && was->salvage_until && !is->salvage_until)
		world_tally(world, TALLY_NO_SALVAGE);
	if (is->checkpoint_at > was->checkpoint_at)
		world_tally(world, TALLY_SALVAGED);
	bool killed = decision->act_count && decision->acts[0].kind == QL_ACT_KILL;
	if (decision->verdict == QL_VERDICT_NOTED && killed)
		world_tally(world, is_settled(was)                      ? TALLY_STRAY_KILLED
				   : was->runs[QL_RUNS - 1].incarnation ? TALLY_FIFTH
									: TALLY_EARLIER);
}

static void
tally_runs(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_state *is)
{
	bool time = event->kind == QL_EVENT_TIME;
	if (is->runs[1].incarnation)
		world_tally(world, TALLY_REDELIVERED);
	for (int i = 0; i < QL_RUNS && was->attempt == is->attempt; i++) {
		const struct ql_run *old = &was->runs[i], *run = &is->runs[i];
		bool doomed = time && run->killed_at && !old->killed_at;
		if (old->incarnation && !run->incarnation && !world->policy.remote_broker)
			world_tally(world, TALLY_VOID_CLAIM);
		if (doomed && run->phase == QL_PHASE_CLAIMED && !ql_state_stopping(is))
			world_tally(world, TALLY_START_GIVEN_UP);
		if (doomed && run->phase == QL_PHASE_EXITED)
			world_tally(world, TALLY_REMAINS_KILLED);
		if (time && run->flags & QL_RUN_LOST && !(old->flags & QL_RUN_LOST))
			world_tally(world, TALLY_UNTOLD);
	}
}

void
rules_step(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_decision *decision)
{
	const struct ql_state *is = &decision->next;
	account_request(world, was, event, decision);
	account_deadline(world, was, event);
	account_acts(world, event, decision);
	check_shape(world, was, decision);
	check_settled(world, was, is);
	check_attempt(world, was, event, is);
	check_unconfirmed(world, was, event, is);
	check_runs(world, was, is);
	check_acts(world, event, decision);
	check_deadline(world, is);
	check_sanity(world, is);
	rules_broker(world, was, event, decision);
	tally_step(world, was, event, decision);
	tally_runs(world, was, event, is);
}

/* ---- each commit, each act ---- */

static void
tally_settled(struct world *world, const struct ql_state *is)
{
	static const enum tally outcomes[QL_OUTCOME_COUNT] = {
		[QL_OUTCOME_REMOVED] = TALLY_REMOVED,
		[QL_OUTCOME_DISCARDED] = TALLY_DISCARDED,
		[QL_OUTCOME_STOPPED] = TALLY_STOPPED,
		[QL_OUTCOME_TERMINATED] = TALLY_TERMINATED,
		[QL_OUTCOME_KILLED] = TALLY_KILLED,
		[QL_OUTCOME_FINISHED_FIRST] = TALLY_FINISHED_FIRST,
	};
	if (is->cancel.outcome)
		world_tally(world, outcomes[is->cancel.outcome]);
	if (is->status == QL_STATUS_SUCCEEDED)
		world_tally(world, TALLY_SUCCEEDED);
	if (is->status == QL_STATUS_FAILED)
		world_tally(world, is->cause == QL_CAUSE_OOM    ? TALLY_FAILED_OOM
				   : is->cause == QL_CAUSE_LOST ? TALLY_FAILED_LOST
								: TALLY_FAILED_EXIT);
}

/* The rule of the race once more, as the contract tells it. */
static bool
has_finished(const struct place_run *run)
{
	bool said = run->flags & QL_RUN_SAID_STOPPED || (!run->exit_signal && run->exit_code == 75);
	if (!run->ended || !run->ran || (run->flags & QL_RUN_REVOKED && !run->sent))
		return false;
	if (!run->sent || run->flags & QL_RUN_WRITTEN)
		return true;
	if (said)
		return false;
	if (run->sent == QL_RUNG_NOTICE)
		return run->flags & QL_RUN_OOM || (!run->exit_signal && !run->exit_code);
	if (run->sent == QL_RUNG_TERMINATE)
		return !run->exit_signal && !(run->flags & QL_RUN_CATCHES_TERM);
	return !run->exit_signal;
}

/* What really was, run by run, against what is said of the attempt. */
static void
check_truth(struct world *world, const struct ql_state *is)
{
	bool ran = is->boxed_at, finished = false, stopped = false, zero = false;
	bool guessed = false, by_another = !is->cancel.requested_at;
	for (int i = 0; i < world->run_count; i++) {
		const struct place_run *run = &world->runs[i];
		const struct ql_run *known = ql_state_run(is, run->incarnation);
		if (run->attempt != is->attempt || !known)
			continue;
		guessed = guessed || known->flags & QL_RUN_LOST;
		if (is->status == QL_STATUS_CANCELLED && place_is_alive(run))
			world_fault(world, "cancelled, and a run of it is there");
		ran = ran || run->ran;
		finished = finished || has_finished(run);
		stopped = stopped || !has_finished(run);
		zero = zero || (run->ended && run->ran && !run->exit_signal && !run->exit_code);
	}
	bool never = is->cancel.outcome == QL_OUTCOME_REMOVED ||
		     is->cancel.outcome == QL_OUTCOME_DISCARDED;
	if (is->cancel.outcome == QL_OUTCOME_REMOVED && world->messages && !world->redeliveries)
		world_fault(world, "said to be removed, and its message is in the queue");
	if (is->status == QL_STATUS_CANCELLED && never && ran)
		world_fault(world, "said never to have run, and it ran");
	if (is->status == QL_STATUS_CANCELLED && !never && !ran && !guessed && !by_another)
		world_fault(world, "said to have been stopped, and it never ran");
	if (is->status == QL_STATUS_SUCCEEDED && !zero)
		world_fault(world, "succeeded, and no run of it exited with 0");
	if (is->status != QL_STATUS_CANCELLED && stopped && !finished && !guessed && ran)
		world_fault(world, "finished, and its runs were stopped");
	if (is->status == QL_STATUS_CANCELLED && finished && !guessed)
		world_fault(world, "cancelled, and a run of it had finished first");
}

void
rules_durable(struct world *world, const struct ql_state *was)
{
	const struct ql_state *is = &world->durable;
	if (!is_settled(is) || (is_settled(was) && was->attempt == is->attempt))
		return;
	check_truth(world, is);
	tally_settled(world, is);
}

/* A program is about to be let go. */
void
rules_release(struct world *world)
{
	if (ql_state_stopping(&world->durable))
		world_fault(world, "released, and a durable stop is in force");
}

/* ---- the end of everything ---- */

void
rules_end(struct world *world)
{
	const struct ql_state *state = &world->durable;
	const char *status = ql_status_word((enum ql_status)state->status);
	if (world->unknown)
		return;
	if (!state->attempt || memcmp(state, &world->memory, sizeof(*state)))
		world_fault(world, "at the end the server and its store differ");
	if (!is_settled(state))
		world_fault(world, "at the end it is %s", status);
	if (ql_state_live(state))
		world_fault(world, "at the end it is %s, and something is still open", status);
	for (int i = 0; i < world->run_count; i++) {
		const struct place_run *run = &world->runs[i];
		bool ours = ql_state_run(state, run->incarnation) ||
			    state->status == QL_STATUS_CANCELLED;
		if (run->attempt == state->attempt && ours && place_is_alive(run))
			world_fault(world, "at the end a run of it is there");
		if (run->attempt == state->attempt && ours && !run->forgotten &&
			run->phase == PLACE_GONE)
			world_fault(world, "at the end the record of a run is still kept");
	}
}
