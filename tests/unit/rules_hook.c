/* Webhooks: what may be asked for, whom they are told of, what they are sent, and how it is signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/str.h"
#include "rules/hook_message.h"

#define NOW 1700000000123

static const struct ql_hook_asker alice = {.actor = "user:alice", .owner = "alice", .now = NOW};
static const struct ql_hook_asker admin = {
	.actor = "admin:admin", .owner = "admin", .all = true, .now = NOW};
static const struct ql_hook_asker inside = {
	.actor = "user:alice", .owner = "alice", .private = true, .now = NOW};

static int
ask_as(const struct ql_hook_asker *asker, const char *text, struct ql_hook *hook,
	struct ql_fault *fault, struct ql_err *e)
{
	json_t *json = json_loads(text, JSON_ALLOW_NUL, NULL);
	assert_non_null(json);
	int rc = ql_hook_ask(json, asker, hook, fault, e);
	if (rc && fault->field) { /* it may be the JSON's own */
		static char field[64];
		ql_str_copy(field, sizeof(field), fault->field);
		fault->field = field;
	}
	json_decref(json);
	return rc;
}

static struct ql_hook
asked(const struct ql_hook_asker *asker, const char *text)
{
	struct ql_hook hook;
	struct ql_fault fault;
	struct ql_err e;
	if (ask_as(asker, text, &hook, &fault, &e))
		fail_msg("%s: %s", text, e.text);
	return hook;
}

/* ---- asking ---- */

static void
test_what_is_asked_for(void **state)
{
	(void)state;
	struct ql_hook hook =
		asked(&alice, "{\"url\":\"https://example.com/in?a=b\",\"name\":\"ci\","
			      "\"events\":[\"evaluation.settled\"],\"selector\":\"queue=low\"}");
	assert_string_equal(hook.url, "https://example.com/in?a=b");
	assert_string_equal(hook.name, "ci");
	assert_string_equal(hook.owner, "alice");
	assert_string_equal(hook.created_by, "user:alice");
	assert_string_equal(hook.selector, "queue=low");
	assert_int_equal(hook.terms.count, 1);
	assert_true(hook.enabled && !hook.everybody);
	assert_int_equal(
		hook.events, 1 << QL_HOOK_SUCCEEDED | 1 << QL_HOOK_FAILED | 1 << QL_HOOK_CANCELLED);
	assert_int_equal(strlen(hook.id), QL_RAND_ID - 1);
	ql_hook_done(&hook);
	hook = asked(&admin, "{\"url\":\"https://example.com\"}");
	assert_true(hook.everybody);
	assert_int_equal(hook.events, (1 << QL_HOOK_EVENT_COUNT) - 1);
	ql_hook_done(&hook);
	hook = asked(&admin, "{\"url\":\"https://example.com\",\"owner\":\"bob\"}");
	assert_string_equal(hook.owner, "bob");
	assert_false(hook.everybody);
	ql_hook_done(&hook);
}

static void
test_urls(void **state)
{
	static const char *const good[] = {"https://example.com", "https://example.com:8443/x",
		"HTTPS://EXAMPLE.com/a%20b", "https://93.184.216.34/", "https://[2606:4700::1111]/",
		"https://[2606:4700::1111]:444/", "https://localhost.example.com/"};
	static const char *const bad[] = {"", "example.com", "ftp://example.com", "https://",
		"https:///x", "http://example.com", "https://u@example.com",
		"https://u:p@example.com", "https://example.com/#x", "https://exa mple.com",
		"https://ex\\u00e4mple.com", "https://example.com/\\u0000", "https://localhost",
		"https://LOCALHOST:80/", "https://a.localhost", "https://localhost./x",
		"https://127.0.0.1/", "https://10.1.2.3:99", "https://169.254.169.254/latest",
		"https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://[fd00::1]",
		"https://[::1", "https://[]/", "https://:80/", "file:///etc/passwd",
		"https://\\\\evil/", "javascript:0", "https://example.com\\\\@127.0.0.1/",
		"https://0x7f.1/", "https://2130706433/", "https://0177.0.0.1/",
		"https://[fe80::1%25eth0]/", "https://[10.0.0.1]/", "https://example.com:99999/",
		"https://example.com:/", "https://[2606:4700::1111]x/", "https://%31.example.com/"};
	struct ql_hook hook;
	struct ql_fault fault;
	struct ql_err e;
	char text[200];
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		snprintf(text, sizeof(text), "{\"url\":\"%s\"}", good[i]);
		hook = asked(&alice, text);
		ql_hook_done(&hook);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text), "{\"url\":\"%s\"}", bad[i]);
		if (!ask_as(&alice, text, &hook, &fault, &e))
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(e.code, QL_E_INVALID);
		assert_string_equal(fault.field, "url");
	}
	hook = asked(&inside, "{\"url\":\"http://127.0.0.1:99/x\"}");
	ql_hook_done(&hook);
	hook = asked(&inside, "{\"url\":\"https://localhost/x\"}");
	ql_hook_done(&hook);
	assert_int_equal(ask_as(&inside, "{\"url\":\"file:///x\"}", &hook, &fault, &e), -1);
}

