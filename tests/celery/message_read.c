/* What a task's message says, in the words of several producers. */
#include "fixture.h"

/* 5.6.3's headers, a body without base64, a stamp, and a header of the user's before them. */
static const char five_six[] =
	"{\"body\":\"[[2,3],{},{\\\"callbacks\\\":null,\\\"errbacks\\\":null,\\\"chain\\\":null,"
	"\\\"chord\\\":null}]\",\"content-encoding\":\"utf-8\",\"content-type\":\"application/"
	"json\","
	"\"headers\":{\"x\":{\"id\":\"other\",\"task\":\"t\"},\"lang\":\"py\",\"task\":\"proj."
	"add\","
	"\"id\":\"six-1\",\"shadow\":null,\"eta\":\"2026-11-22T13:00:00.250000+01:00\",\"expires\":"
	"null,"
	"\"group\":null,\"group_index\":null,\"retries\":3,\"timelimit\":[null,null],"
	"\"root_id\":\"root-1\",\"parent_id\":\"parent-1\",\"argsrepr\":\"(2, "
	"3)\",\"kwargsrepr\":\"{}\","
	"\"origin\":\"gen9009@host\",\"ignore_result\":false,\"replaced_task_nesting\":0,"
	"\"stamped_headers\":[\"job\"],\"stamps\":{\"job\":\"J1\"}},\"properties\":{\"correlation_"
	"id\":"
	"\"six-1\",\"delivery_mode\":2,\"delivery_info\":{\"exchange\":\"\",\"routing_key\":"
	"\"celery\","
	"\"redelivered\":true},\"priority\":0,\"delivery_tag\":\"t1\"}}";

/* The least that a worker runs. */
static const char least[] =
	"{\"body\":\"W1s1LDZdLHt9LHt9XQ==\",\"content-type\":\"application/json\","
	"\"content-encoding\":\"utf-8\",\"headers\":{\"task\":\"proj.add\",\"id\":\"min-1\"},"
	"\"properties\":{\"body_encoding\":\"base64\",\"delivery_info\":{\"exchange\":\"\","
	"\"routing_key\":\"celery\"},\"delivery_tag\":\"t1\"}}";

static void
a_plain_task(void **state)
{
	(void)state;
	struct ql_message message = fixture_message("task-plain");
	assert_string_equal(message.id, "plain-1");
	assert_string_equal(message.task, "proj.add");
	assert_string_equal(message.root_id, "plain-1");
	assert_null(message.parent_id);
	assert_null(message.group);
	assert_null(message.chain);
	assert_int_equal(message.eta, 0);
	assert_int_equal(message.retries, 0);
	assert_false(message.canvas || message.redelivered || message.expired);
	ql_message_done(&message);
}

static void
newer_and_smaller_ones(void **state)
{
	(void)state;
	struct ql_message message = parse_text(five_six);
	assert_string_equal(message.id, "six-1");
	assert_string_equal(message.root_id, "root-1");
	assert_string_equal(message.parent_id, "parent-1");
	assert_int_equal(message.retries, 3);
	assert_int_equal(message.eta, 1795348800250);
	assert_true(message.redelivered);
	assert_false(message.canvas);
	ql_message_done(&message);
	message = parse_text(least);
	assert_string_equal(message.id, "min-1");
	assert_false(message.canvas);
	ql_message_done(&message);
}

static void
times_and_retries(void **state)
{
	(void)state;
	struct ql_message message = fixture_message("task-eta");
	assert_in_range(message.eta, 1790000000000, 1900000000000);
	assert_false(message.expired);
	ql_message_done(&message);
	size_t len;
	struct fixture entry = fixture_load("unacked-2");
	char *bytes = ql_message_of_unacked(entry.bytes, entry.len, &len);
	message = parse_text(bytes);
	assert_string_equal(message.id, "again-1");
	assert_int_equal(message.retries, 1);
	assert_in_range(message.eta, 1790000000000, 1900000000000);
	ql_message_done(&message);
	free(bytes);
	free(entry.bytes);
}

