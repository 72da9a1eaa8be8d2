/* What the fake's programs do by each of their words, as tests of the engine rely on it. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rand.h"
#include "runtime_fake.h"
#include "runtime_stage.h"

static const char *words;
static int violations; /* that the play itself makes */

static void
setup(struct suite_place *place, uv_loop_t *loop)
{
	violations = 0;
	fake_place_setup(place, loop);
}

static void
cast(struct suite_place *place, enum suite_program program, struct ql_launch *launch)
{
	(void)place;
	(void)program;
	launch->code = words;
	launch->code_len = strlen(words);
}

static void
teardown(struct suite_place *place)
{
	assert_int_equal(ql_fake_world_alive(place->own), 0);
	assert_int_equal(ql_fake_world_violations(place->own), violations);
	ql_fake_world_free(place->own);
}

static struct suite_place place = {
	.name = "runtime words",
	.setup = setup,
	.open = fake_place_open,
	.cast = cast,
	.lose = fake_place_lose,
	.teardown = teardown,
};

static uint64_t
play(struct stage *stage, const char *program)
{
	words = program;
	return stage_run(stage, PROGRAM_EXIT_3);
}

static void
stuck_until_it_is_let_go(void **state)
{
	struct stage *stage = *state;
	uint64_t run = play(stage, "after=never stuck=never");
	assert_int_equal(stage_act(stage, QL_ACT_KILL, run), 0);
	stage_await(stage, run, QL_EVENT_STUCK);
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, run), 0);
	stage_await(stage, run, QL_EVENT_STUCK);
	assert_int_equal(stage_count(stage, run, QL_EVENT_EXITED), 0);
	assert_int_equal(stage_refused(stage, QL_ACT_FORGET, run), QL_E_CONFLICT);
	assert_int_equal(ql_fake_world_alive(place.own), 1);
	ql_fake_world_let_go(place.own, run);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_await(stage, run, QL_EVENT_EXITED)->event.exit_signal, SIGKILL);
}

static void
stuck_for_a_while(void **state)
{
	struct stage *stage = *state;
	uint64_t run = play(stage, "after=never stuck=5");
	assert_int_equal(stage_act(stage, QL_ACT_KILL, run), 0);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_true(
		stage_place(stage, run, QL_EVENT_STUCK) < stage_place(stage, run, QL_EVENT_EXITED));
}

static void
something_stays_after_the_exit(void **state)
{
	struct stage *stage = *state;
	uint64_t run = play(stage, "exit=4 linger=5");
	stage_await(stage, run, QL_EVENT_GONE);
	int exited = stage_place(stage, run, QL_EVENT_EXITED);
	int stuck = stage_place(stage, run, QL_EVENT_STUCK);
	assert_true(exited >= 0 && exited < stuck);
	assert_true(stuck < stage_place(stage, run, QL_EVENT_GONE));
}

static void
memory_limit_kills_it(void **state)
{
	struct stage *stage = *state;
	uint64_t run = play(stage, "oom=1");
	const struct ql_event *exited = &stage_await(stage, run, QL_EVENT_EXITED)->event;
	assert_int_equal(exited->exit_signal, SIGKILL);
	assert_int_equal(exited->sent, QL_RUNG_NONE);
	assert_true(exited->flags & QL_RUN_OOM);
}

static void
supervisor_dies(void **state)
{
	struct stage *stage = *state;
	uint64_t run = play(stage, "after=never lost=3");
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_count(stage, run, QL_EVENT_LOST), 1);
}

static void
start_that_is_never_heard_of(void **state)
{
	struct stage *stage = *state;
	uint64_t run = ql_rand_u64();
	words = "start=never";
	stage_start(stage, run, PROGRAM_STAYS, 0, SUITE_PATIENCE_MS);
	assert_int_equal(stage_refused(stage, QL_ACT_INSPECT, run), QL_E_UNAVAILABLE);
	assert_int_equal(stage->seen_count, 0);
	assert_int_equal(stage_act(stage, QL_ACT_KILL, run), 0);
	stage_await(stage, run, QL_EVENT_FAILED_START);
}

static void
unknown_word_fails_the_start(void **state)
{
	struct stage *stage = *state;
	uint64_t run = ql_rand_u64();
	words = "print(1)";
	stage_start(stage, run, PROGRAM_STAYS, 0, SUITE_PATIENCE_MS);
	const struct seen *seen = stage_await(stage, run, QL_EVENT_FAILED_START);
	assert_non_null(strstr(seen->text, "print(1)"));
}

static int64_t
size_of(const struct stage *stage, uint64_t run, const char *name)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/%016llx/%s", stage->keep_dir, (unsigned long long)run,
		name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int64_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	if (fd >= 0)
		close(fd);
	return size;
}

static void
output_and_checkpoint_are_kept(void **state)
{
	struct stage *stage = *state;
	uint64_t run = play(stage, "output=hello checkpoint=1536");
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(size_of(stage, run, "output"), 5);
	assert_int_equal(size_of(stage, run, "index"), 8);
	assert_int_equal(size_of(stage, run, "checkpoint.tar"), -1);
	assert_int_equal(stage_act(stage, QL_ACT_SALVAGE, run), 0);
	stage_await(stage, run, QL_EVENT_SALVAGED);
	assert_int_equal(size_of(stage, run, "checkpoint.tar"), 1536);
}

static void
broken_promises_are_counted(void **state)
{
	struct stage *stage = *state;
	uint64_t run = ql_rand_u64();
	words = "after=never";
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, run), 0);
	stage_await(stage, run, QL_EVENT_ABSENT);
	struct cue *start = stage_start(stage, run, PROGRAM_STAYS, 0, SUITE_PATIENCE_MS);
	assert_int_equal(stage_finish(stage, start), -1);
	violations = 1;
	assert_int_equal(stage_count(stage, run, QL_EVENT_HELD), 0);
}

static void
world_has_one_driver(void **state)
{
	(void)state;
	struct ql_runtime *second;
	struct ql_err e;
	assert_int_equal(ql_runtime_fake_open(place.own, &second, &e), -1);
	assert_int_equal(e.code, QL_E_CONFLICT);
}

#define TEST(test) cmocka_unit_test_prestate_setup_teardown(test, stage_set, stage_clear, &place)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stuck_until_it_is_let_go),
		TEST(stuck_for_a_while),
		TEST(something_stays_after_the_exit),
		TEST(memory_limit_kills_it),
		TEST(supervisor_dies),
		TEST(start_that_is_never_heard_of),
		TEST(unknown_word_fails_the_start),
		TEST(output_and_checkpoint_are_kept),
		TEST(broken_promises_are_counted),
		TEST(world_has_one_driver),
	};
	return cmocka_run_group_tests_name(place.name, tests, NULL, NULL);
}
