/* Cancel and kill: what is asked of the engine, and the answer that each outcome has. */
#include "world.h"

#include <stdio.h>
#include <string.h>

static void
add_queued(struct world *world, void *arg)
{
	fake_add(world->engine, arg, "alice")->state.status = QL_STATUS_QUEUED;
}

static bool
is_true(const struct answer *answer, const char *name)
{
	return json_is_true(json_object_get(answer->json, name));
}

static bool
is_null(const struct answer *answer, const char *name)
{
	return json_is_null(json_object_get(answer->json, name));
}

/* ---- the table of answers ---- */

static void
test_a_queued_one_is_removed(void **state)
{
	struct world *world = *state;
	world_call(world, add_queued, "e1");
	struct answer answer = ask(world, ALICE, "POST", "/api/eval/e1/cancel", NULL, NULL);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer_text(&answer, "outcome"), "removed");
	assert_string_equal(answer_text(&answer, "evidence"), "verified");
	assert_true(is_true(&answer, "cancelled") && !is_true(&answer, "killed"));
	assert_string_equal(answer_text(&answer, "previous_state"), "PENDING");
	assert_string_equal(answer_text(&answer, "actor"), "user:alice");
	assert_int_equal(json_integer_value(json_object_get(answer.json, "stop_ms")), 0);
	const json_t *step = json_array_get(json_object_get(answer.json, "steps"), 0);
	assert_string_equal(json_string_value(json_object_get(step, "rung")), "remove");
	assert_string_equal(
		json_string_value(json_object_get(step, "what")), "asked by a user -> cancelled");
	answer_done(&answer);
	answer = ask(world, ALICE, "GET", "/api/eval/e1", NULL, NULL);
	assert_string_equal(answer_text(&answer, "state"), "REVOKED");
	answer_done(&answer);
}

static void
under_way(struct world *world, void *arg)
{
	(void)arg;
	fake_add(world->engine, "e1", "alice")->state.run_until = 3600000;
	fake_row(world->engine, 1, QL_RUNG_NOTICE, "asked by a user -> notice");
	fake_row(world->engine, 1, QL_RUNG_NONE, "not a step of the stop");
	fake_row(world->engine, 2, QL_RUNG_NOTICE, "another attempt");
}

static void
cut_off(struct world *world, void *arg)
{
	struct ql_dependency *broker = &world->engine->health.dependencies[1];
	under_way(world, arg);
	world->engine->health.dependency_count = 2;
	world->engine->health.dependencies[0] = (struct ql_dependency){.name = "results"};
	*broker = (struct ql_dependency){
		.name = "broker", .state = QL_BREAKER_OPEN, .detail = "connection refused"};
}

static void
come_back(struct world *world, void *arg)
{
	(void)arg;
	world->engine->health.dependencies[1].state = QL_BREAKER_CLOSED;
}

static void
test_what_waits_for_the_broker_says_so(void **state)
{
	struct world *world = *state;
	world_call(world, cut_off, NULL);
	struct answer answer = post(world, "/api/eval/e1/cancel", NULL);
	assert_int_equal(answer.status, 202);
	assert_string_equal(answer_text(&answer, "message"),
		"The stop is recorded, and nothing has taken it over yet. The broker is away: "
		"connection refused. It goes on when that is back.");
	answer_done(&answer);
	answer = get(world, "/api/cancellations/e1~1");
	assert_non_null(strstr(answer_text(&answer, "message"), "connection refused"));
	answer_done(&answer);
	world_call(world, come_back, NULL);
	answer = get(world, "/api/cancellations/e1~1");
	assert_non_null(strstr(answer_text(&answer, "message"), "terminate=true"));
	answer_done(&answer);
}

static void
taken_up(struct world *world, void *arg)
{
	under_way(world, arg);
	fake_find(world->engine, "e1")->state.adopted = 1;
}

static void
test_what_nobody_knows_yet_is_not_said_to_be_asked(void **state)
{
	struct world *world = *state;
	world_call(world, taken_up, NULL);
	struct answer answer = post(world, "/api/eval/e1/cancel", NULL);
	assert_int_equal(answer.status, 202);
	assert_string_equal(answer_text(&answer, "message"),
		"Nothing is known of it yet: it is looked for in every queue and worker, and 404 "
		"comes where two looks find it nowhere.");
	answer_done(&answer);
}

