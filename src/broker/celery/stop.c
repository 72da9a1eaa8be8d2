/*
 * Stopping a run: a notice in the result backend, SIGTERM by its worker, its containers, SIGKILL by our own hand
 * where its process is on this host. None of them is believed: what is left is looked at until there is nothing.
 * Here is what all of them do.
 */
#include "broker/celery/stop.h"

/* Not of what is gone: it would be forgotten then, and its result be taken for the end of another run. */
void
ql_stop_ring(struct delivery *delivery, int64_t in_ms)
{
	if (!delivery->forgotten && !delivery->told_gone && !delivery->celery->closing)
		ql_alarm_set(&delivery->celery->alarm, &delivery->due, in_ms);
}

/* Soon at first, then rarely. */
void
ql_stop_ring_again(struct delivery *delivery)
{
	int64_t pause = delivery->pause_ms ? delivery->pause_ms : QL_CELERY_POLL_MS;
	ql_stop_ring(delivery, pause);
	int64_t most = delivery->held ? QL_CELERY_HELD_MS : QL_CELERY_POLL_MAX_MS;
	delivery->pause_ms = pause * 2 < most ? pause * 2 : most;
}

void
ql_stop_watch_closely(struct delivery *delivery)
{
	delivery->pause_ms = 0;
	ql_stop_ring_again(delivery);
}

void
ql_stop_answer(struct delivery *delivery, int status, const struct ql_err *err)
{
	struct job *job = delivery->job;
	delivery->job = NULL;
	if (job)
		ql_job_end(job, status, err);
}

void
ql_stop_drop_question(struct delivery *delivery)
{
	json_decref(delivery->arguments);
	json_decref(delivery->nodes);
	delivery->arguments = delivery->nodes = NULL;
	delivery->asking = false;
}

void
ql_stop_ask(struct delivery *delivery, const char *method, json_t *arguments,
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

/* It begins when what is under way is over; one may wait. */
bool
ql_stop_puts_off(struct delivery *delivery, struct job *job)
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

struct delivery *
ql_stop_delivery_of(struct job *job)
{
	struct ql_err err;
	struct delivery *delivery = ql_delivery_add(
		job->celery, job->incarnation, job->eval_id, job->task_id, job->attempt);
	if (delivery) {
		delivery->twin |= job->twin;
		return delivery;
	}
	ql_fail(&err, QL_E_LIMIT, "%d runs are known, and no more can be",
		QL_CELERY_DELIVERIES_MAX);
	ql_job_end(job, -1, &err);
	return NULL;
}

void
ql_stop_next(struct delivery *delivery)
{
	delivery->job = delivery->next_job;
	delivery->next_job = NULL;
	if (delivery->job->kind == QL_ACT_KILL)
		ql_stop_kill_now(delivery);
	else
		ql_stop_terminate_now(delivery);
}
