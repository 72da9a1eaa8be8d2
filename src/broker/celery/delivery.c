/* Runs that are known, by their incarnation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/celery/stray.h"

uint64_t
ql_delivery_name(const char *task_id, const struct copy *copy)
{
	char text[QL_TASK_ID + QL_TASK_NODE + 64];
	if (copy->place == QL_PLACE_ACTIVE)
		snprintf(text, sizeof(text), "%s\n%s\n%lld\n%lld", task_id, copy->node,
			(long long)copy->pid, (long long)copy->since);
	else
		snprintf(text, sizeof(text), "%s\n%s\nheld", task_id, copy->node);
	return ql_str_hash(text);
}

uint64_t
ql_delivery_name_of_result(const struct ql_result *result, const char *task_id)
{
	char text[QL_TASK_ID + 64];
	snprintf(text, sizeof(text), "%s\nresult\n%lld", task_id, (long long)result->done_at);
	return ql_str_hash(text);
}

struct delivery *
ql_delivery_find(struct ql_celery *celery, uint64_t incarnation)
{
	struct delivery *delivery;
	HASH_FIND(hh, celery->deliveries, &incarnation, sizeof(incarnation), delivery);
	return delivery;
}

struct delivery *
ql_deliveries_of(struct ql_celery *celery, const char *task_id)
{
	struct task_runs *task;
	HASH_FIND_STR(celery->tasks, task_id, task);
	return task ? task->runs : NULL;
}

static void
leave_task(struct delivery *delivery)
{
	struct task_runs *task = delivery->task;
	if (!task)
		return;
	DL_DELETE(task->runs, delivery);
	if (task->runs)
		return;
	HASH_DEL(delivery->celery->tasks, task);
	free(task->task_id);
	free(task);
}

/* -1: out of memory. */
static int
join_task(struct delivery *delivery, const char *task_id)
{
	struct ql_celery *celery = delivery->celery;
	struct task_runs *task;
	HASH_FIND_STR(celery->tasks, task_id, task);
	if (!task) {
		task = calloc(1, sizeof(*task));
		if (!task || !(task->task_id = ql_str_dup(task_id))) {
			free(task);
			return -1;
		}
		HASH_ADD_KEYPTR(hh, celery->tasks, task->task_id, strlen(task->task_id), task);
	}
	delivery->task = task;
	delivery->task_id = task->task_id;
	DL_APPEND(task->runs, delivery);
	return 0;
}

static void
delivery_free(struct delivery *delivery)
{
	struct ql_celery *celery = delivery->celery;
	HASH_DEL(celery->deliveries, delivery);
	if (delivery->next_job)
		ql_job_end(delivery->next_job, -1, NULL);
	ql_alarm_clear(&celery->alarm, &delivery->due);
	ql_quest_done(&delivery->look);
	json_decref(delivery->arguments);
	json_decref(delivery->nodes);
	leave_task(delivery);
	free(delivery->eval_id);
	free(delivery->keep_dir);
	free(delivery->box);
	free(delivery);
}

struct delivery *
ql_delivery_add(struct ql_celery *celery, uint64_t incarnation, const char *eval_id,
	const char *task_id, int32_t attempt)
{
	struct delivery *delivery = ql_delivery_find(celery, incarnation);
	if (delivery)
		return delivery;
	if (HASH_COUNT(celery->deliveries) >= QL_CELERY_DELIVERIES_MAX)
		return NULL;
	delivery = calloc(1, sizeof(*delivery));
	if (!delivery)
		return NULL;
	delivery->celery = celery;
	delivery->incarnation = incarnation;
	delivery->attempt = attempt;
	delivery->eval_id = ql_str_dup(eval_id);
	HASH_ADD(hh, celery->deliveries, incarnation, sizeof(incarnation), delivery);
	if (delivery->eval_id && !join_task(delivery, task_id))
		return delivery;
	delivery_free(delivery);
	return NULL;
}

static const struct ql_worker *
worker_of(const struct delivery *delivery)
{
	return ql_workers_find(ql_control_workers(delivery->celery->control), delivery->node);
}

