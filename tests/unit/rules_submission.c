/* What a submission may hold: each member at its bounds, each refusal with its number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "rules/submission.h"

#define NOW 1767323045678

static int
parse_json(json_t *object, bool images, struct ql_record *ret_record, struct ql_event *ret_event,
	const char **ret_field, struct ql_err *e)
{
	assert_non_null(object);
	struct ql_submission_place place = {.images = images};
	int rc = ql_submission_parse(object, &place, NOW, ret_record, ret_event, ret_field, e);
	json_decref(object);
	return rc;
}

/* The payload of an accepted submission; the caller frees it. */
static char *
accepted(json_t *object)
{
	struct ql_record record;
	struct ql_event event;
	const char *field;
	struct ql_err e = {0};
	if (parse_json(object, false, &record, &event, &field, &e))
		fail_msg("refused: %s", e.text);
	char *payload = ql_str_dup(record.payload);
	ql_record_done(&record);
	return payload;
}

static void
assert_accepted(const char *text)
{
	free(accepted(json_loads(text, JSON_ALLOW_NUL, NULL)));
}

static void
assert_refused_json(json_t *object, const char *field, const char *says)
{
	struct ql_record record;
	struct ql_event event;
	const char *got = "untouched";
	struct ql_err e = {0};
	json_incref(object); /* an unknown member is named by its own text */
	if (parse_json(object, false, &record, &event, &got, &e) == 0)
		fail_msg("accepted, though %s was expected", says);
	assert_int_equal(e.code, QL_E_INVALID);
	if (!strstr(e.text, says))
		fail_msg("'%s' doesn't say '%s'", e.text, says);
	if (field)
		assert_string_equal(got, field);
	else
		assert_null(got);
	json_decref(object);
	assert_null(record.payload);
	/* a refusal goes into a JSON answer */
	json_t *sentence = json_string(e.text);
	assert_non_null(sentence);
	json_decref(sentence);
}

static void
assert_refused(const char *text, const char *field, const char *says)
{
	assert_refused_json(json_loads(text, JSON_ALLOW_NUL, NULL), field, says);
}

/* {"code": "1", "language": "bash", name: value} */
static json_t *
with(const char *name, json_t *value)
{
	json_t *object = json_pack("{s:s, s:s}", "code", "1", "language", "bash");
	assert_int_equal(json_object_set_new(object, name, value), 0);
	return object;
}

static json_t *
letters(size_t len)
{
	QL_CLEAN_BUF struct ql_buf buf = {0};
	while (buf.len < len)
		ql_buf_adds(&buf, "a");
	return json_stringn(buf.data ? buf.data : "", buf.len);
}

static json_t *
many(size_t count, json_t *(*add)(json_t *into, size_t i))
{
	json_t *into = NULL;
	for (size_t i = 0; i < count; i++)
		into = add(into, i);
	return into;
}

static json_t *
add_name(json_t *into, size_t i)
{
	char name[32];
	into = into ? into : json_object();
	snprintf(name, sizeof(name), "n%zu", i);
	json_object_set_new(into, name, json_string("v"));
	return into;
}

static json_t *
add_arg(json_t *into, size_t i)
{
	into = into ? into : json_array();
	json_array_append_new(into, i ? letters(1) : json_string("true"));
	return into;
}

static void
test_defaults_are_filled_in(void **state)
{
	(void)state;
	char *payload = accepted(json_pack("{s:s, s:s}", "language", "bash", "code", "echo"));
	assert_string_equal(payload,
		"{\"code\":\"echo\",\"language\":\"bash\",\"queue\":\"default\",\"priority\":5,"
		"\"timeout_s\":3600,\"grace_s\":10,\"memory_mb\":512,\"pids\":256,\"cpus\":1}");
	free(payload);
}

static void
test_record_and_event(void **state)
{
	(void)state;
	struct ql_record record;
	struct ql_event event;
	const char *field;
	struct ql_err e = {0};
	json_t *object = json_loads(
		"{\"eval_id\":\"a.b:c-1_2\",\"command\":[\"sh\",\"-c\",\"\"],\"queue\":\"gpu\","
		"\"priority\":9,\"timeout_s\":0.25,\"queue_ttl_s\":2,\"grace_s\":0,"
		"\"labels\":{\"k\":\"v\"},\"session\":\"s\",\"supersedes\":\"branch\",\"env\":"
		"null}",
		0, NULL);
	assert_int_equal(parse_json(object, false, &record, &event, &field, &e), 0);
	assert_string_equal(record.eval_id, "a.b:c-1_2");
	assert_null(record.language);
	assert_null(record.owner);
	assert_string_equal(record.queue, "gpu");
	assert_string_equal(record.labels, "{\"k\":\"v\"}");
	assert_string_equal(record.session, "s");
	assert_string_equal(record.supersedes, "branch");
	assert_int_equal(record.priority, 9);
	assert_int_equal(event.kind, QL_EVENT_SUBMIT);
	assert_int_equal(event.now, NOW);
	assert_int_equal(event.timeout_ms, 250);
	assert_int_equal(event.queue_ttl_ms, 2000);
	assert_int_equal(event.grace_ms, 0);
	assert_null(strstr(record.payload, "eval_id"));
	ql_record_done(&record);
}

