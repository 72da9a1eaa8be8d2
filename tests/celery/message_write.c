/* What Quell writes into a queue: a mark in another's message, and messages of its own. */
#include "fixture.h"

#include "broker/celery/wire/envelope.h"

#define MARK "\"" QL_MESSAGE_MARK "\""

/* The text with its only occurrence of `what` replaced by the mark. */
static char *
with_mark(const struct fixture *fixture, const char *what)
{
	const char *at = strstr(fixture->bytes, what);
	assert_non_null(at);
	assert_null(strstr(at + 1, what));
	struct ql_buf buf = {0};
	ql_buf_add(&buf, fixture->bytes, (size_t)(at - fixture->bytes));
	ql_buf_adds(&buf, "\"expires\": " MARK);
	ql_buf_adds(&buf, at + strlen(what));
	return ql_buf_take(&buf);
}

static void
assert_marked(const char *name, const char *what)
{
	struct fixture fixture = fixture_load(name);
	size_t len;
	char *marked = ql_message_expire(fixture.bytes, fixture.len, &len);
	assert_non_null(marked);
	char *want = with_mark(&fixture, what);
	assert_int_equal(len, strlen(want));
	assert_string_equal(marked, want);
	struct ql_message message = parse_text(marked);
	assert_true(message.expired);
	ql_message_done(&message);
	free(want);
	free(marked);
	free(fixture.bytes);
}

