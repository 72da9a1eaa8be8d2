/* The store's contract, what a commit makes durable; argv[1] says which driver. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_kit.h"

/* ---- new ones ---- */

static void
keeps_all_of_a_new_one(void **state)
{
	struct kit *kit = *state;
	struct ql_change *change = kit_new("one", 1000);
	struct ql_record *record = &change->record;
	kit_fill_state(&record->state, 1);
	record->queue = strdup("default");
	record->labels = strdup("{\"team\":\"blue\"}");
	record->session = strdup("s1");
	record->supersedes = strdup("branch-7");
	record->error = strdup("it's \"quoted\" \xe2\x86\x92 text");
	record->worker = strdup("local");
	record->runtime = strdup("sandbox");
	record->container = strdup("c0ffee");
	record->container_runtime = strdup("docker");
	record->container_name = strdup("eval-one");
	record->container_image = strdup("python:3.12");
	record->actor = strdup("user:bob");
	record->reason = strdup("because");
	record->priority = 9;
	struct ql_record sent;
	assert_int_equal(ql_record_copy(&sent, record), 0);
	kit_ok(kit, change);

	struct ql_record kept = kit_get(kit, "one");
	assert_memory_equal(&kept.state, &sent.state, sizeof(sent.state));
	assert_int_equal(kept.priority, 9);
	assert_true(kept.seq > 0);
#define SAME(name) assert_string_equal(kept.name, sent.name);
	SAME(eval_id)
	SAME(owner)
	SAME(language)
	SAME(queue)
	SAME(labels)
	SAME(session)
	SAME(supersedes)
	SAME(payload)
	SAME(error)
	SAME(worker)
	SAME(runtime)
	SAME(container)
	SAME(container_runtime)
	SAME(container_name)
	SAME(container_image)
	SAME(actor)
	SAME(reason)
#undef SAME
	ql_record_done(&kept);
	ql_record_done(&sent);
}

static void
keeps_nothing_where_there_was_nothing(void **state)
{
	struct kit *kit = *state;
	struct ql_change *change = kit_new("bare", 1000);
	free(change->record.language);
	change->record.language = NULL;
	kit_ok(kit, change);
	struct ql_record kept = kit_get(kit, "bare");
	assert_true(!kept.language && !kept.queue && !kept.labels && !kept.session);
	assert_true(!kept.supersedes && !kept.error && !kept.worker && !kept.runtime);
	assert_true(!kept.container && !kept.actor && !kept.reason);
	ql_record_done(&kept);
}

struct counted {
	struct ql_store_commit op; /* first */
	int answers;
	int status;
};

static void
count_answer(struct ql_store_commit *op, int status)
{
	((struct counted *)op)->answers++;
	((struct counted *)op)->status = status;
}