static void
test_under_way_is_202_with_its_place(void **state)
{
	struct world *world = *state;
	world_call(world, under_way, NULL);
	struct answer answer = post(world, "/api/eval/e1/cancel", NULL);
	assert_int_equal(answer.status, 202);
	assert_string_equal(answer_header(&answer, "Location"), "/api/cancellations/e1~1");
	assert_true(!is_true(&answer, "cancelled") && is_null(&answer, "outcome"));
	assert_true(is_null(&answer, "settled_at") && is_null(&answer, "stop_ms"));
	assert_non_null(strstr(answer_text(&answer, "message"), "terminate=true"));
	const json_t *steps = json_object_get(answer.json, "steps");
	assert_int_equal(json_array_size(steps), 1);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(steps, 0), "rung")), "notice");
	/* its run deadline bounds the wait for the program */
	const json_t *next = json_object_get(answer.json, "next");
	assert_string_equal(json_string_value(json_object_get(next, "rung")), "terminate");
	assert_string_equal(
		json_string_value(json_object_get(next, "at")), "1970-01-01T01:00:00.000Z");
	answer_done(&answer);
	answer = get(world, "/api/cancellations/e1~1");
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer_text(&answer, "mode"), "cancel");
	answer_done(&answer);
}

static int
terminate_next(struct ql_engine *engine, struct ql_stop *op, struct ql_record *record)
{
	(void)engine;
	record->state.cancel = (struct ql_cancel){.requested_at = 5000,
		.mode = (int32_t)op->mode,
		.rung = QL_RUNG_TERMINATE,
		.top = QL_RUNG_KILL,
		.next_at = 15000,
		.previous = QL_STATUS_RUNNING,
		.evidence = QL_EVIDENCE_DELIVERED};
	record->state.status = QL_STATUS_CANCELLING;
	return 0;
}

static int
unconfirmed(struct ql_engine *engine, struct ql_stop *op, struct ql_record *record)
{
	terminate_next(engine, op, record);
	record->state.status = QL_STATUS_UNCONFIRMED;
	record->state.cancel.outcome = QL_OUTCOME_UNCONFIRMED;
	record->state.cancel.settled_at = 6000;
	return 0;
}

static int
exited_elsewhere(struct ql_engine *engine, struct ql_stop *op, struct ql_record *record)
{
	terminate_next(engine, op, record);
	record->state.status = QL_STATUS_CANCELLED;
	record->state.exit_signal = 9;
	record->state.cancel.outcome = QL_OUTCOME_KILLED;
	record->state.cancel.evidence = QL_EVIDENCE_EXITED;
	record->state.cancel.unasked = 1 << QL_CHECK_CGROUP | 1 << QL_CHECK_HOST;
	record->state.cancel.stopped_at = 5250;
	record->state.cancel.settled_at = 6000;
	return 0;
}

static int
exited_unproven(struct ql_engine *engine, struct ql_stop *op, struct ql_record *record)
{
	exited_elsewhere(engine, op, record);
	record->state.cancel.unasked = 0;
	return 0;
}

static int
finishes_first(struct ql_engine *engine, struct ql_stop *op, struct ql_record *record)
{
	terminate_next(engine, op, record);
	record->state.status = QL_STATUS_FAILED;
	record->state.exit_code = 3;
	record->state.cancel.outcome = QL_OUTCOME_FINISHED_FIRST;
	record->state.cancel.evidence = QL_EVIDENCE_VERIFIED;
	record->state.cancel.settled_at = 6000;
	return 0;
}

static void
set_stop(struct world *world, void *arg)
{
	fake_add(world->engine, "e1", "alice");
	world->engine->stop =
		*(int (**)(struct ql_engine *, struct ql_stop *, struct ql_record *))arg;
}

static struct answer
stop_by(struct world *world,
	int (*stop)(struct ql_engine *engine, struct ql_stop *op, struct ql_record *record))
{
	world_call(world, set_stop, &stop);
	return post(world, "/api/eval/e1/kill", NULL);
}

