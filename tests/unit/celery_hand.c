#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/celery/hand.h"

/* A worker's main process, its pool's process, and a child of a task in that. */
struct family {
	pid_t main, pool, child;
};

/* Each says who it is and stays; $$ would be the outer shell's. */
static const char script[] = "sh -c 'sleep 1000 & echo $$ $!; wait' & wait";

static void
start(struct family *family, const char *name)
{
	int ends[2], pool, child;
	assert_int_equal(pipe(ends), 0);
	family->main = fork();
	if (family->main == 0) {
		setpgid(0, 0);
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execl("/bin/sh", name, "-c", script, NULL);
		_exit(127);
	}
	close(ends[1]);
	FILE *says = fdopen(ends[0], "r");
	assert_int_equal(fscanf(says, "%d %d", &pool, &child), 2);
	fclose(says);
	family->pool = pool;
	family->child = child;
}

static void
end(const struct family *family)
{
	kill(-family->main, SIGKILL);
	assert_int_equal(waitpid(family->main, NULL, 0), family->main);
}

static void
takes_a_pools_process_and_its_children(void **state)
{
	struct family family;
	struct ql_hand hand = {0};
	(void)state;
	start(&family, "celery");
	assert_true(ql_hand_take(&hand, family.main, family.pool));
	assert_true(ql_hand_task_lives(&hand));
	assert_int_equal(hand.child_count, 1);
	assert_int_equal(hand.children[0].pid, family.child);
	assert_true(ql_hand_take(&hand, family.main, family.pool)); /* anew, not added */
	assert_int_equal(hand.child_count, 1);
	end(&family);
}

/* As a container's worker would have numbers that are somebody else's here. */
static void
takes_no_stranger(void **state)
{
	struct family family;
	struct ql_hand hand = {0};
	(void)state;
	start(&family, "postgres");
	assert_false(ql_hand_take(&hand, family.main, family.pool));
	end(&family);
	start(&family, "celery");
	assert_false(ql_hand_take(&hand, getpid(), family.pool));
	assert_false(ql_hand_take(&hand, family.main, family.child));
	assert_false(ql_hand_take(&hand, 0, family.pool));
	assert_false(ql_hand_take(&hand, family.main, INT64_C(139826525993888))); /* a greenlet's */
	assert_false(hand.holds);
	assert_int_equal(ql_hand_kill_task(&hand), -1);
	assert_int_equal(ql_hand_orphans(&hand), 0);
	assert_int_equal(kill(family.pool, 0), 0);
	end(&family);
}

static void
await_end(const struct ql_hand *hand, bool of_children)
{
	for (time_t until = time(NULL) + 20; time(NULL) < until; sched_yield()) {
		if (of_children ? !ql_hand_orphans(hand) : !ql_hand_task_lives(hand))
			return;
	}
	fail_msg("it lives");
}

static void
ends_the_task_and_then_what_it_left(void **state)
{
	struct family family;
	struct ql_hand hand = {0};
	(void)state;
	start(&family, "celery");
	assert_true(ql_hand_take(&hand, family.main, family.pool));
	assert_int_equal(ql_hand_kill_task(&hand), 0);
	await_end(&hand, false);
	assert_int_equal(ql_hand_orphans(&hand), 1);
	ql_hand_kill_orphans(&hand);
	await_end(&hand, true);
	assert_int_equal(ql_hand_kill_task(&hand), 0); /* nothing is left to be signalled */
	end(&family);
}

/* The same number, another process: it is neither alive nor signalled. */
static void
spares_who_came_after(void **state)
{
	struct family family;
	struct ql_hand hand = {0};
	(void)state;
	start(&family, "celery");
	assert_true(ql_hand_take(&hand, family.main, family.pool));
	hand.task.start++;
	hand.children[0].start++;
	assert_false(ql_hand_task_lives(&hand));
	assert_int_equal(ql_hand_orphans(&hand), 0);
	assert_int_equal(ql_hand_kill_task(&hand), 0);
	ql_hand_kill_orphans(&hand);
	assert_int_equal(kill(family.pool, 0), 0);
	assert_int_equal(waitpid(family.main, NULL, WNOHANG), 0);
	end(&family);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_pools_process_and_its_children),
		cmocka_unit_test(takes_no_stranger),
		cmocka_unit_test(ends_the_task_and_then_what_it_left),
		cmocka_unit_test(spares_who_came_after),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
