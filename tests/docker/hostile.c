/* What goes wrong with a real daemon: it dies, it is silent, it races, and its containers fight back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "daemon.h"
#include "stage.h"

#define STAYS "trap '' TERM; while :; do sleep 1000; done"
#define MANY 10

struct play {
	struct stage stage;
	struct daemon *daemon;
	char ids[MANY][QL_DOCKER_ID];
};

static int
set_by(void **state, const char *label, const char *name)
{
	struct play *play = calloc(1, sizeof(*play));
	assert_non_null(play);
	play->daemon = *state;
	stage_init(&play->stage);
	daemon_attach(play->daemon, &play->stage.loop);
	struct ql_docker_config config = {
		.address.host = play->daemon->host, .label = label, .name = name};
	stage_open(&play->stage, &config);
	*state = play;
	return 0;
}

static int
set(void **state)
{
	return set_by(state, "quell.eval_id={eval_id}", NULL);
}

static int
set_by_both(void **state)
{
	return set_by(state, "quell.eval_id={eval_id}", "eval-{eval_id}.run");
}

static int
clear(void **state)
{
	struct play *play = *state;
	stage_close(&play->stage);
	daemon_detach(play->daemon);
	stage_done(&play->stage);
	*state = play->daemon;
	free(play);
	return 0;
}

static char *
run(struct play *play, int n, const char *script, json_t *config)
{
	daemon_create(play->daemon, NULL, "e-1", script, config, play->ids[n]);
	assert_int_equal(daemon_run(play->daemon, play->ids[n]), 204);
	return play->ids[n];
}

static int
kill_all(struct play *play)
{
	struct cue cue;
	return stage_act(&play->stage, &cue, QL_CONTAINERS_KILL, "e-1");
}

/* ---- the daemon ---- */

static bool
one_is_dead(void *arg)
{
	const struct play *play = arg;
	for (int i = 0; i < MANY; i++) {
		if (!daemon_alive(play->ids[i]))
			return true;
	}
	return false;
}

static void
daemon_dies_during_kills(void **state)
{
	struct play *play = *state;
	struct cue cue;
	for (int i = 0; i < MANY; i++)
		run(play, i, STAYS, NULL);
	stage_submit(&play->stage, &cue, QL_CONTAINERS_KILL, "e-1", STAGE_PATIENCE_MS);
	stage_until(&play->stage, one_is_dead, play);
	daemon_kill(play->daemon);
	/* without a last list nobody knows that none came up meanwhile */
	if (stage_finish(&cue) == 0)
		for (int i = 0; i < MANY; i++)
			assert_int_equal(daemon_alive(play->ids[i]), 0);
	assert_int_equal(kill_all(play), -1);
	daemon_restart(play->daemon);
	while (kill_all(play))
		;
	for (int i = 0; i < MANY; i++)
		assert_int_equal(daemon_alive(play->ids[i]), 0);
}

static bool
is_open(void *arg)
{
	const struct play *play = arg;
	struct ql_dependency health;
	play->stage.containers->ops->health(play->stage.containers, &health, 1);
	return health.state == QL_BREAKER_OPEN;
}

static bool
is_closed(void *arg)
{
	const struct play *play = arg;
	struct ql_dependency health;
	play->stage.containers->ops->health(play->stage.containers, &health, 1);
	return health.state == QL_BREAKER_CLOSED;
}

/* Nobody has to ask for it to be seen, either way. */
static void
breaker_opens_and_closes(void **state)
{
	struct play *play = *state;
	struct cue cue;
	daemon_kill(play->daemon);
	stage_until(&play->stage, is_open, play);
	assert_int_equal(stage_act(&play->stage, &cue, QL_CONTAINERS_FIND, "e-1"), -1);
	assert_int_equal(cue.op.err.code, QL_E_UNAVAILABLE);
	assert_non_null(strstr(cue.op.err.text, "Docker is away"));
	daemon_restart(play->daemon);
	stage_until(&play->stage, is_closed, play);
	assert_int_equal(kill_all(play), 0);
}

static bool
is_dead(void *arg)
{
	return !daemon_alive(arg);
}

/* What came up while nobody heard the events is found by the list after them. */
static void
bans_outlive_the_daemon(void **state)
{
	struct play *play = *state;
	play->stage.containers->ops->ban(play->stage.containers, "e-1", true);
	daemon_kill(play->daemon);
	stage_until(&play->stage, is_open, play);
	daemon_restart(play->daemon);
	daemon_create(play->daemon, NULL, "e-1", STAYS, NULL, play->ids[0]);
	daemon_run(play->daemon, play->ids[0]); /* unless it is gone before that */
	stage_until(&play->stage, is_dead, play->ids[0]);
}