static void
test_next_is_the_rung_that_comes(void **state)
{
	struct answer answer = stop_by(*state, terminate_next);
	assert_int_equal(answer.status, 202);
	const json_t *next = json_object_get(answer.json, "next");
	assert_string_equal(json_string_value(json_object_get(next, "rung")), "kill");
	assert_non_null(strstr(answer_text(&answer, "message"), "/api/eval/e1/kill"));
	answer_done(&answer);
}

static void
test_spent_means_are_not_called_cancelled(void **state)
{
	struct answer answer = stop_by(*state, unconfirmed);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer_text(&answer, "outcome"), "unconfirmed");
	assert_true(!is_true(&answer, "cancelled") && is_null(&answer, "next"));
	assert_non_null(strstr(answer_text(&answer, "message"), "/api/eval/e1/kill"));
	answer_done(&answer);
}

static void
test_an_exit_elsewhere_says_what_was_not_asked(void **state)
{
	struct answer answer = stop_by(*state, exited_elsewhere);
	assert_int_equal(answer.status, 200);
	assert_true(is_true(&answer, "cancelled") && is_true(&answer, "killed"));
	const json_t *unasked = json_object_get(answer.json, "unasked");
	assert_int_equal(json_array_size(unasked), 2);
	assert_string_equal(json_string_value(json_array_get(unasked, 0)), "cgroup");
	assert_string_equal(json_string_value(json_array_get(unasked, 1)), "host");
	assert_int_equal(json_integer_value(json_object_get(answer.json, "stop_ms")), 250);
	answer_done(&answer);
	answer = get(*state, "/api/eval/e1");
	assert_string_equal(answer_text(&answer, "signal"), "SIGKILL");
	assert_true(is_null(&answer, "exit_code"));
	answer_done(&answer);
}

static void
test_an_exit_without_the_proof_is_not_cancelled(void **state)
{
	struct answer answer = stop_by(*state, exited_unproven);
	assert_false(is_true(&answer, "cancelled"));
	answer_done(&answer);
}

static void
test_what_finishes_first_is_409_with_the_record(void **state)
{
	struct answer answer = stop_by(*state, finishes_first);
	assert_int_equal(answer.status, 409);
	assert_string_equal(answer_header(&answer, "Content-Type"), "application/problem+json");
	assert_string_equal(answer_text(&answer, "type"), "urn:quell:problem:finished-first");
	assert_string_equal(answer_text(&answer, "outcome"), "finished_first");
	assert_string_equal(answer_text(&answer, "cancellation_id"), "e1~1");
	assert_string_equal(answer_text(&answer, "previous_state"), "FAILURE");
	assert_false(is_true(&answer, "cancelled"));
	answer_done(&answer);
}

static void
add_finished(struct world *world, void *arg)
{
	struct ql_record *record = fake_add(world->engine, arg, "alice");
	record->state.status = QL_STATUS_SUCCEEDED;
	record->state.exit_code = 0;
}

static void
test_what_had_finished_is_409_without_a_record(void **state)
{
	struct world *world = *state;
	world_call(world, add_finished, "e1");
	struct answer answer = post(world, "/api/eval/e1/kill", "{\"reason\":\"late\"}");
	assert_int_equal(answer.status, 409);
	assert_string_equal(answer_text(&answer, "previous_state"), "SUCCESS");
	assert_string_equal(answer_text(&answer, "mode"), "kill");
	assert_string_equal(answer_text(&answer, "reason"), "late");
	assert_string_equal(answer_text(&answer, "eval_id"), "e1");
	assert_true(is_null(&answer, "cancellation_id") && is_null(&answer, "requested_at"));
	assert_false(is_true(&answer, "cancelled"));
	answer_done(&answer);
}

static void
test_unknown_and_anothers_are_404(void **state)
{
	struct world *world = *state;
	world_call(world, add_one, "e1");
	struct answer answer = ask(world, BOB, "POST", "/api/eval/e1/kill", NULL, NULL);
	assert_int_equal(answer.status, 404);
	assert_string_equal(answer_text(&answer, "type"), "urn:quell:problem:not-found");
	answer_done(&answer);
	answer = ask(world, BOB, "POST", "/api/eval/e2/kill", NULL, NULL);
	assert_int_equal(answer.status, 404);
	answer_done(&answer);
}

