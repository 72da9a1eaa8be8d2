/* What the outlets are told: truly, in order, and whatever becomes of them or of the server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/private.h"
#include "engine/story.h"
#include "runtime/alarm.h"

static void
open_world(struct kit *kit, int32_t workers)
{
	struct kit_options options = {.workers = workers, .log = getenv("KIT_LOG") != NULL};
	kit_open(kit, &options);
	kit_start(kit);
	ask_as("alice");
}

static void
submit(struct kit *kit, const char *eval_id, const char *program)
{
	kit_check(kit, !ask_submit(kit, "{\"eval_id\":\"%s\",\"command\":[%s]}", eval_id, program));
}

static const struct ask_stop gently;

/* So many that were cancelled before they began. */
static void
cancel_many(struct kit *kit, int count)
{
	char eval_id[32];
	for (int i = 0; i < count; i++) {
		snprintf(eval_id, sizeof(eval_id), "many-%d", i);
		submit(kit, eval_id, "\"exit=0\"");
		kit_check(kit, !ask_stop(kit, eval_id, &gently, NULL, NULL));
	}
}

static struct ql_dependency
outlet_of(struct kit *kit)
{
	struct ql_health health = kit_health(kit);
	kit_check(kit, health.dependency_count == 1);
	return health.dependencies[0];
}

static bool
has_backlog(struct kit *kit, void *arg)
{
	return outlet_of(kit).backlog == *(const int64_t *)arg;
}

static void
until_backlog(struct kit *kit, int64_t backlog)
{
	char what[64];
	snprintf(what, sizeof(what), "%lld letters wait", (long long)backlog);
	kit_until(kit, has_backlog, &backlog, what);
}

static bool
is_open(struct kit *kit, void *arg)
{
	(void)arg;
	return outlet_of(kit).state == QL_BREAKER_OPEN;
}

static const struct ql_fake_told *
told_of(struct kit *kit, const char *eval_id, enum ql_status status)
{
	const struct ql_fake_told *told = ql_fake_place_last(&kit->place, eval_id);
	kit_check(kit, told && told->status == status);
	return told;
}

static void
tells_each_end_in_its_own_words(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, 2);
	submit(&kit, "good", "\"exit=0\"");
	submit(&kit, "bad", "\"exit=3\"");
	submit(&kit, "stopped", "\"after=never\"");
	kit_check(&kit,
		!ask_stop(&kit, "stopped", &(struct ask_stop){.mode = QL_MODE_KILL}, NULL, NULL));
	kit_until_status(&kit, "stopped", QL_STATUS_CANCELLED);
	kit_until_status(&kit, "good", QL_STATUS_SUCCEEDED);
	kit_until_status(&kit, "bad", QL_STATUS_FAILED);
	until_backlog(&kit, 0);
	assert_null(told_of(&kit, "good", QL_STATUS_SUCCEEDED)->error);
	assert_string_equal(told_of(&kit, "bad", QL_STATUS_FAILED)->error, "exited with status 3");
	const struct ql_fake_told *told = told_of(&kit, "stopped", QL_STATUS_CANCELLED);
	assert_string_equal(told->error, "Task cancelled by user");
	assert_string_equal(told->task_id, "celery-stopped");
	assert_int_equal(told->attempt, 1);
	assert_int_equal(kit.place.told_count, 3);
	kit_close(&kit);
}

static void
tells_once_of_a_cancel_asked_for_often(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct asking_stop *asking[32];
	open_world(&kit, -1);
	submit(&kit, "a", "\"exit=0\"");
	for (int i = 0; i < 32; i++)
		asking[i] = ask_stop_soon(&kit, "a", &gently);
	for (int i = 0; i < 32; i++) {
		kit_until_set(&kit, &asking[i]->answered, "each is answered");
		asking_free(asking[i]);
	}
	until_backlog(&kit, 0);
	assert_int_equal(kit.place.told_count, 1);
	assert_int_equal(kit.place.asked, 1);
	kit_close(&kit);
}

static void
keeps_the_order_of_attempts(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, -1);
	kit.place.answer_ms = 30;
	submit(&kit, "a", "\"exit=0\"");
	for (int attempt = 1; attempt <= 4; attempt++) {
		kit_check(&kit, !ask_stop(&kit, "a", &gently, NULL, NULL));
		if (attempt < 4)
			kit_check(&kit, !ask_revise(&kit, "a", QL_REVISE_RESTORE));
	}
	until_backlog(&kit, 0);
	int attempt = 1;
	const struct ql_fake_told *told;
	DL_FOREACH (kit.place.told, told)
		assert_int_equal(told->attempt, attempt++);
	assert_int_equal(attempt, 5);
	assert_int_equal(kit.place.most_under_way, 1);
	assert_string_equal(ql_fake_place_last(&kit.place, "a")->task_id, "celery-a~4");
	kit_close(&kit);
}

