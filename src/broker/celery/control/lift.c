/*
 * Tombstones that were lifted: workers are told to take their marks back, so that the id's next message runs. What
 * was lifted is kept for as long as a worker may keep a mark, as one may hear of it late: its version
 * was not known yet, Redis or its connection was away, or another worker told it of a mark that it had still.
 */
#include <utlist.h>

#include "broker/celery/control/inside.h"

#define UNREVOKED_UP_TO 50603 /* later versions ignore the stamp, and would revoke */
#define BEFORE_ALL (-1e9) /* a stamp that is the oldest of all: purged by the same broadcast */
#define OTHERS_MS \
	5000 /* before a hello: what other workers answered to it may be older than a lifting */
#define AGAIN_MS 1000

static bool
gives_back(const struct ql_worker *worker)
{
	int version = ql_worker_version(worker);
	return version && version <= UNREVOKED_UP_TO;
}

static void
add_back(json_t *dict, const char *task_id)
{
	json_object_set_new(dict, task_id, json_pack("[f, s]", BEFORE_ALL, task_id));
}

static void
sent(struct ql_control *control, uint64_t about, int64_t heard)
{
	if (heard >= 0)
		return;
	if (about <= control->given_back)
		control->given_back = about - 1;
	ql_control_ring(control, &control->give_back, AGAIN_MS);
}

/* What was lifted in that turn or later, to those nodes. */
static void
give_back(struct ql_control *control, uint64_t from, json_t *nodes)
{
	const struct ql_buried *lifted =
		ql_tombstones_since(&control->lifted, from, QL_CONTROL_REVOKES_MAX);
	while (lifted) {
		json_t *dict = json_object();
		for (size_t i = 0; lifted && i < QL_CONTROL_CAST_IDS; i++, lifted = lifted->next)
			add_back(dict, lifted->task_id);
		ql_control_cast_hello(control, dict, nodes, sent, from);
	}
}

json_t *
ql_control_who_gives_back(const struct ql_control *control)
{
	const struct ql_worker *worker;
	json_t *nodes = json_array();
	for (worker = control->workers.by_node; worker; worker = worker->hh.next) {
		if (gives_back(worker))
			json_array_append_new(nodes, json_string(worker->node));
	}
	return nodes;
}

void
ql_control_give_back(struct ql_control *control)
{
	uint64_t from = control->given_back + 1;
	struct ql_worker *worker, *next;
	if (!ql_tombstones_since(&control->lifted, from, 1))
		return;
	control->given_back = control->lifted.turns;
	json_t *nodes = ql_control_who_gives_back(control);
	HASH_ITER (hh, control->workers.by_node, worker, next) {
		if (gives_back(worker))
			worker->given_back = control->lifted.turns;
	}
	if (json_array_size(nodes))
		give_back(control, from, nodes);
	json_decref(nodes);
}

void
ql_control_give_back_to(struct ql_control *control, struct ql_worker *worker)
{
	if (!gives_back(worker) || ql_control_joins(control, worker->node))
		return;
	json_t *nodes = json_pack("[s]", worker->node);
	give_back(control, worker->given_back + 1, nodes);
	worker->given_back = control->lifted.turns;
	json_decref(nodes);
}

json_t *
ql_control_lifted_among(struct ql_control *control, const json_t *known)
{
	const struct ql_buried *lifted;
	json_t *dict = NULL;
	if (!json_is_object(known))
		return NULL; /* a list is of a version that takes nothing back */
	DL_FOREACH (control->lifted.order, lifted) {
		if (!json_object_get(known, lifted->task_id))
			continue;
		dict = dict ? dict : json_object();
		add_back(dict, lifted->task_id);
	}
	return dict;
}

void
ql_control_give_back_joined(struct ql_control *control, const struct ql_control_join *join)
{
	struct ql_worker *worker = ql_workers_find(&control->workers, join->node);
	const struct ql_buried *lifted =
		ql_tombstones_since(&control->lifted, 1, QL_CONTROL_REVOKES_MAX);
	int64_t since = ql_control_wall_ms() - (ql_alarm_ms() - join->began) - OTHERS_MS;
	if (!worker || !gives_back(worker))
		return; /* it gets all of them when its version is known */
	json_t *dict = join->knows ? json_incref(join->knows) : json_object();
	for (; lifted; lifted = lifted->next)
		if (lifted->told_at >= since)
			add_back(dict, lifted->task_id);
	if (json_object_size(dict))
		ql_control_cast_hello(control, json_incref(dict), join->nodes, NULL, 0);
	worker->given_back = control->lifted.turns;
	json_decref(dict);
}

/* Who keeps it longer than that has forgotten it by himself. */
static void
drop_old(struct ql_control *control, int64_t now)
{
	struct ql_tombstones *lifted = &control->lifted;
	while (lifted->order && (now - lifted->order->told_at > control->config.revoke_expires_ms ||
					ql_tombstones_count(lifted) >= QL_CONTROL_REVOKES_MAX))
		ql_tombstones_lift(lifted, lifted->order);
}

void
ql_control_keep_lifted(struct ql_control *control, const char *task_id)
{
	const struct ql_tombstone tombstone = {.task_id = task_id};
	int64_t now = ql_control_wall_ms();
	struct ql_err ignored; /* out of memory: workers forget it in time */
	drop_old(control, now);
	if (ql_tombstones_lay(&control->lifted, &tombstone, &ignored) == 0)
		ql_tombstones_find(&control->lifted, task_id)->told_at = now;
}

static void
again(struct ql_control *control, struct ql_control_timer *timer)
{
	(void)timer;
	ql_control_give_back(control);
}

void
ql_control_start_lifting(struct ql_control *control)
{
	control->give_back.rang = again;
}
