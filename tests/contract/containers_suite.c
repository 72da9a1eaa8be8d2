#include "containers_suite.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/keep.h"

struct stage {
	struct containers_place *place;
	uv_loop_t loop;
	uv_timer_t patience;
	uv_timer_t pulse;
	struct ql_containers *containers;
	bool impatient, submitting, closed;
	char changed[8][160]; /* the last evaluations of which a hint came */
	size_t changes;
	char keep_dir[64];
};

struct cue {
	struct ql_containers_op op;
	struct stage *stage;
	int done, status;
	struct ql_container found[QL_CONTAINERS_MAX]; /* a copy */
};

/* ---- the stage ---- */

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

static void
turn(struct stage *stage)
{
	uv_run(&stage->loop, UV_RUN_ONCE);
	assert_false(stage->impatient);
}

static void
changed(void *arg, const char *eval_id)
{
	struct stage *stage = arg;
	char *place = stage->changed[stage->changes++ % 8];
	snprintf(place, sizeof(stage->changed[0]), "%s", eval_id);
}

static int
set(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	assert_non_null(stage);
	stage->place = *state;
	uv_loop_init(&stage->loop);
	uv_timer_init(&stage->loop, &stage->patience);
	uv_timer_init(&stage->loop, &stage->pulse);
	stage->patience.data = stage;
	stage->place->setup(stage->place, &stage->loop);
	uv_timer_start(&stage->patience, lose_patience, CONTAINERS_PATIENCE_MS, 0);
	stage->containers = stage->place->open(stage->place);
	stage->containers->changed = changed;
	stage->containers->changed_arg = stage;
	strcpy(stage->keep_dir, "/tmp/quell-keep-XXXXXX");
	assert_non_null(mkdtemp(stage->keep_dir));
	*state = stage;
	return 0;
}

static void
closed(void *arg)
{
	struct stage *stage = arg;
	stage->closed = true;
}

static void
close_driver(struct stage *stage)
{
	stage->containers->ops->close(stage->containers, closed, stage);
	while (!stage->closed)
		turn(stage);
}

static int
clear(void **state)
{
	struct stage *stage = *state;
	char path[128];
	if (!stage->closed)
		close_driver(stage);
	stage->place->teardown(stage->place);
	uv_close((uv_handle_t *)&stage->patience, NULL);
	uv_close((uv_handle_t *)&stage->pulse, NULL);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
	snprintf(path, sizeof(path), "%s/" QL_KEEP_OUTPUT, stage->keep_dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/" QL_KEEP_INDEX, stage->keep_dir);
	unlink(path);
	assert_int_equal(rmdir(stage->keep_dir), 0);
	*state = stage->place;
	free(stage);
	return 0;
}

static void
done(struct ql_containers_op *op, int status)
{
	struct cue *cue = (struct cue *)op;
	assert_false(cue->stage->submitting || cue->stage->closed);
	cue->done++;
	cue->status = status;
	assert_true(op->count <= QL_CONTAINERS_MAX);
	if (op->count)
		memcpy(cue->found, op->found, op->count * sizeof(*op->found));
}

static void
submit(struct stage *stage, struct cue *cue, enum ql_containers_kind kind, const char *eval_id,
	int64_t timeout_ms)
{
	*cue = (struct cue){.stage = stage,
		.op = {.kind = kind,
			.eval_id = eval_id,
			.keep_dir = stage->keep_dir,
			.output_max = 1000,
			.timeout_ms = timeout_ms,
			.done = done}};
	stage->submitting = true;
	stage->containers->ops->act(stage->containers, &cue->op);
	stage->submitting = false;
}

static int
finish(struct stage *stage, struct cue *cue)
{
	while (!cue->done)
		turn(stage);
	assert_int_equal(cue->done, 1);
	if (cue->status)
		assert_true(strlen(cue->op.err.text) > 10);
	return cue->status;
}

static int
act(struct stage *stage, struct cue *cue, enum ql_containers_kind kind, const char *eval_id)
{
	submit(stage, cue, kind, eval_id, CONTAINERS_PATIENCE_MS);
	return finish(stage, cue);
}

static void
create(struct stage *stage, const char *eval_id, enum containers_program program,
	char ret_id[static QL_CONTAINER_ID])
{
	stage->place->create(stage->place, eval_id, program, ret_id);
}

static void
run(struct stage *stage, const char *eval_id, enum containers_program program,
	char ret_id[static QL_CONTAINER_ID])
{
	create(stage, eval_id, program, ret_id);
	assert_true(stage->place->start(stage->place, ret_id));
}

static bool
alive(struct stage *stage, const char *id)
{
	return stage->place->alive(stage->place, id);
}

/* Until nothing of it lives; what the loop doesn't tell is looked at every few ms. */
static void
await_death(struct stage *stage, const char *id)
{
	uv_timer_start(&stage->pulse, beat, 5, 5);
	while (alive(stage, id))
		turn(stage);
	uv_timer_stop(&stage->pulse);
}

/* ---- looking ---- */

static void
nothing_is_found_of_nobody(void **state)
{
	struct stage *stage = *state;
	struct cue cue;
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_FIND, "nobody"), 0);
	assert_int_equal(cue.op.count, 0);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, "nobody"), 0);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_SALVAGE, "nobody"), 0);
	assert_int_equal(cue.op.output_bytes, 0);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_REMOVE, "nobody"), 0);
}

