/* From submission to settlement: the queue, its order and its bounds. */
#include "engine/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/private.h"

static const char *store_kind;

static void
open_world(struct kit *kit, int32_t workers)
{
	struct kit_options options = {.store = store_kind,
		.workers = workers,
		.hasty = true,
		.log = getenv("KIT_LOG") != NULL};
	kit_open(kit, &options);
	kit_start(kit);
	ask_as("alice");
}

static void
runs_to_its_end(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_record record;
	open_world(&kit, 2);
	kit_check(&kit, !ask_submit(&kit, "{\"eval_id\":\"ok\",\"command\":[\"after=1\","
					  "\"output=hello\"]}"));
	kit_check(&kit, !ask_submit(&kit, "{\"eval_id\":\"bad\",\"command\":[\"exit=3\"]}"));
	kit_check(&kit, !ask_submit(&kit, "{\"eval_id\":\"dies\",\"command\":[\"signal=11\"]}"));
	kit_check(&kit, !ask_submit(&kit, "{\"eval_id\":\"odd\",\"command\":[\"what=is-this\"]}"));
	kit_until_status(&kit, "ok", QL_STATUS_SUCCEEDED);
	kit_until_status(&kit, "bad", QL_STATUS_FAILED);
	kit_until_status(&kit, "dies", QL_STATUS_FAILED);
	kit_until_status(&kit, "odd", QL_STATUS_FAILED);
	kit_until_quiet(&kit);
	assert_int_equal(kit_state(&kit, "ok")->output_bytes, 5);
	assert_int_equal(kit_state(&kit, "bad")->exit_code, 3);
	assert_int_equal(kit_state(&kit, "dies")->exit_signal, 11);
	assert_true(ask_read(&kit, "bad", &record));
	assert_string_equal(record.owner, "alice");
	assert_string_equal(record.worker, "local");
	assert_string_equal(record.runtime, "witness");
	assert_string_equal(record.error, "exited with status 3");
	assert_non_null(record.container);
	ql_record_done(&record);
	assert_true(ask_read(&kit, "dies", &record));
	assert_non_null(strstr(record.error, "SIGSEGV"));
	ql_record_done(&record);
	assert_true(ask_read(&kit, "odd", &record));
	assert_non_null(strstr(record.error, "what=is-this"));
	ql_record_done(&record);
	assert_int_equal(kit_health(&kit).queued, 0);
	kit_close(&kit);
}

static int64_t
claimed_at(struct kit *kit, const char *eval_id)
{
	return kit_state(kit, eval_id)->runs[0].claimed_at;
}

static void
order_is_priority_then_age(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, 1);
	ask_submit(&kit, "{\"eval_id\":\"first\",\"command\":[\"after=never\"]}");
	kit_until_status(&kit, "first", QL_STATUS_RUNNING);
	ask_submit(&kit, "[{\"eval_id\":\"low\",\"priority\":1,\"command\":[\"after=2\"]},"
			 "{\"eval_id\":\"old\",\"command\":[\"after=2\"]}]");
	ask_submit(&kit, "{\"eval_id\":\"young\",\"command\":[\"after=2\"]}");
	ask_submit(&kit, "{\"eval_id\":\"high\",\"priority\":9,\"command\":[\"after=2\"]}");
	assert_int_equal(kit_health(&kit).queued, 4);
	ql_fake_world_end(kit.world, kit_run(&kit, "first")->incarnation, 0, 0);
	kit_until_status(&kit, "low", QL_STATUS_SUCCEEDED);
	kit_until_quiet(&kit);
	assert_true(claimed_at(&kit, "high") < claimed_at(&kit, "old"));
	assert_true(claimed_at(&kit, "old") < claimed_at(&kit, "young"));
	assert_true(claimed_at(&kit, "young") < claimed_at(&kit, "low"));
	kit_close(&kit);
}

static void
never_more_than_the_slots(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, 3);
	ask_submit(&kit, "[{\"eval_id\":\"a\",\"command\":[\"after=300\"]},"
			 "{\"eval_id\":\"b\",\"command\":[\"after=300\"]},"
			 "{\"eval_id\":\"c\",\"command\":[\"after=300\"]},"
			 "{\"eval_id\":\"d\",\"command\":[\"after=300\"]},"
			 "{\"eval_id\":\"e\",\"command\":[\"after=300\"]}]");
	int most = 0;
	while (kit_state(&kit, "e")->status != QL_STATUS_SUCCEEDED ||
		kit_state(&kit, "d")->status != QL_STATUS_SUCCEEDED) {
		kit_turn(&kit);
		int alive = ql_fake_world_alive(kit.world);
		most = alive > most ? alive : most;
		assert_true(kit_health(&kit).slots_used <= 3);
	}
	assert_int_equal(most, 3);
	kit_until_quiet(&kit);
	for (const struct ql_fake_run *run = ql_fake_world_runs(kit.world); run; run = run->hh.next)
		assert_in_range(run->slot, 0, 2);
	kit_close(&kit);
}

