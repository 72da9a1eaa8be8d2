/* The languages: each in the table is either found with all it needs, or refused by name. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* In a mount namespace in which bash can't be run. 0 = refused as it should be, 77 = no namespace. */
static int
look_without_bash(void)
{
	struct ql_err e = {0};
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("/dev/null", "/usr/bin/bash", NULL, MS_BIND, NULL))
		return 77;
	if (ql_language_find("bash", &e))
		return 1;
	return strstr(e.text, "language bash needs the program 'bash'") ? 0 : 2;
}

static void
test_a_missing_interpreter_is_named(void **state)
{
	(void)state;
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(look_without_bash());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
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
		cmocka_unit_test(test_a_missing_interpreter_is_named),
		cmocka_unit_test(test_a_file_tells_its_language),
	};
	return cmocka_run_group_tests_name("language", tests, NULL, NULL);
}
