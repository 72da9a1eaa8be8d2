#include "small.h"

#include <string.h>

#include "script.h"

/* Deadlines in ticks of 1 s, as different as they need to be to come in any order. */
#define GRACE 3000
#define TIMEOUT 20000

static const struct ql_policy local = {
	.retry_ms = 2000, .start_ms = 4000, .prove_ms = 5000, .salvage_ms = 2000, .watch_ms = 8000};
static const struct ql_policy remote = {.retry_ms = 2000,
	.start_ms = 4000,
	.prove_ms = 5000,
	.salvage_ms = 2000,
	.watch_ms = 8000,
	.remote_broker = true};

static bool
is_alive(const struct small_run *run)
{
	return run->phase == SMALL_HELD || run->phase == SMALL_RUNNING ||
	       run->phase == SMALL_EXITED;
}

static bool
is_settled(const struct ql_state *state)
{
	return ql_status_settled((enum ql_status)state->status);
}

static int
run_of(uint64_t incarnation)
{
	for (int i = 0; i < SMALL_RUNS; i++) {
		if (script_run(i) == incarnation)
			return i;
	}
	return -1;
}

/* ---- messages ---- */

/* The same message twice on its way is one; where there is no room, it is lost. */
static void
post(struct small_world *world, enum ql_event_kind kind, int run, int32_t epoch,
	enum ql_act_kind answers)
{
	struct small_message message = {
		.kind = (int32_t)kind, .run = run, .epoch = epoch, .answers = (int32_t)answers};
	for (int i = 0; i < world->net_len; i++) {
		if (!memcmp(&world->net[i], &message, sizeof(message)))
			return;
	}
	if (world->net_len < SMALL_NET)
		world->net[world->net_len++] = message;
}

static struct small_message
take(struct small_world *world, int index)
{
	struct small_message message = world->net[index];
	world->net_len--;
	memmove(&world->net[index], &world->net[index + 1],
		(size_t)(world->net_len - index) * sizeof(message));
	world->net[world->net_len] = (struct small_message){0};
	return message;
}

static void
push_act(struct small_run *run, const struct ql_act *act)
{
	struct small_act one = {(int32_t)act->kind, act->epoch};
	for (int i = 0; i < run->pipe_len; i++) {
		if (!memcmp(&run->pipe[i], &one, sizeof(one)))
			return;
	}
	if (run->pipe_len < SMALL_PIPE)
		run->pipe[run->pipe_len++] = one;
}

static struct small_act
pull_act(struct small_run *run)
{
	struct small_act act = run->pipe[0];
	memmove(&run->pipe[0], &run->pipe[1], sizeof(run->pipe) - sizeof(act));
	run->pipe[--run->pipe_len] = (struct small_act){0};
	return act;
}

/* It can't have an effect any more, whatever comes. */
static bool
is_stale(const struct small_message *message, const struct ql_state *state)
{
	const struct ql_run *run =
		message->run < 0 ? NULL : ql_state_run(state, script_run(message->run));
	if (message->kind == QL_EVENT_DELIVERED)
		return message->epoch != state->epoch;
	if (!run)
		return false;
	switch ((enum ql_event_kind)message->kind) {
	case QL_EVENT_RUNNING:
		return run->phase >= QL_PHASE_RUNNING;
	case QL_EVENT_EXITED:
		return run->flags & QL_RUN_REPORTED && !(run->flags & QL_RUN_LOST);
	case QL_EVENT_GONE:
	case QL_EVENT_STUCK:
		return run->phase >= QL_PHASE_GONE;
	case QL_EVENT_SALVAGED:
		return run->flags & QL_RUN_SALVAGED;
	default:
		return false;
	}
}

