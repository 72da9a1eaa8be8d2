#include "stage.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void
lose_patience(uv_timer_t *timer)
{
	struct stage *stage = timer->data;
	stage->impatient = true;
}

static void
beat(uv_timer_t *timer)
{
	(void)timer;
}

void
stage_init(struct stage *stage)
{
	*stage = (struct stage){0};
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&stage->loop);
	uv_timer_init(&stage->loop, &stage->patience);
	uv_timer_init(&stage->loop, &stage->pulse);
	stage->patience.data = stage;
	uv_timer_start(&stage->patience, lose_patience, STAGE_PATIENCE_MS, 0);
}

void
stage_open(struct stage *stage, const struct ql_docker_config *config)
{
	struct ql_err e;
	assert_int_equal(
		ql_containers_docker_open(&stage->loop, config, &stage->containers, &e), 0);
	stage->closed = false;
}

static void
closed(void *arg)
{
	struct stage *stage = arg;
	stage->closed = true;
}

void
stage_close(struct stage *stage)
{
	if (!stage->containers)
		return;
	stage->containers->ops->close(stage->containers, closed, stage);
	stage->containers = NULL;
	while (!stage->closed)
		stage_turn(stage);
}

void
stage_done(struct stage *stage)
{
	stage_close(stage);
	uv_close((uv_handle_t *)&stage->patience, NULL);
	uv_close((uv_handle_t *)&stage->pulse, NULL);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
}

void
stage_turn(struct stage *stage)
{
	uv_run(&stage->loop, UV_RUN_ONCE);
	assert_false(stage->impatient);
}

void
stage_until(struct stage *stage, bool (*is)(void *arg), void *arg)
{
	uv_timer_start(&stage->pulse, beat, 5, 5);
	while (!is(arg))
		stage_turn(stage);
	uv_timer_stop(&stage->pulse);
}

static void
done(struct ql_containers_op *op, int status)
{
	struct cue *cue = (struct cue *)op;
	cue->done++;
	cue->status = status;
	cue->count = op->count;
	if (op->count)
		cue->found = op->found[0];
}

void
stage_submit(struct stage *stage, struct cue *cue, enum ql_containers_kind kind,
	const char *eval_id, int64_t timeout_ms)
{
	*cue = (struct cue){.stage = stage,
		.op = {.kind = kind,
			.eval_id = eval_id,
			.timeout_ms = timeout_ms,
			.keep_dir = *stage->keep_dir ? stage->keep_dir : NULL,
			.output_max = STAGE_OUTPUT_MAX,
			.done = done}};
	stage->containers->ops->act(stage->containers, &cue->op);
}

int
stage_finish(struct cue *cue)
{
	while (!cue->done)
		stage_turn(cue->stage);
	assert_int_equal(cue->done, 1);
	return cue->status;
}

int
stage_act(struct stage *stage, struct cue *cue, enum ql_containers_kind kind, const char *eval_id)
{
	stage_submit(stage, cue, kind, eval_id, STAGE_PATIENCE_MS);
	return stage_finish(cue);
}
