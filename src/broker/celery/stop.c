/*
 * Stopping a run: a notice in the result backend, SIGTERM by its worker, its containers, SIGKILL by our own hand
 * where its process is on this host. None of them is believed: what is left is looked at until there is nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/keep.h"
#include "broker/celery/driver.h"

static int64_t
now_ms(void)
{
	return ql_alarm_ms();
}

/* As workers write their ends. */
static int64_t
unix_ms(void)
{
	uv_timeval64_t now = {0};
	uv_gettimeofday(&now);
	return now.tv_sec * 1000 + now.tv_usec / 1000;
}

static void
ring(struct delivery *delivery, int64_t in_ms)
{
	if (!delivery->forgotten && !delivery->celery->closing)
		ql_alarm_set(&delivery->celery->alarm, &delivery->due, in_ms);
}

/* Soon at first, then rarely. */
static void
ring_again(struct delivery *delivery)
{
	int64_t pause = delivery->pause_ms ? delivery->pause_ms : QL_CELERY_POLL_MS;
	ring(delivery, pause);
	int64_t most = delivery->held ? QL_CELERY_HELD_MS : QL_CELERY_POLL_MAX_MS;
	delivery->pause_ms = pause * 2 < most ? pause * 2 : most;
}

static void
watch_closely(struct delivery *delivery)
{
	delivery->pause_ms = 0;
	ring_again(delivery);
}

static void
end_job(struct delivery *delivery, int status, const struct ql_err *err)
{
	struct job *job = delivery->job;
	delivery->job = NULL;
	if (job)
		ql_job_end(job, status, err);
}

/* ---- SIGTERM by its worker ---- */

static void
drop_question(struct delivery *delivery)
{
	json_decref(delivery->arguments);
	json_decref(delivery->nodes);
	delivery->arguments = delivery->nodes = NULL;
	delivery->asking = false;
}

static void kill_by_hand(struct delivery *delivery);

static void
on_revoked(struct ql_ask *ask, int status)
{
	struct delivery *delivery = OWNER(ask, struct delivery, ask);
	json_t *reply = json_object_get(ask->replies, delivery->node);
	struct ql_err err = ask->err;
	const char *why = ql_inspect_error(reply);
	bool sent = !status && ql_inspect_was_terminated(reply, delivery->task_id);
	drop_question(delivery);
	if (sent) {
		delivery->sent = QL_RUNG_TERMINATE;
		delivery->stage = STAGE_SIGNALLED;
		delivery->signalled_at = now_ms();
	} else if (!status && delivery->kill && delivery->hand.holds) {
		/* it runs, and its worker has lost hold of it: a later delivery of it took its place */
		kill_by_hand(delivery);
		ql_delivery_rest(delivery);
		return;
	} else if (!status) {
		ql_fail(&err, QL_E_CONFLICT, "%s does not have %s any more%s%s", delivery->node,
			delivery->task_id, why ? ": " : "", why ? why : "");
	}
	watch_closely(delivery);
	end_job(delivery, sent ? 0 : -1, &err);
	ql_delivery_rest(delivery);
}

static void
ask_node(struct delivery *delivery, const char *method, json_t *arguments,
	void (*done)(struct ql_ask *ask, int status))
{
	delivery->asking = true;
	delivery->arguments = arguments;
	delivery->nodes = json_pack("[s]", delivery->node);
	delivery->ask = (struct ql_ask){.method = method,
		.arguments = delivery->arguments,
		.nodes = delivery->nodes,
		.timeout_ms = QL_CELERY_LOOK_MS,
		.done = done};
	ql_control_ask(delivery->celery->control, &delivery->ask);
}

static void
send_term(struct delivery *delivery)
{
	const struct ql_worker *worker =
		ql_workers_find(ql_control_workers(delivery->celery->control), delivery->node);
	const char *why = "it is not known";
	struct ql_err err;
	if (worker && ql_worker_can_terminate(worker, &why)) {
		ql_hand_count(&delivery->hand);
		ask_node(delivery, "revoke",
			json_pack("{s:[s],s:b,s:n}", "task_id", delivery->task_id, "terminate", 1,
				"signal"),
			on_revoked);
		return;
	}
	ql_fail(&err, QL_E_CONFLICT,
		"%s can't end a running task: %s; only the task itself can (a cancel asks it), or "
		"a "
		"restart of that worker",
		delivery->node, why);
	if (delivery->kill)
		ql_tell_stuck(delivery, err.text);
	ring_again(delivery);
	end_job(delivery, -1, &err);
}