static void
nothing_else_changes(void **state)
{
	(void)state;
	static const char *const names[] = {"task-plain", "task-linked", "task-words", "task-group",
		"task-chord", "task-chain", "task-chain-group", "task-limits", "task-compressed",
		"task-pickled"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_marked(names[i], "\"expires\": null");
}

static void
one_that_would_expire_later(void **state)
{
	(void)state;
	struct fixture fixture = fixture_load("task-eta");
	size_t len;
	char *at = strstr(fixture.bytes, "\"expires\": \"");
	assert_non_null(at);
	char what[64] = {0};
	memcpy(what, at, sizeof("\"expires\": \"2026-11-23T06:10:23.000000+00:00\"") - 1);
	assert_marked("task-eta", what);
	char *once = ql_message_expire(fixture.bytes, fixture.len, &len);
	char *twice = ql_message_expire(once, len, &len);
	assert_string_equal(once, twice);
	free(once);
	free(twice);
	free(fixture.bytes);
}

static void
one_that_has_no_such_field(void **state)
{
	(void)state;
	static const char text[] =
		"{\"body\":\"[[],{},{}]\",\"content-type\":\"application/json\",\"x\":"
		"{\"headers\":{}},\"headers\": {\"y\":{\"expires\":null},\"task\":\"t\","
		"\"id\":\"a\"}}";
	static const char want[] =
		"{\"body\":\"[[],{},{}]\",\"content-type\":\"application/json\",\"x\":"
		"{\"headers\":{}},\"headers\": {\"expires\": " MARK
		", \"y\":{\"expires\":null},\"task\":\"t\",\"id\":\"a\"}}";
	size_t len;
	char *marked = ql_message_expire(text, strlen(text), &len);
	assert_string_equal(marked, want);
	free(marked);
}

/* Of protocol 1 the field is in the body; the envelope around it stays. */
static void
protocol_one(void **state)
{
	(void)state;
	static const char *const names[] = {"task-one", "task-one-chord"};
	for (size_t i = 0; i < 2; i++) {
		struct fixture fixture = fixture_load(names[i]);
		struct ql_envelope before, after;
		size_t len;
		char *marked = ql_message_expire(fixture.bytes, fixture.len, &len);
		assert_non_null(marked);
		assert_string_equal(strstr(fixture.bytes, "\", \"content-encoding"),
			strstr(marked, "\", \"content-encoding"));
		assert_int_equal(ql_envelope_open(fixture.bytes, fixture.len, &before, NULL), 0);
		assert_int_equal(ql_envelope_open(marked, len, &after, NULL), 0);
		struct fixture body = {before.body.data, before.body.len};
		char *want = with_mark(&body, "\"expires\": null");
		assert_string_equal(after.body.data, want);
		free(want);
		ql_envelope_done(&before);
		ql_envelope_done(&after);
		free(marked);
		free(fixture.bytes);
	}
}

static void
protocol_one_without_base64(void **state)
{
	(void)state;
	static const char text[] =
		"{\"body\":\" {\\\"task\\\": \\\"t\\\", \\\"id\\\": \\\"\\u00f6\\\"}\","
		"\"content-type\":\"application/json\",\"headers\":{}}";
	size_t len;
	char *marked = ql_message_expire(text, strlen(text), &len);
	assert_non_null(marked);
	struct ql_message message = parse_text(marked);
	assert_true(message.expired);
	assert_string_equal(message.id, "\xc3\xb6");
	ql_message_done(&message);
	free(marked);
}

static void
entries_of_unacked(void **state)
{
	(void)state;
	struct fixture entry = fixture_load("unacked-0");
	size_t len, marked_len;
	char *bytes = ql_message_of_unacked(entry.bytes, entry.len, &len);
	assert_int_equal(len, strlen(bytes));
	assert_memory_equal(entry.bytes + 1, bytes, len);
	char *marked = ql_message_expire_unacked(entry.bytes, entry.len, &marked_len);
	char *want = with_mark(&entry, "\"expires\": null");
	assert_string_equal(marked, want);
	assert_int_equal(marked_len, strlen(want));
	free(want);
	free(marked);
	free(bytes);
	free(entry.bytes);
}

static void
what_can_not_be_marked(void **state)
{
	(void)state;
	size_t len;
	static const char pickled[] =
		"{\"body\":\"gASV\",\"content-type\":"
		"\"application/x-python-serialize\",\"headers\":{},\"properties\":"
		"{\"body_encoding\":\"base64\",\"correlation_id\":\"a\"}}";
	assert_null(ql_message_expire("", 0, &len));
	assert_null(ql_message_expire("{}", 2, &len));
	assert_null(ql_message_expire(pickled, strlen(pickled), &len));
	assert_null(ql_message_of_unacked("{}", 2, &len));
	assert_null(ql_message_of_unacked("[]", 2, &len));
	assert_null(ql_message_expire_unacked("[{}]", 4, &len));
}

static void
messages_of_its_own(void **state)
{
	(void)state;
	const struct ql_message_new what = {.task_id = "celery-e-1",
		.task = "tasks.evaluate_code",
		.queue = "evaluations",
		.eval_id = "e-1",
		.code = "print(\"\xc3\xa9\")\n",
		.language = "python",
		.priority = 3,
		.soft_limit_s = 60,
		.hard_limit_s = 90,
		.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
	struct ql_envelope envelope;
	size_t len, again_len;
	char *bytes = ql_message_make(&what, &len);
	char *again = ql_message_make(&what, &again_len);
	assert_int_equal(len, strlen(bytes));
	assert_string_not_equal(bytes, again); /* the delivery_tag is its own */
	assert_int_equal(len, again_len);
	struct ql_message message = parse_text(bytes);
	assert_string_equal(message.id, "celery-e-1");
	assert_string_equal(message.task, "tasks.evaluate_code");
	assert_false(message.canvas || message.expired);
	ql_message_done(&message);
	assert_int_equal(ql_envelope_open(bytes, len, &envelope, NULL), 0);
	json_t *body = ql_envelope_load(&envelope, NULL);
	json_t *args = json_array_get(body, 0);
	assert_string_equal(json_string_value(json_array_get(args, 0)), "e-1");
	assert_string_equal(json_string_value(json_array_get(args, 1)), what.code);
	assert_string_equal(json_string_value(json_array_get(args, 2)), "python");
	assert_int_equal(json_integer_value(json_object_get(envelope.properties, "priority")), 3);
	assert_string_equal(json_string_value(json_object_get(envelope.headers, "traceparent")),
		what.traceparent);
	assert_null(json_object_get(envelope.headers, "tracestate"));
	json_decref(body);
	ql_envelope_done(&envelope);
	free(bytes);
	free(again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_else_changes),
		cmocka_unit_test(one_that_would_expire_later),
		cmocka_unit_test(one_that_has_no_such_field),
		cmocka_unit_test(protocol_one),
		cmocka_unit_test(protocol_one_without_base64),
		cmocka_unit_test(entries_of_unacked),
		cmocka_unit_test(what_can_not_be_marked),
		cmocka_unit_test(messages_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
