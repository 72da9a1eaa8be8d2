/* How an engine starts, waits and ends, with things open. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/ask.h"
#include "runtime/alarm.h"

static const struct ask_stop by_kill = {.mode = QL_MODE_KILL, .wait_ms = 20000};

/* ---- waits ---- */

struct waiting {
	struct ql_wait op;
	int done;
	bool over;
};

static void
on_waited(struct ql_wait *op)
{
	struct waiting *waiting = (struct waiting *)op;
	waiting->done++;
	waiting->over = true;
}

static void
wait_soon(struct kit *kit, struct waiting *waiting, const char *eval_id, int64_t ms)
{
	*waiting = (struct waiting){.op = {.eval_id = eval_id, .wait_ms = ms, .done = on_waited}};
	ql_engine_wait(kit->engine, &waiting->op);
	kit_check(kit, !waiting->done);
}

static void
waits_end_with_what_they_wait_for(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct waiting first, second, late, unknown, brief;
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	wait_soon(&kit, &first, "a", 60000);
	wait_soon(&kit, &second, "a", 60000);
	wait_soon(&kit, &brief, "a", 30);
	wait_soon(&kit, &unknown, "nobody", 60000);
	kit_until_set(&kit, &unknown.over, "there is no such evaluation");
	kit_until_set(&kit, &brief.over, "its time is over");
	assert_false(first.over || second.over);
	ql_fake_world_end(kit.world, kit_run(&kit, "a")->incarnation, 0, 0);
	kit_until_set(&kit, &first.over, "settled");
	kit_until_set(&kit, &second.over, "settled");
	wait_soon(&kit, &late, "a", 60000);
	kit_until_set(&kit, &late.over, "it had settled");
	kit_until_quiet(&kit);
	assert_int_equal(first.done + second.done + late.done + unknown.done + brief.done, 5);
	kit_close(&kit);
}

static void
a_wait_taken_back_is_not_answered(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct waiting at_once, later, other;
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	wait_soon(&kit, &at_once, "a", 60000);
	ql_engine_wait_stop(kit.engine, &at_once.op); /* its read is still open */
	wait_soon(&kit, &later, "a", 60000);
	wait_soon(&kit, &other, "a", 50);
	kit_until_set(&kit, &other.over, "its time is over");
	ql_engine_wait_stop(kit.engine, &later.op);
	ask_stop(&kit, "a", &by_kill, NULL, NULL);
	kit_until_quiet(&kit);
	assert_int_equal(at_once.done + later.done, 0);
	kit_close(&kit);
}

/* ---- ends ---- */

static void
closes_with_waits_open(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct waiting waiting;
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	wait_soon(&kit, &waiting, "a", 60000);
	struct asking_stop *asking = ask_stop_soon(&kit, "a", &(struct ask_stop){.wait_ms = 60000});
	for (int i = 0; i < 20; i++)
		kit_turn(&kit);
	int64_t before = ql_alarm_ms();
	kit_stop(&kit, false);
	assert_true(ql_alarm_ms() - before < 3000);
	assert_int_equal(waiting.done, 1);
	assert_true(asking->answered);
	assert_int_equal(asking->status, 0);
	assert_int_equal(asking->op.record.state.status, QL_STATUS_CANCELLING);
	asking_free(asking);
	assert_int_equal(ql_fake_world_alive(kit.world), 1);
	kit_start(&kit);
	kit_close(&kit);
	assert_int_equal(kit.book.complaint[0], 0);
}

static void
closes_at_once_after_a_request(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	struct asking_stop *asking = ask_stop_soon(&kit, "a", &(struct ask_stop){0});
	kit_stop(&kit, false);
	assert_true(asking->answered);
	assert_int_equal(!asking->status, kit_state(&kit, "a")->cancel.requested_at != 0);
	asking_free(asking);
	kit_start(&kit);
	kit_close(&kit);
}

static void
nothing_is_accepted_any_more(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ql_engine_stop_accepting(kit.engine);
	assert_int_equal(
		ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"x\"]}"), QL_E_UNAVAILABLE);
	assert_int_equal(ask_stop(&kit, "a", &by_kill, NULL, NULL), QL_E_UNAVAILABLE);
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_DELETE), QL_E_UNAVAILABLE);
	assert_int_equal(ask_report(&kit, "a", "{}"), QL_E_UNAVAILABLE);
	assert_false(kit_health(&kit).ready);
	kit_close(&kit);
}

static void
closes_before_it_is_ready(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	kit_stop(&kit, false);
	kit_start_engine(&kit);
	kit_stop(&kit, false);
	assert_false(kit.ready);
	kit.faults.fail_reads = true;
	kit_start_engine(&kit);
	kit_stop(&kit, true); /* it never knew of any run */
	assert_false(kit.ready);
	assert_int_equal(ql_fake_world_alive(kit.world), 1);
	kit.faults.fail_reads = false;
	kit_start(&kit);
	kit_close(&kit);
}