static void
test_what_is_refused(void **state)
{
	static const struct {
		const char *more;
		const char *field;
	} all[] = {
		{"\"events\":[]", "events"},
		{"\"events\":[\"evaluation.born\"]", "events"},
		{"\"events\":[\"evaluation.failed\",1]", "events"},
		{"\"events\":\"evaluation.failed\"", "events"},
		{"\"selector\":\"\"", "selector"},
		{"\"selector\":\"queue\"", "selector"},
		{"\"name\":\"\"", "name"},
		{"\"name\":7", "name"},
		{"\"owner\":\"bob\"", "owner"},
		{"\"owner\":7", "owner"},
		{"\"secret\":\"whsec_x\"", "secret"},
	};
	struct ql_hook hook;
	struct ql_fault fault;
	struct ql_err e;
	char text[200];
	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		snprintf(text, sizeof(text), "{\"url\":\"https://example.com\",%s}", all[i].more);
		if (!ask_as(&alice, text, &hook, &fault, &e))
			fail_msg("%s was taken", all[i].more);
		assert_string_equal(fault.field, all[i].field);
	}
	ask_as(&alice, "{\"url\":\"https://a.b\",\"selector\":\"queue=low,x\"}", &hook, &fault, &e);
	assert_int_equal(fault.at, 11);
	ask_as(&alice, "{\"url\":\"https://a.b\",\"owner\":\"bob\"}", &hook, &fault, &e);
	assert_int_equal(e.code, QL_E_FORBIDDEN);
}

/* ---- its document ---- */

static void
assert_same(const struct ql_hook *one, const struct ql_hook *two)
{
	assert_string_equal(one->id, two->id);
	assert_string_equal(one->name, two->name);
	assert_string_equal(one->owner, two->owner);
	assert_string_equal(one->url, two->url);
	assert_string_equal(one->disabled_why, two->disabled_why);
	assert_string_equal(one->created_by, two->created_by);
	assert_int_equal(one->selector != NULL, two->selector != NULL);
	assert_int_equal(one->terms.count, two->terms.count);
	assert_int_equal(one->everybody, two->everybody);
	assert_int_equal(one->enabled, two->enabled);
	assert_int_equal(one->ended, two->ended);
	assert_int_equal(one->events, two->events);
	assert_int_equal(one->disabled_at, two->disabled_at);
	assert_int_equal(one->created_at, two->created_at);
	assert_int_equal(one->old_until, two->old_until);
	assert_memory_equal(one->key, two->key, sizeof(one->key));
	assert_memory_equal(one->old_key, two->old_key, sizeof(one->old_key));
}

static void
test_it_comes_back_as_it_was(void **state)
{
	(void)state;
	struct ql_hook read, copy;
	struct ql_err e;
	struct ql_hook hook =
		asked(&alice, "{\"url\":\"https://example.com\",\"selector\":\"label.team=ml\","
			      "\"events\":[\"evaluation.failed\",\"evaluation.unconfirmed\"]}");
	for (int i = 0; i < 2; i++) {
		char *text = ql_hook_text(&hook);
		assert_non_null(text);
		assert_int_equal(ql_hook_parse(hook.id, text, &read, &e), 0);
		assert_int_equal(ql_hook_copy(&copy, &read, &e), 0);
		assert_same(&hook, &read);
		assert_same(&hook, &copy);
		ql_hook_done(&read);
		ql_hook_done(&copy);
		free(text);
		ql_hook_rotate(&hook, 1000, NOW);
		hook.enabled = false;
		hook.ended = true;
		hook.disabled_at = NOW;
		strcpy(hook.disabled_why, "it said 410");
	}
	ql_hook_done(&hook);
	assert_int_equal(ql_hook_parse("x", "{}", &read, &e), -1);
	assert_int_equal(ql_hook_parse("x", "no", &read, &e), -1);
}

