/* A kill: its containers, then what its worker can do, then our own hand. */
#include "base/keep.h"
#include "base/owner.h"
#include "broker/celery/stop.h"

/* As workers write their ends. */
static int64_t
unix_ms(void)
{
	uv_timeval64_t now = {0};
	uv_gettimeofday(&now);
	return now.tv_sec * 1000 + now.tv_usec / 1000;
}

void
ql_stop_by_hand(struct delivery *delivery)
{
	struct ql_err err;
	bool doubtful = ql_stop_may_serve_another(delivery);
	ql_spend_read(delivery);
	if (!doubtful && ql_hand_kill_task(&delivery->hand) == 0) {
		delivery->sent = QL_RUNG_KILL;
		delivery->stage = STAGE_KILLED;
		ql_hand_kill_orphans(&delivery->hand);
		ql_stop_answer(delivery, 0, NULL);
		ql_stop_watch_closely(delivery);
		return;
	}
	if (doubtful)
		ql_fail(&err, QL_E_CONFLICT,
			"a run of %s has finished, and %s does not say whether process %lld works "
			"on it yet: wait until that worker is back, or end it",
			delivery->task_id, delivery->node, (long long)delivery->pid);
	else if (delivery->node[0])
		ql_fail(&err, QL_E_CONFLICT,
			"process %lld of %s %s, and its host is out of reach: end it there, or "
			"restart that worker",
			(long long)delivery->pid, delivery->node,
			delivery->let_go ? "may run it yet" : "swallowed SIGTERM");
	else
		ql_fail(&err, QL_E_CONFLICT,
			"%s was terminated before it was seen which process ran it, and that one "
			"may have swallowed SIGTERM: look for it on the workers' hosts, or restart "
			"them",
			delivery->task_id);
	ql_tell_stuck(delivery, err.text);
	ql_stop_answer(delivery, -1, &err);
	ql_stop_ring_again(delivery);
}

void
ql_stop_go_on(struct delivery *delivery)
{
	if (delivery->sent < QL_RUNG_TERMINATE || delivery->twin)
		ql_stop_look_before(delivery);
	else
		ql_stop_by_hand(delivery);
}

static void
on_containers_killed(struct ql_containers_op *op, int status)
{
	struct delivery *delivery = QL_OWNER(op, struct delivery, containers);
	bool had = op->count > 0;
	delivery->containing = false;
	delivery->contained = !status;
	delivery->unasked |= op->unasked;
	delivery->had_containers |= had || status; /* where Docker can't tell, there may be */
	ql_box_take(delivery, op->found, op->count);
	if (delivery->stage != STAGE_CONTAINERS) {
		if (status)
			ql_stop_ring_again(delivery);
		else
			ql_stop_prove(delivery);
		ql_delivery_rest(delivery);
		return;
	}
	if (status) {
		ql_stop_answer(delivery, -1, &op->err);
		delivery->stage = STAGE_IDLE;
	} else if (had && delivery->grace_ms && delivery->sent < QL_RUNG_TERMINATE) {
		delivery->stage = STAGE_GRACE;
		delivery->grace_until = ql_alarm_ms() + delivery->grace_ms;
		ql_stop_answer(delivery, 0, NULL);
		ql_stop_watch_closely(delivery);
	} else {
		delivery->stage = STAGE_IDLE;
		ql_stop_go_on(delivery);
	}
	ql_delivery_rest(delivery);
}

void
ql_stop_containers(struct delivery *delivery)
{
	struct ql_containers *containers = delivery->celery->config.containers;
	delivery->containing = true;
	if (!delivery->contained_at)
		delivery->contained_at = unix_ms();
	delivery->containers = (struct ql_containers_op){.kind = QL_CONTAINERS_KILL,
		.eval_id = delivery->eval_id,
		.keep_dir = delivery->keep_dir,
		.output_max = QL_KEEP_OUTPUT_MAX,
		.timeout_ms = QL_CELERY_CONTAINERS_MS,
		.done = on_containers_killed};
	containers->ops->act(containers, &delivery->containers);
}

/* Without an answer in time it goes on. */
static void
on_warned(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct delivery *delivery = QL_OWNER(command, struct delivery, notice);
	struct ql_containers *containers = delivery->celery->config.containers;
	delivery->noticing = false;
	delivery->noticed |= !status && reply->integer == 1;
	if (delivery->celery->closing) {
		ql_stop_answer(delivery, -1, NULL);
	} else if (containers) {
		delivery->stage = STAGE_CONTAINERS;
		containers->ops->ban(containers, delivery->eval_id, true);
		ql_stop_containers(delivery);
	} else {
		ql_stop_go_on(delivery);
	}
	ql_delivery_rest(delivery);
}

/* A task that minds it must not take the end of its containers for a failure of its work. */
static void
warn(struct delivery *delivery)
{
	delivery->noticing = true;
	delivery->notice =
		(struct ql_redis_command){.done = on_warned, .timeout_ms = QL_CELERY_NOTICE_MS};
	ql_results_set(delivery->celery, &delivery->notice, delivery->task_id, "ABORTED", NULL);
}

void
ql_stop_kill_now(struct delivery *delivery)
{
	ql_spend_asked(delivery);
	delivery->kill = true;
	delivery->grace_ms = delivery->job->grace_ms;
	if (!delivery->keep_dir) {
		delivery->keep_dir = delivery->job->keep_dir;
		delivery->job->keep_dir = NULL;
	}
	if (delivery->held) {
		ql_stop_ask_told(delivery);
	} else if (delivery->stage == STAGE_GRACE || delivery->stage == STAGE_KILLED) {
		ql_stop_answer(delivery, 0, NULL);
		ql_stop_prove(delivery);
	} else {
		warn(delivery);
	}
}

void
ql_celery_kill(struct job *job)
{
	bool known = ql_delivery_find(job->celery, job->incarnation);
	struct delivery *delivery = ql_stop_delivery_of(job);
	if (!delivery)
		return;
	delivery->nameless |= !known;
	if (ql_stop_puts_off(delivery, job))
		return;
	delivery->job = job;
	ql_stop_kill_now(delivery);
}