static void
stops_runs_when_told_to(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ask_run(&kit, "plain", "\"after=never\"");
	ask_run(&kit, "deaf", "\"after=never\",\"term=ignore\"");
	ask_stop(&kit, "deaf", &(struct ask_stop){0}, NULL, NULL);
	ask_submit(&kit, "{\"eval_id\":\"queued\",\"command\":[\"after=1\"]}");
	kit_stop(&kit, true);
	assert_int_equal(ql_fake_world_alive(kit.world), 0);
	assert_int_equal(kit_state(&kit, "plain")->status, QL_STATUS_CANCELLED);
	assert_int_equal(kit_state(&kit, "plain")->cause, QL_CAUSE_POLICY);
	assert_int_equal(kit_state(&kit, "deaf")->cancel.outcome, QL_OUTCOME_KILLED);
	assert_int_equal(kit_state(&kit, "queued")->status, QL_STATUS_QUEUED);
	assert_null(kit_run(&kit, "queued"));
	kit_start(&kit);
	kit_until_status(&kit, "queued", QL_STATUS_SUCCEEDED);
	kit_close(&kit);
}

static void
stops_what_is_just_being_started(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"after=never\",\"start_after=50\"]}");
	while (!ql_state_slots(kit_state(&kit, "a")))
		kit_turn(&kit);
	kit_stop(&kit, true);
	assert_int_equal(ql_fake_world_alive(kit.world), 0);
	assert_int_equal(kit_state(&kit, "a")->status, QL_STATUS_CANCELLED);
	kit_start(&kit);
	kit_close(&kit);
}

static void
stops_runs_though_commits_fail_meanwhile(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	ask_run(&kit, "b", "\"after=never\"");
	kit.faults.fail_before = kit.book.asked + 1;
	kit.faults.fail_count = 1;
	kit_stop(&kit, true);
	assert_int_equal(ql_fake_world_alive(kit.world), 0);
	assert_int_equal(kit_state(&kit, "a")->status, QL_STATUS_CANCELLED);
	kit_start(&kit);
	kit_close(&kit);
}

static void
gives_up_when_the_store_is_dead(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	kit.faults.fail_before = kit.book.asked + 1;
	kit.faults.fail_count = 1000000;
	kit_stop(&kit, true);
	assert_int_equal(ql_fake_world_alive(kit.world), 1); /* nothing was done in secret */
	assert_int_equal(kit_state(&kit, "a")->status, QL_STATUS_RUNNING);
	kit.faults.fail_before = 0;
	kit_start(&kit);
	kit_close(&kit);
}

/* ---- a store or a disk that is away for a while ---- */

static bool
is_ready(struct kit *kit, void *arg)
{
	return kit_health(kit).ready == *(bool *)arg;
}

static void
ready_again_without_being_asked(void **state)
{
	(void)state;
	struct kit kit = {0};
	bool yes = true;
	ask_world(&kit);
	kit.faults.fail_before = kit.book.asked + 1;
	kit.faults.fail_count = 2;
	assert_int_equal(
		ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"x\"]}"), QL_E_DISK_FULL);
	assert_false(kit_health(&kit).ready);
	assert_non_null(strstr(kit_health(&kit).store_error, "commit"));
	kit_until(&kit, is_ready, &yes, "the store works again");
	assert_null(kit_health(&kit).store_error);
	kit_close(&kit);
}