static void
silence_is_no_death(void **state)
{
	struct play *play = *state;
	struct cue cue;
	char *id = run(play, 0, STAYS, NULL);
	assert_int_equal(stage_act(&play->stage, &cue, QL_CONTAINERS_FIND, "e-1"), 0);
	daemon_freeze(play->daemon, true);
	stage_submit(&play->stage, &cue, QL_CONTAINERS_KILL, "e-1", 300);
	assert_int_equal(stage_finish(&cue), -1);
	assert_int_equal(cue.op.err.code, QL_E_TIMEOUT);
	assert_int_not_equal(daemon_alive(id), 0);
	daemon_freeze(play->daemon, false);
	assert_int_equal(kill_all(play), 0);
	assert_int_equal(daemon_alive(id), 0);
}

/* ---- containers ---- */

static void
paused_ones_die(void **state)
{
	struct play *play = *state;
	char *id = run(play, 0, STAYS, NULL);
	assert_int_equal(
		daemon_ask(play->daemon, "POST", NULL, NULL, "/containers/%s/pause", id), 204);
	assert_int_equal(kill_all(play), 0);
	assert_int_equal(daemon_alive(id), 0);
}

struct restarts {
	struct play *play;
	int want;
};

static bool
restarted(void *arg)
{
	const struct restarts *restarts = arg;
	struct play *play = restarts->play;
	json_t *json = NULL;
	daemon_ask(play->daemon, "GET", NULL, &json, "/containers/%s/json", play->ids[0]);
	json_int_t count = json_integer_value(json_object_get(json, "RestartCount"));
	json_decref(json);
	return count >= restarts->want;
}

/* Between two lives there is nothing to kill: only disarming it ends that. */
static void
crash_loops_end(void **state)
{
	struct play *play = *state;
	struct restarts twice = {play, 2};
	char *id =
		run(play, 0, "exit 1", json_pack("{s:{s:s}}", "RestartPolicy", "Name", "always"));
	stage_until(&play->stage, restarted, &twice);
	assert_int_equal(kill_all(play), 0);
	struct ql_docker_state before, after;
	struct cue cue;
	assert_int_equal(daemon_look(play->daemon, id, &before), 0);
	assert_false(before.running || before.restarting || before.armed);
	run(play, 1, "exit 0", NULL); /* time enough for another one */
	assert_int_equal(stage_act(&play->stage, &cue, QL_CONTAINERS_KILL, "e-1"), 0);
	assert_int_equal(daemon_look(play->daemon, id, &after), 0);
	assert_string_equal(before.started, after.started);
}

/* The whole container dies, not its first process alone. */
static void
families_die(void **state)
{
	struct play *play = *state;
	char *id = run(play, 0,
		"for i in 1 2 3 4 5 6 7 8; do sh -c \"trap '' TERM; while :; do sleep 1000; "
		"done\" & done; wait",
		NULL);
	assert_int_equal(kill_all(play), 0);
	assert_int_equal(daemon_alive(id), 0);
}

/* The host's PID namespace: the end of the first process ends no other. */
static void
namespaceless_ones_die(void **state)
{
	struct play *play = *state;
	char *id = run(
		play, 0, "sleep 1000 & sleep 1000 & wait", json_pack("{s:s}", "PidMode", "host"));
	assert_int_equal(kill_all(play), 0);
	assert_int_equal(daemon_alive(id), 0);
}

static void
memory_limits_are_told(void **state)
{
	struct play *play = *state;
	struct cue cue;
	struct ql_docker_state seen = {.running = true};
	char *id = run(play, 0, "exec busybox tail /dev/zero",
		json_pack("{s:i, s:i}", "Memory", 8 << 20, "MemorySwap", 8 << 20));
	while (seen.running)
		assert_int_equal(daemon_look(play->daemon, id, &seen), 0);
	assert_int_equal(stage_act(&play->stage, &cue, QL_CONTAINERS_FIND, "e-1"), 0);
	assert_true(cue.found.oom);
	assert_int_equal(cue.found.exit_code, 137);
}

static void
one_that_removes_itself_is_dead_too(void **state)
{
	struct play *play = *state;
	struct cue cue;
	char *id = run(play, 0, STAYS, json_pack("{s:b}", "AutoRemove", 1));
	assert_int_equal(stage_act(&play->stage, &cue, QL_CONTAINERS_KILL, "e-1"), 0);
	assert_int_equal(cue.op.unasked, 0);
	assert_int_equal(daemon_alive(id), 0);
}

