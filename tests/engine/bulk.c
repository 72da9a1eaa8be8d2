/* Batches: frozen, executed, cancelled, undone; over restarts, crashes and a store that is away. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/ask.h"
#include "engine/bulk/bulk.h"
#include "engine/private.h"
#include "rules/selector.h"

struct bulk_asking {
	struct ql_bulk_ask op; /* first */
	bool answered;
	int status;
};

static void
on_answered(struct ql_bulk_ask *op, int status)
{
	struct bulk_asking *asking = (struct bulk_asking *)op;
	asking->answered = true;
	asking->status = status;
}

static enum ql_code
ask_bulk(struct kit *kit, struct bulk_asking *asking)
{
	asking->op.done = on_answered;
	if (!asking->op.caller.actor)
		asking->op.caller = (struct ql_caller){.actor = "user:alice", .owner = "alice"};
	if (!asking->op.mode)
		asking->op.mode = QL_MODE_CANCEL;
	asking->op.grace_ms = -1;
	asking->op.max_matches = asking->op.max_matches ? asking->op.max_matches : QL_BULK_MAX;
	ql_engine_bulk(kit->engine, &asking->op);
	kit_until_set(kit, &asking->answered, "the batch is answered");
	return asking->status ? asking->op.err.code : QL_E_OK;
}

static enum ql_code
make(struct kit *kit, const char *text, bool preview, struct bulk_asking *ret)
{
	struct ql_selector selector;
	struct ql_err e;
	size_t at;
	*ret = (struct bulk_asking){
		.op = {.verb = QL_BULK_MAKE, .selector_text = text, .preview = preview}};
	if (ql_selector_parse(text, &selector, &at, &e))
		kit_fail(kit, "%s", e.text);
	ret->op.selector = &selector;
	enum ql_code code = ask_bulk(kit, ret);
	ql_selector_done(&selector);
	return code;
}

static enum ql_code
act(struct kit *kit, enum ql_bulk_verb verb, const char *id, struct bulk_asking *ret)
{
	*ret = (struct bulk_asking){.op = {.verb = verb, .id = id}};
	return ask_bulk(kit, ret);
}

/* ---- what is durable of it ---- */

struct reading {
	struct ql_store_read op; /* first */
	bool done;
};

static void
on_read(struct ql_store_read *op, int status)
{
	struct reading *reading = (struct reading *)op;
	if (status)
		abort();
	reading->done = true;
}

static void
read_head(struct kit *kit, const char *id, struct ql_bulk *ret)
{
	struct ql_err e;
	struct reading reading = {
		.op = {.kind = QL_READ_OBJECTS,
			.filter = {.object = QL_OBJECT_BATCH, .object_id = id, .limit = 1},
			.done = on_read}};
	ql_engine_read(kit->engine, &reading.op);
	kit_until_set(kit, &reading.done, "the head of the batch");
	if (!reading.op.object_count || ql_bulk_parse(reading.op.objects[0].text, ret, &e))
		kit_fail(kit, "batch %s can't be read", id);
	ql_store_read_done(&reading.op);
}

static struct ql_bulk
until_over(struct kit *kit, const char *id)
{
	struct ql_bulk head = {0};
	read_head(kit, id, &head);
	while (!ql_bulk_phase_ends(head.phase)) {
		kit_turn(kit);
		ql_bulk_done(&head);
		read_head(kit, id, &head);
	}
	return head;
}

/* ---- worlds ---- */

#define MANY 2500 /* three parts */

static void
submit_many(struct kit *kit, int count)
{
	for (int at = 0; at < count; at++)
		kit_check(kit, !ask_submit(kit,
				       "{\"eval_id\":\"q%d\",\"priority\":%d,"
				       "\"command\":[\"after=never\"]}",
				       at, at % 10));
}

static void
hold_slots(struct kit *kit)
{
	ask_run(kit, "hog1", "\"after=never\"");
	ask_run(kit, "hog2", "\"after=never\"");
}