static void
test_another_attempt_is_412(void **state)
{
	struct world *world = *state;
	world_call(world, add_queued, "e1");
	struct answer answer = ask(
		world, ALICE, "POST", "/api/eval/e1/cancel", "If-Match: \"attempt-2\"\r\n", NULL);
	assert_int_equal(answer.status, 412);
	answer_done(&answer);
	answer = ask(
		world, ALICE, "POST", "/api/eval/e1/cancel", "If-Match: \"attempt-1\"\r\n", NULL);
	assert_int_equal(answer.status, 200);
	answer_done(&answer);
}

static void
fail_disk(struct world *world, void *arg)
{
	(void)arg;
	fake_add(world->engine, "e1", "alice");
	ql_fail(&world->engine->fail, QL_E_DISK_FULL, "no space left");
}

static void
test_a_full_disk_is_503_to_be_retried(void **state)
{
	struct world *world = *state;
	world_call(world, fail_disk, NULL);
	struct answer answer = post(world, "/api/eval/e1/kill", NULL);
	assert_int_equal(answer.status, 503);
	assert_string_equal(answer_header(&answer, "Retry-After"), "1");
	assert_string_equal(answer_text(&answer, "type"), "urn:quell:problem:disk-full");
	answer_done(&answer);
}

/* ---- what is asked for ---- */

struct asked {
	const char *target, *headers, *body;
	enum ql_mode mode;
	enum ql_rung top;
	int64_t grace_ms, wait_ms;
	int32_t attempt;
	const char *reason;
};

static const struct asked asked_for[] = {
	{"/cancel", NULL, NULL, QL_MODE_CANCEL, QL_RUNG_NONE, -1, 0, 0, ""},
	{"/kill", NULL, NULL, QL_MODE_KILL, QL_RUNG_NONE, -1, 1000, 0, ""},
	{"/cancel?terminate=true", NULL, NULL, QL_MODE_TERMINATE, QL_RUNG_NONE, -1, 1000, 0, ""},
	{"/cancel?terminate=0", NULL, NULL, QL_MODE_CANCEL, QL_RUNG_NONE, -1, 0, 0, ""},
	{"/cancel", NULL, "{\"terminate\":true,\"wait\":0}", QL_MODE_TERMINATE, QL_RUNG_NONE, -1, 0,
		0, ""},
	{"/cancel?terminate=false", NULL, "{\"terminate\":true}", QL_MODE_CANCEL, QL_RUNG_NONE, -1,
		0, 0, ""},
	{"/cancel?escalate=none", NULL, NULL, QL_MODE_CANCEL, QL_RUNG_NOTICE, -1, 0, 0, ""},
	{"/cancel?escalate=terminate", NULL, NULL, QL_MODE_CANCEL, QL_RUNG_TERMINATE, -1, 0, 0, ""},
	{"/cancel?escalate=kill&grace=2.5", NULL, NULL, QL_MODE_CANCEL, QL_RUNG_KILL, 2500, 0, 0,
		""},
	{"/cancel?terminate=1&escalate=none", NULL, NULL, QL_MODE_TERMINATE, QL_RUNG_TERMINATE, -1,
		1000, 0, ""},
	{"/kill?escalate=none", NULL, NULL, QL_MODE_KILL, QL_RUNG_KILL, -1, 1000, 0, ""},
	{"/kill?escalate=terminate", NULL, NULL, QL_MODE_KILL, QL_RUNG_KILL, -1, 1000, 0, ""},
	{"/kill?terminate=true", NULL, NULL, QL_MODE_KILL, QL_RUNG_NONE, -1, 1000, 0, ""},
	{"/cancel?wait=60&reason=a%20b", NULL, NULL, QL_MODE_CANCEL, QL_RUNG_NONE, -1, 60000, 0,
		"a b"},
	{"/cancel", "Prefer: respond-async, wait=7\r\n", NULL, QL_MODE_CANCEL, QL_RUNG_NONE, -1,
		7000, 0, ""},
	{"/cancel", "Prefer: wait=7000\r\n", NULL, QL_MODE_CANCEL, QL_RUNG_NONE, -1, 60000, 0, ""},
	{"/kill?wait=2", "Prefer: wait=7\r\n", NULL, QL_MODE_KILL, QL_RUNG_NONE, -1, 2000, 0, ""},
	{"/kill", "Prefer: nonsense\r\n", NULL, QL_MODE_KILL, QL_RUNG_NONE, -1, 1000, 0, ""},
	{"/kill", "If-Match: *\r\n", NULL, QL_MODE_KILL, QL_RUNG_NONE, -1, 1000, 0, ""},
	{"/kill", "If-Match: \"attempt-12\"\r\n", NULL, QL_MODE_KILL, QL_RUNG_NONE, -1, 1000, 12,
		""},
	{"/cancel", NULL, "{\"grace\":0,\"reason\":\"später\",\"escalate\":\"kill\"}",
		QL_MODE_CANCEL, QL_RUNG_KILL, 0, 0, 0, "später"},
	{"/cancel", "Content-Type: application/json\r\n", "", QL_MODE_CANCEL, QL_RUNG_NONE, -1, 0,
		0, ""},
};

