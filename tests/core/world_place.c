/* The place of execution. */
#include "world.h"

#include "script.h"

void
place_tell(struct world *world, struct place_run *run, int32_t epoch)
{
	bool exited = run->phase == PLACE_EXITED ||
		      (run->phase == PLACE_GONE && !run->lost && !run->forgotten);
	if (run->phase == PLACE_AIR)
		return;
	if (run->phase == PLACE_LEFT) {
		net_sight(world, run,
			run->retried ? QL_EVENT_RETRIED
			: run->lost  ? QL_EVENT_LOST
				     : QL_EVENT_ABSENT,
			0);
	} else if (run->phase == PLACE_NEVER || run->forgotten) {
		run->barred = true;
		net_sight(world, run, QL_EVENT_ABSENT, 0);
	} else if (run->phase == PLACE_HELD) {
		net_sight(world, run, QL_EVENT_HELD, epoch);
	} else if (run->phase == PLACE_RUNNING) {
		net_sight(world, run, QL_EVENT_RUNNING, 0);
	} else if (run->lost) {
		net_sight(world, run, QL_EVENT_LOST, 0);
	}
	if (exited && run->flags & QL_RUN_UNSTARTED && !run->sent && !run->delivered)
		net_sight(world, run, QL_EVENT_FAILED_START, 0);
	else if (exited)
		net_sight(world, run, QL_EVENT_EXITED, run->delivered ? epoch : 0);
	if (exited && run->phase == PLACE_GONE)
		net_sight(world, run, QL_EVENT_GONE, 0);
	if (run->kill_waits && run->phase != PLACE_GONE)
		net_sight(world, run, QL_EVENT_STUCK, 0);
}

/* ---- runs ---- */

struct place_run *
place_find(struct world *world, uint64_t incarnation)
{
	for (int i = 0; i < world->run_count; i++) {
		if (world->runs[i].incarnation == incarnation)
			return &world->runs[i];
	}
	return NULL;
}

bool
place_is_alive(const struct place_run *run)
{
	return run->phase == PLACE_HELD || run->phase == PLACE_RUNNING ||
	       run->phase == PLACE_EXITED;
}

int
place_index(const struct world *world, const struct place_run *run)
{
	return (int)(run - world->runs);
}

static void
plan_program(struct world *world, struct place_run *run)
{
	static const int32_t codes[] = {0, 0, 0, 0, 0, 1, 75, 0};
	struct chance *chance = net_luck(world);
	run->on_notice = (enum habit)chance_int(chance, 3);
	run->on_term = (enum habit)chance_int(chance, 4);
	run->stubborn_remains = chance_is(chance, 8);
	run->stuck = !world->healed && chance_is(chance, 8);
	run->saves_checkpoint = chance_is(chance, 60);
	run->exit_code = -1;
	if (chance_is(chance, 70))
		run->ends_in = 1 + chance_int(chance, chance_is(chance, 60) ? 500 : 40000);
	run->end_code = codes[chance_int(chance, 8)];
	if (chance_is(chance, 6)) {
		run->end_signal = 11;
		run->end_code = -1;
	}
	if (chance_is(chance, 5)) {
		run->end_oom = true;
		run->end_signal = 9;
		run->end_code = -1;
	}
}

struct place_run *
place_make(struct world *world, uint64_t incarnation, int32_t attempt)
{
	if (world->run_count == WORLD_RUNS)
		world_fault(world, "the model's own bound: too many runs");
	struct place_run *run = &world->runs[world->run_count++];
	*run = (struct place_run){.incarnation = incarnation, .attempt = attempt};
	plan_program(world, run);
	return run;
}

static void
plan_exit(struct world *world, struct place_run *run, int64_t in_ms, int32_t code, int32_t signal,
	int32_t flags)
{
	struct item *item = world_at(world, in_ms, ITEM_EXIT);
	item->run = place_index(world, run);
	item->code = code;
	item->signal = signal;
	item->event.flags = flags;
}

static void
react_to_notice(struct world *world, struct place_run *run)
{
	struct chance *chance = net_luck(world);
	int64_t in_ms = 1 + chance_int(chance, 3000);
	if (run->on_notice == HABIT_WORD && chance_is(chance, 50))
		plan_exit(world, run, in_ms, 75, 0, 0);
	else if (run->on_notice == HABIT_WORD)
		plan_exit(world, run, in_ms, 0, 0, QL_RUN_SAID_STOPPED);
	else if (run->on_notice == HABIT_EXITS)
		plan_exit(world, run, in_ms, chance_is(chance, 50) ? 3 : 0, 0, 0);
}

