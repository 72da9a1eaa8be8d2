/* The farm: messages come to workers, are held, begun, retried, dropped and stopped. */
#include "broker/fake_farm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"

/* ---- what there is ---- */

static void *
need(void *memory)
{
	if (!memory)
		abort(); /* a test's world without memory has nothing to tell */
	return memory;
}

static void
happen(struct ql_farm *farm, struct ql_farm_run *run, enum ql_event_kind kind)
{
	if (farm->happened)
		farm->happened(farm->arg, run, kind);
}

/* Whose it is stands in the id of one that is Quell's own: celery-EVAL, celery-EVAL~N. */
static void
name_owner(struct ql_farm_task *task)
{
	const char *head = "celery-";
	char *tilde;
	int64_t attempt = 1;
	if (strncmp(task->task_id, head, strlen(head)) != 0)
		return;
	ql_str_copy(task->eval_id, sizeof(task->eval_id), task->task_id + strlen(head));
	tilde = strrchr(task->eval_id, '~');
	if (tilde && !ql_str_int(tilde + 1, 2, INT32_MAX, &attempt))
		*tilde = 0;
	task->attempt = (int32_t)attempt;
}

struct ql_farm_task *
ql_farm_name_task(struct ql_farm *farm, const char *task_id)
{
	struct ql_farm_task *task;
	HASH_FIND_STR(farm->tasks, task_id, task);
	if (task)
		return task;
	task = need(calloc(1, sizeof(*task)));
	ql_str_copy(task->task_id, sizeof(task->task_id), task_id);
	name_owner(task);
	HASH_ADD_STR(farm->tasks, task_id, task);
	return task;
}

struct ql_farm_run *
ql_farm_find(const struct ql_farm *farm, uint64_t incarnation)
{
	struct ql_farm_run *run;
	HASH_FIND(hh, farm->by_name, &incarnation, sizeof(incarnation), run);
	return run;
}

static struct ql_farm_run *
run_new(struct ql_farm_worker *worker, struct ql_farm_task *task, const char *bytes,
	const struct ql_farm_program *program)
{
	struct ql_farm *farm = worker->farm;
	char name[QL_TASK_ID + QL_TASK_NODE + 32];
	struct ql_farm_run *run = need(calloc(1, sizeof(*run)));
	snprintf(name, sizeof(name), "%s\n%s\n%llu", task->task_id, worker->node,
		(unsigned long long)++farm->deliveries);
	run->incarnation = ql_str_hash(name);
	run->task = task;
	run->worker = worker;
	run->program = *program;
	run->bytes = need(ql_str_dup(bytes));
	run->exit_code = -1;
	DL_APPEND(farm->runs, run);
	HASH_ADD(hh, farm->by_name, incarnation, sizeof(run->incarnation), run);
	return run;
}

/* A run has one thing to come: the earliest. It never comes at all when ms is -1. */
static void
plan(struct ql_farm *farm, struct ql_farm_run *run, enum ql_farm_next next, int64_t ms)
{
	if (ms < 0 || (run->due.slot && run->due.at <= ql_alarm_ms() + ms))
		return;
	run->what_next = next;
	if (ql_alarm_set(&farm->runs_due, &run->due, ms))
		abort(); /* as in need */
}

static void
leave(struct ql_farm_run *run)
{
	struct ql_farm_worker *worker = run->worker;
	if (!worker)
		return;
	worker->held -= run->phase == QL_FARM_HELD;
	worker->running -= run->phase == QL_FARM_RUNNING;
}

/* ---- messages ---- */

static void
message_free(struct ql_farm *farm, struct ql_farm_message *message)
{
	ql_alarm_clear(&farm->messages_due, &message->due);
	DL_DELETE(farm->messages, message);
	free(message->bytes);
	free(message);
}