static void
what_is_selected_is_stopped(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct bulk_asking asked;
	ask_world(&kit);
	hold_slots(&kit);
	submit_many(&kit, 40);
	assert_int_equal(make(&kit, "priority<5", false, &asked), QL_E_OK);
	assert_int_equal(asked.op.bulk.total, 20);
	assert_int_equal(asked.op.bulk.would[QL_RUNG_REMOVE], 20);
	assert_int_equal(asked.op.sample_count, QL_BULK_SAMPLE);
	struct ql_bulk over = until_over(&kit, asked.op.bulk.id);
	assert_int_equal(over.phase, QL_BULK_DONE);
	assert_int_equal(over.said[QL_SAID_REMOVED], 20);
	for (int at = 0; at < 40; at++) {
		char id[16];
		snprintf(id, sizeof(id), "q%d", at);
		assert_int_equal(kit_state(&kit, id)->status,
			at % 10 < 5 ? QL_STATUS_CANCELLED : QL_STATUS_QUEUED);
	}
	ql_bulk_done(&over);
	ql_bulk_ask_done(&asked.op);
	kit_close(&kit);
}

static void
ids_of_others_are_not_found(void **state)
{
	(void)state;
	static const char *const ids[] = {"hog1", "mine", "gone", "bobs"};
	struct kit kit = {0};
	struct bulk_asking asked = {
		.op = {.verb = QL_BULK_MAKE, .ids = ids, .id_count = 4, .mode = QL_MODE_KILL}};
	ask_world(&kit);
	hold_slots(&kit);
	ask_submit(&kit, "{\"eval_id\":\"mine\",\"command\":[\"after=never\"]}");
	ask_as("bob");
	ask_submit(&kit, "{\"eval_id\":\"bobs\",\"command\":[\"after=never\"]}");
	ask_as("alice");
	assert_int_equal(ask_bulk(&kit, &asked), QL_E_OK);
	assert_int_equal(asked.op.sample_count, 2);
	assert_int_equal(asked.op.bulk.would[QL_RUNG_KILL], 1);
	struct ql_bulk over = until_over(&kit, asked.op.bulk.id);
	assert_int_equal(over.said[QL_SAID_UNKNOWN], 2);
	assert_int_equal(over.said[QL_SAID_REMOVED], 1);
	assert_int_equal(over.said[QL_SAID_STOPPING], 1);
	assert_int_not_equal(kit_state(&kit, "bobs")->status, QL_STATUS_CANCELLED);
	kit_until_status(&kit, "hog1", QL_STATUS_CANCELLED);
	ql_bulk_done(&over);
	ql_bulk_ask_done(&asked.op);
	kit_close(&kit);
}

/* Between preview and execution one is stopped and another one comes. */
static void
a_preview_freezes_and_tells_the_drift(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct bulk_asking seen, done;
	struct ask_stop by_cancel = {0};
	ask_world(&kit);
	hold_slots(&kit);
	submit_many(&kit, 10);
	assert_int_equal(make(&kit, "status=queued", true, &seen), QL_E_OK);
	assert_int_equal(seen.op.bulk.phase, QL_BULK_PREVIEW);
	assert_int_equal(seen.op.bulk.total, 10);
	assert_int_equal(kit_state(&kit, "q1")->status, QL_STATUS_QUEUED);
	ask_stop(&kit, "q3", &by_cancel, NULL, NULL);
	ask_submit(&kit, "{\"eval_id\":\"late\",\"command\":[\"after=never\"]}");
	assert_int_equal(act(&kit, QL_BULK_EXECUTE, seen.op.bulk.id, &done), QL_E_OK);
	assert_int_equal(done.op.bulk.left, 1);
	assert_int_equal(done.op.bulk.joined, 1);
	struct ql_bulk over = until_over(&kit, seen.op.bulk.id);
	assert_int_equal(over.said[QL_SAID_REMOVED], 9);
	assert_int_equal(over.said[QL_SAID_ALREADY], 1);
	assert_int_equal(kit_state(&kit, "late")->status, QL_STATUS_QUEUED);
	ql_bulk_done(&over);
	ql_bulk_ask_done(&done.op);
	assert_int_equal(act(&kit, QL_BULK_EXECUTE, seen.op.bulk.id, &done), QL_E_CONFLICT);
	ql_bulk_ask_done(&done.op);
	ql_bulk_ask_done(&seen.op);
	kit_close(&kit);
}