static void
drop_stale(struct small_world *world)
{
	for (int i = 0; i < world->net_len;) {
		if (is_stale(&world->net[i], &world->state))
			take(world, i);
		else
			i++;
	}
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
	if (!is_settled(was) || is->attempt != was->attempt)
		return NULL;
	return is->status != was->status || is->cause != was->cause ||
			       is->cancel.outcome != was->cancel.outcome ||
			       is->exit_code != was->exit_code
		       ? "a settled attempt was changed"
		       : NULL;
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
		if (known && is->status == QL_STATUS_CANCELLED && is_alive(run))
			return "cancelled, and its run is there";
		if (took && !takes && is_alive(run))
			return "a slot is freed, and its run is there";
		if (known && is->status == QL_STATUS_CANCELLED && run->told_finish)
			return "cancelled, though it was told that it had finished before";
	}
	bool told = world->runs[0].told_finish || world->runs[1].told_finish;
	if (is->status == QL_STATUS_SUCCEEDED && !told)
		return "succeeded, and nobody said so";
	if (ql_state_live(is) && !ql_state_wake(is))
		return "no deadline";
	return NULL;
}

/* SIGKILL arrives at a program that runs. */
static const char *
check_grace(const struct small_world *world, const struct small_run *run)
{
	if (world->asked_kill || world->state.status == QL_STATUS_CANCELLED)
		return NULL;
	if (!world->may_kill || !run->term_at)
		return "killed, and nobody asked for that";
	return world->now < run->term_at + GRACE ? "killed within its grace" : NULL;
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
		push_act(&world->runs[run], act);
		if (act->kind == QL_ACT_TERMINATE && !world->runs[run].term_at)
			world->runs[run].term_at = world->now;
	}
}

static const char *
feed(const struct small_rules *rules, struct small_world *world, struct ql_event *event,
	struct ql_buf *trace)
{
	struct ql_decision decision;
	struct ql_state was = world->state;
	const char *broken;
	event->now = world->now;
	ql_step(&was, rules->remote ? &remote : &local, event, &decision);
	if (trace) {
		script_print_event(trace, event);
		script_print_decision(trace, &was, &decision);
	}
	world->state = decision.next;
	drop_stale(world);
	if (event->kind == QL_EVENT_TIME && was.started_at &&
		world->now >= was.started_at + TIMEOUT)
		world->may_kill = 1;
	send_acts(world, &decision);
	if ((broken = check_acts(&decision, event)) ||
		(broken = check_settled(&was, &world->state)))
		return broken;
	return check_truth(world, &was);
}

static const char *
feed_message(const struct small_rules *rules, struct small_world *world,
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
		bool open = !is_settled(&world->state) && !(known && known->flags & QL_RUN_LOST);
		bool finish = run->ran && !run->signal && !run->said;
		run->told_finish = run->told_finish || (open && finish);
	}
	return feed(rules, world, &event, trace);
}

/* ---- the place of execution ---- */

static void
tell(struct small_world *world, int which, int32_t epoch)
{
	struct small_run *run = &world->runs[which];
	if (run->phase == SMALL_NEVER || run->forgotten) {
		run->barred = 1;
		post(world, QL_EVENT_ABSENT, which, 0, QL_ACT_NONE);
		return;
	}
	if (run->phase == SMALL_HELD)
		post(world, QL_EVENT_HELD, which, epoch, QL_ACT_NONE);
	if (run->phase == SMALL_RUNNING)
		post(world, QL_EVENT_RUNNING, which, 0, QL_ACT_NONE);
	if (run->lost)
		post(world, QL_EVENT_LOST, which, 0, QL_ACT_NONE);
	else if (run->phase >= SMALL_EXITED)
		post(world, QL_EVENT_EXITED, which, 0, QL_ACT_NONE);
	if (run->phase == SMALL_GONE && !run->lost)
		post(world, QL_EVENT_GONE, which, 0, QL_ACT_NONE);
}

static void
end(struct small_world *world, int which, int32_t code, int32_t signal)
{
	struct small_run *run = &world->runs[which];
	run->phase = SMALL_GONE;
	run->stuck = 0;
	run->code = code;
	run->signal = signal;
	tell(world, which, 0);
}