/* What a worker holds is dropped by it: it must know. */
static void
on_told(struct ql_ask *ask, int status)
{
	struct delivery *delivery = OWNER(ask, struct delivery, ask);
	json_t *reply = json_object_get(ask->replies, delivery->node);
	struct ql_err err = ask->err;
	bool knows = !status && ql_inspect_is_revoked(reply, delivery->task_id);
	drop_question(delivery);
	if (knows)
		delivery->stage = STAGE_DROPPING;
	else if (!status)
		ql_fail(&err, QL_E_CONFLICT, "%s was not told of %s yet", delivery->node,
			delivery->task_id);
	ring_again(delivery);
	end_job(delivery, knows ? 0 : -1, &err);
	ql_delivery_rest(delivery);
}

static void look_before(struct delivery *delivery);

/* Of which kind its pool is, a worker that just came is asked before anything is sent to it. */
static void
on_introduced(struct ql_ask *ask, int status)
{
	struct delivery *delivery = OWNER(ask, struct delivery, ask);
	const json_t *stats = json_object_get(ask->replies, delivery->node);
	(void)status;
	if (stats)
		ql_control_learn(delivery->celery->control, delivery->node, stats);
	drop_question(delivery);
	look_before(delivery);
	ql_delivery_rest(delivery);
}

static bool
is_stranger(const struct delivery *delivery)
{
	const struct ql_worker *worker =
		ql_workers_find(ql_control_workers(delivery->celery->control), delivery->node);
	return !worker || worker->pool == QL_POOL_UNKNOWN;
}

/* Right before the signal: is it still this delivery that runs there? */
static void
on_looked_before(struct ql_quest *look)
{
	struct delivery *delivery = OWNER(look, struct delivery, look);
	const struct copy *copy = ql_quest_copy(look, delivery->task_id, delivery->incarnation);
	struct ql_err err = look->err;
	delivery->looking = false;
	if (copy) {
		ql_delivery_place(delivery, copy);
		if (delivery->held)
			ask_node(delivery, "revoked", NULL, on_told);
		else if (!delivery->introduced && is_stranger(delivery))
			ask_node(delivery, "stats", NULL, on_introduced);
		else
			send_term(delivery);
		delivery->introduced = true;
		ql_delivery_rest(delivery);
		return;
	}
	if (look->workers_answered)
		ql_fail(&err, QL_E_CONFLICT, "no worker runs %s any more", delivery->task_id);
	end_job(delivery, -1, &err);
	ql_stop_prove(delivery);
	ql_delivery_rest(delivery);
}

static void
look_before(struct delivery *delivery)
{
	if (delivery->celery->closing) {
		end_job(delivery, -1, NULL);
		return;
	}
	delivery->looking = true;
	delivery->look.task_id = delivery->task_id;
	delivery->look.workers_only = true;
	delivery->look.done = on_looked_before;
	ql_quest(delivery->celery, &delivery->look);
}

/* It begins when what is under way is over; one may wait. */
static bool
puts_off(struct delivery *delivery, struct job *job)
{
	struct ql_err err;
	if (!ql_delivery_is_busy(delivery))
		return false;
	if (delivery->next_job) {
		ql_fail(&err, QL_E_CONFLICT, "%s is being stopped: ask again", delivery->task_id);
		ql_job_end(job, -1, &err);
		return true;
	}
	delivery->next_job = job;
	return true;
}

static struct delivery *
delivery_of(struct job *job)
{
	struct ql_err err;
	struct delivery *delivery = ql_delivery_add(
		job->celery, job->incarnation, job->eval_id, job->task_id, job->attempt);
	if (delivery)
		return delivery;
	ql_fail(&err, QL_E_LIMIT, "%d runs are known, and no more can be",
		QL_CELERY_DELIVERIES_MAX);
	ql_job_end(job, -1, &err);
	return NULL;
}

static void
terminate_now(struct delivery *delivery)
{
	if (delivery->sent >= QL_RUNG_TERMINATE) {
		end_job(delivery, 0, NULL);
		ql_stop_prove(delivery);
		return;
	}
	look_before(delivery);
}

void
ql_celery_terminate(struct job *job)
{
	struct delivery *delivery = delivery_of(job);
	if (!delivery || puts_off(delivery, job))
		return;
	delivery->job = job;
	terminate_now(delivery);
}

/* ---- kill: its containers, then what its worker can do, then our own hand ---- */

