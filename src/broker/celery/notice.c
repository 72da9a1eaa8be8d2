/* What is asked of the task itself, and what is kept of it. */
#include "base/keep.h"
#include "base/owner.h"
#include "broker/celery/stop.h"

static void
on_noticed(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct job *job = QL_OWNER(command, struct job, command);
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
	struct delivery *delivery = ql_stop_delivery_of(job);
	if (!delivery)
		return;
	ql_spend_asked(delivery);
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
	struct job *job = QL_OWNER(op, struct job, containers);
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
