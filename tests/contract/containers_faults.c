/* Each fault of the faulty containers does what its name says; none of them loses an answer or gives two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/alarm.h"
#include "runtime/fake/containers_fake.h"
#include "runtime/fake/containers_faulty.h"

#define PATIENCE_MS 30000

static struct ql_containers_faults faults;

struct stage {
	uv_loop_t loop;
	uv_timer_t pulse; /* so that a turn of the loop ends */
	struct ql_fake_containers *world;
	struct ql_containers *containers;
	struct ql_fake_container *one; /* of e-1; it runs */
	int hints;
	bool closed;
};

struct cue {
	struct ql_containers_op op; /* first */
	const struct stage *stage;
	int done;
	int status;
	size_t count;
};

static void
beat(uv_timer_t *timer)
{
	(void)timer;
}

static void
changed(void *arg, const char *eval_id)
{
	struct stage *stage = arg;
	assert_string_equal(eval_id, "e-1");
	stage->hints++;
}

static void
closed(void *arg)
{
	((struct stage *)arg)->closed = true;
}

#define UNTIL(stage, condition) \
	do { \
		int64_t until_end = ql_alarm_ms() + PATIENCE_MS; \
		while (!(condition)) { \
			if (ql_alarm_ms() > until_end) \
				fail_msg("not true in time: %s", #condition); \
			uv_run(&(stage)->loop, UV_RUN_ONCE); \
		} \
	} while (0)

static int
set(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	struct ql_containers *inner;
	struct ql_err e;
	faults = (struct ql_containers_faults){.seed = 1};
	uv_loop_init(&stage->loop);
	uv_timer_init(&stage->loop, &stage->pulse);
	uv_timer_start(&stage->pulse, beat, 2, 2);
	stage->world = ql_fake_containers_new(&stage->loop);
	assert_int_equal(ql_containers_fake_open(stage->world, &inner, &e), 0);
	assert_int_equal(ql_containers_faulty_open(inner, &faults, &stage->containers, &e), 0);
	stage->containers->changed = changed;
	stage->containers->changed_arg = stage;
	stage->one = ql_fake_container_add(stage->world, "e-1");
	assert_int_equal(ql_fake_container_start(stage->world, stage->one), 0);
	UNTIL(stage, stage->hints);
	stage->hints = 0;
	*state = stage;
	return 0;
}

static void
close_driver(struct stage *stage)
{
	stage->containers->ops->close(stage->containers, closed, stage);
	UNTIL(stage, stage->closed);
}

static int
clear(void **state)
{
	struct stage *stage = *state;
	if (!stage->closed)
		close_driver(stage);
	ql_fake_containers_free(stage->world);
	uv_close((uv_handle_t *)&stage->pulse, NULL);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
	free(stage);
	return 0;
}

static bool
is_dead(const struct stage *stage)
{
	enum ql_fake_container_state is = stage->one->state;
	return is == QL_FAKE_CONTAINER_EXITED || is == QL_FAKE_CONTAINER_REMOVED;
}

static void
done(struct ql_containers_op *op, int status)
{
	struct cue *cue = (struct cue *)op;
	cue->done++;
	cue->status = status;
	cue->count = op->count;
	if (op->kind == QL_CONTAINERS_KILL && !status)
		assert_true(is_dead(cue->stage));
	for (size_t i = 0; i < op->count; i++)
		assert_string_equal(op->found[i].eval_id, "e-1");
}

static void
submit(struct stage *stage, struct cue *cue, enum ql_containers_kind kind, int64_t timeout_ms)
{
	*cue = (struct cue){.stage = stage,
		.op = {.kind = kind, .eval_id = "e-1", .timeout_ms = timeout_ms, .done = done}};
	stage->containers->ops->act(stage->containers, &cue->op);
	assert_int_equal(cue->done, 0);
}

static int
act(struct stage *stage, struct cue *cue, enum ql_containers_kind kind, int64_t timeout_ms)
{
	submit(stage, cue, kind, timeout_ms);
	UNTIL(stage, cue->done);
	return cue->status;
}

static void
refused_ones_do_not_arrive(void **state)
{
	struct stage *stage = *state;
	struct cue cue;
	faults.refuse = 1000;
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, PATIENCE_MS), -1);
	assert_int_equal(cue.op.err.code, QL_E_UNAVAILABLE);
	assert_int_equal(stage->one->kills, 0);
	assert_int_equal(faults.hurt, 1);
}

static void
lost_ones_do_not_arrive(void **state)
{
	struct stage *stage = *state;
	struct cue cue;
	faults.lose_act = 1000;
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, 5), -1);
	assert_int_equal(cue.op.err.code, QL_E_TIMEOUT);
	assert_int_equal(stage->one->kills, 0);
}

static void
they_arrive_without_their_answer(void **state)
{
	struct stage *stage = *state;
	struct cue cue;
	faults.lose_answer = 1000;
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, 5), -1);
	assert_int_equal(cue.op.err.code, QL_E_TIMEOUT);
	assert_true(is_dead(stage));
}

