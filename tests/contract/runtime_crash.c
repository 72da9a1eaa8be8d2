/*
 * The sandbox when something dies that should not: the server (its driver is closed and another
 * one opened on the same folder), supervisors, and both, at any moment. No run, no status and no
 * byte may be lost that anybody could have known.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rand.h"
#include "runner/proto.h"
#include "runtime/sandbox/errand.h"
#include "runtime_den.h"
#include "runtime_stage.h"

static struct den den;
static const char *script; /* played instead of the program, when set */

static void
setup(struct suite_place *it, uv_loop_t *loop)
{
	script = NULL;
	den_setup(it, loop);
}

static void
cast(struct suite_place *it, enum suite_program program, struct ql_launch *launch)
{
	static const char *argv[4] = {"sh", "-c"};
	den_cast(it, program, launch);
	argv[2] = script;
	if (script)
		launch->argv = argv;
}

static struct suite_place place = {
	.name = "runtime crash",
	.own = &den,
	.setup = setup,
	.open = den_open,
	.cast = cast,
	.lose = den_lose,
	.teardown = den_teardown,
};

static void
crash_server(struct stage *stage)
{
	stage_close_driver(stage);
	stage_open_driver(stage);
	stage_forget_seen(stage);
}

static void
read_output(const struct stage *stage, uint64_t run, char *ret_text, size_t size)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%016llx/output", stage->keep_dir, (unsigned long long)run);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	ssize_t len = read(fd, ret_text, size - 1);
	assert_true(len >= 0);
	ret_text[len] = 0;
	close(fd);
}

#define LINES 60

static void
no_byte_is_lost_with_the_server(void **state)
{
	struct stage *stage = *state;
	char wanted[LINES * 4] = "", kept[LINES * 4];
	for (int i = 1; i <= LINES; i++)
		snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), "%d\n", i);
	script = "i=0; while test $i -lt 60; do i=$((i + 1)); echo $i; sleep 0.01; done; exit 9";
	uint64_t run = stage_run(stage, PROGRAM_EXIT_3);
	for (int64_t bytes = 6; bytes < (int64_t)strlen(wanted); bytes += 30) {
		stage_await_output(stage, run, bytes);
		crash_server(stage);
		assert_int_equal(stage_act(stage, QL_ACT_INSPECT, run), 0);
	}
	stage_await(stage, run, QL_EVENT_GONE);
	const struct ql_event *exited = &stage_await(stage, run, QL_EVENT_EXITED)->event;
	assert_int_equal(exited->exit_code, 9);
	assert_int_equal(exited->output_bytes, strlen(wanted));
	read_output(stage, run, kept, sizeof(kept));
	assert_string_equal(kept, wanted);
}

/* As the supervisor wrote it, without asking it. */
static bool
is_written_gone(struct stage *stage, void *arg)
{
	char path[128], folder[QL_RUN_NAME];
	struct ql_runner_status status = {0};
	(void)stage;
	ql_run_name(*(const uint64_t *)arg, folder);
	snprintf(path, sizeof(path), "%s/%s/%s", den.run_dir, folder, QL_RUNNER_STATUS);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, &status, sizeof(status)), sizeof(status));
	close(fd);
	return status.truth.phase == QL_RUNNER_GONE;
}

static void
end_meanwhile_is_known(void **state)
{
	struct stage *stage = *state;
	script = "echo ready; sleep 0.05; exit 5";
	uint64_t run = stage_run(stage, PROGRAM_STAYS);
	stage_close_driver(stage);
	stage_await_pulse(stage, is_written_gone, &run);
	stage_open_driver(stage);
	stage_forget_seen(stage);
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, run), 0);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_await(stage, run, QL_EVENT_EXITED)->event.exit_code, 5);
}

static void
supervisor_killed_while_the_server_is_away(void **state)
{
	struct stage *stage = *state;
	uint64_t held = stage_hold(stage, PROGRAM_STAYS);
	uint64_t running = stage_run(stage, PROGRAM_IGNORES_TERM);
	stage_close_driver(stage);
	den_lose(&place, held);
	den_lose(&place, running);
	stage_open_driver(stage);
	stage_forget_seen(stage);
	assert_true(stage_listed(stage, held) && stage_listed(stage, running));
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, running), 0);
	assert_int_equal(stage_act(stage, QL_ACT_KILL, held), 0);
	stage_await(stage, running, QL_EVENT_GONE);
	stage_await(stage, held, QL_EVENT_GONE);
	const struct ql_event *lost = &stage_await(stage, running, QL_EVENT_LOST)->event;
	assert_false(lost->flags & QL_RUN_UNSTARTED);
	lost = &stage_await(stage, held, QL_EVENT_LOST)->event;
	assert_true(lost->flags & QL_RUN_UNSTARTED);
}

