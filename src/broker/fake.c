#include "broker/fake_inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"

/* ---- a look ---- */

static const struct ql_farm_message *
message_of(const struct ql_farm *farm, const struct ql_farm_task *task)
{
	const struct ql_farm_message *message;
	DL_FOREACH (farm->messages, message) {
		if (message->task == task && !message->marked)
			break;
	}
	return message;
}

/* -> how many runs of it there are. */
static int
tell_copies(struct fake *fake, const struct ql_farm_task *task)
{
	struct ql_farm_run *run;
	int alive = 0;
	DL_FOREACH (fake->farm->runs, run) {
		if (run->task != task || run->forgotten || !ql_farm_run_is_alive(run))
			continue;
		ql_fake_tell_alive(fake, run);
		alive += ql_farm_run_is_seen(run);
	}
	return alive;
}

static int
look_is_complete(struct fake *fake, struct ql_err *e)
{
	if (ql_farm_who_answers(fake->farm) == ALL_ANSWER)
		return 0;
	return ql_fail(
		e, QL_E_UNAVAILABLE, "not every place could be asked: a worker does not answer");
}

/* Of a task that is nowhere; true: they run, and that is what is told. */
static bool
tell_boxes(struct fake *fake, struct ql_farm_task *task, const struct ql_runtime_op *op,
	int32_t unasked)
{
	bool ends = op->boxes == QL_BOXES_END;
	struct ql_sighting boxed = {.event = {.kind = QL_EVENT_BOXED,
					    .epoch = op->epoch,
					    .flags = ends ? QL_RUN_BOXES_ENDED : 0,
					    .unasked = unasked,
					    .exit_code = -1}};
	if (!task->boxes || op->boxes == QL_BOXES_LEAVE)
		return false;
	if (ends)
		task->boxes = 0;
	ql_fake_tell(fake, task, boxed);
	return !ends;
}

static int
inspect_task(struct fake *fake, struct ql_farm_task *task, struct ql_runtime_op *op)
{
	enum answers answers = ql_farm_who_answers(fake->farm);
	bool nowhere = !tell_copies(fake, task) && !message_of(fake->farm, task) &&
		       answers != SOME_ARE_AWAY;
	int32_t unasked = answers == SOME_ARE_SILENT ? 1 << QL_CHECK_WORKERS : 0;
	struct ql_sighting absent = {.event = {.kind = QL_EVENT_ABSENT,
					     .epoch = op->epoch,
					     .unasked = unasked,
					     .exit_code = -1}};
	if (nowhere && tell_boxes(fake, task, op, unasked))
		return look_is_complete(fake, &op->err);
	if (task->end && !task->end->forgotten)
		ql_fake_tell_end(fake, task->end, nowhere ? op->epoch : 0, unasked);
	else if (nowhere)
		ql_fake_tell(fake, task, absent);
	return look_is_complete(fake, &op->err);
}

static int
inspect_run(struct fake *fake, struct ql_farm_task *task, struct ql_runtime_op *op)
{
	struct ql_farm_run *run = ql_farm_find(fake->farm, op->incarnation);
	int status = look_is_complete(fake, &op->err);
	struct ql_sighting absent = {
		.event = {
			.kind = QL_EVENT_ABSENT, .incarnation = op->incarnation, .exit_code = -1}};
	tell_copies(fake, task);
	if (run && !run->forgotten && ql_farm_run_has_ended(run))
		ql_fake_tell_end(fake, run, 0, 0);
	else if (!status && (!run || run->forgotten || !ql_farm_run_is_alive(run)))
		ql_fake_tell(fake, task, absent);
	return status;
}

/* ---- acts on the task ---- */

static int
enqueue(struct fake *fake, struct ql_farm_task *task, struct ql_runtime_op *op)
{
	const char *bytes = op->message ? op->message : op->launch->code;
	if (task->was_sent)
		return 0;
	if (op->epoch < task->fenced)
		return ql_fail(&op->err, QL_E_CONFLICT, "%s was taken out or forgotten since",
			op->task_id);
	if (ql_farm_put(fake->farm, task, bytes ? bytes : "", &op->err))
		return -1;
	task->was_sent = true;
	if (op->message && task->end && task->end->flags & QL_RUN_REVOKED)
		task->end = NULL;
	return 0;
}

/* What was asked for before is too late. */
static void
fence(struct ql_farm_task *task, const struct ql_runtime_op *op)
{
	if (task->fenced < op->epoch)
		task->fenced = op->epoch;
}

static int
remove_task(struct fake *fake, struct ql_farm_task *task, struct ql_runtime_op *op)
{
	bool found = ql_farm_remove(fake->farm, task) || task->removed;
	if (found && op->boxes == QL_BOXES_END)
		task->boxes = 0;
	fence(task, op);
	struct ql_sighting sighting = {
		.event = {.kind = found ? QL_EVENT_REMOVED : QL_EVENT_NOT_QUEUED,
			.epoch = op->epoch,
			.answers = QL_ACT_REMOVE,
			.exit_code = -1},
		.message = task->removed,
	};
	ql_fake_tell(fake, task, sighting);
	return 0;
}

