#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

static int64_t
wall(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
first_start_takes_the_wall_clock(void **state)
{
	(void)state;
	struct ql_clock clock, none = {0};
	int64_t before = wall();
	ql_clock_init(&clock, &none, 0);
	int64_t now = ql_clock_now(&clock);
	assert_in_range(now, before - 1, wall() + 1);
	assert_int_equal(strlen(clock.boot_id), QL_BOOT_ID - 1);
}

static void
same_boot_goes_on_with_the_kept_offset(void **state)
{
	(void)state;
	struct ql_clock first, second, none = {0};
	ql_clock_init(&first, &none, 0);
	first.offset_ms -= 3600000; /* as if the wall clock had been set forward since */
	ql_clock_init(&second, &first, wall() + 7200000);
	assert_int_equal(second.offset_ms, first.offset_ms);
	assert_memory_equal(&second, &first, sizeof(first));
}

static void
another_boot_never_goes_behind_the_records(void **state)
{
	(void)state;
	struct ql_clock clock, kept = {.offset_ms = 12345};
	strcpy(kept.boot_id, "00000000-0000-0000-0000-000000000000");
	int64_t last = wall() + 86400000; /* the wall clock was wrong by a day then, or is now */
	ql_clock_init(&clock, &kept, last);
	assert_in_range(ql_clock_now(&clock), last, last + 1000);
	ql_clock_init(&clock, &kept, 1000);
	assert_in_range(ql_clock_now(&clock), wall() - 1000, wall() + 1000);
}

static void
time_is_written_and_read_back(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *text;
	} times[] = {
		{0, "1970-01-01T00:00:00.000Z"},
		{1, "1970-01-01T00:00:00.001Z"},
		{1767322995678, "2026-01-02T03:03:15.678Z"},
		{1709164800000, "2024-02-29T00:00:00.000Z"},
		{253402300799999, "9999-12-31T23:59:59.999Z"},
	};
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		char text[QL_TIME_TEXT];
		int64_t ms;
		ql_time_text(times[i].ms, text);
		assert_string_equal(text, times[i].text);
		assert_int_equal(ql_time_parse(text, &ms), 0);
		assert_int_equal(ms, times[i].ms);
	}
}

static void
fractions_may_be_longer_or_missing(void **state)
{
	(void)state;
	int64_t ms;
	assert_int_equal(ql_time_parse("1970-01-01T00:00:01Z", &ms), 0);
	assert_int_equal(ms, 1000);
	assert_int_equal(ql_time_parse("1970-01-01T00:00:00.5Z", &ms), 0);
	assert_int_equal(ms, 500);
	assert_int_equal(ql_time_parse("1970-01-01T00:00:00.123456789Z", &ms), 0);
	assert_int_equal(ms, 123);
}

static void
what_is_no_time_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "now", "2026-01-02", "2026-01-02T03:04:05",
		"2026-01-02T03:04:05+01:00", "2026-01-02T03:04:05.Z", "2026-13-02T03:04:05Z",
		"2026-02-30T03:04:05Z", "2026-01-02T25:04:05Z", "2026-01-02T03:04:05Zx",
		" 2026-01-02T03:04:05Z", "2026-1-2T3:4:5Z", "2026-01-02T03:04:05.5", NULL};
	for (int i = 0; bad[i]; i++) {
		int64_t ms = 42;
		if (ql_time_parse(bad[i], &ms) != -1)
			fail_msg("\"%s\" was taken for a time", bad[i]);
		assert_int_equal(ms, 42);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_start_takes_the_wall_clock),
		cmocka_unit_test(same_boot_goes_on_with_the_kept_offset),
		cmocka_unit_test(another_boot_never_goes_behind_the_records),
		cmocka_unit_test(time_is_written_and_read_back),
		cmocka_unit_test(fractions_may_be_longer_or_missing),
		cmocka_unit_test(what_is_no_time_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