void
place_let_go(struct world *world, struct place_run *run)
{
	char name[16];
	run->phase = PLACE_RUNNING;
	run->ran = true;
	world_note(world, "the program of %s runs", world_run_name(run->incarnation, name));
	if (run->ends_in)
		plan_exit(world, run, run->ends_in, run->end_code, run->end_signal,
			run->end_oom ? QL_RUN_OOM : 0);
	if (run->sent == QL_RUNG_NOTICE)
		react_to_notice(world, run);
	if (net_happens(world, 8)) {
		struct item *item =
			world_at(world, 1 + chance_int(net_luck(world), 8000), ITEM_LOSE);
		item->run = place_index(world, run);
	}
}

/* Its program, or what holds the place for it, ends now. */
void
place_end(struct world *world, struct place_run *run, int32_t code, int32_t signal, int32_t flags)
{
	char name[16];
	run->exit_code = signal ? -1 : code;
	run->exit_signal = signal;
	run->flags |= flags;
	run->ended = true;
	bool stays = run->ran &&
		     (run->stubborn_remains || (run->stuck && chance_is(net_luck(world), 30)));
	run->phase = stays ? PLACE_EXITED : PLACE_GONE;
	if (run->delivered && run->ran)
		broker_unbox(world);
	world_note(world, "%s ends: code %d, signal %d, after %s%s",
		world_run_name(run->incarnation, name), run->exit_code, run->exit_signal,
		run->sent ? ql_rung_word(run->sent) : "nothing", stays ? "; something stays" : "");
	place_tell(world, run, 0);
	if (stays && chance_is(net_luck(world), 50)) {
		struct item *item =
			world_at(world, 1 + chance_int(net_luck(world), 8000), ITEM_CLEAR);
		item->run = place_index(world, run);
	}
}

void
place_exit(struct world *world, const struct item *item)
{
	struct place_run *run = &world->runs[item->run];
	if (run->phase != PLACE_RUNNING || run->kill_waits || broker_retries(world, run))
		return;
	bool said = item->event.flags & QL_RUN_SAID_STOPPED || item->code == 75;
	bool written = run->delivered && run->sent && !said && run->incarnation % 2;
	place_end(world, run, item->code, item->signal,
		item->event.flags | (written ? QL_RUN_WRITTEN : 0));
}

void
place_clear(struct world *world, int which)
{
	struct place_run *run = &world->runs[which];
	if (run->phase != PLACE_EXITED || run->stuck)
		return;
	run->phase = PLACE_GONE;
	net_sight(world, run, QL_EVENT_GONE, 0);
}

void
place_lose(struct world *world, int which)
{
	char name[16];
	struct place_run *run = &world->runs[which];
	if (!place_is_alive(run) || run->stuck)
		return;
	world_note(world, "the supervisor of %s dies", world_run_name(run->incarnation, name));
	bool held = run->delivered && run->phase == PLACE_HELD;
	if (run->phase == PLACE_RUNNING)
		broker_box(world, run);
	run->phase = PLACE_GONE;
	run->lost = true;
	if (held)
		broker_put_back(world, run);
	net_sight(world, run, QL_EVENT_LOST, 0);
}

/* ---- acts, as they arrive ---- */

static bool
start(struct world *world, struct place_run *run)
{
	if (run->barred || run->phase != PLACE_NEVER)
		return !run->barred;
	if (net_happens(world, world->refuses))
		return false;
	if (net_happens(world, 3)) {
		run->phase = PLACE_GONE;
		run->flags = QL_RUN_UNSTARTED;
		net_sight(world, run, QL_EVENT_FAILED_START, 0);
		return true;
	}
	run->phase = PLACE_HELD;
	net_sight(world, run, QL_EVENT_HELD, 0);
	return true;
}

static bool
release(struct world *world, struct place_run *run)
{
	if (run->phase == PLACE_HELD) {
		place_let_go(world, run);
		net_sight(world, run, QL_EVENT_RUNNING, 0);
	}
	return run->ran;
}

static void
send_rung(struct place_run *run, enum ql_rung rung)
{
	if (run->sent < rung)
		run->sent = rung;
}

static bool
notice(struct world *world, struct place_run *run)
{
	if (run->phase != PLACE_HELD && run->phase != PLACE_RUNNING)
		return place_is_alive(run);
	bool first = run->sent < QL_RUNG_NOTICE;
	send_rung(run, QL_RUNG_NOTICE);
	if (first && run->phase == PLACE_RUNNING)
		react_to_notice(world, run);
	return true;
}

static bool
terminate(struct world *world, struct place_run *run)
{
	struct chance *chance = net_luck(world);
	if (run->phase == PLACE_HELD) {
		send_rung(run, QL_RUNG_TERMINATE);
		place_end(world, run, 0, 15, QL_RUN_UNSTARTED);
	}
	if (run->phase != PLACE_RUNNING)
		return place_is_alive(run);
	bool first = run->sent < QL_RUNG_TERMINATE;
	send_rung(run, QL_RUNG_TERMINATE);
	if (run->on_term != HABIT_DIES)
		run->flags |= QL_RUN_CATCHES_TERM;
	if (run->on_term == HABIT_DIES && !run->kill_waits)
		place_end(world, run, 0, chance_is(chance, 5) ? 0 : 15, 0);
	else if (first && run->on_term != HABIT_IGNORES)
		plan_exit(world, run, 1 + chance_int(chance, 6000), (int32_t)chance_int(chance, 2),
			0, 0);
	return true;
}