static void
fills_in_the_order_of_submission(void **state)
{
	struct kit *kit = *state;
	struct ql_change *changes = kit_new("one", 1000);
	kit_add(&changes, kit_new("two", 1000));
	struct counted counted = {.op = {.changes = changes, .done = count_answer}};
	kit->store->ops->commit(kit->store, &counted.op);
	assert_int_equal(uv_run(&kit->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(counted.answers, 1);
	assert_int_equal(counted.status, 0);
	int64_t first = changes->record.seq, second = changes->next->record.seq;
	ql_changes_free(changes);
	assert_true(first > 0 && second > first);
	struct ql_record kept = kit_get(kit, "two");
	assert_int_equal(kept.seq, second);
	ql_record_done(&kept);
}

static void
commits_nothing_at_all(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, NULL);
	struct ql_store_read op = {.kind = QL_READ_LIST};
	assert_string_equal(kit_ids(kit, &op), "");
}

static void
refuses_an_id_that_exists_and_drops_the_whole_commit(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	struct ql_change *changes = kit_new("two", 1001);
	kit_add(&changes, kit_new("one", 1002));
	kit_refused(kit, changes, QL_E_CONFLICT);
	changes = kit_new("three", 1001);
	kit_add(&changes, kit_new("three", 1002));
	kit_refused(kit, changes, QL_E_CONFLICT);
	struct ql_store_read op = {.kind = QL_READ_LIST};
	assert_string_equal(kit_ids(kit, &op), "one");
	op = (struct ql_store_read){.kind = QL_READ_TIMELINE, .filter = {.eval_id = "one"}};
	assert_int_equal(kit_read(kit, &op), 0);
	assert_int_equal(op.row_count, 1);
	ql_store_read_done(&op);
}

/* ---- states ---- */

static void
keeps_the_state_of(struct kit *kit, struct ql_change *change)
{
	struct ql_state sent = change->record.state;
	kit_ok(kit, change);
	struct ql_record kept = kit_get(kit, "one");
	assert_memory_equal(&kept.state, &sent, sizeof(sent));
	ql_record_done(&kept);
}

static void
keeps_each_field_of_a_state(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	for (int round = 1; round <= 3; round++) {
		struct ql_change *change = kit_state(kit, "one", 1000 + round);
		kit_fill_state(&change->record.state, round);
		keeps_the_state_of(kit, change);
	}
}

static void
frees_the_place_of_a_run_that_went(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	struct ql_change *change = kit_state(kit, "one", 1001);
	kit_fill_state(&change->record.state, 1);
	kit_ok(kit, change);
	change = kit_state(kit, "one", 1002);
	memset(&change->record.state.runs[0], 0, sizeof(struct ql_run));
	keeps_the_state_of(kit, change);
}

static void
refuses_a_state_of_nothing(void **state)
{
	struct kit *kit = *state;
	struct ql_change *change = kit_change(QL_CHANGE_STATE, "nobody");
	change->record.state.attempt = 1;
	kit_refused(kit, change, QL_E_NOT_FOUND);
	kit_refused(kit, kit_change(QL_CHANGE_FORGET, "nobody"), QL_E_NOT_FOUND);
}

static void
keeps_texts_until_others_come(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	struct ql_change *change = kit_cancelled(kit, "one", 1001);
	change->record.worker = strdup("local");
	change->record.error = strdup("it broke");
	kit_ok(kit, change);
	change = kit_state(kit, "one", 1002);
	change->record.error = strdup("it broke again");
	change->record.reason = strdup("still not needed");
	kit_ok(kit, change);
	struct ql_record kept = kit_get(kit, "one");
	assert_string_equal(kept.worker, "local");
	assert_string_equal(kept.error, "it broke again");
	assert_string_equal(kept.actor, "user:alice");
	assert_string_equal(kept.reason, "still not needed");
	ql_record_done(&kept);
}

static struct ql_change *
next_attempt(struct kit *kit, const char *eval_id, int64_t at)
{
	struct ql_change *change = kit_status(kit, eval_id, at, QL_STATUS_QUEUED);
	change->record.state.attempt++;
	change->record.state.finished_at = 0;
	change->record.state.output_bytes = 0;
	change->record.state.cancel = (struct ql_cancel){0};
	return change;
}

static void
begins_a_new_attempt_with_clear_texts(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	struct ql_change *change = kit_cancelled(kit, "one", 1001);
	change->record.worker = strdup("local");
	change->record.container = strdup("c1");
	change->record.container_name = strdup("box");
	change->record.error = strdup("it broke");
	kit_ok(kit, change);
	change = next_attempt(kit, "one", 1002);
	change->record.worker = strdup("another");
	kit_ok(kit, change);
	struct ql_record kept = kit_get(kit, "one");
	assert_int_equal(kept.state.attempt, 2);
	assert_int_equal(kept.state.cancel.requested_at, 0);
	assert_string_equal(kept.worker, "another");
	assert_true(!kept.error && !kept.container && !kept.actor && !kept.reason);
	assert_true(!kept.container_runtime && !kept.container_name && !kept.container_image);
	assert_string_equal(kept.payload, "{\"code\":\"print(1)\"}");
	ql_record_done(&kept);
}

/* ---- settled is write-once ---- */

static void
keeps_settled_for_ever(void **state)
{
	struct kit *kit = *state;
	for (int from = 0; from < QL_STATUS_COUNT; from++) {
		char eval_id[8];
		snprintf(eval_id, sizeof(eval_id), "e%d", from);
		kit_ok(kit, kit_new(eval_id, 1000));
		kit_ok(kit, kit_status(kit, eval_id, 1001, (enum ql_status)from));
		if (!ql_status_settled((enum ql_status)from))
			continue;
		for (int to = 0; to < QL_STATUS_COUNT; to++) {
			struct ql_change *change =
				kit_status(kit, eval_id, 1002, (enum ql_status)to);
			if (to == from)
				kit_ok(kit, change);
			else
				kit_refused(kit, change, QL_E_INTERNAL);
		}
	}
}

static void
drops_what_came_with_a_rewrite(void **state)
{
	struct kit *kit = *state;
	struct ql_change *changes = kit_new("one", 1000);
	kit_add(&changes, kit_new("two", 1000));
	kit_ok(kit, changes);
	kit_ok(kit, kit_cancelled(kit, "one", 2000));
	changes = kit_status(kit, "two", 4000, QL_STATUS_FAILED);
	kit_add(&changes, kit_status(kit, "one", 4000, QL_STATUS_SUCCEEDED));
	kit_add(&changes, kit_new("three", 4000));
	kit_refused(kit, changes, QL_E_INTERNAL);
	struct ql_store_read op = {
		.kind = QL_READ_LIST, .filter = {.statuses = 1u << QL_STATUS_CANCELLED}};
	assert_string_equal(kit_ids(kit, &op), "one");
	op = (struct ql_store_read){
		.kind = QL_READ_LIST, .filter = {.statuses = 1u << QL_STATUS_QUEUED}};
	assert_string_equal(kit_ids(kit, &op), "two");
}

static void
settles_what_was_unconfirmed(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	kit_ok(kit, kit_status(kit, "one", 1001, QL_STATUS_UNCONFIRMED));
	kit_ok(kit, kit_status(kit, "one", 1002, QL_STATUS_CANCELLED));
	kit_refused(kit, kit_status(kit, "one", 1003, QL_STATUS_UNCONFIRMED), QL_E_INTERNAL);
}

static void
never_goes_back_to_an_earlier_attempt(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	kit_ok(kit, kit_cancelled(kit, "one", 1001));
	kit_ok(kit, next_attempt(kit, "one", 1002));
	struct ql_change *change = kit_status(kit, "one", 1003, QL_STATUS_CANCELLED);
	change->record.state.attempt = 1;
	kit_refused(kit, change, QL_E_INTERNAL);
	kit_ok(kit, kit_status(kit, "one", 1004, QL_STATUS_SUCCEEDED));
}

/* ---- forgetting ---- */

static bool
taken(struct kit *kit, const char *eval_id)
{
	struct ql_store_read op = {.kind = QL_READ_TAKEN, .ids = &eval_id, .id_count = 1};
	if (kit_read(kit, &op))
		fail_msg("%s", kit->err.text);
	bool is = op.taken[0];
	ql_store_read_done(&op);
	return is;
}

static void
forgets_all_but_the_tombstone(void **state)
{
	struct kit *kit = *state;
	struct ql_change *change = kit_new("one", 1000);
	change->record.labels = strdup("{\"team\":\"blue\",\"odd\":[\"team\"]}");
	kit_ok(kit, change);
	kit_ok(kit, kit_cancelled(kit, "one", 1001));
	change = kit_change(QL_CHANGE_REPORT, "one");
	change->report = strdup("{}");
	kit_ok(kit, change);
	change = kit_change(QL_CHANGE_REFUSAL, "one");
	change->at = 1002;
	kit_ok(kit, change);
	kit_ok(kit, kit_change(QL_CHANGE_FORGET, "one"));

	struct ql_record kept = kit_get(kit, "one");
	assert_string_equal(kept.eval_id, "");
	struct ql_store_read op = {.kind = QL_READ_CANCELLATIONS};
	assert_string_equal(kit_ids(kit, &op), "");
	op = (struct ql_store_read){
		.kind = QL_READ_LIST, .filter = {.selector = kit_selector(kit, "label.team=blue")}};
	assert_string_equal(kit_ids(kit, &op), "");
	op = (struct ql_store_read){.kind = QL_READ_TIMELINE, .filter = {.eval_id = "one"}};
	assert_int_equal(kit_read(kit, &op), 0);
	assert_int_equal(op.row_count, 0);
	op = (struct ql_store_read){.kind = QL_READ_REPORT, .filter = {.eval_id = "one"}};
	assert_int_equal(kit_read(kit, &op), 0);
	assert_null(op.text);
	assert_true(taken(kit, "one"));
	kit_refused(kit, kit_new("one", 1003), QL_E_CONFLICT);
}

static void
never_uses_an_id_again_that_finished(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	assert_true(taken(kit, "one"));
	assert_false(taken(kit, "two"));
	kit_ok(kit, kit_status(kit, "one", 1001, QL_STATUS_SUCCEEDED));
	struct ql_change *changes = kit_change(QL_CHANGE_FORGET, "one");
	kit_add(&changes, kit_new("one", 1002));
	kit_refused(kit, changes, QL_E_CONFLICT);
	kit_ok(kit, kit_change(QL_CHANGE_FORGET, "one"));
	assert_true(taken(kit, "one"));
	kit_refused(kit, kit_new("one", 1002), QL_E_CONFLICT);
}

/* In a commit of its own, in the one that forgets, and after both. */
static void
never_uses_a_seq_again(void **state)
{
	struct kit *kit = *state;
	static const char *const names[] = {"one", "two", "three", "four"};
	int64_t last = 0;
	for (int i = 0; i < 4; i++) {
		struct ql_change *changes = kit_new(names[i], 1000);
		if (i % 2) {
			struct ql_change *first = kit_change(QL_CHANGE_FORGET, names[i - 1]);
			kit_add(&first, changes);
			changes = first;
		}
		kit_ok(kit, changes);
		struct ql_record record = kit_get(kit, names[i]);
		assert_true(record.seq > last);
		last = record.seq;
		ql_record_done(&record);
		kit_ok(kit, kit_status(kit, names[i], 1001, QL_STATUS_SUCCEEDED));
		if (i % 2)
			kit_ok(kit, kit_change(QL_CHANGE_FORGET, names[i]));
	}
}

static void
forgets_only_what_is_over(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	kit_refused(kit, kit_change(QL_CHANGE_FORGET, "one"), QL_E_INTERNAL);
	kit_ok(kit, kit_status(kit, "one", 1001, QL_STATUS_UNCONFIRMED));
	kit_refused(kit, kit_change(QL_CHANGE_FORGET, "one"), QL_E_INTERNAL);
	struct ql_change *change = kit_status(kit, "one", 1002, QL_STATUS_CANCELLED);
	change->record.state.salvage_until = 1500;
	kit_ok(kit, change);
	kit_refused(kit, kit_change(QL_CHANGE_FORGET, "one"), QL_E_INTERNAL);
	change = kit_state(kit, "one", 1003);
	change->record.state.salvage_until = 0;
	kit_ok(kit, change);
	kit_ok(kit, kit_change(QL_CHANGE_FORGET, "one"));
}

/* ---- keys and reports ---- */

static struct ql_change *
replay(const char *owner, const char *key, int64_t at)
{
	struct ql_change *change = kit_change(QL_CHANGE_REPLAY, "");
	change->record.owner = strdup(owner);
	change->replay_key = strdup(key);
	change->fingerprint = strdup("f00d");
	change->replay_ids = strdup("one\ntwo");
	change->at = at;
	return change;
}

static void
replays_a_key_of_its_owner(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, replay("alice", "k1", 1000));
	struct ql_store_read op = {
		.kind = QL_READ_REPLAY, .filter = {.owner = "alice", .replay_key = "k1"}};
	assert_int_equal(kit_read(kit, &op), 0);
	assert_string_equal(op.fingerprint, "f00d");
	assert_string_equal(op.text, "one\ntwo");
	ql_store_read_done(&op);
	op.filter.owner = "bob";
	assert_int_equal(kit_read(kit, &op), 0);
	assert_true(!op.fingerprint && !op.text);
	kit_refused(kit, replay("alice", "k1", 1001), QL_E_CONFLICT);
	kit_ok(kit, replay("bob", "k1", 1001));
}

