/* What tells two worlds apart. */
#include "small_parts.h"

#include <string.h>

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
	if (!world->remote) /* else only which of them came first counts */
		run->claimed_at = still(run->claimed_at + small_local.start_ms, world->now);
	run->released_at = is_set(run->released_at);
	if (run->exited_at)
		run->exited_at = still(run->exited_at + small_local.prove_ms, world->now);
	if (run->killed_at)
		run->killed_at = still(run->killed_at + small_local.prove_ms, world->now);
}

/* Its epoch will come back with an answer. */
static bool
is_answered(
	const struct small_world *world, const struct small_act *act, const struct small_run *run)
{
	switch ((enum ql_act_kind)act->kind) {
	case QL_ACT_NOTICE:
	case QL_ACT_TERMINATE:
	case QL_ACT_FORGET:
		return true;
	case QL_ACT_INSPECT:
		return run->phase <= SMALL_HELD;
	case QL_ACT_KILL: /* of what a worker holds */
		return world->remote && run->phase == SMALL_HELD;
	default:
		return false;
	}
}

/* Which of the two was met first. */
static void
normalize_order(struct ql_state *state)
{
	int64_t first = state->runs[0].claimed_at, second = state->runs[1].claimed_at;
	state->runs[0].claimed_at = first > second;
	state->runs[1].claimed_at = second > first;
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
	state->started_at = still(state->started_at ? state->started_at + SMALL_TIMEOUT : 0, now);
	state->run_until = still(state->run_until, now);
	state->salvage_until = still(state->salvage_until, now);
	state->retry_at = still(state->retry_at, now);
	cancel->requested_at = state->ahead_until > now ? now - cancel->requested_at + 1
							: is_set(cancel->requested_at);
	cancel->settled_at = is_set(cancel->settled_at);
	cancel->rung_at = state->absent_at && cancel->rung_at == state->absent_at;
	cancel->stopped_at = 0;
	state->absent_at = is_set(state->absent_at);
	state->again_at = is_set(state->again_at);
	state->ahead_until = still(state->ahead_until, now);
	cancel->next_at = still(cancel->next_at, now);
	for (int i = 0; i < world->net_len; i++)
		world->net[i].epoch = world->net[i].epoch == state->epoch;
	world->broker.epoch = world->broker.epoch == state->epoch;
	for (int i = 0; i < SMALL_RUNS; i++) {
		struct small_run *run = &world->runs[i];
		for (int j = 0; j < run->pipe_len; j++)
			run->pipe[j].epoch = is_answered(world, &run->pipe[j], run) &&
					     run->pipe[j].epoch == state->epoch;
		run->term_at = still(run->term_at ? run->term_at + SMALL_GRACE : 0, now);
	}
	for (int i = 0; i < QL_RUNS; i++)
		normalize_run(&state->runs[i], world);
	if (world->remote)
		normalize_order(state);
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
	uint64_t words[sizeof(world) / 8];
	_Static_assert(sizeof(world) == sizeof(words), "it is hashed in words");
	memcpy(words, &world, sizeof(world));
	for (size_t i = 0; i < sizeof(world) / 8; i++) {
		hash = (hash ^ words[i]) * 0xff51afd7ed558ccd;
		hash ^= hash >> 32;
	}
	return hash ? hash : 1;
}
