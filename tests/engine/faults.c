/*
 * One commit of a life fails, before or after it became durable, for each commit that there is;
 * so do several in a row, and reads. The end is the same each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/story.h"

struct how {
	const char *store;
	bool after; /* durable, and answered as failed */
	int in_a_row;
	int step; /* every so many commits; 0 = 1 */
};

static void
fails_at(int nth, void *arg)
{
	const struct how *how = arg;
	int number = how->step ? (nth - 1) * how->step + 1 : nth;
	struct kit kit = {.forked = true};
	story_begin(&kit, how->store);
	kit.faults.fail_count = how->in_a_row;
	if (how->after)
		kit.faults.fail_after = number;
	else
		kit.faults.fail_before = number;
	story_tell(&kit);
	if (kit.book.asked < number)
		fprintf(stderr, "# commit %d never came\n", number);
	kit_close(&kit);
}

static void
sweep(struct how *how)
{
	int commits = story_commits(how->store);
	int cases = how->step ? commits / how->step : commits;
	int failed = kit_cases(cases, fails_at, how);
	print_message("# %d commits of the life; in %d lives one failed%s: %d went wrong\n",
		commits, cases, how->after ? " after it was durable" : "", failed);
	assert_int_equal(failed, 0);
}

static void
before_it_is_durable(void **state)
{
	(void)state;
	sweep(&(struct how){.store = "memory", .in_a_row = 1});
}

static void
after_it_is_durable(void **state)
{
	(void)state;
	sweep(&(struct how){.store = "memory", .in_a_row = 1, .after = true});
}

static void
three_in_a_row(void **state)
{
	(void)state;
	sweep(&(struct how){.store = "memory", .in_a_row = 3, .step = 3});
}

static void
in_sqlite_too(void **state)
{
	(void)state;
	sweep(&(struct how){.store = "sqlite", .in_a_row = 1, .after = true});
}

int
main(int argc, char **argv)
{
	if (argc > 2) { /* one case alone: faults before|after N [sqlite] */
		struct how how = {.store = argc > 3 ? argv[3] : "memory",
			.in_a_row = 1,
			.after = !strcmp(argv[1], "after")};
		fails_at(atoi(argv[2]), &how);
		return 0;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_it_is_durable),
		cmocka_unit_test(after_it_is_durable),
		cmocka_unit_test(three_in_a_row),
		cmocka_unit_test(in_sqlite_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
