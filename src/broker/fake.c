#include "broker/fake.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"
#include "broker/fake_farm.h"
#include "runtime/desk.h"

/* A sighting that goes out in the loop's next turn, or when the broker is back. */
struct news {
	struct news *prev, *next;
	struct ql_sighting *sighting;
};

struct fake {
	struct ql_broker broker; /* first */
	struct ql_desk desk; /* its own news are not used */
	struct ql_farm *farm;
	struct news *news;
	struct ql_alarm alarm; /* of the news */
	struct ql_heap_node soon;
	size_t tombstones;
	bool was_out; /* since `back` was told last */
	int open_parts; /* of desk and alarm, once it is closed */
	void (*closed)(void *arg);
	void *closed_arg;
};

static struct fake *
fake_of(struct ql_broker *broker)
{
	return (struct fake *)(void *)broker;
}

/* ---- what was seen ---- */

static bool
is_out(const struct fake *fake)
{
	return fake->farm->down || fake->farm->cut;
}

static void
tell_soon(struct fake *fake)
{
	bool some = fake->news || fake->was_out;
	if (some && !is_out(fake) && ql_alarm_set(&fake->alarm, &fake->soon, 0))
		abort(); /* a test's world without memory has nothing to tell */
}

static void
news_free(struct fake *fake, struct news *news)
{
	DL_DELETE(fake->news, news);
	ql_sighting_free(news->sighting);
	free(news);
}

static void
rang(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	struct fake *fake = QL_OWNER(alarm, struct fake, alarm);
	struct news *news, *last = fake->news ? fake->news->prev : NULL;
	(void)node;
	bool is_back = fake->was_out && !is_out(fake);
	if (is_back)
		fake->was_out = false;
	if (is_back && fake->broker.back)
		fake->broker.back(fake->broker.back_arg);
	while (fake->news && !is_out(fake) && !fake->desk.closing) {
		news = fake->news;
		bool more = news != last;
		fake->broker.sink.sighted(fake->broker.sink.arg, news->sighting);
		news_free(fake, news);
		if (!more)
			break;
	}
	if (!fake->desk.closing)
		tell_soon(fake);
}

static void
tell(struct fake *fake, const struct ql_farm_task *task, struct ql_sighting sighting)
{
	if (!task->eval_id[0] || fake->desk.closing)
		return;
	sighting.eval_id = task->eval_id;
	sighting.event.attempt = task->attempt;
	struct news *news = calloc(1, sizeof(*news));
	if (!news || !(news->sighting = ql_sighting_copy(&sighting)))
		abort(); /* as in tell_soon */
	DL_APPEND(fake->news, news);
	tell_soon(fake);
}

static void
tell_run(struct fake *fake, struct ql_farm_run *run, enum ql_event_kind kind, int32_t epoch,
	int32_t unasked)
{
	run->seen = true;
	bool exited = kind == QL_EVENT_EXITED;
	struct ql_sighting sighting = {
		.event =
			{
				.kind = kind,
				.incarnation = run->incarnation,
				.epoch = epoch,
				.unasked = unasked,
				.exit_code = exited ? run->exit_code : -1,
				.exit_signal = exited ? run->exit_signal : 0,
				.sent = exited ? run->sent : QL_RUNG_NONE,
				.flags = exited ? run->flags : 0,
				.checkpoint_bytes = -1,
			},
		.text = kind == QL_EVENT_STUCK ? "its process swallowed SIGTERM, and its host is "
						 "out of reach: end it there"
					       : NULL,
		.worker = run->worker ? run->worker->node : NULL,
		.cpu_us = kind == QL_EVENT_GONE ? run->program.cpu * 1000 : 0,
	};
	tell(fake, run->task, sighting);
}

/* What an end was is in the results; all else its worker must say. */
static bool
can_be_seen(const struct ql_farm_run *run)
{
	return !run->worker || !run->worker->away;
}

static void
happened(void *arg, struct ql_farm_run *run, enum ql_event_kind kind)
{
	if (!run->forgotten && !is_out(fake_of(arg)) &&
		(kind == QL_EVENT_EXITED || can_be_seen(run)))
		tell_run(arg, run, kind, 0, 0);
}

static bool
has_ended(const struct ql_farm_run *run)
{
	return (run->phase == QL_FARM_EXITED || run->phase == QL_FARM_GONE) && !run->lost;
}

static bool
is_alive(const struct ql_farm_run *run)
{
	return run->phase == QL_FARM_HELD || run->phase == QL_FARM_RUNNING;
}

static void
tell_end(struct fake *fake, struct ql_farm_run *run, int32_t epoch, int32_t unasked)
{
	tell_run(fake, run, QL_EVENT_EXITED, epoch, epoch ? unasked : 0);
	if (run->phase == QL_FARM_GONE && can_be_seen(run))
		tell_run(fake, run, QL_EVENT_GONE, 0, 0);
}