static void
too_many_are_refused_whole(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct bulk_asking asked;
	struct ql_selector selector;
	struct ql_err e;
	size_t at;
	ask_world(&kit);
	hold_slots(&kit);
	submit_many(&kit, 10);
	ql_selector_parse("status=queued", &selector, &at, &e);
	asked = (struct bulk_asking){.op = {.verb = QL_BULK_MAKE,
					     .selector = &selector,
					     .selector_text = "status=queued",
					     .max_matches = 9}};
	assert_int_equal(ask_bulk(&kit, &asked), QL_E_INVALID);
	assert_non_null(strstr(asked.op.err.text, "10 evaluations"));
	ql_bulk_ask_done(&asked.op);
	ql_selector_done(&selector);
	assert_int_equal(kit_state(&kit, "q1")->status, QL_STATUS_QUEUED);
	kit_close(&kit);
}

/* Selected or named; a preview shows the number, and what was shown is meant. */
static void
many_want_a_confirmation(void **state)
{
	(void)state;
	static const char *const ids[] = {"q1", "q2", "q3"};
	struct kit kit = {0};
	struct bulk_asking asked, begun;
	struct ql_selector selector;
	struct ql_err e;
	size_t at;
	ask_world(&kit);
	hold_slots(&kit);
	submit_many(&kit, 10);
	ql_selector_parse("status=queued", &selector, &at, &e);
	struct bulk_asking selected = {.op = {.verb = QL_BULK_MAKE,
					       .selector = &selector,
					       .selector_text = "status=queued",
					       .free_matches = 9}};
	asked = selected;
	assert_int_equal(ask_bulk(&kit, &asked), QL_E_CONFLICT);
	assert_int_equal(asked.op.would_stop, 10);
	assert_non_null(strstr(asked.op.err.text, "10 evaluations"));
	ql_bulk_ask_done(&asked.op);
	asked = (struct bulk_asking){
		.op = {.verb = QL_BULK_MAKE, .ids = ids, .id_count = 3, .free_matches = 2}};
	assert_int_equal(ask_bulk(&kit, &asked), QL_E_CONFLICT);
	assert_int_equal(asked.op.would_stop, 3);
	ql_bulk_ask_done(&asked.op);
	assert_int_equal(kit_state(&kit, "q1")->status, QL_STATUS_QUEUED);

	asked.op.confirmed = true;
	asked.answered = false;
	assert_int_equal(ask_bulk(&kit, &asked), QL_E_OK);
	assert_int_equal(asked.op.would_stop, 0);
	struct ql_bulk over = until_over(&kit, asked.op.bulk.id);
	assert_int_equal(over.said[QL_SAID_REMOVED], 3);
	ql_bulk_done(&over);
	ql_bulk_ask_done(&asked.op);

	asked = selected;
	asked.op.free_matches = 6;
	asked.op.preview = true;
	assert_int_equal(ask_bulk(&kit, &asked), QL_E_OK);
	assert_int_equal(act(&kit, QL_BULK_EXECUTE, asked.op.bulk.id, &begun), QL_E_OK);
	over = until_over(&kit, begun.op.bulk.id);
	assert_int_equal(over.said[QL_SAID_REMOVED], 7);
	ql_bulk_done(&over);
	ql_bulk_ask_done(&begun.op);
	ql_bulk_ask_done(&asked.op);
	ql_selector_done(&selector);
	kit_close(&kit);
}

