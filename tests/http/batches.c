/* Batches: what is refused and why, whose they are, and what a key must open. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define BATCH "/api/batches/" FAKE_BATCH
#define JSON "Content-Type: application/json\r\n"

static void
fill(struct world *world, void *arg)
{
	(void)arg;
	fake_add(world->engine, "one", "alice");
	fake_add(world->engine, "two", "alice")->state.status = QL_STATUS_QUEUED;
	fake_add(world->engine, "bobs", "bob");
}

static int
status_as(struct world *world, const char *key, const char *method, const char *target,
	const char *body)
{
	struct answer answer = ask(world, key, method, target, body ? JSON : NULL, body);
	int status = answer.status;
	answer_done(&answer);
	return status;
}

static long long
number_of(const struct answer *answer, const char *object, const char *name)
{
	return json_integer_value(json_object_get(json_object_get(answer->json, object), name));
}

/* Each with the member that is wrong. */
static void
test_what_is_refused(void **state)
{
	static const struct {
		const char *body, *field;
	} refused[] = {
		{"{}", "ids"},
		{"{\"ids\":[\"one\"],\"selector\":\"owner=alice\"}", "selector"},
		{"{\"preview\":\"p\",\"selector\":\"owner=alice\"}", "selector"},
		{"{\"ids\":[]}", "ids"},
		{"{\"ids\":\"one\"}", "ids"},
		{"{\"ids\":[\"one\",5]}", "ids"},
		{"{\"ids\":[\"one\",\"a/b\"]}", "ids"},
		{"{\"ids\":[\"one\",\"two\",\"one\"]}", "ids"},
		{"{\"ids\":[\"one\",\"two\"],\"max_matches\":1}", "max_matches"},
		{"{\"selector\":\"owner=alice\",\"max_matches\":1}", "max_matches"},
		{"{\"selector\":\"owner=alice\",\"max_matches\":0}", "max_matches"},
		{"{\"selector\":\"\"}", "selector"},
		{"{\"selector\":5}", "selector"},
		{"{\"selector\":null}", "selector"},
		{"{\"selector\":\"colour=red\"}", "selector"},
		{"{\"selector\":\"owner=alice\",\"mode\":\"stop\"}", "mode"},
		{"{\"selector\":\"owner=alice\",\"grace\":-1}", "grace"},
		{"{\"selector\":\"owner=alice\",\"escalate\":\"up\"}", "escalate"},
		{"{\"ids\":[\"a\"],\"mode\":\"kill\",\"escalate\":\"none\"}", "escalate"},
		{"{\"ids\":[\"a\"],\"mode\":\"kill\",\"escalate\":\"terminate\"}", "escalate"},
		{"{\"ids\":[\"a\"],\"mode\":\"kill\",\"terminate\":true}", "terminate"},
		{"{\"selector\":\"owner=alice\",\"dry_run\":\"yes\"}", "dry_run"},
		{"{\"selector\":\"owner=alice\",\"force\":true}", "force"},
		{"{\"preview\":5}", "preview"},
		{"{\"preview\":\"p\",\"mode\":\"kill\"}", "preview"},
	};
	struct world *world = *state;
	world_call(world, fill, NULL);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct answer answer = post(world, "/api/batches", refused[i].body);
		if (answer.status != 422 || strcmp(answer_text(&answer, "field"), refused[i].field))
			fail_msg("%s: %s", refused[i].body, answer.text);
		answer_done(&answer);
	}
}

static void
test_a_selector_is_refused_with_its_place(void **state)
{
	struct world *world = *state;
	struct answer answer =
		post(world, "/api/batches", "{\"selector\":\"owner=alice,colour=red\"}");
	assert_int_equal(answer.status, 422);
	assert_int_equal(json_integer_value(json_object_get(answer.json, "position")), 12);
	answer_done(&answer);
	assert_int_equal(world->engine->asked_bulks, 0);
}

static void
test_too_many_ids_are_refused_with_the_number(void **state)
{
	struct world *world = *state;
	struct ql_buf body = {0};
	ql_buf_adds(&body, "{\"ids\":[");
	for (int i = 0; i <= QL_BULK_IDS_MAX; i++)
		ql_buf_addf(&body, "%s\"e%d\"", i ? "," : "", i);
	ql_buf_adds(&body, "]}");
	struct answer answer = post(world, "/api/batches", body.data);
	assert_int_equal(answer.status, 422);
	assert_int_equal(
		json_integer_value(json_object_get(answer.json, "limit")), QL_BULK_IDS_MAX);
	assert_non_null(strstr(answer_text(&answer, "detail"), "100001"));
	answer_done(&answer);
	ql_buf_done(&body);
}