static bool
kill_run(struct world *world, struct place_run *run)
{
	if (run->phase == PLACE_NEVER)
		run->barred = true;
	if (!place_is_alive(run))
		return true;
	if (run->delivered && run->phase == PLACE_HELD)
		return broker_kill_held(run);
	if (run->phase == PLACE_RUNNING && !run->kill_waits)
		rules_kill(world, run);
	if (run->phase != PLACE_EXITED)
		send_rung(run, QL_RUNG_KILL);
	if (run->stuck) {
		run->kill_waits = true;
		net_sight(world, run, QL_EVENT_STUCK, 0);
		world_tally(world, TALLY_STUCK);
	} else if (run->phase == PLACE_EXITED) {
		run->phase = PLACE_GONE;
		net_sight(world, run, QL_EVENT_GONE, 0);
	} else if (run->delivered && chance_is(net_luck(world), 50)) {
		struct item *item = world_at(world, world->durable.cancel.grace_ms, ITEM_KILLED);
		item->run = place_index(world, run);
	} else if (run->ran && chance_is(net_luck(world), 5)) {
		place_end(world, run, 0, 0, 0); /* it was just about to */
	} else {
		run->stubborn_remains = false;
		place_end(world, run, 0, 9, run->ran ? 0 : QL_RUN_UNSTARTED);
	}
	return true;
}

static bool
salvage(struct world *world, struct place_run *run)
{
	struct ql_event event = {.kind = QL_EVENT_SALVAGED,
		.incarnation = run->incarnation,
		.output_bytes = 100,
		.checkpoint_bytes = run->saves_checkpoint ? 1000 : -1};
	if (run->forgotten || run->phase < PLACE_EXITED)
		return false;
	net_event(world, &event);
	return true;
}

static bool
forget(struct world *world, struct place_run *run)
{
	if (place_is_alive(run))
		world_fault(world, "the record of a run is to be dropped while it is there");
	run->forgotten = true;
	return true;
}

static bool
act_on_run(struct world *world, const struct ql_act *act, struct place_run *run)
{
	switch (act->kind) {
	case QL_ACT_START:
		return start(world, run);
	case QL_ACT_RELEASE:
		return release(world, run);
	case QL_ACT_NOTICE:
		return notice(world, run);
	case QL_ACT_TERMINATE:
		return terminate(world, run);
	case QL_ACT_KILL:
		return kill_run(world, run);
	case QL_ACT_INSPECT:
		place_tell(world, run, act->epoch);
		return true;
	case QL_ACT_SALVAGE:
		return salvage(world, run);
	case QL_ACT_FORGET:
		return forget(world, run);
	default:
		world_fault(world, "an act that the place does not know");
	}
}

void
place_act(struct world *world, const struct item *item)
{
	if (item->run < 0) {
		if (net_happens(world, world->refuses))
			net_answer(world, &item->act, false);
		else
			broker_act(world, &item->act, item->attempt);
		return;
	}
	struct place_run *run = &world->runs[item->run];
	bool taken = false;
	if (item->act.kind == QL_ACT_START || !net_happens(world, world->refuses))
		taken = act_on_run(world, &item->act, run);
	net_answer(world, &item->act, taken);
}

/* ---- after the faults ---- */

static void
free_stuck(struct world *world, struct place_run *run)
{
	run->stuck = false;
	if (!run->kill_waits)
		return;
	run->kill_waits = false;
	if (run->phase == PLACE_EXITED) {
		run->phase = PLACE_GONE;
		net_sight(world, run, QL_EVENT_GONE, 0);
	} else if (place_is_alive(run)) {
		run->stubborn_remains = false;
		place_end(world, run, 0, 9, run->ran ? 0 : QL_RUN_UNSTARTED);
	}
}

void
place_heal(struct world *world)
{
	for (int i = 0; i < world->run_count; i++)
		free_stuck(world, &world->runs[i]);
	world_at(world, 1000, ITEM_HELLO);
	world_at(world, 60000, ITEM_HELLO);
	world_at(world, 600000, ITEM_HELLO);
}

void
place_hello(struct world *world)
{
	broker_hello(world);
}

/* The server's sweep at its start, on its own host: runs that no record of it names. */
void
place_purge(struct world *world)
{
	for (int i = 0; i < world->run_count; i++) {
		struct place_run *run = &world->runs[i];
		if (run->delivered || ql_state_run(&world->memory, run->incarnation))
			continue;
		run->barred = true;
		if (place_is_alive(run) && !run->stuck)
			run->phase = PLACE_GONE;
		if (run->phase == PLACE_GONE)
			run->forgotten = true;
	}
}