static void
only_the_very_one_is_found(void **state)
{
	struct stage *stage = *state;
	char one[QL_CONTAINER_ID], ten[QL_CONTAINER_ID];
	struct cue cue;
	run(stage, "e-1", CONTAINER_STAYS, one);
	create(stage, "e-10", CONTAINER_STAYS, ten);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_FIND, "e-1"), 0);
	assert_int_equal(cue.op.count, 1);
	assert_string_equal(cue.found[0].id, one);
	assert_string_equal(cue.found[0].eval_id, "e-1");
	assert_true(cue.found[0].running && cue.found[0].pid > 0 && cue.found[0].started_at > 0);
	assert_int_equal(cue.found[0].exit_code, -1);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_FIND, NULL), 0);
	assert_int_equal(cue.op.count, 2);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_FIND, "e-10"), 0);
	assert_false(cue.found[0].running);
	assert_int_equal(cue.found[0].started_at, 0);
}

static void
its_exit_is_seen(void **state)
{
	struct stage *stage = *state;
	char id[QL_CONTAINER_ID];
	struct cue cue;
	run(stage, "e-1", CONTAINER_EXITS, id);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_FIND, "e-1"), 0);
	assert_false(cue.found[0].running);
	assert_int_equal(cue.found[0].exit_code, 3);
	assert_false(cue.found[0].oom);
}

static void
what_makes_no_sense_is_refused(void **state)
{
	struct stage *stage = *state;
	struct cue cue;
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, NULL), -1);
	assert_int_equal(cue.op.err.code, QL_E_INVALID);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, "no/id"), -1);
	assert_int_equal(cue.op.err.code, QL_E_INVALID);
}

/* ---- killing ---- */

static void
killed_means_dead(void **state)
{
	struct stage *stage = *state;
	char one[QL_CONTAINER_ID], two[QL_CONTAINER_ID], other[QL_CONTAINER_ID];
	struct cue cue;
	run(stage, "e-1", CONTAINER_STAYS, one);
	run(stage, "e-1", CONTAINER_STAYS, two);
	run(stage, "e-2", CONTAINER_STAYS, other);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, "e-1"), 0);
	assert_false(alive(stage, one) || alive(stage, two));
	assert_true(alive(stage, other));
	assert_int_equal(cue.op.count, 2);
	assert_int_equal(cue.op.unasked, 0);
	assert_false(cue.found[0].running || cue.found[1].running);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, "e-1"), 0);
}

static int
end_one(struct stage *stage, const struct ql_container *one)
{
	struct cue cue = {.stage = stage,
		.op = {.kind = QL_CONTAINERS_END,
			.eval_id = one->eval_id,
			.container = one->id,
			.started_at = one->started_at,
			.timeout_ms = CONTAINERS_PATIENCE_MS,
			.done = done}};
	stage->submitting = true;
	stage->containers->ops->act(stage->containers, &cue.op);
	stage->submitting = false;
	int status = finish(stage, &cue);
	return status ? (int)cue.op.err.code : 0;
}