static void
test_a_preview_tells_and_is_executed(void **state)
{
	struct world *world = *state;
	world_call(world, fill, NULL);
	struct answer answer = ask(world, ALICE, "POST", "/api/batches", JSON,
		"{\"ids\":[\"one\",\"two\",\"gone\"],\"mode\":\"kill\",\"dry_run\":true,"
		"\"grace\":2.5,\"reason\":\"why\"}");
	assert_int_equal(answer.status, 200);
	assert_int_equal(number_of(&answer, "would", "removed"), 1);
	assert_int_equal(number_of(&answer, "would", "killed"), 1);
	assert_int_equal(number_of(&answer, "would", "not_found"), 1);
	assert_int_equal(number_of(&answer, "by_status", "running"), 1);
	assert_int_equal(json_array_size(json_object_get(answer.json, "sample")), 2);
	assert_int_equal(world->engine->asked_bulk.grace_ms, 2500);
	answer_done(&answer);
	assert_int_equal(
		status_as(world, BOB, "POST", "/api/batches", "{\"preview\":\"" FAKE_BATCH "\"}"),
		404);
	answer =
		ask(world, ALICE, "POST", "/api/batches", JSON, "{\"preview\":\"" FAKE_BATCH "\"}");
	assert_int_equal(answer.status, 202);
	assert_string_equal(answer_header(&answer, "Location"), BATCH);
	assert_string_equal(answer_text(&answer, "phase"), "running");
	answer_done(&answer);
	assert_int_equal(world->engine->asked_bulk.verb, QL_BULK_EXECUTE);
}

static void
test_terminate_is_the_mode_of_that_name(void **state)
{
	struct world *world = *state;
	world_call(world, fill, NULL);
	assert_int_equal(status_as(world, ALICE, "POST", "/api/batches",
				 "{\"ids\":[\"one\"],\"terminate\":true}"),
		202);
	assert_int_equal(world->engine->asked_bulk.mode, QL_MODE_TERMINATE);
}

static void
test_whose_a_batch_is(void **state)
{
	struct world *world = *state;
	world_call(world, fill, NULL);
	assert_int_equal(
		status_as(world, ALICE, "POST", "/api/batches", "{\"ids\":[\"one\",\"bobs\"]}"),
		202);
	assert_int_equal(status_as(world, ALICE, "GET", BATCH, NULL), 200);
	assert_int_equal(status_as(world, ADMIN, "GET", BATCH, NULL), 200);
	assert_int_equal(status_as(world, BOB, "GET", BATCH, NULL), 404);
	assert_int_equal(status_as(world, BOB, "GET", BATCH "/items", NULL), 404);
	assert_int_equal(status_as(world, BOB, "POST", BATCH "/cancel", NULL), 404);
	assert_int_equal(status_as(world, BOB, "POST", BATCH "/undo", NULL), 404);
	struct answer answer = ask(world, BOB, "GET", "/api/batches", NULL, NULL);
	assert_int_equal(json_array_size(json_object_get(answer.json, "batches")), 0);
	answer_done(&answer);
	answer = ask(world, ALICE, "GET", BATCH "/items?limit=1", NULL, NULL);
	const json_t *items = json_object_get(answer.json, "items");
	assert_int_equal(json_array_size(items), 1);
	assert_string_equal(answer_text(&answer, "next_cursor"), "1");
	answer_done(&answer);
	answer = ask(world, ALICE, "GET", BATCH "/items?cursor=1", NULL, NULL);
	const json_t *item = json_array_get(json_object_get(answer.json, "items"), 0);
	assert_string_equal(json_string_value(json_object_get(item, "eval_id")), "bobs");
	assert_true(json_is_null(json_object_get(item, "status")));
	answer_done(&answer);
}

/* A preview that somebody else made for a kill opens no kill either. */
static void
test_a_kill_of_many_needs_what_a_kill_of_one_needs(void **state)
{
	struct world *world = *state;
	char key[128];
	static const char kill[] = "{\"ids\":[\"one\"],\"mode\":\"kill\",\"dry_run\":true}";
	world_call(world, fill, NULL);
	struct answer answer =
		post(world, "/api/keys", "{\"owner\":\"alice\",\"scopes\":[\"read\",\"cancel\"]}");
	strcpy(key, answer_text(&answer, "key"));
	answer_done(&answer);
	answer = ask(world, key, "POST", "/api/batches", JSON, kill);
	assert_int_equal(answer.status, 403);
	assert_string_equal(answer_text(&answer, "scope"), "kill");
	answer_done(&answer);
	assert_int_equal(status_as(world, ALICE, "POST", "/api/batches", kill), 200);
	assert_int_equal(
		status_as(world, key, "POST", "/api/batches", "{\"preview\":\"" FAKE_BATCH "\"}"),
		403);
	assert_int_equal(status_as(world, key, "POST", "/api/batches", "{\"ids\":[\"one\"]}"), 202);
	assert_int_equal(world->engine->asked_bulks, 2);
}

static void
test_without_a_body_is_no_batch(void **state)
{
	struct world *world = *state;
	assert_int_equal(status_as(world, ALICE, "POST", "/api/batches", NULL), 400);
	assert_int_equal(status_as(world, NULL, "POST", "/api/batches", "{}"), 401);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_what_is_refused),
		WORLD_TEST(test_a_selector_is_refused_with_its_place),
		WORLD_TEST(test_too_many_ids_are_refused_with_the_number),
		WORLD_TEST(test_a_preview_tells_and_is_executed),
		WORLD_TEST(test_terminate_is_the_mode_of_that_name),
		WORLD_TEST(test_whose_a_batch_is),
		WORLD_TEST(test_a_kill_of_many_needs_what_a_kill_of_one_needs),
		WORLD_TEST(test_without_a_body_is_no_batch),
	};
	return cmocka_run_group_tests_name("batches", tests, NULL, NULL);
}
