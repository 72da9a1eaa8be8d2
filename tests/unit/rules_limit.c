/* Token buckets and the storm brake, in a time of the test's own. */
#include "rules/limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct ql_limiter *
make(const char *text)
{
	struct ql_limits limits;
	struct ql_err e;
	assert_int_equal(ql_limits_parse(text, &limits, &e), 0);
	struct ql_limiter *limiter = ql_limiter_new(&limits);
	assert_non_null(limiter);
	return limiter;
}

static int
take(struct ql_limiter *limiter, const char *name, int64_t now, struct ql_limit_state *ret)
{
	struct ql_err e;
	int status = ql_limit_take(limiter, name, false, QL_LIMIT_KILL, 1, now, ret, &e);
	if (status)
		assert_int_equal(e.code, QL_E_LIMIT);
	return status;
}

static void
test_settings(void **state)
{
	static const char *const bad[] = {"kill", "kill=", "kill=5", "kill=0/5", "kill=5/0",
		"kill=5/x", "kill=5/5/5", "kill=-1/5", "nothing=5/5", "storm=0", "storm=x", "",
		"kill=5/5,", "kill=123456789012345678901234567890/5", "kill=1/1000001"};
	struct ql_limits limits;
	struct ql_err e;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		e.text[0] = 0;
		if (!ql_limits_parse(bad[i], &limits, &e))
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(e.code, QL_E_USAGE);
	}
	assert_int_equal(ql_limits_parse("on", &limits, &e), 0);
	assert_int_equal(limits.storm, QL_STORM_STOPS);
	assert_int_equal(limits.rates[QL_LIMIT_SUBMIT].burst, 20000);
	assert_int_equal(ql_limits_parse("kill=3/7,read=off,storm=9", &limits, &e), 0);
	assert_int_equal(limits.rates[QL_LIMIT_KILL].per_s, 3);
	assert_int_equal(limits.rates[QL_LIMIT_KILL].burst, 7);
	assert_int_equal(limits.rates[QL_LIMIT_READ].burst, 0);
	assert_int_equal(limits.rates[QL_LIMIT_SUBMIT].burst, 20000);
	assert_int_equal(limits.storm, 9);
	assert_int_equal(ql_limits_parse("off", &limits, &e), 0);
	assert_int_equal(limits.rates[QL_LIMIT_SUBMIT].burst + limits.storm, 0);
}

static void
test_a_bucket_empties_and_fills(void **state)
{
	struct ql_limiter *limiter = make("kill=2/4");
	struct ql_limit_state left;
	(void)state;
	for (int i = 3; i >= 0; i--) {
		assert_int_equal(take(limiter, "user:a", 1000, &left), 0);
		assert_int_equal(left.left, i);
		assert_int_equal(left.quota, 4);
		assert_int_equal(left.window_s, 2);
	}
	assert_int_equal(left.reset_s, 2);
	assert_int_equal(take(limiter, "user:a", 1000, &left), -1);
	assert_int_equal(left.retry_s, 1);
	assert_int_equal(take(limiter, "user:a", 1499, &left), -1);
	assert_int_equal(take(limiter, "user:a", 1500, &left), 0);
	assert_int_equal(take(limiter, "user:a", 1500, &left), -1);
	/* however long it rests, it holds no more than at once */
	for (int i = 0; i < 4; i++)
		assert_int_equal(take(limiter, "user:a", 1000000000000, &left), 0);
	assert_int_equal(take(limiter, "user:a", 1000000000000, &left), -1);
	/* a clock that goes back gives nothing */
	assert_int_equal(take(limiter, "user:a", 1000, &left), -1);
	ql_limiter_free(limiter);
}

static void
test_each_has_its_own(void **state)
{
	struct ql_limiter *limiter = make("kill=1/1");
	struct ql_limit_state left;
	struct ql_err e;
	(void)state;
	assert_int_equal(take(limiter, "user:a", 1000, &left), 0);
	assert_int_equal(take(limiter, "user:a", 1000, &left), -1);
	assert_int_equal(take(limiter, "user:b", 1000, &left), 0);
	assert_int_equal(
		ql_limit_take(limiter, "user:a", false, QL_LIMIT_CANCEL, 1, 1000, &left, &e), 0);
	for (int i = 0; i < QL_LIMIT_WIDE; i++)
		assert_int_equal(ql_limit_take(limiter, "user:admin", true, QL_LIMIT_KILL, 1, 1000,
					 &left, &e),
			0);
	assert_int_equal(
		ql_limit_take(limiter, "user:admin", true, QL_LIMIT_KILL, 1, 1000, &left, &e), -1);
	assert_non_null(strstr(e.text, "10 at once and 10 a second"));
	ql_limiter_free(limiter);
}

