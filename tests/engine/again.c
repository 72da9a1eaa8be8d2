/* What comes after: restored, resumed, deleted, reported on; keys that repeat and that replace. */
#include "engine/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rules/keep.h"

static const struct ask_stop by_cancel = {0};
static const struct ask_stop by_kill = {.mode = QL_MODE_KILL, .wait_ms = 20000};
static const struct ask_stop by_terminate = {.mode = QL_MODE_TERMINATE, .wait_ms = 20000};

static void
restore_queues_again(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ask_run(&kit, "hog1", "\"after=never\"");
	ask_run(&kit, "hog2", "\"after=never\"");
	ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"after=1\"]}");
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_RESTORE), QL_E_CONFLICT);
	ask_stop(&kit, "a", &by_cancel, NULL, NULL);
	assert_int_equal(kit_health(&kit).queued, 0);
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_RESUME), QL_E_CONFLICT);
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_RESTORE), 0);
	assert_int_equal(kit_health(&kit).queued, 1);
	assert_int_equal(kit_state(&kit, "a")->attempt, 2);
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_RESTORE), QL_E_CONFLICT);
	assert_int_equal(ask_revise(&kit, "hog1", QL_REVISE_RESTORE), QL_E_CONFLICT);
	assert_int_equal(ask_revise(&kit, "nobody", QL_REVISE_RESTORE), QL_E_NOT_FOUND);
	ask_stop(&kit, "hog1", &by_kill, NULL, NULL);
	kit_until_status(&kit, "a", QL_STATUS_SUCCEEDED);
	struct ql_record record;
	assert_true(ask_read(&kit, "a", &record));
	assert_null(record.error); /* the texts of attempt 1 went with it */
	assert_null(record.actor);
	ql_record_done(&record);
	kit_close(&kit);
}

static void
resume_goes_on_from_the_checkpoint(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\",\"checkpoint=100\",\"output=part\"");
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_RESUME), QL_E_CONFLICT);
	ask_stop(&kit, "a", &by_terminate, NULL, NULL);
	assert_int_equal(kit_state(&kit, "a")->status, QL_STATUS_CANCELLED);
	assert_int_equal(kit_state(&kit, "a")->checkpoint_bytes, 100);
	assert_false(kit_run(&kit, "a")->resumed);
	kit_until_quiet(&kit);
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_RESUME), 0);
	kit_until_status(&kit, "a", QL_STATUS_RUNNING);
	assert_int_equal(kit_state(&kit, "a")->attempt, 2);
	assert_true(kit_run(&kit, "a")->resumed);
	assert_int_equal(kit_run(&kit, "a")->attempt, 2);
	ask_stop(&kit, "a", &by_kill, NULL, NULL);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

static bool
kept(struct kit *kit, const char *eval_id)
{
	char path[300];
	assert_int_equal(ql_keep_path(kit->dir, eval_id, 1, NULL, path, sizeof(path)), 0);
	return access(path, F_OK) == 0;
}

static void
delete_leaves_nothing_but_the_id(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_record record;
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\",\"output=text\"");
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_DELETE), QL_E_CONFLICT);
	ask_stop(&kit, "a", &by_kill, NULL, NULL);
	kit_until_quiet(&kit);
	assert_true(kept(&kit, "a"));
	assert_int_equal(ask_revise(&kit, "a", QL_REVISE_DELETE), 0);
	assert_false(ask_read(&kit, "a", &record));
	assert_int_equal(kit_health(&kit).live, 0);
	while (kept(&kit, "a"))
		kit_turn(&kit);
	kit_close(&kit);
}

/*
 * That it is seen to run, and that its record was dropped, makes a difference to nobody: it goes with what
 * comes after, or by itself in the end. On a busy machine more than that may come at once.
 */