static void
test_an_id_is_made(void **state)
{
	(void)state;
	struct ql_record a, b;
	struct ql_event event;
	const char *field;
	assert_int_equal(
		parse_json(with("eval_id", json_null()), false, &a, &event, &field, NULL), 0);
	assert_int_equal(
		parse_json(with("eval_id", json_null()), false, &b, &event, &field, NULL), 0);
	assert_true(ql_str_is_eval_id(a.eval_id));
	assert_string_not_equal(a.eval_id, b.eval_id);
	ql_record_done(&a);
	ql_record_done(&b);
}

static void
test_payload_is_a_submission_again(void **state)
{
	(void)state;
	char *once = accepted(with("timeout_s", json_real(0.1)));
	char *twice = accepted(json_loads(once, 0, NULL));
	assert_string_equal(once, twice);
	assert_non_null(strstr(once, "\"timeout_s\":0.1,"));
	free(once);
	free(twice);
}

static void
test_what_is_to_run(void **state)
{
	(void)state;
	assert_refused("[1]", NULL, "must be a JSON object, not an array");
	assert_refused("{}", "code", "neither code nor command");
	assert_refused("{\"code\":null,\"command\":null}", "code", "neither code nor command");
	assert_refused("{\"code\":\"1\",\"language\":\"bash\",\"command\":[\"true\"]}", "command",
		"both code and command");
	assert_refused("{\"code\":\"1\"}", "language", "needs its language");
	assert_refused(
		"{\"command\":[\"true\"],\"language\":\"bash\"}", "language", "belongs to code");
	assert_refused("{\"code\":\"1\",\"language\":\"cobol\"}", "language",
		"must be one of python, bash, node, c, not 'cobol'");
	assert_refused("{\"code\":\"\",\"language\":\"bash\"}", "code", "1 to 4194304 bytes");
	assert_refused("{\"code\":7,\"language\":\"bash\"}", "code", "not a number");
	assert_refused("{\"code\":\"1\",\"language\":\"bash\",\"colour\":1}", "colour", "'colour'");
	assert_refused_json(with("code", letters(QL_CODE_MAX + 1)), "code", "this has 4194305");
	free(accepted(with("code", letters(QL_CODE_MAX))));
}

static void
test_command_bounds(void **state)
{
	(void)state;
	assert_refused(
		"{\"command\":\"true\"}", "command", "array of 1 to 1024 strings, not a string");
	assert_refused("{\"command\":[]}", "command", "1 to 1024");
	assert_refused(
		"{\"command\":[\"\"]}", "command", "command[0] must be a string of 1 to 131071");
	assert_refused("{\"command\":[\"a\",1]}", "command", "command[1] must be a string");
	assert_refused("{\"command\":[\"a\",\"b\\u0000c\"]}", "command", "\\u0000");
	json_t *object = json_pack("{s:o}", "command", many(QL_ARGS_MAX + 1, add_arg));
	assert_refused_json(object, "command", "1 to 1024 strings, this has 1025");
	free(accepted(json_pack("{s:o}", "command", many(QL_ARGS_MAX, add_arg))));
	object = json_pack("{s:[s, o]}", "command", "true", letters(QL_ARG_MAX + 1));
	assert_refused_json(object, "command", "0 to 131071 bytes, this has 131072");
	json_t *args = json_pack("[s]", "true");
	for (int i = 0; i < 6; i++)
		json_array_append_new(args, letters(QL_ARG_MAX));
	assert_refused_json(json_pack("{s:o}", "command", args), "command", "at most 786432 bytes");
}

