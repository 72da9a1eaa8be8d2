#include "small_parts.h"

#include <string.h>

#include "script.h"

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
	bool held = run->phase == SMALL_HELD && world->remote;
	bool room = world->runs[1].phase == SMALL_NEVER;
	if (run->pipe_len) {
		add(choices, ret_count, CHOICE_ACT, i, 0);
		if (world->losses)
			add(choices, ret_count, CHOICE_LOSE_ACT, i, 0);
		if (world->stuck && run->pipe[0].kind == QL_ACT_KILL && runs)
			add(choices, ret_count, CHOICE_KEEP, i, 0);
	}
	if (run->stuck)
		add(choices, ret_count, CHOICE_LET_GO, i, 0);
	if (run->phase == SMALL_AIR)
		add(choices, ret_count, CHOICE_LAND, i, 0);
	if (held && run->warned)
		add(choices, ret_count, CHOICE_DROP, i, 0);
	if (held && !run->warned && room)
		add(choices, ret_count, CHOICE_BEGIN, i, 0);
	if (held && !run->warned && room && world->backs)
		add(choices, ret_count, CHOICE_BACK, i, 0);
	if (runs && room && world->retries && run->sent < QL_RUNG_TERMINATE)
		add(choices, ret_count, CHOICE_RETRY, i, 0);
	if (runs && world->finishes)
		add(choices, ret_count, CHOICE_FINISH, i, 0);
	if (runs && run->sent >= QL_RUNG_NOTICE && run->sent < QL_RUNG_KILL)
		add(choices, ret_count, CHOICE_OBEY, i, 0);
	if (small_is_alive(run) && !run->stuck && world->worker_losses)
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

static bool
is_flying(const struct small_world *world)
{
	return world->runs[0].phase == SMALL_AIR || world->runs[1].phase == SMALL_AIR;
}

int
small_choices(const struct small_world *world, struct small_choice ret_choices[SMALL_CHOICES])
{
	int count = 0;
	if (world->unknown)
		return 0; /* whatever comes is another task's */
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
	if (may_deliver(world) && world->takes & SMALL_HOLDS)
		add(ret_choices, &count, CHOICE_HOLD, 0, 0);
	if (world->produces)
		add(ret_choices, &count, CHOICE_PRODUCE, 0, 0);
	if (world->crashes && ql_state_live(&world->state))
		add(ret_choices, &count, CHOICE_CRASH, 0, 0);
	if (ql_state_wake(&world->state) && !is_flying(world) && (world->lates || is_quiet(world)))
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
	if (small_is_settled(&world->state))
		return small_feed(rules, world, &event, trace);
	if (mode == QL_MODE_KILL)
		world->asked_kill = 1;
	if (top == QL_RUNG_KILL || (mode == QL_MODE_TERMINATE && top == QL_RUNG_NONE))
		world->may_kill = 1;
	return small_feed(rules, world, &event, trace);
}

static const char *
claim(const struct small_rules *rules, struct small_world *world, struct ql_buf *trace)
{
	int run = world->runs[0].phase == SMALL_NEVER && !world->runs[0].barred ? 0 : 1;
	struct ql_event event = {.kind = QL_EVENT_CLAIM, .incarnation = script_run(run)};
	return small_feed(rules, world, &event, trace);
}

static const char *
come_back(const struct small_rules *rules, struct small_world *world, struct ql_buf *trace)
{
	struct ql_event event = {.kind = QL_EVENT_TIME};
	small_crash(world);
	return small_feed(rules, world, &event, trace);
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
	return small_feed(rules, world, &event, trace);
}

static void
obey(struct small_world *world, int which)
{
	struct small_run *run = &world->runs[which];
	bool notice = run->sent == QL_RUNG_NOTICE;
	run->said = notice;
	small_end(world, which, notice ? 0 : -1, notice ? 0 : 15);
}

static void
lose_worker(struct small_world *world, int which)
{
	struct small_run *run = &world->runs[which];
	world->worker_losses--;
	if (world->remote && run->phase == SMALL_HELD)
		world->message = 1;
	run->lost = 1;
	run->phase = SMALL_GONE;
	small_post(world, QL_EVENT_LOST, which, 0, QL_ACT_NONE);
}