static void
one_ends_and_no_other(void **state)
{
	struct stage *stage = *state;
	char one[QL_CONTAINER_ID], two[QL_CONTAINER_ID];
	struct cue cue;
	run(stage, "e-1", CONTAINER_STAYS, one);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_FIND, "e-1"), 0);
	struct ql_container seen = cue.found[0], other = seen, nameless = seen;
	run(stage, "e-1", CONTAINER_STAYS, two);
	other.started_at++;
	nameless.started_at = 0;
	assert_int_equal(end_one(stage, &other), QL_E_CONFLICT);
	assert_int_equal(end_one(stage, &nameless), QL_E_INVALID);
	assert_true(alive(stage, one) && alive(stage, two));
	assert_int_equal(end_one(stage, &seen), 0);
	assert_false(alive(stage, one));
	assert_true(alive(stage, two));
	assert_int_equal(end_one(stage, &seen), 0);
}

static void
never_started_never_starts(void **state)
{
	struct stage *stage = *state;
	char id[QL_CONTAINER_ID];
	struct cue cue;
	create(stage, "e-1", CONTAINER_STAYS, id);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, "e-1"), 0);
	assert_false(stage->place->start(stage->place, id));
	assert_false(alive(stage, id));
}

static void
armed_ones_stay_down(void **state)
{
	struct stage *stage = *state;
	char id[QL_CONTAINER_ID];
	struct cue cue;
	run(stage, "e-1", CONTAINER_ARMED, id);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, "e-1"), 0);
	assert_false(alive(stage, id));
	/* whatever brought it back would have done so once its end was noticed */
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_SALVAGE, "e-1"), 0);
	assert_false(alive(stage, id));
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_FIND, "e-1"), 0);
	assert_false(cue.found[0].running);
}

static void
kills_may_meet(void **state)
{
	struct stage *stage = *state;
	char id[QL_CONTAINER_ID];
	struct cue cues[4];
	run(stage, "e-1", CONTAINER_STAYS, id);
	for (int i = 0; i < 4; i++)
		submit(stage, &cues[i], QL_CONTAINERS_KILL, "e-1", CONTAINERS_PATIENCE_MS);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(finish(stage, &cues[i]), 0);
		assert_false(alive(stage, id));
	}
}

/* It may have been proven by then; that nothing is known is never taken for it. */
static void
deadlines_hold(void **state)
{
	struct stage *stage = *state;
	struct cue cue;
	char id[QL_CONTAINER_ID];
	run(stage, "e-1", CONTAINER_STAYS, id);
	submit(stage, &cue, QL_CONTAINERS_KILL, "e-1", 0);
	if (finish(stage, &cue) == 0)
		assert_false(alive(stage, id));
}

/* ---- bans ---- */

static void
banned_ones_die_on_sight(void **state)
{
	struct stage *stage = *state;
	char before[QL_CONTAINER_ID], after[QL_CONTAINER_ID], other[QL_CONTAINER_ID];
	run(stage, "e-1", CONTAINER_STAYS, before);
	run(stage, "e-2", CONTAINER_STAYS, other);
	stage->containers->ops->ban(stage->containers, "e-1", true);
	await_death(stage, before);
	create(stage, "e-1", CONTAINER_STAYS, after);
	stage->place->start(stage->place, after); /* it may be gone before that */
	await_death(stage, after);
	assert_true(alive(stage, other));
}

static void
lifted_ones_live(void **state)
{
	struct stage *stage = *state;
	char one[QL_CONTAINER_ID], two[QL_CONTAINER_ID];
	stage->containers->ops->ban(stage->containers, "e-1", true);
	stage->containers->ops->ban(stage->containers, "e-2", true);
	stage->containers->ops->ban(stage->containers, "e-1", false);
	stage->containers->ops->ban(stage->containers, "e-1", false);
	run(stage, "e-1", CONTAINER_STAYS, one);
	create(stage, "e-2", CONTAINER_STAYS, two);
	stage->place->start(stage->place, two);
	await_death(stage, two);
	assert_true(alive(stage, one));
}

