/* The end of a stray: it is looked for first, then the driver's own kill or Docker's, then looked for again. */
#include <assert.h>

#include "base/owner.h"
#include "broker/celery/stray.h"

static void
finish(struct strays *strays, int status)
{
	struct ql_reap *op = strays->reap;
	strays->reap = NULL;
	op->done(op, status);
}

/* ---- a task ---- */

static void look(struct strays *strays);

static void
on_due(uv_timer_t *timer)
{
	look(QL_OWNER(timer, struct strays, timer));
}

static void
look_later(struct strays *strays)
{
	int64_t pause = strays->pause_ms ? strays->pause_ms : QL_STRAY_POLL_MS;
	strays->pause_ms = pause * 2 < QL_STRAY_POLL_MAX_MS ? pause * 2 : QL_STRAY_POLL_MAX_MS;
	uv_timer_start(&strays->timer, on_due, (uint64_t)pause, 0);
}

/* What its worker lists no more may have a process that swallowed the signal: that is for the proof to say. */
static bool
is_proven_gone(const struct strays *strays)
{
	const struct delivery *delivery =
		ql_delivery_find(strays->celery, strays->reap->trace->incarnation);
	return strays->proven || !delivery || delivery->told_gone;
}

void
ql_strays_over(struct ql_finder *finder, uint64_t incarnation)
{
	struct strays *strays = (struct strays *)finder;
	if (strays->reap && strays->reap->trace->incarnation == incarnation)
		strays->proven = true;
}

static void
on_killed(struct ql_runtime_op *kill, int status)
{
	struct strays *strays = QL_OWNER(kill, struct strays, kill);
	if (!status) {
		look_later(strays);
		return;
	}
	strays->reap->err = kill->err;
	finish(strays, -1);
}

static void
kill_task(struct strays *strays)
{
	const struct ql_trace *trace = strays->reap->trace;
	struct ql_broker *broker = &strays->celery->base;
	strays->kill = (struct ql_runtime_op){.kind = QL_ACT_KILL,
		.incarnation = trace->incarnation,
		.eval_id = trace->eval_id,
		.task_id = trace->id,
		.attempt = trace->attempt,
		.timeout_ms = QL_STRAY_REAP_MS,
		.done = on_killed};
	broker->ops->act(broker, &strays->kill);
}

static void
on_looked(struct ql_quest *quest)
{
	struct strays *strays = QL_OWNER(quest, struct strays, quest);
	struct ql_reap *op = strays->reap;
	const struct copy *copy = ql_quest_copy(quest, op->trace->id, op->trace->incarnation);
	bool was_killed = strays->kill.done;
	bool late = ql_alarm_ms() >= strays->reap_until;
	int status = 1; /* it goes on */
	if (!quest->workers_answered && (late || !was_killed)) {
		op->err = quest->err;
		status = -1;
	} else if (quest->workers_answered && !copy && is_proven_gone(strays)) {
		status = 0;
	} else if (late) {
		status =
			ql_fail(&op->err, QL_E_TIMEOUT, "%d ms after its kill %s", QL_STRAY_REAP_MS,
				copy ? "its worker runs it yet" : "its process is not proven gone");
	}
	ql_quest_done(quest);
	if (status < 1)
		finish(strays, status);
	else if (was_killed)
		look_later(strays);
	else
		kill_task(strays);
}

static void
look(struct strays *strays)
{
	strays->quest = (struct ql_quest){.workers_only = true,
		.task_id = (char *)strays->reap->trace->id,
		.done = on_looked};
	ql_quest(strays->celery, &strays->quest);
}

/* ---- a container ---- */

static void
on_ended(struct ql_containers_op *op, int status)
{
	struct strays *strays = QL_OWNER(op, struct strays, containers);
	if (status)
		strays->reap->err = op->err;
	finish(strays, status);
}

static void
on_asked(struct strays *strays)
{
	struct ql_reap *op = strays->reap;
	const struct ql_trace *trace = op->trace;
	struct ql_containers *containers = strays->celery->config.containers;
	if (!strays->complete) {
		op->err = strays->err;
		finish(strays, -1);
		return;
	}
	if (json_object_get(strays->busy, trace->eval_id)) {
		ql_fail(&op->err, QL_E_CONFLICT,
			"a worker runs a task of %s now: its container was left alone",
			trace->eval_id);
		finish(strays, -1);
		return;
	}
	strays->containers = (struct ql_containers_op){.kind = QL_CONTAINERS_END,
		.eval_id = trace->eval_id,
		.container = trace->id,
		.started_at = trace->since,
		.timeout_ms = QL_STRAY_REAP_MS,
		.done = on_ended};
	containers->ops->act(containers, &strays->containers);
}

void
ql_strays_reap(struct ql_finder *finder, struct ql_reap *op)
{
	struct strays *strays = (struct strays *)finder;
	assert(!strays->find && !strays->reap);
	strays->reap = op;
	strays->reap_until = ql_alarm_ms() + QL_STRAY_REAP_MS;
	strays->pause_ms = 0;
	strays->kill.done = NULL;
	strays->proven = false;
	if (op->trace->kind == QL_ORPHAN_TASK)
		look(strays);
	else
		ql_strays_ask(strays, on_asked);
}