static void
an_undo_restores_what_was_removed(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct bulk_asking asked, undone, again;
	ask_world(&kit);
	hold_slots(&kit);
	submit_many(&kit, 20);
	assert_int_equal(make(&kit, "eval_id=*", false, &asked), QL_E_OK);
	struct ql_bulk over = until_over(&kit, asked.op.bulk.id);
	assert_int_equal(over.said[QL_SAID_REMOVED], 20);
	assert_int_equal(over.said[QL_SAID_STOPPING], 2);
	ql_bulk_done(&over);
	assert_int_equal(act(&kit, QL_BULK_UNDO, asked.op.bulk.id, &undone), QL_E_OK);
	assert_int_equal(undone.op.bulk.total, 20);
	over = until_over(&kit, undone.op.bulk.id);
	assert_int_equal(over.said[QL_SAID_RESTORED], 20);
	assert_int_equal(act(&kit, QL_BULK_UNDO, asked.op.bulk.id, &again), QL_E_CONFLICT);
	assert_non_null(strstr(again.op.err.text, undone.op.bulk.id));
	ql_bulk_done(&over);
	ql_bulk_ask_done(&again.op);
	ql_bulk_ask_done(&undone.op);
	ql_bulk_ask_done(&asked.op);
	kit_close(&kit);
}

/* Asked for at once: none of them runs yet, and each has its place. */
static int
ask_many(struct kit *kit, struct bulk_asking *asked, size_t count, struct ql_caller caller)
{
	static const char *const ids[] = {"q1"};
	int made = 0;
	for (size_t i = 0; i < count; i++) {
		asked[i] = (struct bulk_asking){.op = {.verb = QL_BULK_MAKE,
							.caller = caller,
							.mode = QL_MODE_CANCEL,
							.grace_ms = -1,
							.ids = ids,
							.id_count = 1,
							.done = on_answered}};
		ql_engine_bulk(kit->engine, &asked[i].op);
	}
	for (size_t i = 0; i < count; i++) {
		kit_until_set(kit, &asked[i].answered, "the batch is answered");
		made += !asked[i].status;
		if (asked[i].status)
			assert_int_equal(asked[i].op.err.code, QL_E_LIMIT);
	}
	return made;
}

static void
nobody_takes_every_place(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct bulk_asking alice[6], admin[10];
	struct ql_caller user = {.actor = "user:alice", .owner = "alice"};
	struct ql_caller all = {.actor = "user:root", .owner = "root", .all = true};
	ask_world(&kit);
	hold_slots(&kit);
	submit_many(&kit, 4);
	assert_int_equal(ask_many(&kit, alice, 6, user), QL_BULK_OWN_MAX);
	assert_non_null(strstr(alice[4].op.err.text, "batches of yours"));
	for (size_t i = 0; i < QL_BULK_OWN_MAX; i++) {
		struct ql_bulk over = until_over(&kit, alice[i].op.bulk.id);
		ql_bulk_done(&over);
	}
	assert_int_equal(ask_many(&kit, admin, 10, all), QL_BULK_RUNNING_MAX);
	for (size_t i = 0; i < 6; i++)
		ql_bulk_ask_done(&alice[i].op);
	for (size_t i = 0; i < 10; i++)
		ql_bulk_ask_done(&admin[i].op);
	kit_close(&kit);
}

