/*
 * What stops runs at one target (a worker; this host's runtime) goes there through a lane: so many acts
 * are under way at once, the rest waits in its order. Kills have a room of their own, so that
 * none ever waits behind a cancel, however many of these a batch asks for or a deaf worker keeps
 * open. Of one run only the last act waits: a repeat, or a stronger one, takes the other's place.
 */
#include "engine/acting.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* Kills; and notices and terminations. */
enum room { ROOM_KILL, ROOM_ASK, ROOMS };

struct ql_lane {
	char name[QL_TASK_NODE];
	UT_hash_handle hh;
	size_t open[ROOMS];
	struct acting *waiting[ROOMS]; /* first come first */
	struct acting *by_run; /* all that wait, by incarnation */
};

static enum room
room_of(const struct acting *act)
{
	return act->op.kind == QL_ACT_KILL ? ROOM_KILL : ROOM_ASK;
}

static bool
stops(const struct acting *act)
{
	enum ql_act_kind kind = act->op.kind;
	return act->op.incarnation &&
	       (kind == QL_ACT_NOTICE || kind == QL_ACT_TERMINATE || kind == QL_ACT_KILL);
}

static struct ql_lane *
lane_of(const struct acting *act)
{
	struct ql_engine *engine = act->engine;
	const struct ql_live *live = ql_live_find(engine, act->eval_id);
	const char *worker = live && live->record.worker ? live->record.worker : "";
	char name[QL_TASK_NODE];
	struct ql_lane *lane;
	ql_str_copy(name, sizeof(name), act->remote ? worker : "");
	HASH_FIND_STR(engine->lanes, name, lane);
	if (lane)
		return lane;
	lane = calloc(1, sizeof(*lane));
	if (!lane)
		return NULL;
	ql_str_copy(lane->name, sizeof(lane->name), name);
	HASH_ADD_STR(engine->lanes, name, lane);
	return lane;
}

static void
leave(struct ql_lane *lane, struct acting *act)
{
	HASH_DEL(lane->by_run, act);
	DL_DELETE(lane->waiting[room_of(act)], act);
}

static void
drop(struct acting *act)
{
	struct ql_engine *engine = act->engine;
	bool prepared = act->prepared != NULL;
	ql_acting_free(act);
	if (prepared)
		ql_engine_op_end(engine);
}

static void
drop_if_idle(struct ql_engine *engine, struct ql_lane *lane)
{
	if (lane->open[ROOM_KILL] || lane->open[ROOM_ASK] || lane->by_run)
		return;
	HASH_DEL(engine->lanes, lane);
	free(lane);
}

/* The place of the one that it replaces is its own, unless it is in another room now. */
static void
queue_up(struct ql_lane *lane, struct acting *act)
{
	struct acting *old;
	enum room room = room_of(act);
	HASH_FIND(hh, lane->by_run, &act->op.incarnation, sizeof(act->op.incarnation), old);
	if (old && room_of(old) == room)
		DL_PREPEND_ELEM(lane->waiting[room], old, act);
	else
		DL_APPEND(lane->waiting[room], act);
	if (old) {
		leave(lane, old);
		drop(old);
	}
	HASH_ADD(hh, lane->by_run, op.incarnation, sizeof(act->op.incarnation), act);
}

int
ql_lane_enter(struct acting *act, bool *ret_waits, struct ql_err *e)
{
	struct ql_lane *lane = stops(act) ? lane_of(act) : NULL;
	enum room room = room_of(act);
	*ret_waits = false;
	if (!lane)
		return 0;
	if (lane->open[room] < QL_ENGINE_LANE_OPEN) {
		lane->open[room]++;
		act->lane = lane;
		return 0;
	}
	if (HASH_COUNT(lane->by_run) >= QL_ENGINE_LANE_WAITING)
		return ql_fail(e, QL_E_LIMIT,
			"%d acts wait for %s already, which is the most: it is asked again",
			QL_ENGINE_LANE_WAITING, *lane->name ? lane->name : "this host's runtime");
	queue_up(lane, act);
	*ret_waits = true;
	return 0;
}

void
ql_lane_leave(struct acting *act)
{
	struct ql_engine *engine = act->engine;
	struct ql_lane *lane = act->lane;
	enum room room = room_of(act);
	if (!lane)
		return;
	act->lane = NULL;
	lane->open[room]--;
	struct acting *next = engine->shut ? NULL : lane->waiting[room];
	if (!next) {
		drop_if_idle(engine, lane);
		return;
	}
	leave(lane, next);
	lane->open[room]++;
	next->lane = lane;
	ql_acting_submit(next);
}

void
ql_lanes_free(struct ql_engine *engine)
{
	struct ql_lane *lane, *next;
	struct acting *act, *after;
	HASH_ITER (hh, engine->lanes, lane, next) {
		for (int room = 0; room < ROOMS; room++) {
			DL_FOREACH_SAFE (lane->waiting[room], act, after) {
				leave(lane, act);
				ql_acting_free(act);
			}
		}
		HASH_DEL(engine->lanes, lane);
		free(lane);
	}
}