static void
test_env_bounds(void **state)
{
	(void)state;
	assert_accepted("{\"command\":[\"a\"],\"env\":{\"_A9z\":\"\",\"b\":\"x=y\"}}");
	assert_refused("{\"command\":[\"a\"],\"env\":{\"9A\":\"1\"}}", "env", "'9A'");
	assert_refused("{\"command\":[\"a\"],\"env\":{\"\":\"1\"}}", "env", "1 to 256");
	assert_refused("{\"command\":[\"a\"],\"env\":{\"A=B\":\"1\"}}", "env", "'A=B'");
	assert_refused("{\"command\":[\"a\"],\"env\":{\"QUELL_EVAL_ID\":\"1\"}}", "env", "QUELL_");
	assert_refused("{\"command\":[\"a\"],\"env\":{\"A\":1}}", "env", "env.A must be a string");
	assert_refused("{\"command\":[\"a\"],\"env\":{\"A\":\"\\u0000\"}}", "env", "\\u0000");
	assert_refused("{\"command\":[\"a\"],\"env\":[]}", "env", "not an array");
	assert_refused_json(with("env", many(QL_ENV_MAX + 1, add_name)), "env", "at most 256");
	free(accepted(with("env", many(QL_ENV_MAX, add_name))));
	json_t *env = json_object();
	for (int i = 0; i < 7; i++) {
		char name[8];
		snprintf(name, sizeof(name), "N%d", i);
		json_object_set_new(env, name, letters(QL_ARG_MAX - 3));
	}
	assert_refused_json(with("env", env), "env", "at most 786432 bytes");
}

static void
test_label_and_text_bounds(void **state)
{
	(void)state;
	assert_accepted("{\"command\":[\"a\"],\"labels\":{\"a b\":\"\"}}");
	assert_refused_json(
		with("labels", json_pack("{s:i}", "a", 1)), "labels", "labels.a must be");
	assert_refused_json(with("labels", json_pack("{s:s}", "a=b", "")), "labels", "'a=b'");
	assert_refused_json(with("labels", json_pack("{s:s}", "", "")), "labels", "1 to 256 bytes");
	assert_refused_json(with("labels", json_pack("{s:o}", "a", letters(257))), "labels", "257");
	assert_refused_json(
		with("labels", many(QL_LABELS_MAX + 1, add_name)), "labels", "at most 64");
	free(accepted(with("labels", many(QL_LABELS_MAX, add_name))));
	static const char *const texts[] = {"queue", "session", "supersedes"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		free(accepted(with(texts[i], letters(QL_TEXT_MAX))));
		assert_refused_json(
			with(texts[i], letters(QL_TEXT_MAX + 1)), texts[i], "this has 257");
		assert_refused_json(with(texts[i], letters(0)), texts[i], "1 to 256");
		assert_refused_json(with(texts[i], json_stringn("a\0b", 3)), texts[i], "\\u0000");
	}
}