static const char *
kill_run(struct small_world *world, int which, bool keeps)
{
	struct small_run *run = &world->runs[which];
	if (run->phase == SMALL_NEVER)
		run->barred = 1;
	if (run->phase != SMALL_HELD && run->phase != SMALL_RUNNING)
		return NULL;
	const char *broken = run->phase == SMALL_RUNNING && run->sent != QL_RUNG_KILL
				     ? check_grace(world, run)
				     : NULL;
	run->sent = QL_RUNG_KILL;
	run->stuck = run->stuck || keeps;
	if (run->stuck)
		post(world, QL_EVENT_STUCK, which, 0, QL_ACT_NONE);
	else
		end(world, which, -1, 9);
	return broken;
}

static void
send_rung(struct small_run *run, enum ql_rung rung)
{
	bool hears = run->phase == SMALL_HELD || run->phase == SMALL_RUNNING;
	if (hears && run->sent < (int32_t)rung)
		run->sent = (int32_t)rung;
}

static const char *
arrive(struct small_world *world, int which, bool keeps)
{
	struct small_run *run = &world->runs[which];
	struct small_act act = pull_act(run);
	const char *broken = NULL;
	switch ((enum ql_act_kind)act.kind) {
	case QL_ACT_START:
		if (!run->barred && run->phase == SMALL_NEVER)
			run->phase = SMALL_HELD;
		if (run->phase == SMALL_HELD)
			post(world, QL_EVENT_HELD, which, 0, QL_ACT_NONE);
		return NULL;
	case QL_ACT_RELEASE:
		if (run->phase == SMALL_HELD) {
			run->phase = SMALL_RUNNING;
			run->ran = 1;
			post(world, QL_EVENT_RUNNING, which, 0, QL_ACT_NONE);
		}
		return run->ran && world->state.status == QL_STATUS_CANCELLED && is_alive(run)
			       ? "it was cancelled, and now it runs"
			       : NULL;
	case QL_ACT_NOTICE:
		send_rung(run, QL_RUNG_NOTICE);
		break;
	case QL_ACT_TERMINATE:
		send_rung(run, QL_RUNG_TERMINATE);
		break;
	case QL_ACT_KILL:
		broken = kill_run(world, which, keeps);
		break;
	case QL_ACT_INSPECT:
		tell(world, which, act.epoch);
		return NULL;
	case QL_ACT_SALVAGE:
		if (!run->forgotten)
			post(world, QL_EVENT_SALVAGED, which, 0, QL_ACT_NONE);
		return NULL;
	case QL_ACT_FORGET:
		run->forgotten = run->phase == SMALL_GONE;
		broken = run->forgotten ? NULL : "a run that is there is to be forgotten";
		break;
	default:
		return "an act that the place does not know";
	}
	if (act.kind != QL_ACT_KILL && act.epoch == world->state.epoch)
		post(world, QL_EVENT_DELIVERED, which, act.epoch, (enum ql_act_kind)act.kind);
	return broken;
}

static void
arrive_at_broker(struct small_world *world)
{
	struct small_act act = world->broker;
	world->broker = (struct small_act){0};
	if (act.kind == QL_ACT_ENQUEUE) {
		world->message = 1;
		post(world, QL_EVENT_DELIVERED, -1, act.epoch, QL_ACT_ENQUEUE);
	} else if (act.kind == QL_ACT_REMOVE) {
		post(world, world->message ? QL_EVENT_REMOVED : QL_EVENT_NOT_QUEUED, -1, act.epoch,
			QL_ACT_NONE);
		world->message = 0;
	} else {
		for (int i = 0; i < SMALL_RUNS; i++) {
			if (world->runs[i].phase != SMALL_NEVER && !world->runs[i].forgotten)
				tell(world, i, 0);
		}
	}
}

static void
deliver(struct small_world *world)
{
	for (int i = 0; i < SMALL_RUNS; i++) {
		struct small_run *run = &world->runs[i];
		if (run->phase != SMALL_NEVER)
			continue;
		run->phase = SMALL_RUNNING;
		run->ran = 1;
		world->message = world->redeliveries > 0;
		world->redeliveries -= world->message;
		post(world, QL_EVENT_RUNNING, i, 0, QL_ACT_NONE);
		return;
	}
}

