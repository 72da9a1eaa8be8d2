/* Who is there: heartbeats, and a question to all now and then. */
#include "base/owner.h"
#include "broker/celery/control/inside.h"
#include "broker/celery/wire/message.h"

#define SWEEP_MS 1000
#define CENSUS_SOON_MS 300 /* so that workers which start together are asked together */

static void
tell_change(struct ql_control *control, const struct ql_worker *worker)
{
	if (worker && control->config.changed)
		control->config.changed(control->config.arg, worker);
}

static void
fell_silent(void *arg, struct ql_worker *worker)
{
	tell_change(arg, worker);
}

static void
dropped(void *arg, struct ql_worker *worker)
{
	const struct ql_control *control = arg;
	if (control->config.dropped)
		control->config.dropped(control->config.arg, worker);
}

static void
sweep(struct ql_control *control, struct ql_control_timer *timer)
{
	ql_control_ring(control, timer, SWEEP_MS);
	ql_workers_sweep(&control->workers, ql_alarm_ms(),
		&(struct ql_worker_fates){fell_silent, dropped, control});
}

/* Sooner, if it was to be later. */
void
ql_control_census(struct ql_control *control, int64_t in_ms)
{
	const struct ql_heap_node *node = &control->census_due.node;
	if (control->config.only_asked)
		return;
	if (!node->slot || node->at > ql_alarm_ms() + in_ms)
		ql_control_ring(control, &control->census_due, in_ms);
}

void
ql_control_learn(struct ql_control *control, const char *node, const json_t *stats)
{
	struct ql_worker *worker = ql_workers_find(&control->workers, node);
	if (!worker)
		return;
	worker->deaf = false;
	ql_worker_learn(worker, stats);
	tell_change(control, worker);
}

/* ---- versions, of those that beat not yet or never ---- */

static void
surveyed(struct ql_ask *ask, int status)
{
	struct ql_control *control = QL_OWNER(ask, struct ql_control, survey);
	const char *node;
	json_t *reply;
	(void)status;
	json_decref(control->surveyed);
	control->surveyed = NULL;
	json_object_foreach (ask->replies, node, reply) {
		struct ql_worker *worker = ql_workers_find(&control->workers, node);
		if (!worker || *worker->version)
			continue;
		ql_worker_read_report(worker, reply);
		ql_control_give_back_to(control, worker);
		tell_change(control, worker);
	}
}

static void
survey(struct ql_control *control)
{
	struct ql_worker *worker, *next;
	if (control->surveyed || control->config.only_asked)
		return;
	json_t *nodes = json_array();
	HASH_ITER (hh, control->workers.by_node, worker, next) {
		bool answers = worker->state == QL_WORKER_HERE && !worker->deaf;
		if (answers && !*worker->version)
			json_array_append_new(nodes, json_string(worker->node));
	}
	if (!json_array_size(nodes)) {
		json_decref(nodes);
		return;
	}
	control->surveyed = nodes;
	control->survey = (struct ql_ask){.method = "report", .nodes = nodes, .done = surveyed};
	ql_control_ask(control, &control->survey);
}

/* ---- all ---- */

static void
counted(struct ql_ask *ask, int status)
{
	struct ql_control *control = QL_OWNER(ask, struct ql_control, census);
	const char *node;
	json_t *value;
	(void)status;
	control->counting = false;
	json_object_foreach (ask->replies, node, value)
		ql_control_learn(control, node, value);
	json_object_foreach (ask->missing, node, value) {
		struct ql_worker *worker = ql_workers_find(&control->workers, node);
		if (!worker || worker->deaf || worker->state != QL_WORKER_HERE)
			continue;
		worker->deaf = true;
		tell_change(control, worker);
	}
	if (!control->closing)
		survey(control);
}

static void
census(struct ql_control *control, struct ql_control_timer *timer)
{
	ql_control_ring(
		control, timer, control->counting ? QL_CONTROL_ASK_MS : QL_CONTROL_CENSUS_MS);
	if (control->counting)
		return;
	control->counting = true;
	control->census = (struct ql_ask){.method = "stats", .done = counted};
	ql_control_ask(control, &control->census);
}

void
ql_control_start_census(struct ql_control *control)
{
	control->sweep.rang = sweep;
	control->census_due.rang = census;
	ql_control_ring(control, &control->sweep, SWEEP_MS);
	ql_control_census(control, QL_CONTROL_CENSUS_MS);
}

void
ql_control_expect(struct ql_control *control, const char *node)
{
	ql_workers_expect(&control->workers, node, ql_alarm_ms());
}

void
ql_control_heard_of(struct ql_control *control, const char *node)
{
	const struct ql_worker *known = ql_workers_find(&control->workers, node);
	bool news = !known || known->state != QL_WORKER_HERE;
	const struct ql_worker *worker = ql_workers_heard(&control->workers, node, ql_alarm_ms());
	if (news)
		tell_change(control, worker);
}

void
ql_control_beat(struct ql_control *control, const char *bytes, size_t len)
{
	struct ql_beat beat;
	if (ql_beat_parse(bytes, len, &beat))
		return;
	const struct ql_worker *known = ql_workers_find(&control->workers, beat.node);
	enum ql_worker_state before = known ? known->state : QL_WORKER_LEFT;
	bool versioned = known && known->version[0];
	bool same = known && known->pid == beat.pid;
	struct ql_worker *worker = ql_workers_beat(&control->workers, &beat, ql_alarm_ms());
	if (!worker)
		return;
	if (!versioned)
		ql_control_give_back_to(control, worker);
	if (worker->state != before || !versioned || !same)
		tell_change(control, worker);
	if (worker->state == QL_WORKER_HERE && worker->pool == QL_POOL_UNKNOWN && !worker->deaf)
		ql_control_census(control, CENSUS_SOON_MS);
}
