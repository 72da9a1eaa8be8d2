#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void
empty_is_usable(void **state)
{
	(void)state;
	struct ql_buf buf = {0};
	ql_buf_consume(&buf, 10);
	assert_int_equal(buf.len, 0);
	assert_null(ql_buf_take(&buf));
	ql_buf_done(&buf);
	ql_buf_done(NULL);
}

static void
appends_are_kept_in_order(void **state)
{
	(void)state;
	QL_CLEAN_BUF struct ql_buf buf = {0};
	assert_int_equal(ql_buf_adds(&buf, "one"), 0);
	assert_int_equal(ql_buf_add(&buf, "\0two", 4), 0);
	assert_int_equal(ql_buf_addf(&buf, "%d-%s", 3, "three"), 0);
	assert_int_equal(buf.len, 14);
	assert_memory_equal(buf.data, "one\0two3-three", 15);
	assert_false(buf.failed);
}

static void
empty_append_makes_a_string(void **state)
{
	(void)state;
	QL_CLEAN_BUF struct ql_buf buf = {0};
	assert_int_equal(ql_buf_add(&buf, NULL, 0), 0);
	assert_string_equal(buf.data, "");
}

static void
grows_far_beyond_its_first_size(void **state)
{
	(void)state;
	QL_CLEAN_BUF struct ql_buf buf = {0};
	for (int i = 0; i < 100000; i++)
		assert_int_equal(ql_buf_addf(&buf, "%d\n", i % 10), 0);
	assert_int_equal(buf.len, 200000);
	for (size_t i = 0; i < 100000; i++)
		assert_int_equal(buf.data[2 * i], '0' + (int)(i % 10));
}

static void
limit_refuses_and_keeps_what_was_there(void **state)
{
	(void)state;
	QL_CLEAN_BUF struct ql_buf buf = {.limit = 5};
	assert_int_equal(ql_buf_adds(&buf, "12345"), 0);
	assert_int_equal(ql_buf_add(&buf, "6", 1), -1);
	assert_true(buf.failed);
	assert_string_equal(buf.data, "12345");
}

static void
limit_holds_for_format_too(void **state)
{
	(void)state;
	QL_CLEAN_BUF struct ql_buf buf = {.limit = 5};
	assert_int_equal(ql_buf_addf(&buf, "%s", "123456"), -1);
	assert_true(buf.failed);
	assert_int_equal(buf.len, 0);
}

static void
failure_stays(void **state)
{
	(void)state;
	QL_CLEAN_BUF struct ql_buf buf = {.limit = 2};
	assert_int_equal(ql_buf_adds(&buf, "123"), -1);
	assert_int_equal(ql_buf_adds(&buf, "1"), -1);
	assert_true(buf.failed);
	ql_buf_done(&buf);
	assert_false(buf.failed);
	assert_int_equal(buf.limit, 2);
	assert_int_equal(ql_buf_adds(&buf, "12"), 0);
}

static void
absurd_size_is_refused(void **state)
{
	(void)state;
	QL_CLEAN_BUF struct ql_buf buf = {0};
	assert_int_equal(ql_buf_adds(&buf, "keep"), 0);
	assert_int_equal(ql_buf_add(&buf, "x", SIZE_MAX - 2), -1);
	assert_true(buf.failed);
	assert_string_equal(buf.data, "keep");
}

static void
consume_drops_the_front(void **state)
{
	(void)state;
	QL_CLEAN_BUF struct ql_buf buf = {0};
	ql_buf_adds(&buf, "headbody");
	ql_buf_consume(&buf, 4);
	assert_string_equal(buf.data, "body");
	assert_int_equal(buf.len, 4);
	ql_buf_consume(&buf, 4);
	assert_int_equal(buf.len, 0);
	assert_string_equal(buf.data, "");
	ql_buf_adds(&buf, "more");
	assert_string_equal(buf.data, "more");
}

static void
take_leaves_an_empty_buffer(void **state)
{
	(void)state;
	struct ql_buf buf = {0};
	ql_buf_adds(&buf, "mine");
	char *text = ql_buf_take(&buf);
	assert_string_equal(text, "mine");
	assert_null(buf.data);
	assert_int_equal(buf.len, 0);
	free(text);
	assert_int_equal(ql_buf_adds(&buf, "again"), 0);
	assert_string_equal(buf.data, "again");
	ql_buf_done(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_is_usable),
		cmocka_unit_test(appends_are_kept_in_order),
		cmocka_unit_test(empty_append_makes_a_string),
		cmocka_unit_test(grows_far_beyond_its_first_size),
		cmocka_unit_test(limit_refuses_and_keeps_what_was_there),
		cmocka_unit_test(limit_holds_for_format_too),
		cmocka_unit_test(failure_stays),
		cmocka_unit_test(absurd_size_is_refused),
		cmocka_unit_test(consume_drops_the_front),
		cmocka_unit_test(take_leaves_an_empty_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