static void
crash(struct small_world *world)
{
	world->crashes--;
	world->net_len = 0;
	memset(world->net, 0, sizeof(world->net));
	world->broker = (struct small_act){0};
	for (int i = 0; i < SMALL_RUNS; i++) {
		world->runs[i].pipe_len = 0;
		memset(world->runs[i].pipe, 0, sizeof(world->runs[i].pipe));
	}
}

/* ---- choices ---- */

static void
add(struct small_choice *choices, int *ret_count, enum small_choice_kind kind, int run, int index)
{
	choices[(*ret_count)++] = (struct small_choice){(int32_t)kind, run, index};
}

static void
add_for_run(const struct small_world *world, int i, struct small_choice *choices, int *ret_count)
{
	const struct small_run *run = &world->runs[i];
	bool runs = run->phase == SMALL_RUNNING && !run->stuck;
	if (run->pipe_len) {
		add(choices, ret_count, CHOICE_ACT, i, 0);
		if (world->losses)
			add(choices, ret_count, CHOICE_LOSE_ACT, i, 0);
		if (world->stuck && run->pipe[0].kind == QL_ACT_KILL && runs)
			add(choices, ret_count, CHOICE_KEEP, i, 0);
	}
	if (run->stuck)
		add(choices, ret_count, CHOICE_LET_GO, i, 0);
	if (runs && world->finishes)
		add(choices, ret_count, CHOICE_FINISH, i, 0);
	if (runs && run->sent >= QL_RUNG_NOTICE && run->sent < QL_RUNG_KILL)
		add(choices, ret_count, CHOICE_OBEY, i, 0);
	if (is_alive(run) && !run->stuck && world->worker_losses)
		add(choices, ret_count, CHOICE_WORKER_LOSS, i, 0);
}

/* A worker reads the tombstone before it begins. */
static bool
may_deliver(const struct small_world *world)
{
	bool room = world->runs[0].phase == SMALL_NEVER || world->runs[1].phase == SMALL_NEVER;
	return world->message && room && world->state.status != QL_STATUS_CANCELLED;
}

static bool
may_claim(const struct small_world *world)
{
	bool first = world->runs[0].phase == SMALL_NEVER && !world->runs[0].barred;
	bool second = world->runs[1].phase == SMALL_NEVER && !world->runs[1].barred;
	return !world->remote && ql_state_waiting(&world->state) && (first || second);
}

/* Nothing is on its way. */
static bool
is_quiet(const struct small_world *world)
{
	return !world->net_len && !world->broker.kind && !world->runs[0].pipe_len &&
	       !world->runs[1].pipe_len;
}

int
small_choices(const struct small_world *world, struct small_choice ret_choices[SMALL_CHOICES])
{
	int count = 0;
	for (int i = 0; i < SMALL_RUNS; i++)
		add_for_run(world, i, ret_choices, &count);
	for (int i = 0; i < world->net_len; i++) {
		add(ret_choices, &count, CHOICE_MESSAGE, 0, i);
		if (world->losses)
			add(ret_choices, &count, CHOICE_LOSE_MESSAGE, 0, i);
		if (world->doubles)
			add(ret_choices, &count, CHOICE_DOUBLE_MESSAGE, 0, i);
	}
	for (int i = 0; i < SMALL_STOPS; i++) {
		if (world->stops_left & 1 << i)
			add(ret_choices, &count, CHOICE_STOP, 0, i);
	}
	if (world->broker.kind) {
		add(ret_choices, &count, CHOICE_BROKER, 0, 0);
		if (world->losses)
			add(ret_choices, &count, CHOICE_LOSE_BROKER, 0, 0);
	}
	if (world->restores && world->state.status == QL_STATUS_CANCELLED)
		add(ret_choices, &count, CHOICE_RESTORE, 0, 0);
	if (may_claim(world))
		add(ret_choices, &count, CHOICE_CLAIM, 0, 0);
	if (may_deliver(world))
		add(ret_choices, &count, CHOICE_DELIVERY, 0, 0);
	if (world->crashes && ql_state_live(&world->state))
		add(ret_choices, &count, CHOICE_CRASH, 0, 0);
	if (ql_state_wake(&world->state) && (world->lates || is_quiet(world)))
		add(ret_choices, &count, CHOICE_TIME, 0, 0);
	return count;
}