static int
forget(struct fake *fake, struct ql_farm_task *task, struct ql_runtime_op *op)
{
	struct ql_farm_run *run = ql_farm_find(fake->farm, op->incarnation);
	if (run)
		run->forgotten = true;
	free(task->removed);
	task->removed = NULL;
	task->was_sent = false;
	fence(task, op);
	return 0;
}

/* ---- acts on a run ---- */

static int
refuse_gone(struct fake *fake, struct ql_farm_run *run, struct ql_runtime_op *op)
{
	if (run && !run->forgotten && ql_farm_run_has_ended(run))
		ql_fake_tell_end(fake, run, 0, 0);
	return ql_fail(&op->err, QL_E_CONFLICT, "no worker runs %s any more", op->task_id);
}

static int
notice(struct fake *fake, struct ql_farm_task *task, struct ql_runtime_op *op)
{
	(void)op;
	ql_farm_notice(fake->farm, task);
	return 0;
}

static int
kill_held(const struct ql_farm_run *run, struct ql_runtime_op *op)
{
	if (run->task->told && !run->program.deaf)
		return 0;
	return ql_fail(&op->err, QL_E_CONFLICT, "%s was not told of %s yet", run->worker->node,
		op->task_id);
}

static int
stop(struct fake *fake, struct ql_farm_task *task, struct ql_runtime_op *op)
{
	struct ql_farm_run *run = ql_farm_find(fake->farm, op->incarnation);
	if (!run || run->task != task || run->forgotten || !ql_farm_run_is_alive(run))
		return refuse_gone(fake, run, op);
	run->acts[op->kind]++;
	if (op->kind == QL_ACT_KILL)
		task->boxes = 0;
	if (run->worker->away)
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "%s does not answer", run->worker->node);
	if (run->phase == QL_FARM_HELD)
		return kill_held(run, op);
	if (op->kind == QL_ACT_TERMINATE)
		ql_farm_terminate(fake->farm, run);
	else
		ql_farm_kill(fake->farm, run, op->grace_ms);
	return run->stuck
		       ? ql_fail(&op->err, QL_E_CONFLICT, "%s is out of reach", run->worker->node)
		       : 0;
}

static int
salvage(struct fake *fake, struct ql_farm_task *task, struct ql_runtime_op *op)
{
	struct ql_sighting salvaged = {.event = {.kind = QL_EVENT_SALVAGED,
					       .incarnation = op->incarnation,
					       .checkpoint_bytes = -1}};
	ql_fake_tell(fake, task, salvaged);
	return 0;
}

static int
inspect(struct fake *fake, struct ql_farm_task *task, struct ql_runtime_op *op)
{
	return op->incarnation ? inspect_run(fake, task, op) : inspect_task(fake, task, op);
}

typedef int act_fn(struct fake *fake, struct ql_farm_task *task, struct ql_runtime_op *op);

static act_fn *const acts[QL_ACT_COUNT] = {
	[QL_ACT_ENQUEUE] = enqueue,
	[QL_ACT_REMOVE] = remove_task,
	[QL_ACT_INSPECT] = inspect,
	[QL_ACT_NOTICE] = notice,
	[QL_ACT_TERMINATE] = stop,
	[QL_ACT_KILL] = stop,
	[QL_ACT_SALVAGE] = salvage,
	[QL_ACT_FORGET] = forget,
};

/* Whoever keeps where it is gives that back as it was told. */
static void
note_place(const struct fake *fake, const struct ql_runtime_op *op)
{
	struct ql_farm_run *run = ql_farm_find(fake->farm, op->incarnation);
	char place[QL_FAKE_PLACE];
	if (!run || !op->place)
		return;
	ql_fake_place(run, place);
	assert(!strcmp(op->place, place));
	run->placed++;
}

static int
perform(struct fake *fake, struct ql_runtime_op *op)
{
	if (!acts[op->kind])
		return ql_fail(&op->err, QL_E_CONFLICT, "workers of a broker take no %s",
			ql_act_word(op->kind));
	if (ql_fake_is_out(fake))
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "the broker is away: try again");
	struct ql_farm_task *task = ql_farm_name_task(fake->farm, op->task_id);
	ql_str_copy(task->eval_id, sizeof(task->eval_id), op->eval_id);
	task->attempt = op->attempt;
	note_place(fake, op);
	return acts[op->kind](fake, task, op);
}

static void
act(struct ql_broker *broker, struct ql_runtime_op *op)
{
	struct fake *fake = ql_fake_of(broker);
	if (!ql_desk_take(&fake->desk, op))
		ql_desk_answer(&fake->desk, op, perform(fake, op));
}

/* ---- tombstones, health ---- */