/* What nobody executed for a quarter of an hour, and what was stopped more than a day ago. */
static void
time_ends_a_preview_and_an_undo(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct bulk_asking seen, asked, late;
	ask_world(&kit);
	hold_slots(&kit);
	submit_many(&kit, 4);
	assert_int_equal(make(&kit, "eval_id=q1", true, &seen), QL_E_OK);
	kit_pass(&kit, QL_BULK_PREVIEW_MS);
	enum ql_code code = act(&kit, QL_BULK_EXECUTE, seen.op.bulk.id, &late);
	assert_true(code == QL_E_CONFLICT || code == QL_E_NOT_FOUND); /* it may be swept already */
	assert_int_equal(kit_state(&kit, "q1")->status, QL_STATUS_QUEUED);
	ql_bulk_ask_done(&late.op);
	ql_bulk_ask_done(&seen.op);

	assert_int_equal(make(&kit, "eval_id=q*", false, &asked), QL_E_OK);
	struct ql_bulk over = until_over(&kit, asked.op.bulk.id);
	assert_int_equal(over.said[QL_SAID_REMOVED], 4);
	kit_pass(&kit, QL_BULK_UNDO_MS + 60000);
	assert_int_equal(act(&kit, QL_BULK_UNDO, asked.op.bulk.id, &late), QL_E_CONFLICT);
	assert_non_null(strstr(late.op.err.text, "within 24"));
	ql_bulk_done(&over);
	ql_bulk_ask_done(&late.op);
	ql_bulk_ask_done(&asked.op);
	kit_close(&kit);
}

static void
a_cancelled_one_asks_no_more(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct bulk_asking asked, stopped;
	ask_world(&kit);
	hold_slots(&kit);
	submit_many(&kit, MANY);
	assert_int_equal(make(&kit, "status=queued", false, &asked), QL_E_OK);
	assert_int_equal(act(&kit, QL_BULK_CANCEL, asked.op.bulk.id, &stopped), QL_E_OK);
	struct ql_bulk over = until_over(&kit, asked.op.bulk.id);
	assert_int_equal(over.phase, QL_BULK_STOPPED);
	assert_true(over.said[QL_SAID_UNASKED] > 0);
	assert_int_equal(over.said[QL_SAID_UNASKED] + over.said[QL_SAID_REMOVED], MANY);
	ql_bulk_done(&over);
	ql_bulk_ask_done(&stopped.op);
	ql_bulk_ask_done(&asked.op);
	kit_close(&kit);
}

/* Wherever it stops, the next start goes on, and in the end each was asked for once. */
static void
goes_on_after(int commits, bool crash)
{
	struct kit kit = {.forked = crash};
	struct bulk_asking asked;
	char id[QL_RAND_ID];
	ask_world(&kit);
	hold_slots(&kit);
	submit_many(&kit, MANY);
	assert_int_equal(make(&kit, "status=queued", false, &asked), QL_E_OK);
	memcpy(id, asked.op.bulk.id, sizeof(id));
	ql_bulk_ask_done(&asked.op);
	int from = kit.book.commits;
	while (kit.book.commits < from + commits)
		kit_turn(&kit);
	kit_restart(&kit);
	struct ql_bulk over = until_over(&kit, id);
	assert_int_equal(over.phase, QL_BULK_DONE);
	assert_int_equal(over.said[QL_SAID_REMOVED], MANY);
	assert_int_equal(over.said[QL_SAID_UNASKED], 0);
	ql_bulk_done(&over);
	kit_close(&kit);
}

static void
a_restart_goes_on(void **state)
{
	(void)state;
	for (int commits = 0; commits < 4; commits++)
		goes_on_after(commits, false);
}

static void
a_store_that_is_away_is_waited_for(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct bulk_asking asked;
	ask_world(&kit);
	hold_slots(&kit);
	submit_many(&kit, MANY);
	kit.faults.fail_before = kit.book.asked + 5;
	kit.faults.fail_count = 1;
	assert_int_equal(make(&kit, "status=queued", false, &asked), QL_E_OK);
	struct ql_bulk over = until_over(&kit, asked.op.bulk.id);
	assert_int_equal(over.phase, QL_BULK_DONE);
	assert_int_equal(over.said[QL_SAID_REMOVED], MANY);
	ql_bulk_done(&over);
	ql_bulk_ask_done(&asked.op);
	kit_close(&kit);
}

