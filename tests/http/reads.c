/* Reading: one, the lists, timelines, cancellations, and what task code reports. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
add_many(struct world *world, void *arg)
{
	(void)arg;
	for (int i = 0; i < 9; i++) {
		char id[16];
		snprintf(id, sizeof(id), "e%d", i);
		struct ql_record *record = fake_add(world->engine, id, i % 3 ? "alice" : "bob");
		if (i % 2)
			record->state.status = QL_STATUS_QUEUED;
		if (i == 4)
			record->labels = strdup("{\"k\":\"v=w\"}");
	}
}

static void
assert_ids(const struct answer *answer, const char *list, const char *wanted)
{
	char got[256] = "";
	const json_t *all = json_object_get(answer->json, list);
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *one = json_array_get(all, i);
		size_t len = strlen(got);
		snprintf(got + len, sizeof(got) - len, "%s%s", i ? " " : "",
			json_string_value(json_object_get(one, "eval_id")));
	}
	assert_string_equal(got, wanted);
}

static void
expect_ids(struct world *world, const char *key, const char *target, const char *wanted)
{
	struct answer answer = ask(world, key, "GET", target, NULL, NULL);
	assert_int_equal(answer.status, 200);
	assert_ids(&answer, "evaluations", wanted);
	answer_done(&answer);
}

static void
test_lists_are_filtered_and_owned(void **state)
{
	struct world *world = *state;
	world_call(world, add_many, NULL);
	expect_ids(world, ADMIN, "/api/evaluations", "e8 e7 e6 e5 e4 e3 e2 e1 e0");
	expect_ids(world, ALICE, "/api/evaluations", "e8 e7 e5 e4 e2 e1");
	expect_ids(world, ADMIN, "/api/evaluations?owner=bob", "e6 e3 e0");
	expect_ids(world, ALICE, "/api/evaluations?owner=bob", "");
	expect_ids(world, ALICE, "/api/evaluations?owner=alice&status=queued", "e7 e5 e1");
	expect_ids(world, ADMIN, "/api/evaluations?status=queued%2Crunning&limit=2", "e8 e7");
	expect_ids(world, ADMIN, "/api/evaluations?label=k%3Dv%3Dw&limit=1000", "e4");
	assert_int_equal(world->engine->asked_filter.limit, 1000);
}

static void
test_lists_are_selected(void **state)
{
	struct world *world = *state;
	world_call(world, add_many, NULL);
	expect_ids(world, ADMIN, "/api/evaluations?selector=owner%3Dbob", "e6 e3 e0");
	expect_ids(world, ALICE, "/api/evaluations?selector=owner%3Dbob", "");
	expect_ids(world, ALICE, "/api/evaluations?selector=eval_id%20in%20%28e1%2Ce2%2Ce3%29",
		"e2 e1");
	expect_ids(world, ADMIN, "/api/evaluations?selector=label.k%3Dv%2A", "e4");
	expect_ids(world, ADMIN,
		"/api/evaluations?selector=eval_id%21%3De7&status=queued&owner=alice", "e5 e1");
}

static void
expect_count(struct world *world, const char *key, const char *target, int count, int queued)
{
	struct answer answer = ask(world, key, "GET", target, NULL, NULL);
	assert_int_equal(answer.status, 200);
	const json_t *statuses = json_object_get(answer.json, "statuses");
	assert_int_equal(json_integer_value(json_object_get(answer.json, "count")), count);
	assert_int_equal(json_integer_value(json_object_get(statuses, "queued")), queued);
	assert_int_equal(json_object_size(statuses), QL_STATUS_COUNT);
	answer_done(&answer);
}

static void
test_counts_what_is_selected_and_owned(void **state)
{
	struct world *world = *state;
	world_call(world, add_many, NULL);
	expect_count(world, ADMIN, "/api/evaluations/count", 9, 4);
	expect_count(world, ALICE, "/api/evaluations/count", 6, 3);
	expect_count(world, ALICE, "/api/evaluations/count?owner=bob", 0, 0);
	expect_count(world, ADMIN, "/api/evaluations/count?selector=owner%3Dbob", 3, 1);
	expect_count(world, ADMIN, "/api/evaluations/count?selector=state%3DPENDING", 4, 4);
}

static void
test_a_wrong_selector_is_422_with_its_place(void **state)
{
	static const struct {
		const char *target;
		int position;
	} wrongs[] = {{"/api/evaluations?selector=", 0},
		{"/api/evaluations?selector=owner%3Dalice%2Cownr%3Dbob", 12},
		{"/api/evaluations/count?selector=priority%3C2%2Cpriority%3E5", 11},
		{"/api/evaluations/count?selector=status%20in%20%28%29", 11}};
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		struct answer answer = get(*state, wrongs[i].target);
		assert_int_equal(answer.status, 422);
		assert_string_equal(answer_text(&answer, "type"), "urn:quell:problem:selector");
		assert_string_equal(answer_text(&answer, "field"), "selector");
		assert_int_equal(json_integer_value(json_object_get(answer.json, "position")),
			wrongs[i].position);
		answer_done(&answer);
	}
	struct answer answer =
		get(*state, "/api/evaluations?selector=status%3Dqueued&status=running");
	assert_int_equal(answer.status, 422);
	assert_string_equal(answer_text(&answer, "field"), "status");
	answer_done(&answer);
}

static void
test_pages_go_on_at_their_cursor(void **state)
{
	struct world *world = *state;
	char target[128] = "/api/evaluations?limit=4";
	static const char *const pages[] = {"e8 e7 e6 e5", "e4 e3 e2 e1", "e0"};
	world_call(world, add_many, NULL);
	for (int i = 0; i < 3; i++) {
		struct answer answer = get(world, target);
		assert_ids(&answer, "evaluations", pages[i]);
		const json_t *cursor = json_object_get(answer.json, "next_cursor");
		assert_int_equal(json_is_null(cursor), i == 2);
		if (i < 2)
			snprintf(target, sizeof(target), "/api/evaluations?limit=4&cursor=%s",
				json_string_value(cursor));
		answer_done(&answer);
	}
}

static void
test_wrong_words_are_422_by_name(void **state)
{
	static const struct {
		const char *target, *field;
	} wrongs[] = {{"/api/evaluations?status=gone", "status"},
		{"/api/evaluations?status=", "status"}, {"/api/evaluations?limit=0", "limit"},
		{"/api/evaluations?limit=1001", "limit"}, {"/api/evaluations?limit=5x", "limit"},
		{"/api/evaluations?cursor=x", "cursor"}, {"/api/evaluations?label=x", "label"},
		{"/api/evaluations?label=%3Dx", "label"}, {"/api/evaluations?colour=red", "colour"},
		{"/api/cancellations?mode=x", "mode"},
		{"/api/cancellations?since=yesterday", "since"},
		{"/api/cancellations?status=x", "status"}, {"/api/cancellations?owner=x", "owner"},
		{"/api/eval/e1?wait=61", "wait"}, {"/api/eval/e1?wait=-1", "wait"},
		{"/api/eval/e1/timeline?wait=1", "wait"}, {"/healthz?x", "x"}};
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		struct answer answer = get(*state, wrongs[i].target);
		assert_int_equal(answer.status, 422);
		assert_string_equal(answer_text(&answer, "field"), wrongs[i].field);
		answer_done(&answer);
	}
}

static void
fail_reads(struct world *world, void *arg)
{
	(void)arg;
	ql_fail(&world->engine->fail_read, QL_E_UNAVAILABLE, "the store is away");
}

static void
test_a_store_that_is_away_is_503(void **state)
{
	static const char *const targets[] = {"/api/eval/e1", "/api/eval/e1?wait=5",
		"/api/evaluations", "/api/eval/e1/timeline", "/api/eval/e1/output",
		"/api/cancellations", "/api/cancellations/e1~1", "/evaluations/e1"};
	struct world *world = *state;
	world_call(world, add_one, "e1");
	world_call(world, fail_reads, NULL);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct answer answer = get(world, targets[i]);
		assert_int_equal(answer.status, 503);
		assert_string_equal(answer_header(&answer, "Retry-After"), "1");
		answer_done(&answer);
	}
}

static void
add_rows(struct world *world, void *arg)
{
	add_one(world, arg);
	fake_row(world->engine, 1, QL_RUNG_NONE, "submitted -> queued");
	fake_row(world->engine, 1, QL_RUNG_KILL, "asked by a user -> kill");
}

static void
test_a_timeline(void **state)
{
	struct world *world = *state;
	world_call(world, add_rows, "e1");
	struct answer answer = get(world, "/api/eval/e1/timeline");
	const json_t *steps = json_object_get(answer.json, "steps");
	assert_int_equal(json_array_size(steps), 2);
	const json_t *step = json_array_get(steps, 0);
	assert_string_equal(
		json_string_value(json_object_get(step, "what")), "submitted -> queued");
	assert_string_equal(
		json_string_value(json_object_get(step, "at")), "1970-01-01T00:00:03.000Z");
	answer_done(&answer);
	answer = ask(world, BOB, "GET", "/api/eval/e1/timeline", NULL, NULL);
	assert_int_equal(answer.status, 404);
	answer_done(&answer);
}

static void
test_cancellations_are_listed_with_their_steps(void **state)
{
	struct world *world = *state;
	world_call(world, add_rows, "e1");
	world_call(world, add_one, "e2");
	struct answer answer = post(world, "/api/eval/e1/kill", NULL);
	assert_int_equal(answer.status, 202);
	answer_done(&answer);
	answer = ask(world, ALICE, "GET",
		"/api/cancellations?mode=kill&actor=user%3Aadmin&since=2026-01-02T03:04:05Z", NULL,
		NULL);
	assert_int_equal(answer.status, 200);
	assert_ids(&answer, "cancellations", "e1");
	const json_t *one = json_array_get(json_object_get(answer.json, "cancellations"), 0);
	assert_int_equal(json_array_size(json_object_get(one, "steps")), 1);
	assert_int_equal(world->engine->asked_filter.mode, QL_MODE_KILL);
	assert_int_equal(world->engine->asked_filter.since, 1767323045000);
	answer_done(&answer);
	answer = ask(world, BOB, "GET", "/api/cancellations", NULL, NULL);
	assert_ids(&answer, "cancellations", "");
	answer_done(&answer);
	answer = ask(world, BOB, "GET", "/api/cancellations/e1~1", NULL, NULL);
	assert_int_equal(answer.status, 404);
	answer_done(&answer);
	answer = get(world, "/api/eval/e1");
	const json_t *stop = json_object_get(answer.json, "cancellation");
	assert_int_equal(json_array_size(json_object_get(stop, "steps")), 1);
	answer_done(&answer);
}

/* ---- what task code reports ---- */

