/* The broker and its workers, which are not Quell's: they hold, drop, give back, retry and revoke. */
#include "world.h"

#include "script.h"

#define MOST_COPIES 6 /* deliveries of one message that come by themselves, in one world */
#define MOST_RETRIES 4

static void
wake_worker(struct world *world)
{
	world_at(world, 1 + chance_int(net_luck(world), 5000), ITEM_WORKER);
}

static void
put(struct world *world, int32_t attempt)
{
	world->messages++;
	world->message_of = attempt;
	world->message_since = world->now;
	world->existed = true;
	wake_worker(world);
}

/* ---- another producer's task ---- */

/* Its message is there before it is adopted, comes later, or never. */
void
broker_start(struct world *world)
{
	struct chance *chance = net_luck(world);
	world->adopts = chance_is(chance, 40);
	if (chance_is(chance, 12))
		world_at(world, 1 + chance_int(chance, 20000), ITEM_REVOKE);
	if (!world->adopts || chance_is(chance, 25))
		return;
	bool early = chance_is(chance, 60);
	int64_t most = chance_is(chance, 50) ? 5000 : 60000;
	if (early)
		put(world, 1);
	else
		world_at(world, 1 + chance_int(chance, most), ITEM_PRODUCE);
}

void
broker_produce(struct world *world)
{
	world_note(world, "another producer sends its message");
	put(world, 1);
}

/* ---- what a worker does with a message ---- */

static bool
is_tombstoned(const struct world *world)
{
	return ql_state_stopping(&world->durable) || world->durable.status == QL_STATUS_CANCELLED;
}

/* It takes the message and knows that it must not run it. */
static void
drop(struct world *world, struct place_run *run)
{
	run->phase = PLACE_GONE;
	run->exit_signal = 15;
	run->flags |= QL_RUN_UNSTARTED | QL_RUN_REVOKED;
	run->ended = true;
	place_tell(world, run, 0);
}

static void
hold(struct world *world, struct place_run *run)
{
	struct chance *chance = net_luck(world);
	int64_t most = chance_is(chance, 60) ? 5000 : 120000;
	run->phase = PLACE_HELD;
	struct item *item = world_at(world, 1 + chance_int(chance, most), ITEM_BEGIN);
	item->run = place_index(world, run);
}

static struct place_run *
take(struct world *world, int32_t attempt, int64_t since)
{
	struct place_run *run = place_make(world, script_run(world->claims++), attempt);
	run->delivered = true;
	run->since = since;
	run->retries = chance_is(net_luck(world), 20);
	if (world->adopts && !run->ends_in)
		run->ends_in = 30000; /* it has no run deadline */
	return run;
}

/* A worker takes a message, unless it knows of the tombstone; at times it is delivered again. */
void
broker_worker(struct world *world)
{
	struct chance *chance = net_luck(world);
	if (!world->messages)
		return;
	if (world->durable.attempt && world->message_of != world->durable.attempt)
		return; /* what is left of the attempt before stays dead */
	if (is_tombstoned(world) && !chance_is(chance, 50)) {
		if (!world->healed)
			wake_worker(world);
		return;
	}
	world->messages--;
	struct place_run *run = take(world, world->message_of, world->message_since);
	run->phase = PLACE_AIR;
	struct item *item = world_at(
		world, chance_is(chance, 50) ? 1 : 1 + chance_int(chance, 1500), ITEM_TAKEN);
	item->run = place_index(world, run);
	if (world->redeliveries < MOST_COPIES &&
		net_happens(world, 20 + 10 * world->redeliveries)) {
		world->redeliveries++;
		put(world, world->message_of);
	}
}

void
broker_taken(struct world *world, int which)
{
	struct place_run *run = &world->runs[which];
	struct chance *chance = net_luck(world);
	run->shown = world->now;
	bool knows = is_tombstoned(world) && !net_happens(world, 30);
	if (world->revoked || (knows && run->attempt == world->durable.attempt)) {
		drop(world, run);
		return;
	}
	if (chance_is(chance, 40))
		hold(world, run);
	else
		place_let_go(world, run);
	place_tell(world, run, 0);
}

