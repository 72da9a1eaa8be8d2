/* W3C Trace Context: what is taken, what is ignored, and where it goes. */
#include "rules/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "rules/submission.h"

#define GOOD "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void
test_what_is_taken(void **state)
{
	struct ql_trace_context trace;
	(void)state;
	ql_trace_read(GOOD, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", &trace);
	assert_string_equal(trace.parent, GOOD);
	assert_string_equal(trace.state, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
	/* a later version is read as far as it is known */
	ql_trace_read("cc"
		      "-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
		NULL, &trace);
	assert_string_equal(trace.parent, GOOD);
	assert_string_equal(trace.state, "");
}

static void
test_what_is_ignored(void **state)
{
	static const char *const bad[] = {"", "00", GOOD "-more", GOOD "0",
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g"};
	struct ql_trace_context trace;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ql_trace_read(bad[i], "a=b", &trace);
		if (trace.parent[0] || trace.state[0])
			fail_msg("'%s' was taken", bad[i]);
	}
	ql_trace_read(NULL, "a=b", &trace);
	assert_string_equal(trace.state, "");
	ql_trace_read(GOOD, "a=\x7f", &trace);
	assert_string_equal(trace.state, "");
	char longest[QL_TRACE_STATE + 1];
	memset(longest, 'a', sizeof(longest));
	longest[QL_TRACE_STATE] = 0;
	ql_trace_read(GOOD, longest, &trace);
	assert_string_equal(trace.state, "");
	longest[QL_TRACE_STATE - 1] = 0;
	ql_trace_read(GOOD, longest, &trace);
	assert_string_equal(trace.state, longest);
}

static json_t *
labelled(const char *text, const char *parent)
{
	struct ql_trace_context trace;
	json_t *submission = json_loads(text, 0, NULL);
	ql_trace_read(parent, "a=b", &trace);
	ql_trace_label(&trace, submission);
	return submission;
}

static void
assert_labelled(const char *text, const char *parent, const char *expected)
{
	json_t *submission = labelled(text, parent);
	json_t *wanted = json_loads(expected, 0, NULL);
	assert_non_null(wanted);
	if (!json_equal(submission, wanted))
		fail_msg("%s became %s", text, json_dumps(submission, 0));
	json_decref(submission);
	json_decref(wanted);
}

static void
test_it_becomes_labels(void **state)
{
	(void)state;
	assert_labelled(
		"{}", GOOD, "{\"labels\":{\"traceparent\":\"" GOOD "\",\"tracestate\":\"a=b\"}}");
	assert_labelled("{\"labels\":{\"x\":\"y\"}}", GOOD,
		"{\"labels\":{\"x\":\"y\",\"traceparent\":\"" GOOD "\",\"tracestate\":\"a=b\"}}");
	assert_labelled("{\"labels\":{\"traceparent\":\"mine\"}}", GOOD,
		"{\"labels\":{\"traceparent\":\"mine\"}}");
	assert_labelled("{\"labels\":5}", GOOD, "{\"labels\":5}");
	assert_labelled("{}", "wrong", "{}");
	assert_labelled("[]", GOOD, "[]");
}

static const char *
in_env(const struct ql_program *program, const char *name)
{
	for (size_t i = 0; program->env[i]; i++) {
		if (!strncmp(program->env[i], name, strlen(name)))
			return program->env[i] + strlen(name);
	}
	return NULL;
}

static void
test_the_program_finds_it(void **state)
{
	struct ql_program program;
	struct ql_err e;
	(void)state;
	assert_int_equal(ql_program_parse("{\"command\":[\"a\"],\"env\":{\"A\":\"1\"},\"labels\":{"
					  "\"traceparent\":\"" GOOD "\",\"tracestate\":\"a=b\"}}",
				 false, &program, &e),
		0);
	assert_string_equal(in_env(&program, "TRACEPARENT="), GOOD);
	assert_string_equal(in_env(&program, "TRACESTATE="), "a=b");
	assert_string_equal(in_env(&program, "A="), "1");
	ql_program_done(&program);
	/* its own comes first, and a label that is none is nothing */
	assert_int_equal(ql_program_parse("{\"command\":[\"a\"],\"env\":{\"TRACEPARENT\":\"mine\"},"
					  "\"labels\":{\"traceparent\":\"" GOOD "\"}}",
				 false, &program, &e),
		0);
	assert_string_equal(in_env(&program, "TRACEPARENT="), "mine");
	assert_null(program.env[1]);
	ql_program_done(&program);
	assert_int_equal(ql_program_parse("{\"command\":[\"a\"],\"env\":{},"
					  "\"labels\":{\"traceparent\":\"x\\ny\"}}",
				 false, &program, &e),
		0);
	assert_null(program.env[0]);
	ql_program_done(&program);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_taken),
		cmocka_unit_test(test_what_is_ignored),
		cmocka_unit_test(test_it_becomes_labels),
		cmocka_unit_test(test_the_program_finds_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
