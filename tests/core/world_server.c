/* The server: step, commit, act; and its store, whose commits fail before and after. */
#include "world.h"

#include <string.h>

#include "script.h"

static void
plan_claim(struct world *world)
{
	struct chance *chance = &world->chance;
	if (!world->up || world->policy.remote_broker || !ql_state_waiting(&world->memory))
		return;
	bool slow = !world->healed && chance_is(chance, 20);
	world_at(world, 1 + chance_int(chance, slow ? 20000 : 200), ITEM_CLAIM);
}

static void
plan_submit(struct world *world)
{
	struct chance *chance = &world->chance;
	struct ql_event *event = &world_at(world, 1, ITEM_EVENT)->event;
	if (world->adopts) {
		*event = (struct ql_event){.kind = QL_EVENT_ADOPT,
			.grace_ms = chance_int(chance, 5000),
			.ahead_ms = chance_is(chance, 40) ? 1 + chance_int(chance, 200000) : 0};
		return;
	}
	*event = (struct ql_event){.kind = QL_EVENT_SUBMIT,
		.grace_ms = chance_int(chance, 5000),
		.timeout_ms = 500 + chance_int(chance, chance_is(chance, 30) ? 4000 : 60000),
		.queue_ttl_ms = chance_is(chance, 30) ? 100 + chance_int(chance, 20000) : 0};
}

void
server_start(struct world *world)
{
	world->up = true;
	plan_submit(world);
}

int64_t
server_wake(const struct world *world)
{
	const struct ql_state *state = &world->memory;
	if (!world->up || !state->attempt)
		return 0;
	if (ql_state_live(state))
		return ql_state_wake(state);
	return state->status == QL_STATUS_QUEUED ? state->queue_until : 0;
}

/* ---- the store ---- */

static void
start_commit(struct world *world)
{
	if (world->inflight.any || !world->gathered.any || world->together)
		return;
	world->inflight = world->gathered;
	world->gathered.any = false;
	world->gathered.act_count = 0;
	world->gathered.kept_count = 0;
	world_at(world, chance_int(&world->chance, 20), ITEM_COMMIT);
}

static void
make_durable(struct world *world)
{
	struct ql_state was = world->durable;
	world->durable = world->inflight.state;
	if (!world->durable.attempt)
		world->unknown = true;
	rules_durable(world, &was);
}

static void
drop_batches(struct world *world)
{
	world->inflight.any = world->gathered.any = false;
	world->inflight.act_count = world->gathered.act_count = 0;
	world->inflight.kept_count = world->gathered.kept_count = 0;
}

/* Everything that is not durable goes back; sightings are kept and fed again. */
static void
fail_commit(struct world *world)
{
	struct ql_event kept[2 * WORLD_KEPT];
	int count = world->inflight.kept_count, more = world->gathered.kept_count;
	memcpy(kept, world->inflight.kept, (size_t)count * sizeof(*kept));
	memcpy(kept + count, world->gathered.kept, (size_t)more * sizeof(*kept));
	drop_batches(world);
	world->memory = world->durable;
	world_note(world, "the commit failed");
	world_tally(world, TALLY_COMMIT_FAILED);
	if (!world->memory.attempt && !world->unknown)
		plan_submit(world);
	for (int i = 0; i < count + more; i++)
		server_event(world, &kept[i]);
	plan_claim(world);
}

/* The tombstone is read once more before a program is let go: the stop may be in the same batch. */
static void
perform(struct world *world, const struct ql_act *act)
{
	bool begins = act->kind == QL_ACT_START || act->kind == QL_ACT_RELEASE;
	if (begins && ql_state_stopping(&world->memory))
		return;
	if (act->kind == QL_ACT_RELEASE)
		rules_release(world);
	net_send(world, act);
}

void
server_commit(struct world *world)
{
	struct chance *chance = &world->chance;
	if (!world->healed && chance_is(chance, world->crashes)) {
		server_crash(world);
		return;
	}
	if (!world->healed && chance_is(chance, world->fails)) {
		if (chance_is(chance, 30)) {
			make_durable(world);
			world_tally(world, TALLY_COMMIT_HALF_FAILED);
		}
		fail_commit(world);
		return;
	}
	make_durable(world);
	world->inflight.any = false;
	for (int i = 0; i < world->inflight.act_count; i++)
		perform(world, &world->inflight.acts[i]);
	start_commit(world);
	plan_claim(world);
}