static void
without_workers_nothing_runs(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_state shown;
	open_world(&kit, -1);
	assert_int_equal(ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"after=1\"]}"), 0);
	assert_int_equal(ask_stop(&kit, "a", &(struct ask_stop){0}, &shown, NULL), 0);
	assert_int_equal(shown.status, QL_STATUS_CANCELLED);
	assert_null(ql_fake_world_runs(kit.world));
	kit_until_quiet(&kit);
	kit_close(&kit);
}

/* What was claimed while Docker is away could only fail. */
static void
waits_for_a_runtime_that_is_away(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, 2);
	ql_fake_world_be_away(kit.world, true);
	ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"after=1\"]}");
	kit_pass(&kit, 10 * QL_ENGINE_RETRY_MS);
	ask_submit(&kit, "{\"eval_id\":\"b\",\"command\":[\"after=1\"]}");
	struct ql_health health = kit_health(&kit);
	assert_int_equal(health.queued, 2);
	assert_int_equal(health.runtime.state, QL_BREAKER_OPEN);
	assert_string_equal(health.runtime.detail, "the test said so");
	assert_true(health.ready);
	assert_null(ql_fake_world_runs(kit.world));
	ql_fake_world_be_away(kit.world, false);
	kit_pass(&kit, QL_ENGINE_RETRY_MS);
	kit_until_status(&kit, "a", QL_STATUS_SUCCEEDED);
	kit_until_status(&kit, "b", QL_STATUS_SUCCEEDED);
	assert_int_equal(kit_health(&kit).runtime.state, QL_BREAKER_CLOSED);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

/* A server with runs is started again with --workers 0 and without a runtime. */
static void
without_a_runtime_runs_are_not_forgotten(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, 2);
	ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"after=never\"]}");
	kit_until_status(&kit, "a", QL_STATUS_RUNNING);
	kit.options.workers = -1;
	kit_restart(&kit);
	assert_int_equal(kit_health(&kit).live, 1);
	assert_int_equal(
		ask_stop(&kit, "a", &(struct ask_stop){.mode = QL_MODE_KILL}, NULL, NULL), 0);
	kit_until_status(&kit, "a", QL_STATUS_UNCONFIRMED);
	kit.options.workers = 2;
	kit_restart(&kit);
	assert_int_equal(kit_state(&kit, "a")->status, QL_STATUS_UNCONFIRMED);
	assert_int_equal(kit_health(&kit).slots_used, 1);
	assert_int_equal(
		ask_stop(&kit, "a", &(struct ask_stop){.mode = QL_MODE_KILL}, NULL, NULL), 0);
	kit_until_status(&kit, "a", QL_STATUS_CANCELLED);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

static void
waits_no_longer_than_its_ttl(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_record record;
	open_world(&kit, 1);
	ask_submit(&kit, "{\"eval_id\":\"hog\",\"command\":[\"after=never\"]}");
	kit_until_status(&kit, "hog", QL_STATUS_RUNNING);
	ask_submit(&kit, "{\"eval_id\":\"late\",\"queue_ttl_s\":1,\"command\":[\"after=1\"]}");
	ask_submit(&kit, "{\"eval_id\":\"patient\",\"command\":[\"after=1\"]}");
	kit_restart(&kit); /* found again by the store's facts */
	kit_until_status(&kit, "late", QL_STATUS_CANCELLED);
	assert_int_equal(kit_state(&kit, "late")->cause, QL_CAUSE_QUEUE_TTL);
	assert_int_equal(kit_state(&kit, "patient")->status, QL_STATUS_QUEUED);
	assert_true(ask_read(&kit, "late", &record));
	assert_string_equal(record.actor, "quell:queue_ttl");
	ql_record_done(&record);
	ask_stop(&kit, "hog", &(struct ask_stop){.mode = QL_MODE_KILL}, NULL, NULL);
	kit_until_status(&kit, "patient", QL_STATUS_SUCCEEDED);
	kit_until_quiet(&kit);
	assert_int_equal(kit_health(&kit).queued, 0);
	kit_close(&kit);
}

static char *
many(const char *prefix, int count, const char *last)
{
	char *json;
	size_t size;
	FILE *text = open_memstream(&json, &size);
	for (int i = 0; i < count; i++)
		fprintf(text,
			"%c{\"eval_id\":\"%s%d\",\"queue_ttl_s\":1,\"command\":[\"after=1\"]}",
			i ? ',' : '[', prefix, i);
	fprintf(text, ",%s]", last);
	fclose(text);
	return json;
}

