#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static void
copy_fits_or_is_cut(void **state)
{
	(void)state;
	char text[4];
	assert_int_equal(ql_str_copy(text, sizeof(text), "abc"), 0);
	assert_string_equal(text, "abc");
	assert_int_equal(ql_str_copy(text, sizeof(text), "abcd"), -1);
	assert_string_equal(text, "abc");
	assert_int_equal(ql_str_copy(text, sizeof(text), ""), 0);
	assert_string_equal(text, "");
	assert_int_equal(ql_str_copy(text, 1, "a"), -1);
	assert_string_equal(text, "");
}

static void
what_fits_ends_between_characters(void **state)
{
	(void)state;
	assert_int_equal(ql_str_fit("abc", 3), 3);
	assert_int_equal(ql_str_fit("abc", 2), 2);
	assert_int_equal(ql_str_fit("a\xc3\xa4"
				    "b",
				 2),
		1);
	assert_int_equal(ql_str_fit("a\xc3\xa4"
				    "b",
				 3),
		3);
	assert_int_equal(ql_str_fit("\xe2\x82\xac", 2), 0);
	assert_int_equal(ql_str_fit("", 0), 0);
}

static void
dup_takes_null(void **state)
{
	(void)state;
	assert_null(ql_str_dup(NULL));
	char *text = ql_str_dup("x");
	assert_string_equal(text, "x");
	free(text);
}

static void
refuses(int (*parse)(const char *, int64_t *), const char *const *bad)
{
	for (; *bad; bad++) {
		int64_t value = 42;
		if (parse(*bad, &value) != -1)
			fail_msg("\"%s\" was taken", *bad);
		assert_int_equal(value, 42);
	}
}

static void
durations(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"0", 0}, {"90", 90000}, {"90s", 90000}, {"5m", 300000}, {"2h", 7200000},
		{"30d", 2592000000}, {"250ms", 250}, {"007", 7000}};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		int64_t ms = -1;
		assert_int_equal(ql_str_duration(good[i].text, &ms), 0);
		assert_int_equal(ms, good[i].ms);
	}
	static const char *const bad[] = {"", "s", "-1", "+1", " 1", "1 s", "1x", "1.5s", "0x10",
		"9223372036854775807d", "99999999999999999999", "1ss", NULL};
	refuses(ql_str_duration, bad);
}

static void
sizes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t bytes;
	} good[] = {{"0", 0}, {"1024", 1024}, {"64K", 65536}, {"10M", 10485760},
		{"10G", 10737418240}, {"1T", 1099511627776}};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		int64_t bytes = -1;
		assert_int_equal(ql_str_size(good[i].text, &bytes), 0);
		assert_int_equal(bytes, good[i].bytes);
	}
	static const char *const bad[] = {
		"", "K", "-1K", "+1K", "1k", "1KB", "9223372036854775807K", " 1", NULL};
	refuses(ql_str_size, bad);
}

static void
whole_numbers_within_bounds(void **state)
{
	(void)state;
	int64_t value = 42;
	assert_int_equal(ql_str_int("-5", -10, 10, &value), 0);
	assert_int_equal(value, -5);
	assert_int_equal(ql_str_int("10", -10, 10, &value), 0);
	assert_int_equal(ql_str_int("9223372036854775807", 0, INT64_MAX, &value), 0);
	assert_true(value == INT64_MAX);
	value = 42;
	static const char *const bad[] = {"", "11", "-11", "1x", "1.0", "0x1", " 1", "+1", "1 ",
		"99999999999999999999", NULL};
	for (int i = 0; bad[i]; i++) {
		if (ql_str_int(bad[i], -10, 10, &value) != -1)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_int_equal(value, 42);
	}
}

static void
eval_ids(void **state)
{
	(void)state;
	char longest[130];
	memset(longest, 'a', sizeof(longest));
	longest[128] = 0;
	assert_true(ql_str_is_eval_id(longest));
	longest[128] = 'a';
	longest[129] = 0;
	assert_false(ql_str_is_eval_id(longest));
	assert_true(ql_str_is_eval_id("a"));
	assert_true(ql_str_is_eval_id("0.b_c:d-E"));
	static const char *const bad[] = {
		"", ".a", "-a", "_a", ":a", "a/b", "a b", "a~1", "a\n", "\xc3\xa4", "a\xe4", NULL};
	for (int i = 0; bad[i]; i++) {
		if (ql_str_is_eval_id(bad[i]))
			fail_msg("\"%s\" was taken for an id", bad[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copy_fits_or_is_cut),
		cmocka_unit_test(what_fits_ends_between_characters),
		cmocka_unit_test(dup_takes_null),
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes),
		cmocka_unit_test(whole_numbers_within_bounds),
		cmocka_unit_test(eval_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