static const char *
ask_stop(
	const struct small_rules *rules, struct small_world *world, int index, struct ql_buf *trace)
{
	enum ql_mode mode = rules->stops[index];
	enum ql_rung top = rules->tops[index];
	struct ql_event event = {.kind = QL_EVENT_CANCEL,
		.mode = mode,
		.top = top,
		.cause = QL_CAUSE_USER,
		.grace_ms = -1};
	world->stops_left &= ~(1 << index);
	if (is_settled(&world->state))
		return feed(rules, world, &event, trace);
	if (mode == QL_MODE_KILL)
		world->asked_kill = 1;
	if (top == QL_RUNG_KILL || (mode == QL_MODE_TERMINATE && top == QL_RUNG_NONE))
		world->may_kill = 1;
	return feed(rules, world, &event, trace);
}

static const char *
claim(const struct small_rules *rules, struct small_world *world, struct ql_buf *trace)
{
	int run = world->runs[0].phase == SMALL_NEVER && !world->runs[0].barred ? 0 : 1;
	struct ql_event event = {.kind = QL_EVENT_CLAIM, .incarnation = script_run(run)};
	return feed(rules, world, &event, trace);
}

static const char *
come_back(const struct small_rules *rules, struct small_world *world, struct ql_buf *trace)
{
	struct ql_event event = {.kind = QL_EVENT_TIME};
	crash(world);
	return feed(rules, world, &event, trace);
}

static const char *
let_time_pass(const struct small_rules *rules, struct small_world *world, struct ql_buf *trace)
{
	struct ql_event event = {.kind = QL_EVENT_TIME};
	int64_t wake = ql_state_wake(&world->state);
	if (!is_quiet(world) && world->lates)
		world->lates--;
	if (wake > world->now)
		world->now = wake;
	return feed(rules, world, &event, trace);
}

static void
obey(struct small_world *world, int which)
{
	struct small_run *run = &world->runs[which];
	bool notice = run->sent == QL_RUNG_NOTICE;
	run->said = notice;
	end(world, which, notice ? 0 : -1, notice ? 0 : 15);
}

static void
lose_worker(struct small_world *world, int which)
{
	struct small_run *run = &world->runs[which];
	world->worker_losses--;
	run->lost = 1;
	run->phase = SMALL_GONE;
	post(world, QL_EVENT_LOST, which, 0, QL_ACT_NONE);
}

static const char *
apply(const struct small_rules *rules, struct small_world *world, const struct small_choice *choice,
	struct ql_buf *trace)
{
	struct small_message message;
	switch ((enum small_choice_kind)choice->kind) {
	case CHOICE_ACT:
		return arrive(world, choice->run, false);
	case CHOICE_KEEP:
		world->stuck--;
		return arrive(world, choice->run, true);
	case CHOICE_LOSE_ACT:
		world->losses--;
		pull_act(&world->runs[choice->run]);
		return NULL;
	case CHOICE_BROKER:
		arrive_at_broker(world);
		return NULL;
	case CHOICE_LOSE_BROKER:
		world->losses--;
		world->broker = (struct small_act){0};
		return NULL;
	case CHOICE_MESSAGE:
		message = take(world, choice->index);
		return feed_message(rules, world, &message, trace);
	case CHOICE_LOSE_MESSAGE:
		world->losses--;
		take(world, choice->index);
		return NULL;
	case CHOICE_DOUBLE_MESSAGE:
		world->doubles--;
		message = world->net[choice->index];
		return feed_message(rules, world, &message, trace);
	case CHOICE_STOP:
		return ask_stop(rules, world, choice->index, trace);
	case CHOICE_RESTORE:
		world->restores--;
		world->asked_kill = world->may_kill = 0;
		return feed(rules, world, &(struct ql_event){.kind = QL_EVENT_RESTORE}, trace);
	case CHOICE_CLAIM:
		return claim(rules, world, trace);
	case CHOICE_FINISH:
		world->finishes--;
		end(world, choice->run, 0, 0);
		return NULL;
	case CHOICE_OBEY:
		obey(world, choice->run);
		return NULL;
	case CHOICE_LET_GO:
		end(world, choice->run, -1, 9);
		return NULL;
	case CHOICE_WORKER_LOSS:
		lose_worker(world, choice->run);
		return NULL;
	case CHOICE_DELIVERY:
		deliver(world);
		return NULL;
	case CHOICE_CRASH:
		return come_back(rules, world, trace);
	case CHOICE_TIME:
		return let_time_pass(rules, world, trace);
	}
	return "no such choice";
}

