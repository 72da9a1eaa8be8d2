#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void
fail_fills_and_returns_minus_one(void **state)
{
	(void)state;
	struct ql_err e = {.sys = 5};
	assert_int_equal(ql_fail(&e, QL_E_NOT_FOUND, "no evaluation \"%s\"", "x"), -1);
	assert_int_equal(e.code, QL_E_NOT_FOUND);
	assert_int_equal(e.sys, 0);
	assert_string_equal(e.text, "no evaluation \"x\"");
}

static void
nobody_has_to_listen(void **state)
{
	(void)state;
	assert_int_equal(ql_fail(NULL, QL_E_INTERNAL, "x"), -1);
	assert_int_equal(ql_fail_sys(NULL, "x"), -1);
	assert_int_equal(ql_err_prefix(NULL, "x"), -1);
}

static void
fail_sys_says_what_the_kernel_said(void **state)
{
	(void)state;
	struct ql_err e;
	errno = ENOENT;
	assert_int_equal(ql_fail_sys(&e, "can't open %s", "/x"), -1);
	assert_int_equal(e.code, QL_E_SYSTEM);
	assert_int_equal(e.sys, ENOENT);
	assert_string_equal(e.text, "can't open /x: No such file or directory");
}

static void
full_disk_has_a_code_of_its_own(void **state)
{
	(void)state;
	struct ql_err e;
	errno = ENOSPC;
	ql_fail_sys(&e, "can't write");
	assert_int_equal(e.code, QL_E_DISK_FULL);
	errno = EDQUOT;
	ql_fail_sys(&e, "can't write");
	assert_int_equal(e.code, QL_E_DISK_FULL);
	assert_int_equal(ql_code_http(e.code), 503);
}

static void
prefix_adds_what_a_layer_knows(void **state)
{
	(void)state;
	struct ql_err e;
	ql_fail(&e, QL_E_TIMEOUT, "no answer");
	assert_int_equal(ql_err_prefix(&e, "can't stop %d", 7), -1);
	assert_int_equal(e.code, QL_E_TIMEOUT);
	assert_string_equal(e.text, "can't stop 7: no answer");
}

static void
long_texts_are_cut(void **state)
{
	(void)state;
	struct ql_err e;
	char text[2 * QL_ERR_TEXT];
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = 0;
	ql_fail(&e, QL_E_INVALID, "%s", text);
	assert_int_equal(strlen(e.text), QL_ERR_TEXT - 1);
	ql_err_prefix(&e, "b");
	assert_int_equal(strlen(e.text), QL_ERR_TEXT - 1);
	assert_memory_equal(e.text, "b: aaa", 6);
	ql_err_prefix(&e, "%s", text);
	assert_int_equal(strlen(e.text), QL_ERR_TEXT - 1);
}

static void
each_code_can_be_told(void **state)
{
	(void)state;
	for (enum ql_code code = QL_E_OK; code <= QL_E_UNREACHABLE; code++) {
		assert_non_null(ql_code_name(code));
		assert_in_range(ql_code_http(code), 200, 599);
		assert_in_range(ql_code_exit(code), 0, 3);
		for (enum ql_code other = QL_E_OK; other < code; other++)
			assert_string_not_equal(ql_code_name(code), ql_code_name(other));
	}
	assert_int_equal(ql_code_exit(QL_E_OK), 0);
	assert_int_equal(ql_code_exit(QL_E_UNREACHABLE), 3);
	assert_true(ql_code_retry(QL_E_DISK_FULL));
	assert_false(ql_code_retry(QL_E_INVALID));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fail_fills_and_returns_minus_one),
		cmocka_unit_test(nobody_has_to_listen),
		cmocka_unit_test(fail_sys_says_what_the_kernel_said),
		cmocka_unit_test(full_disk_has_a_code_of_its_own),
		cmocka_unit_test(prefix_adds_what_a_layer_knows),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(each_code_can_be_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