static struct answer
put(struct world *world, const char *key, const char *body)
{
	return ask(
		world, key, "PUT", "/evaluations/e1", "Content-Type: application/json\r\n", body);
}

static void
test_reports_are_merged(void **state)
{
	struct world *world = *state;
	world_call(world, add_one, "e1");
	struct answer answer = put(world, ALICE,
		"{\"output\":\"so "
		"far\",\"status\":\"completed\",\"result\":{\"score\":[1,2.5,\"a\\u0000b\"]}}");
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer_text(&answer, "reported_status"), "completed");
	answer_done(&answer);
	answer = put(world, ALICE, "{\"output\":\"more\",\"error\":\"odd\"}");
	assert_int_equal(answer.status, 200);
	answer_done(&answer);
	answer = ask(world, ALICE, "GET", "/evaluations/e1", NULL, NULL);
	assert_string_equal(answer_text(&answer, "output"), "more");
	assert_string_equal(answer_text(&answer, "error"), "odd");
	assert_string_equal(answer_text(&answer, "reported_status"), "completed");
	assert_string_equal(answer_text(&answer, "status"), "running");
	assert_non_null(strstr(answer.body, "{\"score\":[1,2.5,\"a\\u0000b\"]}"));
	answer_done(&answer);
	answer = put(world, BOB, "{\"output\":\"x\"}");
	assert_int_equal(answer.status, 404);
	answer_done(&answer);
}