static void
what_depends_on_it(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		bool canvas;
		bool group;
	} known[] = {{"task-linked", true, false}, {"task-group", true, true},
		{"task-chord", true, true}, {"task-chain", true, false},
		{"task-words", false, false}, {"task-limits", false, false},
		{"task-priority", false, false}, {"task-one", false, false},
		{"task-one-chord", true, true}};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct ql_message message = fixture_message(known[i].name);
		assert_int_equal(message.canvas, known[i].canvas);
		assert_int_equal(message.group != NULL, known[i].group);
		ql_message_done(&message);
	}
}

static void
assert_chain(const char *name, const char *const *want)
{
	struct ql_message message = fixture_message(name);
	size_t i = 0;
	for (; message.chain[i] && want[i]; i++)
		if (*want[i])
			assert_string_equal(message.chain[i], want[i]);
	assert_null(message.chain[i]);
	assert_null(want[i]);
	ql_message_done(&message);
}

/* "" is an id that Celery made up. */
static void
what_follows_it(void **state)
{
	(void)state;
	const char *const four[] = {"chain-2", "chain-3", "chain-4", NULL};
	const char *const grouped[] = {"", "", "", "", NULL};
	assert_chain("task-chain", four);
	assert_chain("task-chain-group", grouped);
}

static void
ids_with_any_letter(void **state)
{
	(void)state;
	struct ql_message message = fixture_message("task-words");
	assert_string_equal(message.id, "w\"\\\xc3\xb6-1");
	ql_message_done(&message);
}

static void
protocol_one(void **state)
{
	(void)state;
	struct ql_message message = fixture_message("task-one");
	assert_string_equal(message.id, "one-1");
	assert_string_equal(message.task, "proj.add");
	assert_in_range(message.eta, 1790000000000, 1900000000000);
	ql_message_done(&message);
	message = parse_text(
		"{\"body\":\"gASVOgA=\",\"content-type\":\"application/x-python-serialize\","
		"\"headers\":{},\"properties\":{\"correlation_id\":\"old-1\","
		"\"body_encoding\":\"base64\"}}");
	assert_string_equal(message.id, "old-1");
	assert_null(message.task);
	assert_true(message.canvas);
	ql_message_done(&message);
}

/* Nothing is known of such a body, so others may depend on its end. */
static void
closed_bodies(void **state)
{
	(void)state;
	struct ql_message message = fixture_message("task-pickled");
	assert_string_equal(message.id, "pickled-1");
	assert_true(message.canvas);
	ql_message_done(&message);
	message = fixture_message("task-compressed");
	assert_string_equal(message.id, "zlib-1");
	assert_true(message.canvas);
	ql_message_done(&message);
}

static void
what_only_python_calls_json(void **state)
{
	(void)state;
	struct ql_message message = parse_text(
		"{\"body\": \"[[NaN, -Infinity], {\\\"k\\\": 123456789012345678901234}, {}]\", "
		"\"content-type\": \"application/json\", \"headers\": {\"task\": \"t\", "
		"\"id\": \"nan-1\", \"x\": -99999999999999999999, \"retries\": 2, \"argsrepr\": "
		"\"('\\udce9', '\\ud83d\\ude00', '\\ud83d')\"}, \"properties\": {}}");
	assert_string_equal(message.id, "nan-1");
	assert_int_equal(message.retries, 2);
	assert_false(message.canvas);
	ql_message_done(&message);
}

static void
what_is_no_message(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "x", "{}", "[]", "null", "{\"body\":\"\"}",
		"{\"body\":\"!\",\"properties\":{\"body_encoding\":\"base64\"},\"headers\":{"
		"\"task\":\"t\","
		"\"id\":\"a\"}}",
		"{\"body\":\"[]\",\"headers\":{\"task\":\"t\"}}",
		"{\"body\":\"[]\",\"headers\":{\"task\":\"t\",\"id\":7}}",
		"{\"body\":\"[]\",\"headers\":{\"task\":\"t\",\"id\":\"a\\u0000b\"}}",
		"{\"body\":\"[]\",\"headers\":{\"task\":\"t\",\"id\":\"a\",\"id\":\"b\"}}",
		"{\"body\":\"gASV\",\"content-type\":\"application/"
		"x-python-serialize\",\"headers\":{},"
		"\"properties\":{\"body_encoding\":\"base64\"}}"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct ql_message message = {.id = (char *)-1};
		struct ql_err e = {0};
		assert_int_equal(ql_message_parse(wrong[i], strlen(wrong[i]), &message, &e), -1);
		assert_true(e.text[0] && message.id == (char *)-1);
	}
}