/* More than are ended at once. */
static void
crowds_are_ended_in_rounds(void **state)
{
	struct play *play = *state;
	struct cue cue;
	char id[QL_DOCKER_ID];
	for (int i = 0; i < QL_CONTAINERS_MAX + 6; i++)
		daemon_create(play->daemon, NULL, "e-1", STAYS, NULL, id);
	run(play, 0, STAYS, NULL);
	assert_int_equal(stage_act(&play->stage, &cue, QL_CONTAINERS_KILL, "e-1"), 0);
	assert_int_equal(cue.count, QL_CONTAINERS_MAX + 7);
	assert_int_equal(stage_act(&play->stage, &cue, QL_CONTAINERS_FIND, "e-1"), 0);
	assert_int_equal(cue.count, 1);
	assert_int_equal(daemon_alive(play->ids[0]), 0);
}

/* ---- a start that is under way ---- */

struct start {
	struct ql_docker_call call;
	bool done;
};

static void
started(struct ql_docker_call *call, int status)
{
	struct start *start = call->owner;
	(void)status;
	start->done = true;
}

static void
ask_start(struct play *play, struct start *start)
{
	*start = (struct start){.call = {.done = started, .owner = start}};
	assert_int_equal(ql_docker_ask(play->daemon->docker, &start->call, "POST", NULL,
				 QL_DOCKER_SLOW_MS, "/containers/%s/start", play->ids[0]),
		0);
}

/* Whichever comes first: once it is said to be dead it does not run, also when the start has replied. */
static void
kills_win_over_starts(void **state)
{
	struct play *play = *state;
	for (int i = 0; i < 8; i++) {
		struct start start;
		struct cue cue;
		daemon_create(play->daemon, NULL, "e-1", STAYS, NULL, play->ids[0]);
		if (i % 2)
			ask_start(play, &start);
		stage_submit(&play->stage, &cue, QL_CONTAINERS_KILL, "e-1", STAGE_PATIENCE_MS);
		if (i % 2 == 0)
			ask_start(play, &start);
		assert_int_equal(stage_finish(&cue), 0);
		assert_int_equal(daemon_alive(play->ids[0]), 0);
		while (!start.done)
			stage_turn(&play->stage);
		assert_int_equal(daemon_alive(play->ids[0]), 0);
	}
}

/* ---- names ---- */

static void
names_are_taken_literally(void **state)
{
	struct play *play = *state;
	struct cue cue;
	char one[QL_DOCKER_ID], other[QL_DOCKER_ID], labelled[QL_DOCKER_ID];
	daemon_create(play->daemon, "eval-e.1.run", NULL, STAYS, NULL, one);
	daemon_create(play->daemon, "eval-eX1.run", NULL, STAYS, NULL, other);
	daemon_create(play->daemon, "eval-e.1.runs", NULL, STAYS, NULL, other);
	daemon_create(play->daemon, NULL, "e.1", STAYS, NULL, labelled);
	assert_int_equal(stage_act(&play->stage, &cue, QL_CONTAINERS_FIND, "e.1"), 0);
	assert_int_equal(cue.count, 2);
	assert_int_equal(stage_act(&play->stage, &cue, QL_CONTAINERS_FIND, NULL), 0);
	assert_int_equal(cue.count, 3);
	assert_int_equal(stage_act(&play->stage, &cue, QL_CONTAINERS_KILL, "e.1"), 0);
	assert_int_equal(daemon_run(play->daemon, one), 404);
	assert_int_equal(daemon_run(play->daemon, labelled), 404);
	assert_int_equal(daemon_run(play->daemon, other), 204);
}

#define PLAY(name) cmocka_unit_test_prestate_setup_teardown(name, set, clear, &daemon)

int
main(void)
{
	static struct daemon daemon;
	const char *missing = daemon_missing();
	if (missing) {
		printf("1..0 # SKIP %s\n", missing);
		return 0;
	}
	const struct CMUnitTest hostile[] = {
		PLAY(daemon_dies_during_kills),
		PLAY(breaker_opens_and_closes),
		PLAY(bans_outlive_the_daemon),
		PLAY(silence_is_no_death),
		PLAY(paused_ones_die),
		PLAY(crash_loops_end),
		PLAY(families_die),
		PLAY(namespaceless_ones_die),
		PLAY(memory_limits_are_told),
		PLAY(one_that_removes_itself_is_dead_too),
		PLAY(crowds_are_ended_in_rounds),
		PLAY(kills_win_over_starts),
		cmocka_unit_test_prestate_setup_teardown(
			names_are_taken_literally, set_by_both, clear, &daemon),
	};
	daemon_start(&daemon);
	int failed = cmocka_run_group_tests(hostile, NULL, NULL);
	daemon_stop(&daemon);
	return failed;
}