static int
bury(struct ql_broker *broker, const struct ql_tombstone *tombstone, struct ql_err *e)
{
	struct fake *fake = ql_fake_of(broker);
	struct ql_farm_task *task = ql_farm_name_task(fake->farm, tombstone->task_id);
	if (!task->buried && fake->tombstones >= QL_BROKER_TOMBSTONES_MAX)
		return ql_fail(e, QL_E_LIMIT, "%d tombstones lie, and no more can",
			QL_BROKER_TOMBSTONES_MAX);
	fake->tombstones += !task->buried;
	task->buried = task->told = true;
	return 0;
}

static void
lift(struct ql_broker *broker, const char *task_id)
{
	struct fake *fake = ql_fake_of(broker);
	struct ql_farm_task *task = ql_farm_name_task(fake->farm, task_id);
	fake->tombstones -= task->buried;
	task->buried = task->told = false;
}

static size_t
health(const struct ql_broker *broker, struct ql_dependency *ret, size_t size)
{
	const struct fake *fake = (const struct fake *)(const void *)broker;
	bool down = ql_fake_is_out(fake);
	if (!size)
		return 0;
	*ret = (struct ql_dependency){.name = "broker",
		.state = down ? QL_BREAKER_OPEN : QL_BREAKER_CLOSED,
		.backlog = -1};
	ql_str_copy(ret->detail, sizeof(ret->detail), down ? "the broker is away" : "");
	return 1;
}

/* ---- open and close ---- */

static void
part_closed(struct fake *fake)
{
	if (--fake->open_parts)
		return;
	void (*closed)(void *arg) = fake->closed;
	void *closed_arg = fake->closed_arg;
	free(fake);
	closed(closed_arg);
}

static void
desk_closed(void *arg)
{
	part_closed(arg);
}

static void
alarm_closed(struct ql_alarm *alarm)
{
	part_closed(QL_OWNER(alarm, struct fake, alarm));
}

/* Workers keep what they were told; nobody tells it to those who come. */
static void
leave_farm(struct ql_farm *farm)
{
	struct ql_farm_task *task, *next;
	struct ql_farm_worker *worker;
	DL_FOREACH (farm->workers, worker)
		worker->known = worker->kept = false;
	farm->happened = NULL;
	farm->back = NULL;
	HASH_ITER (hh, farm->tasks, task, next)
		task->buried = false;
}

static void
close_fake(struct ql_broker *broker, void (*closed)(void *arg), void *arg)
{
	struct fake *fake = ql_fake_of(broker);
	struct news *news, *next;
	fake->closed = closed;
	fake->closed_arg = arg;
	fake->open_parts = 2;
	leave_farm(fake->farm);
	DL_FOREACH_SAFE (fake->news, news, next)
		ql_fake_news_free(fake, news);
	ql_alarm_close(&fake->alarm, alarm_closed);
	ql_desk_close(&fake->desk, desk_closed, fake);
}

/* Who asks workers what they do is told by them, unasked. */
static void
tell_running(struct fake *fake)
{
	struct ql_farm_run *run;
	DL_FOREACH (fake->farm->runs, run) {
		if (run->phase == QL_FARM_RUNNING && !run->forgotten)
			ql_fake_tell_alive(fake, run);
	}
}

static int64_t
cpu_us(struct ql_broker *broker, uint64_t incarnation)
{
	const struct ql_farm_run *run = ql_farm_find(ql_fake_of(broker)->farm, incarnation);
	return run && run->phase != QL_FARM_HELD ? run->program.cpu * 1000 : 0;
}

static void
remember(struct ql_broker *broker, int64_t now)
{
	ql_fake_of(broker)->farm->remembers = now;
}

static void
expect(struct ql_broker *broker, const char *node, const char *text)
{
	struct ql_farm_worker *worker;
	DL_FOREACH (ql_fake_of(broker)->farm->workers, worker)
		worker->known |= strstr(text ? text : node, worker->node) != NULL;
}

static const struct ql_broker_ops ops = {
	.name = "fake",
	.act = act,
	.locate = ql_fake_locate,
	.bury = bury,
	.lift = lift,
	.cpu_us = cpu_us,
	.remember = remember,
	.expect = expect,
	.health = health,
	.close = close_fake,
};

int
ql_broker_fake_open(struct ql_farm *farm, struct ql_broker **ret_broker, struct ql_err *e)
{
	if (farm->happened)
		return ql_fail(e, QL_E_CONFLICT, "Another driver is open on this farm");
	struct fake *fake = calloc(1, sizeof(*fake));
	if (!fake)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for the fake broker");
	fake->broker = (struct ql_broker){.ops = &ops, .loop = farm->loop};
	if (ql_desk_init(&fake->desk, farm->loop, &fake->broker.sink, e) ||
		ql_alarm_init(&fake->alarm, farm->loop, ql_fake_rang)) {
		free(fake);
		return -1;
	}
	fake->desk.max = QL_BROKER_OPS_MAX;
	fake->farm = farm;
	farm->happened = ql_fake_happened;
	farm->back = ql_fake_back;
	farm->arg = fake;
	fake->was_out = true; /* what was before is as unknown as what is while it is away */
	ql_fake_tell_soon(fake);
	tell_running(fake);
	*ret_broker = &fake->broker;
	return 0;
}