static void
what_nobody_waits_for_begins_no_commit(void **state)
{
	(void)state;
	struct kit kit = {0};
	int few = 0;
	ask_world(&kit);
	ask_run(&kit, "stays", "\"after=never\"");
	while (kit_state(&kit, "stays")->runs[0].phase != QL_PHASE_RUNNING)
		kit_turn(&kit);
	for (int i = 0; i < 20; i++) {
		char eval_id[16];
		int before = kit.book.commits;
		snprintf(eval_id, sizeof(eval_id), "e%d", i);
		ask_run(&kit, eval_id, "\"after=3\"");
		kit_until_status(&kit, eval_id, QL_STATUS_SUCCEEDED);
		while (kit_health(&kit).live > 1)
			kit_turn(&kit);
		/* submitted, claimed, released, ended, salvaged, dropped */
		few += kit.book.commits - before <= 6;
	}
	assert_true(few > 10);
	ask_stop(&kit, "stays", &by_kill, NULL, NULL);
	kit_close(&kit);
}

struct revising {
	struct ql_revise op;
	bool answered;
	int status;
};

static void
on_revised(struct ql_revise *op, int status)
{
	struct revising *revising = (struct revising *)op;
	revising->answered = true;
	revising->status = status;
}

static void
revise_soon(
	struct kit *kit, struct revising *revising, const char *eval_id, enum ql_revise_kind kind)
{
	*revising = (struct revising){.op = {
					      .caller = {.actor = "user:a", .owner = "alice"},
					      .eval_id = eval_id,
					      .kind = kind,
					      .done = on_revised,
				      }};
	ql_engine_revise(kit->engine, &revising->op);
}

/* A kill is answered before its salvage is over: whoever comes then waits for it. */
static void
right_after_the_settlement(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct revising resume, second, gone;
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\",\"checkpoint=9\"");
	ask_stop(&kit, "a", &by_kill, NULL, NULL);
	revise_soon(&kit, &resume, "a", QL_REVISE_RESUME);
	revise_soon(&kit, &second, "a", QL_REVISE_RESUME);
	kit_until_set(&kit, &resume.answered, "resumed");
	kit_until_set(&kit, &second.answered, "refused");
	assert_int_equal(resume.status, 0);
	assert_int_equal(second.op.err.code, QL_E_CONFLICT);
	ql_revise_done(&second.op);
	assert_int_equal(resume.op.record.state.attempt, 2);
	kit_until_status(&kit, "a", QL_STATUS_RUNNING);
	ask_stop(&kit, "a", &by_kill, NULL, NULL);
	revise_soon(&kit, &gone, "a", QL_REVISE_DELETE);
	revise_soon(&kit, &second, "a", QL_REVISE_RESUME);
	kit_until_set(&kit, &gone.answered, "deleted");
	kit_until_set(&kit, &second.answered, "refused");
	assert_int_equal(gone.status, 0);
	assert_int_equal(second.op.err.code, QL_E_NOT_FOUND);
	ql_revise_done(&second.op);
	ql_revise_done(&resume.op);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

