/* What a principal may ask, how an answer says so, the storm brake, and who is shown for what. */
#include "world.h"

#include <stdio.h>
#include <string.h>

static void
narrow(struct world *world)
{
	struct ql_limits limits;
	struct ql_err e;
	assert_int_equal(ql_limits_parse("cancel=1/2,submit=1/3,storm=2", &limits, &e), 0);
	ql_limiter_free(world->limiter);
	world->limiter = ql_limiter_new(&limits);
	assert_non_null(world->limiter);
	world->config.limiter = world->limiter;
}

static int
setup(void **state)
{
	return world_setup_with(state, narrow);
}

/* A stop of what there isn't: it counts like any other. */
static struct answer
stop(struct world *world, const char *key, const char *what, const char *headers)
{
	return ask(world, key, "POST", what, headers, NULL);
}

static void
assert_refused(const struct answer *answer, const char *type, int limit)
{
	assert_int_equal(answer->status, 429);
	assert_string_equal(answer_text(answer, "type"), type);
	assert_int_equal(json_integer_value(json_object_get(answer->json, "limit")), limit);
	assert_non_null(answer_header(answer, "Retry-After"));
}

static void
test_an_empty_bucket_is_429(void **state)
{
	struct world *world = *state;
	struct answer answer;
	for (int i = 1; i >= 0; i--) {
		answer = stop(world, ALICE, "/api/eval/none/cancel", NULL);
		assert_int_equal(answer.status, 404);
		assert_string_equal(
			answer_header(&answer, "RateLimit-Policy"), "\"cancel\";q=2;w=2");
		const char *left = answer_header(&answer, "RateLimit");
		assert_int_equal(strncmp(left, i ? "\"cancel\";r=1;" : "\"cancel\";r=0;", 13), 0);
		answer_done(&answer);
	}
	answer = stop(world, ALICE, "/api/eval/none/cancel", NULL);
	assert_refused(&answer, "urn:quell:problem:limit", 2);
	assert_string_equal(answer_header(&answer, "Retry-After"), "1");
	assert_non_null(strstr(answer_text(&answer, "detail"), "2 at once and 1 a second"));
	answer_done(&answer);
	/* nobody else's, and no other verb's */
	answer = stop(world, BOB, "/api/eval/none/cancel", NULL);
	assert_int_equal(answer.status, 404);
	answer_done(&answer);
	answer = ask(world, ALICE, "GET", "/api/evaluations", NULL, NULL);
	assert_int_equal(answer.status, 200);
	answer_done(&answer);
}

static void
narrow_kills(struct world *world)
{
	struct ql_limits limits;
	struct ql_err e;
	assert_int_equal(ql_limits_parse("kill=1/1", &limits, &e), 0);
	ql_limiter_free(world->limiter);
	world->limiter = ql_limiter_new(&limits);
	assert_non_null(world->limiter);
	world->config.limiter = world->limiter;
}

static int
setup_kills(void **state)
{
	return world_setup_with(state, narrow_kills);
}

static void
test_a_batch_is_no_way_around_the_limit_of_kills(void **state)
{
	struct world *world = *state;
	static const char json[] = "Content-Type: application/json\r\n";
	static const char killing[] = "{\"ids\":[\"none\"],\"mode\":\"kill\"}";
	struct answer answer = stop(world, ALICE, "/api/eval/none/kill", NULL);
	assert_int_equal(answer.status, 404);
	answer_done(&answer);
	answer = ask(world, ALICE, "POST", "/api/batches", json, killing);
	assert_refused(&answer, "urn:quell:problem:limit", 1);
	assert_string_equal(answer_header(&answer, "RateLimit-Policy"), "\"kill\";q=1;w=1");
	answer_done(&answer);
	answer = ask(world, ALICE, "POST", "/api/batches", json,
		"{\"ids\":[\"none\"],\"mode\":\"kill\",\"dry_run\":true}");
	assert_int_equal(answer.status, 200);
	answer_done(&answer);
	answer = ask(world, ALICE, "POST", "/api/batches", json, "{\"ids\":[\"none\"]}");
	assert_int_equal(answer.status, 202);
	answer_done(&answer);
	answer = ask(world, BOB, "POST", "/api/batches", json, killing);
	assert_int_equal(answer.status, 202);
	answer_done(&answer);
}

static void
test_each_of_a_batch_counts(void **state)
{
	struct world *world = *state;
	static const char body[] = "{\"evaluations\":[{\"command\":[\"a\"]},{\"command\":[\"b\"]},"
				   "{\"command\":[\"c\"]}]}";
	static const char json[] = "Content-Type: application/json\r\n";
	struct answer answer = ask(world, ALICE, "POST", "/api/eval-batch", json, body);
	assert_int_equal(answer.status, 201);
	answer_done(&answer);
	answer = ask(world, ALICE, "POST", "/api/eval", json, "{\"command\":[\"d\"]}");
	assert_refused(&answer, "urn:quell:problem:limit", 3);
	answer_done(&answer);
}