static void
tell_alive(struct fake *fake, struct ql_farm_run *run)
{
	bool held = run->phase == QL_FARM_HELD;
	if (!can_be_seen(run))
		return;
	tell_run(fake, run, held ? QL_EVENT_HELD : QL_EVENT_RUNNING, 0, 0);
	if (run->stuck)
		tell_run(fake, run, QL_EVENT_STUCK, 0, 0);
}

/* Somebody who was away may have done anything. What it ended is told of what was known before. */
static void
back(void *arg, bool all)
{
	struct fake *fake = arg;
	struct ql_farm_run *run;
	fake->was_out |= all;
	tell_soon(fake);
	DL_FOREACH (fake->farm->runs, run) {
		if (run->forgotten)
			continue;
		if (run->phase == QL_FARM_RUNNING)
			tell_alive(fake, run);
		else if (has_ended(run) && run->seen)
			tell_end(fake, run, 0, 0);
	}
}

/* ---- a look ---- */

enum answers { ALL_ANSWER, SOME_ARE_SILENT, SOME_ARE_AWAY };

static enum answers
who_answers(const struct ql_farm *farm)
{
	const struct ql_farm_worker *worker;
	enum answers worst = ALL_ANSWER;
	DL_FOREACH (farm->workers, worker) {
		if (worker->away && !worker->silent)
			return SOME_ARE_AWAY;
		if (worker->silent)
			worst = SOME_ARE_SILENT;
	}
	return worst;
}

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
		if (run->task != task || run->forgotten || !is_alive(run))
			continue;
		tell_alive(fake, run);
		alive += can_be_seen(run);
	}
	return alive;
}

static int
look_is_complete(struct fake *fake, struct ql_err *e)
{
	if (who_answers(fake->farm) == ALL_ANSWER)
		return 0;
	return ql_fail(
		e, QL_E_UNAVAILABLE, "not every place could be asked: a worker does not answer");
}

static int
inspect_task(struct fake *fake, struct ql_farm_task *task, struct ql_runtime_op *op)
{
	enum answers answers = who_answers(fake->farm);
	bool nowhere = !tell_copies(fake, task) && !message_of(fake->farm, task) &&
		       answers != SOME_ARE_AWAY;
	int32_t unasked = answers == SOME_ARE_SILENT ? 1 << QL_CHECK_WORKERS : 0;
	struct ql_sighting absent = {.event = {.kind = QL_EVENT_ABSENT,
					     .epoch = op->epoch,
					     .unasked = unasked,
					     .exit_code = -1}};
	if (task->end && !task->end->forgotten)
		tell_end(fake, task->end, nowhere ? op->epoch : 0, unasked);
	else if (nowhere)
		tell(fake, task, absent);
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
	if (run && !run->forgotten && has_ended(run))
		tell_end(fake, run, 0, 0);
	else if (!status && (!run || run->forgotten || !is_alive(run)))
		tell(fake, task, absent);
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
	fence(task, op);
	struct ql_sighting sighting = {
		.event = {.kind = found ? QL_EVENT_REMOVED : QL_EVENT_NOT_QUEUED,
			.epoch = op->epoch,
			.answers = QL_ACT_REMOVE,
			.exit_code = -1},
		.message = task->removed,
	};
	tell(fake, task, sighting);
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
	if (run && !run->forgotten && has_ended(run))
		tell_end(fake, run, 0, 0);
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
	if (!run || run->task != task || run->forgotten || !is_alive(run))
		return refuse_gone(fake, run, op);
	run->acts[op->kind]++;
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
	tell(fake, task, salvaged);
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

static int
perform(struct fake *fake, struct ql_runtime_op *op)
{
	if (!acts[op->kind])
		return ql_fail(&op->err, QL_E_CONFLICT, "workers of a broker take no %s",
			ql_act_word(op->kind));
	if (is_out(fake))
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "the broker is away: try again");
	struct ql_farm_task *task = ql_farm_name_task(fake->farm, op->task_id);
	ql_str_copy(task->eval_id, sizeof(task->eval_id), op->eval_id);
	task->attempt = op->attempt;
	return acts[op->kind](fake, task, op);
}

static void
act(struct ql_broker *broker, struct ql_runtime_op *op)
{
	struct fake *fake = fake_of(broker);
	if (!ql_desk_take(&fake->desk, op))
		ql_desk_answer(&fake->desk, op, perform(fake, op));
}

/* ---- locate ---- */

static void
locate_done(struct ql_ticket *ticket)
{
	struct ql_locate *op = QL_OWNER(ticket, struct ql_locate, ticket);
	op->done(op, ticket->status);
}