static void
bounds_hold(void **state)
{
	(void)state;
	struct ql_message message;
	struct ql_err e;
	assert_int_equal(ql_message_parse("{}", QL_MESSAGE_MAX + 1UL, &message, &e), -1);
	assert_int_equal(e.code, QL_E_TOO_LARGE);
	struct ql_buf text = {0};
	ql_buf_adds(&text,
		"{\"content-type\":\"application/json\",\"headers\":{\"task\":\"t\",\"id\":\"a\"},"
		"\"body\":\"[[],{},{\\\"chain\\\":[");
	for (int i = 0; i <= QL_MESSAGE_CHAIN_MAX; i++)
		ql_buf_addf(&text, "%s{\\\"options\\\":{\\\"task_id\\\":\\\"c%d\\\"}}",
			i ? "," : "", i);
	ql_buf_adds(&text, "]}]\"}");
	assert_int_equal(ql_message_parse(text.data, text.len, &message, &e), 0);
	size_t count = 0;
	while (message.chain[count])
		count++;
	assert_int_equal(count, QL_MESSAGE_CHAIN_MAX); /* it is a task's message all the same */
	assert_true(message.canvas);
	ql_message_done(&message);
	ql_buf_done(&text);
	/* brackets that never close, as deep as there is room */
	for (int i = 0; i < 1 << 20; i++)
		ql_buf_adds(&text, i % 2 ? "[" : "{\"headers\":");
	assert_int_equal(ql_message_parse(text.data, text.len, &message, &e), -1);
	assert_true(ql_message_may_be(text.data, text.len, "a", 1));
	ql_buf_done(&text);
}

/* As other writers than Python spell it, too. What can't be read is no reason to take the message for none. */
static void
times_of_others(void **state)
{
	(void)state;
	static const struct {
		const char *eta;
		int64_t ms;
	} known[] = {{"2026-11-22T12:00:00", 1795348800000},
		{"2026-11-22T12:00:00Z", 1795348800000},
		{"2026-11-22T13:00:00.25+01:00", 1795348800250},
		{"2026-11-22T13:00:00.250+0100", 1795348800250},
		{"2026-11-22T13:00:00+01", 1795348800000},
		{"2026-11-22T06:30:00-05:30", 1795348800000}, {"2026-11-22T13:00:00+1", 0},
		{"2026-11-22T13:00:00+01:0", 0}, {"2026-11-22T13:00:00+01:", 0},
		{"2026-11-22T13:00:00+001", 0}, {"soon", 0}};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		char text[256];
		struct ql_message message;
		snprintf(text, sizeof(text),
			"{\"body\":\"[]\",\"headers\":{\"task\":\"t\",\"id\":\"a\",\"eta\":\"%s\"}"
			"}",
			known[i].eta);
		assert_int_equal(ql_message_parse(text, strlen(text), &message, NULL), 0);
		assert_int_equal(message.eta, known[i].ms);
		ql_message_done(&message);
	}
}

