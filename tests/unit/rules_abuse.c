/* Patterns of abuse: what is one, and what is not yet. */
#include "rules/abuse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void
test_many_misses_are_a_scan(void **state)
{
	struct ql_abuse abuse = {0};
	(void)state;
	assert_false(ql_abuse_any(&abuse));
	for (int i = 1; i < QL_ABUSE_SCAN; i++)
		assert_false(ql_abuse_missed(&abuse, 1000));
	assert_true(ql_abuse_missed(&abuse, 1000));
	assert_false(ql_abuse_missed(&abuse, 1000)); /* it is the same one */
	assert_int_equal(abuse.seen[QL_ABUSE_SCAN_SEEN], 1);
	assert_int_equal(abuse.missed, QL_ABUSE_SCAN + 1);
	assert_true(ql_abuse_any(&abuse));
	/* spread over minutes, the same number is none */
	for (int i = 1; i < 2 * QL_ABUSE_SCAN; i++)
		assert_false(ql_abuse_missed(&abuse, 1000 + (int64_t)i * QL_ABUSE_SCAN_MS));
}

static void
test_cancel_and_resubmit_is_a_loop(void **state)
{
	struct ql_abuse abuse = {0};
	char id[32] = "e0";
	(void)state;
	assert_false(ql_abuse_submitted(&abuse, 7, id));
	for (int round = 1; round <= 2 * QL_ABUSE_LOOP; round++) {
		ql_abuse_stopped(&abuse, id);
		ql_abuse_stopped(&abuse, id); /* asked twice, it is one stop */
		snprintf(id, sizeof(id), "e%d", round);
		assert_int_equal(ql_abuse_submitted(&abuse, 7, id), round % QL_ABUSE_LOOP == 0);
	}
	assert_int_equal(abuse.seen[QL_ABUSE_LOOP_SEEN], 2);
	assert_int_equal(abuse.resubmitted, 2 * QL_ABUSE_LOOP);
}

static void
test_what_was_not_cancelled_is_no_loop(void **state)
{
	struct ql_abuse abuse = {0};
	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_false(ql_abuse_submitted(&abuse, 7, "again"));
		ql_abuse_stopped(&abuse, "another");
	}
	assert_int_equal(abuse.resubmitted, 0);
	assert_false(ql_abuse_any(&abuse));
}

static void
test_so_many_are_remembered(void **state)
{
	struct ql_abuse abuse = {0};
	(void)state;
	ql_abuse_submitted(&abuse, 1, "first");
	ql_abuse_stopped(&abuse, "first");
	for (uint64_t print = 2; print <= QL_ABUSE_RECENT + 1; print++)
		ql_abuse_submitted(&abuse, print, "other");
	ql_abuse_submitted(&abuse, 1, "first again");
	assert_int_equal(abuse.resubmitted, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_misses_are_a_scan),
		cmocka_unit_test(test_cancel_and_resubmit_is_a_loop),
		cmocka_unit_test(test_what_was_not_cancelled_is_no_loop),
		cmocka_unit_test(test_so_many_are_remembered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
