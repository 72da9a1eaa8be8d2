/* Submissions: one, many, again with the same key, and what a wrong one gets. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "http/bounds.h"
#include "rules/submission.h"

#define GOOD "{\"code\":\"1\",\"language\":\"python\"}"
#define JSON "Content-Type: application/json\r\n"

static void
assert_problem(struct answer *answer, int status, const char *kind)
{
	char type[96];
	snprintf(type, sizeof(type), "urn:quell:problem:%s", kind);
	if (answer->status != status)
		fail_msg("%d instead of %d: %.2000s", answer->status, status, answer->text);
	assert_string_equal(answer_header(answer, "Content-Type"), "application/problem+json");
	assert_string_equal(answer_text(answer, "type"), type);
	assert_int_equal(json_integer_value(json_object_get(answer->json, "status")), status);
	assert_string_not_equal(answer_text(answer, "title"), "(none)");
	assert_string_not_equal(answer_text(answer, "detail"), "(none)");
}

static void
test_one_is_submitted(void **state)
{
	struct world *world = *state;
	struct answer answer = ask(world, ALICE, "POST", "/api/eval", JSON,
		"{\"eval_id\":\"mine\",\"code\":\"1\",\"language\":\"python\",\"priority\":7,"
		"\"labels\":{\"a\":\"b\"},\"session\":\"s\"}");
	assert_int_equal(answer.status, 201);
	assert_string_equal(answer_header(&answer, "Location"), "/api/eval/mine");
	assert_string_equal(answer_text(&answer, "status"), "queued");
	assert_string_equal(answer_text(&answer, "owner"), "alice");
	assert_string_equal(answer_text(&answer, "task_id"), "celery-mine");
	assert_string_equal(answer_text(&answer, "session"), "s");
	assert_int_equal(json_integer_value(json_object_get(answer.json, "priority")), 7);
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(answer.json, "labels"), "a")),
		"b");
	answer_done(&answer);
	answer = ask(world, ALICE, "POST", "/api/eval", JSON,
		"{\"eval_id\":\"mine\",\"command\":[\"true\"]}");
	assert_problem(&answer, 409, "conflict");
	answer_done(&answer);
}

static void
assert_told(struct world *world, const char *key, bool withheld, const char *env)
{
	struct answer answer = ask(world, key, "GET", "/api/eval/mine/submission", NULL, NULL);
	const json_t *submission = json_object_get(answer.json, "submission");
	const json_t *labels = json_object_get(submission, "labels");
	assert_int_equal(answer.status, 200);
	assert_string_equal(json_string_value(json_object_get(submission, "code")), "1");
	assert_null(json_object_get(submission, "eval_id"));
	assert_int_equal(json_object_size(labels), 1);
	assert_int_equal(json_is_true(json_object_get(answer.json, "env_withheld")), withheld);
	const json_t *found = json_object_get(submission, "env");
	assert_int_equal(found != NULL, env != NULL);
	if (env)
		assert_string_equal(json_string_value(json_object_get(found, "TOKEN")), env);
	answer_done(&answer);
}

static void
test_what_was_submitted_is_told_and_its_env_to_its_owner(void **state)
{
	struct world *world = *state;
	struct answer answer = ask(world, ALICE, "POST", "/api/eval",
		JSON "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
		"{\"eval_id\":\"mine\",\"code\":\"1\",\"language\":\"python\","
		"\"labels\":{\"a\":\"b\"},\"env\":{\"TOKEN\":\"t\"}}");
	assert_int_equal(answer.status, 201);
	answer_done(&answer);
	assert_told(world, ALICE, false, "t");
	assert_told(world, ADMIN, true, NULL);
	answer = ask(world, BOB, "GET", "/api/eval/mine/submission", NULL, NULL);
	assert_problem(&answer, 404, "not-found");
	answer_done(&answer);
}

struct wrong {
	const char *body;
	int status;
	const char *kind, *field;
};

static const struct wrong wrongs[] = {
	{"", 400, "syntax", NULL},
	{"{", 400, "syntax", NULL},
	{"{\"a\":1}x", 400, "syntax", NULL},
	{"{\"a\":1,\"a\":2}", 400, "syntax", NULL},
	{"{\"code\":\"\xff\"}", 400, "syntax", NULL},
	{"nul", 400, "syntax", NULL},
	{"null", 422, "invalid", "body"},
	{"[]", 422, "invalid", "body"},
	{"{}", 422, "invalid", "code"},
	{"{\"code\":1,\"language\":\"python\"}", 422, "invalid", "code"},
	{"{\"eval_id\":\"a/b\",\"command\":[\"true\"]}", 422, "invalid", "eval_id"},
};

static void
test_wrong_submissions(void **state)
{
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		struct answer answer = post(*state, "/api/eval", wrongs[i].body);
		assert_problem(&answer, wrongs[i].status, wrongs[i].kind);
		if (wrongs[i].field)
			assert_string_equal(answer_text(&answer, "field"), wrongs[i].field);
		answer_done(&answer);
	}
}

static void
test_broken_json_names_its_position(void **state)
{
	struct answer answer = post(*state, "/api/eval", "{\"code\":\n  }");
	assert_problem(&answer, 400, "syntax");
	assert_int_equal(json_integer_value(json_object_get(answer.json, "line")), 2);
	assert_int_equal(json_integer_value(json_object_get(answer.json, "column")), 3);
	assert_int_equal(json_integer_value(json_object_get(answer.json, "position")), 12);
	assert_non_null(strstr(answer_text(&answer, "detail"), "line 2"));
	answer_done(&answer);
}

static void
test_a_body_must_be_json(void **state)
{
	static const char *const types[] = {"", "Content-Type: text/plain\r\n",
		"Content-Type: application/jsonp\r\n", "Content-Type: multipart/form-data\r\n"};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct answer answer = ask(*state, ADMIN, "POST", "/api/eval", types[i], GOOD);
		assert_problem(&answer, 415, "unsupported-media-type");
		answer_done(&answer);
	}
	struct answer answer = ask(*state, ADMIN, "POST", "/api/eval",
		"Content-Type: APPLICATION/JSON; charset=utf-8\r\n", GOOD);
	assert_int_equal(answer.status, 201);
	answer_done(&answer);
}

/* ---- sizes ---- */

