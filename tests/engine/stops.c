/* Stops of every strength, at every moment, and what each is answered. */
#include "engine/ask.h"

#include <stdlib.h>
#include <string.h>

static void
open_world(struct kit *kit)
{
	struct kit_options options = {.hasty = true, .log = getenv("KIT_LOG") != NULL};
	kit_open(kit, &options);
	kit_start(kit);
	ask_as("alice");
}

static void
start(struct kit *kit, const char *eval_id, const char *program)
{
	kit_check(kit, !ask_submit(kit, "{\"eval_id\":\"%s\",\"grace_s\":1,\"command\":[%s]}",
			       eval_id, program));
}

/* Both slots are taken by programs that end by nothing but a stop. */
static void
fill_slots(struct kit *kit)
{
	ask_run(kit, "hog1", "\"after=never\"");
	ask_run(kit, "hog2", "\"after=never\"");
}

static void
ends(struct kit *kit, const char *eval_id, enum ql_status status, enum ql_outcome outcome)
{
	kit_until_status(kit, eval_id, status);
	assert_int_equal(kit_state(kit, eval_id)->cancel.outcome, outcome);
}

static void
queued_is_removed(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_state shown;
	enum ql_verdict verdict;
	struct ql_record record;
	open_world(&kit);
	fill_slots(&kit);
	start(&kit, "a", "\"after=1\"");
	struct ask_stop how = {.reason = "no longer wanted"};
	assert_int_equal(ask_stop(&kit, "a", &how, &shown, &verdict), 0);
	assert_int_equal(verdict, QL_VERDICT_DONE);
	assert_int_equal(shown.status, QL_STATUS_CANCELLED);
	assert_int_equal(shown.cancel.outcome, QL_OUTCOME_REMOVED);
	assert_int_equal(shown.cancel.evidence, QL_EVIDENCE_VERIFIED);
	assert_int_equal(ask_stop(&kit, "a", &how, &shown, &verdict), 0);
	assert_int_equal(verdict, QL_VERDICT_ALREADY);
	assert_true(ask_read(&kit, "a", &record));
	assert_string_equal(record.actor, "user:someone");
	assert_string_equal(record.reason, "no longer wanted");
	assert_string_equal(record.error, "Task cancelled by user");
	ql_record_done(&record);
	assert_null(kit_run(&kit, "a"));
	kit_close(&kit);
	assert_int_equal(kit.book.open, 0);
}

static void
held_is_discarded(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit);
	start(&kit, "a", "\"start_after=150\"");
	while (!ql_state_slots(kit_state(&kit, "a")))
		kit_turn(&kit);
	assert_int_equal(ask_stop(&kit, "a", &(struct ask_stop){.wait_ms = 5000}, NULL, NULL), 0);
	ends(&kit, "a", QL_STATUS_CANCELLED, QL_OUTCOME_DISCARDED);
	assert_false(kit_run(&kit, "a")->ran);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

#define POOL 4 /* threads of libuv's own pool */

static uv_sem_t may_go;

static void
hold_thread(uv_work_t *work)
{
	(void)work;
	uv_sem_wait(&may_go);
}

static void
let_go(uv_work_t *work, int status)
{
	bool *gone = work->data;
	*gone = !status;
}