/* A chord whose body is a chord, and so on: beyond the bound its ids are not known, but that others wait is. */
static void
nested_chords(void **state)
{
	(void)state;
	struct ql_message message;
	struct ql_buf text = {0};
	ql_buf_adds(&text,
		"{\"content-type\":\"application/json\",\"headers\":{\"task\":\"t\",\"id\":"
		"\"a\"},\"body\":\"[[],{},{\\\"chain\\\":[");
	for (int i = 0; i < 60; i++)
		ql_buf_adds(
			&text, "{\\\"task\\\":\\\"celery.chord\\\",\\\"kwargs\\\":{\\\"body\\\":");
	ql_buf_adds(&text, "null");
	for (int i = 60; i > 0; i--)
		ql_buf_addf(&text, "},\\\"options\\\":{\\\"task_id\\\":\\\"c%d\\\"}}", i);
	ql_buf_adds(&text, "]}]\"}");
	assert_int_equal(ql_message_parse(text.data, text.len, &message, NULL), 0);
	assert_true(message.canvas);
	size_t count = 0;
	while (message.chain[count])
		count++;
	assert_int_equal(count, QL_MESSAGE_NESTED_MAX);
	assert_string_equal(message.chain[count - 1], "c1"); /* the next one is always known */
	ql_message_done(&message);
	ql_buf_done(&text);
}

static void
assert_peek(const char *text, size_t len, const char *want)
{
	const char *id;
	size_t id_len;
	bool known = ql_message_peek_id(text, len, &id, &id_len);
	assert_int_equal(known, want != NULL);
	if (!want)
		return;
	assert_int_equal(id_len, strlen(want));
	assert_memory_equal(id, want, id_len);
	assert_true(ql_message_may_be(text, len, want, id_len));
	assert_false(ql_message_may_be(text, len, "plain-", 6));
	assert_false(ql_message_may_be(text, len, "other", 5));
}

static void
a_look_before_the_parse(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const char *id;
	} known[] = {{"task-plain", "plain-1"}, {"task-eta", "eta-1"}, {"task-chain", "chain-1"},
		{"task-pickled", "pickled-1"}, {"task-words", NULL}, {"task-one", NULL}};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct fixture fixture = fixture_load(known[i].name);
		assert_peek(fixture.bytes, fixture.len, known[i].id);
		free(fixture.bytes);
	}
	assert_peek(five_six, strlen(five_six), "six-1");
	assert_peek(least, strlen(least), "min-1");
	assert_true(ql_message_may_be("{}", 2, "a", 1));
}

static bool
is_plain(const char *text)
{
	return ql_message_is_plain(text, strlen(text));
}

static void
plain_without_a_parse(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		bool plain;
	} known[] = {{"task-plain", true}, {"task-eta", false}, {"task-priority", true},
		{"task-chain", false}, {"task-chord", false}, {"task-group", false},
		{"task-linked", false}, {"task-chain-group", false}, {"task-group1", false},
		{"task-pickled", false}, {"task-compressed", false}, {"task-one", false},
		{"task-one-chord", false}, {"unacked-0", false}};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct fixture fixture = fixture_load(known[i].name);
		bool plain = ql_message_is_plain(fixture.bytes, fixture.len);
		if (plain != known[i].plain)
			fail_msg("%s: %d", known[i].name, plain);
		size_t len;
		char *marked = ql_message_expire(fixture.bytes, fixture.len, &len);
		assert_false(marked && ql_message_is_plain(marked, len));
		free(marked);
		for (size_t end = 0; end < fixture.len;
			end++) /* what is cut short may lack anything */
			assert_false(ql_message_is_plain(fixture.bytes, end) && !plain);
		free(fixture.bytes);
	}
	assert_false(is_plain(least));
	assert_false(is_plain("{}"));
	assert_false(is_plain(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_task),
		cmocka_unit_test(newer_and_smaller_ones),
		cmocka_unit_test(times_and_retries),
		cmocka_unit_test(what_depends_on_it),
		cmocka_unit_test(what_follows_it),
		cmocka_unit_test(ids_with_any_letter),
		cmocka_unit_test(protocol_one),
		cmocka_unit_test(closed_bodies),
		cmocka_unit_test(what_only_python_calls_json),
		cmocka_unit_test(what_is_no_message),
		cmocka_unit_test(bounds_hold),
		cmocka_unit_test(times_of_others),
		cmocka_unit_test(nested_chords),
		cmocka_unit_test(a_look_before_the_parse),
		cmocka_unit_test(plain_without_a_parse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
