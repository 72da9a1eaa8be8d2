/* Broadcasts, replies, events and results. */
#include "fixture.h"

#include "broker/celery/wire/envelope.h"

static void
somebodys_broadcasts(void **state)
{
	(void)state;
	struct fixture hello = fixture_load("control-hello"), ping = fixture_load("control-ping");
	struct ql_control_message control;
	assert_int_equal(ql_control_message_parse(hello.bytes, hello.len, &control, NULL), 0);
	assert_string_equal(control.method, "hello");
	assert_string_equal(control.from_node, "w1@host");
	assert_string_equal(control.reply_exchange, "reply.celery.pidbox");
	assert_non_null(control.reply_key);
	assert_non_null(control.ticket);
	assert_true(control.reply_wanted);
	ql_control_message_done(&control);
	assert_int_equal(ql_control_message_parse(ping.bytes, ping.len, &control, NULL), 0);
	assert_string_equal(control.method, "ping");
	assert_string_equal(control.reply_exchange, "");
	assert_string_equal(control.reply_key, "capture.replies");
	assert_null(control.from_node);
	ql_control_message_done(&control);
	free(hello.bytes);
	free(ping.bytes);
}

static void
quells_broadcasts(void **state)
{
	(void)state;
	size_t len;
	json_t *arguments =
		json_pack("{s:[s, s], s:b, s:n}", "task_id", "a", "b", "terminate", 1, "signal");
	json_t *nodes = json_pack("[s]", "w1@host");
	char *bytes = ql_control_message_make("revoke", arguments, nodes, "t-1", "my.list", &len);
	struct ql_envelope envelope;
	struct ql_control_message control;
	assert_int_equal(ql_control_message_parse(bytes, len, &control, NULL), 0);
	assert_string_equal(control.method, "revoke");
	assert_string_equal(control.ticket, "t-1");
	assert_string_equal(control.reply_exchange, "");
	assert_string_equal(control.reply_key, "my.list");
	ql_control_message_done(&control);
	assert_int_equal(ql_envelope_open(bytes, len, &envelope, NULL), 0);
	json_t *body = ql_envelope_load(&envelope, NULL);
	assert_true(json_equal(json_object_get(body, "arguments"), arguments));
	assert_true(json_equal(json_object_get(body, "destination"), nodes));
	json_decref(body);
	ql_envelope_done(&envelope);
	free(bytes);
	bytes = ql_control_message_make("hello", arguments, NULL, NULL, NULL, &len);
	assert_int_equal(ql_control_message_parse(bytes, len, &control, NULL), 0);
	assert_false(control.reply_wanted);
	assert_null(control.ticket);
	ql_control_message_done(&control);
	free(bytes);
	json_decref(arguments);
	json_decref(nodes);
}

static void
answers_to_hello(void **state)
{
	(void)state;
	size_t body_len, len;
	char *body =
		ql_control_hello_body("quell@h", (struct ql_text){"[\"a\",\"b\"]", 9}, &body_len);
	char *bytes = ql_control_hello_answer(
		"t-1", "reply.celery.pidbox", "oid", (struct ql_text){body, body_len}, &len);
	char *ticket, *node;
	json_t *value;
	assert_int_equal(ql_control_reply_parse(bytes, len, &ticket, &node, &value, NULL), 0);
	assert_string_equal(ticket, "t-1");
	assert_string_equal(node, "quell@h");
	json_t *ids = json_object_get(value, "revoked");
	assert_int_equal(json_array_size(ids), 2);
	assert_string_equal(json_string_value(json_array_get(ids, 1)), "b");
	json_decref(value);
	free(ticket);
	free(node);
	free(bytes);
	free(body);
}

static json_t *
reply(const char *name, const char *want_node)
{
	struct fixture fixture = fixture_load(name);
	char *ticket, *node;
	json_t *value;
	struct ql_err e;
	if (ql_control_reply_parse(fixture.bytes, fixture.len, &ticket, &node, &value, &e))
		fail_msg("%s: %s", name, e.text);
	assert_string_equal(ticket, "t-1");
	assert_string_equal(node, want_node);
	free(ticket);
	free(node);
	free(fixture.bytes);
	return value;
}

static void
workers_replies(void **state)
{
	(void)state;
	json_t *value = reply("reply-ping", "w1@host");
	assert_string_equal(json_string_value(json_object_get(value, "ok")), "pong");
	json_decref(value);
	value = reply("reply-error", "w1@host");
	assert_non_null(json_object_get(value, "error"));
	json_decref(value);
	value = reply("reply-revoked", "w1@host");
	assert_int_equal(json_array_size(value), 3);
	json_decref(value);
	value = reply("reply-stats-threads", "threads@host");
	assert_true(json_is_object(json_object_get(value, "pool")));
	json_decref(value);
}

static void
a_pickled_reply(void **state)
{
	(void)state;
	struct fixture fixture = fixture_load("reply-pickled");
	char *ticket = NULL, *node = NULL;
	json_t *value = NULL;
	struct ql_err e;
	assert_int_equal(
		ql_control_reply_parse(fixture.bytes, fixture.len, &ticket, &node, &value, &e), 1);
	assert_string_equal(ticket, "t-1");
	assert_true(!node && !value);
	assert_non_null(strstr(e.text, "application/x-python-serialize"));
	assert_non_null(strstr(e.text, "task_serializer = 'json'"));
	free(ticket);
	free(fixture.bytes);
}

