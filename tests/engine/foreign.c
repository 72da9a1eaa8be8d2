/* An id that a user submits may be another producer's: nobody gets it for asking. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ask.h"

#define NAMED 1100 /* more than are looked for at once, twice over */

static struct ql_farm_worker *worker;

static void
open_world(struct kit *kit)
{
	kit_open(kit, &(struct kit_options){.remote = true, .log = getenv("KIT_LOG") != NULL});
	worker = ql_farm_hire(kit->farm, "w1@fake", 2, 4);
	kit_start(kit);
	ask_as("mallory");
}

static enum ql_code
submit(struct kit *kit, const char *eval_id)
{
	return ask_submit(kit,
		"{\"eval_id\":\"%s\",\"language\":\"python\",\"code\":\"wait=never\"}", eval_id);
}

static int
sent(struct kit *kit, const char *task_id)
{
	const struct ql_farm_task *task = ql_farm_task(kit->farm, task_id);
	return task ? task->sent : 0;
}

static bool
is_begun(struct kit *kit, void *arg)
{
	const struct ql_farm_run *run = ql_farm_last(kit->farm, arg);
	return run && run->phase != QL_FARM_HELD;
}

static bool
has_ended(struct kit *kit, void *arg)
{
	const struct ql_farm_run *run = ql_farm_last(kit->farm, arg);
	return run && run->phase == QL_FARM_GONE;
}

/* Refused, and nothing came of the asking: it is not there to be stopped either. */
static void
is_taken(struct kit *kit, const char *eval_id, const char *how)
{
	char task_id[64];
	struct ask_stop kill = {.mode = QL_MODE_KILL};
	snprintf(task_id, sizeof(task_id), "celery-%s", eval_id);
	assert_int_equal(submit(kit, eval_id), QL_E_CONFLICT);
	if (!strstr(ask_why(), how) || !strstr(ask_why(), task_id))
		kit_fail(kit, "'%s' does not say '%s'", ask_why(), how);
	assert_int_equal(ask_stop(kit, eval_id, &kill, NULL, NULL), QL_E_NOT_FOUND);
	assert_int_equal(sent(kit, task_id), 1);
}

static void
close_world(struct kit *kit)
{
	ask_as(NULL);
	kit_until_quiet(kit);
	kit_close(kit);
}

static void
stop(struct kit *kit, const char *eval_id)
{
	struct ask_stop kill = {.mode = QL_MODE_KILL, .wait_ms = 20000};
	ask_as(NULL);
	assert_int_equal(ask_stop(kit, eval_id, &kill, NULL, NULL), QL_E_OK);
	kit_until_status(kit, eval_id, QL_STATUS_CANCELLED);
}

static bool
is_told(struct kit *kit, void *arg)
{
	return ql_farm_task(kit->farm, arg)->told;
}

/* What a worker holds is dropped when it is due. */
static void
drop(struct kit *kit, const char *eval_id, const char *task_id)
{
	struct ask_stop kill = {.mode = QL_MODE_KILL};
	ask_as(NULL);
	assert_int_equal(ask_stop(kit, eval_id, &kill, NULL, NULL), QL_E_OK);
	kit_until(kit, is_told, (char *)task_id, "its worker was told");
	ql_farm_hurry(kit->farm, task_id);
	kit_until_status(kit, eval_id, QL_STATUS_CANCELLED);
}

static void
what_another_sent_is_not_theirs(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit);
	ql_farm_send(kit.farm, "celery-lies", "wait=never");
	ql_farm_send(kit.farm, "celery-over", "after=0");
	kit_until(&kit, has_ended, (char *)"celery-over", "it is over");
	ql_farm_send(kit.farm, "celery-runs", "after=never");
	kit_until(&kit, is_begun, (char *)"celery-runs", "it runs");
	ql_farm_send(kit.farm, "celery-held", "hold=never");
	is_taken(&kit, "lies", "is queued");
	is_taken(&kit, "runs", "runs");
	is_taken(&kit, "held", "is with a worker");
	is_taken(&kit, "over", "has finished");
	assert_int_equal(submit(&kit, "free"), QL_E_OK);
	stop(&kit, "free");
	stop(&kit, "lies");
	stop(&kit, "runs");
	drop(&kit, "held", "celery-held");
	close_world(&kit);
}

/* Of many, in waves, one is another's: none is submitted. */
static void
all_of_a_batch_or_none(void **state)
{
	(void)state;
	struct kit kit = {0};
	static char text[NAMED * 80];
	size_t len = 0;
	open_world(&kit);
	ql_farm_send(kit.farm, "celery-n1099", "wait=never");
	for (int i = 0; i < NAMED; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"%c{\"eval_id\":\"n%d\",\"language\":\"python\",\"code\":\"wait=never\"}",
			i ? ',' : '[', i);
	snprintf(text + len, sizeof(text) - len, "]");
	assert_int_equal(ask_submit(&kit, "%s", text), QL_E_CONFLICT);
	assert_int_equal(sent(&kit, "celery-n0"), 0);
	assert_int_equal(submit(&kit, "n0"), QL_E_OK);
	stop(&kit, "n0");
	stop(&kit, "n1099");
	close_world(&kit);
}

/* Nothing is concluded from silence; what needs no look waits for nobody. */
static void
silence_is_no_answer(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit);
	ql_farm_set_away(worker, true);
	assert_int_equal(submit(&kit, "unasked"), QL_E_UNAVAILABLE);
	assert_non_null(strstr(ask_why(), "a worker does not answer"));
	assert_int_equal(sent(&kit, "celery-unasked"), 0);
	assert_int_equal(ask_submit(&kit, "{\"language\":\"python\",\"code\":\"after=1\"}"), 0);
	ql_farm_set_away(worker, false);
	ql_farm_set_down(kit.farm, true);
	assert_int_equal(submit(&kit, "unasked"), QL_E_UNAVAILABLE);
	ql_farm_set_down(kit.farm, false);
	assert_int_equal(submit(&kit, "unasked"), QL_E_OK);
	stop(&kit, "unasked");
	close_world(&kit);
}

/* Who may stop everybody's may name it, too: it is taken up, and its own message sent beside it. */
static void
whoever_sees_all_takes_it_up(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit);
	ql_farm_send(kit.farm, "celery-lies", "wait=never");
	ask_as(NULL);
	assert_int_equal(submit(&kit, "lies"), QL_E_OK);
	stop(&kit, "lies");
	assert_int_equal(ql_farm_count(kit.farm, "celery-lies"), 0);
	close_world(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_another_sent_is_not_theirs),
		cmocka_unit_test(all_of_a_batch_or_none),
		cmocka_unit_test(silence_is_no_answer),
		cmocka_unit_test(whoever_sees_all_takes_it_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