static void
test_a_storm_asks_for_a_confirmation(void **state)
{
	struct world *world = *state;
	struct answer answer;
	for (int i = 0; i < 2; i++) {
		answer = stop(world, ALICE, "/api/eval/none/kill", NULL);
		assert_int_equal(answer.status, 404);
		answer_done(&answer);
	}
	answer = stop(world, ALICE, "/api/eval/none/kill", NULL);
	assert_refused(&answer, "urn:quell:problem:storm", 2);
	assert_non_null(strstr(answer_text(&answer, "detail"), "confirm=true"));
	answer_done(&answer);
	answer = stop(world, ALICE, "/api/eval/none/kill?confirm=maybe", NULL);
	assert_int_equal(answer.status, 422);
	answer_done(&answer);
	answer = stop(world, ALICE, "/api/eval/none/kill?confirm=true", NULL);
	assert_int_equal(answer.status, 404);
	answer_done(&answer);
	answer = stop(world, ALICE, "/api/eval/none/kill", NULL);
	assert_int_equal(answer.status, 404);
	answer_done(&answer);
}

static void
test_the_header_confirms_too(void **state)
{
	struct world *world = *state;
	struct answer answer;
	for (int i = 0; i < 3; i++) {
		answer = stop(world, BOB, "/api/eval/none/kill", "Quell-Confirm: true\r\n");
		assert_int_equal(answer.status, 404);
		answer_done(&answer);
	}
}

static const json_t *
shown(const struct answer *answer, const char *actor)
{
	const json_t *list = json_object_get(answer->json, "principals");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		if (!strcmp(json_string_value(json_object_get(one, "actor")), actor))
			return one;
	}
	return NULL;
}

static json_int_t
number(const json_t *one, const char *object, const char *name)
{
	one = object ? json_object_get(one, object) : one;
	assert_true(json_is_integer(json_object_get(one, name)));
	return json_integer_value(json_object_get(one, name));
}

static void
test_the_admin_sees_who(void **state)
{
	struct world *world = *state;
	struct answer answer = ask(world, ALICE, "GET", "/api/abuse", NULL, NULL);
	assert_int_equal(answer.status, 403);
	answer_done(&answer);
	for (int i = 0; i < 120; i++) {
		answer = ask(world, BOB, "GET", "/api/eval/guess", NULL, NULL);
		assert_int_equal(answer.status, 404);
		answer_done(&answer);
	}
	for (int i = 0; i < 4; i++) {
		answer = stop(world, ALICE, "/api/eval/none/kill", NULL);
		answer_done(&answer);
	}
	answer = get(world, "/api/abuse");
	const json_t *alice = shown(&answer, "user:alice"), *bob = shown(&answer, "user:bob");
	assert_non_null(alice);
	assert_non_null(bob);
	assert_null(shown(&answer, "user:admin"));
	assert_int_equal(number(alice, "patterns", "storm"), 1);
	assert_int_equal(number(bob, "patterns", "scan"), 1);
	assert_int_equal(number(bob, NULL, "not_found"), 120);
	answer_done(&answer);
}

static void
test_a_loop_is_seen(void **state)
{
	struct world *world = *state;
	static const char json[] = "Content-Type: application/json\r\n";
	char target[160];
	for (int i = 0; i <= QL_ABUSE_LOOP; i++) {
		struct answer made = ask(world, ADMIN, "POST", "/api/eval", json,
			"{\"command\":[\"again\"],\"labels\":{\"a\":\"b\"}}");
		assert_int_equal(made.status, 201);
		snprintf(target, sizeof(target), "/api/eval/%s/cancel",
			answer_text(&made, "eval_id"));
		answer_done(&made);
		struct answer answer = stop(world, ADMIN, target, NULL);
		assert_true(answer.status == 200 || answer.status == 202);
		answer_done(&answer);
	}
	struct answer answer = get(world, "/api/abuse");
	const json_t *admin = shown(&answer, "user:admin");
	assert_non_null(admin);
	assert_int_equal(number(admin, "patterns", "loop"), 1);
	assert_int_equal(number(admin, NULL, "resubmitted"), QL_ABUSE_LOOP);
	answer_done(&answer);
	answer = get(world, "/metrics");
	assert_non_null(strstr(answer.body, "\nquell_abuse_total{pattern=\"loop\"} 1\n"));
	answer_done(&answer);
}

#define LIMIT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LIMIT_TEST(test_an_empty_bucket_is_429),
		LIMIT_TEST(test_each_of_a_batch_counts),
		cmocka_unit_test_setup_teardown(test_a_batch_is_no_way_around_the_limit_of_kills,
			setup_kills, world_teardown),
		LIMIT_TEST(test_a_storm_asks_for_a_confirmation),
		LIMIT_TEST(test_the_header_confirms_too),
		LIMIT_TEST(test_the_admin_sees_who),
		LIMIT_TEST(test_a_loop_is_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
