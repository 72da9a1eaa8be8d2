#include "rules/waste.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define SECOND 1000000LL

static void
nothing_is_claimed_of_few(void **state)
{
	struct ql_waste waste = {0};
	(void)state;
	assert_int_equal(ql_waste_saved(&waste, "c", 0), -1);
	for (int i = 1; i < QL_WASTE_LEAST; i++)
		ql_waste_finished(&waste, "c", SECOND);
	assert_int_equal(ql_waste_saved(&waste, "c", 0), -1);
	ql_waste_finished(&waste, "c", SECOND);
	assert_int_equal(ql_waste_saved(&waste, "c", 0), SECOND);
	assert_int_equal(ql_waste_saved(&waste, "python", 0), -1);
	assert_int_equal(ql_waste_saved(&waste, NULL, 0), -1);
}

static void
only_those_that_went_on_for_longer_count(void **state)
{
	struct ql_waste waste = {0};
	(void)state;
	for (int i = 0; i < 90; i++)
		ql_waste_finished(&waste, NULL, SECOND);
	for (int i = 0; i < 10; i++)
		ql_waste_finished(&waste, NULL, 100 * SECOND);
	assert_int_equal(ql_waste_saved(&waste, NULL, 0), 109 * SECOND / 10);
	assert_int_equal(ql_waste_saved(&waste, NULL, 10 * SECOND), 90 * SECOND);
	assert_int_equal(ql_waste_saved(&waste, NULL, 1000 * SECOND), -1);
}

/* Those in its own bucket may have used more or less: they are left out, so it is never below 0. */
static void
it_is_never_negative(void **state)
{
	struct ql_waste waste = {0};
	(void)state;
	for (int64_t us = 0; us < 100000; us += 7)
		ql_waste_finished(&waste, "c", us);
	for (int64_t us = 0; us < 200000; us += 11)
		assert_true(ql_waste_saved(&waste, "c", us) >= -1);
}

static void
extremes_have_a_place(void **state)
{
	struct ql_waste waste = {0};
	(void)state;
	for (int i = 0; i < QL_WASTE_LEAST; i++) {
		ql_waste_finished(&waste, "c", 0);
		ql_waste_finished(&waste, "c", INT64_MAX / 8);
	}
	assert_true(ql_waste_saved(&waste, "c", 1) > SECOND);
	assert_int_equal(ql_waste_saved(&waste, "c", INT64_MAX / 8), -1);
}

static void
languages_are_bounded(void **state)
{
	struct ql_waste waste = {0};
	char name[100];
	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "a-language-with-a-long-name-%d", i);
		ql_waste_finished(&waste, name, SECOND);
	}
	assert_int_equal(waste.count, QL_WASTE_LANGUAGES);
	assert_int_equal(ql_waste_saved(&waste, "yet-another", 0), SECOND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_claimed_of_few),
		cmocka_unit_test(only_those_that_went_on_for_longer_count),
		cmocka_unit_test(it_is_never_negative),
		cmocka_unit_test(extremes_have_a_place),
		cmocka_unit_test(languages_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