static void
reads_that_fail(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	ask_submit(&kit, "{\"eval_id\":\"b\",\"command\":[\"after=1\"]}");
	kit_until_status(&kit, "b", QL_STATUS_SUCCEEDED);
	kit_until(&kit, is_ready, &(bool){true}, "ready");
	kit.faults.fail_reads = true;
	assert_int_equal(ask_submit(&kit, "{\"eval_id\":\"c\",\"command\":[\"after=1\"]}"),
		QL_E_UNAVAILABLE);
	assert_int_equal(ask_stop(&kit, "c", &by_kill, NULL, NULL), QL_E_UNAVAILABLE);
	/* what is in memory can be stopped all the same */
	assert_int_equal(ask_stop(&kit, "a", &by_kill, NULL, NULL), 0);
	kit.faults.fail_reads = false;
	kit_until_status(&kit, "a", QL_STATUS_CANCELLED);
	assert_int_equal(ask_submit(&kit, "{\"eval_id\":\"c\",\"command\":[\"after=1\"]}"), 0);
	kit_until_status(&kit, "c", QL_STATUS_SUCCEEDED);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

/* Both slots come free while the queue can't be read: who waits there is not forgotten. */
static void
reads_that_fail_when_slots_come_free(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	ask_run(&kit, "b", "\"after=never\"");
	ask_submit(&kit, "{\"eval_id\":\"c\",\"command\":[\"after=1\"]}");
	kit.faults.fail_reads = true;
	ql_fake_world_end(kit.world, kit_run(&kit, "a")->incarnation, 0, 0);
	ql_fake_world_end(kit.world, kit_run(&kit, "b")->incarnation, 0, 0);
	while (kit_health(&kit).live)
		kit_turn(&kit);
	assert_int_equal(kit_state(&kit, "c")->status, QL_STATUS_QUEUED);
	for (int i = 0; i < 10; i++)
		kit_turn(&kit);
	kit.faults.fail_reads = false;
	kit_until_status(&kit, "c", QL_STATUS_SUCCEEDED);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

static void
reads_that_fail_at_the_start(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	kit_stop(&kit, false);
	kit.faults.fail_reads = true;
	kit_start_engine(&kit);
	assert_int_equal(ask_stop(&kit, "a", &by_kill, NULL, NULL), QL_E_UNAVAILABLE);
	ql_fake_world_end(kit.world, kit_run(&kit, "a")->incarnation, 7, 0);
	assert_false(kit.ready);
	kit.faults.fail_reads = false;
	kit_until_set(&kit, &kit.ready, "the store can be read");
	kit_until_status(&kit, "a", QL_STATUS_FAILED);
	assert_int_equal(kit_state(&kit, "a")->exit_code, 7); /* seen before it was known */
	kit_until_quiet(&kit);
	kit_close(&kit);
}

static void
no_folder_for_its_output(void **state)
{
	(void)state;
	struct kit kit = {0};
	char path[128];
	ask_world(&kit);
	snprintf(path, sizeof(path), "%s/kept", kit.dir);
	FILE *in_the_way = fopen(path, "w");
	assert_non_null(in_the_way);
	fclose(in_the_way);
	ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"after=1\"]}");
	while (!ask_rows(&kit, "a", "its claim is void"))
		kit_turn(&kit);
	assert_int_equal(kit_state(&kit, "a")->status, QL_STATUS_QUEUED);
	assert_null(kit_run(&kit, "a"));
	assert_int_equal(unlink(path), 0);
	kit_until_status(&kit, "a", QL_STATUS_SUCCEEDED);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

/* ---- retention, and who follows ---- */

static void
what_is_old_is_forgotten(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct stat st;
	char path[128];
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=10\",\"output=x\"");
	ask_run(&kit, "stays", "\"after=never\"");
	ask_submit(&kit, "{\"eval_id\":\"q1\",\"command\":[\"after=never\"]}");
	kit_until_status(&kit, "a", QL_STATUS_SUCCEEDED);
	while (kit_health(&kit).live > 2)
		kit_turn(&kit);
	kit.options.keep_ms = -1;
	kit_restart(&kit);
	while (!book_find(&kit.book, "a")->forgotten)
		kit_turn(&kit);
	assert_false(book_find(&kit.book, "stays")->forgotten);
	assert_false(book_find(&kit.book, "q1")->forgotten);
	snprintf(path, sizeof(path), "%s/kept", kit.dir);
	assert_int_equal(stat(path, &st), 0);
	kit_close(&kit);
}

struct follower {
	struct ql_subscriber sub;
	char seen[256];
};

static void
on_changed(struct ql_subscriber *sub, const struct ql_record *record, bool stopping)
{
	struct follower *follower = (struct follower *)sub;
	size_t len = strlen(follower->seen);
	const char *word = ql_status_word((enum ql_status)record->state.status);
	char *last = strrchr(follower->seen, ' ');
	if (last && !strcmp(last + 1, word))
		return;
	snprintf(follower->seen + len, sizeof(follower->seen) - len, "%s %s", stopping ? "," : "",
		word);
}

static void
changes_are_told_in_order(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct follower follower = {.sub = {.changed = on_changed}};
	ask_world(&kit);
	ql_engine_subscribe(kit.engine, &follower.sub);
	ask_run(&kit, "a", "\"after=never\"");
	ask_stop(&kit, "a", &(struct ask_stop){0}, NULL, NULL);
	ask_stop(&kit, "a", &by_kill, NULL, NULL);
	kit_until_quiet(&kit);
	ql_engine_unsubscribe(kit.engine, &follower.sub);
	assert_string_equal(follower.seen, " queued running, cancelling, cancelled");
	kit_close(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_end_with_what_they_wait_for),
		cmocka_unit_test(a_wait_taken_back_is_not_answered),
		cmocka_unit_test(closes_with_waits_open),
		cmocka_unit_test(closes_at_once_after_a_request),
		cmocka_unit_test(nothing_is_accepted_any_more),
		cmocka_unit_test(closes_before_it_is_ready),
		cmocka_unit_test(stops_runs_when_told_to),
		cmocka_unit_test(stops_what_is_just_being_started),
		cmocka_unit_test(stops_runs_though_commits_fail_meanwhile),
		cmocka_unit_test(gives_up_when_the_store_is_dead),
		cmocka_unit_test(ready_again_without_being_asked),
		cmocka_unit_test(reads_that_fail),
		cmocka_unit_test(reads_that_fail_when_slots_come_free),
		cmocka_unit_test(reads_that_fail_at_the_start),
		cmocka_unit_test(no_folder_for_its_output),
		cmocka_unit_test(what_is_old_is_forgotten),
		cmocka_unit_test(changes_are_told_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