/* Both wait for the same load: the second must not be handed what the first has given up. */
static void
delete_and_stop_at_once(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ask_submit(&kit, "{\"eval_id\":\"a\",\"command\":[\"after=1\"]}");
	kit_until_status(&kit, "a", QL_STATUS_SUCCEEDED);
	kit_until_quiet(&kit);
	struct revising revising;
	revise_soon(&kit, &revising, "a", QL_REVISE_DELETE);
	struct asking_stop *asking = ask_stop_soon(&kit, "a", &by_cancel);
	struct asking_stop *second = ask_stop_soon(&kit, "a", &by_cancel);
	kit_until_set(&kit, &revising.answered, "deleted");
	kit_until_set(&kit, &asking->answered, "answered");
	kit_until_set(&kit, &second->answered, "answered");
	assert_int_equal(revising.status, 0);
	assert_int_equal(asking->op.err.code, QL_E_NOT_FOUND);
	assert_int_equal(second->op.err.code, QL_E_NOT_FOUND);
	asking_free(asking);
	asking_free(second);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

static void
report_is_a_hint(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ask_run(&kit, "a", "\"after=never\"");
	assert_int_equal(ask_report(&kit, "a", "{\"reported_status\":\"completed\"}"), 0);
	assert_int_equal(kit_state(&kit, "a")->status, QL_STATUS_RUNNING);
	assert_int_equal(ask_rows(&kit, "a", "reported"), 1);
	assert_int_equal(ask_report(&kit, "b", "{}"), QL_E_NOT_FOUND);
	kit_close(&kit);
}

/* ---- keys ---- */

static void
the_same_key_is_answered_once(void **state)
{
	(void)state;
	struct kit kit = {0};
	char *ids;
	const char *body = "[{\"eval_id\":\"a\",\"command\":[\"after=1\"]},"
			   "{\"eval_id\":\"b\",\"command\":[\"after=1\"]}]";
	ask_world(&kit);
	assert_int_equal(ask_submit_keyed(&kit, "k", "f00d", &ids, body), 0);
	assert_null(ids);
	assert_int_equal(ask_submit_keyed(&kit, "k", "f00d", &ids, body), 0);
	assert_string_equal(ids, "a\nb\n");
	free(ids);
	assert_int_equal(ask_submit_keyed(&kit, "k", "beef", NULL, body), QL_E_INVALID);
	kit_restart(&kit);
	assert_int_equal(ask_submit_keyed(&kit, "k", "f00d", &ids, body), 0);
	assert_string_equal(ids, "a\nb\n");
	free(ids);
	ask_as("bob"); /* another's key is another key */
	assert_int_equal(ask_submit_keyed(&kit, "k", "beef", &ids,
				 "{\"eval_id\":\"c\",\"command\":[\"after=1\"]}"),
		0);
	assert_null(ids);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

struct submitting {
	struct ql_submit op;
	struct ql_record record;
	struct ql_event event;
	bool answered;
	int status;
};

static void
on_submitted(struct ql_submit *op, int status)
{
	struct submitting *submitting = (struct submitting *)op;
	submitting->answered = true;
	submitting->status = status;
}

static void
submit_soon(struct kit *kit, struct submitting *submitting, const char *eval_id, const char *key)
{
	struct ql_record *record = &submitting->record;
	snprintf(record->eval_id, sizeof(record->eval_id), "%s", eval_id);
	record->payload = strdup("{\"command\":[\"after=1\"]}");
	submitting->event = (struct ql_event){.kind = QL_EVENT_SUBMIT, .grace_ms = 1000};
	submitting->op = (struct ql_submit){.caller = {.actor = "user:a", .owner = "alice"},
		.records = record,
		.events = &submitting->event,
		.count = 1,
		.replay_key = key,
		.fingerprint = "f00d",
		.done = on_submitted};
	ql_engine_submit(kit->engine, &submitting->op);
}

static void
the_same_key_twice_at_once(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct submitting one = {0}, two = {0}, three = {0};
	ask_world(&kit);
	submit_soon(&kit, &one, "a", "k");
	submit_soon(&kit, &two, "b", "k");
	submit_soon(&kit, &three, "a", "k2");
	kit_until_set(&kit, &one.answered, "answered");
	kit_until_set(&kit, &two.answered, "answered");
	kit_until_set(&kit, &three.answered, "answered");
	assert_int_equal(one.status, 0);
	assert_int_equal(two.op.err.code, QL_E_CONFLICT);
	assert_int_equal(three.op.err.code, QL_E_CONFLICT);
	assert_null(book_find(&kit.book, "b"));
	assert_true(one.record.seq > 0);
	assert_string_equal(one.record.owner, "alice");
	ql_record_done(&one.record);
	ql_record_done(&two.record);
	ql_record_done(&three.record);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

static void
newer_replaces_older(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct ql_record record;
	ask_world(&kit);
	ask_run(&kit, "hog1", "\"after=never\"");
	kit_check(&kit, !ask_submit(&kit, "{\"eval_id\":\"runs\",\"supersedes\":\"K\","
					  "\"command\":[\"after=never\",\"notice=stop\"]}"));
	kit_until_status(&kit, "runs", QL_STATUS_RUNNING);
	ask_as("bob");
	ask_submit(&kit, "{\"eval_id\":\"bobs\",\"supersedes\":\"K\",\"command\":[\"after=1\"]}");
	ask_as("alice");
	ask_submit(&kit, "{\"eval_id\":\"other\",\"supersedes\":\"L\",\"command\":[\"after=1\"]}");
	assert_int_equal(kit_state(&kit, "runs")->status, QL_STATUS_RUNNING);
	int64_t asked = kit.book.asked;
	assert_int_equal(ask_submit(&kit, "[{\"eval_id\":\"n1\",\"supersedes\":\"K\",\"command\":["
					  "\"after=never\"]},{\"eval_id\":\"n2\",\"supersedes\":"
					  "\"L\",\"command\":[\"after=never\"]}]"),
		0);
	assert_int_equal(kit.book.asked, asked + 1); /* all in one commit */
	assert_int_equal(kit_state(&kit, "other")->status, QL_STATUS_CANCELLED);
	kit_until_status(&kit, "runs", QL_STATUS_CANCELLED);
	assert_int_equal(kit_state(&kit, "runs")->cause, QL_CAUSE_SUPERSEDED);
	assert_true(ask_read(&kit, "other", &record));
	assert_string_equal(record.reason, "superseded by n2");
	ql_record_done(&record);
	assert_int_equal(kit_state(&kit, "bobs")->cancel.requested_at, 0);
	assert_int_equal(ask_submit(&kit, "[{\"eval_id\":\"m1\",\"supersedes\":\"K\",\"command\":["
					  "\"x\"]},{\"eval_id\":\"m2\",\"supersedes\":\"K\","
					  "\"command\":[\"x\"]}]"),
		QL_E_INVALID);
	assert_int_equal(kit_state(&kit, "n1")->cancel.requested_at, 0);
	kit_close(&kit);
}

#define IN_A_ROW 20

/* None of them may miss the one before, though that isn't durable yet when it comes. */
static void
each_replaces_the_one_before(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct submitting all[IN_A_ROW] = {0};
	char eval_id[16];
	ask_world(&kit);
	ask_run(&kit, "hog1", "\"after=never\"");
	ask_run(&kit, "hog2", "\"after=never\"");
	for (int i = 0; i < IN_A_ROW; i++) {
		snprintf(eval_id, sizeof(eval_id), "s%d", i);
		all[i].record.supersedes = strdup("K");
		submit_soon(&kit, &all[i], eval_id, NULL);
	}
	for (int i = 0; i < IN_A_ROW; i++) {
		kit_until_set(&kit, &all[i].answered, "answered");
		assert_int_equal(all[i].status, 0);
		enum ql_status left = i < IN_A_ROW - 1 ? QL_STATUS_CANCELLED : QL_STATUS_QUEUED;
		kit_until_status(&kit, all[i].record.eval_id, left);
		ql_record_done(&all[i].record);
	}
	assert_int_equal(kit_health(&kit).queued, 1);
	kit_close(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restore_queues_again),
		cmocka_unit_test(resume_goes_on_from_the_checkpoint),
		cmocka_unit_test(delete_leaves_nothing_but_the_id),
		cmocka_unit_test(what_nobody_waits_for_begins_no_commit),
		cmocka_unit_test(right_after_the_settlement),
		cmocka_unit_test(delete_and_stop_at_once),
		cmocka_unit_test(report_is_a_hint),
		cmocka_unit_test(the_same_key_is_answered_once),
		cmocka_unit_test(the_same_key_twice_at_once),
		cmocka_unit_test(newer_replaces_older),
		cmocka_unit_test(each_replaces_the_one_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