/* Whatever is on its way to the place and the broker. */
static const char *
arrive_all(struct small_world *world)
{
	const char *broken = NULL;
	if (world->broker.kind)
		arrive_at_broker(world);
	for (int i = 0; i < SMALL_RUNS; i++) {
		while (world->runs[i].pipe_len && !broken)
			broken = arrive(world, i, false);
	}
	return broken;
}

const char *
small_apply(const struct small_rules *rules, struct small_world *world,
	const struct small_choice *choice, struct ql_buf *trace)
{
	const char *broken = apply(rules, world, choice, trace);
	return broken || !rules->prompt ? broken : arrive_all(world);
}

void
small_begin(const struct small_rules *rules, struct small_world *ret)
{
	struct ql_event event = {.kind = QL_EVENT_SUBMIT, .grace_ms = GRACE, .timeout_ms = TIMEOUT};
	memset(ret, 0, sizeof(*ret));
	ret->now = SCRIPT_EPOCH;
	for (int i = 0; i < SMALL_STOPS; i++)
		ret->stops_left |= (rules->stops[i] != QL_MODE_NONE) << i;
	ret->crashes = rules->crashes;
	ret->losses = rules->losses;
	ret->doubles = rules->doubles;
	ret->worker_losses = rules->worker_losses;
	ret->stuck = rules->stuck;
	ret->redeliveries = rules->redeliveries;
	ret->finishes = rules->finishes;
	ret->restores = rules->restores;
	ret->lates = rules->lates;
	ret->remote = rules->remote;
	feed(rules, ret, &event, NULL);
}

/* ---- what tells two worlds apart ---- */

static int64_t
still(int64_t at, int64_t now)
{
	return at > now ? at - now : at ? 0 : -1;
}

static bool
is_set(int64_t at)
{
	return at != 0;
}

static void
normalize_run(struct ql_run *run, const struct small_world *world)
{
	if (!run->incarnation)
		return;
	run->claimed_at = still(run->claimed_at + local.start_ms, world->now);
	run->released_at = is_set(run->released_at);
	if (run->exited_at)
		run->exited_at = still(run->exited_at + local.prove_ms, world->now);
	if (run->killed_at)
		run->killed_at = still(run->killed_at + local.prove_ms, world->now);
}

/* Its epoch will come back with an answer. */
static bool
is_answered(const struct small_act *act, const struct small_run *run)
{
	switch ((enum ql_act_kind)act->kind) {
	case QL_ACT_NOTICE:
	case QL_ACT_TERMINATE:
	case QL_ACT_FORGET:
		return true;
	case QL_ACT_INSPECT:
		return run->phase <= SMALL_HELD;
	default:
		return false;
	}
}