/* ---- what is left of them ---- */

static void
read_kept(const struct stage *stage, const char *name, void *ret_data, size_t size, ssize_t want)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", stage->keep_dir, name);
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, ret_data, size), want);
	close(fd);
}

static void
output_is_salvaged(void **state)
{
	struct stage *stage = *state;
	char id[QL_CONTAINER_ID];
	char text[32] = "";
	struct ql_keep_span spans[4];
	struct cue cue;
	run(stage, "e-1", CONTAINER_TALKS, id);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, "e-1"), 0);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_SALVAGE, "e-1"), 0);
	assert_int_equal(cue.op.output_bytes, 8);
	assert_false(cue.op.output_truncated);
	read_kept(stage, QL_KEEP_OUTPUT, text, sizeof(text), 8);
	read_kept(stage, QL_KEEP_INDEX, spans, sizeof(spans), 2 * sizeof(spans[0]));
	size_t out = spans[0].stream == 1 ? 0 : 1;
	assert_int_equal(spans[out].stream + spans[!out].stream, 3);
	assert_memory_equal(text + 4 * out, "out\n", 4);
	assert_memory_equal(text + 4 * !out, "err\n", 4);
	/* again: the same, not twice */
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_SALVAGE, "e-1"), 0);
	assert_int_equal(cue.op.output_bytes, 8);
}

/* Who waits for a container may remove it as soon as it is dead. */
static void
what_was_killed_may_be_removed(void **state)
{
	struct stage *stage = *state;
	char id[QL_CONTAINER_ID];
	char text[32] = "";
	struct cue cue;
	run(stage, "e-1", CONTAINER_TALKS, id);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, "e-1"), 0);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_REMOVE, "e-1"), 0);
	assert_false(stage->place->there(stage->place, id));
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_SALVAGE, "e-1"), 0);
	assert_int_equal(cue.op.output_bytes, 8);
	read_kept(stage, QL_KEEP_OUTPUT, text, sizeof(text), 8);
}

static void
salvage_has_a_bound(void **state)
{
	struct stage *stage = *state;
	char id[QL_CONTAINER_ID];
	char text[32] = "";
	struct cue cue;
	run(stage, "e-1", CONTAINER_EXITS, id);
	cue = (struct cue){.stage = stage,
		.op = {.kind = QL_CONTAINERS_SALVAGE,
			.eval_id = "e-1",
			.keep_dir = stage->keep_dir,
			.output_max = 5,
			.timeout_ms = CONTAINERS_PATIENCE_MS,
			.done = done}};
	stage->containers->ops->act(stage->containers, &cue.op);
	assert_int_equal(finish(stage, &cue), 0);
	assert_int_equal(cue.op.output_bytes, 5);
	assert_true(cue.op.output_truncated);
	read_kept(stage, QL_KEEP_OUTPUT, text, sizeof(text), 5);
}

static void
removed_ones_are_gone(void **state)
{
	struct stage *stage = *state;
	char one[QL_CONTAINER_ID], other[QL_CONTAINER_ID];
	struct cue cue;
	run(stage, "e-1", CONTAINER_STAYS, one);
	run(stage, "e-2", CONTAINER_EXITS, other);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, "e-1"), 0);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_REMOVE, "e-1"), 0);
	assert_false(stage->place->there(stage->place, one));
	assert_true(stage->place->there(stage->place, other));
}

static void
running_ones_are_not_removed(void **state)
{
	struct stage *stage = *state;
	char id[QL_CONTAINER_ID];
	struct cue cue;
	run(stage, "e-1", CONTAINER_STAYS, id);
	submit(stage, &cue, QL_CONTAINERS_REMOVE, "e-1", 200);
	assert_int_equal(finish(stage, &cue), -1);
	submit(stage, &cue, QL_CONTAINERS_SALVAGE, "e-1", 200);
	assert_int_equal(finish(stage, &cue), -1);
	assert_true(alive(stage, id));
}