/* ---- what is held ---- */

/* Its worker shuts down, or dies: another will take it. */
void
broker_put_back(struct world *world, struct place_run *run)
{
	run->phase = PLACE_LEFT;
	if (run->attempt == world->message_of)
		put(world, run->attempt);
}

static void
tell_at_times(struct world *world, struct place_run *run)
{
	if (chance_is(net_luck(world), 50))
		place_tell(world, run, 0);
}

void
broker_begin(struct world *world, int which)
{
	struct place_run *run = &world->runs[which];
	if (run->phase != PLACE_HELD)
		return;
	if (run->warned || world->revoked) {
		drop(world, run);
		return;
	}
	if (net_happens(world, 15)) {
		run->lost = chance_is(net_luck(world), 50); /* it dies; else it shuts down */
		broker_put_back(world, run);
		tell_at_times(world, run);
		return;
	}
	run->phase = PLACE_LEFT;
	struct place_run *begun = take(world, run->attempt, run->since);
	begun->shown = run->shown;
	place_let_go(world, begun);
	if (chance_is(net_luck(world), 50))
		place_tell(world, run, 0);
	tell_at_times(world, begun);
}

/* Its worker is told, and drops it when its time comes. */
bool
broker_kill_held(struct place_run *run)
{
	run->warned = true;
	return true;
}

/* ---- what is left of it where its worker died ---- */

void
broker_box(struct world *world, const struct place_run *run)
{
	if (!run->delivered || !chance_is(net_luck(world), 60))
		return;
	world_note(world, "its containers run on");
	world->boxed = true;
	world->boxed_of = run->attempt;
	world->boxed_since = world->now;
	world_at(world, 1 + chance_int(net_luck(world), 100000), ITEM_UNBOX);
}

void
broker_unbox(struct world *world)
{
	if (world->boxed)
		world_note(world, "its containers end");
	world->boxed = false;
}

/* True where nothing more is to be told: they run, and are to be found. */
static bool
look_for_boxes(struct world *world, const struct ql_act *act, int32_t attempt)
{
	struct ql_event event = {.kind = QL_EVENT_BOXED, .epoch = act->epoch};
	if (!world->boxed || world->boxed_of != attempt || act->boxes == QL_BOXES_LEAVE)
		return false;
	if (act->boxes == QL_BOXES_END) {
		rules_unbox(world);
		broker_unbox(world);
		event.flags = QL_RUN_BOXES_ENDED;
		world_tally(world, TALLY_BOXES_ENDED);
	}
	net_event(world, &event);
	return act->boxes == QL_BOXES_FIND;
}

/* ---- what runs ---- */

void
broker_killed(struct world *world, int which)
{
	struct place_run *run = &world->runs[which];
	if (run->phase != PLACE_RUNNING || run->kill_waits)
		return;
	run->stubborn_remains = false;
	place_end(world, run, 0, 9, 0);
}

bool
broker_retries(struct world *world, struct place_run *run)
{
	char name[16];
	if (!run->retries || run->sent >= QL_RUNG_TERMINATE || world->retries == MOST_RETRIES ||
		run->attempt != world->message_of || world->revoked)
		return false;
	world_note(world, "%s ends to be delivered again", world_run_name(run->incarnation, name));
	world->retries++;
	run->phase = PLACE_LEFT;
	run->retried = true;
	put(world, run->attempt);
	place_tell(world, run, 0);
	return true;
}

/* By whomever: what runs is ended, what comes is dropped. */
void
broker_revoke(struct world *world)
{
	world_note(world, "another revokes the task");
	world->revoked = true;
	for (int i = 0; i < world->run_count; i++) {
		struct place_run *run = &world->runs[i];
		if (run->delivered && run->phase == PLACE_RUNNING && !run->kill_waits)
			place_end(world, run, 0, 15, QL_RUN_REVOKED);
	}
}