static void
test_number_bounds(void **state)
{
	(void)state;
	static const struct {
		const char *name, *min, *max, *below, *above, *says;
	} rows[] = {
		{"priority", "0", "9", "-1", "10", "a whole number from 0 to 9"},
		{"timeout_s", "0.001", "2592000", "0", "2592000.5",
			"a number from 0.001 to 2592000"},
		{"queue_ttl_s", "0.001", "2592000", "0", "2592001",
			"a number from 0.001 to 2592000"},
		{"grace_s", "0", "86400", "-0.5", "86401", "a number from 0 to 86400"},
		{"memory_mb", "16", "1048576", "15", "1048577",
			"a whole number from 16 to 1048576"},
		{"pids", "4", "32768", "3", "1e300", "a whole number from 4 to 32768"},
		{"cpus", "0.01", "1024.0", "0.009", "1025", "a number from 0.01 to 1024"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *name = rows[i].name;
		free(accepted(with(name, json_loads(rows[i].min, JSON_DECODE_ANY, NULL))));
		free(accepted(with(name, json_loads(rows[i].max, JSON_DECODE_ANY, NULL))));
		json_t *below = json_loads(rows[i].below, JSON_DECODE_ANY, NULL);
		assert_refused_json(with(name, below), name, rows[i].says);
		json_t *above = json_loads(rows[i].above, JSON_DECODE_ANY, NULL);
		assert_refused_json(with(name, above), name, rows[i].says);
		assert_refused_json(with(name, json_string("5")), name, "not a string");
		assert_refused_json(with(name, json_true()), name, "not true");
	}
	assert_refused_json(with("pids", json_real(5.5)), "pids", "not 5.5");
	free(accepted(with("pids", json_real(5.0))));
}

static void
test_eval_id(void **state)
{
	(void)state;
	free(accepted(with("eval_id", letters(128))));
	assert_refused_json(with("eval_id", letters(129)), "eval_id", "1 to 128");
	assert_refused_json(with("eval_id", json_string("task:9f1c")), "eval_id",
		"must not begin with 'task:'");
	free(accepted(with("eval_id", json_string("task-9f1c"))));
	static const char *const bad[] = {"", "a/b", "../a", ".a", "a b", "a~2", "\xc3\xa4"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused_json(with("eval_id", json_string(bad[i])), "eval_id", "A-Z");
	assert_refused_json(with("eval_id", json_stringn("a\0b", 3)), "eval_id", "A-Z");
	assert_refused_json(with("eval_id", json_integer(7)), "eval_id", "must be a string");
}

static void
test_image_needs_a_runtime_for_it(void **state)
{
	(void)state;
	struct ql_record record;
	struct ql_event event;
	const char *field;
	assert_refused_json(with("image", json_string("alpine")), "image", "own sandbox");
	json_t *object = with("image", json_string("alpine"));
	assert_int_equal(parse_json(object, true, &record, &event, &field, NULL), 0);
	struct ql_program program;
	assert_int_equal(ql_program_parse(record.payload, false, &program, NULL), 0);
	assert_string_equal(program.image, "alpine");
	ql_program_done(&program);
	ql_record_done(&record);
}

/* What a refusal repeats is cut between characters. */
static void
test_long_names_are_shown_cut(void **state)
{
	(void)state;
	QL_CLEAN_BUF struct ql_buf name = {0};
	ql_buf_adds(&name, "x");
	for (int i = 0; i < 300; i++)
		ql_buf_adds(&name, "\xe2\x82\xac");
	assert_refused_json(with(name.data, json_true()), name.data, "\xe2\x82\xac...'");
	assert_refused_json(with("language", json_string(name.data)), "language", "1 to 256");
	assert_refused_json(with("env", json_pack("{s:s}", name.data, "")), "env", "...'");
}

static void
test_program_of_a_command(void **state)
{
	(void)state;
	char *payload = accepted(json_pack("{s:[s, s], s:{s:s, s:s}, s:i, s:i, s:f}", "command",
		"echo", "a b", "env", "A", "1", "B", "", "memory_mb", 64, "pids", 8, "cpus", 0.5));
	struct ql_program program;
	assert_int_equal(ql_program_parse(payload, false, &program, NULL), 0);
	assert_string_equal(program.argv[0], "echo");
	assert_string_equal(program.argv[1], "a b");
	assert_null(program.argv[2]);
	assert_string_equal(program.env[0], "A=1");
	assert_string_equal(program.env[1], "B=");
	assert_null(program.env[2]);
	assert_null(program.code);
	assert_null(program.image);
	assert_int_equal(program.memory_mb, 64);
	assert_int_equal(program.pids, 8);
	assert_true(program.cpus == 0.5);
	ql_program_done(&program);
	free(payload);
}

static void
test_program_of_code(void **state)
{
	(void)state;
	char *payload = accepted(with("code", json_string("echo \xe2\x82\xac")));
	struct ql_program program;
	assert_int_equal(ql_program_parse(payload, false, &program, NULL), 0);
	assert_string_equal(program.argv[0], "bash");
	assert_string_equal(program.argv[1], program.code_name);
	assert_string_equal(program.code, "echo \xe2\x82\xac");
	assert_int_equal(program.code_len, strlen("echo \xe2\x82\xac"));
	assert_null(program.env[0]);
	ql_program_done(&program);
	ql_program_done(&program);
	free(payload);
}

static void
test_damaged_payloads(void **state)
{
	(void)state;
	struct ql_program program;
	struct ql_err e = {0};
	assert_int_equal(ql_program_parse("{\"code\"", false, &program, &e), -1);
	assert_int_equal(e.code, QL_E_INTERNAL);
	assert_int_equal(ql_program_parse("[]", false, &program, &e), -1);
	assert_int_equal(ql_program_parse("{\"code\":\"1\"}", false, &program, &e), -1);
	assert_null(program.payload);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_are_filled_in),
		cmocka_unit_test(test_record_and_event),
		cmocka_unit_test(test_an_id_is_made),
		cmocka_unit_test(test_payload_is_a_submission_again),
		cmocka_unit_test(test_what_is_to_run),
		cmocka_unit_test(test_command_bounds),
		cmocka_unit_test(test_env_bounds),
		cmocka_unit_test(test_label_and_text_bounds),
		cmocka_unit_test(test_number_bounds),
		cmocka_unit_test(test_eval_id),
		cmocka_unit_test(test_image_needs_a_runtime_for_it),
		cmocka_unit_test(test_long_names_are_shown_cut),
		cmocka_unit_test(test_program_of_a_command),
		cmocka_unit_test(test_program_of_code),
		cmocka_unit_test(test_damaged_payloads),
	};
	return cmocka_run_group_tests_name("submission", tests, NULL, NULL);
}