/* ---- beside a broker: ids that another producer sent, if anybody did ---- */

#define NOBODYS 1500

struct others {
	char ids[NOBODYS][16];
	const char *named[NOBODYS + 4];
	struct bulk_asking asked;
};

static void
open_farm(struct kit *kit)
{
	kit_open(kit, &(struct kit_options){.remote = true});
	ql_farm_hire(kit->farm, "w1@fake", 4, 16);
	kit_start(kit);
	ask_as(NULL);
}

static void
ask_for_others(struct kit *kit, struct others *others)
{
	static const char *const known[] = {"lies", "runs", "task:other-1", "own"};
	for (size_t i = 0; i < 4; i++)
		others->named[i] = known[i];
	for (size_t i = 0; i < NOBODYS; i++) {
		snprintf(others->ids[i], sizeof(others->ids[i]), "nobody%zu", i);
		others->named[i + 4] = others->ids[i];
	}
	others->asked = (struct bulk_asking){
		.op = {.verb = QL_BULK_MAKE,
			.caller = {.actor = "user:admin", .owner = "admin", .all = true},
			.ids = others->named,
			.id_count = NOBODYS + 4}};
	assert_int_equal(ask_bulk(kit, &others->asked), QL_E_OK);
}

static void
send_others(struct kit *kit)
{
	ql_farm_send(kit->farm, "celery-lies", "wait=never");
	ql_farm_send(kit->farm, "celery-runs", "after=never");
	ql_farm_send(kit->farm, "other-1", "wait=never");
	kit_check(kit, !ask_submit(kit, "{\"eval_id\":\"own\",\"language\":\"python\","
					"\"code\":\"wait=never\"}"));
	while (!ql_farm_queued(kit->farm, "celery-own") || !ql_farm_last(kit->farm, "celery-runs"))
		kit_turn(kit);
}

static void
check_others(struct kit *kit, const char *id)
{
	struct ql_record record;
	struct ask_stop by_kill = {.mode = QL_MODE_KILL};
	struct ql_bulk over = until_over(kit, id);
	assert_int_equal(over.phase, QL_BULK_DONE);
	assert_int_equal(over.said[QL_SAID_UNKNOWN], NOBODYS);
	assert_int_equal(over.said[QL_SAID_REMOVED] + over.said[QL_SAID_STOPPING], 4);
	assert_true(over.said[QL_SAID_STOPPING] >= 1); /* what runs */
	ql_bulk_done(&over);
	kit_until_status(kit, "lies", QL_STATUS_CANCELLED);
	kit_until_status(kit, "task:other-1", QL_STATUS_CANCELLED);
	kit_until_status(kit, "own", QL_STATUS_CANCELLED);
	assert_null(ql_farm_queued(kit->farm, "celery-lies"));
	assert_null(ql_farm_queued(kit->farm, "other-1"));
	assert_int_equal(ql_farm_task(kit->farm, "celery-lies")->ran, 0);
	assert_false(ask_read(kit, "nobody0", &record));
	assert_false(ask_read(kit, "nobody1499", &record));
	ask_stop(kit, "runs", &by_kill, NULL, NULL);
	kit_until_status(kit, "runs", QL_STATUS_CANCELLED);
	kit_until_quiet(kit);
}

static void
others_are_found_or_nowhere(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct others *others = calloc(1, sizeof(*others));
	kit_check(&kit, others);
	open_farm(&kit);
	send_others(&kit);
	ask_for_others(&kit, others);
	check_others(&kit, others->asked.op.bulk.id);
	ql_bulk_ask_done(&others->asked.op);
	free(others);
	kit_close(&kit);
}

/* The server ends while they are looked for: the next one looks again, and nobody is said to be stopped who is not. */
static void
others_are_found_by_the_next_start(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct others *others = calloc(1, sizeof(*others));
	kit_check(&kit, others);
	open_farm(&kit);
	send_others(&kit);
	ask_for_others(&kit, others);
	int from = kit.book.commits;
	while (kit.book.commits < from + 4)
		kit_turn(&kit);
	kit_restart(&kit);
	check_others(&kit, others->asked.op.bulk.id);
	ql_bulk_ask_done(&others->asked.op);
	free(others);
	kit_close(&kit);
}

