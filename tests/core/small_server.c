/* The server, and what must never be. */
#include "small_parts.h"

#include "script.h"

const struct ql_policy small_local = {.retry_ms = 2000,
	.start_ms = 4000,
	.prove_ms = 5000,
	.salvage_ms = 2000,
	.watch_ms = 8000,
	.second_look_ms = 1500};
static const struct ql_policy remote = {.retry_ms = 2000,
	.start_ms = 4000,
	.prove_ms = 5000,
	.salvage_ms = 2000,
	.watch_ms = 8000,
	.second_look_ms = 1500,
	.remote_broker = true};

static int
run_of(uint64_t incarnation)
{
	for (int i = 0; i < SMALL_RUNS; i++) {
		if (script_run(i) == incarnation)
			return i;
	}
	return -1;
}

/* ---- rules ---- */

static const char *
check_acts(const struct ql_decision *decision, const struct ql_event *event)
{
	for (int i = 0; i < decision->act_count; i++) {
		const struct ql_act *act = &decision->acts[i];
		bool sight = decision->verdict == QL_VERDICT_NOTED &&
			     act->incarnation == event->incarnation;
		bool known = ql_state_run(&decision->next, act->incarnation);
		if (act->kind == QL_ACT_RELEASE && ql_state_stopping(&decision->next))
			return "released under a stop";
		if (act->incarnation && !known && !sight)
			return "an act on a run that is not known";
	}
	return NULL;
}

static const char *
check_settled(const struct ql_state *was, const struct ql_state *is)
{
	if (!small_is_settled(was) || is->attempt != was->attempt)
		return NULL;
	return is->status != was->status || is->cause != was->cause ||
			       is->cancel.outcome != was->cancel.outcome ||
			       is->exit_code != was->exit_code
		       ? "a settled attempt was changed"
		       : NULL;
}

/* What is in the queue, or at a worker: whether it could have been seen before that was concluded. */
static const char *
check_elsewhere(const struct small_rules *rules, const struct small_world *world,
	const struct ql_state *was, const struct ql_event *event,
	const struct ql_decision *decision)
{
	const struct ql_state *is = &decision->next;
	bool unknown = decision->verdict == QL_VERDICT_UNKNOWN;
	bool cancelled = is->status == QL_STATUS_CANCELLED && !small_is_settled(was);
	bool absent = event->kind == QL_EVENT_ABSENT && !event->incarnation;
	if (unknown && (was->seen || !was->adopted || event->now < was->ahead_until))
		return "unknown, and it was seen, or submitted, or may still come";
	if (cancelled && was->adopted && !was->seen && absent)
		return "cancelled, and nobody ever saw it";
	for (int i = 0; (unknown || cancelled) && !rules->redeliveries && i < SMALL_RUNS; i++) {
		const struct small_run *run = &world->runs[i];
		bool there = run->phase == SMALL_AIR || small_is_alive(run);
		if (there && (run->overlooked || !absent))
			return "it is said to be no more, and it is there";
	}
	if (cancelled && !absent && !rules->redeliveries && world->message)
		return "cancelled, and its message is in the queue";
	return NULL;
}

static void
forget(struct small_world *world)
{
	world->unknown = 1;
	world->state = (struct ql_state){0};
}

static const char *
check_truth(const struct small_world *world, const struct ql_state *was)
{
	const struct ql_state *is = &world->state;
	for (int i = 0; i < SMALL_RUNS; i++) {
		const struct small_run *run = &world->runs[i];
		const struct ql_run *known = ql_state_run(is, script_run(i));
		const struct ql_run *old = ql_state_run(was, script_run(i));
		bool takes = known && ql_phase_takes_slot((enum ql_phase)known->phase);
		bool took = old && ql_phase_takes_slot((enum ql_phase)old->phase);
		if (known && is->status == QL_STATUS_CANCELLED && small_is_alive(run))
			return "cancelled, and its run is there";
		if (took && !takes && small_is_alive(run))
			return "a slot is freed, and its run is there";
		if (known && is->status == QL_STATUS_CANCELLED && run->told_finish)
			return "cancelled, though it was told that it had finished before";
	}
	bool told = world->runs[0].told_finish || world->runs[1].told_finish;
	if (is->status == QL_STATUS_SUCCEEDED && !told)
		return "succeeded, and nobody said so";
	bool elsewhere = world->remote && is->status == QL_STATUS_QUEUED;
	if (ql_state_live(is) && !ql_state_wake(is) && !elsewhere)
		return "no deadline";
	return NULL;
}

/* SIGKILL arrives at a program that runs. */
const char *
small_check_grace(const struct small_world *world, const struct small_run *run)
{
	if (world->asked_kill || world->state.status == QL_STATUS_CANCELLED)
		return NULL;
	if (!world->may_kill || !run->term_at)
		return "killed, and nobody asked for that";
	return world->now < run->term_at + SMALL_GRACE ? "killed within its grace" : NULL;
}

/* ---- the server ---- */

static void
send_acts(struct small_world *world, const struct ql_decision *decision)
{
	for (int i = 0; i < decision->act_count; i++) {
		const struct ql_act *act = &decision->acts[i];
		int run = run_of(act->incarnation);
		if (run < 0) {
			world->broker = (struct small_act){(int32_t)act->kind, act->epoch};
			continue;
		}
		small_push(&world->runs[run], act);
		if (act->kind == QL_ACT_TERMINATE && !world->runs[run].term_at)
			world->runs[run].term_at = world->now;
	}
}

const char *
small_feed(const struct small_rules *rules, struct small_world *world, struct ql_event *event,
	struct ql_buf *trace)
{
	struct ql_decision decision;
	struct ql_state was = world->state;
	const char *broken;
	event->now = world->now;
	ql_step(&was, rules->remote ? &remote : &small_local, event, &decision);
	if (trace) {
		script_print_event(trace, event);
		script_print_decision(trace, &was, &decision);
	}
	world->state = decision.next;
	small_drop_stale(world);
	if (event->kind == QL_EVENT_TIME && was.started_at &&
		world->now >= was.started_at + SMALL_TIMEOUT)
		world->may_kill = 1;
	send_acts(world, &decision);
	if ((broken = check_acts(&decision, event)) ||
		(broken = check_settled(&was, &world->state)) ||
		(broken = check_elsewhere(rules, world, &was, event, &decision)))
		return broken;
	if (decision.verdict == QL_VERDICT_UNKNOWN)
		forget(world);
	return check_truth(world, &was);
}

const char *
small_feed_message(const struct small_rules *rules, struct small_world *world,
	const struct small_message *message, struct ql_buf *trace)
{
	struct ql_event event = {.kind = (enum ql_event_kind)message->kind,
		.incarnation = message->run < 0 ? 0 : script_run(message->run),
		.epoch = message->epoch,
		.answers = (enum ql_act_kind)message->answers,
		.checkpoint_bytes = -1};
	if (event.kind == QL_EVENT_EXITED) {
		struct small_run *run = &world->runs[message->run];
		event.exit_code = run->code;
		event.exit_signal = run->signal;
		event.sent = (enum ql_rung)run->sent;
		event.flags =
			(run->said ? QL_RUN_SAID_STOPPED : 0) | (run->ran ? 0 : QL_RUN_UNSTARTED);
		const struct ql_run *known = ql_state_run(&world->state, event.incarnation);
		bool open =
			!small_is_settled(&world->state) && !(known && known->flags & QL_RUN_LOST);
		bool finish = run->ran && !run->signal && !run->said;
		run->told_finish = run->told_finish || (open && finish);
	}
	return small_feed(rules, world, &event, trace);
}