void
ql_delivery_reach(struct delivery *delivery)
{
	const struct ql_worker *worker = worker_of(delivery);
	bool here = worker && !strcmp(ql_worker_host(worker), delivery->celery->host);
	bool prefork = worker && worker->pool == QL_POOL_PREFORK;
	if (delivery->held || !here || !prefork || delivery->hand.holds)
		return;
	ql_hand_take(&delivery->hand, worker->pid, delivery->pid);
	if (delivery->recalled && !ql_hand_is_of(&delivery->hand, delivery->since))
		delivery->hand.holds = false; /* that number is another's by now */
}

void
ql_delivery_listed(struct delivery *delivery)
{
	const struct ql_worker *worker = worker_of(delivery);
	delivery->listed_at = worker ? worker->begun : -1;
	ql_delivery_reach(delivery);
}

bool
ql_delivery_is_last(const struct delivery *delivery)
{
	const struct ql_worker *worker = worker_of(delivery);
	return worker && worker->state == QL_WORKER_LEFT && worker->begun >= 0 &&
	       worker->begun == delivery->listed_at;
}

/* Both run, or may: what is written of the task's end says nothing of either by itself. */
static void
note_twins(struct delivery *delivery)
{
	struct delivery *other;
	DL_FOREACH (delivery->task->runs, other) {
		bool runs = !other->held && !other->told_gone && other->node[0];
		if (other != delivery && runs)
			delivery->twin = other->twin = true;
	}
}

void
ql_delivery_hear_start(
	struct ql_celery *celery, const char *task_id, const struct ql_result *result)
{
	struct delivery *delivery;
	DL_FOREACH (ql_deliveries_of(celery, task_id), delivery) {
		bool runs = !delivery->held && !delivery->told_gone && delivery->node[0];
		bool other = runs && result->worker && result->pid &&
			     (delivery->pid != result->pid ||
				     strcmp(delivery->node, result->worker) != 0);
		delivery->twin |= other;
	}
}

void
ql_delivery_place(struct delivery *delivery, const struct copy *copy)
{
	ql_str_copy(delivery->node, sizeof(delivery->node), copy->node);
	delivery->pid = copy->pid;
	delivery->since = copy->since;
	delivery->held = copy->place != QL_PLACE_ACTIVE;
	if (!delivery->held && !delivery->told_gone)
		note_twins(delivery);
	ql_delivery_listed(delivery);
	if (delivery->asked)
		ql_spend_asked(delivery);
}

bool
ql_delivery_is_busy(const struct delivery *delivery)
{
	return delivery->looking || delivery->asking || delivery->containing ||
	       delivery->noticing || delivery->job;
}

/* Called whenever something of it is over. */
void
ql_delivery_rest(struct delivery *delivery)
{
	if (ql_delivery_is_busy(delivery))
		return;
	if (delivery->forgotten)
		delivery_free(delivery);
	else if (delivery->next_job && !delivery->celery->closing)
		ql_stop_next(delivery);
}

/* Nobody forgets what the engine has no place for: a held one that was given back, a stranger. */
void
ql_delivery_over(struct delivery *delivery)
{
	delivery->told_gone = true;
	ql_strays_over(delivery->celery->base.finder, delivery->incarnation);
	if (!delivery->forgotten && !delivery->celery->closing)
		ql_alarm_set(&delivery->celery->alarm, &delivery->due, QL_CELERY_KEEP_MS);
}

void
ql_delivery_drop(struct delivery *delivery)
{
	delivery->forgotten = true;
	ql_alarm_clear(&delivery->celery->alarm, &delivery->due);
	ql_delivery_rest(delivery);
}

void
ql_deliveries_free(struct ql_celery *celery)
{
	struct delivery *delivery, *next;
	HASH_ITER (hh, celery->deliveries, delivery, next)
		delivery_free(delivery);
}

/* What a task left of its checkpoint stands among the results too, and is no task. */
int
ql_celery_whose(const struct ql_celery *celery, const char *task_id,
	char ret_eval_id[static QL_EVAL_ID], int32_t *ret_attempt)
{
	if (!strncmp(task_id, QL_CELERY_CHECKPOINT, strlen(QL_CELERY_CHECKPOINT)))
		return -1;
	return ql_task_id_parse(celery->config.task_id, task_id, ret_eval_id, ret_attempt);
}