static char *
code_of(size_t len)
{
	static const char head[] = "{\"language\":\"python\",\"code\":\"";
	char *body = malloc(sizeof(head) + len + 2);
	memcpy(body, head, sizeof(head) - 1);
	memset(body + sizeof(head) - 1, '#', len);
	memcpy(body + sizeof(head) - 1 + len, "\"}", 3);
	return body;
}

static void
test_four_mib_of_code_are_taken(void **state)
{
	char *body = code_of(QL_CODE_MAX);
	struct answer answer = post(*state, "/api/eval", body);
	assert_int_equal(answer.status, 201);
	answer_done(&answer);
	free(body);
}

static void
test_five_mib_are_413_after_they_were_read(void **state)
{
	struct world *world = *state;
	char *body = code_of(5 << 20);
	struct answer answer = post(world, "/api/eval", body);
	assert_problem(&answer, 413, "too-large");
	assert_int_equal(
		json_integer_value(json_object_get(answer.json, "limit")), QL_HTTP_BODY_MAX);
	assert_non_null(strstr(answer_text(&answer, "detail"), "4 MiB"));
	answer_done(&answer);
	free(body);
	answer = post(world, "/api/eval", GOOD);
	assert_int_equal(answer.status, 201);
	answer_done(&answer);
}

/* A length that isn't known before: in chunks, until it is too much. */
static void
test_five_mib_in_chunks_are_413(void **state)
{
	struct world *world = *state;
	static char chunk[65536 + 1];
	int fd = begin(world, ADMIN, "POST", "/api/eval", JSON "Transfer-Encoding: chunked\r\n");
	memset(chunk, ' ', sizeof(chunk) - 1);
	for (int i = 0; i < (5 << 20) / 65536; i++) {
		send_text(fd, "10000\r\n");
		send_text(fd, chunk);
		send_text(fd, "\r\n");
	}
	send_text(fd, "0\r\n\r\n");
	struct answer answer = read_answer(fd, false);
	assert_problem(&answer, 413, "too-large");
	answer_done(&answer);
	close(fd);
}

/* A client that asks first is told before it sends. */
static void
test_expect_continue(void **state)
{
	struct world *world = *state;
	char headers[128];
	for (int key = 0; key < 2; key++) {
		snprintf(headers, sizeof(headers),
			JSON "Content-Length: %d\r\nExpect: 100-continue\r\n",
			key ? 5 << 20 : (int)strlen(GOOD));
		int fd = begin(world, key ? ADMIN : "unknown", "POST", "/api/eval", headers);
		struct answer answer = read_answer(fd, false);
		assert_int_equal(answer.status, key ? 413 : 401);
		answer_done(&answer);
		close(fd);
	}
	snprintf(headers, sizeof(headers), JSON "Content-Length: %zu\r\nExpect: 100-continue\r\n",
		strlen(GOOD));
	int fd = begin(world, ADMIN, "POST", "/api/eval", headers);
	struct answer answer = read_answer(fd, false);
	assert_int_equal(answer.status, 100);
	answer_done(&answer);
	send_text(fd, GOOD);
	answer = read_answer(fd, false);
	assert_int_equal(answer.status, 201);
	answer_done(&answer);
	close(fd);
}

/* ---- many ---- */

static void
test_a_batch_is_answered_in_order(void **state)
{
	struct answer answer = post(*state, "/api/eval-batch",
		"{\"evaluations\":[{\"eval_id\":\"b1\",\"command\":[\"true\"]},"
		"{\"eval_id\":\"b2\",\"command\":[\"true\"]}]}");
	assert_int_equal(answer.status, 201);
	const json_t *all = json_object_get(answer.json, "evaluations");
	assert_int_equal(json_array_size(all), 2);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(all, 1), "eval_id")), "b2");
	answer_done(&answer);
}