static void
kill_by_hand(struct delivery *delivery)
{
	struct ql_err err;
	if (ql_hand_kill_task(&delivery->hand) == 0) {
		delivery->sent = QL_RUNG_KILL;
		delivery->stage = STAGE_KILLED;
		ql_hand_kill_orphans(&delivery->hand);
		end_job(delivery, 0, NULL);
		watch_closely(delivery);
		return;
	}
	ql_fail(&err, QL_E_CONFLICT,
		"process %lld of %s swallowed SIGTERM, and its host is out of reach: end it there, "
		"or "
		"restart that worker",
		(long long)delivery->pid, delivery->node);
	ql_tell_stuck(delivery, err.text);
	end_job(delivery, -1, &err);
	ring_again(delivery);
}

static void
go_on(struct delivery *delivery)
{
	if (delivery->sent < QL_RUNG_TERMINATE)
		look_before(delivery);
	else
		kill_by_hand(delivery);
}

static void
on_containers_killed(struct ql_containers_op *op, int status)
{
	struct delivery *delivery = OWNER(op, struct delivery, containers);
	bool had = op->count > 0;
	delivery->containing = false;
	delivery->contained = !status;
	delivery->unasked |= op->unasked;
	delivery->had_containers |= had || status; /* where Docker can't tell, there may be */
	if (delivery->stage != STAGE_CONTAINERS) {
		if (status)
			ring_again(delivery);
		else
			ql_stop_prove(delivery);
		ql_delivery_rest(delivery);
		return;
	}
	if (status) {
		end_job(delivery, -1, &op->err);
		delivery->stage = STAGE_IDLE;
	} else if (had && delivery->grace_ms && delivery->sent < QL_RUNG_TERMINATE) {
		delivery->stage = STAGE_GRACE;
		delivery->grace_until = now_ms() + delivery->grace_ms;
		end_job(delivery, 0, NULL);
		watch_closely(delivery);
	} else {
		delivery->stage = STAGE_IDLE;
		go_on(delivery);
	}
	ql_delivery_rest(delivery);
}