/* More than one scan finds at once. */
static void
many_that_waited_for_too_long(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, -1);
	char *json = many("t", 1300, "{\"eval_id\":\"end\",\"command\":[\"after=1\"]}");
	assert_int_equal(ask_submit(&kit, "%s", json), 0);
	free(json);
	assert_int_equal(kit_health(&kit).queued, 1301);
	kit_until_status(&kit, "t1299", QL_STATUS_CANCELLED);
	while (kit_health(&kit).queued > 1)
		kit_turn(&kit);
	for (int i = 0; i < 1300; i++) {
		char eval_id[16];
		snprintf(eval_id, sizeof(eval_id), "t%d", i);
		assert_int_equal(kit_state(&kit, eval_id)->cause, QL_CAUSE_QUEUE_TTL);
	}
	kit_until_quiet(&kit);
	kit_close(&kit);
}

static void
no_more_than_max_queued(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct kit_options options = {.store = store_kind, .workers = -1, .max_queued = 3};
	kit_open(&kit, &options);
	kit_start(&kit);
	assert_int_equal(ask_submit(&kit, "[{\"eval_id\":\"a1\",\"command\":[\"x\"]},"
					  "{\"eval_id\":\"a2\",\"command\":[\"x\"]}]"),
		0);
	assert_int_equal(ask_submit(&kit, "[{\"eval_id\":\"b1\",\"command\":[\"x\"]},"
					  "{\"eval_id\":\"b2\",\"command\":[\"x\"]}]"),
		QL_E_LIMIT);
	assert_non_null(strstr(ask_why(), "at most 3"));
	assert_int_equal(ask_submit(&kit, "{\"eval_id\":\"b1\",\"command\":[\"x\"]}"), 0);
	assert_int_equal(ask_submit(&kit, "{\"eval_id\":\"b2\",\"command\":[\"x\"]}"), QL_E_LIMIT);
	ask_stop(&kit, "a1", &(struct ask_stop){0}, NULL, NULL);
	assert_int_equal(ask_submit(&kit, "{\"eval_id\":\"b2\",\"command\":[\"x\"]}"), 0);
	kit_restart(&kit);
	assert_int_equal(kit_health(&kit).queued, 3);
	assert_int_equal(ask_submit(&kit, "{\"eval_id\":\"c\",\"command\":[\"x\"]}"), QL_E_LIMIT);
	kit_close(&kit);
}

static void
ten_thousand_or_none(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, -1);
	ask_submit(&kit, "{\"eval_id\":\"taken\",\"command\":[\"x\"]}");
	char *json = many("m", 9999, "{\"eval_id\":\"taken\",\"command\":[\"x\"]}");
	assert_int_equal(ask_submit(&kit, "%s", json), QL_E_CONFLICT);
	assert_non_null(strstr(ask_why(), "taken"));
	free(json);
	assert_int_equal(kit_health(&kit).queued, 1);
	json = many("m", 9999, "{\"eval_id\":\"m17\",\"command\":[\"x\"]}");
	assert_int_equal(ask_submit(&kit, "%s", json), QL_E_CONFLICT);
	free(json);
	assert_null(book_find(&kit.book, "m0"));
	json = many("m", 9999, "{\"eval_id\":\"last\",\"command\":[\"x\"]}");
	assert_int_equal(ask_submit(&kit, "%s", json), 0);
	free(json);
	assert_int_equal(kit_health(&kit).queued, 10001);
	assert_int_equal(kit_health(&kit).live, 0);
	assert_non_null(book_find(&kit.book, "m9998"));
	kit_close(&kit);
}

static void
an_id_is_for_ever(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, 2);
	assert_int_equal(ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"after=1\"]}"), 0);
	assert_int_equal(
		ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"after=1\"]}"), QL_E_CONFLICT);
	kit_until_status(&kit, "a", QL_STATUS_SUCCEEDED);
	kit_until_quiet(&kit);
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_DELETE), 0);
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_DELETE), QL_E_NOT_FOUND);
	assert_int_equal(
		ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"after=1\"]}"), QL_E_CONFLICT);
	kit_close(&kit);
}

int
main(int argc, char **argv)
{
	store_kind = argc > 1 ? argv[1] : "memory";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_to_its_end),
		cmocka_unit_test(order_is_priority_then_age),
		cmocka_unit_test(never_more_than_the_slots),
		cmocka_unit_test(without_workers_nothing_runs),
		cmocka_unit_test(waits_for_a_runtime_that_is_away),
		cmocka_unit_test(without_a_runtime_runs_are_not_forgotten),
		cmocka_unit_test(waits_no_longer_than_its_ttl),
		cmocka_unit_test(many_that_waited_for_too_long),
		cmocka_unit_test(no_more_than_max_queued),
		cmocka_unit_test(ten_thousand_or_none),
		cmocka_unit_test(an_id_is_for_ever),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