static bool
has_none(struct world *world)
{
	return !world->engine->record_count;
}

static void
test_a_bad_one_refuses_the_batch_by_its_index(void **state)
{
	struct world *world = *state;
	struct answer answer = post(world, "/api/eval-batch",
		"{\"evaluations\":[" GOOD "," GOOD ",{\"code\":\"1\",\"language\":\"python\","
		"\"priority\":77}]}");
	assert_problem(&answer, 422, "invalid");
	assert_int_equal(json_integer_value(json_object_get(answer.json, "index")), 2);
	assert_string_equal(answer_text(&answer, "field"), "evaluations[2].priority");
	answer_done(&answer);
	answer = post(world, "/api/eval-batch", "{\"evaluations\":[" GOOD ",5]}");
	assert_problem(&answer, 422, "invalid");
	assert_int_equal(json_integer_value(json_object_get(answer.json, "index")), 1);
	answer_done(&answer);
	world_until(world, has_none);
}

static void
test_batches_are_bounded(void **state)
{
	static const char *const bad[] = {
		"{}", "{\"evaluations\":[]}", "{\"evaluations\":{}}", "{\"evaluations\":\"x\"}"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct answer answer = post(*state, "/api/eval-batch", bad[i]);
		assert_problem(&answer, 422, "invalid");
		assert_string_equal(answer_text(&answer, "field"), "evaluations");
		answer_done(&answer);
	}
	struct ql_buf body = {0};
	ql_buf_adds(&body, "{\"evaluations\":[1");
	for (int i = 0; i < QL_BATCH_MAX; i++)
		ql_buf_adds(&body, ",1");
	ql_buf_adds(&body, "]}");
	struct answer answer = post(*state, "/api/eval-batch", body.data);
	assert_problem(&answer, 422, "invalid");
	assert_int_equal(json_integer_value(json_object_get(answer.json, "limit")), QL_BATCH_MAX);
	answer_done(&answer);
	ql_buf_done(&body);
}

/* ---- again with the same key ---- */

static void
test_the_same_key_and_body_replays(void **state)
{
	struct world *world = *state;
	const char *headers = JSON "Idempotency-Key: k1\r\n";
	const char *batch = "{\"evaluations\":[" GOOD "," GOOD "]}";
	struct answer first = ask(world, ALICE, "POST", "/api/eval-batch", headers, batch);
	assert_int_equal(first.status, 201);
	assert_null(answer_header(&first, "Idempotency-Replayed"));
	struct answer again = ask(world, ALICE, "POST", "/api/eval-batch", headers, batch);
	assert_int_equal(again.status, 201);
	assert_string_equal(answer_header(&again, "Idempotency-Replayed"), "true");
	assert_true(json_equal(first.json, again.json));
	answer_done(&first);
	answer_done(&again);
	assert_int_equal(world->engine->record_count, 2);
	again = ask(
		world, ALICE, "POST", "/api/eval-batch", headers, "{\"evaluations\":[" GOOD "]}");
	assert_problem(&again, 422, "invalid");
	assert_string_equal(answer_text(&again, "field"), "Idempotency-Key");
	answer_done(&again);
}

static void
test_bad_idempotency_keys(void **state)
{
	char headers[QL_HTTP_KEY_MAX + 128];
	snprintf(
		headers, sizeof(headers), JSON "Idempotency-Key: %0*d\r\n", QL_HTTP_KEY_MAX + 1, 0);
	struct answer answer = ask(*state, ADMIN, "POST", "/api/eval", headers, GOOD);
	assert_problem(&answer, 422, "invalid");
	assert_string_equal(answer_text(&answer, "field"), "Idempotency-Key");
	answer_done(&answer);
	answer = ask(*state, ADMIN, "POST", "/api/eval", JSON "Idempotency-Key: \r\n", GOOD);
	assert_problem(&answer, 422, "invalid");
	answer_done(&answer);
	answer = ask(*state, ADMIN, "POST", "/api/eval", JSON "Idempotency-Key: a\x01z\r\n", GOOD);
	assert_true(answer.status == 422 || answer.status == 400);
	answer_done(&answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_one_is_submitted),
		WORLD_TEST(test_what_was_submitted_is_told_and_its_env_to_its_owner),
		WORLD_TEST(test_wrong_submissions),
		WORLD_TEST(test_broken_json_names_its_position),
		WORLD_TEST(test_a_body_must_be_json),
		WORLD_TEST(test_four_mib_of_code_are_taken),
		WORLD_TEST(test_five_mib_are_413_after_they_were_read),
		WORLD_TEST(test_five_mib_in_chunks_are_413),
		WORLD_TEST(test_expect_continue),
		WORLD_TEST(test_a_batch_is_answered_in_order),
		WORLD_TEST(test_a_bad_one_refuses_the_batch_by_its_index),
		WORLD_TEST(test_batches_are_bounded),
		WORLD_TEST(test_the_same_key_and_body_replays),
		WORLD_TEST(test_bad_idempotency_keys),
	};
	return cmocka_run_group_tests_name("submits", tests, NULL, NULL);
}