static struct ql_farm_message *
add_message(struct ql_farm *farm, struct ql_farm_task *task, const char *bytes,
	const struct ql_farm_program *program, int64_t in_ms)
{
	struct ql_farm_message *message = need(calloc(1, sizeof(*message)));
	message->task = task;
	message->bytes = need(ql_str_dup(bytes));
	message->program = *program;
	DL_APPEND(farm->messages, message);
	if (in_ms >= 0 && ql_alarm_set(&farm->messages_due, &message->due, in_ms))
		abort(); /* as in need */
	return message;
}

int
ql_farm_put(struct ql_farm *farm, struct ql_farm_task *task, const char *bytes, struct ql_err *e)
{
	struct ql_farm_program program;
	if (ql_farm_program_parse(bytes, &program, e))
		return -1;
	add_message(farm, task, bytes, &program, program.wait);
	task->sent++;
	free(task->removed);
	task->removed = NULL;
	return 0;
}

void
ql_farm_send(struct ql_farm *farm, const char *task_id, const char *bytes)
{
	struct ql_err e;
	if (ql_farm_put(farm, ql_farm_name_task(farm, task_id), bytes, &e))
		abort(); /* the test's own words */
}

bool
ql_farm_remove(struct ql_farm *farm, struct ql_farm_task *task)
{
	struct ql_farm_message *message, *next;
	bool found = false;
	DL_FOREACH_SAFE (farm->messages, message, next) {
		if (message->task != task || message->marked)
			continue;
		if (message->copy_of) {
			message->marked = true;
			continue;
		}
		free(task->removed);
		task->removed = need(ql_str_dup(message->bytes));
		message_free(farm, message);
		found = true;
	}
	task->was_sent = task->was_sent && !found;
	return found;
}

/* ---- ends ---- */

static void
vanish(struct ql_farm *farm, struct ql_farm_run *run)
{
	ql_alarm_clear(&farm->runs_due, &run->due);
	run->phase = QL_FARM_GONE;
	run->stuck = false;
	happen(farm, run, QL_EVENT_GONE);
}

/* It is known to be over, and its worker has written how. */
static void
end(struct ql_farm *farm, struct ql_farm_run *run, int exit_code, int exit_signal, int32_t flags)
{
	ql_alarm_clear(&farm->runs_due, &run->due);
	leave(run);
	run->phase = QL_FARM_EXITED;
	run->exit_code = exit_code;
	run->exit_signal = exit_signal;
	run->flags |= flags;
	run->task->end = run;
	happen(farm, run, QL_EVENT_EXITED);
	if (run->program.linger)
		plan(farm, run, QL_FARM_NEXT_VANISH, run->program.linger);
	else
		vanish(farm, run);
}

static void
drop(struct ql_farm *farm, struct ql_farm_run *run)
{
	end(farm, run, -1, 0, QL_RUN_UNSTARTED | QL_RUN_REVOKED);
}

static void
end_by_itself(struct ql_farm *farm, struct ql_farm_run *run)
{
	struct ql_farm_task *task = run->task;
	if (task->retried >= run->program.retries) {
		end(farm, run, run->program.exit ? 1 : 0, 0, 0);
		return;
	}
	task->retried++;
	leave(run);
	run->phase = QL_FARM_LEFT;
	add_message(farm, task, run->bytes, &run->program, run->program.wait);
	happen(farm, run, QL_EVENT_RETRIED);
}

static void
end_by(struct ql_farm *farm, struct ql_farm_run *run, enum ql_rung rung)
{
	run->sent = rung;
	end(farm, run, -1, rung == QL_RUNG_KILL ? SIGKILL : SIGTERM, QL_RUN_REVOKED);
}

/* ---- begins ---- */

static void
begin(struct ql_farm *farm, struct ql_farm_run *run)
{
	struct ql_farm_task *task = run->task;
	run->phase = QL_FARM_RUNNING;
	run->worker->running++;
	run->ran = true;
	run->begun_at = ql_alarm_ms();
	task->ran++;
	happen(farm, run, QL_EVENT_RUNNING);
	plan(farm, run, QL_FARM_NEXT_END, run->program.after);
	if (run->program.notice == QL_FARM_NOTICE_STOP && task->noticed)
		plan(farm, run, QL_FARM_NEXT_NOTICE_END, run->program.notice_after);
	if (run->program.redeliver >= 0)
		add_message(farm, task, run->bytes, &run->program, run->program.redeliver)
			->copy_of = run;
}