static void
what_is_no_reply(void **state)
{
	(void)state;
	static const char *const bodies[] = {"{}", "[]", "{\\\"a\\\":1,\\\"b\\\":2}", "7"};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		char text[256], *ticket, *node;
		json_t *value;
		struct ql_err e = {0};
		snprintf(text, sizeof(text),
			"{\"body\":\"%s\",\"content-type\":\"application/json\",\"headers\":{}}",
			bodies[i]);
		assert_int_equal(
			ql_control_reply_parse(text, strlen(text), &ticket, &node, &value, &e), -1);
		assert_true(e.text[0]);
	}
}

static int
beat(const char *name, struct ql_beat *ret_beat)
{
	struct fixture fixture = fixture_load(name);
	int rc = ql_beat_parse(fixture.bytes, fixture.len, ret_beat);
	free(fixture.bytes);
	return rc;
}

static void
heartbeats(void **state)
{
	(void)state;
	struct ql_beat one;
	assert_int_equal(beat("event-online", &one), 0);
	assert_int_equal(beat("event-heartbeat", &one), 0);
	assert_string_equal(one.node, "w1@host");
	assert_string_equal(one.version, "5.2.6");
	assert_true(one.pid > 1);
	assert_int_equal(one.pace_ms, 2000);
	assert_int_equal(one.active, 0);
	assert_false(one.offline);
	assert_int_equal(beat("event-offline", &one), 0);
	assert_true(one.offline);
	assert_int_equal(beat("reply-ping", &one), -1);
	static const char task[] =
		"{\"body\":\"[{\\\"type\\\":\\\"task-received\\\"}]\",\"content-type\":"
		"\"application/json\",\"headers\":{}}";
	assert_int_equal(ql_beat_parse(task, strlen(task), &one), 1);
}

static struct ql_result
result(const char *name)
{
	struct fixture fixture = fixture_load(name);
	struct ql_result it;
	struct ql_err e;
	if (ql_result_parse(fixture.bytes, fixture.len, &it, &e))
		fail_msg("%s: %s", name, e.text);
	free(fixture.bytes);
	return it;
}

static void
results(void **state)
{
	(void)state;
	struct ql_result it = result("result-success");
	assert_string_equal(it.state, "SUCCESS");
	assert_string_equal(it.task_id, "ok-1");
	assert_int_equal(json_integer_value(it.value), 5);
	assert_in_range(it.done_at, 1790000000000, 1900000000000);
	assert_true(!it.error && !it.reason);
	ql_result_done(&it);
	it = result("result-failure");
	assert_string_equal(it.error, "ValueError: boom");
	assert_non_null(strstr(it.traceback, "ValueError: boom"));
	ql_result_done(&it);
	it = result("result-retry");
	assert_string_equal(it.state, "RETRY");
	ql_result_done(&it);
	it = result("result-revoked");
	assert_string_equal(it.reason, "terminated");
	assert_null(it.error);
	ql_result_done(&it);
	it = result("result-started");
	assert_string_equal(it.worker, "w1@host");
	assert_true(it.pid > 1);
	assert_int_equal(it.done_at, 0);
	ql_result_done(&it);
}

static void
quells_results(void **state)
{
	(void)state;
	struct ql_result it;
	size_t len;
	char *bytes = ql_result_make("a", "REVOKED", "revoked", "quell:a", 1795348800250, &len);
	assert_int_equal(ql_result_parse(bytes, len, &it, NULL), 0);
	assert_string_equal(it.reason, "revoked");
	assert_int_equal(it.done_at, 1795348800250);
	assert_string_equal(it.task_id, "a");
	assert_string_equal(it.worker, "quell:a");
	ql_result_done(&it);
	free(bytes);
	bytes = ql_result_make("a", "ABORTED", NULL, "quell:a", 1795348800250, &len);
	assert_string_equal(bytes, "{\"status\":\"ABORTED\",\"result\":null,\"traceback\":null,"
				   "\"children\":null,\"date_done\":null,\"task_id\":\"a\","
				   "\"worker\":\"quell:a\"}");
	free(bytes);
}

static void
what_is_no_result(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "\x80\x04\x95", "{}", "{\"status\":7}",
		"{\"status\":\"a status longer than any that there is\"}",
		"{\"status\":\"SUCCESS\",\"date_done\":\"yesterday\"}"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct ql_result it;
		struct ql_err e = {0};
		assert_int_equal(ql_result_parse(wrong[i], strlen(wrong[i]), &it, &e), -1);
		assert_true(e.text[0]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(somebodys_broadcasts),
		cmocka_unit_test(quells_broadcasts),
		cmocka_unit_test(answers_to_hello),
		cmocka_unit_test(workers_replies),
		cmocka_unit_test(a_pickled_reply),
		cmocka_unit_test(what_is_no_reply),
		cmocka_unit_test(heartbeats),
		cmocka_unit_test(results),
		cmocka_unit_test(quells_results),
		cmocka_unit_test(what_is_no_result),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
