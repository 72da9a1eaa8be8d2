/*
 * The sandbox driver against supervisors that break the wire's rules: it believes none of it, is
 * never held up, answers in time, and tells the truth as soon as somebody does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rand.h"
#include "runtime_stage.h"

static const char *runner;

struct lair {
	uv_loop_t *loop;
	char run_dir[64];
	const char *argv[2];
};

static void
setup(struct suite_place *place, uv_loop_t *loop)
{
	struct lair *lair = place->own;
	lair->loop = loop;
	strcpy(lair->run_dir, "/tmp/quell-hostile-XXXXXX");
	assert_non_null(mkdtemp(lair->run_dir));
}

static struct ql_runtime *
open_driver(struct suite_place *place)
{
	struct lair *lair = place->own;
	struct ql_runtime *runtime = NULL;
	struct ql_err e;
	const struct ql_sandbox_config config = {.runner = runner, .run_dir = lair->run_dir};
	if (ql_runtime_sandbox_open(lair->loop, &config, &runtime, &e))
		fail_msg("%s", e.text);
	return runtime;
}

static void
cast(struct suite_place *place, enum suite_program program, struct ql_launch *launch)
{
	struct lair *lair = place->own;
	(void)program;
	launch->argv = lair->argv;
}

static void
teardown(struct suite_place *place)
{
	struct lair *lair = place->own;
	assert_int_equal(rmdir(lair->run_dir), 0);
}

static struct lair lair;
static struct suite_place place = {
	.name = "runtime hostile",
	.own = &lair,
	.setup = setup,
	.open = open_driver,
	.cast = cast,
	.teardown = teardown,
};

static uint64_t
meet(struct stage *stage, const char *way)
{
	uint64_t run = ql_rand_u64();
	lair.argv[0] = way;
	struct cue *start = stage_start(stage, run, PROGRAM_STAYS, 0, SUITE_PATIENCE_MS);
	assert_int_equal(stage_finish(stage, start), 0);
	return run;
}

static void
exits_before_it_says_anything(void **state)
{
	struct stage *stage = *state;
	uint64_t run = meet(stage, "exits");
	const struct seen *seen = stage_await(stage, run, QL_EVENT_FAILED_START);
	assert_true(strlen(seen->text) > 0);
	assert_false(stage_listed(stage, run));
	stage_act(stage, QL_ACT_INSPECT, run);
	stage_await(stage, run, QL_EVENT_ABSENT);
}

static void
assert_found_lost(struct stage *stage, const char *way)
{
	uint64_t run = meet(stage, way);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_count(stage, run, QL_EVENT_LOST), 1);
	assert_int_equal(stage_count(stage, run, QL_EVENT_EXITED), 0);
	assert_int_equal(stage_count(stage, run, QL_EVENT_FAILED_START), 0);
}

/* It ends as its connection does, and another one recovers. */
static void
nonsense_is_not_believed(void **state)
{
	const char *const ways[] = {"short", "newer", "other"};
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		assert_found_lost(*state, ways[i]);
	struct stage *stage = *state;
	for (size_t i = 0; i < stage->seen_count; i++)
		assert_int_not_equal(stage->seen[i].event.kind, QL_EVENT_HELD);
}

static void
death_is_noticed_at_once(void **state)
{
	assert_found_lost(*state, "dies");
}

static void
silence_has_a_deadline(void **state)
{
	struct stage *stage = *state;
	uint64_t run = meet(stage, "silent");
	struct cue *look = stage_submit_for(stage, QL_ACT_INSPECT, run, 20);
	struct cue *kill = stage_submit_for(stage, QL_ACT_KILL, run, 20);
	assert_int_equal(stage_finish(stage, look), -1);
	assert_int_equal(look->op.err.code, QL_E_TIMEOUT);
	assert_int_equal(stage_finish(stage, kill), -1);
	assert_int_equal(kill->op.err.code, QL_E_TIMEOUT);
	assert_int_equal(stage->seen_count, 0);
	stage_close_driver(stage); /* it ends with its connection */
	stage_open_driver(stage);
}

/* What was asked and not answered is asked of the next one. */
static void
death_does_not_swallow_an_act(void **state)
{
	struct stage *stage = *state;
	uint64_t run = meet(stage, "deaf");
	assert_int_equal(stage_act(stage, QL_ACT_KILL, run), 0);
	stage_await(stage, run, QL_EVENT_GONE);
}

static void
flood_holds_nothing_up(void **state)
{
	struct stage *stage = *state;
	uint64_t run = meet(stage, "floods");
	uint64_t other = meet(stage, "obeys");
	assert_int_equal(stage_act(stage, QL_ACT_RELEASE, other), 0);
	stage_await(stage, run, QL_EVENT_HELD);
}

static void
hanging_up_for_ever_is_told(void **state)
{
	struct stage *stage = *state;
	uint64_t run = meet(stage, "again");
	struct cue *kill = stage_submit(stage, QL_ACT_KILL, run);
	assert_int_equal(stage_finish(stage, kill), -1);
	assert_int_equal(kill->op.err.code, QL_E_UNAVAILABLE);
	assert_int_equal(stage->seen_count, 0);
	char path[128];
	const char *const names[] = {"status", "spec", "lock", ""};
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%016llx/%s", lair.run_dir, (unsigned long long)run,
			names[i]);
		remove(path);
	}
	stage_await(stage, run, QL_EVENT_FAILED_START);
}

#define TEST(test) cmocka_unit_test_prestate_setup_teardown(test, stage_set, stage_clear, &place)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(exits_before_it_says_anything),
		TEST(nonsense_is_not_believed),
		TEST(death_is_noticed_at_once),
		TEST(silence_has_a_deadline),
		TEST(death_does_not_swallow_an_act),
		TEST(flood_holds_nothing_up),
		TEST(hanging_up_for_ever_is_told),
	};
	if (argc != 2)
		return 2;
	runner = argv[1];
	return cmocka_run_group_tests_name("runtime hostile", tests, NULL, NULL);
}
