#include "rules/task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
assert_eval(const char *text, const char *task_id, const char *eval_id)
{
	char made[QL_EVAL_ID];
	assert_int_equal(ql_task_eval_id(text, task_id, made, NULL), 0);
	assert_string_equal(made, eval_id);
}

static void
templates(void **state)
{
	struct ql_err e;
	(void)state;
	assert_int_equal(ql_task_template_check(QL_TASK_TEMPLATE, &e), 0);
	assert_int_equal(ql_task_template_check("a-{eval_id}-b", &e), 0);
	assert_int_equal(ql_task_template_check("no hole", &e), -1);
	assert_int_equal(ql_task_template_check("{eval_id}{eval_id}", &e), -1);
	assert_int_equal(ql_task_template_check("~{eval_id}", &e), -1);
	assert_int_equal(ql_task_template_check("a\n{eval_id}", &e), -1);
}

static void
ids_of_evaluations(void **state)
{
	(void)state;
	assert_null(ql_task_id_make(QL_TASK_TEMPLATE, "x"));
	char *made = ql_task_id_make("run-{eval_id}.q", "x");
	assert_string_equal(made, "run-x.q");
	free(made);
}

static void
evaluations_of_ids(void **state)
{
	(void)state;
	assert_eval(QL_TASK_TEMPLATE, "celery-x", "x");
	assert_eval(QL_TASK_TEMPLATE, "celery-x~2", "x");
}

static void
strangers(void **state)
{
	char made[QL_EVAL_ID], other[QL_EVAL_ID];
	char longest[QL_TASK_ID];
	struct ql_err e;
	(void)state;
	assert_eval(QL_TASK_TEMPLATE, "21f8-uuid", "task:21f8-uuid");
	assert_eval(QL_TASK_TEMPLATE, "celery-", "task:celery-");
	assert_eval("run-{eval_id}.q", "run-x.r", "task:run-x.r");
	memset(longest, 'l', sizeof(longest));
	longest[QL_TASK_ID - 1] = 0;
	assert_int_equal(ql_task_eval_id(QL_TASK_TEMPLATE, longest, made, NULL), 0);
	assert_int_equal(ql_task_eval_id(QL_TASK_TEMPLATE, "a task/of mine", other, NULL), 0);
	assert_int_equal(strncmp(made, "task:sha256-", 12), 0);
	assert_int_equal(strncmp(other, "task:sha256-", 12), 0);
	assert_string_not_equal(made, other);
	assert_int_equal(ql_task_eval_id(QL_TASK_TEMPLATE, "", made, &e), -1);
	assert_int_equal(ql_task_eval_id(QL_TASK_TEMPLATE, "a\tb", made, &e), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(templates),
		cmocka_unit_test(ids_of_evaluations),
		cmocka_unit_test(evaluations_of_ids),
		cmocka_unit_test(strangers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