static bool
knows_tombstone(const struct ql_farm_run *run)
{
	return run->task->told && !run->program.deaf;
}

void
ql_farm_give_back(struct ql_farm *farm, struct ql_farm_run *run)
{
	ql_alarm_clear(&farm->runs_due, &run->due);
	leave(run);
	run->phase = QL_FARM_LEFT;
	add_message(farm, run->task, run->bytes, &run->program, 0);
}

/* Its worker has room for it. Begun, it is another run than the one that was held. */
static void
begin_held(struct ql_farm *farm, struct ql_farm_run *run)
{
	if (knows_tombstone(run)) {
		drop(farm, run);
	} else if (run->task->put_back < run->program.put_back) {
		run->task->put_back++;
		ql_farm_give_back(farm, run);
	} else {
		leave(run);
		run->phase = QL_FARM_LEFT;
		begin(farm, run_new(run->worker, run->task, run->bytes, &run->program));
	}
}

static void
take(struct ql_farm_worker *worker, struct ql_farm_message *message)
{
	struct ql_farm *farm = worker->farm;
	struct ql_farm_run *run = run_new(worker, message->task, message->bytes, &message->program);
	bool marked = message->marked;
	message_free(farm, message);
	run->phase = QL_FARM_HELD;
	worker->held++;
	if (marked || knows_tombstone(run)) {
		drop(farm, run);
	} else if (run->program.hold || run->program.put_back ||
		   worker->running >= worker->concurrency) {
		plan(farm, run, QL_FARM_NEXT_BEGIN, run->program.hold);
	} else {
		leave(run);
		begin(farm, run);
	}
}

static struct ql_farm_worker *
free_worker(const struct ql_farm *farm)
{
	struct ql_farm_worker *worker;
	DL_FOREACH (farm->workers, worker) {
		bool room = worker->running + worker->held < worker->concurrency + worker->prefetch;
		if (!worker->away && room)
			break;
	}
	return worker;
}

/* What is held and ready is begun, then what lies in the queue is taken. */
void
ql_farm_work(struct ql_farm *farm)
{
	struct ql_farm_run *run;
	struct ql_farm_message *message, *next;
	DL_FOREACH (farm->runs, run) {
		if (run->phase == QL_FARM_HELD && run->ready &&
			run->worker->running < run->worker->concurrency)
			begin_held(farm, run);
	}
	DL_FOREACH_SAFE (farm->messages, message, next) {
		struct ql_farm_worker *worker = farm->down ? NULL : free_worker(farm);
		if (!worker)
			return;
		if (message->ready)
			take(worker, message);
	}
}

/* ---- time ---- */

static void
message_rang(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	struct ql_farm *farm = QL_OWNER(alarm, struct ql_farm, messages_due);
	struct ql_farm_message *message = QL_OWNER(node, struct ql_farm_message, due);
	const struct ql_farm_run *first = message->copy_of;
	message->copy_of = NULL;
	message->ready = true;
	if (first && first->phase != QL_FARM_RUNNING)
		message_free(farm, message); /* it was acknowledged */
	ql_farm_work(farm);
}

static void
run_rang(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	struct ql_farm *farm = QL_OWNER(alarm, struct ql_farm, runs_due);
	struct ql_farm_run *run = QL_OWNER(node, struct ql_farm_run, due);
	switch (run->what_next) {
	case QL_FARM_NEXT_BEGIN:
		run->ready = true;
		break;
	case QL_FARM_NEXT_END:
		end_by_itself(farm, run);
		break;
	case QL_FARM_NEXT_NOTICE_END:
		run->sent = QL_RUNG_NOTICE;
		end(farm, run, -1, 0, QL_RUN_SAID_STOPPED);
		break;
	case QL_FARM_NEXT_TERM:
		end_by(farm, run,
			run->program.term == QL_FARM_TERM_SWALLOW ? QL_RUNG_KILL
								  : QL_RUNG_TERMINATE);
		break;
	case QL_FARM_NEXT_UNSTUCK:
		end_by(farm, run, QL_RUNG_KILL);
		break;
	case QL_FARM_NEXT_VANISH:
		vanish(farm, run);
		break;
	}
	ql_farm_work(farm);
}

