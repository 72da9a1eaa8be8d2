/* What is on its way, to the place of execution and to the server. */
#include "small_parts.h"

#include <string.h>

#include "script.h"

/* The same message twice on its way is one; where there is no room, it is lost. */
void
small_post(struct small_world *world, enum ql_event_kind kind, int run, int32_t epoch,
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

struct small_message
small_take(struct small_world *world, int index)
{
	struct small_message message = world->net[index];
	world->net_len--;
	memmove(&world->net[index], &world->net[index + 1],
		(size_t)(world->net_len - index) * sizeof(message));
	world->net[world->net_len] = (struct small_message){0};
	return message;
}

void
small_push(struct small_run *run, const struct ql_act *act)
{
	struct small_act one = {(int32_t)act->kind, act->epoch};
	for (int i = 0; i < run->pipe_len; i++) {
		if (!memcmp(&run->pipe[i], &one, sizeof(one)))
			return;
	}
	if (run->pipe_len < SMALL_PIPE)
		run->pipe[run->pipe_len++] = one;
}

struct small_act
small_pull(struct small_run *run)
{
	struct small_act act = run->pipe[0];
	memmove(&run->pipe[0], &run->pipe[1], sizeof(run->pipe) - sizeof(act));
	run->pipe[--run->pipe_len] = (struct small_act){0};
	return act;
}

/* It can't have an effect any more, whatever comes. */
static bool
is_stale(const struct small_world *world, const struct small_message *message)
{
	const struct ql_state *state = &world->state;
	const struct ql_run *run =
		message->run < 0 ? NULL : ql_state_run(state, script_run(message->run));
	bool current = message->epoch == state->epoch;
	if (message->kind == QL_EVENT_DELIVERED ||
		(message->kind == QL_EVENT_ABSENT && message->run < 0))
		return !current;
	if (!run)
		return false;
	switch ((enum ql_event_kind)message->kind) {
	case QL_EVENT_RUNNING:
		return run->phase >= QL_PHASE_RUNNING;
	case QL_EVENT_EXITED:
		return run->flags & QL_RUN_REPORTED && !(run->flags & QL_RUN_LOST) &&
		       !(current && ql_state_stopping(state));
	case QL_EVENT_HELD:
		return world->remote;
	case QL_EVENT_GONE:
	case QL_EVENT_STUCK:
		return run->phase >= QL_PHASE_GONE;
	case QL_EVENT_SALVAGED:
		return run->flags & QL_RUN_SALVAGED;
	default:
		return false;
	}
}

void
small_drop_stale(struct small_world *world)
{
	for (int i = 0; i < world->net_len;) {
		if (is_stale(world, &world->net[i]))
			small_take(world, i);
		else
			i++;
	}
}