/* Beside a broker nobody knows at once that a message is out of the queue: what is by then is put back, what ran is not. */
static void
an_undo_restores_what_left_a_brokers_queue(void **state)
{
	(void)state;
	struct kit kit = {0};
	static const char *const ids[] = {"runs", "w0", "w1", "w2", NULL};
	struct bulk_asking asked, undone;
	struct ask_stop kill = {.mode = QL_MODE_KILL};
	open_farm(&kit);
	ask_as("alice");
	for (const char *const *id = ids; *id; id++)
		kit_check(&kit,
			!ask_submit(&kit,
				"{\"eval_id\":\"%s\",\"language\":\"python\",\"code\":\"%s\"}", *id,
				id == ids ? "after=never" : "wait=never"));
	kit_until_status(&kit, "runs", QL_STATUS_RUNNING);
	while (!ql_farm_queued(kit.farm, "celery-w2"))
		kit_turn(&kit);
	assert_int_equal(make(&kit, "eval_id=*", false, &asked), QL_E_OK);
	struct ql_bulk over = until_over(&kit, asked.op.bulk.id);
	assert_int_equal(over.said[QL_SAID_STOPPING], 4);
	ql_bulk_done(&over);
	kit_until_status(&kit, "w0", QL_STATUS_CANCELLED);
	kit_until_status(&kit, "w1", QL_STATUS_CANCELLED);
	kit_until_status(&kit, "w2", QL_STATUS_CANCELLED);
	assert_int_equal(act(&kit, QL_BULK_UNDO, asked.op.bulk.id, &undone), QL_E_OK);
	assert_int_equal(undone.op.bulk.total, 3);
	over = until_over(&kit, undone.op.bulk.id);
	assert_int_equal(over.said[QL_SAID_RESTORED], 3);
	ql_bulk_done(&over);
	ask_stop(&kit, "runs", &kill, NULL, NULL);
	kit_until_status(&kit, "runs", QL_STATUS_CANCELLED);
	ql_bulk_ask_done(&undone.op);
	ql_bulk_ask_done(&asked.op);
	kit_close(&kit);
}

/* Whose tasks those are nobody can tell: a user's batch meets none of them. */
static void
users_meet_no_others(void **state)
{
	(void)state;
	static const char *const ids[] = {"lies", "nobody"};
	struct kit kit = {0};
	struct bulk_asking asked = {.op = {.verb = QL_BULK_MAKE, .ids = ids, .id_count = 2}};
	open_farm(&kit);
	ql_farm_send(kit.farm, "celery-lies", "wait=never");
	assert_int_equal(ask_bulk(&kit, &asked), QL_E_OK);
	struct ql_bulk over = until_over(&kit, asked.op.bulk.id);
	assert_int_equal(over.said[QL_SAID_UNKNOWN], 2);
	assert_non_null(ql_farm_queued(kit.farm, "celery-lies"));
	ql_bulk_done(&over);
	ql_bulk_ask_done(&asked.op);
	kit_until_quiet(&kit);
	kit_close(&kit);
}

