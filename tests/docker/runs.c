/* Runs in Docker: what a program sees there, and what comes of a daemon or a host that goes away. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../contract/runtime_stage.h"
#include "base/keep.h"
#include "base/rand.h"
#include "house.h"
#include "runtime/docker/run.h"

struct inn {
	struct house house; /* first */
	struct ql_launch launch; /* what a play changes of the next one */
	const char *argv[4];
};

/* ---- the place ---- */

static void
setup(struct suite_place *place, uv_loop_t *loop)
{
	struct inn *inn = place->own;
	inn->launch = (struct ql_launch){0};
	house_setup(place, loop);
}

static void
cast(struct suite_place *place, enum suite_program program, struct ql_launch *launch)
{
	const struct inn *inn = place->own;
	(void)program;
	launch->argv = inn->launch.argv;
	launch->code = inn->launch.code;
	launch->code_len = launch->code ? strlen(launch->code) : 0;
	launch->code_name = inn->launch.code_name;
	launch->checkpoint = inn->launch.checkpoint;
	launch->env = inn->launch.env;
	if (inn->launch.output_max)
		launch->output_max = inn->launch.output_max;
}

/* ---- plays ---- */

static struct inn *
inn_of(struct stage *stage)
{
	return stage->place->own;
}

static void
script(struct stage *stage, const char *text)
{
	struct inn *inn = inn_of(stage);
	inn->argv[0] = "sh";
	inn->argv[1] = "-c";
	inn->argv[2] = text;
	inn->launch.argv = inn->argv;
}

static uint64_t
start(struct stage *stage, const char *text)
{
	uint64_t run = ql_rand_u64();
	script(stage, text);
	assert_int_equal(
		stage_finish(stage, stage_start(stage, run, PROGRAM_STAYS, 0, SUITE_PATIENCE_MS)),
		0);
	stage_await(stage, run, QL_EVENT_HELD);
	assert_int_equal(stage_act(stage, QL_ACT_RELEASE, run), 0);
	stage_await(stage, run, QL_EVENT_RUNNING);
	return run;
}

static const struct ql_event *
finish(struct stage *stage, uint64_t run)
{
	stage_await(stage, run, QL_EVENT_GONE);
	return &stage_await(stage, run, QL_EVENT_EXITED)->event;
}

static void
read_output(struct stage *stage, uint64_t run, char *ret_text, size_t size)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/%016llx/" QL_KEEP_OUTPUT, stage->keep_dir,
		(unsigned long long)run);
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	ssize_t n = read(fd, ret_text, size - 1);
	close(fd);
	ret_text[n > 0 ? n : 0] = 0;
}

static void
programs_have_no_rights(void **state)
{
	struct stage *stage = *state;
	char text[4096];
	uint64_t run = start(stage,
		"busybox grep -E '^(CapEff|CapBnd|NoNewPrivs|Uid|Seccomp):' /proc/self/status; "
		"echo x > /nowhere || echo read-only; echo x > /tmp/y && echo tmp; echo x > y && "
		"echo work; busybox ip -o link | busybox wc -l; busybox pwd");
	assert_int_equal(finish(stage, run)->exit_code, 0);
	read_output(stage, run, text, sizeof(text));
	static const char *const wanted[] = {"CapEff:\t0000000000000000",
		"CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Uid:\t65534", "Seccomp:\t2",
		"read-only", "tmp\n", "work\n", "\n1\n", "/work\n"};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		if (!strstr(text, wanted[i]))
			fail_msg("no %s in:\n%s", wanted[i], text);
	}
}

static void
programs_find_what_is_theirs(void **state)
{
	struct stage *stage = *state;
	struct inn *inn = inn_of(stage);
	char text[4096];
	static const char *const env[] = {"MINE=a b=c", NULL};
	inn->launch.code = "echo \"from $0: $MINE $QUELL_EVAL_ID $QUELL_ATTEMPT\"; echo no >&2\n";
	inn->launch.code_name = "main.sh";
	inn->launch.env = env;
	uint64_t run = start(stage, "exec sh main.sh");
	assert_int_equal(finish(stage, run)->exit_code, 0);
	read_output(stage, run, text, sizeof(text));
	assert_non_null(strstr(text, "from main.sh: a b=c contract 1\n"));
	assert_non_null(strstr(text, "no\n"));
}

