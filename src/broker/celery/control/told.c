/* Tombstones: cast when laid, when too few heard it, before they are forgotten, and before they are due. */
#include <stdlib.h>
#include <time.h>

#include "base/owner.h"
#include "broker/celery/control/inside.h"
#include "broker/celery/wire/message.h"

/*
 * A name that no task has. Added over and over in one broadcast it leaves so many stale entries in a
 * worker's heap that the worker builds it anew (from 15 % on), without the stale entries of renewed ids:
 * at their old age those would take the renewed ones with them (celery#10506).
 */
#define PAD "~quell~"
#define PAD_PERCENT 16
#define PAD_MORE 4

#define ETA_LOOK_MS 60000 /* the wall clock may step: looked at as often at least */

int64_t
ql_control_wall_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
changed(struct ql_control *control)
{
	control->bodies.fresh = false;
	ql_control_ring(control, &control->flush, 0);
}

/* ---- casts ---- */

static void
heard(struct ql_control *control, uint64_t about, int64_t count)
{
	int64_t now = ql_alarm_ms();
	int64_t here = (int64_t)control->workers.here;
	if (count > here)
		ql_control_census(control, 0);
	if (count >= here && control->again_from == QL_CONTROL_NONE)
		control->again_began = 0;
	if (count >= here)
		return;
	if (!control->again_began) {
		control->again_began = now;
		control->again_pause = QL_CONTROL_AGAIN_MS;
		ql_control_census(control, 0);
	}
	if (now - control->again_began > QL_CONTROL_AGAIN_END_MS) {
		/* who did not hear it for so long says hello when he is back */
		control->again_from = QL_CONTROL_NONE;
		control->again_began = 0;
		return;
	}
	if (control->again_from == QL_CONTROL_NONE)
		ql_control_ring(control, &control->again, control->again_pause);
	if (about < control->again_from)
		control->again_from = about;
}

static void
again(struct ql_control *control, struct ql_control_timer *timer)
{
	uint64_t from = control->again_from;
	(void)timer;
	control->again_from = QL_CONTROL_NONE;
	control->again_pause *= 2;
	if (from != QL_CONTROL_NONE)
		ql_control_tell(control, from);
}

void
ql_control_cast_hello(struct ql_control *control, json_t *revoked, json_t *nodes, ql_heard_fn told,
	uint64_t about)
{
	size_t len;
	json_t *arguments = json_pack("{s:s, s:o}", "from_node", control->node, "revoked", revoked);
	char *bytes = arguments
			      ? ql_control_message_make("hello", arguments, nodes, NULL, NULL, &len)
			      : NULL;
	json_decref(arguments);
	if (bytes)
		ql_control_cast(control, bytes, len, told, about);
	else if (told)
		told(control, about, -1);
}

/* The next ids from there on. Tentative ones go apart, where there is anybody to be told of them (or NULL). */
static json_t *
take_ids(struct ql_buried **buried, int64_t now, json_t *tentative)
{
	json_t *ids = json_array();
	for (size_t i = 0; *buried && i < QL_CONTROL_CAST_IDS; i++, *buried = (*buried)->next) {
		json_t *list = (*buried)->tentative ? tentative : ids;
		if (!list)
			continue;
		json_array_append_new(list, json_string((*buried)->task_id));
		(*buried)->told_at = now;
	}
	return ids;
}

void
ql_control_tell(struct ql_control *control, uint64_t from)
{
	struct ql_buried *buried =
		ql_tombstones_since(&control->tombstones, from, control->config.revokes_max);
	json_t *nodes = buried ? ql_control_who_gives_back(control) : NULL;
	int64_t now = ql_control_wall_ms();
	while (buried) {
		json_t *tentative = json_array_size(nodes) ? json_array() : NULL;
		json_t *ids = take_ids(&buried, now, tentative);
		if (json_array_size(ids))
			ql_control_cast_hello(control, json_incref(ids), NULL, heard, from);
		if (json_array_size(tentative))
			ql_control_cast_hello(control, json_incref(tentative), nodes, heard, from);
		json_decref(ids);
		json_decref(tentative);
	}
	json_decref(nodes);
}

static int64_t
refresh_pace(const struct ql_control *control)
{
	int64_t third = control->config.revoke_expires_ms / 3;
	return third < QL_CONTROL_REFRESH_MS ? third : QL_CONTROL_REFRESH_MS;
}

