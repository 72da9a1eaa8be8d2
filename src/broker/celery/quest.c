/*
 * Where a task is. The lists, the workers and the result are asked at once; all looks that begin in one turn
 * of the loop share the questions to the workers, which answer for everything that they have.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/celery/driver.h"

struct look_round {
	struct ql_celery *celery;
	struct ql_quest *looks; /* by their next; each is in celery->looks too */
	struct ql_ask asks[3];
	int open;
	uv_idle_t turn;
};

/* In the order in which a task goes through them: one that moves meanwhile is seen, at worst twice. */
static const struct {
	const char *method;
	enum ql_place place;
} questions[] = {
	{"scheduled", QL_PLACE_SCHEDULED},
	{"reserved", QL_PLACE_RESERVED},
	{"active", QL_PLACE_ACTIVE},
};

/* ---- one part of the answer came ---- */

static void
part_over(struct ql_quest *look)
{
	if (--look->open)
		return;
	struct ql_celery *celery = look->celery;
	DL_DELETE(celery->looks, look);
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
	struct ql_quest *look = OWNER(op, struct ql_quest, find);
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
	struct ql_quest *look = OWNER(command, struct ql_quest, command);
	look->result_answered = !status;
	if (status)
		keep_why(look, &command->err);
	else if (reply->type == REDIS_REPLY_STRING)
		look->has_result =
			!ql_result_parse(reply->str, reply->len, &look->result, &look->err);
	part_over(look);
}

/* ---- what the workers have ---- */

struct finding {
	struct look_round *round;
	const char *node;
};

static struct ql_quest *
look_for(struct look_round *round, const char *task_id, struct ql_quest *after)
{
	struct ql_quest *look = after ? after->next_in_round : round->looks;
	for (; look; look = look->next_in_round) {
		if (!strcmp(look->task_id, task_id))
			return look;
	}
	return NULL;
}

static void
add_copy(struct ql_quest *look, const char *node, const struct ql_seen *seen)
{
	if (look->copy_count == QL_CELERY_SEEN_MAX)
		return; /* more than a state has places for: they are met later */
	struct copy *copy = &look->copies[look->copy_count++];
	*copy = (struct copy){
		.place = seen->place, .pid = seen->pid, .since = seen->since, .eta = seen->eta};
	ql_str_copy(copy->node, sizeof(copy->node), node);
}

static void
each_seen(void *arg, const struct ql_seen *seen)
{
	const struct finding *finding = arg;
	struct ql_quest *look = NULL;
	while ((look = look_for(finding->round, seen->task_id, look)))
		add_copy(look, finding->node, seen);
}

static void
round_over(struct look_round *round)
{
	while (round->looks) {
		struct ql_quest *look = round->looks;
		round->looks = look->next_in_round;
		part_over(look);
	}
	free(round);
}

static void
on_asked(struct ql_ask *ask, int status)
{
	struct look_round *round = NULL;
	enum ql_place place = QL_PLACE_ACTIVE;
	const char *node;
	json_t *reply;
	for (size_t i = 0; i < 3; i++) {
		if (!strcmp(ask->method, questions[i].method)) {
			round = OWNER(ask, struct look_round, asks[i]);
			place = questions[i].place;
		}
	}
	json_object_foreach (ask->replies, node, reply) {
		struct finding finding = {.round = round, .node = node};
		ql_inspect_list(reply, place, each_seen, &finding);
	}
	for (struct ql_quest *look = round->looks; status && look; look = look->next_in_round) {
		look->workers_answered = false;
		keep_why(look, &ask->err);
	}
	if (!--round->open)
		round_over(round);
}

static void
on_turn_closed(uv_handle_t *handle)
{
	struct look_round *round = handle->data;
	round->open = 3;
	for (size_t i = 0; i < 3; i++) {
		round->asks[i] = (struct ql_ask){.method = questions[i].method, .done = on_asked};
		ql_control_ask(round->celery->control, &round->asks[i]);
	}
}

static void
on_turn(uv_idle_t *turn)
{
	struct look_round *round = turn->data;
	uv_idle_stop(turn);
	round->celery->gathering = NULL;
	uv_close((uv_handle_t *)turn, on_turn_closed);
}

/* NULL: out of memory. */
static struct look_round *
round_now(struct ql_celery *celery)
{
	struct look_round *round = celery->gathering;
	if (round)
		return round;
	round = calloc(1, sizeof(*round));
	if (!round)
		return NULL;
	round->celery = celery;
	uv_idle_init(celery->base.loop, &round->turn);
	round->turn.data = round;
	uv_idle_start(&round->turn, on_turn);
	celery->gathering = round;
	return round;
}

void
ql_quest(struct ql_celery *celery, struct ql_quest *look)
{
	struct look_round *round = round_now(celery);
	look->celery = celery;
	look->workers_answered = round != NULL;
	look->copy_count = 0;
	look->expired = look->lists_answered = look->result_answered = false;
	look->err = (struct ql_err){0};
	ql_quest_done(look);
	DL_APPEND(celery->looks, look);
	look->open = 1; /* not before all are asked */
	if (round) {
		look->open++;
		look->next_in_round = round->looks;
		round->looks = look;
	}
	look->find = (struct ql_queue_op){.verb = QL_QUEUE_FIND,
		.task_id = look->task_id,
		.timeout_ms = QL_CELERY_LOOK_MS,
		.done = on_found};
	if (look->workers_only) {
		look->lists_answered = true;
	} else {
		look->open++;
		ql_queue_look(celery->queues, &look->find);
	}
	if (celery->backend) {
		look->open++;
		look->command.done = on_result;
		ql_results_get(celery, &look->command, look->task_id);
	} else {
		look->result_answered = true;
	}
	look->open--; /* the workers' answers, or the result's, end it */
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