/* Whoever asks for one stop after the other waits for small commits; the batch goes on all the same. */
static void
who_asks_alone_waits_for_few(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct bulk_asking asked;
	struct ask_stop kill = {.mode = QL_MODE_KILL};
	struct ql_bulk over = {0};
	char id[16];
	ask_world(&kit);
	hold_slots(&kit);
	submit_many(&kit, MANY);
	for (int at = 0; at < MANY; at++) {
		snprintf(id, sizeof(id), "alone%d", at);
		kit_check(&kit, !ask_submit(&kit,
					"{\"eval_id\":\"%s\",\"queue\":\"other\","
					"\"command\":[\"after=never\"]}",
					id));
	}
	/* as if somebody had asked a moment ago, however long this machine takes */
	kit.engine->stopped_alone_at = INT64_MAX / 2;
	assert_int_equal(
		make(&kit, "status=queued,queue!=other,priority<9", false, &asked), QL_E_OK);
	kit.book.largest = 0;
	for (int at = 0; at < MANY && !ql_bulk_phase_ends(over.phase); at++) {
		snprintf(id, sizeof(id), "alone%d", at);
		assert_int_equal(ask_stop(&kit, id, &kill, NULL, NULL), QL_E_OK);
		ql_bulk_done(&over);
		read_head(&kit, asked.op.bulk.id, &over);
	}
	assert_int_equal(over.phase, QL_BULK_DONE);
	assert_int_equal(over.said[QL_SAID_REMOVED], asked.op.bulk.total);
	assert_in_range(kit.book.largest, 2, QL_BULK_BURST + 2);
	ql_bulk_done(&over);
	ql_bulk_ask_done(&asked.op);
	kit_close(&kit);
}

/* What runs beyond the room for stops is asked for when some are over; what waits needs none. */
static void
what_has_no_room_waits_for_it(void **state)
{
	(void)state;
	struct kit kit = {0};
	struct bulk_asking asked;
	struct ask_stop kill = {.mode = QL_MODE_KILL};
	char id[16];
	kit_open(&kit, &(struct kit_options){.workers = 9, .max_stops = 2});
	kit_start(&kit);
	ask_as("alice");
	for (int at = 0; at < 9; at++) {
		snprintf(id, sizeof(id), "r%d", at);
		ask_run(&kit, id, "\"after=never\",\"notice=ignore\"");
	}
	assert_int_equal(make(&kit, "eval_id=r*", false, &asked), QL_E_OK);
	kit_until_status(&kit, "r0", QL_STATUS_CANCELLING);
	kit_until_status(&kit, "r1", QL_STATUS_CANCELLING);
	for (int at = 0; at < 9; at++) {
		snprintf(id, sizeof(id), "r%d", at);
		kit_until_status(&kit, id, QL_STATUS_CANCELLING);
		assert_int_equal(ask_rows(&kit, id, "stops are under way"), 0);
		assert_int_equal(ask_stop(&kit, id, &kill, NULL, NULL), QL_E_OK);
		kit_until_status(&kit, id, QL_STATUS_CANCELLED);
	}
	struct ql_bulk over = until_over(&kit, asked.op.bulk.id);
	assert_int_equal(over.phase, QL_BULK_DONE);
	assert_int_equal(over.said[QL_SAID_STOPPING], 9);
	ql_bulk_done(&over);
	ql_bulk_ask_done(&asked.op);
	kit_close(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_selected_is_stopped),
		cmocka_unit_test(ids_of_others_are_not_found),
		cmocka_unit_test(a_preview_freezes_and_tells_the_drift),
		cmocka_unit_test(too_many_are_refused_whole),
		cmocka_unit_test(many_want_a_confirmation),
		cmocka_unit_test(an_undo_restores_what_was_removed),
		cmocka_unit_test(nobody_takes_every_place),
		cmocka_unit_test(time_ends_a_preview_and_an_undo),
		cmocka_unit_test(a_cancelled_one_asks_no_more),
		cmocka_unit_test(a_restart_goes_on),
		cmocka_unit_test(a_store_that_is_away_is_waited_for),
		cmocka_unit_test(others_are_found_or_nowhere),
		cmocka_unit_test(others_are_found_by_the_next_start),
		cmocka_unit_test(an_undo_restores_what_left_a_brokers_queue),
		cmocka_unit_test(users_meet_no_others),
		cmocka_unit_test(who_asks_alone_waits_for_few),
		cmocka_unit_test(what_has_no_room_waits_for_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
