/* What the result backend says of the tasks that were met: many at once, and only the head of each. */
#include <stdlib.h>
#include <string.h>

#include "broker/celery/wire/message.h"
#include "broker/celery/observe/inside.h"

#define BATCH 250

/*
 * Most tasks have no result, or another one: only what may say REVOKED goes over the wire. ARGV: how much of
 * each, then the keys; as a script's KEYS they would need the right to write.
 */
static const char script[] = "local out = {}\n"
			     "for i = 2, #ARGV do\n"
			     "  local text = redis.pcall('GETRANGE', ARGV[i], 0, ARGV[1])\n"
			     "  local is = type(text) == 'string' and "
			     "string.find(text, '\"REVOKED\"', 1, true)\n"
			     "  out[i - 1] = is and text or ''\n"
			     "end\n"
			     "return out\n";

struct ql_observe_batch {
	struct ql_redis_command command;
	struct ql_observe_look *look;
	size_t count;
	struct ql_met met[BATCH];
};

/* As for ql_observe_judge. */
static int64_t
revoked_at(const redisReply *text)
{
	struct ql_result result;
	int64_t at = -1;
	if (text->type != REDIS_REPLY_STRING || !text->len ||
		ql_result_parse(text->str, text->len, &result, NULL))
		return -1;
	if (!strcmp(result.state, "REVOKED"))
		at = result.done_at;
	ql_result_done(&result);
	return at;
}

static void
batch_free(struct ql_observe_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		free(batch->met[i].task_id);
	free(batch);
}

static void
came(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct ql_observe_batch *batch = (struct ql_observe_batch *)(void *)command;
	struct ql_observe_look *look = batch->look;
	bool whole = !status && reply->type == REDIS_REPLY_ARRAY && reply->elements == batch->count;
	if (status)
		ql_observe_away(look, &command->err);
	for (size_t i = 0; i < batch->count && whole; i++)
		ql_observe_judge(look, &batch->met[i], revoked_at(reply->element[i]));
	batch_free(batch);
	ql_observe_read(look);
}

static void
judge_unread(struct ql_observe_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		ql_observe_judge(batch->look, &batch->met[i], -1);
	batch_free(batch);
}

void
ql_observe_flush(struct ql_observe_look *look)
{
	struct ql_observe_batch *batch = look->batch;
	const char *argv[BATCH + 1] = {QL_OBSERVE_RESULT_MAX};
	char *keys[BATCH];
	size_t count = 0;
	look->batch = NULL;
	if (!batch)
		return;
	if (!look->observe->reads_results) {
		judge_unread(batch);
		return;
	}
	const char *prefix = look->observe->config.results_prefix;
	for (; count < batch->count; count++) {
		if (asprintf(&keys[count], "%scelery-task-meta-%s", prefix ? prefix : "",
			    batch->met[count].task_id) < 0)
			break;
		argv[count + 1] = keys[count];
	}
	if (count == batch->count) {
		batch->command.done = came;
		ql_observe_hold(look);
		ql_redis_eval(look->observe->backend, &batch->command, script, 0, (int)count + 1,
			argv, NULL);
	} else {
		judge_unread(batch);
	}
	while (count)
		free(keys[--count]);
}

void
ql_observe_meet(struct ql_observe_look *look, struct ql_met met)
{
	if (!met.task_id)
		return;
	if (!look->batch) {
		look->batch = calloc(1, sizeof(*look->batch));
		if (!look->batch) {
			free(met.task_id);
			return;
		}
		look->batch->look = look;
	}
	look->batch->met[look->batch->count++] = met;
	if (look->batch->count == BATCH)
		ql_observe_flush(look);
}