static void
test_wrong_reports(void **state)
{
	static const char *const bad[] = {"{\"output\":5}", "{\"status\":5}", "{\"error\":[]}",
		"{\"colour\":\"red\"}", "{\"output\":\"a\\u0000b\"}", "[]"};
	struct world *world = *state;
	world_call(world, add_one, "e1");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct answer answer = put(world, ALICE, bad[i]);
		assert_int_equal(answer.status, 422);
		answer_done(&answer);
	}
	struct answer answer = put(world, ALICE, NULL);
	assert_int_equal(answer.status, 400);
	answer_done(&answer);
}

static void
test_cancelled_is_a_request(void **state)
{
	struct world *world = *state;
	world_call(world, add_one, "e1");
	struct answer answer = put(
		world, ALICE, "{\"status\":\"cancelled\",\"error\":\"Task cancelled by user\"}");
	assert_int_equal(answer.status, 202);
	assert_string_equal(answer_text(&answer, "cancellation_id"), "e1~1");
	assert_string_equal(answer_text(&answer, "reason"), "Task cancelled by user");
	answer_done(&answer);
	assert_int_equal(world->engine->asked_stop.mode, QL_MODE_CANCEL);
	answer = ask(world, ALICE, "GET", "/evaluations/e1", NULL, NULL);
	assert_string_equal(answer_text(&answer, "error"), "Task cancelled by user");
	assert_string_equal(answer_text(&answer, "status"), "cancelling");
	answer_done(&answer);
}

