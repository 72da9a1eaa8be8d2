/* The languages: each in the table is either found with all it needs, or refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rules/language.h"

static void
count_one(void *arg, const struct ql_language *language)
{
	int *count = arg;
	++*count;
	assert_ptr_equal(ql_language_find(language->name, NULL), language);
	assert_non_null(language->argv[0]);
	assert_non_null(strstr(language->code_name, "main."));
}

static void
test_each_is_found(void **state)
{
	(void)state;
	int count = 0;
	int said = ql_language_each(count_one, &count);
	assert_int_equal(said, count);
	assert_int_equal(ql_language_each(NULL, NULL), count);
	/* bash and cc are needed to build and test Quell at all */
	assert_in_range(count, 2, 4);
	assert_non_null(ql_language_find("bash", NULL));
	assert_non_null(ql_language_find("c", NULL));
}

static void
test_unknown_is_refused(void **state)
{
	(void)state;
	static const char *const names[] = {"", "Python", "python3", "cobol"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct ql_err e = {0};
		assert_null(ql_language_find(names[i], &e));
		assert_int_equal(e.code, QL_E_INVALID);
		assert_non_null(strstr(e.text, "one of python, bash, node, c, not '"));
	}
}

static void
test_a_file_tells_its_language(void **state)
{
	(void)state;
	assert_string_equal(ql_language_of_file("a.b/x.py"), "python");
	assert_string_equal(ql_language_of_file("x.sh"), "bash");
	assert_string_equal(ql_language_of_file("x.js"), "node");
	assert_string_equal(ql_language_of_file(".c"), "c");
	assert_null(ql_language_of_file("x"));
	assert_null(ql_language_of_file("-"));
	assert_null(ql_language_of_file("a.py/x"));
	assert_null(ql_language_of_file("x.pyc"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_found),
		cmocka_unit_test(test_unknown_is_refused),
		cmocka_unit_test(test_a_file_tells_its_language),
	};
	return cmocka_run_group_tests_name("language", tests, NULL, NULL);
}
