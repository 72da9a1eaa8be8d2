/* A test's hand on the farm: who works there, who is away or dead, and what is really there. */
#include "broker/fake_farm.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/str.h"

/* ---- who works ---- */

struct ql_farm_worker *
ql_farm_hire(struct ql_farm *farm, const char *node, int concurrency, int prefetch)
{
	struct ql_farm_worker *worker = calloc(1, sizeof(*worker));
	if (!worker)
		abort(); /* a test's world without memory has nothing to tell */
	worker->farm = farm;
	worker->concurrency = concurrency;
	worker->prefetch = prefetch;
	ql_str_copy(worker->node, sizeof(worker->node), node);
	worker->known = farm->happened && !farm->down && !farm->cut;
	DL_APPEND(farm->workers, worker);
	ql_farm_work(farm);
	return worker;
}

static void
come_back(struct ql_farm *farm, bool all)
{
	if (farm->back)
		farm->back(farm->arg, all);
	ql_farm_work(farm);
}

void
ql_farm_set_away(struct ql_farm_worker *worker, bool away)
{
	worker->away = away;
	worker->silent = false;
	if (!away)
		come_back(worker->farm, false);
}

void
ql_farm_set_silent(struct ql_farm_worker *worker)
{
	worker->away = worker->silent = true;
}

void
ql_farm_set_down(struct ql_farm *farm, bool down)
{
	farm->down = down;
	if (!down)
		come_back(farm, true);
}

void
ql_farm_set_cut(struct ql_farm *farm, bool cut)
{
	farm->cut = cut;
	if (!cut)
		come_back(farm, true);
}

void
ql_farm_kill_worker(struct ql_farm_worker *worker)
{
	struct ql_farm *farm = worker->farm;
	struct ql_farm_run *run;
	DL_DELETE(farm->workers, worker);
	DL_FOREACH (farm->runs, run) {
		if (run->worker != worker)
			continue;
		run->worker = NULL;
		if (run->phase == QL_FARM_HELD)
			ql_farm_give_back(farm, run);
		if (run->phase != QL_FARM_RUNNING)
			continue;
		ql_alarm_clear(&farm->runs_due, &run->due);
		run->phase = QL_FARM_GONE;
		run->lost = true;
		run->task->boxes += run->program.containers;
	}
	free(worker);
	ql_farm_work(farm);
}

void
ql_farm_restart_workers(struct ql_farm *farm)
{
	struct ql_farm_task *task, *next;
	HASH_ITER (hh, farm->tasks, task, next)
		task->told = task->buried;
}

/* ---- what is there ---- */

const struct ql_farm_task *
ql_farm_task(const struct ql_farm *farm, const char *task_id)
{
	struct ql_farm_task *task;
	HASH_FIND_STR(farm->tasks, task_id, task);
	return task;
}

const char *
ql_farm_queued(const struct ql_farm *farm, const char *task_id)
{
	const struct ql_farm_message *message;
	DL_FOREACH (farm->messages, message) {
		if (!message->copy_of && !strcmp(message->task->task_id, task_id))
			return message->bytes;
	}
	return NULL;
}

int
ql_farm_count(const struct ql_farm *farm, const char *task_id)
{
	const struct ql_farm_message *message;
	int count = 0;
	DL_FOREACH (farm->messages, message)
		count += !message->copy_of && !strcmp(message->task->task_id, task_id);
	return count;
}

const struct ql_farm_run *
ql_farm_runs(const struct ql_farm *farm)
{
	return farm->runs;
}

const struct ql_farm_run *
ql_farm_last(const struct ql_farm *farm, const char *task_id)
{
	const struct ql_farm_run *run, *last = NULL;
	DL_FOREACH (farm->runs, run) {
		if (!strcmp(run->task->task_id, task_id))
			last = run;
	}
	return last;
}

int
ql_farm_alive(const struct ql_farm *farm)
{
	const struct ql_farm_run *run;
	int alive = 0;
	DL_FOREACH (farm->runs, run)
		alive += run->phase <= QL_FARM_EXITED;
	return alive;
}

int
ql_farm_waiting(const struct ql_farm *farm)
{
	const struct ql_farm_message *message;
	int waiting = 0;
	DL_FOREACH (farm->messages, message)
		waiting += !message->copy_of;
	return waiting;
}

/* ---- what waits goes on ---- */

void
ql_farm_hurry(struct ql_farm *farm, const char *task_id)
{
	struct ql_farm_message *message;
	struct ql_farm_run *run;
	DL_FOREACH (farm->messages, message)
		message->ready |= !message->copy_of && !strcmp(message->task->task_id, task_id);
	DL_FOREACH (farm->runs, run) {
		if (run->phase != QL_FARM_HELD || strcmp(run->task->task_id, task_id) != 0)
			continue;
		ql_alarm_clear(&farm->runs_due, &run->due);
		run->ready = true;
	}
	ql_farm_work(farm);
}
