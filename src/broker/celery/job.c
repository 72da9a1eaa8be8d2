/* An operation of the engine's: it is answered once, its work may outlive it. */
#include <stdlib.h>

#include "base/str.h"
#include "broker/celery/driver.h"

static void
job_free(struct job *job)
{
	free(job->eval_id);
	free(job->task_id);
	free(job->keep_dir);
	free(job->bytes);
	free(job);
}

struct job *
ql_job_new(struct ql_celery *celery, struct ql_runtime_op *op)
{
	struct job *job;
	if (ql_desk_take(&celery->desk, op))
		return NULL;
	ql_kept_recall(celery, op);
	job = calloc(1, sizeof(*job));
	if (job) {
		job->eval_id = ql_str_dup(op->eval_id);
		job->task_id = ql_str_dup(op->task_id);
		job->keep_dir = op->keep_dir ? ql_str_dup(op->keep_dir) : NULL;
	}
	bool whole = job && job->eval_id && job->task_id && (job->keep_dir || !op->keep_dir);
	if (!whole) {
		if (job)
			job_free(job);
		ql_desk_answer(&celery->desk, op,
			ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory for an operation"));
		return NULL;
	}
	job->celery = celery;
	job->op = op;
	job->kind = op->kind;
	job->incarnation = op->incarnation;
	job->attempt = op->attempt;
	job->epoch = op->epoch;
	job->grace_ms = op->grace_ms;
	job->boxes = op->boxes;
	job->sought = op->sought;
	job->twin = op->twin;
	job->ends_at = ql_alarm_ms() + op->timeout_ms;
	op->driver = job;
	return job;
}

void
ql_job_end(struct job *job, int status, const struct ql_err *err)
{
	if (job->op && status && err)
		job->op->err = *err;
	if (job->op)
		ql_desk_answer(&job->celery->desk, job->op, status);
	job_free(job);
}

int64_t
ql_job_left_ms(const struct job *job)
{
	int64_t left = job->ends_at - ql_alarm_ms();
	return left > 1 ? left : 1; /* 0 would mean the usual time */
}