static void
doubled_ones_are_answered_once(void **state)
{
	struct stage *stage = *state;
	struct cue cue;
	faults.double_act = 1000;
	faults.delay_ms = 5;
	stage->one->immortal = true; /* a second kill is counted, too */
	submit(stage, &cue, QL_CONTAINERS_KILL, PATIENCE_MS);
	UNTIL(stage, stage->one->kills == 2);
	stage->one->immortal = false;
	faults.double_act = 0;
	struct cue again;
	assert_int_equal(act(stage, &again, QL_CONTAINERS_KILL, PATIENCE_MS), 0);
	assert_int_equal(again.count, 1);
	faults.double_act = 1000;
	assert_int_equal(act(stage, &again, QL_CONTAINERS_FIND, PATIENCE_MS), 0);
	close_driver(stage);
	assert_int_equal(again.done, 1);
	assert_int_equal(cue.done, 1);
	assert_int_equal(cue.status, -1);
}

static void
late_ones_arrive_after_their_deadline(void **state)
{
	struct stage *stage = *state;
	struct cue cue;
	faults.delay_act = 1000;
	faults.delay_ms = 30;
	submit(stage, &cue, QL_CONTAINERS_KILL, 0);
	UNTIL(stage, cue.done);
	assert_int_equal(cue.op.err.code, QL_E_TIMEOUT);
	UNTIL(stage, is_dead(stage));
}

static void
late_answers_carry_what_was_found(void **state)
{
	struct stage *stage = *state;
	struct cue cue;
	faults.delay_answer = 1000;
	faults.delay_ms = 10;
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_FIND, PATIENCE_MS), 0);
	assert_int_equal(cue.count, 1);
	assert_int_equal(faults.hurt, 1);
}

static void
who_is_at_work_when_it_dies_learns_of_it(void **state)
{
	struct stage *stage = *state;
	struct ql_dependency health;
	struct cue waiting, killing, after;
	stage->one->immortal = true;
	submit(stage, &waiting, QL_CONTAINERS_KILL, PATIENCE_MS);
	faults.die = 1000;
	faults.delay_ms = 500;
	submit(stage, &killing, QL_CONTAINERS_KILL, PATIENCE_MS);
	faults.die = 0;
	assert_int_equal(stage->one->kills, 2);
	stage->containers->ops->health(stage->containers, &health, 1);
	assert_int_equal(health.state, QL_BREAKER_OPEN);
	submit(stage, &after, QL_CONTAINERS_FIND, PATIENCE_MS);
	UNTIL(stage, waiting.done && killing.done && after.done);
	assert_true(waiting.status && killing.status && after.status);
	stage->one->immortal = false;
	int status;
	UNTIL(stage, !(status = act(stage, &killing, QL_CONTAINERS_KILL, PATIENCE_MS)));
	assert_true(is_dead(stage));
	stage->containers->ops->health(stage->containers, &health, 1);
	assert_int_equal(health.state, QL_BREAKER_CLOSED);
}

static void
hints_are_lost_and_doubled(void **state)
{
	struct stage *stage = *state;
	struct cue cue;
	faults.lose_hint = 1000;
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, PATIENCE_MS), 0);
	UNTIL(stage, faults.hurt == 1);
	faults.lose_hint = 0;
	faults.double_hint = faults.delay_hint = 1000;
	faults.delay_ms = 3;
	struct ql_fake_container *two = ql_fake_container_add(stage->world, "e-1");
	ql_fake_container_start(stage->world, two);
	UNTIL(stage, stage->hints == 2);
}

static void
they_are_for_the_operations_they_are_set_for(void **state)
{
	struct stage *stage = *state;
	struct cue cue;
	faults.refuse = 1000;
	faults.acts = 1u << QL_CONTAINERS_KILL;
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_FIND, PATIENCE_MS), 0);
	assert_int_equal(act(stage, &cue, QL_CONTAINERS_KILL, PATIENCE_MS), -1);
}

/* Whatever happens to it: each is answered once, and 0 of a kill is only said of what is dead. */
static void
worlds_end_with_an_answer_each(void **state)
{
	struct stage *stage = *state;
	static const enum ql_containers_kind kinds[] = {
		QL_CONTAINERS_FIND, QL_CONTAINERS_KILL, QL_CONTAINERS_REMOVE};
	struct cue cues[300];
	faults = (struct ql_containers_faults){.refuse = 100,
		.lose_act = 50,
		.lose_answer = 50,
		.double_act = 200,
		.delay_act = 200,
		.delay_answer = 200,
		.die = 20,
		.lose_hint = 100,
		.double_hint = 100,
		.delay_hint = 100,
		.delay_ms = 4};
	for (int i = 0; i < 300; i++) {
		submit(stage, &cues[i], kinds[i % 3], i < 290 ? 1 + i % 7 : PATIENCE_MS);
		if (i >= 8)
			UNTIL(stage, cues[i - 8].done);
	}
	close_driver(stage);
	int taken = 0;
	for (int i = 0; i < 300; i++) {
		assert_int_equal(cues[i].done, 1);
		taken += !cues[i].status;
	}
	assert_true(is_dead(stage));
	print_message("# %d of 300 taken, %d faults\n", taken, (int)faults.hurt);
	assert_in_range(taken, 30, 270);
}

#define PLAY(play) cmocka_unit_test_setup_teardown(play, set, clear)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PLAY(refused_ones_do_not_arrive),
		PLAY(lost_ones_do_not_arrive),
		PLAY(they_arrive_without_their_answer),
		PLAY(doubled_ones_are_answered_once),
		PLAY(late_ones_arrive_after_their_deadline),
		PLAY(late_answers_carry_what_was_found),
		PLAY(who_is_at_work_when_it_dies_learns_of_it),
		PLAY(hints_are_lost_and_doubled),
		PLAY(they_are_for_the_operations_they_are_set_for),
		PLAY(worlds_end_with_an_answer_each),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