/* Its folder is still being made when it is killed: the kill waits behind the start. */
static void
no_act_overtakes_a_start(void **state)
{
	(void)state;
	struct kit kit = {0};
	uv_work_t work[POOL];
	bool gone[POOL] = {false};
	open_world(&kit);
	uv_sem_init(&may_go, 0);
	for (int i = 0; i < POOL; i++) {
		work[i].data = &gone[i];
		uv_queue_work(&kit.loop, &work[i], hold_thread, let_go);
	}
	start(&kit, "a", "\"after=never\"");
	while (!ql_state_slots(kit_state(&kit, "a")))
		kit_turn(&kit);
	assert_int_equal(
		ask_stop(&kit, "a", &(struct ask_stop){.mode = QL_MODE_KILL}, NULL, NULL), 0);
	for (int i = 0; i < 10; i++)
		kit_turn(&kit);
	assert_null(kit_run(&kit, "a"));
	for (int i = 0; i < POOL; i++)
		uv_sem_post(&may_go);
	ends(&kit, "a", QL_STATUS_CANCELLED, QL_OUTCOME_DISCARDED);
	assert_false(kit_run(&kit, "a")->ran);
	for (int i = 0; i < POOL; i++)
		kit_until_set(&kit, &gone[i], "the thread is free");
	uv_sem_destroy(&may_go);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

static void
each_mode_stops_what_runs(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit);
	ask_run(&kit, "polite", "\"after=never\",\"notice=stop\"");
	ask_stop(&kit, "polite", &(struct ask_stop){0}, NULL, NULL);
	ends(&kit, "polite", QL_STATUS_CANCELLED, QL_OUTCOME_STOPPED);
	ask_run(&kit, "plain", "\"after=never\"");
	ask_stop(&kit, "plain", &(struct ask_stop){.mode = QL_MODE_TERMINATE}, NULL, NULL);
	ends(&kit, "plain", QL_STATUS_CANCELLED, QL_OUTCOME_TERMINATED);
	assert_int_equal(kit_state(&kit, "plain")->exit_signal, 15);
	ask_run(&kit, "deaf", "\"after=never\",\"term=ignore\"");
	ask_stop(&kit, "deaf", &(struct ask_stop){.mode = QL_MODE_TERMINATE, .grace_ms = 60}, NULL,
		NULL);
	ends(&kit, "deaf", QL_STATUS_CANCELLED, QL_OUTCOME_KILLED);
	ask_run(&kit, "any", "\"after=never\",\"term=ignore\"");
	ask_stop(&kit, "any", &(struct ask_stop){.mode = QL_MODE_KILL}, NULL, NULL);
	ends(&kit, "any", QL_STATUS_CANCELLED, QL_OUTCOME_KILLED);
	assert_int_equal(kit_run(&kit, "any")->acts[QL_ACT_TERMINATE], 0);
	ask_run(&kit, "slow", "\"after=never\",\"term=ignore\"");
	ask_stop(&kit, "slow", &(struct ask_stop){.top = QL_RUNG_KILL, .grace_ms = 60}, NULL, NULL);
	ends(&kit, "slow", QL_STATUS_CANCELLED, QL_OUTCOME_KILLED);
	assert_true(kit_run(&kit, "slow")->acts[QL_ACT_TERMINATE]);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

static void
joined_then_raised(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_state shown;
	enum ql_verdict verdict;
	open_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	assert_int_equal(ask_stop(&kit, "a", &(struct ask_stop){0}, &shown, &verdict), 0);
	assert_int_equal(verdict, QL_VERDICT_DONE);
	assert_int_equal(shown.status, QL_STATUS_CANCELLING);
	assert_true(ask_had_one_step());
	assert_int_equal(ask_stop(&kit, "a", &(struct ask_stop){0}, &shown, &verdict), 0);
	assert_int_equal(verdict, QL_VERDICT_JOINED);
	assert_false(ask_had_one_step());
	struct ask_stop harder = {.mode = QL_MODE_TERMINATE, .wait_ms = 10000};
	assert_int_equal(ask_stop(&kit, "a", &harder, &shown, &verdict), 0);
	assert_int_equal(verdict, QL_VERDICT_DONE);
	assert_int_equal(shown.status, QL_STATUS_CANCELLED);
	assert_int_equal(shown.cancel.mode, QL_MODE_TERMINATE);
	assert_false(ask_had_one_step());
	kit_close(&kit);
}

static void
who_raises_it_is_named(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ask_stop kill = {.mode = QL_MODE_KILL, .wait_ms = 10000, .reason = "it hangs"};
	open_world(&kit);
	ask_run(&kit, "a", "\"after=never\",\"term=ignore\"");
	assert_int_equal(ask_stop(&kit, "a", &(struct ask_stop){0}, NULL, NULL), 0);
	struct ask_stop harder = {.mode = QL_MODE_TERMINATE, .grace_ms = 60000};
	assert_int_equal(ask_stop(&kit, "a", &harder, NULL, NULL), 0);
	assert_int_equal(ask_rows(&kit, "a", "user asks to terminate; it is cancelling"), 1);
	ask_as(NULL);
	assert_int_equal(ask_stop(&kit, "a", &kill, NULL, NULL), 0);
	assert_int_equal(
		ask_rows(&kit, "a", "user:root asks to kill: it hangs; it is cancelling"), 1);
	struct ql_record record;
	assert_true(ask_read(&kit, "a", &record));
	assert_string_equal(record.actor, "user:someone");
	assert_string_equal(record.reason, "it hangs");
	ql_record_done(&record);
	kit_close(&kit);
}

static void
finished_is_refused_with_a_row(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_state shown;
	open_world(&kit);
	start(&kit, "a", "\"after=1\"");
	kit_until_status(&kit, "a", QL_STATUS_SUCCEEDED);
	assert_int_equal(ask_stop(&kit, "a", &(struct ask_stop){0}, &shown, NULL), QL_E_FINISHED);
	assert_int_equal(shown.status, QL_STATUS_SUCCEEDED);
	assert_int_equal(ask_rows(&kit, "a", "nothing to stop"), 1);
	kit_close(&kit);
}

static void
finished_first_keeps_its_end(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit);
	ask_run(&kit, "a", "\"after=120\"");
	assert_int_equal(ask_stop(&kit, "a", &(struct ask_stop){0}, NULL, NULL), 0);
	ends(&kit, "a", QL_STATUS_SUCCEEDED, QL_OUTCOME_FINISHED_FIRST);
	kit_close(&kit);
}