static void
locate_run(struct ql_locate *op, const struct ql_farm_run *run)
{
	bool held = run->phase == QL_FARM_HELD;
	op->place = !held               ? QL_PLACE_ACTIVE
		    : run->program.hold ? QL_PLACE_SCHEDULED
					: QL_PLACE_RESERVED;
	ql_str_copy(op->node, sizeof(op->node), run->worker->node);
	op->since = run->begun_at;
}

static void
locate_message(struct ql_locate *op, const struct ql_farm *farm, const struct ql_farm_task *task)
{
	const struct ql_farm_message *message;
	int64_t before = 0;
	DL_FOREACH (farm->messages, message) {
		if (message->task == task)
			break;
		before++;
	}
	if (!message)
		return;
	op->place = QL_PLACE_QUEUED;
	op->position = before;
	ql_str_copy(op->queue, sizeof(op->queue), "celery");
}

static const char *
word_of_end(const struct ql_farm_run *run)
{
	if (run->flags & (QL_RUN_REVOKED | QL_RUN_SAID_STOPPED))
		return "REVOKED";
	return run->exit_code ? "FAILURE" : "SUCCESS";
}

static void
find(const struct ql_farm *farm, struct ql_locate *op)
{
	const struct ql_farm_task *task = ql_farm_task(farm, op->task_id);
	const struct ql_farm_run *run;
	op->complete = who_answers(farm) == ALL_ANSWER;
	if (!op->complete)
		ql_str_copy(op->note, sizeof(op->note), "a worker does not answer");
	if (!task)
		return;
	if (task->end) {
		op->place = QL_PLACE_FINISHED;
		ql_str_copy(op->state, sizeof(op->state), word_of_end(task->end));
	}
	locate_message(op, farm, task);
	DL_FOREACH (farm->runs, run) {
		if (run->task == task && is_alive(run) && !run->worker->away)
			locate_run(op, run);
	}
}

static void
locate(struct ql_broker *broker, struct ql_locate *op)
{
	struct fake *fake = fake_of(broker);
	int status = 0;
	op->place = QL_PLACE_UNKNOWN;
	if (ql_desk_take_ticket(&fake->desk, &op->ticket, &op->err, locate_done, op->timeout_ms))
		return;
	if (is_out(fake))
		status = ql_fail(&op->err, QL_E_UNAVAILABLE, "the broker is away: try again");
	else
		find(fake->farm, op);
	ql_desk_answer_ticket(&fake->desk, &op->ticket, status);
}

/* ---- tombstones, health ---- */

static int
bury(struct ql_broker *broker, const struct ql_tombstone *tombstone, struct ql_err *e)
{
	struct fake *fake = fake_of(broker);
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
	struct fake *fake = fake_of(broker);
	struct ql_farm_task *task = ql_farm_name_task(fake->farm, task_id);
	fake->tombstones -= task->buried;
	task->buried = task->told = false;
}

static size_t
health(const struct ql_broker *broker, struct ql_dependency *ret, size_t size)
{
	const struct fake *fake = (const struct fake *)(const void *)broker;
	bool down = is_out(fake);
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
	farm->happened = NULL;
	farm->back = NULL;
	HASH_ITER (hh, farm->tasks, task, next)
		task->buried = false;
}

static void
close_fake(struct ql_broker *broker, void (*closed)(void *arg), void *arg)
{
	struct fake *fake = fake_of(broker);
	struct news *news, *next;
	fake->closed = closed;
	fake->closed_arg = arg;
	fake->open_parts = 2;
	leave_farm(fake->farm);
	DL_FOREACH_SAFE (fake->news, news, next)
		news_free(fake, news);
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
			tell_alive(fake, run);
	}
}

static int64_t
cpu_us(struct ql_broker *broker, uint64_t incarnation)
{
	const struct ql_farm_run *run = ql_farm_find(fake_of(broker)->farm, incarnation);
	return run && run->phase != QL_FARM_HELD ? run->program.cpu * 1000 : 0;
}

static const struct ql_broker_ops ops = {
	.name = "fake",
	.act = act,
	.locate = locate,
	.bury = bury,
	.lift = lift,
	.cpu_us = cpu_us,
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
		ql_alarm_init(&fake->alarm, farm->loop, rang)) {
		free(fake);
		return -1;
	}
	fake->desk.max = QL_BROKER_OPS_MAX;
	fake->farm = farm;
	farm->happened = happened;
	farm->back = back;
	farm->arg = fake;
	fake->was_out = true; /* what was before is as unknown as what is while it is away */
	tell_soon(fake);
	tell_running(fake);
	*ret_broker = &fake->broker;
	return 0;
}