static const char *
apply(const struct small_rules *rules, struct small_world *world, const struct small_choice *choice,
	struct ql_buf *trace)
{
	struct small_message message;
	switch ((enum small_choice_kind)choice->kind) {
	case CHOICE_ACT:
		return small_arrive(world, choice->run, false);
	case CHOICE_KEEP:
		world->stuck--;
		return small_arrive(world, choice->run, true);
	case CHOICE_LOSE_ACT:
		world->losses--;
		small_pull(&world->runs[choice->run]);
		return NULL;
	case CHOICE_BROKER:
		small_arrive_at_broker(world);
		return NULL;
	case CHOICE_LOSE_BROKER:
		world->losses--;
		world->broker = (struct small_act){0};
		return NULL;
	case CHOICE_MESSAGE:
		message = small_take(world, choice->index);
		return small_feed_message(rules, world, &message, trace);
	case CHOICE_LOSE_MESSAGE:
		world->losses--;
		small_take(world, choice->index);
		return NULL;
	case CHOICE_DOUBLE_MESSAGE:
		world->doubles--;
		message = world->net[choice->index];
		return small_feed_message(rules, world, &message, trace);
	case CHOICE_STOP:
		return ask_stop(rules, world, choice->index, trace);
	case CHOICE_RESTORE:
		world->restores--;
		world->asked_kill = world->may_kill = 0;
		return small_feed(
			rules, world, &(struct ql_event){.kind = QL_EVENT_RESTORE}, trace);
	case CHOICE_CLAIM:
		return claim(rules, world, trace);
	case CHOICE_FINISH:
		world->finishes--;
		small_end(world, choice->run, 0, 0);
		return NULL;
	case CHOICE_OBEY:
		obey(world, choice->run);
		return NULL;
	case CHOICE_LET_GO:
		small_end(world, choice->run, -1, 9);
		return NULL;
	case CHOICE_WORKER_LOSS:
		lose_worker(world, choice->run);
		return NULL;
	case CHOICE_PRODUCE:
		world->produces--;
		world->message = 1;
		return NULL;
	case CHOICE_DELIVERY:
	case CHOICE_HOLD:
	case CHOICE_LAND:
	case CHOICE_BEGIN:
	case CHOICE_DROP:
	case CHOICE_BACK:
	case CHOICE_RETRY:
		small_work(world, choice);
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
		small_arrive_at_broker(world);
	for (int i = 0; i < SMALL_RUNS; i++) {
		while (world->runs[i].pipe_len && !broken)
			broken = small_arrive(world, i, false);
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
	struct ql_event event = {.kind = rules->adopts ? QL_EVENT_ADOPT : QL_EVENT_SUBMIT,
		.grace_ms = SMALL_GRACE,
		.timeout_ms = rules->adopts ? 0 : SMALL_TIMEOUT,
		.ahead_ms = rules->ahead_ms};
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
	ret->produces = rules->produces;
	ret->backs = rules->backs;
	ret->retries = rules->retries;
	ret->remote = rules->remote;
	ret->takes = rules->takes;
	small_feed(rules, ret, &event, NULL);
	if (rules->adopts)
		ask_stop(rules, ret, 0, NULL);
}

/* ---- the end ---- */

bool
small_is_over(const struct small_world *world)
{
	return world->unknown || (small_is_settled(&world->state) && !ql_state_live(&world->state));
}

/* Everything arrives at once, in order; else time goes on. */
static bool
next_healed(const struct small_world *world, struct small_choice *ret)
{
	for (int i = 0; i < SMALL_RUNS; i++) {
		const struct small_run *run = &world->runs[i];
		bool held = world->remote && run->phase == SMALL_HELD;
		if (run->stuck)
			*ret = (struct small_choice){CHOICE_LET_GO, i, 0};
		else if (run->phase == SMALL_AIR)
			*ret = (struct small_choice){CHOICE_LAND, i, 0};
		else if (held && (run->warned || world->runs[1].phase == SMALL_NEVER))
			*ret = (struct small_choice){
				run->warned ? CHOICE_DROP : CHOICE_BEGIN, i, 0};
		else if (run->pipe_len)
			*ret = (struct small_choice){CHOICE_ACT, i, 0};
		else if (world->state.adopted && run->phase == SMALL_RUNNING && run->sent)
			*ret = (struct small_choice){CHOICE_OBEY, i, 0}; /* it has no deadline */
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
small_heal(const struct small_rules *rules, struct small_world *world, struct ql_buf *trace)
{
	struct small_choice choice;
	for (int steps = 0; steps < 400; steps++) {
		if (small_is_over(world))
			return NULL;
		if (!next_healed(world, &choice))
			break;
		const char *broken = small_apply(rules, world, &choice, trace);
		if (broken)
			return broken;
	}
	if (world->state.status == QL_STATUS_QUEUED && !world->state.cancel.requested_at)
		return NULL; /* no worker took it: it waits */
	return "it comes to no end, though all faults are over";
}