static void
fenced_by_the_attempt(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit);
	fill_slots(&kit);
	start(&kit, "a", "\"after=1\"");
	assert_int_equal(
		ask_stop(&kit, "a", &(struct ask_stop){.attempt = 2}, NULL, NULL), QL_E_FENCED);
	assert_int_equal(kit_state(&kit, "a")->status, QL_STATUS_QUEUED);
	assert_int_equal(ask_rows(&kit, "a", "attempt 2 was named"), 1);
	assert_int_equal(ask_stop(&kit, "a", &(struct ask_stop){.attempt = 1}, NULL, NULL), 0);
	kit_close(&kit);
}

static void
unknown_to_others(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	ask_as("bob");
	struct ask_stop kill = {.mode = QL_MODE_KILL};
	struct ql_state shown;
	assert_int_equal(ask_stop(&kit, "a", &kill, &shown, NULL), QL_E_NOT_FOUND);
	assert_int_equal(shown.attempt, 0);
	assert_int_equal(ask_stop(&kit, "nobody", &kill, NULL, NULL), QL_E_NOT_FOUND);
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_DELETE), QL_E_NOT_FOUND);
	assert_int_equal(ask_report(&kit, "a", "{}"), QL_E_NOT_FOUND);
	assert_int_equal(ask_rows(&kit, "a", "there is no evaluation a"), 1);
	assert_int_equal(kit_state(&kit, "a")->status, QL_STATUS_RUNNING);
	ask_as(NULL);
	assert_int_equal(ask_stop(&kit, "a", &kill, NULL, NULL), 0);
	ends(&kit, "a", QL_STATUS_CANCELLED, QL_OUTCOME_KILLED);
	kit_close(&kit);
}

static void
wait_ends_by_itself(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_state shown;
	open_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	struct ask_stop how = {.wait_ms = 100};
	int64_t before = ql_engine_now(kit.engine);
	assert_int_equal(ask_stop(&kit, "a", &how, &shown, NULL), 0);
	assert_true(ql_engine_now(kit.engine) - before >= 100);
	assert_int_equal(shown.status, QL_STATUS_CANCELLING);
	how.mode = QL_MODE_KILL;
	how.wait_ms = 20000;
	assert_int_equal(ask_stop(&kit, "a", &how, &shown, NULL), 0);
	assert_int_equal(shown.status, QL_STATUS_CANCELLED);
	kit_close(&kit);
}