/* While it is away it is hardly asked; what waits is counted; nothing is lost over restarts. */
static void
keeps_what_an_outlet_that_is_away_must_know(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, -1);
	kit.place.mood = QL_FAKE_AWAY;
	cancel_many(&kit, 700);
	kit_until(&kit, is_open, NULL, "it counts as away");
	assert_int_equal(outlet_of(&kit).backlog, 700);
	assert_string_equal(outlet_of(&kit).name, "storage");
	assert_non_null(strstr(outlet_of(&kit).detail, "the place is away"));
	assert_true(outlet_of(&kit).since > 0);
	kit_restart(&kit);
	assert_int_equal(outlet_of(&kit).backlog, 700);
	kit_until(&kit, is_open, NULL, "it counts as away again");
	assert_true(kit.place.asked < 200);
	assert_int_equal(kit.place.told_count, 0);
	kit_check(&kit, kit_health(&kit).ready);
	kit.place.mood = QL_FAKE_TAKES;
	until_backlog(&kit, 0);
	assert_int_equal(outlet_of(&kit).state, QL_BREAKER_CLOSED);
	assert_string_equal(outlet_of(&kit).detail, "");
	assert_int_equal(kit.place.told_count, 700);
	assert_true(kit.place.most_under_way <= QL_ENGINE_DELIVERIES_MAX);
	kit_close(&kit);
}

static void
a_silent_outlet_never_slows_a_stop(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, -1);
	kit.place.mood = QL_FAKE_SILENT;
	cancel_many(&kit, 100);
	assert_int_equal(kit.place.under_way, QL_ENGINE_DELIVERIES_MAX);
	int64_t before = ql_alarm_ms();
	kit_stop(&kit, true);
	assert_true(ql_alarm_ms() - before < QL_OUTLET_TIMEOUT_MS / 4);
	kit.place.mood = QL_FAKE_TAKES;
	kit_start(&kit);
	assert_int_equal(outlet_of(&kit).backlog, 100);
	kit_close(&kit);
}

static void
a_refusal_is_not_repeated(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, -1);
	kit.place.mood = QL_FAKE_REFUSES;
	cancel_many(&kit, 20);
	until_backlog(&kit, 0);
	assert_int_equal(kit.place.asked, 20);
	assert_int_equal(outlet_of(&kit).state, QL_BREAKER_CLOSED);
	kit_stop(&kit, false);
	kit.place.mood = QL_FAKE_TAKES;
	kit_start(&kit);
	submit(&kit, "next", "\"exit=0\"");
	kit_check(&kit, !ask_stop(&kit, "next", &gently, NULL, NULL));
	until_backlog(&kit, 0);
	assert_int_equal(kit.place.told_count, 1);
	kit_stop(&kit, false);
	kit_close(&kit);
}

static void
one_that_is_never_taken_keeps_nobody_else(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit, -1);
	kit.place.poison = "many-0";
	cancel_many(&kit, 300);
	until_backlog(&kit, 1);
	assert_int_equal(kit.place.told_count, 299);
	kit.place.poison = NULL;
	until_backlog(&kit, 0);
	kit_close(&kit);
}

static void
nobody_is_told_where_there_is_nobody(void **state)
{
	(void)state;
	struct kit kit = {0};
	kit_open(&kit, &(struct kit_options){.workers = -1, .mute = true});
	kit_start(&kit);
	ask_as("alice");
	cancel_many(&kit, 3);
	assert_int_equal(kit_health(&kit).dependency_count, 0);
	kit_restart(&kit);
	assert_int_equal(kit.inner->facts.backlog[QL_OUTLET_STORAGE], 0);
	kit_close(&kit);
}

/* Refused, answered as if it were, answered late: in the end it knows all, in order. */
static void
hurts(int number, void *arg)
{
	(void)arg;
	struct kit kit = {.forked = true};
	struct ql_outlet_faults faults = {.seed = (uint64_t)number,
		.refuse = 150,
		.lose_answer = 150,
		.delay_answer = 300,
		.delay_ms = 40};
	kit_open(&kit,
		&(struct kit_options){.hurt_outlet = &faults, .log = getenv("KIT_LOG") != NULL});
	kit_start(&kit);
	story_tell(&kit);
	kit_check_told(&kit);
	kit_check(&kit, faults.hurt > 0);
	kit_close(&kit);
}

static void
a_hurt_outlet_is_told_all_the_same(void **state)
{
	(void)state;
	assert_int_equal(kit_cases(12, hurts, NULL), 0);
}

int
main(int argc, char **argv)
{
	if (argc > 1) { /* one case alone: outbox SEED */
		hurts(atoi(argv[1]), NULL);
		return 0;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_each_end_in_its_own_words),
		cmocka_unit_test(tells_once_of_a_cancel_asked_for_often),
		cmocka_unit_test(keeps_the_order_of_attempts),
		cmocka_unit_test(keeps_what_an_outlet_that_is_away_must_know),
		cmocka_unit_test(a_silent_outlet_never_slows_a_stop),
		cmocka_unit_test(a_refusal_is_not_repeated),
		cmocka_unit_test(one_that_is_never_taken_keeps_nobody_else),
		cmocka_unit_test(nobody_is_told_where_there_is_nobody),
		cmocka_unit_test(a_hurt_outlet_is_told_all_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