void
server_crash(struct world *world)
{
	struct chance *chance = &world->chance;
	if (!world->up || world->healed)
		return;
	if (world->inflight.any && chance_is(chance, 50))
		make_durable(world);
	drop_batches(world);
	world->up = false;
	world->generation++;
	world_note(world, "the server crashes");
	world_tally(world, TALLY_CRASHED);
	int64_t away = chance_is(chance, 70) ? 500 : 30000;
	world_at(world, 1 + chance_int(chance, away), ITEM_RESTART);
}

static void
inspect_all(struct world *world)
{
	for (int i = 0; i < QL_RUNS; i++) {
		struct ql_act act = {.kind = QL_ACT_INSPECT,
			.epoch = world->memory.epoch,
			.incarnation = world->memory.runs[i].incarnation};
		if (ql_phase_takes_slot((enum ql_phase)world->memory.runs[i].phase))
			net_send(world, &act);
	}
}

void
server_restart(struct world *world)
{
	struct ql_event event = {.kind = QL_EVENT_TIME};
	world->up = true;
	world->memory = world->durable;
	world_note(world, "the server comes back");
	if (world->unknown)
		return;
	if (!world->memory.attempt) {
		plan_submit(world);
		return;
	}
	place_purge(world);
	if (ql_state_live(&world->memory)) {
		inspect_all(world);
		server_event(world, &event);
	}
	plan_claim(world);
}

/* ---- events ---- */

static void
gather(struct world *world, const struct ql_event *event, const struct ql_decision *decision)
{
	struct batch *batch = &world->gathered;
	bool kept = event->kind > QL_EVENT_TIME;
	batch->any = true;
	batch->state = decision->next;
	for (int i = 0; i < decision->act_count; i++) {
		if (batch->act_count == WORLD_ACTS)
			world_fault(world, "the model's own bound: too many acts in a batch");
		batch->acts[batch->act_count++] = decision->acts[i];
	}
	if (kept && batch->kept_count < WORLD_KEPT)
		batch->kept[batch->kept_count++] = *event;
	start_commit(world);
}

static void
print(struct world *world, const struct ql_event *event, const struct ql_decision *decision)
{
	if (!world->trace)
		return;
	script_print_event(world->trace, event);
	script_print_decision(world->trace, &world->memory, decision);
}

/* The record is dropped without a trace. */
static void
drop(struct world *world)
{
	world->memory = (struct ql_state){0};
	world->gathered.any = true;
	world->gathered.state = world->memory;
	start_commit(world);
}

static void
feed(struct world *world, const struct ql_event *given)
{
	struct ql_event event = *given;
	struct ql_decision decision;
	event.now = world->now;
	ql_step(&world->memory, &world->policy, &event, &decision);
	print(world, &event, &decision);
	struct ql_state was = world->memory;
	world->memory = decision.next;
	rules_step(world, &was, &event, &decision);
	if (ql_verdict_makes_row(decision.verdict))
		gather(world, &event, &decision);
	if (decision.verdict == QL_VERDICT_UNKNOWN)
		drop(world);
}

/* Nobody adopts a task but to stop it: both are one commit. */
static void
adopt(struct world *world, const struct ql_event *event)
{
	struct chance *chance = &world->chance;
	struct ql_event cancel = {.kind = QL_EVENT_CANCEL,
		.mode = (enum ql_mode)(QL_MODE_CANCEL + chance_int(chance, 3)),
		.cause = QL_CAUSE_USER,
		.grace_ms = -1};
	world->together = true;
	feed(world, event);
	world->together = false;
	feed(world, &cancel);
}

void
server_event(struct world *world, const struct ql_event *event)
{
	bool begins = event->kind == QL_EVENT_SUBMIT || event->kind == QL_EVENT_ADOPT;
	if (!world->up || begins == (world->memory.attempt != 0))
		return;
	if (event->kind == QL_EVENT_ADOPT)
		adopt(world, event);
	else
		feed(world, event);
}
void
server_claim(struct world *world)
{
	struct ql_event event = {.kind = QL_EVENT_CLAIM};
	if (!world->up || !ql_state_waiting(&world->memory))
		return;
	event.incarnation = script_run(world->claims++);
	server_event(world, &event);
}
