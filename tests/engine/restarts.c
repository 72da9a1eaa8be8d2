/*
 * The server ends and starts again, or dies, at each commit of a life: when it is asked for, and
 * when it is durable and nobody was told. Runs go on meanwhile. The end is the same each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/story.h"

enum end { RESTART, CRASH_BEFORE, CRASH_AFTER };

struct how {
	const char *store;
	enum end end;
};

static void
ends_at(int number, void *arg)
{
	const struct how *how = arg;
	struct kit kit = {.forked = true};
	story_begin(&kit, how->store);
	if (how->end == RESTART)
		kit.restart_at = number;
	else if (how->end == CRASH_BEFORE)
		kit.book.cut_before = number;
	else
		kit.book.cut_after = number;
	story_tell(&kit);
	if (!kit.restarts)
		fprintf(stderr, "# commit %d never came\n", number);
	kit_close(&kit);
	if (how->end != RESTART)
		_exit(0); /* what the dead one held is nobody's to free */
}

static void
sweep(struct how *how, const char *what)
{
	int commits = story_commits(how->store);
	int failed = kit_cases(commits, ends_at, how);
	print_message("# %s at each of %d commits: %d went wrong\n", what, commits, failed);
	assert_int_equal(failed, 0);
}

static void
restarted_at_each_commit(void **state)
{
	(void)state;
	sweep(&(struct how){.store = "memory", .end = RESTART}, "restarted");
}

static void
dead_before_each_commit(void **state)
{
	(void)state;
	sweep(&(struct how){.store = "memory", .end = CRASH_BEFORE}, "dead before");
}

static void
dead_after_each_commit(void **state)
{
	(void)state;
	sweep(&(struct how){.store = "memory", .end = CRASH_AFTER}, "dead after");
}

static void
dead_on_sqlite(void **state)
{
	(void)state;
	sweep(&(struct how){.store = "sqlite", .end = CRASH_AFTER}, "dead after, on sqlite,");
}

/* Runs that nobody has on record are ended; what has a record is not touched. */
static void
what_has_no_record_is_purged(void **state)
{
	(void)state;
	struct kit kit = {0};
	story_begin(&kit, "memory");
	ask_as("alice");
	ask_submit(&kit, "{\"eval_id\":\"known\",\"command\":[\"after=never\"]}");
	kit_until_status(&kit, "known", QL_STATUS_RUNNING);
	kit_stop(&kit, false);
	kit_start_stray(&kit, 4711, "after=never");
	assert_int_equal(ql_fake_world_alive(kit.world), 2);
	kit_start(&kit);
	while (!ql_fake_world_run(kit.world, 4711)->forgotten)
		kit_turn(&kit);
	assert_int_equal(ql_fake_world_alive(kit.world), 1);
	assert_int_equal(kit_state(&kit, "known")->status, QL_STATUS_RUNNING);
	kit_close(&kit);
}

int
main(int argc, char **argv)
{
	if (argc > 2) { /* one case alone: restarts restart|before|after N [sqlite] */
		struct how how = {.store = argc > 3 ? argv[3] : "memory",
			.end = !strcmp(argv[1], "restart")  ? RESTART
			       : !strcmp(argv[1], "before") ? CRASH_BEFORE
							    : CRASH_AFTER};
		ends_at(atoi(argv[2]), &how);
		return 0;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restarted_at_each_commit),
		cmocka_unit_test(dead_before_each_commit),
		cmocka_unit_test(dead_after_each_commit),
		cmocka_unit_test(dead_on_sqlite),
		cmocka_unit_test(what_has_no_record_is_purged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