static void
refresh(struct ql_control *control, struct ql_control_timer *timer)
{
	size_t max = control->config.revokes_max;
	size_t pads = max / 100 * PAD_PERCENT + max % 100 + PAD_MORE;
	ql_control_ring(control, timer, refresh_pace(control));
	if (!ql_tombstones_count(&control->tombstones))
		return;
	ql_control_tell(control, 1);
	json_t *ids = json_array();
	json_t *pad = json_string(PAD);
	while (pads--)
		json_array_append(ids, pad);
	json_decref(pad);
	ql_control_cast_hello(control, ids, NULL, NULL, 0);
}

/* ---- before an ETA ---- */

static void
ring_eta(struct ql_control *control)
{
	const struct ql_heap_node *top = ql_heap_top(&control->tombstones.etas);
	if (!top)
		return;
	int64_t in = top->at - QL_CONTROL_ETA_MS - ql_control_wall_ms();
	ql_control_ring(control, &control->eta, in < 0 ? 0 : in > ETA_LOOK_MS ? ETA_LOOK_MS : in);
}

static void
eta(struct ql_control *control, struct ql_control_timer *timer)
{
	int64_t now = ql_control_wall_ms();
	struct ql_heap_node *top;
	json_t *ids = json_array();
	uint64_t earliest = QL_CONTROL_NONE;
	(void)timer;
	while ((top = ql_heap_top(&control->tombstones.etas)) &&
		top->at - QL_CONTROL_ETA_MS <= now && json_array_size(ids) < QL_CONTROL_CAST_IDS) {
		struct ql_buried *buried = QL_OWNER(top, struct ql_buried, eta);
		ql_heap_remove(&control->tombstones.etas, top);
		json_array_append_new(ids, json_string(buried->task_id));
		buried->told_at = now;
		if (buried->turn < earliest)
			earliest = buried->turn;
	}
	if (json_array_size(ids))
		ql_control_cast_hello(control, json_incref(ids), NULL, heard, earliest);
	json_decref(ids);
	ring_eta(control);
}

/* ---- laying and lifting ---- */

static void
flush(struct ql_control *control, struct ql_control_timer *timer)
{
	uint64_t from = control->told + 1;
	(void)timer;
	ql_control_give_back(control);
	control->told = control->tombstones.turns;
	ql_control_tell(control, from);
	ring_eta(control);
}

int
ql_control_bury(struct ql_control *control, const struct ql_tombstone *tombstone, struct ql_err *e)
{
	if (ql_tombstones_lay(&control->tombstones, tombstone, e))
		return -1;
	struct ql_buried *lifted = ql_tombstones_find(&control->lifted, tombstone->task_id);
	if (lifted)
		ql_tombstones_lift(&control->lifted, lifted);
	changed(control);
	return 0;
}

void
ql_control_lift(struct ql_control *control, const char *task_id)
{
	struct ql_buried *buried = ql_tombstones_find(&control->tombstones, task_id);
	if (!buried)
		return;
	ql_control_keep_lifted(control, task_id);
	ql_tombstones_lift(&control->tombstones, buried);
	changed(control);
}

int64_t
ql_control_told_at(const struct ql_control *control, const char *task_id)
{
	const struct ql_buried *buried = ql_tombstones_find(&control->tombstones, task_id);
	return buried ? buried->told_at : 0;
}

void
ql_control_start_telling(struct ql_control *control)
{
	struct ql_control_config *config = &control->config;
	if (!config->revokes_max)
		config->revokes_max = QL_CONTROL_REVOKES_MAX;
	if (!config->revoke_expires_ms)
		config->revoke_expires_ms = QL_CONTROL_REVOKE_EXPIRES_MS;
	control->flush.rang = flush;
	control->refresh.rang = refresh;
	control->eta.rang = eta;
	control->again.rang = again;
	control->again_from = QL_CONTROL_NONE;
	ql_control_start_lifting(control);
	ql_control_ring(control, &control->refresh, refresh_pace(control));
}

void
ql_control_stop_telling(struct ql_control *control)
{
	ql_tombstones_done(&control->lifted);
	ql_tombstones_done(&control->tombstones);
}