static void
test_its_tally(void **state)
{
	struct ql_hook_tally read, tally = {1, 2, 3, 4, 5, 6, "it said 500"};
	(void)state;
	char *text = ql_hook_tally_text(&tally);
	ql_hook_tally_parse(text, &read);
	free(text);
	assert_memory_equal(&read, &tally, sizeof(int64_t) * 6);
	assert_string_equal(read.why, tally.why);
	ql_hook_tally_parse("no", &read);
	assert_int_equal(read.delivered, 0);
	assert_string_equal(read.why, "");
}

/* ---- whom it is told of ---- */

static void
test_whom_it_wants(void **state)
{
	(void)state;
	struct ql_record record = {.owner = "alice", .queue = "low"};
	struct ql_hook hook =
		asked(&alice, "{\"url\":\"https://example.com\",\"selector\":\"queue=low\","
			      "\"events\":[\"evaluation.failed\"]}");
	assert_true(ql_hook_wants(&hook, QL_HOOK_FAILED, &record, NOW));
	assert_false(ql_hook_wants(&hook, QL_HOOK_CANCELLED, &record, NOW));
	record.queue = "high";
	assert_false(ql_hook_wants(&hook, QL_HOOK_FAILED, &record, NOW));
	assert_true(ql_hook_may_want(&hook, QL_HOOK_FAILED, "alice"));
	record = (struct ql_record){.owner = "bob", .queue = "low"};
	assert_false(ql_hook_wants(&hook, QL_HOOK_FAILED, &record, NOW));
	record.owner = NULL;
	assert_false(ql_hook_wants(&hook, QL_HOOK_FAILED, &record, NOW));
	hook.everybody = true;
	assert_true(ql_hook_wants(&hook, QL_HOOK_FAILED, &record, NOW));
	hook.enabled = false;
	assert_false(ql_hook_wants(&hook, QL_HOOK_FAILED, &record, NOW));
	ql_hook_done(&hook);
}

static void
test_events(void **state)
{
	(void)state;
	assert_int_equal(ql_hook_event_of(QL_STATUS_CANCELLED), QL_HOOK_CANCELLED);
	assert_int_equal(ql_hook_event_of(QL_STATUS_UNCONFIRMED), QL_HOOK_UNCONFIRMED);
	assert_int_equal(ql_hook_event_of(QL_STATUS_RUNNING), -1);
	assert_string_equal(ql_hook_event_word(QL_HOOK_CANCELLED), "evaluation.cancelled");
}

/* ---- what it is sent ---- */

static struct ql_record
a_cancelled_one(void)
{
	struct ql_record record = {.eval_id = "one",
		.owner = "alice",
		.queue = "low",
		.labels = "{\"team\":\"ml\",\"traceparent\":"
			  "\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}",
		.actor = "user:alice",
		.reason = "en\xc3\xa9nough",
		.priority = 5};
	record.state = (struct ql_state){.attempt = 1,
		.status = QL_STATUS_CANCELLED,
		.cause = QL_CAUSE_USER,
		.created_at = NOW - 9000,
		.started_at = NOW - 8000,
		.exit_code = -1,
		.exit_signal = 9};
	record.state.cancel = (struct ql_cancel){.requested_at = NOW - 100,
		.settled_at = NOW,
		.mode = QL_MODE_KILL,
		.outcome = QL_OUTCOME_KILLED,
		.evidence = QL_EVIDENCE_VERIFIED};
	return record;
}

static struct ql_letter
a_letter(void)
{
	return (struct ql_letter){.number = 7,
		.eval_id = "one",
		.task_id = "celery-one",
		.error = "cut \xe2\x86",
		.attempt = 1,
		.status = QL_STATUS_CANCELLED,
		.finished_at = NOW};
}