/* ---- asked by the server ---- */

static bool
is_there(const struct place_run *run)
{
	return run->phase == PLACE_AIR || place_is_alive(run);
}

const char *
broker_left(const struct world *world, int32_t attempt, int64_t before)
{
	if (world->messages && world->message_of == attempt && world->message_since < before)
		return "its message is in the queue";
	for (int i = 0; i < world->run_count; i++) {
		const struct place_run *run = &world->runs[i];
		if (run->attempt == attempt && run->since < before && is_there(run))
			return run->phase == PLACE_AIR    ? "a worker is taking it"
			       : run->phase == PLACE_HELD ? "a worker holds it"
							  : "it runs";
	}
	return NULL;
}

bool
broker_has(const struct world *world, int32_t attempt, int64_t then)
{
	for (int i = 0; i < world->run_count; i++) {
		const struct place_run *run = &world->runs[i];
		if (run->attempt == attempt && run->shown && run->shown < then &&
			place_is_alive(run))
			return true;
	}
	return false;
}

/* What is not in the air and not left. */
static bool
is_in_the_books(const struct place_run *run)
{
	return !run->forgotten && run->phase > PLACE_AIR && run->phase != PLACE_LEFT;
}

static bool
is_anywhere(const struct world *world)
{
	bool any = false;
	for (int i = 0; i < world->run_count; i++)
		any = any || (place_is_alive(&world->runs[i]) && !world->runs[i].forgotten);
	return any;
}

/* Tells of each run that there is, or was; true when one is there. */
static bool
tell_all(struct world *world, int32_t epoch)
{
	bool any = is_anywhere(world);
	for (int i = 0; i < world->run_count; i++) {
		if (is_in_the_books(&world->runs[i]))
			place_tell(world, &world->runs[i], any ? 0 : epoch);
	}
	return any;
}

/* Every place is asked: the queue, the workers, the results. */
static void
look(struct world *world, const struct ql_act *act, int32_t attempt)
{
	struct ql_event event = {.kind = QL_EVENT_ABSENT, .epoch = act->epoch};
	bool queued = world->messages && world->message_of == attempt;
	bool results = false;
	for (int i = 0; i < world->run_count; i++)
		results = results ||
			  (is_in_the_books(&world->runs[i]) && world->runs[i].ended &&
				  !world->runs[i].lost && world->runs[i].attempt == attempt);
	bool boxed = !queued && !is_anywhere(world) && look_for_boxes(world, act, attempt);
	bool found = tell_all(world, queued || boxed ? 0 : act->epoch);
	net_answer(world, act, true);
	if (found || queued || boxed)
		return;
	world->looks[act->epoch % 64] = world->now;
	if (!results)
		net_event(world, &event);
}

void
broker_act(struct world *world, const struct ql_act *act, int32_t attempt)
{
	struct ql_event event = {.kind = QL_EVENT_NOT_QUEUED, .epoch = act->epoch};
	if (act->kind == QL_ACT_ENQUEUE) {
		if (world->message_of < attempt) {
			world->messages = 0; /* what is left of the attempt before stays dead */
			put(world, attempt);
		}
		net_answer(world, act, true);
	} else if (act->kind == QL_ACT_REMOVE) {
		bool there = world->messages && world->message_of == attempt;
		if (there) {
			bool died = world->boxed && world->boxed_of == attempt;
			world->messages = 0;
			world->removed_at = world->now;
			event.kind = QL_EVENT_REMOVED;
			event.flags = died ? QL_RUN_REDELIVERED : 0;
		}
		if (there && act->boxes == QL_BOXES_END && world->boxed_of == attempt)
			broker_unbox(world);
		net_event(world, &event);
	} else {
		look(world, act, attempt);
	}
}

void
broker_hello(struct world *world)
{
	tell_all(world, 0);
	if (world->messages)
		wake_worker(world);
}