static void
checkpoints_go_on(void **state)
{
	struct stage *stage = *state;
	struct inn *inn = inn_of(stage);
	char path[160], text[256];
	uint64_t first = start(stage, "echo one > $QUELL_CHECKPOINT/a; mkdir $QUELL_CHECKPOINT/d");
	finish(stage, first);
	assert_int_equal(stage_act(stage, QL_ACT_SALVAGE, first), 0);
	assert_true(stage_await(stage, first, QL_EVENT_SALVAGED)->event.checkpoint_bytes > 0);
	snprintf(path, sizeof(path), "%s/%016llx/" QL_KEEP_CHECKPOINT, stage->keep_dir,
		(unsigned long long)first);
	inn->launch.checkpoint = path;
	uint64_t second = start(stage, "cat $QUELL_CHECKPOINT/a; echo two >> $QUELL_CHECKPOINT/a "
				       "&& cat $QUELL_CHECKPOINT/a");
	assert_int_equal(finish(stage, second)->exit_code, 0);
	read_output(stage, second, text, sizeof(text));
	assert_string_equal(text, "one\none\ntwo\n");
	uint64_t bare = start(stage, "rm -r $QUELL_CHECKPOINT/*");
	finish(stage, bare);
	assert_int_equal(stage_act(stage, QL_ACT_SALVAGE, bare), 0);
	assert_int_equal(stage_await(stage, bare, QL_EVENT_SALVAGED)->event.checkpoint_bytes, -1);
}

static void
missing_commands_are_said(void **state)
{
	struct stage *stage = *state;
	struct inn *inn = inn_of(stage);
	char text[1024];
	uint64_t run = ql_rand_u64();
	inn->argv[0] = "no-such-command";
	inn->argv[1] = NULL;
	inn->launch.argv = inn->argv;
	stage_finish(stage, stage_start(stage, run, PROGRAM_STAYS, 0, SUITE_PATIENCE_MS));
	assert_int_equal(stage_act(stage, QL_ACT_RELEASE, run), 0);
	assert_int_equal(finish(stage, run)->exit_code, 127);
	read_output(stage, run, text, sizeof(text));
	assert_non_null(strstr(text, "no-such-command"));
}

static void
output_has_a_bound(void **state)
{
	struct stage *stage = *state;
	char text[64];
	inn_of(stage)->launch.output_max = 10;
	uint64_t run = start(stage, "yes | head -c 100000");
	const struct ql_event *exited = finish(stage, run);
	assert_int_equal(exited->output_bytes, 10);
	assert_true(exited->output_truncated);
	read_output(stage, run, text, sizeof(text));
	assert_string_equal(text, "y\ny\ny\ny\ny\n");
}

static void
memory_limits_hold(void **state)
{
	struct stage *stage = *state;
	uint64_t run = start(stage, "busybox tail /dev/zero; exit $?");
	const struct ql_event *exited = finish(stage, run);
	assert_true(exited->flags & QL_RUN_OOM);
}

static void
stopped_programs_terminate(void **state)
{
	struct stage *stage = *state;
	uint64_t run =
		start(stage, "trap 'exit 9' TERM; echo ready; kill -STOP $$; sleep 1000 & wait");
	stage_await_output(stage, run, 6);
	assert_int_equal(stage_act(stage, QL_ACT_TERMINATE, run), 0);
	const struct ql_event *exited = finish(stage, run);
	assert_int_equal(exited->exit_code, 9);
	assert_true(exited->flags & QL_RUN_CATCHES_TERM);
}

static void
an_image_is_needed(void **state)
{
	struct stage *stage = *state;
	uint64_t run = ql_rand_u64();
	stage_close_driver(stage);
	inn_of(stage)->house.image = NULL;
	stage_open_driver(stage);
	script(stage, "exit 0");
	stage_start(stage, run, PROGRAM_STAYS, 0, SUITE_PATIENCE_MS);
	assert_non_null(
		strstr(stage_await(stage, run, QL_EVENT_FAILED_START)->text, "--docker-image"));
	stage_finish_all(stage);
}

/* ---- what goes away ---- */

static void
removed_by_others_is_lost_or_killed(void **state)
{
	struct stage *stage = *state;
	uint64_t run = start(stage, "echo ready; exec sleep 1000");
	char path[96];
	snprintf(path, sizeof(path), "/containers/quell-%016llx?force=1", (unsigned long long)run);
	assert_int_equal(
		daemon_ask(&inn_of(stage)->house.daemon, "DELETE", NULL, NULL, "%s", path), 204);
	stage_await(stage, run, QL_EVENT_GONE);
	int lost = stage_count(stage, run, QL_EVENT_LOST);
	int killed = stage_count(stage, run, QL_EVENT_EXITED);
	assert_int_equal(lost + killed, 1);
}