/* A reason is cut between characters. */
static void
test_a_long_error_is_cut_for_a_reason(void **state)
{
	struct world *world = *state;
	char body[2 * QL_REASON_MAX];
	world_call(world, add_one, "e1");
	snprintf(body, sizeof(body), "{\"status\":\"cancelled\",\"error\":\"%0*d€€\"}",
		QL_REASON_MAX - 1, 0);
	struct answer answer = put(world, ALICE, body);
	assert_int_equal(answer.status, 202);
	assert_int_equal(strlen(world->engine->asked_reason), QL_REASON_MAX - 1);
	answer_done(&answer);
}

static void
unready(struct world *world, void *arg)
{
	(void)arg;
	world->engine->health.store_ok = false;
	world->engine->health.store_error = "no space left on device";
}

static void
test_readiness(void **state)
{
	struct world *world = *state;
	struct answer answer = ask(world, NULL, "GET", "/readyz", NULL, NULL);
	assert_int_equal(answer.status, 200);
	assert_non_null(strstr(answer.body, "sandbox: memory"));
	answer_done(&answer);
	world_call(world, unready, NULL);
	answer = ask(world, NULL, "GET", "/readyz", NULL, NULL);
	assert_int_equal(answer.status, 503);
	assert_non_null(strstr(answer.body, "no space left"));
	answer_done(&answer);
}

static void
lose_storage(struct world *world, void *arg)
{
	(void)arg;
	world->engine->health.dependencies[0] = (struct ql_dependency){.name = "storage",
		.state = QL_BREAKER_OPEN,
		.since = 1700000000000,
		.backlog = 12,
		.detail = "connection refused"};
	world->engine->health.dependency_count = 1;
}

/* What is told later keeps nobody from working now. */
static void
test_ready_without_a_storage_service(void **state)
{
	struct world *world = *state;
	world_call(world, lose_storage, NULL);
	struct answer answer = ask(world, NULL, "GET", "/readyz", NULL, NULL);
	assert_int_equal(answer.status, 200);
	assert_non_null(strstr(answer.body,
		"\"storage\":{\"state\":\"away\",\"detail\":\"connection refused\","
		"\"since\":\"2023-11-14T22:13:20.000Z\",\"backlog\":12}"));
	answer_done(&answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_lists_are_filtered_and_owned),
		WORLD_TEST(test_lists_are_selected),
		WORLD_TEST(test_counts_what_is_selected_and_owned),
		WORLD_TEST(test_a_wrong_selector_is_422_with_its_place),
		WORLD_TEST(test_pages_go_on_at_their_cursor),
		WORLD_TEST(test_wrong_words_are_422_by_name),
		WORLD_TEST(test_a_store_that_is_away_is_503),
		WORLD_TEST(test_a_timeline),
		WORLD_TEST(test_cancellations_are_listed_with_their_steps),
		WORLD_TEST(test_reports_are_merged),
		WORLD_TEST(test_wrong_reports),
		WORLD_TEST(test_cancelled_is_a_request),
		WORLD_TEST(test_a_long_error_is_cut_for_a_reason),
		WORLD_TEST(test_readiness),
		WORLD_TEST(test_ready_without_a_storage_service),
	};
	return cmocka_run_group_tests_name("reads", tests, NULL, NULL);
}