static void
forgets_a_key_after_a_day(void **state)
{
	struct kit *kit = *state;
	int64_t day = 24 * 3600 * 1000;
	kit_ok(kit, replay("alice", "k1", 1000));
	kit_ok(kit, replay("alice", "k2", 1000 + day));
	struct ql_store_read op = {
		.kind = QL_READ_REPLAY, .filter = {.owner = "alice", .replay_key = "k1"}};
	assert_int_equal(kit_read(kit, &op), 0);
	assert_non_null(op.text);
	ql_store_read_done(&op);
	kit_ok(kit, replay("alice", "k1", 1001 + day));
	kit_ok(kit, replay("alice", "k3", 1001 + 2 * day));
	op.filter.replay_key = "k2";
	assert_int_equal(kit_read(kit, &op), 0);
	assert_null(op.text);
}

static void
keeps_the_last_report(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	struct ql_store_read op = {.kind = QL_READ_REPORT, .filter = {.eval_id = "one"}};
	assert_int_equal(kit_read(kit, &op), 0);
	assert_null(op.text);
	for (int i = 1; i <= 2; i++) {
		struct ql_change *change = kit_change(QL_CHANGE_REPORT, "one");
		change->report = strdup(i == 1 ? "{\"n\":1}" : "{\"n\":2}");
		kit_ok(kit, change);
	}
	assert_int_equal(kit_read(kit, &op), 0);
	assert_string_equal(op.text, "{\"n\":2}");
	ql_store_read_done(&op);
	struct ql_change *change = kit_change(QL_CHANGE_REPORT, "nobody");
	change->report = strdup("{}");
	kit_refused(kit, change, QL_E_NOT_FOUND);
}