/* Absolute times and epochs become relative; what is only told to people becomes yes or no. */
static void
normalize(struct small_world *world)
{
	struct ql_state *state = &world->state;
	struct ql_cancel *cancel = &state->cancel;
	int64_t now = world->now;
	if (state->tries > 4)
		state->tries = 4 + (state->tries & 1);
	state->created_at = state->queued_at = state->output_bytes = 0;
	state->finished_at = is_set(state->finished_at);
	state->enqueued_at = is_set(state->enqueued_at);
	state->started_at = still(state->started_at ? state->started_at + TIMEOUT : 0, now);
	state->run_until = still(state->run_until, now);
	state->salvage_until = still(state->salvage_until, now);
	state->retry_at = still(state->retry_at, now);
	cancel->requested_at = is_set(cancel->requested_at);
	cancel->settled_at = is_set(cancel->settled_at);
	cancel->stopped_at = cancel->rung_at = 0;
	cancel->next_at = still(cancel->next_at, now);
	for (int i = 0; i < world->net_len; i++)
		world->net[i].epoch = world->net[i].epoch == state->epoch;
	world->broker.epoch = world->broker.epoch == state->epoch;
	for (int i = 0; i < SMALL_RUNS; i++) {
		struct small_run *run = &world->runs[i];
		for (int j = 0; j < run->pipe_len; j++)
			run->pipe[j].epoch = is_answered(&run->pipe[j], run) &&
					     run->pipe[j].epoch == state->epoch;
		run->term_at = still(run->term_at ? run->term_at + GRACE : 0, now);
	}
	for (int i = 0; i < QL_RUNS; i++)
		normalize_run(&state->runs[i], world);
	state->epoch = 0;
	world->now = 0;
}

static void
sort_net(struct small_world *world)
{
	for (int i = 1; i < world->net_len; i++) {
		struct small_message message = world->net[i];
		int j = i;
		for (; j && memcmp(&world->net[j - 1], &message, sizeof(message)) > 0; j--)
			world->net[j] = world->net[j - 1];
		world->net[j] = message;
	}
}

uint64_t
small_hash(const struct small_world *given)
{
	struct small_world world = *given;
	uint64_t hash = 0x9e3779b97f4a7c15;
	normalize(&world);
	sort_net(&world);
	_Static_assert(sizeof(world) % 8 == 0, "it is hashed in words");
	const uint64_t *words = (const uint64_t *)(const void *)&world;
	for (size_t i = 0; i < sizeof(world) / 8; i++) {
		hash = (hash ^ words[i]) * 0xff51afd7ed558ccd;
		hash ^= hash >> 32;
	}
	return hash ? hash : 1;
}

/* ---- the end ---- */

bool
small_is_over(const struct small_world *world)
{
	return is_settled(&world->state) && !ql_state_live(&world->state);
}

/* Everything arrives at once, in order; else time goes on. */
static bool
next_healed(const struct small_world *world, struct small_choice *ret)
{
	for (int i = 0; i < SMALL_RUNS; i++) {
		if (world->runs[i].stuck)
			*ret = (struct small_choice){CHOICE_LET_GO, i, 0};
		else if (world->runs[i].pipe_len)
			*ret = (struct small_choice){CHOICE_ACT, i, 0};
		else
			continue;
		return true;
	}
	*ret = (struct small_choice){world->broker.kind ? CHOICE_BROKER : CHOICE_MESSAGE, 0, 0};
	if (world->broker.kind || world->net_len)
		return true;
	ret->kind = may_claim(world)     ? CHOICE_CLAIM
		    : may_deliver(world) ? CHOICE_DELIVERY
					 : CHOICE_TIME;
	return ret->kind != CHOICE_TIME || ql_state_wake(&world->state);
}

const char *
small_heal(const struct small_rules *rules, struct small_world *world)
{
	struct small_choice choice;
	for (int steps = 0; steps < 400; steps++) {
		if (small_is_over(world))
			return NULL;
		if (!next_healed(world, &choice))
			break;
		const char *broken = small_apply(rules, world, &choice, NULL);
		if (broken)
			return broken;
	}
	bool nowhere = !world->state.runs[0].incarnation;
	if (nowhere && (rules->remote || world->state.status == QL_STATUS_QUEUED))
		return NULL; /* no worker took it: it waits, or nobody can know of it */
	return "it comes to no end, though all faults are over";
}