static void
status_outlives_its_supervisor(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_EXIT_3);
	stage_await(stage, run, QL_EVENT_GONE);
	den_lose(&place, run);
	stage_forget_seen(stage);
	stage_act(stage, QL_ACT_INSPECT, run);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_await(stage, run, QL_EVENT_EXITED)->event.exit_code, 3);
	assert_int_equal(stage_count(stage, run, QL_EVENT_LOST), 0);
	assert_int_equal(stage_act(stage, QL_ACT_FORGET, run), 0);
}

static void
start_of_a_run_that_outlived_the_server(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_STAYS);
	pid_t supervisor = den_supervisor(&den, run);
	crash_server(stage);
	struct cue *again = stage_start(stage, run, PROGRAM_EXIT_3, 0, SUITE_PATIENCE_MS);
	assert_int_equal(stage_finish(stage, again), 0);
	stage_await(stage, run, QL_EVENT_RUNNING);
	assert_int_equal(stage_count(stage, run, QL_EVENT_HELD), 0);
	assert_int_equal(den_supervisor(&den, run), supervisor);
}

static void
make_file(uint64_t run, const char *name)
{
	char path[128], folder[QL_RUN_NAME];
	ql_run_name(run, folder);
	snprintf(path, sizeof(path), "%s/%s", den.run_dir, folder);
	assert_true(mkdir(path, 0700) == 0 || access(path, F_OK) == 0);
	snprintf(path, sizeof(path), "%s/%s/%s", den.run_dir, folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

/* The server died between the folder and the supervisor. */
static void
start_cut_short_is_absent(void **state)
{
	struct stage *stage = *state;
	uint64_t looked_at = ql_rand_u64(), purged = ql_rand_u64(), started = ql_rand_u64();
	const uint64_t runs[] = {looked_at, purged, started};
	for (size_t i = 0; i < 3; i++) {
		make_file(runs[i], "lock");
		make_file(runs[i], "spec");
		make_file(runs[i], "status.new");
		assert_true(stage_listed(stage, runs[i]));
	}
	assert_int_equal(stage_act(stage, QL_ACT_INSPECT, looked_at), 0);
	stage_await(stage, looked_at, QL_EVENT_ABSENT);
	assert_false(stage_listed(stage, looked_at));
	assert_int_equal(stage_purge(stage, purged), 0);
	assert_false(stage_listed(stage, purged));
	stage_finish(stage, stage_start(stage, started, PROGRAM_STAYS, 0, SUITE_PATIENCE_MS));
	stage_await(stage, started, QL_EVENT_HELD);
}

/* What we did not put there we do not remove: it is said, not guessed. */
static void
foreign_files_are_left_alone(void **state)
{
	struct stage *stage = *state;
	uint64_t run = ql_rand_u64();
	char path[128], folder[QL_RUN_NAME];
	make_file(run, "somebody's");
	assert_int_equal(stage_refused(stage, QL_ACT_INSPECT, run), QL_E_SYSTEM);
	assert_int_equal(stage_count(stage, run, QL_EVENT_ABSENT), 0);
	ql_run_name(run, folder);
	snprintf(path, sizeof(path), "%s/%s/somebody's", den.run_dir, folder);
	assert_int_equal(unlink(path), 0);
}

static void
stopped_supervisor_is_waited_for(void **state)
{
	struct stage *stage = *state;
	uint64_t run = stage_run(stage, PROGRAM_STAYS);
	pid_t supervisor = den_supervisor(&den, run);
	assert_int_equal(kill(supervisor, SIGSTOP), 0);
	struct cue *cue = stage_submit_for(stage, QL_ACT_KILL, run, 50);
	stage_finish(stage, cue);
	assert_int_equal(cue->op.err.code, QL_E_TIMEOUT);
	assert_int_equal(stage_count(stage, run, QL_EVENT_EXITED), 0);
	assert_int_equal(kill(supervisor, SIGCONT), 0);
	stage_await(stage, run, QL_EVENT_GONE);
	assert_int_equal(stage_await(stage, run, QL_EVENT_EXITED)->event.exit_signal, SIGKILL);
}

static void
limit_descriptors(rlim_t most)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = most;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* A shortage is refused, not told as the run's failure; and the same start works later. */
static void
start_without_descriptors_is_refused(void **state)
{
	struct stage *stage = *state;
	struct rlimit before;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	int lowest = dup(0);
	close(lowest);
	for (int spare = 0; spare < 8; spare++) {
		uint64_t run = ql_rand_u64();
		limit_descriptors((rlim_t)(lowest + spare));
		struct cue *start = stage_start(stage, run, PROGRAM_STAYS, 0, SUITE_PATIENCE_MS);
		int status = stage_finish(stage, start);
		limit_descriptors(before.rlim_cur);
		assert_true(spare > 0 || status == -1);
		if (!status)
			continue;
		assert_int_equal(start->op.err.sys, EMFILE);
		assert_false(stage_listed(stage, run));
		stage_start(stage, run, PROGRAM_STAYS, 0, SUITE_PATIENCE_MS);
		stage_await(stage, run, QL_EVENT_HELD);
		assert_int_equal(stage_count(stage, run, QL_EVENT_FAILED_START), 0);
	}
}

/* Ctrl-C, a hang-up of the terminal, a kill of the server's group: none of it reaches a run. */
static void
supervisor_has_a_session_of_its_own(void **state)
{
	struct stage *stage = *state;
	pid_t supervisor = den_supervisor(&den, stage_hold(stage, PROGRAM_STAYS));
	assert_int_equal(getsid(supervisor), supervisor);
}

#define HELD 20

static void
descriptors_are_few(void **state)
{
	struct stage *stage = *state;
	int before = den_descriptors();
	for (int i = 0; i < HELD; i++)
		stage_hold(stage, PROGRAM_STAYS);
	assert_true(den_descriptors() <= before + 2 * HELD);
}

/* ---- at any moment ---- */

#define STORM 40

static bool
is_settled(const struct stage *stage, uint64_t run)
{
	return stage_count(stage, run, QL_EVENT_GONE) || stage_count(stage, run, QL_EVENT_ABSENT) ||
	       stage_count(stage, run, QL_EVENT_FAILED_START);
}

/* Says which one is not, once it is too late. */
static bool
all_settled(struct stage *stage, void *arg)
{
	const uint64_t *runs = arg;
	for (int i = 0; i < STORM; i++) {
		if (is_settled(stage, runs[i]))
			continue;
		if (stage->impatient)
			print_message("# %016llx is not settled\n", (unsigned long long)runs[i]);
		return false;
	}
	return true;
}

static void
strike(struct stage *stage, const uint64_t *runs, int count)
{
	uint64_t dice = ql_rand_u64();
	uint64_t run = runs[dice % (uint64_t)count];
	pid_t supervisor;
	switch (dice >> 32 & 7) {
	case 0:
		crash_server(stage);
		break;
	case 1:
	case 2:
		supervisor = den_supervisor(&den, run);
		if (supervisor > 1)
			kill(supervisor, SIGKILL);
		break;
	case 3:
		stage_submit(stage, QL_ACT_KILL, run);
		break;
	case 4:
		stage_submit(stage, QL_ACT_TERMINATE, run);
		break;
	default:
		stage_submit(stage, QL_ACT_RELEASE, run);
		break;
	}
	for (uint64_t turns = dice >> 40 & 15; turns; turns--)
		uv_run(&stage->loop, UV_RUN_NOWAIT);
}

/* Each ends as one thing, and nothing is left of any: stage_clear and den_teardown look. */
static void
any_of_them_at_any_moment(void **state)
{
	struct stage *stage = *state;
	uint64_t runs[STORM];
	for (int i = 0; i < STORM; i++) {
		runs[i] = ql_rand_u64();
		stage_start(stage, runs[i], i % 2 ? PROGRAM_STAYS : PROGRAM_EXIT_3, i,
			SUITE_PATIENCE_MS);
		strike(stage, runs, i + 1);
		strike(stage, runs, i + 1);
	}
	stage_finish_all(stage);
	crash_server(stage);
	for (int i = 0; i < STORM; i++) {
		stage_submit(stage, QL_ACT_INSPECT, runs[i]);
		stage_submit(stage, QL_ACT_KILL, runs[i]);
	}
	stage_until(stage, all_settled, runs);
	int ends[QL_EVENT_COUNT] = {0};
	for (int i = 0; i < STORM; i++) {
		int exited = stage_count(stage, runs[i], QL_EVENT_EXITED);
		int lost = stage_count(stage, runs[i], QL_EVENT_LOST);
		if (stage_count(stage, runs[i], QL_EVENT_GONE))
			assert_int_equal((exited > 0) + (lost > 0), 1);
		ends[QL_EVENT_EXITED] += exited > 0;
		ends[QL_EVENT_LOST] += lost > 0;
		ends[QL_EVENT_ABSENT] += stage_count(stage, runs[i], QL_EVENT_ABSENT) > 0;
		ends[QL_EVENT_FAILED_START] +=
			stage_count(stage, runs[i], QL_EVENT_FAILED_START) > 0;
	}
	print_message("# exited %d, lost %d, absent %d, failed start %d\n", ends[QL_EVENT_EXITED],
		ends[QL_EVENT_LOST], ends[QL_EVENT_ABSENT], ends[QL_EVENT_FAILED_START]);
}

#define TEST(test) cmocka_unit_test_prestate_setup_teardown(test, stage_set, stage_clear, &place)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(no_byte_is_lost_with_the_server),
		TEST(end_meanwhile_is_known),
		TEST(supervisor_killed_while_the_server_is_away),
		TEST(status_outlives_its_supervisor),
		TEST(start_of_a_run_that_outlived_the_server),
		TEST(start_cut_short_is_absent),
		TEST(foreign_files_are_left_alone),
		TEST(stopped_supervisor_is_waited_for),
		TEST(start_without_descriptors_is_refused),
		TEST(supervisor_has_a_session_of_its_own),
		TEST(descriptors_are_few),
		TEST(any_of_them_at_any_moment),
	};
	if (argc != 2)
		return 2;
	den.runner = argv[1];
	return cmocka_run_group_tests_name(place.name, tests, NULL, NULL);
}