static void
test_what_was_owed_is_paid_first(void **state)
{
	struct ql_limiter *limiter = make("kill=10/10");
	struct ql_limit_state left;
	(void)state;
	assert_int_equal(take(limiter, "user:a", 1000, &left), 0);
	ql_limit_charge(limiter, "user:a", QL_LIMIT_KILL, 99);
	assert_int_equal(take(limiter, "user:a", 2000, &left), -1);
	assert_int_equal(
		left.retry_s, 9); /* 100 taken, 10 there, 10 came: 81 lack at 10 a second */
	assert_int_equal(take(limiter, "user:a", 10099, &left), -1);
	assert_int_equal(take(limiter, "user:a", 10100, &left), 0);
	ql_limiter_free(limiter);
}

static void
test_so_many_principals_are_kept(void **state)
{
	struct ql_limiter *limiter = make("kill=1/1");
	struct ql_limit_state left;
	char name[32];
	(void)state;
	assert_int_equal(take(limiter, "user:first", 1000, &left), 0);
	for (int i = 0; i < QL_LIMIT_PRINCIPALS - 1; i++) {
		snprintf(name, sizeof(name), "user:%d", i);
		assert_int_equal(take(limiter, name, 1000, &left), 0);
	}
	assert_int_equal(ql_limit_principals(limiter), QL_LIMIT_PRINCIPALS);
	assert_int_equal(take(limiter, "user:first", 1000, &left), -1);
	assert_int_equal(take(limiter, "user:another", 1000, &left), 0);
	assert_int_equal(ql_limit_principals(limiter), QL_LIMIT_PRINCIPALS);
	assert_int_equal(take(limiter, "user:first", 1000, &left), -1);
	assert_int_equal(take(limiter, "user:0", 1000, &left), 0); /* it was forgotten */
	ql_limiter_free(limiter);
}

static int
storm(struct ql_limiter *limiter, bool confirmed, int64_t now)
{
	struct ql_err e;
	int64_t limit = 0, retry_s = 0;
	int status = ql_limit_storm(limiter, "user:a", false, confirmed, now, &limit, &retry_s, &e);
	if (!status)
		return 0;
	assert_int_equal(e.code, QL_E_STORM);
	assert_int_equal(limit, 3);
	assert_int_equal(retry_s, (1000 + QL_STORM_MS - now + 999) / 1000);
	return -1;
}

static void
test_a_storm_is_confirmed_for_its_minute(void **state)
{
	struct ql_limiter *limiter = make("storm=3");
	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(storm(limiter, false, 1000), 0);
	assert_int_equal(storm(limiter, false, 1000), -1);
	assert_int_equal(storm(limiter, false, 30000), -1);
	assert_int_equal(storm(limiter, true, 31000), 0);
	assert_int_equal(storm(limiter, false, 31000), 0);
	const struct ql_abuse *abuse = ql_limit_abuse(limiter, "user:a");
	assert_int_equal(abuse->seen[QL_ABUSE_STORM_SEEN], 1);
	assert_int_equal(abuse->confirmed, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(storm(limiter, false, 1000 + QL_STORM_MS), 0);
	ql_limiter_free(limiter);
}

static void
count(const struct ql_limit_shown *shown, void *arg)
{
	const char **last = arg;
	*last = shown->name;
	assert_int_equal(shown->refused[QL_LIMIT_KILL], 1);
}

static void
test_only_who_did_something_is_told(void **state)
{
	struct ql_limiter *limiter = make("kill=1/1");
	struct ql_limit_state left;
	const char *last = NULL;
	(void)state;
	ql_limit_each(limiter, count, &last);
	assert_null(last);
	take(limiter, "user:good", 1000, &left);
	take(limiter, "user:bad", 1000, &left);
	take(limiter, "user:bad", 1000, &left);
	ql_limit_each(limiter, count, &last);
	assert_string_equal(last, "user:bad");
	ql_limiter_free(limiter);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_a_bucket_empties_and_fills),
		cmocka_unit_test(test_each_has_its_own),
		cmocka_unit_test(test_what_was_owed_is_paid_first),
		cmocka_unit_test(test_so_many_principals_are_kept),
		cmocka_unit_test(test_a_storm_is_confirmed_for_its_minute),
		cmocka_unit_test(test_only_who_did_something_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