static void
test_what_is_asked_of_the_engine(void **state)
{
	struct world *world = *state;
	struct ql_engine *engine = world->engine;
	world_call(world, add_one, "e1");
	for (size_t i = 0; i < sizeof(asked_for) / sizeof(asked_for[0]); i++) {
		const struct asked *asked = &asked_for[i];
		char target[128], headers[256];
		snprintf(target, sizeof(target), "/api/eval/e1%s", asked->target);
		snprintf(headers, sizeof(headers), "%s%s", asked->headers ? asked->headers : "",
			asked->body && !asked->headers ? "Content-Type: application/json\r\n" : "");
		struct answer answer = ask(world, ALICE, "POST", target, headers, asked->body);
		assert_true(answer.status == 202 || answer.status == 412);
		answer_done(&answer);
		assert_int_equal(engine->asked_stops, i + 1);
		assert_int_equal(engine->asked_stop.mode, asked->mode);
		assert_int_equal(engine->asked_stop.top, asked->top);
		assert_int_equal(engine->asked_stop.grace_ms, asked->grace_ms);
		assert_int_equal(engine->asked_stop.wait_ms, asked->wait_ms);
		assert_int_equal(engine->asked_stop.attempt, asked->attempt);
		assert_int_equal(engine->asked_stop.cause, QL_CAUSE_USER);
		assert_string_equal(engine->asked_reason, asked->reason);
		assert_string_equal(engine->asked_actor, "user:alice");
	}
}

struct wrong {
	const char *target, *headers, *body, *field;
};

static const struct wrong wrongs[] = {
	{"/cancel?terminate=maybe", NULL, NULL, "terminate"},
	{"/cancel?terminate=", NULL, NULL, "terminate"},
	{"/cancel", NULL, "{\"terminate\":\"true\"}", "terminate"},
	{"/cancel?grace=-1", NULL, NULL, "grace"},
	{"/cancel?grace=1e3", NULL, NULL, "grace"},
	{"/cancel?grace=nan", NULL, NULL, "grace"},
	{"/cancel?grace=0x10", NULL, NULL, "grace"},
	{"/cancel", NULL, "{\"grace\":\"5\"}", "grace"},
	{"/cancel?grace=86401", NULL, NULL, "grace"},
	{"/cancel?escalate=nuke", NULL, NULL, "escalate"},
	{"/cancel?wait=61", NULL, NULL, "wait"},
	{"/cancel?wait=", NULL, NULL, "wait"},
	{"/cancel?colour=red", NULL, NULL, "colour"},
	{"/cancel", NULL, "{\"colour\":\"red\"}", "colour"},
	{"/cancel?wait=1&wait=1", NULL, NULL, "wait"},
	{"/cancel", NULL, "{\"reason\":5}", "reason"},
	{"/cancel", NULL, "[]", "body"},
	{"/cancel", "If-Match: attempt-1\r\n", NULL, "If-Match"},
	{"/cancel", "If-Match: \"attempt-0\"\r\n", NULL, "If-Match"},
	{"/cancel", "If-Match: \"attempt-\"\r\n", NULL, "If-Match"},
	{"/cancel", "If-Match: \"attempt-99999999999999999999\"\r\n", NULL, "If-Match"},
};

