#include "broker_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "runtime/alarm.h"

static void
done(struct ql_runtime_op *op, int status)
{
	struct cue *cue = (struct cue *)(void *)op;
	assert_false(cue->stage->submitting);
	assert_int_equal(++cue->done, 1);
	if (!status != !op->err.code)
		fail_msg("%s: %d, %s", ql_act_word(op->kind), status, op->err.text);
	cue->status = status;
}

static void
sighted(void *arg, const struct ql_sighting *sighting)
{
	struct stage *stage = arg;
	struct seen *seen = calloc(1, sizeof(*seen));
	assert_false(stage->submitting);
	assert_non_null(sighting->eval_id);
	seen->sighting = ql_sighting_copy(sighting);
	DL_APPEND(stage->seen, seen);
}

static void
back(void *arg)
{
	struct stage *stage = arg;
	assert_false(stage->submitting);
	stage->backs++;
}

static void
closed(void *arg)
{
	((struct stage *)arg)->closed = true;
}

static void
pulse(uv_timer_t *timer)
{
	(void)timer;
}

void
stage_turn(struct stage *stage, int64_t since, const char *what)
{
	if (ql_alarm_ms() - since > SUITE_PATIENCE_MS)
		fail_msg("waited for %d ms in vain: %s", SUITE_PATIENCE_MS, what);
	uv_run(&stage->loop, UV_RUN_ONCE);
}

void
stage_open_driver(struct stage *stage)
{
	stage->backs = 0;
	stage->broker = stage->place->open(stage->place, &stage->loop);
	stage->broker->sink = (struct ql_runtime_sink){.sighted = sighted, .arg = stage};
	stage->broker->back = back;
	stage->broker->back_arg = stage;
}

void
stage_close_driver(struct stage *stage)
{
	int64_t since = ql_alarm_ms();
	stage->closed = false;
	stage->submitting = true;
	stage->broker->ops->close(stage->broker, closed, stage);
	stage->submitting = false;
	while (!stage->closed)
		stage_turn(stage, since, "the driver closes");
}

int
stage_open(struct stage *stage, struct broker_place *place)
{
	*stage = (struct stage){.place = place};
	uv_loop_init(&stage->loop);
	uv_timer_init(&stage->loop, &stage->pulse);
	uv_timer_start(&stage->pulse, pulse, 20, 20);
	place->setup(place, &stage->loop);
	stage_open_driver(stage);
	return 0;
}

static void
drop_cues(struct stage *stage)
{
	while (stage->cues) {
		struct cue *cue = stage->cues;
		stage->cues = cue->next;
		free((char *)cue->op.message);
		free(cue);
	}
}

void
stage_close(struct stage *stage)
{
	stage_close_driver(stage);
	stage_forget_seen(stage);
	drop_cues(stage);
	stage->place->teardown(stage->place);
	uv_close((uv_handle_t *)&stage->pulse, NULL);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
}

struct name
stage_name(struct stage *stage)
{
	struct name name;
	snprintf(name.eval_id, sizeof(name.eval_id), "play-%d", ++stage->tasks);
	snprintf(name.task_id, sizeof(name.task_id), "celery-play-%d", stage->tasks);
	return name;
}

static struct cue *
cue_new(struct stage *stage, enum ql_act_kind kind, const struct name *name)
{
	struct cue *cue = calloc(1, sizeof(*cue));
	cue->stage = stage;
	cue->next = stage->cues;
	memcpy(cue->eval_id, name->eval_id, sizeof(cue->eval_id));
	memcpy(cue->task_id, name->task_id, sizeof(cue->task_id));
	cue->op = (struct ql_runtime_op){.kind = kind,
		.epoch = stage->cues ? stage->cues->op.epoch + 1 : 1,
		.timeout_ms = 10000,
		.eval_id = cue->eval_id,
		.task_id = cue->task_id,
		.attempt = 1,
		.done = done};
	stage->cues = cue;
	return cue;
}

static struct cue *
submit(struct stage *stage, struct cue *cue)
{
	stage->submitting = true;
	stage->broker->ops->act(stage->broker, &cue->op);
	stage->submitting = false;
	return cue;
}

struct cue *
stage_submit(struct stage *stage, enum ql_act_kind kind, const struct name *name,
	uint64_t incarnation, int64_t timeout_ms)
{
	struct cue *cue = cue_new(stage, kind, name);
	cue->op.incarnation = incarnation;
	cue->op.timeout_ms = timeout_ms;
	return submit(stage, cue);
}