static void
kill_containers(struct delivery *delivery)
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
	struct delivery *delivery = OWNER(command, struct delivery, notice);
	struct ql_containers *containers = delivery->celery->config.containers;
	delivery->noticing = false;
	delivery->noticed |= !status && reply->integer == 1;
	if (delivery->celery->closing) {
		end_job(delivery, -1, NULL);
	} else if (containers) {
		delivery->stage = STAGE_CONTAINERS;
		containers->ops->ban(containers, delivery->eval_id, true);
		kill_containers(delivery);
	} else {
		go_on(delivery);
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

static void
kill_now(struct delivery *delivery)
{
	delivery->kill = true;
	delivery->grace_ms = delivery->job->grace_ms;
	if (!delivery->keep_dir) {
		delivery->keep_dir = delivery->job->keep_dir;
		delivery->job->keep_dir = NULL;
	}
	if (delivery->held) {
		ask_node(delivery, "revoked", NULL, on_told);
	} else if (delivery->stage == STAGE_GRACE || delivery->stage == STAGE_KILLED) {
		end_job(delivery, 0, NULL);
		ql_stop_prove(delivery);
	} else {
		warn(delivery);
	}
}

void
ql_celery_kill(struct job *job)
{
	struct delivery *delivery = delivery_of(job);
	if (!delivery || puts_off(delivery, job))
		return;
	delivery->job = job;
	kill_now(delivery);
}

void
ql_stop_next(struct delivery *delivery)
{
	delivery->job = delivery->next_job;
	delivery->next_job = NULL;
	if (delivery->job->kind == QL_ACT_KILL)
		kill_now(delivery);
	else
		terminate_now(delivery);
}

/* ---- proof ---- */

static bool
is_state(const struct ql_quest *look, const char *state)
{
	return look->has_result && !strcmp(look->result.state, state);
}

/* SUCCESS or FAILURE of the task's own: a pool that lost its process to our kill writes FAILURE too. */
static bool
has_finished(const struct delivery *delivery)
{
	const struct ql_quest *look = &delivery->look;
	bool ours = delivery->stage == STAGE_KILLED && is_state(look, "FAILURE");
	return ql_quest_is_finished(look) && !ours;
}

/* After a signal its process must be gone: a pool's process that swallowed it is still there. */
static bool
process_is_left(const struct delivery *delivery)
{
	if (delivery->sent < QL_RUNG_TERMINATE || has_finished(delivery))
		return false;
	if (delivery->look.works_on_another)
		return false;
	if (delivery->hand.holds)
		return ql_hand_task_lives(&delivery->hand);
	return !delivery->pool_answered || delivery->in_pool;
}

static void
ended(struct delivery *delivery)
{
	struct ql_containers *containers = delivery->celery->config.containers;
	bool stopped = delivery->sent >= QL_RUNG_TERMINATE || delivery->kill;
	ql_tell_exit(delivery, delivery->look.has_result ? &delivery->look.result : NULL, 0);
	if (stopped && ql_hand_orphans(&delivery->hand)) {
		ql_hand_kill_orphans(&delivery->hand);
		ring_again(delivery);
		return;
	}
	if (containers && !delivery->contained) {
		if (!delivery->containing)
			kill_containers(delivery);
		return;
	}
	if (stopped && !delivery->hand.holds)
		delivery->unasked |= 1 << QL_CHECK_HOST;
	ql_tell_gone(delivery);
}

static void
tell_over(struct delivery *delivery, enum ql_event_kind kind)
{
	ql_tell(delivery->celery, delivery->eval_id, delivery->attempt, kind,
		delivery->incarnation);
	ql_delivery_over(delivery);
	delivery->told_absent = true;
}

/* A RETRY may stand there from an earlier run: what comes again is somewhere. */
static bool
comes_again(const struct delivery *delivery)
{
	const struct ql_quest *look = &delivery->look;
	bool queued = (look->find.listed || look->find.unacked) && !look->expired;
	if (!is_state(look, "RETRY"))
		return false;
	return delivery->said_retry || queued || look->copy_count;
}

/* A solo worker says nothing while it works, nor does one that is cut off or frozen: its silence proves nothing. */
static bool
is_out_of_sight(const struct delivery *delivery)
{
	const struct ql_worker *worker =
		ql_workers_find(ql_control_workers(delivery->celery->control), delivery->node);
	bool proven = delivery->hand.holds && !ql_hand_task_lives(&delivery->hand);
	return worker && worker->state == QL_WORKER_SILENT && !proven;
}

/* Without any word of how it ended. */
static void
conclude_silent(struct delivery *delivery)
{
	if (!delivery->wide) {
		delivery->wide = true;
		ring(delivery, 0);
	} else if (ql_quest_is_complete(&delivery->look) && !is_out_of_sight(delivery)) {
		tell_over(delivery, QL_EVENT_ABSENT);
	} else {
		ring_again(delivery);
	}
}

/* Its worker does not run it: it ended, will come again, or nobody says what became of it. */
static void
conclude_absent(struct delivery *delivery)
{
	struct ql_quest *look = &delivery->look;
	bool kill_is_due = delivery->kill && delivery->stage == STAGE_SIGNALLED &&
			   now_ms() >= delivery->signalled_at + QL_CELERY_SWALLOWED_MS;
	if (comes_again(delivery))
		tell_over(delivery, QL_EVENT_RETRIED);
	else if (process_is_left(delivery) && kill_is_due)
		kill_by_hand(delivery);
	else if (process_is_left(delivery))
		ring_again(delivery);
	else if (has_finished(delivery) || ql_quest_is_over(look) ||
		 delivery->sent >= QL_RUNG_TERMINATE || delivery->told_exited)
		ended(delivery);
	else
		conclude_silent(delivery);
}

/* A RETRY stays in the backend while the next delivery runs: it is not looked after for ever. */
static bool
may_be_retried(const struct delivery *delivery)
{
	return is_state(&delivery->look, "RETRY") && delivery->pause_ms < QL_CELERY_POLL_MAX_MS;
}

static void
conclude(struct delivery *delivery)
{
	struct ql_quest *look = &delivery->look;
	const struct copy *copy = ql_quest_copy(look, delivery->task_id, delivery->incarnation);
	bool kill_is_due = delivery->kill && delivery->stage == STAGE_SIGNALLED &&
			   now_ms() >= delivery->signalled_at + QL_CELERY_SWALLOWED_MS;
	if (delivery->forgotten || delivery->told_gone)
		return;
	if (!look->workers_answered) {
		ring_again(delivery);
	} else if (!copy) {
		conclude_absent(delivery);
	} else if (delivery->stage == STAGE_GRACE && now_ms() >= delivery->grace_until) {
		delivery->stage = STAGE_IDLE;
		go_on(delivery);
	} else if (kill_is_due) {
		kill_by_hand(delivery);
	} else if (delivery->stage != STAGE_IDLE || ql_quest_is_finished(look) ||
		   is_state(look, "REVOKED") || may_be_retried(delivery)) {
		ring_again(delivery); /* its result comes before its worker lets go of it */
	}
}

static void
part_over(struct delivery *delivery)
{
	if (delivery->looking || delivery->asking)
		return;
	if (delivery->held)
		ql_tell_look(delivery->celery, delivery->eval_id, delivery->task_id,
			delivery->attempt, &delivery->look, 0);
	else
		conclude(delivery);
	if (delivery->held && !delivery->told_gone)
		ring_again(delivery);
	ql_delivery_rest(delivery);
}

static void
on_proof_looked(struct ql_quest *look)
{
	struct delivery *delivery = OWNER(look, struct delivery, look);
	delivery->looking = false;
	part_over(delivery);
}

static void
on_stats(struct ql_ask *ask, int status)
{
	struct delivery *delivery = OWNER(ask, struct delivery, ask);
	json_t *reply = json_object_get(ask->replies, delivery->node);
	delivery->pool_answered = !status && reply;
	delivery->in_pool = reply && ql_inspect_has_process(reply, delivery->pid);
	drop_question(delivery);
	part_over(delivery);
}

void
ql_stop_prove(struct delivery *delivery)
{
	if (ql_delivery_is_busy(delivery) || delivery->forgotten || delivery->told_gone ||
		delivery->celery->closing)
		return;
	delivery->looking = true;
	delivery->look.task_id = delivery->task_id;
	delivery->look.workers_only = !delivery->wide;
	delivery->look.node = delivery->node;
	delivery->look.pid = delivery->sent >= QL_RUNG_TERMINATE ? delivery->pid : 0;
	delivery->look.done = on_proof_looked;
	if (delivery->sent >= QL_RUNG_TERMINATE && !delivery->hand.holds && delivery->node[0])
		ask_node(delivery, "stats", NULL, on_stats);
	ql_quest(delivery->celery, &delivery->look);
}

void
ql_stop_rang(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	(void)alarm;
	struct delivery *delivery = OWNER(node, struct delivery, due);
	if (ql_delivery_is_busy(delivery))
		ring_again(delivery);
	else if (delivery->told_gone)
		ql_delivery_drop(delivery);
	else
		ql_stop_prove(delivery);
}

/* ---- notice, salvage ---- */

static void
on_noticed(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct job *job = OWNER(command, struct job, command);
	struct delivery *delivery = ql_delivery_find(job->celery, job->incarnation);
	bool written = !status && reply->integer == 1;
	if (written && delivery)
		delivery->noticed = true;
	if (written && delivery && delivery->sent < QL_RUNG_NOTICE)
		delivery->sent = QL_RUNG_NOTICE;
	ql_job_end(job, status, &command->err);
}

void
ql_celery_notice(struct job *job)
{
	if (!delivery_of(job))
		return;
	job->command.done = on_noticed;
	ql_results_set(job->celery, &job->command, job->task_id, "ABORTED", NULL);
}

static void
tell_salvaged(struct job *job, int64_t bytes, bool truncated)
{
	struct ql_celery *celery = job->celery;
	struct ql_sighting sighting = {
		.event = {.kind = QL_EVENT_SALVAGED,
			.attempt = job->attempt,
			.incarnation = job->incarnation,
			.output_bytes = bytes,
			.output_truncated = truncated,
			.checkpoint_bytes = -1},
		.eval_id = job->eval_id,
	};
	ql_sight(celery, &sighting);
}

static void
on_salvaged(struct ql_containers_op *op, int status)
{
	struct job *job = OWNER(op, struct job, containers);
	if (!status)
		tell_salvaged(job, op->output_bytes, op->output_truncated);
	ql_job_end(job, status, &op->err);
}

void
ql_celery_salvage(struct job *job)
{
	struct ql_containers *containers = job->celery->config.containers;
	if (!containers || !job->keep_dir) {
		tell_salvaged(job, 0, false);
		ql_job_end(job, 0, NULL);
		return;
	}
	job->containers = (struct ql_containers_op){.kind = QL_CONTAINERS_SALVAGE,
		.eval_id = job->eval_id,
		.keep_dir = job->keep_dir,
		.output_max = QL_KEEP_OUTPUT_MAX,
		.timeout_ms = ql_job_left_ms(job),
		.done = on_salvaged};
	containers->ops->act(containers, &job->containers);
}
