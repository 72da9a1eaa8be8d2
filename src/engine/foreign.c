/*
 * An id that a submission names may be another producer's: a task of its name waits, runs or left a result. Who sees
 * everybody's takes it up by submitting it; for anybody else it would be somebody else's work to see and to stop. So
 * every place is asked first. The looks that come together share one walk through the queues and one question to
 * the workers, and an id that was made here needs none.
 */
#include "engine/submission.h"

#include <stdlib.h>

#include "base/owner.h"

#define LOOKS_MAX 500 /* at once, of one submission */
#define LOOK_MS 3000 /* for one of them: workers answer within a second, a busy one late */

struct foreign_look {
	struct ql_locate op;
	struct foreign *foreign;
	const char *eval_id; /* the submission's */
	char task_id[QL_TASK_ID];
};

struct foreign {
	struct submission *submission;
	size_t next; /* of its records: those before it were looked for, or are */
	size_t open;
	struct foreign_look looks[LOOKS_MAX];
};

static const char *const places[] = {
	[QL_PLACE_UNKNOWN] = "left a result",
	[QL_PLACE_QUEUED] = "is queued",
	[QL_PLACE_RESERVED] = "is with a worker",
	[QL_PLACE_SCHEDULED] = "is with a worker",
	[QL_PLACE_ACTIVE] = "runs",
	[QL_PLACE_FINISHED] = "has finished",
};

static void look_on(struct foreign *foreign);

static void
end(struct foreign *foreign)
{
	struct submission *submission = foreign->submission;
	free(foreign);
	if (submission->err.code)
		ql_submission_finish(submission, &submission->err);
	else
		ql_supersede(submission);
}

/* Nothing is concluded of a place that was not asked. */
static void
judge(const struct foreign_look *look, int status)
{
	const struct ql_locate *op = &look->op;
	struct ql_err *e = &look->foreign->submission->err;
	bool found = !status && (op->place != QL_PLACE_UNKNOWN || op->state[0]);
	if (found)
		ql_fail(e, QL_E_CONFLICT,
			"the id %s is taken: another producer's task %s %s. Choose another one, or "
			"none, and one is made",
			look->eval_id, look->task_id, places[op->place]);
	else if ((status || !op->complete) && !e->code)
		ql_fail(e, QL_E_UNAVAILABLE,
			"whether another producer has a task %s can't be told, and nothing was "
			"submitted: %.200s. Try again, or name no eval_id, and one is made",
			look->task_id, status ? op->err.text : op->note);
}

static void
on_located(struct ql_locate *op, int status)
{
	struct foreign_look *look = QL_OWNER(op, struct foreign_look, op);
	struct foreign *foreign = look->foreign;
	struct submission *submission = foreign->submission;
	judge(look, status);
	if (--foreign->open)
		return;
	if (!submission->err.code && !ql_engine_check_open(submission->engine, &submission->err))
		look_on(foreign);
	else
		end(foreign);
}

static bool
is_named(const struct submission *submission, size_t index)
{
	return submission->op->named && submission->op->named[index];
}

static void
look_for(struct foreign *foreign, struct foreign_look *look, size_t index)
{
	struct ql_engine *engine = foreign->submission->engine;
	const struct ql_record *record = &foreign->submission->op->records[index];
	look->foreign = foreign;
	look->eval_id = record->eval_id;
	look->op = (struct ql_locate){
		.task_id = look->task_id, .timeout_ms = LOOK_MS, .done = on_located};
	ql_record_task_id(record, 1, look->task_id);
	ql_engine_locate(engine, &look->op);
}

/* Those that are next; there is nothing more to look for: on with the submission. */
static void
look_on(struct foreign *foreign)
{
	const struct submission *submission = foreign->submission;
	for (; foreign->next < submission->op->count && foreign->open < LOOKS_MAX;
		foreign->next++) {
		if (is_named(submission, foreign->next))
			look_for(foreign, &foreign->looks[foreign->open++], foreign->next);
	}
	if (!foreign->open)
		end(foreign);
}

void
ql_foreign(struct submission *submission)
{
	const struct ql_submit *op = submission->op;
	bool some = false;
	for (size_t i = 0; i < op->count && !some; i++)
		some = is_named(submission, i);
	if (!submission->engine->config.broker || op->caller.all || !some) {
		ql_supersede(submission);
		return;
	}
	struct foreign *foreign = calloc(1, sizeof(*foreign));
	if (!foreign) {
		ql_fail(&submission->err, QL_E_UNAVAILABLE, "out of memory: try again later");
		ql_submission_finish(submission, &submission->err);
		return;
	}
	foreign->submission = submission;
	look_on(foreign);
}
