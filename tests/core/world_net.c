/* The network between the server and the place of execution: late, lossy, doubling. */
#include "world.h"

struct chance *
net_luck(struct world *world)
{
	return &world->chance;
}

bool
net_happens(struct world *world, int percent)
{
	return !world->healed && chance_is(net_luck(world), percent);
}

static int64_t
network_ms(struct world *world)
{
	if (net_happens(world, world->delays))
		return 100 + chance_int(net_luck(world), 9000);
	return 1 + chance_int(net_luck(world), 20);
}

/* ---- to the server ---- */

void
net_event(struct world *world, const struct ql_event *event)
{
	if (net_happens(world, world->loses))
		return;
	world_at(world, network_ms(world), ITEM_EVENT)->event = *event;
	if (net_happens(world, world->doubles))
		world_at(world, network_ms(world), ITEM_EVENT)->event = *event;
}

void
net_sight(struct world *world, const struct place_run *run, enum ql_event_kind kind, int32_t epoch)
{
	struct ql_event event = {.kind = kind,
		.incarnation = run->incarnation,
		.attempt = run->delivered ? run->attempt : 0,
		.epoch = epoch};
	if (kind == QL_EVENT_EXITED) {
		event.exit_code = run->exit_code;
		event.exit_signal = run->exit_signal;
		event.sent = run->sent;
		event.flags = run->flags;
	}
	net_event(world, &event);
}

void
net_answer(struct world *world, const struct ql_act *act, bool taken)
{
	bool lost = net_happens(world, world->loses);
	struct ql_event event = {.kind = taken && !lost ? QL_EVENT_DELIVERED : QL_EVENT_UNREACHABLE,
		.incarnation = act->incarnation,
		.epoch = act->epoch,
		.answers = act->kind};
	world_at(world, lost ? 1000 : network_ms(world), ITEM_EVENT)->event = event;
}

/* ---- the network to it ---- */

static void
arrive_at(struct world *world, const struct ql_act *act, int run, int64_t at)
{
	struct item *item = world_at(world, at - world->now, ITEM_ACT);
	item->act = *act;
	item->run = run;
	item->attempt = world->durable.attempt;
}

void
net_send(struct world *world, const struct ql_act *act)
{
	struct place_run *run = act->incarnation ? place_find(world, act->incarnation) : NULL;
	if (act->incarnation && !run)
		run = place_make(world, act->incarnation, world->durable.attempt);
	if (net_happens(world, world->loses)) {
		net_answer(world, act, false);
		return;
	}
	int64_t at = world->now + network_ms(world);
	int64_t *channel_at = run ? &run->channel_at : &world->channel_at;
	if (at < *channel_at)
		at = *channel_at;
	*channel_at = at;
	if (!run) {
		arrive_at(world, act, -1, at);
		return;
	}
	arrive_at(world, act, (int)(run - world->runs), at);
	if (net_happens(world, world->doubles))
		arrive_at(world, act, (int)(run - world->runs), at);
}