/* A dockerd that comes back ends what it finds running: its output and its end are still known. */
static void
a_dead_daemon_loses_nothing(void **state)
{
	struct stage *stage = *state;
	char text[64];
	uint64_t run = start(stage, "echo ready; exec sleep 1000");
	stage_await_output(stage, run, 6);
	daemon_kill(&inn_of(stage)->house.daemon);
	assert_int_equal(stage_refused(stage, QL_ACT_INSPECT, run) != QL_E_OK, 1);
	daemon_restart(&inn_of(stage)->house.daemon);
	const struct ql_event *exited = finish(stage, run);
	assert_true(exited->exit_signal == SIGTERM || exited->exit_signal == SIGKILL);
	assert_int_equal(exited->sent, QL_RUNG_NONE);
	read_output(stage, run, text, sizeof(text));
	assert_string_equal(text, "ready\n");
}

static int
ask_start(struct stage *stage, uint64_t run)
{
	return stage_finish(stage, stage_start(stage, run, PROGRAM_STAYS, 0, SUITE_PATIENCE_MS));
}

/* It fails for no reason of its own: it is made when its start is asked for again. */
static void
a_start_waits_for_a_dead_daemon(void **state)
{
	struct stage *stage = *state;
	char text[64];
	uint64_t run = ql_rand_u64(), given_up = ql_rand_u64();
	script(stage, "echo ready");
	daemon_kill(&inn_of(stage)->house.daemon);
	assert_int_not_equal(ask_start(stage, run), 0);
	assert_int_not_equal(ask_start(stage, given_up), 0);
	daemon_restart(&inn_of(stage)->house.daemon);
	assert_int_not_equal(stage_refused(stage, QL_ACT_INSPECT, run), QL_E_OK);
	assert_int_equal(stage_count(stage, run, QL_EVENT_FAILED_START), 0);
	while (ask_start(stage, run))
		;
	stage_await(stage, run, QL_EVENT_HELD);
	assert_int_equal(stage_act(stage, QL_ACT_RELEASE, run), 0);
	assert_int_equal(finish(stage, run)->exit_code, 0);
	read_output(stage, run, text, sizeof(text));
	assert_string_equal(text, "ready\n");
	(void)!stage_act(stage, QL_ACT_KILL, given_up);
	stage_await(stage, given_up, QL_EVENT_FAILED_START);
}

/* The boot that its record names is over. */
static void
another_boot_is_the_end(void **state)
{
	struct stage *stage = *state;
	char path[160];
	uint64_t run = start(stage, "echo ready; exec sleep 1000");
	stage_close_driver(stage);
	snprintf(path, sizeof(path), "%s/%016llx/record", inn_of(stage)->house.run_dir,
		(unsigned long long)run);
	int fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, offsetof(struct ql_docker_record, boot_id)), 1);
	close(fd);
	stage_open_driver(stage);
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, run), 0);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_count(stage, run, QL_EVENT_LOST), 1);
	assert_int_equal(stage_count(stage, run, QL_EVENT_EXITED), 0);
}

#define PLAY(play) cmocka_unit_test_prestate_setup_teardown(play, stage_set, stage_clear, &place)

int
main(void)
{
	static struct inn inn;
	struct suite_place place = {
		.name = "docker runs",
		.own = &inn,
		.setup = setup,
		.open = house_open,
		.cast = cast,
		.teardown = house_teardown,
	};
	const char *missing = daemon_missing();
	if (missing) {
		printf("1..0 # SKIP %s\n", missing);
		return 0;
	}
	const struct CMUnitTest runs[] = {
		PLAY(programs_have_no_rights),
		PLAY(programs_find_what_is_theirs),
		PLAY(checkpoints_go_on),
		PLAY(missing_commands_are_said),
		PLAY(output_has_a_bound),
		PLAY(memory_limits_hold),
		PLAY(stopped_programs_terminate),
		PLAY(an_image_is_needed),
		PLAY(removed_by_others_is_lost_or_killed),
		PLAY(a_dead_daemon_loses_nothing),
		PLAY(a_start_waits_for_a_dead_daemon),
		PLAY(another_boot_is_the_end),
	};
	daemon_start(&inn.house.daemon);
	int failed = cmocka_run_group_tests(runs, NULL, NULL);
	daemon_stop(&inn.house.daemon);
	return failed;
}