static void
stuck_keeps_its_slot(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_state shown;
	struct ql_record record;
	open_world(&kit);
	ask_run(&kit, "a", "\"after=never\",\"stuck=never\"");
	struct ask_stop kill = {.mode = QL_MODE_KILL, .wait_ms = 20000};
	assert_int_equal(ask_stop(&kit, "a", &kill, &shown, NULL), 0);
	assert_int_equal(shown.status, QL_STATUS_UNCONFIRMED);
	assert_int_equal(shown.cancel.outcome, QL_OUTCOME_UNCONFIRMED);
	assert_int_equal(kit_health(&kit).slots_used, 1);
	kit_restart(&kit);
	assert_int_equal(kit_health(&kit).slots_used, 1);
	ql_fake_world_let_go(kit.world, kit_run(&kit, "a")->incarnation);
	ends(&kit, "a", QL_STATUS_CANCELLED, QL_OUTCOME_KILLED);
	kit_until_quiet(&kit);
	assert_true(ask_read(&kit, "a", &record));
	assert_string_equal(record.error, "Task cancelled by user");
	ql_record_done(&record);
	kit_close(&kit);
}

#define AT_ONCE 10

static void
many_at_once_are_one(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct asking_stop *asking[AT_ONCE];
	open_world(&kit);
	fill_slots(&kit);
	start(&kit, "a", "\"after=1\"");
	for (int i = 0; i < AT_ONCE; i++)
		asking[i] = ask_stop_soon(&kit, "a", &(struct ask_stop){.wait_ms = i * 10});
	int done = 0;
	for (int i = 0; i < AT_ONCE; i++) {
		kit_until_set(&kit, &asking[i]->answered, "each is answered");
		assert_int_equal(asking[i]->status, 0);
		assert_int_equal(asking[i]->op.record.state.status, QL_STATUS_CANCELLED);
		done += asking[i]->op.verdict == QL_VERDICT_DONE;
		asking_free(asking[i]);
	}
	assert_int_equal(done, 1);
	kit_close(&kit);
}

static void
deadline_terminates(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_record record;
	open_world(&kit);
	assert_int_equal(ask_submit(&kit, "{\"eval_id\":\"a\",\"timeout_s\":1,"
					  "\"command\":[\"after=never\"]}"),
		0);
	ends(&kit, "a", QL_STATUS_CANCELLED, QL_OUTCOME_TERMINATED);
	assert_int_equal(kit_state(&kit, "a")->cause, QL_CAUSE_TIMEOUT);
	assert_true(ask_read(&kit, "a", &record));
	assert_string_equal(record.actor, "quell:timeout");
	assert_string_equal(record.error, "Task cancelled: its run deadline passed");
	ql_record_done(&record);
	kit_close(&kit);
}

static void
lost_is_failed(void **state)
{
	(void)state;
	struct kit kit = {0};
	open_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	ql_fake_world_lose(kit.world, kit_run(&kit, "a")->incarnation);
	kit_until_status(&kit, "a", QL_STATUS_FAILED);
	assert_int_equal(kit_state(&kit, "a")->cause, QL_CAUSE_LOST);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queued_is_removed),
		cmocka_unit_test(held_is_discarded),
		cmocka_unit_test(no_act_overtakes_a_start),
		cmocka_unit_test(each_mode_stops_what_runs),
		cmocka_unit_test(joined_then_raised),
		cmocka_unit_test(who_raises_it_is_named),
		cmocka_unit_test(finished_is_refused_with_a_row),
		cmocka_unit_test(finished_first_keeps_its_end),
		cmocka_unit_test(fenced_by_the_attempt),
		cmocka_unit_test(unknown_to_others),
		cmocka_unit_test(wait_ends_by_itself),
		cmocka_unit_test(stuck_keeps_its_slot),
		cmocka_unit_test(many_at_once_are_one),
		cmocka_unit_test(deadline_terminates),
		cmocka_unit_test(lost_is_failed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
