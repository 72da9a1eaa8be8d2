/*
 * An INSPECT: one run is looked at, or the task as a whole. Of a task that is nowhere the containers are asked for,
 * too, where the engine wants it: a worker that died may have left them.
 */
#include <stdlib.h>

#include "base/owner.h"
#include "broker/celery/driver.h"

struct inspection {
	struct ql_quest look;
	struct ql_containers_op containers;
	struct job *job;
};

/*
 * What was told of that run is told again. One that is gone is so for ever: it is told at once, as who finds
 * it unproven meanwhile would say nothing of the task.
 */
static void
ask_again_of(struct job *job, const struct ql_quest *look)
{
	struct delivery *delivery = ql_delivery_add(
		job->celery, job->incarnation, job->eval_id, job->task_id, job->attempt);
	if (!delivery)
		return;
	bool proven = delivery->told_gone && delivery->told_exited && !delivery->told_absent &&
		      look->result_answered;
	delivery->told_exited = delivery->told_gone = delivery->told_absent = false;
	delivery->nameless = false;
	delivery->twin |= job->twin;
	if (!proven)
		return;
	ql_tell_exit(delivery, look, 0);
	ql_tell_gone(delivery);
}

static void
answer(struct inspection *inspection, bool told)
{
	struct ql_quest *look = &inspection->look;
	struct job *job = inspection->job;
	struct ql_err err = look->err;
	bool complete = ql_quest_is_complete(look) && (!look->silent || job->incarnation);
	ql_tell_look(job->celery, job->eval_id, job->task_id, job->attempt, look,
		job->incarnation || told ? 0 : job->epoch);
	if (!complete && err.code)
		ql_err_prefix(&err, "not every place could be asked");
	else if (!complete)
		ql_fail(&err, QL_E_UNAVAILABLE, "not every place could be asked yet: ask again");
	ql_quest_done(look);
	free(inspection);
	ql_job_end(job, complete ? 0 : -1, &err);
}

/* ---- containers that no run accounts for ---- */

/* Of FIND, one that runs; of KILL, one that ran until now; NULL: none. */
static const struct ql_container *
that_ran(const struct ql_containers_op *op)
{
	for (size_t i = 0; i < op->count; i++) {
		const struct ql_container *found = &op->found[i];
		if (found->running || (op->kind == QL_CONTAINERS_KILL && found->started_at))
			return found;
	}
	return NULL;
}

static void
tell_boxed(const struct inspection *inspection, const struct ql_container *found)
{
	const struct job *job = inspection->job;
	bool ended = inspection->containers.kind == QL_CONTAINERS_KILL;
	struct ql_sighting sighting = {
		.event = {.kind = QL_EVENT_BOXED,
			.attempt = job->attempt,
			.epoch = job->epoch,
			.exit_code = -1,
			.flags = ended ? QL_RUN_BOXES_ENDED : 0,
			.unasked = inspection->look.silent ? 1 << QL_CHECK_WORKERS : 0,
			.checkpoint_bytes = -1},
		.eval_id = job->eval_id,
	};
	ql_box_name(job->celery, found, &sighting);
	ql_sight(job->celery, &sighting);
}

static void
on_boxes(struct ql_containers_op *op, int status)
{
	struct inspection *inspection = QL_OWNER(op, struct inspection, containers);
	struct job *job = inspection->job;
	const struct ql_container *found = status ? NULL : that_ran(op);
	if (status) {
		ql_err_prefix(&op->err, "whether containers of it run is not known");
		ql_quest_done(&inspection->look);
		free(inspection);
		ql_job_end(job, -1, &op->err);
		return;
	}
	if (found)
		tell_boxed(inspection, found);
	answer(inspection, found && op->kind == QL_CONTAINERS_FIND);
}

/* A worker that died may have left them: «nowhere» is not said of a task whose containers run. */
static bool
look_for_boxes(struct inspection *inspection)
{
	struct job *job = inspection->job;
	struct ql_containers *containers = job->celery->config.containers;
	bool ends = job->boxes == QL_BOXES_END;
	bool wanted = containers && job->boxes != QL_BOXES_LEAVE && !job->celery->closing;
	if (!wanted || !ql_quest_is_nowhere(&inspection->look) ||
		ql_quest_is_finished(&inspection->look))
		return false;
	if (ends)
		containers->ops->ban(containers, job->eval_id, true);
	inspection->containers =
		(struct ql_containers_op){.kind = ends ? QL_CONTAINERS_KILL : QL_CONTAINERS_FIND,
			.eval_id = job->eval_id,
			.timeout_ms = QL_CELERY_CONTAINERS_MS,
			.done = on_boxes};
	containers->ops->act(containers, &inspection->containers);
	return true;
}

static void
on_looked(struct ql_quest *look)
{
	struct inspection *inspection = QL_OWNER(look, struct inspection, look);
	if (inspection->job->incarnation)
		ask_again_of(inspection->job, look);
	if (!look_for_boxes(inspection))
		answer(inspection, false);
}

void
ql_celery_inspect(struct job *job)
{
	struct ql_err err;
	struct inspection *inspection = calloc(1, sizeof(*inspection));
	if (!inspection) {
		ql_fail(&err, QL_E_UNAVAILABLE, "Out of memory for a look");
		ql_job_end(job, -1, &err);
		return;
	}
	/* another producer's: what becomes of it is published under an id that does not say whose it is */
	ql_results_follow(job->celery, job->task_id, job->eval_id, job->attempt);
	inspection->job = job;
	inspection->look.task_id = job->task_id;
	inspection->look.workers_only = job->incarnation;
	inspection->look.sought = job->sought;
	inspection->look.done = on_looked;
	ql_quest(job->celery, &inspection->look);
}
