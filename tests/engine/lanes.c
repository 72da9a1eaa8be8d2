/* The way to a worker: so many acts at once, kills in a room of their own; and stops in all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ask.h"

#define RUNS 80
#define AT_ONCE 64 /* QL_ENGINE_LANE_OPEN */

static void
run_all(struct kit *kit, int count)
{
	char name[QL_TASK_ID];
	ql_farm_hire(kit->farm, "w1@fake", RUNS, 0);
	kit_start(kit);
	ask_as(NULL);
	for (int i = 0; i < count; i++)
		kit_check(kit, !ask_submit(kit,
				       "{\"eval_id\":\"e%d\",\"grace_s\":1,\"language\":\"python\","
				       "\"code\":\"after=never notice=ignore\"}",
				       i));
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "e%d", i);
		kit_until_status(kit, name, QL_STATUS_RUNNING);
	}
}

static enum ql_code
stop(struct kit *kit, int number, enum ql_mode mode)
{
	char name[32];
	snprintf(name, sizeof(name), "e%d", number);
	return ask_stop(kit, name, &(struct ask_stop){.mode = mode, .grace_ms = 30}, NULL, NULL);
}

static int
noticed(const struct kit *kit)
{
	int count = 0;
	for (const struct ql_farm_run *run = ql_farm_runs(kit->farm); run; run = run->next)
		count += run->task->noticed;
	return count;
}

static bool
enough_are_asked(struct kit *kit, void *arg)
{
	(void)arg;
	return noticed(kit) >= AT_ONCE;
}

static void
kill_all(struct kit *kit, int count)
{
	char name[32];
	for (int i = 0; i < count; i++) {
		enum ql_code code = stop(kit, i, QL_MODE_KILL);
		kit_check(kit, !code || code == QL_E_FINISHED);
	}
	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "e%d", i);
		kit_until_status(kit, name, QL_STATUS_CANCELLED);
	}
}

/* No notice is answered: 64 stay open until their deadline, the others wait. */
static void
a_kill_overtakes_waiting_cancels(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_runtime_faults faults = {
		.seed = 1, .acts = 1u << QL_ACT_NOTICE, .lose_answer = 1000};
	kit_open(&kit,
		&(struct kit_options){
			.remote = true, .hurt_broker = &faults, .log = getenv("KIT_LOG") != NULL});
	run_all(&kit, RUNS);
	for (int i = 0; i < RUNS; i++)
		assert_int_equal(stop(&kit, i, QL_MODE_CANCEL), 0);
	kit_until(&kit, enough_are_asked, NULL, "as many are asked as may be at once");
	for (int i = 0; i < 10; i++)
		kit_turn(&kit);
	assert_int_equal(noticed(&kit), AT_ONCE);
	const struct ql_farm_run *last = ql_farm_last(kit.farm, "celery-e79");
	assert_false(last->task->noticed);
	assert_int_equal(stop(&kit, RUNS - 1, QL_MODE_KILL), 0);
	kit_until_status(&kit, "e79", QL_STATUS_CANCELLED);
	assert_true(last->acts[QL_ACT_KILL] > 0);
	/* of one run only the last act waits: the kill took the place of the notice */
	assert_false(last->task->noticed);
	faults.lose_answer = 0;
	kill_all(&kit, RUNS - 1);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

static void
what_waits_has_its_turn(void **state)
{
	(void)state;
	struct kit kit = {0};
	kit_open(&kit, &(struct kit_options){.remote = true});
	run_all(&kit, RUNS);
	for (int i = 0; i < RUNS; i++)
		assert_int_equal(stop(&kit, i, QL_MODE_TERMINATE), 0);
	for (int i = 0; i < RUNS; i++) {
		char name[32];
		snprintf(name, sizeof(name), "e%d", i);
		kit_until_status(&kit, name, QL_STATUS_CANCELLED);
	}
	for (const struct ql_farm_run *run = ql_farm_runs(kit.farm); run; run = run->next)
		assert_true(run->acts[QL_ACT_TERMINATE] > 0);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

static void
so_many_stops_are_under_way(void **state)
{
	(void)state;
	struct kit kit = {0};
	kit_open(&kit, &(struct kit_options){.remote = true, .max_stops = 2});
	run_all(&kit, 3);
	assert_int_equal(stop(&kit, 0, QL_MODE_CANCEL), 0);
	assert_int_equal(stop(&kit, 1, QL_MODE_CANCEL), 0);
	assert_int_equal(stop(&kit, 2, QL_MODE_CANCEL), QL_E_LIMIT);
	assert_non_null(strstr(ask_why(), "2 stops are under way, and the most is 2"));
	assert_int_equal(kit_state(&kit, "e2")->status, QL_STATUS_RUNNING);
	/* one that is under way may be asked for again, and raised */
	assert_int_equal(stop(&kit, 1, QL_MODE_CANCEL), 0);
	assert_int_equal(stop(&kit, 2, QL_MODE_KILL), 0);
	kit_until_status(&kit, "e2", QL_STATUS_CANCELLED);
	kill_all(&kit, 2);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kill_overtakes_waiting_cancels),
		cmocka_unit_test(what_waits_has_its_turn),
		cmocka_unit_test(so_many_stops_are_under_way),
	};
	return cmocka_run_group_tests_name("lanes", tests, NULL, NULL);
}