static void
test_wrong_words_are_422_by_name(void **state)
{
	struct world *world = *state;
	world_call(world, add_one, "e1");
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		const struct wrong *wrong = &wrongs[i];
		char target[128];
		snprintf(target, sizeof(target), "/api/eval/e1%s", wrong->target);
		struct answer answer = ask(world, ALICE, "POST", target,
			wrong->body ? "Content-Type: application/json\r\n" : wrong->headers,
			wrong->body);
		if (answer.status != 422)
			fail_msg("%s %s: %s", wrong->target, wrong->body ? wrong->body : "",
				answer.text);
		assert_string_equal(answer_text(&answer, "field"), wrong->field);
		answer_done(&answer);
	}
	assert_int_equal(world->engine->asked_stops, 0);
}

static void
test_a_long_reason_is_refused(void **state)
{
	struct world *world = *state;
	char body[QL_REASON_MAX + 64];
	world_call(world, add_one, "e1");
	snprintf(body, sizeof(body), "{\"reason\":\"%0*d\"}", QL_REASON_MAX + 1, 0);
	struct answer answer = post(world, "/api/eval/e1/cancel", body);
	assert_int_equal(answer.status, 422);
	assert_int_equal(json_integer_value(json_object_get(answer.json, "limit")), QL_REASON_MAX);
	answer_done(&answer);
}

/* ---- restore, resume, delete ---- */

static void
test_restore_resume_and_delete(void **state)
{
	struct world *world = *state;
	world_call(world, add_queued, "e1");
	struct answer answer = post(world, "/api/eval/e1/restore", NULL);
	assert_int_equal(answer.status, 409);
	answer_done(&answer);
	answer = post(world, "/api/eval/e1/cancel", NULL);
	answer_done(&answer);
	answer = post(world, "/api/eval/e1/restore", "{}");
	assert_int_equal(answer.status, 200);
	assert_int_equal(json_integer_value(json_object_get(answer.json, "attempt")), 2);
	assert_string_equal(answer_text(&answer, "task_id"), "celery-e1~2");
	answer_done(&answer);
	answer = ask(world, ALICE, "DELETE", "/api/eval/e1", NULL, NULL);
	assert_int_equal(answer.status, 409);
	answer_done(&answer);
	answer = post(world, "/api/eval/e1/cancel", NULL);
	answer_done(&answer);
	answer = post(world, "/api/eval/e1/resume", NULL);
	assert_int_equal(answer.status, 201);
	answer_done(&answer);
	answer = post(world, "/api/eval/e1/resume", "{\"from\":\"start\"}");
	assert_int_equal(answer.status, 422);
	answer_done(&answer);
	answer = post(world, "/api/eval/e1/cancel", NULL);
	answer_done(&answer);
	answer = ask(world, ALICE, "DELETE", "/api/eval/e1", NULL, NULL);
	assert_int_equal(answer.status, 204);
	assert_int_equal(answer.body_len, 0);
	answer_done(&answer);
	answer = ask(world, ALICE, "DELETE", "/api/eval/e1", NULL, NULL);
	assert_int_equal(answer.status, 404);
	answer_done(&answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_a_queued_one_is_removed),
		WORLD_TEST(test_under_way_is_202_with_its_place),
		WORLD_TEST(test_what_waits_for_the_broker_says_so),
		WORLD_TEST(test_what_nobody_knows_yet_is_not_said_to_be_asked),
		WORLD_TEST(test_next_is_the_rung_that_comes),
		WORLD_TEST(test_spent_means_are_not_called_cancelled),
		WORLD_TEST(test_an_exit_elsewhere_says_what_was_not_asked),
		WORLD_TEST(test_an_exit_without_the_proof_is_not_cancelled),
		WORLD_TEST(test_what_finishes_first_is_409_with_the_record),
		WORLD_TEST(test_what_had_finished_is_409_without_a_record),
		WORLD_TEST(test_unknown_and_anothers_are_404),
		WORLD_TEST(test_another_attempt_is_412),
		WORLD_TEST(test_a_full_disk_is_503_to_be_retried),
		WORLD_TEST(test_what_is_asked_of_the_engine),
		WORLD_TEST(test_wrong_words_are_422_by_name),
		WORLD_TEST(test_a_long_reason_is_refused),
		WORLD_TEST(test_restore_resume_and_delete),
	};
	return cmocka_run_group_tests_name("stops", tests, NULL, NULL);
}
