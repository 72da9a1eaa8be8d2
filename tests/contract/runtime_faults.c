/* Each fault of the faulty driver does what its name says, to the acts and sightings it is set for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "runtime/fake/faulty.h"
#include "runtime_fake.h"
#include "runtime_stage.h"

static struct ql_runtime_faults faults;

static void
setup(struct suite_place *place, uv_loop_t *loop)
{
	faults = (struct ql_runtime_faults){.seed = 1};
	fake_place_setup(place, loop);
}

static struct ql_runtime *
open_faulty(struct suite_place *place)
{
	struct ql_runtime *runtime = NULL;
	struct ql_err e;
	assert_int_equal(ql_runtime_faulty_open(fake_place_open(place), &faults, &runtime, &e), 0);
	return runtime;
}

static struct suite_place place = {
	.name = "runtime faults",
	.setup = setup,
	.open = open_faulty,
	.cast = fake_place_cast,
	.lose = fake_place_lose,
	.teardown = fake_place_teardown,
};

static int
heal(void **state)
{
	faults = (struct ql_runtime_faults){0};
	return stage_clear(state);
}

/* How often that act reached the run. */
static int
reached(const struct stage *stage, uint64_t run, enum ql_act_kind kind)
{
	const struct ql_fake_run *it = ql_fake_world_run(stage->place->own, run);
	return it ? it->acts[kind] : 0;
}

static void
refused_acts_do_not_arrive(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_STAYS);
	faults.refuse = 1000;
	assert_int_equal(stage_refused(stage, QL_ACT_KILL, run), QL_E_UNAVAILABLE);
	assert_int_equal(reached(stage, run, QL_ACT_KILL), 0);
	assert_int_equal(faults.hurt, 1);
}

static void
lost_acts_do_not_arrive(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_STAYS);
	faults.lose_act = 1000;
	struct cue *kill = stage_submit_for(stage, QL_ACT_KILL, run, 5);
	assert_int_equal(stage_finish(stage, kill), -1);
	assert_int_equal(kill->op.err.code, QL_E_TIMEOUT);
	assert_int_equal(reached(stage, run, QL_ACT_KILL), 0);
}

static void
acts_arrive_without_their_answer(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_STAYS);
	faults.lose_answer = 1000;
	struct cue *kill = stage_submit_for(stage, QL_ACT_KILL, run, 5);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_finish(stage, kill), -1);
	assert_int_equal(kill->op.err.code, QL_E_TIMEOUT);
	assert_int_equal(reached(stage, run, QL_ACT_KILL), 1);
}

static void
doubled_acts_arrive_twice(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_STAYS);
	faults.double_act = 1000;
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, run), 0);
	while (reached(stage, run, QL_ACT_INSPECT) < 2)
		uv_run(&stage->loop, UV_RUN_ONCE);
	assert_int_equal(stage_act(stage, QL_ACT_KILL, run), 0);
	stage_await(stage, run, QL_EVENT_GONE);
}

static void
late_acts_arrive_after_their_deadline(void **state)
{
	struct stage *stage = *state;
	uint64_t run = ql_rand_u64();
	faults.delay_act = 1000;
	faults.delay_ms = 30;
	struct cue *start = stage_start(stage, run, PROGRAM_STAYS, 0, 0);
	assert_int_equal(stage_finish(stage, start), -1);
	assert_int_equal(start->op.err.code, QL_E_TIMEOUT);
	assert_int_equal(reached(stage, run, QL_ACT_START), 0);
	memset(&start->launch, 0, sizeof(start->launch));
	stage_await(stage, run, QL_EVENT_HELD);
}

static void
sightings_are_lost_and_doubled(void **state)
{
	struct stage *stage = *state;
	faults.sightings = 1u << QL_EVENT_RUNNING;
	faults.lose_sighting = 1000;
	uint64_t run = stage_hold(stage, PROGRAM_EXIT_3);
	assert_int_equal(stage_act(stage, QL_ACT_RELEASE, run), 0);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_count(stage, run, QL_EVENT_RUNNING), 0);
	faults.lose_sighting = 0;
	faults.double_sighting = 1000;
	run = stage_run(stage, PROGRAM_EXIT_3);
	stage_await(stage, run, QL_EVENT_GONE);
	while (stage_count(stage, run, QL_EVENT_RUNNING) < 2)
		uv_run(&stage->loop, UV_RUN_ONCE);
	assert_int_equal(stage_count(stage, run, QL_EVENT_GONE), 1);
}

static void
faults_are_for_the_acts_they_are_set_for(void **state)
{
	struct stage *stage = *state;
	faults.refuse = 1000;
	faults.acts = 1u << QL_ACT_KILL;
	uint64_t run = stage_run(stage, PROGRAM_STAYS);
	assert_int_equal(stage_refused(stage, QL_ACT_KILL, run), QL_E_UNAVAILABLE);
	assert_int_equal(stage_act(stage, QL_ACT_TERMINATE, run), 0);
}

#define ASKED 64

static uint64_t
fates(struct stage *stage, uint64_t seed)
{
	uint64_t refused = 0;
	faults = (struct ql_runtime_faults){0};
	stage_close_driver(stage);
	faults = (struct ql_runtime_faults){.seed = seed, .refuse = 500};
	stage_open_driver(stage);
	for (int i = 0; i < ASKED; i++) {
		if (stage_refused(stage, QL_ACT_FORGET, 1))
			refused |= 1ULL << i;
	}
	assert_int_equal(faults.hurt, __builtin_popcountll(refused));
	return refused;
}

static void
seeds_replay(void **state)
{
	struct stage *stage = *state;
	uint64_t first = fates(stage, 7);
	assert_true(first != 0 && first != UINT64_MAX);
	assert_true(fates(stage, 7) == first);
	assert_true(fates(stage, 8) != first);
}

#define TEST(test) cmocka_unit_test_prestate_setup_teardown(test, stage_set, heal, &place)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(refused_acts_do_not_arrive),
		TEST(lost_acts_do_not_arrive),
		TEST(acts_arrive_without_their_answer),
		TEST(doubled_acts_arrive_twice),
		TEST(late_acts_arrive_after_their_deadline),
		TEST(sightings_are_lost_and_doubled),
		TEST(faults_are_for_the_acts_they_are_set_for),
		TEST(seeds_replay),
	};
	return cmocka_run_group_tests_name(place.name, tests, NULL, NULL);
}
