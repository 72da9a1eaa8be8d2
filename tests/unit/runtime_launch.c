#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/fake/fake.h"
#include "runtime/sandbox/launch.h"

static void
copy_shares_nothing(void **state)
{
	(void)state;
	char word[] = "sh", pair[] = "A=1", code[] = {'x', 0, 'y'}, name[] = "main.py", id[] = "e",
	     keep[] = "/k";
	const char *argv[] = {word, "-c", NULL}, *env[] = {pair, NULL};
	const struct ql_launch launch = {.eval_id = id,
		.attempt = 3,
		.argv = argv,
		.env = env,
		.code = code,
		.code_len = sizeof(code),
		.code_name = name,
		.keep_dir = keep,
		.cpus = 2};
	struct ql_launch *copy = ql_launch_copy(&launch);
	assert_non_null(copy);
	memset(word, 'z', 2);
	memset(pair, 'z', 3);
	memset(code, 'z', 3);
	memset(name, 'z', 4);
	id[0] = keep[0] = 'z';
	argv[1] = env[0] = NULL;
	assert_string_equal(copy->argv[0], "sh");
	assert_string_equal(copy->argv[1], "-c");
	assert_null(copy->argv[2]);
	assert_string_equal(copy->env[0], "A=1");
	assert_null(copy->env[1]);
	assert_memory_equal(copy->code, ((char[]){'x', 0, 'y'}), 3);
	assert_int_equal(copy->code_len, 3);
	assert_string_equal(copy->code_name, "main.py");
	assert_string_equal(copy->eval_id, "e");
	assert_string_equal(copy->keep_dir, "/k");
	assert_null(copy->checkpoint);
	assert_int_equal(copy->attempt, 3);
	ql_launch_free(copy);
}

static void
copy_takes_nothing(void **state)
{
	(void)state;
	const struct ql_launch nothing = {0};
	struct ql_launch *copy = ql_launch_copy(&nothing);
	assert_non_null(copy);
	assert_null(copy->argv[0]);
	assert_null(copy->env[0]);
	assert_null(copy->code);
	ql_launch_free(copy);
	ql_launch_free(NULL);
}

static int
parse(const char *code, struct ql_fake_program *ret_program, struct ql_err *e)
{
	const struct ql_launch launch = {.code = code, .code_len = strlen(code)};
	return ql_fake_program_parse(&launch, ret_program, e);
}

static void
fake_programs_are_words(void **state)
{
	(void)state;
	struct ql_fake_program program;
	struct ql_err e;
	assert_int_equal(parse("", &program, &e), 0);
	assert_int_equal(program.after, 0);
	assert_int_equal(program.lost, -1);
	assert_int_equal(program.checkpoint, -1);
	assert_int_equal(parse("after=never exit=3\tterm=catch\nterm_after=9 notice=stop "
			       "start=never stuck=7 output=hi",
				 &program, &e),
		0);
	assert_int_equal(program.after, -1);
	assert_int_equal(program.exit, 3);
	assert_int_equal(program.term, QL_FAKE_TERM_CATCH);
	assert_int_equal(program.term_after, 9);
	assert_int_equal(program.notice, QL_FAKE_NOTICE_STOP);
	assert_int_equal(program.start, QL_FAKE_START_NEVER);
	assert_int_equal(program.stuck, 7);
	assert_string_equal(program.output, "hi");
}

static void
fake_programs_may_be_a_command(void **state)
{
	(void)state;
	const char *const argv[] = {"after=5", "signal=11", NULL};
	const struct ql_launch launch = {.argv = argv};
	struct ql_fake_program program;
	struct ql_err e;
	assert_int_equal(ql_fake_program_parse(&launch, &program, &e), 0);
	assert_int_equal(program.after, 5);
	assert_int_equal(program.signal, 11);
}

static void
fake_programs_refuse_other_words(void **state)
{
	(void)state;
	const char *const wrong[] = {"sleep", "sleep=1", "exit=", "exit=x", "exit=never", "exit=-1",
		"term=maybe", "afte=1", "after2=1"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct ql_fake_program program;
		struct ql_err e;
		assert_int_equal(parse(wrong[i], &program, &e), -1);
		assert_non_null(strstr(e.text, wrong[i]));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copy_shares_nothing),
		cmocka_unit_test(copy_takes_nothing),
		cmocka_unit_test(fake_programs_are_words),
		cmocka_unit_test(fake_programs_may_be_a_command),
		cmocka_unit_test(fake_programs_refuse_other_words),
	};
	return cmocka_run_group_tests_name("runtime_launch", tests, NULL, NULL);
}