/* ---- what another producer sent ---- */

static struct ql_change *
adopted(const char *eval_id, int64_t at, int32_t seen)
{
	struct ql_change *change = kit_new(eval_id, at);
	change->record.task_id = strdup("an id of its own");
	change->record.state.adopted = 1;
	change->record.state.seen = seen;
	change->record.state.enqueued_at = at;
	return change;
}

static void
keeps_the_task_id_and_the_message_of_another_producer(void **state)
{
	struct kit *kit = *state;
	struct ql_store_read read = {
		.kind = QL_READ_GET, .filter = {.eval_id = "theirs", .with_payload = true}};
	kit_ok(kit, adopted("theirs", 1000, 1));
	struct ql_change *change = kit_state(kit, "theirs", 1001);
	change->record.payload = strdup("the bytes");
	kit_ok(kit, change);
	assert_int_equal(kit_read(kit, &read), 0);
	assert_string_equal(read.records[0].task_id, "an id of its own");
	assert_string_equal(read.records[0].payload, "the bytes");
	ql_store_read_done(&read);
}

static void
disowns_what_was_never_seen_without_a_trace(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, adopted("ghost", 1000, 0));
	kit_ok(kit, kit_change(QL_CHANGE_DISOWN, "ghost"));
	kit_ok(kit, adopted("ghost", 1002, 1));
	kit_refused(kit, kit_change(QL_CHANGE_DISOWN, "ghost"), QL_E_INTERNAL);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		KIT_CASE(keeps_the_task_id_and_the_message_of_another_producer),
		KIT_CASE(disowns_what_was_never_seen_without_a_trace),
		KIT_CASE(keeps_all_of_a_new_one),
		KIT_CASE(keeps_nothing_where_there_was_nothing),
		KIT_CASE(fills_in_the_order_of_submission),
		KIT_CASE(commits_nothing_at_all),
		KIT_CASE(refuses_an_id_that_exists_and_drops_the_whole_commit),
		KIT_CASE(keeps_each_field_of_a_state),
		KIT_CASE(frees_the_place_of_a_run_that_went),
		KIT_CASE(refuses_a_state_of_nothing),
		KIT_CASE(keeps_texts_until_others_come),
		KIT_CASE(begins_a_new_attempt_with_clear_texts),
		KIT_CASE(keeps_settled_for_ever),
		KIT_CASE(drops_what_came_with_a_rewrite),
		KIT_CASE(settles_what_was_unconfirmed),
		KIT_CASE(never_goes_back_to_an_earlier_attempt),
		KIT_CASE(forgets_all_but_the_tombstone),
		KIT_CASE(never_uses_an_id_again_that_finished),
		KIT_CASE(never_uses_a_seq_again),
		KIT_CASE(forgets_only_what_is_over),
		KIT_CASE(replays_a_key_of_its_owner),
		KIT_CASE(forgets_a_key_after_a_day),
		KIT_CASE(keeps_the_last_report),
	};
	return kit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
