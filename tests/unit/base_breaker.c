#include "base/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct ql_breaker
fresh(void)
{
	return (struct ql_breaker){.threshold = 3, .pause_ms = 100, .pause_max_ms = 350};
}

static void
opens_after_failures_in_a_row(void **state)
{
	struct ql_breaker breaker = fresh();
	(void)state;
	assert_false(ql_breaker_failure(&breaker, 1, "no"));
	assert_false(ql_breaker_failure(&breaker, 2, "no"));
	assert_false(ql_breaker_success(&breaker, 3));
	assert_false(ql_breaker_failure(&breaker, 4, "no"));
	assert_false(ql_breaker_failure(&breaker, 5, "no"));
	assert_true(ql_breaker_allows(&breaker, 5));
	assert_true(ql_breaker_failure(&breaker, 6, "refused"));
	assert_false(ql_breaker_allows(&breaker, 7));
	assert_int_equal(ql_breaker_next(&breaker), 106);
	assert_string_equal(breaker.why, "refused");
}

static void
lets_one_probe_through(void **state)
{
	struct ql_breaker breaker = fresh();
	(void)state;
	for (int i = 0; i < 3; i++)
		ql_breaker_failure(&breaker, 10, "no");
	assert_false(ql_breaker_allows(&breaker, 109));
	assert_true(ql_breaker_allows(&breaker, 110));
	assert_int_equal(breaker.state, QL_BREAKER_HALF_OPEN);
	assert_false(ql_breaker_allows(&breaker, 110));
	assert_true(ql_breaker_success(&breaker, 111));
	assert_true(ql_breaker_allows(&breaker, 111));
	assert_string_equal(breaker.why, "");
}

static void
waits_longer_each_time_up_to_a_bound(void **state)
{
	static const int64_t pauses[] = {100, 200, 350, 350};
	struct ql_breaker breaker = fresh();
	int64_t now = 0;
	(void)state;
	for (int i = 0; i < 3; i++)
		ql_breaker_failure(&breaker, now, "no");
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		assert_int_equal(ql_breaker_next(&breaker), now + pauses[i]);
		now += pauses[i];
		assert_true(ql_breaker_allows(&breaker, now));
		assert_true(ql_breaker_failure(&breaker, now, "no"));
	}
}

static void
shows_itself(void **state)
{
	struct ql_breaker breaker = fresh();
	struct ql_dependency shown = {.name = "docker"};
	(void)state;
	for (int i = 0; i < 3; i++)
		ql_breaker_failure(&breaker, 7, "it is away");
	ql_breaker_show(&breaker, &shown);
	assert_int_equal(shown.state, QL_BREAKER_OPEN);
	assert_int_equal(shown.since, 7);
	assert_int_equal(shown.backlog, -1);
	assert_string_equal(shown.detail, "it is away");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_after_failures_in_a_row),
		cmocka_unit_test(lets_one_probe_through),
		cmocka_unit_test(waits_longer_each_time_up_to_a_bound),
		cmocka_unit_test(shows_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
