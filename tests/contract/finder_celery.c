/*
 * The contract of a finder, held by the Celery driver's: tasks that a real worker runs, and containers that
 * tasks may have left, which are the fake's.
 */
#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include "celery_place.h"
#include "finder_suite.h"
#include "proof/process.h"
#include "runtime/fake/containers_fake.h"

#define TASK (1u << QL_ORPHAN_TASK)
#define CONTAINER (1u << QL_ORPHAN_CONTAINER)
#define REVOKED "{\"status\":\"REVOKED\",\"result\":null,\"traceback\":null,\"children\":[]}"

struct own {
	struct celery_place celery;
	uv_loop_t *loop;
	struct ql_broker *broker;
	struct ql_fake_containers *containers;
	int number; /* of what was left last */
	char task_id[64]; /* so is this; "" = none runs */
	struct ql_fake_container *container; /* and this */
};

static void
setup(struct finder_place *place, uv_loop_t *loop)
{
	struct own *own = place->own;
	own->loop = loop;
	celery_place_up(&own->celery);
}

static void
teardown(struct finder_place *place)
{
	struct own *own = place->own;
	celery_place_down(&own->celery);
}

static struct ql_finder *
open_finder(struct finder_place *place)
{
	struct own *own = place->own;
	struct ql_containers *containers;
	struct ql_err e;
	own->task_id[0] = 0;
	own->container = NULL;
	own->containers = ql_fake_containers_new(own->loop);
	assert_non_null(own->containers);
	assert_int_equal(ql_containers_fake_open(own->containers, &containers, &e), 0);
	own->broker = celery_place_open(&own->celery, own->loop, containers);
	return own->broker->finder;
}

static void
on_closed(void *arg)
{
	*(bool *)arg = true;
}

/* The task ends as it is told to, where it was left alone. */
static void
close_finder(struct finder_place *place, struct ql_finder *finder)
{
	struct own *own = place->own;
	bool closed = false;
	(void)finder;
	if (own->task_id[0])
		free(server_ask(&own->celery.server, "SET end:%s 1", own->task_id));
	while (own->task_id[0] &&
		celery_place_locate(own->broker, own->loop, own->task_id) == QL_PLACE_ACTIVE)
		;
	own->broker->ops->close(own->broker, on_closed, &closed);
	while (!closed)
		uv_run(own->loop, UV_RUN_ONCE);
	ql_fake_containers_free(own->containers);
}

/* ---- a task ---- */

static void
run_task(struct own *own, const char *task_id)
{
	strcpy(own->task_id, task_id);
	celery_place_send(&own->celery, task_id, task_id, "celery", "stays");
	while (celery_place_locate(own->broker, own->loop, task_id) != QL_PLACE_ACTIVE)
		;
}

/* Its result was read by somebody as REVOKED, as that of each task that a worker was told to forget. */
static void
leave_task(struct own *own, uint32_t *ret_marks)
{
	char task_id[64];
	snprintf(task_id, sizeof(task_id), "celery-left-%d", ++own->number);
	run_task(own, task_id);
	free(server_ask(&own->celery.server, "SET celery-task-meta-%s %s", task_id, REVOKED));
	*ret_marks = 1u << QL_MARK_WORKER | 1u << QL_MARK_REVOKED;
}

/* By the process that runs it. */
static bool
task_runs(struct own *own)
{
	char *text = server_ask(&own->celery.server, "GET pid:%s", own->task_id);
	char stat[512], path[64];
	assert_non_null(text);
	snprintf(path, sizeof(path), "/proc/%s/stat", text);
	free(text);
	const char *name_end =
		ql_process_file(path, stat, sizeof(stat)) > 0 ? strrchr(stat, ')') : NULL;
	return name_end && name_end[2] != 'Z';
}

/* ---- a container ---- */

static void
leave_container(struct own *own, uint32_t *ret_marks)
{
	char eval_id[64];
	snprintf(eval_id, sizeof(eval_id), "left-%d", ++own->number);
	own->container = ql_fake_container_add(own->containers, eval_id);
	assert_non_null(own->container);
	assert_int_equal(ql_fake_container_start(own->containers, own->container), 0);
	*ret_marks = 1u << QL_MARK_LABEL | 1u << QL_MARK_IDLE;
}

/* ---- either ---- */

static void
leave(struct finder_place *place, enum ql_orphan_kind kind, uint32_t *ret_marks)
{
	if (kind == QL_ORPHAN_TASK)
		leave_task(place->own, ret_marks);
	else
		leave_container(place->own, ret_marks);
}

/* A task of somebody's that no record is of, and nobody revoked. */
static void
leave_foreign(struct finder_place *place, enum ql_orphan_kind kind)
{
	assert_int_equal(kind, QL_ORPHAN_TASK);
	run_task(place->own, "report-of-somebody");
}

static bool
is_there(struct finder_place *place, enum ql_orphan_kind kind)
{
	struct own *own = place->own;
	if (kind == QL_ORPHAN_TASK)
		return task_runs(own);
	return own->container->state == QL_FAKE_CONTAINER_RUNNING;
}

/* A worker runs a task of its evaluation now. */
static void
change(struct finder_place *place, enum ql_orphan_kind kind)
{
	struct own *own = place->own;
	char task_id[160];
	assert_int_equal(kind, QL_ORPHAN_CONTAINER);
	snprintf(task_id, sizeof(task_id), "celery-%s", own->container->eval_id);
	run_task(own, task_id);
}

/* Frozen with its worker, nobody who could be asked says what became of it. */
static void
cling(struct finder_place *place, enum ql_orphan_kind kind, bool on)
{
	struct own *own = place->own;
	if (kind == QL_ORPHAN_TASK)
		assert_int_equal(kill(-own->celery.worker, on ? SIGSTOP : SIGCONT), 0);
	else
		own->container->immortal = on;
}

int
main(void)
{
	struct own own = {0};
	struct finder_place place = {.own = &own,
		.misses = true, /* a busy worker answers too late, and that is told */
		.kinds = TASK | CONTAINER,
		.changing = CONTAINER,
		.clinging = TASK | CONTAINER,
		.foreign = TASK,
		.reborn = TASK | CONTAINER,
		.setup = setup,
		.teardown = teardown,
		.open = open_finder,
		.close = close_finder,
		.leave = leave,
		.is_there = is_there,
		.change = change,
		.cling = cling,
		.leave_foreign = leave_foreign};
	return finder_suite_run(&place);
}