static void
test_what_is_said(void **state)
{
	(void)state;
	struct ql_record record = a_cancelled_one();
	struct ql_letter letter = a_letter();
	char *text = ql_hook_message(&letter, &record, NOW + 5);
	assert_string_equal(text,
		"{\"type\":\"evaluation.cancelled\",\"timestamp\":\"2023-11-14T22:13:20.123Z\","
		"\"data\":{\"eval_id\":\"one\",\"task_id\":\"celery-one\",\"attempt\":1,"
		"\"status\":\"cancelled\",\"owner\":\"alice\",\"language\":null,\"queue\":\"low\","
		"\"priority\":5,\"labels\":{\"team\":\"ml\",\"traceparent\":"
		"\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"},\"session\":null,"
		"\"created_at\":\"2023-11-14T22:13:11.123Z\","
		"\"finished_at\":\"2023-11-14T22:13:20.123Z\",\"error\":\"cut ??\","
		"\"cause\":\"user\",\"started_at\":\"2023-11-14T22:13:12.123Z\",\"exit_code\":null,"
		"\"signal\":\"SIGKILL\",\"worker\":null,\"cancellation\":{"
		"\"cancellation_id\":\"one~1\",\"mode\":\"kill\",\"outcome\":\"killed\","
		"\"evidence\":\"verified\",\"actor\":\"user:alice\",\"reason\":\"en\xc3\xa9nough\","
		"\"requested_at\":\"2023-11-14T22:13:20.023Z\","
		"\"settled_at\":\"2023-11-14T22:13:20.123Z\"}}}");
	free(text);
	/* another attempt is under way: of this one it is known how it ended, and no more */
	record.state.attempt = 2;
	text = ql_hook_message(&letter, &record, NOW + 5);
	assert_non_null(strstr(text, "\"attempt\":1"));
	assert_non_null(strstr(text, "\"cancellation\":null"));
	assert_non_null(strstr(text, "\"signal\":null"));
	free(text);
	letter.status = QL_STATUS_RUNNING;
	assert_null(ql_hook_message(&letter, &record, NOW));
	letter.status = QL_STATUS_UNCONFIRMED;
	letter.finished_at = 0;
	text = ql_hook_message(&letter, &record, NOW + 877);
	assert_non_null(strstr(text, "{\"type\":\"evaluation.unconfirmed\","
				     "\"timestamp\":\"2023-11-14T22:13:21.000Z\""));
	free(text);
}

static void
name_of(const struct ql_hook *hook, int64_t number, const char *text, char *ret_id)
{
	struct ql_err e;
	assert_int_equal(ql_hook_message_id(hook, number, text, ret_id, &e), 0);
}

/* The same for each try, though its evaluation may look different by then; else never the same. */
static void
test_its_name(void **state)
{
	(void)state;
	char name[QL_HOOK_MESSAGE_ID], other[QL_HOOK_MESSAGE_ID];
	struct ql_record record = a_cancelled_one();
	struct ql_letter letter = a_letter();
	struct ql_hook hook = asked(&alice, "{\"url\":\"https://example.com\"}");
	char *text = ql_hook_message(&letter, &record, NOW);
	record.state.attempt = 2;
	char *later = ql_hook_message(&letter, &record, NOW + 1);
	letter.attempt = 2;
	char *next = ql_hook_message(&letter, &record, NOW + 1);
	name_of(&hook, 7, text, name);
	assert_int_equal(strlen(name), QL_HOOK_MESSAGE_ID - 1);
	assert_int_equal(strncmp(name, "msg_", 4), 0);
	name_of(&hook, 7, later, other);
	assert_string_equal(name, other);
	name_of(&hook, 8, text, other);
	assert_string_not_equal(name, other);
	name_of(&hook, 7, next, other);
	assert_string_not_equal(name, other);
	hook.id[0] ^= 1;
	name_of(&hook, 7, text, other);
	assert_string_not_equal(name, other);
	free(text);
	free(later);
	free(next);
	ql_hook_done(&hook);
}

/* ---- how it is signed ---- */

#define VECTOR_ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define VECTOR_AT 1614265330LL
#define VECTOR_TEXT "{\"test\": 2432232314}"
#define VECTOR_SIGNED "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

/* The key of Standard Webhooks' own test vector is shorter: HMAC fills it up with zeros itself. */
static struct ql_hook
the_vectors(void)
{
	struct ql_hook hook = {0};
	struct ql_buf key = {0};
	static const char secret[] = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
	assert_int_equal(ql_base64_decode(&key, secret, strlen(secret)), 0);
	memcpy(hook.key, key.data, key.len);
	ql_buf_done(&key);
	return hook;
}

static void
test_the_standards_vector(void **state)
{
	char signs[QL_HOOK_SIGNED];
	struct ql_err e;
	(void)state;
	struct ql_hook hook = the_vectors();
	assert_int_equal(ql_hook_sign(&hook, VECTOR_ID, VECTOR_AT, VECTOR_TEXT, signs, &e), 0);
	assert_string_equal(signs, VECTOR_SIGNED);
}