/* ---- their processor time ---- */

static void
processor_time_is_told(void **state)
{
	struct stage *stage = *state;
	const struct ql_containers_ops *ops = stage->containers->ops;
	char id[QL_CONTAINER_ID];
	struct cue cue;
	assert_int_equal(ops->cpu_us(stage->containers, "nobody", 0), 0);
	run(stage, "e-cpu", CONTAINER_STAYS, id);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, "e-cpu"), 0);
	int64_t used_us = ops->cpu_us(stage->containers, "e-cpu", 1);
	assert_in_range(used_us, 1, 60000000);
	/* it is remembered, and is not that of one that was started later */
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_REMOVE, "e-cpu"), 0);
	assert_int_equal(ops->cpu_us(stage->containers, "e-cpu", 1), used_us);
	assert_int_equal(ops->cpu_us(stage->containers, "e-cpu", INT64_MAX), 0);
}

/* ---- hints, health, the end ---- */

static void
starts_and_ends_are_hinted(void **state)
{
	struct stage *stage = *state;
	char id[QL_CONTAINER_ID];
	struct cue cue;
	run(stage, "e-1", CONTAINER_STAYS, id);
	while (!stage->changes)
		turn(stage);
	assert_string_equal(stage->changed[0], "e-1");
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, "e-1"), 0);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_REMOVE, "e-1"), 0);
	size_t before = stage->changes;
	run(stage, "e-2", CONTAINER_STAYS, id);
	while (strcmp(stage->changed[(stage->changes - 1) % 8], "e-2") != 0)
		turn(stage);
	assert_true(stage->changes > before);
}

static void
health_is_told(void **state)
{
	struct stage *stage = *state;
	struct ql_dependency health[2];
	struct cue cue;
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_FIND, "e-1"), 0);
	assert_int_equal(stage->containers->ops->health(stage->containers, health, 2), 1);
	assert_string_equal(health[0].name, "docker");
	assert_int_equal(health[0].state, QL_BREAKER_CLOSED);
	assert_int_equal(health[0].backlog, 0);
	assert_int_equal(stage->containers->ops->health(stage->containers, health, 0), 0);
}

static void
closing_ends_what_is_open(void **state)
{
	struct stage *stage = *state;
	static const enum ql_containers_kind kinds[] = {QL_CONTAINERS_FIND, QL_CONTAINERS_KILL,
		QL_CONTAINERS_SALVAGE, QL_CONTAINERS_REMOVE};
	char id[QL_CONTAINER_ID];
	struct cue cues[4];
	run(stage, "e-1", CONTAINER_STAYS, id);
	for (int i = 0; i < 4; i++)
		submit(stage, &cues[i], kinds[i], "e-1", CONTAINERS_PATIENCE_MS);
	close_driver(stage);
	for (int i = 0; i < 4; i++)
		finish(stage, &cues[i]);
	if (cues[1].status == 0)
		assert_false(alive(stage, id));
}

#define PLAY(play) \
	{ \
#play, play, set, clear, place \
	}

int
containers_suite_run(struct containers_place *place)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest containers[] = {
		PLAY(nothing_is_found_of_nobody),
		PLAY(only_the_very_one_is_found),
		PLAY(its_exit_is_seen),
		PLAY(what_makes_no_sense_is_refused),
		PLAY(killed_means_dead),
		PLAY(one_ends_and_no_other),
		PLAY(never_started_never_starts),
		PLAY(armed_ones_stay_down),
		PLAY(kills_may_meet),
		PLAY(deadlines_hold),
		PLAY(banned_ones_die_on_sight),
		PLAY(lifted_ones_live),
		PLAY(output_is_salvaged),
		PLAY(what_was_killed_may_be_removed),
		PLAY(salvage_has_a_bound),
		PLAY(removed_ones_are_gone),
		PLAY(running_ones_are_not_removed),
		PLAY(starts_and_ends_are_hinted),
		PLAY(processor_time_is_told),
		PLAY(health_is_told),
		PLAY(closing_ends_what_is_open),
	};
	return cmocka_run_group_tests(containers, NULL, NULL);
}