struct cue *
stage_enqueue(struct stage *stage, const struct name *name, enum broker_program program)
{
	struct cue *cue = cue_new(stage, QL_ACT_ENQUEUE, name);
	cue->launch = (struct ql_launch){
		.eval_id = cue->eval_id, .attempt = 1, .language = "python", .priority = 5};
	stage->place->cast(stage->place, program, &cue->launch);
	cue->launch.code_len = strlen(cue->launch.code);
	cue->op.launch = &cue->launch;
	return submit(stage, cue);
}

struct cue *
stage_restore(struct stage *stage, const struct name *name, const char *message)
{
	struct cue *cue = cue_new(stage, QL_ACT_ENQUEUE, name);
	cue->op.message = strdup(message);
	return submit(stage, cue);
}

int
stage_finish(struct stage *stage, struct cue *cue)
{
	int64_t since = ql_alarm_ms();
	while (!cue->done)
		stage_turn(stage, since, ql_act_word(cue->op.kind));
	return cue->status;
}

int
stage_act(struct stage *stage, enum ql_act_kind kind, const struct name *name, uint64_t incarnation)
{
	return stage_finish(stage, stage_submit(stage, kind, name, incarnation, 10000));
}

static const struct ql_sighting *
find(const struct stage *stage, const struct name *name, enum ql_event_kind kind,
	uint64_t incarnation, int32_t epoch)
{
	const struct seen *seen;
	DL_FOREACH (stage->seen, seen) {
		const struct ql_event *event = &seen->sighting->event;
		bool same = event->kind == kind && !strcmp(seen->sighting->eval_id, name->eval_id);
		if (same && (!incarnation || event->incarnation == incarnation) &&
			(!epoch || event->epoch == epoch))
			return seen->sighting;
	}
	return NULL;
}

const struct ql_sighting *
stage_await(
	struct stage *stage, const struct name *name, enum ql_event_kind kind, uint64_t incarnation)
{
	const struct ql_sighting *sighting;
	int64_t since = ql_alarm_ms();
	while (!(sighting = find(stage, name, kind, incarnation, 0)))
		stage_turn(stage, since, ql_event_word(kind));
	return sighting;
}

const struct ql_sighting *
stage_await_epoch(
	struct stage *stage, const struct name *name, enum ql_event_kind kind, int32_t epoch)
{
	const struct ql_sighting *sighting;
	int64_t since = ql_alarm_ms();
	while (!(sighting = find(stage, name, kind, 0, epoch)))
		stage_turn(stage, since, ql_event_word(kind));
	return sighting;
}

bool
stage_has_answer(const struct stage *stage, const struct name *name)
{
	const struct seen *seen;
	DL_FOREACH (stage->seen, seen) {
		const struct ql_event *event = &seen->sighting->event;
		bool ends = event->kind == QL_EVENT_ABSENT || event->kind == QL_EVENT_EXITED;
		if (ends && event->epoch && !strcmp(seen->sighting->eval_id, name->eval_id))
			return true;
	}
	return false;
}

int
stage_count_others(
	const struct stage *stage, const struct name *name, enum ql_event_kind kind, uint64_t run)
{
	const struct seen *seen;
	int count = 0;
	DL_FOREACH (stage->seen, seen)
		count += seen->sighting->event.kind == kind &&
			 (!run || seen->sighting->event.incarnation != run) &&
			 !strcmp(seen->sighting->eval_id, name->eval_id);
	return count;
}

int
stage_count(const struct stage *stage, const struct name *name, enum ql_event_kind kind)
{
	return stage_count_others(stage, name, kind, 0);
}

void
stage_forget_seen(struct stage *stage)
{
	struct seen *seen, *next;
	DL_FOREACH_SAFE (stage->seen, seen, next) {
		DL_DELETE(stage->seen, seen);
		ql_sighting_free(seen->sighting);
		free(seen);
	}
}

uint64_t
stage_running(struct stage *stage, const struct name *name)
{
	const struct ql_sighting *sighting;
	int64_t since = ql_alarm_ms();
	while (!(sighting = find(stage, name, QL_EVENT_RUNNING, 0, 0))) {
		stage_act(stage, QL_ACT_INSPECT, name, 0);
		stage_turn(stage, since, "it runs");
	}
	assert_string_not_equal(sighting->worker, "");
	assert_int_not_equal(sighting->event.incarnation, 0);
	assert_int_equal(sighting->event.attempt, 1);
	return sighting->event.incarnation;
}

void
stage_end(struct stage *stage, const struct name *name, uint64_t incarnation)
{
	int64_t since = ql_alarm_ms();
	while (!find(stage, name, QL_EVENT_GONE, incarnation, 0)) {
		stage_act(stage, QL_ACT_KILL, name, incarnation);
		stage_turn(stage, since, "it is gone");
	}
}