static void
test_both_secrets_sign_for_a_while(void **state)
{
	char signs[QL_HOOK_SIGNED], old[64], secret[QL_HOOK_SECRET], next[QL_HOOK_SECRET];
	struct ql_err e;
	(void)state;
	struct ql_hook hook = the_vectors();
	assert_int_equal(ql_hook_secret(&hook, secret, &e), 0);
	ql_hook_rotate(&hook, 60000, VECTOR_AT * 1000);
	assert_int_equal(ql_hook_secret(&hook, next, &e), 0);
	assert_string_not_equal(secret, next);
	ql_hook_sign(&hook, VECTOR_ID, VECTOR_AT, VECTOR_TEXT, signs, &e);
	assert_int_equal(sscanf(signs, "v1,%*s %63s", old), 1);
	assert_string_equal(old, VECTOR_SIGNED);
	assert_string_not_equal(signs, VECTOR_SIGNED);
	ql_hook_sign(&hook, VECTOR_ID, VECTOR_AT + 60, VECTOR_TEXT, signs, &e);
	assert_null(strchr(signs, ' '));
	ql_hook_rotate(&hook, 0, VECTOR_AT * 1000);
	ql_hook_sign(&hook, VECTOR_ID, VECTOR_AT, VECTOR_TEXT, signs, &e);
	assert_null(strchr(signs, ' '));
}

static void
test_headers(void **state)
{
	struct ql_hook_headers headers;
	struct ql_err e;
	(void)state;
	struct ql_hook hook = the_vectors();
	assert_int_equal(ql_hook_headers_make(&hook, VECTOR_ID, VECTOR_TEXT, VECTOR_AT * 1000 + 999,
				 &headers, &e),
		0);
	assert_int_equal(headers.count, 5);
	assert_string_equal(headers.all[0], "content-type: application/json");
	assert_string_equal(headers.all[2], "webhook-id: " VECTOR_ID);
	assert_string_equal(headers.all[3], "webhook-timestamp: 1614265330");
	assert_string_equal(headers.all[4], "webhook-signature: " VECTOR_SIGNED);
	ql_hook_headers_done(&headers);
	struct ql_record record = a_cancelled_one();
	struct ql_letter letter = a_letter();
	char *text = ql_hook_message(&letter, &record, NOW);
	assert_int_equal(ql_hook_headers_make(&hook, VECTOR_ID, text, NOW, &headers, &e), 0);
	assert_string_equal(headers.all[5],
		"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	assert_null(headers.all[6]);
	ql_hook_headers_done(&headers);
	free(text);
}

/* ---- what comes next ---- */

static void
test_what_an_answer_means(void **state)
{
	static const int again[] = {
		0, 100, 199, 300, 301, 307, 400, 401, 403, 404, 409, 429, 500, 503, 599};
	(void)state;
	for (int http = 200; http < 300; http++)
		assert_int_equal(ql_hook_judge(http), QL_HOOK_TAKEN);
	for (size_t i = 0; i < sizeof(again) / sizeof(*again); i++)
		assert_int_equal(ql_hook_judge(again[i]), QL_HOOK_AGAIN);
	assert_int_equal(ql_hook_judge(410), QL_HOOK_GONE);
}

static void
test_pauses(void **state)
{
	const struct ql_hook_patience patience = {.first_ms = 1000, .longest_ms = 60000};
	uint64_t seed = 7;
	(void)state;
	for (int failures = 1; failures < 70; failures++) {
		int64_t whole = failures < 7 ? 1000LL << (failures - 1) : 60000;
		int64_t least = INT64_MAX, most = 0;
		for (int i = 0; i < 200; i++) {
			int64_t pause = ql_hook_pause(&patience, failures, ql_rand_draw(&seed));
			least = pause < least ? pause : least;
			most = pause > most ? pause : most;
		}
		assert_in_range(least, whole - whole / 4, whole - whole / 8);
		assert_in_range(most, whole + whole / 8, whole + whole / 4);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_asked_for),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_it_comes_back_as_it_was),
		cmocka_unit_test(test_its_tally),
		cmocka_unit_test(test_whom_it_wants),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_what_is_said),
		cmocka_unit_test(test_its_name),
		cmocka_unit_test(test_the_standards_vector),
		cmocka_unit_test(test_both_secrets_sign_for_a_while),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_what_an_answer_means),
		cmocka_unit_test(test_pauses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
