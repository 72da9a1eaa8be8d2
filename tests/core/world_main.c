#include "world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "script.h"

#define MOST_STEPS 4000
#define LONGEST_MS (3600 * 1000LL) /* from healing to the end of everything */

/* ---- chance ---- */

uint64_t
chance_next(struct chance *chance)
{
	uint64_t z = chance->state += 0x9e3779b97f4a7c15;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

int64_t
chance_int(struct chance *chance, int64_t below)
{
	return (int64_t)(chance_next(chance) % (uint64_t)below);
}

bool
chance_is(struct chance *chance, int percent)
{
	return chance_int(chance, 100) < percent;
}

/* ---- what happens when ---- */

static bool
is_before(const struct item *a, const struct item *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void
swap(struct item *a, struct item *b)
{
	struct item held = *a;
	*a = *b;
	*b = held;
}

struct item *
world_at(struct world *world, int64_t in_ms, enum item_kind kind)
{
	if (world->item_count == WORLD_ITEMS)
		world_fault(world, "the model's own bound: too much is going on");
	int i = world->item_count++;
	struct item item = {.at = world->now + in_ms,
		.seq = ++world->seq,
		.kind = kind,
		.run = -1,
		.generation = world->generation};
	for (; i && is_before(&item, &world->items[(i - 1) / 2]); i = (i - 1) / 2)
		world->items[i] = world->items[(i - 1) / 2];
	world->items[i] = item;
	return &world->items[i];
}

static struct item
take_first(struct world *world)
{
	struct item *items = world->items;
	struct item first = items[0];
	items[0] = items[--world->item_count];
	for (int i = 0;;) {
		int least = i;
		for (int child = 2 * i + 1; child <= 2 * i + 2; child++) {
			if (child < world->item_count && is_before(&items[child], &items[least]))
				least = child;
		}
		if (least == i)
			return first;
		swap(&items[i], &items[least]);
		i = least;
	}
}

/* ---- what is told of it ---- */

const char *
world_run_name(uint64_t incarnation, char ret_name[16])
{
	snprintf(ret_name, 16, "%c%" PRIu64, (char)('A' - 1 + (int)(incarnation >> 56)),
		(incarnation >> 32) & 0xffffff);
	return ret_name;
}

void
world_note(struct world *world, const char *format, ...)
{
	char text[200];
	va_list args;
	if (!world->trace)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ql_buf_addf(world->trace, "# %" PRId64 ".%03" PRId64 " %s\n",
		(world->now - SCRIPT_EPOCH) / 1000, (world->now - SCRIPT_EPOCH) % 1000, text);
}

void
world_fault(struct world *world, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(world->fault, sizeof(world->fault), format, args);
	va_end(args);
	longjmp(world->broken, 1);
}

void
world_tally(struct world *world, enum tally tally)
{
	world->tallies[tally] = 1;
}

/* ---- making ---- */

static int64_t
some_ms(struct world *world, int64_t most)
{
	int64_t below = 1 + chance_int(&world->chance, most);
	return chance_int(&world->chance, below) + 1;
}

static void
plan_stop(struct world *world, int64_t in_ms)
{
	static const enum ql_cause causes[] = {
		QL_CAUSE_USER, QL_CAUSE_USER, QL_CAUSE_POLICY, QL_CAUSE_SUPERSEDED};
	static const enum ql_rung tops[] = {
		QL_RUNG_NONE, QL_RUNG_NONE, QL_RUNG_NOTICE, QL_RUNG_TERMINATE, QL_RUNG_KILL};
	struct chance *chance = &world->chance;
	struct ql_event *event = &world_at(world, in_ms, ITEM_EVENT)->event;
	*event = (struct ql_event){.kind = QL_EVENT_CANCEL,
		.mode = (enum ql_mode)(QL_MODE_CANCEL + chance_int(chance, 3)),
		.top = tops[chance_int(chance, 5)],
		.cause = causes[chance_int(chance, 4)],
		.grace_ms = chance_is(chance, 50) ? -1 : chance_int(chance, 4000)};
	if (chance_is(chance, 5))
		event->attempt = 1 + (int32_t)chance_int(chance, 2);
}

static void
plan_users(struct world *world)
{
	struct chance *chance = &world->chance;
	int64_t at = some_ms(world, chance_is(chance, 25) ? 300 : 20000);
	for (int64_t stops = chance_int(chance, 5); stops; stops--) {
		plan_stop(world, at);
		at += some_ms(world, chance_is(chance, 50) ? 200 : 30000);
	}
	int64_t pace = chance_is(chance, 30) ? 100 : 40000; /* some change their minds at once */
	for (int64_t others = chance_int(chance, 4); others; others--) {
		struct ql_event *event = &world_at(world, at, ITEM_EVENT)->event;
		event->kind = chance_is(chance, 50) ? QL_EVENT_RESTORE : QL_EVENT_RESUME;
		at += some_ms(world, pace);
		if (chance_is(chance, 60))
			plan_stop(world, at + some_ms(world, pace));
	}
}

static void
plan_faults(struct world *world)
{
	struct chance *chance = &world->chance;
	bool calm = chance_is(chance, 30);
	world->loses = calm ? 0 : (int)chance_int(chance, 30);
	world->doubles = (int)chance_int(chance, 20);
	world->delays = (int)chance_int(chance, 20);
	world->refuses = calm ? 0 : (int)chance_int(chance, 15);
	world->fails = calm ? 0 : (int)chance_int(chance, 8);
	world->crashes = chance_is(chance, 50) ? 0 : (int)chance_int(chance, 6);
	for (int64_t crashes = chance_int(chance, 3); !calm && crashes; crashes--)
		world_at(world, some_ms(world, 30000), ITEM_CRASH);
	world->heals_at = world->now + 20000 + chance_int(chance, 100000);
	world_at(world, world->heals_at - world->now, ITEM_HEAL);
}

/* All but the heap of items, which is large and needs no zeroes. */
static void
clear(struct world *world)
{
	memset(world, 0, offsetof(struct world, items));
	memset((char *)world + offsetof(struct world, item_count), 0,
		sizeof(*world) - offsetof(struct world, item_count));
}

static void
make(struct world *world, uint64_t number, struct ql_buf *trace)
{
	world->number = number;
	world->trace = trace;
	world->chance.state = number * 0xd1342543de82ef95 + 1;
	world->now = SCRIPT_EPOCH;
	world->policy = ql_policy_default;
	world->policy.remote_broker = chance_is(&world->chance, 35);
	if (trace && world->policy.remote_broker)
		ql_buf_adds(trace, "remote\n");
	plan_faults(world);
	plan_users(world);
	if (world->policy.remote_broker)
		broker_start(world);
	server_start(world);
}

/* ---- the wheel ---- */

static void
feed_time(struct world *world)
{
	struct ql_event event = {.kind = QL_EVENT_TIME};
	if (++world->idle_times > 12)
		world_fault(world, "TIME is asked for again and again, and nothing moves");
	server_event(world, &event);
}

static void
turn(struct world *world, struct item *item)
{
	switch (item->kind) {
	case ITEM_EVENT:
		server_event(world, &item->event);
		return;
	case ITEM_ACT:
		place_act(world, item);
		return;
	case ITEM_EXIT:
		place_exit(world, item);
		return;
	case ITEM_CLEAR:
		place_clear(world, item->run);
		return;
	case ITEM_LOSE:
		place_lose(world, item->run);
		return;
	case ITEM_COMMIT:
		if (item->generation == world->generation)
			server_commit(world);
		return;
	case ITEM_CRASH:
		server_crash(world);
		return;
	case ITEM_RESTART:
		server_restart(world);
		return;
	case ITEM_CLAIM:
		server_claim(world);
		return;
	case ITEM_WORKER:
		broker_worker(world);
		return;
	case ITEM_TAKEN:
		broker_taken(world, item->run);
		return;
	case ITEM_BEGIN:
		broker_begin(world, item->run);
		return;
	case ITEM_KILLED:
		broker_killed(world, item->run);
		return;
	case ITEM_PRODUCE:
		broker_produce(world);
		return;
	case ITEM_REVOKE:
		broker_revoke(world);
		return;
	case ITEM_UNBOX:
		broker_unbox(world);
		return;
	case ITEM_HEAL:
		world_note(world, "all faults end");
		world->healed = true;
		place_heal(world);
		return;
	case ITEM_HELLO:
		place_hello(world);
		return;
	}
}

/* What was on its way to a server that is no more is not heard; the users ask the one there is. */
static bool
is_heard(const struct world *world, const struct item *item)
{
	return item->kind != ITEM_EVENT || item->generation == world->generation ||
	       (world->up && item->event.kind <= QL_EVENT_RESUME);
}

static void
jump(struct world *world)
{
	if (world->healed || !chance_is(&world->chance, 1))
		return;
	world->now += chance_int(&world->chance, 40000);
	world_note(world, "the clock jumps");
	world_tally(world, TALLY_CLOCK_JUMPED);
}

static void
wheel(struct world *world)
{
	for (int steps = 0; steps < MOST_STEPS; steps++) {
		int64_t wake = server_wake(world);
		int64_t then = world->now;
		bool timed = wake && (!world->item_count || wake <= world->items[0].at);
		if (!timed && !world->item_count)
			return;
		if (!timed || wake > world->now)
			jump(world);
		int64_t at = timed ? wake : world->items[0].at;
		if (at > world->now)
			world->now = at;
		if (world->now > then)
			world->idle_times = 0;
		if (world->now > world->heals_at + LONGEST_MS) {
			world_note(world, "an hour after all faults were over");
			return;
		}
		if (timed) {
			feed_time(world);
			continue;
		}
		struct item item = take_first(world);
		if (is_heard(world, &item))
			turn(world, &item);
	}
	world_fault(world, "no end: %d steps, and still something to do", MOST_STEPS);
}

int
world_run(struct world *world, uint64_t number, struct ql_buf *trace)
{
	clear(world);
	if (setjmp(world->broken))
		return -1;
	make(world, number, trace);
	wheel(world);
	rules_end(world);
	return 0;
}
