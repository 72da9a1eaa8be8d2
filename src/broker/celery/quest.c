/*
 * Where a task is. The lists and the workers are asked at once, and its result after the workers: one
 * that ends between two questions is in what is asked last.
 */
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "broker/celery/driver.h"

/* ---- one part of the answer came ---- */

/* What came while the server ends is no answer any more: nobody acts on it. */
static void
forget_answers(struct ql_quest *look)
{
	look->workers_answered = look->lists_answered = look->result_answered = false;
	look->copy_count = 0;
	look->find = (struct ql_queue_op){0};
	look->expired = false;
	ql_quest_done(look);
	ql_fail(&look->err, QL_E_UNAVAILABLE, "the server ends");
}

static void
part_over(struct ql_quest *look)
{
	if (--look->open)
		return;
	if (look->celery->closing)
		forget_answers(look);
	look->done(look);
}

static void
keep_why(struct ql_quest *look, const struct ql_err *err)
{
	if (!look->err.code)
		look->err = *err;
}

static void
on_found(struct ql_queue_op *op, int status)
{
	struct ql_quest *look = QL_OWNER(op, struct ql_quest, find);
	struct ql_message message;
	struct ql_err ignored; /* then it isn't marked */
	look->lists_answered = !status;
	if (status)
		keep_why(look, &op->err);
	else if (op->bytes && !ql_message_parse(op->bytes, op->len, &message, &ignored)) {
		look->expired = message.expired;
		ql_message_done(&message);
	}
	part_over(look);
}

static void
on_result(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct ql_quest *look = QL_OWNER(command, struct ql_quest, command);
	look->result_answered = !status;
	if (status)
		keep_why(look, &command->err);
	else if (reply->type == REDIS_REPLY_STRING)
		look->has_result =
			!ql_result_parse(reply->str, reply->len, &look->result, &look->err);
	part_over(look);
}

void
ql_quest_fail(struct ql_quest *look, const struct ql_err *err)
{
	look->workers_answered = false;
	keep_why(look, err);
}

void
ql_quest_hush(struct ql_quest *look, const struct ql_err *err)
{
	look->silent = true;
	keep_why(look, err);
}

void
ql_quest_asked(struct ql_quest *look)
{
	ql_results_get(look->celery, &look->command, look->task_id);
}

static void
begin(struct ql_celery *celery, struct ql_quest *look)
{
	look->celery = celery;
	look->workers_answered = look->lists_answered = true;
	look->result_answered = look->expired = look->works_on_another = false;
	look->silent = false;
	look->copy_count = 0;
	look->err = (struct ql_err){0};
	look->find = (struct ql_queue_op){.verb = QL_QUEUE_FIND,
		.task_id = look->task_id,
		.timeout_ms = QL_CELERY_LOOK_MS,
		.done = on_found};
	look->command = (struct ql_redis_command){.done = on_result};
	ql_quest_done(look);
}

void
ql_quest(struct ql_celery *celery, struct ql_quest *look)
{
	struct ql_err err;
	begin(celery, look);
	look->open = 1 + !look->workers_only;
	if (!look->workers_only)
		ql_queue_look(celery->queues, &look->find);
	if (!ql_round_join(celery, look))
		return;
	ql_fail(&err, QL_E_UNAVAILABLE, "Out of memory to ask the workers");
	ql_quest_fail(look, &err);
	ql_quest_asked(look);
}

void
ql_quest_done(struct ql_quest *look)
{
	if (look->has_result)
		ql_result_done(&look->result);
	look->has_result = false;
}

/* ---- what it says ---- */

bool
ql_quest_is_complete(const struct ql_quest *look)
{
	return look->workers_answered && look->lists_answered && look->result_answered;
}

bool
ql_quest_is_finished(const struct ql_quest *look)
{
	return look->has_result &&
	       (!strcmp(look->result.state, "SUCCESS") || !strcmp(look->result.state, "FAILURE"));
}

bool
ql_result_is_ours(const struct ql_celery *celery, const struct ql_result *result)
{
	return result->worker && !strcmp(result->worker, celery->writer);
}

bool
ql_result_is_of_signal(const struct ql_result *result)
{
	return !strcmp(result->state, "REVOKED") && result->reason &&
	       !strcmp(result->reason, "terminated");
}

bool
ql_result_is_of_drop(const struct ql_result *result)
{
	return !strcmp(result->state, "REVOKED") && result->reason &&
	       !strcmp(result->reason, "revoked");
}

bool
ql_quest_is_over(const struct ql_quest *look)
{
	return look->has_result && !ql_result_is_ours(look->celery, &look->result) &&
	       (ql_quest_is_finished(look) || !strcmp(look->result.state, "REVOKED"));
}

bool
ql_quest_is_begun(const struct ql_quest *look)
{
	return look->has_result && !strcmp(look->result.state, "STARTED") && look->result.worker;
}

bool
ql_quest_is_nowhere(const struct ql_quest *look)
{
	bool queued = (look->find.listed || look->find.unacked) && !look->expired;
	return ql_quest_is_complete(look) && !look->copy_count && !queued;
}

const struct copy *
ql_quest_copy(const struct ql_quest *look, const char *task_id, uint64_t incarnation)
{
	for (size_t i = 0; i < look->copy_count; i++) {
		if (ql_delivery_name(task_id, &look->copies[i]) == incarnation)
			return &look->copies[i];
	}
	return NULL;
}