/* ---- acts ---- */

void
ql_farm_notice(struct ql_farm *farm, struct ql_farm_task *task)
{
	struct ql_farm_run *run;
	task->noticed = true;
	DL_FOREACH (farm->runs, run) {
		if (run->task == task && run->phase == QL_FARM_RUNNING &&
			run->program.notice == QL_FARM_NOTICE_STOP)
			plan(farm, run, QL_FARM_NEXT_NOTICE_END, run->program.notice_after);
	}
}

void
ql_farm_terminate(struct ql_farm *farm, struct ql_farm_run *run)
{
	if (run->program.term == QL_FARM_TERM_DIE && !run->stuck)
		end_by(farm, run, QL_RUNG_TERMINATE);
	else
		run->sent = QL_RUNG_TERMINATE;
	ql_farm_work(farm);
}

void
ql_farm_kill(struct ql_farm *farm, struct ql_farm_run *run, int64_t grace_ms)
{
	bool waits = run->program.containers && run->sent < QL_RUNG_TERMINATE;
	if (run->program.stuck && !run->stuck) {
		run->stuck = true;
		ql_alarm_clear(&farm->runs_due, &run->due);
		plan(farm, run, QL_FARM_NEXT_UNSTUCK, run->program.stuck);
	}
	if (run->stuck)
		happen(farm, run, QL_EVENT_STUCK);
	else
		plan(farm, run, QL_FARM_NEXT_TERM, waits ? grace_ms : 0);
}

void
ql_farm_let_go(struct ql_farm *farm, uint64_t incarnation)
{
	struct ql_farm_run *run = ql_farm_find(farm, incarnation);
	if (run && run->phase == QL_FARM_EXITED)
		vanish(farm, run);
	else if (run && run->stuck)
		end_by(farm, run, QL_RUNG_KILL);
}

/* ---- its life ---- */

struct ql_farm *
ql_farm_new(uv_loop_t *loop)
{
	struct ql_farm *farm = calloc(1, sizeof(*farm));
	if (!farm || ql_alarm_init(&farm->messages_due, loop, message_rang) ||
		ql_alarm_init(&farm->runs_due, loop, run_rang)) {
		free(farm);
		return NULL;
	}
	farm->loop = loop;
	return farm;
}

static void
part_closed(struct ql_farm *farm)
{
	struct ql_farm_run *run, *next_run;
	struct ql_farm_task *task, *next_task;
	struct ql_farm_worker *worker, *next_worker;
	if (--farm->open_parts)
		return;
	while (farm->messages) {
		struct ql_farm_message *message = farm->messages;
		DL_DELETE(farm->messages, message);
		free(message->bytes);
		free(message);
	}
	HASH_ITER (hh, farm->by_name, run, next_run) {
		HASH_DEL(farm->by_name, run);
		free(run->bytes);
		free(run);
	}
	HASH_ITER (hh, farm->tasks, task, next_task) {
		HASH_DEL(farm->tasks, task);
		free(task->removed);
		free(task);
	}
	DL_FOREACH_SAFE (farm->workers, worker, next_worker)
		free(worker);
	free(farm);
}

static void
messages_closed(struct ql_alarm *alarm)
{
	part_closed(QL_OWNER(alarm, struct ql_farm, messages_due));
}

static void
runs_closed(struct ql_alarm *alarm)
{
	part_closed(QL_OWNER(alarm, struct ql_farm, runs_due));
}

void
ql_farm_free(struct ql_farm *farm)
{
	if (!farm)
		return;
	farm->open_parts = 2;
	ql_alarm_close(&farm->messages_due, messages_closed);
	ql_alarm_close(&farm->runs_due, runs_closed);
}
