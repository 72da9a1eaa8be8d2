/* The store's contract, what is read and in which order; argv[1] says which driver. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_kit.h"

/* ---- the queue ---- */

static void
orders_claims_by_priority_then_age(void **state)
{
	struct kit *kit = *state;
	static const struct {
		const char *eval_id;
		int32_t priority;
	} submitted[] = {{"a", 5}, {"b", 9}, {"c", 0}, {"d", 9}, {"e", 5}};
	struct ql_change *changes = NULL;
	for (size_t i = 0; i < 5; i++) {
		struct ql_change *change = kit_new(submitted[i].eval_id, 1000);
		change->record.priority = submitted[i].priority;
		kit_add(&changes, change);
	}
	kit_ok(kit, changes);
	struct ql_store_read op = {.kind = QL_READ_CLAIMABLE, .filter = {.limit = 4}};
	assert_string_equal(kit_ids(kit, &op), "b d a e");
	op.filter.limit = 0;
	assert_string_equal(kit_ids(kit, &op), "b d a e c");
	assert_int_equal(kit_read(kit, &op), 0);
	assert_string_equal(op.records[0].payload, "{\"code\":\"print(1)\"}");
	ql_store_read_done(&op);
}

/* Claimed: a held start is asked for, the status is queued still. */
static struct ql_change *
claim(struct kit *kit, const char *eval_id, int64_t at)
{
	struct ql_change *change = kit_state(kit, eval_id, at);
	change->record.state.runs[0] = (struct ql_run){
		.incarnation = 77, .claimed_at = at, .phase = QL_PHASE_CLAIMED, .exit_code = -1};
	return change;
}

static void
keeps_claimed_live_and_waiting_apart(void **state)
{
	struct kit *kit = *state;
	struct ql_change *changes = NULL;
	for (int i = 0; i < 5; i++)
		kit_add(&changes, kit_new((char[]){(char)('a' + i), 0}, 1000));
	kit_ok(kit, changes);
	kit_ok(kit, claim(kit, "b", 1001));
	kit_ok(kit, kit_status(kit, "c", 1001, QL_STATUS_UNCONFIRMED));
	kit_ok(kit, kit_status(kit, "d", 1001, QL_STATUS_SUCCEEDED));
	struct ql_change *change = kit_status(kit, "e", 1001, QL_STATUS_CANCELLED);
	change->record.state.salvage_until = 2000;
	kit_ok(kit, change);
	struct ql_store_read op = {.kind = QL_READ_CLAIMABLE};
	assert_string_equal(kit_ids(kit, &op), "a");
	op = (struct ql_store_read){.kind = QL_READ_LIVE, .filter = {.limit = 1}};
	assert_string_equal(kit_ids(kit, &op), "b c e");
	assert_int_equal(kit_read(kit, &op), 0);
	assert_non_null(op.records[0].payload);
	assert_int_equal(op.records[0].state.runs[0].incarnation, 77);
	ql_store_read_done(&op);
}

static void
keeps_the_place_of_one_that_waits_again(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("a", 1000));
	kit_ok(kit, kit_new("b", 1001));
	kit_ok(kit, kit_cancelled(kit, "a", 1002));
	struct ql_store_read op = {.kind = QL_READ_CLAIMABLE};
	assert_string_equal(kit_ids(kit, &op), "b");
	struct ql_change *change = kit_status(kit, "a", 1003, QL_STATUS_QUEUED);
	change->record.state.attempt = 2;
	change->record.state.cancel = (struct ql_cancel){0};
	kit_ok(kit, change);
	assert_string_equal(kit_ids(kit, &op), "a b");
}

static void
finds_those_that_waited_too_long(void **state)
{
	struct kit *kit = *state;
	static const int64_t until[] = {5000, 0, 3000, 4000, 9000};
	struct ql_change *changes = NULL;
	for (int i = 0; i < 5; i++) {
		struct ql_change *change = kit_new((char[]){(char)('a' + i), 0}, 1000);
		change->record.state.queue_until = until[i];
		kit_add(&changes, change);
	}
	kit_ok(kit, changes);
	struct ql_store_read op = {.kind = QL_READ_OVERDUE, .filter = {.until = 2999}};
	assert_string_equal(kit_ids(kit, &op), "");
	assert_int_equal(op.next_at, 3000);
	op.filter.until = 5000;
	assert_string_equal(kit_ids(kit, &op), "c d a");
	assert_int_equal(op.next_at, 9000);
	op.filter.limit = 1;
	assert_string_equal(kit_ids(kit, &op), "c");
	op.filter = (struct ql_filter){.until = 9000};
	kit_ok(kit, claim(kit, "e", 1002));
	assert_string_equal(kit_ids(kit, &op), "c d a");
	assert_int_equal(op.next_at, 0);
}

static void
finds_what_a_newer_one_replaces(void **state)
{
	struct kit *kit = *state;
	static const char *const owners[] = {"alice", "bob", "alice", "alice", "alice"};
	static const char *const keys[] = {"x", "x", "x", "y", NULL};
	struct ql_change *changes = NULL;
	for (int i = 0; i < 5; i++) {
		struct ql_change *change = kit_new((char[]){(char)('a' + i), 0}, 1000);
		free(change->record.owner);
		change->record.owner = strdup(owners[i]);
		change->record.supersedes = keys[i] ? strdup(keys[i]) : NULL;
		kit_add(&changes, change);
	}
	kit_ok(kit, changes);
	struct ql_store_read op = {
		.kind = QL_READ_SUPERSEDED, .filter = {.owner = "alice", .supersedes = "x"}};
	assert_string_equal(kit_ids(kit, &op), "a c");
	kit_ok(kit, kit_status(kit, "a", 1001, QL_STATUS_RUNNING));
	assert_string_equal(kit_ids(kit, &op), "a c");
	kit_ok(kit, kit_status(kit, "c", 1001, QL_STATUS_FAILED));
	assert_string_equal(kit_ids(kit, &op), "a");
}

/* ---- lists ---- */

static void
submit_six(struct kit *kit)
{
	static const char *const owners[] = {"alice", "bob", "alice", "alice", "bob", "alice"};
	static const char *const labels[] = {"{\"team\":\"blue\"}", "{\"team\":\"blue\"}", NULL,
		"{\"team\":\"red\",\"blue\":\"team\"}", NULL, "{\"a\":\"b\",\"team\":\"blue\"}"};
	struct ql_change *changes = NULL;
	for (int i = 0; i < 6; i++) {
		struct ql_change *change = kit_new((char[]){(char)('a' + i), 0}, 1000);
		free(change->record.owner);
		change->record.owner = strdup(owners[i]);
		change->record.labels = labels[i] ? strdup(labels[i]) : NULL;
		kit_add(&changes, change);
	}
	kit_ok(kit, changes);
	kit_ok(kit, kit_status(kit, "b", 1001, QL_STATUS_SUCCEEDED));
	kit_ok(kit, kit_status(kit, "c", 1001, QL_STATUS_SUCCEEDED));
	kit_ok(kit, kit_status(kit, "f", 1001, QL_STATUS_RUNNING));
}

static void
lists_the_newest_first_by_filter(void **state)
{
	struct kit *kit = *state;
	submit_six(kit);
	uint32_t queued = 1u << QL_STATUS_QUEUED, done = 1u << QL_STATUS_SUCCEEDED;
	const struct {
		struct ql_filter filter;
		const char *ids;
		const char *selector;
	} lists[] = {
		{{0}, "f e d c b a"},
		{{.owner = "alice"}, "f d c a"},
		{{.owner = "carol"}, ""},
		{{.statuses = queued}, "e d a"},
		{{.statuses = queued | done}, "e d c b a"},
		{{.owner = "bob", .statuses = queued | done}, "e b"},
		{{0}, "f b a", "label.team=blue"},
		{{.owner = "alice"}, "f a", "label.team=blue"},
		{{.statuses = done}, "b", "label.team=blue"},
		{{0}, "", "label.team=b"},
		{{0}, "d", "label.blue=team"},
	};
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct ql_store_read op = {.kind = QL_READ_LIST, .filter = lists[i].filter};
		if (lists[i].selector)
			op.filter.selector = kit_selector(kit, lists[i].selector);
		assert_string_equal(kit_ids(kit, &op), lists[i].ids);
		assert_int_equal(op.next_cursor, 0);
	}
}

static void
turns_pages(struct kit *kit, struct ql_filter filter, const char *const *pages)
{
	struct ql_store_read op = {.kind = QL_READ_LIST, .filter = filter};
	for (; *pages; pages++) {
		assert_string_equal(kit_ids(kit, &op), *pages);
		assert_int_equal(op.next_cursor == 0, pages[1] == NULL);
		op.filter.cursor = op.next_cursor;
	}
}

static void
lists_page_by_page(void **state)
{
	struct kit *kit = *state;
	submit_six(kit);
	turns_pages(
		kit, (struct ql_filter){.limit = 2}, (const char *[]){"f e", "d c", "b a", NULL});
	turns_pages(kit, (struct ql_filter){.limit = 3, .owner = "alice"},
		(const char *[]){"f d c", "a", NULL});
	turns_pages(kit,
		(struct ql_filter){.limit = 1, .selector = kit_selector(kit, "label.team=blue")},
		(const char *[]){"f", "b", "a", NULL});
	turns_pages(kit,
		(struct ql_filter){
			.limit = 2, .statuses = 1u << QL_STATUS_QUEUED | 1u << QL_STATUS_SUCCEEDED},
		(const char *[]){"e d", "c b", "a", NULL});
}

static void
reads_a_submission_only_where_asked_for(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	struct ql_store_read op = {.kind = QL_READ_GET, .filter = {.eval_id = "one"}};
	assert_int_equal(kit_read(kit, &op), 0);
	assert_null(op.records[0].payload);
	ql_store_read_done(&op);
	op.filter.with_payload = true;
	assert_int_equal(kit_read(kit, &op), 0);
	assert_non_null(op.records[0].payload);
	ql_store_read_done(&op);
	op.filter.eval_id = "on";
	assert_int_equal(kit_read(kit, &op), 0);
	assert_int_equal(op.record_count, 0);
	ql_store_read_done(&op);
}

static void
reads_those_that_are_named(void **state)
{
	struct kit *kit = *state;
	static const char *const ids[] = {"c", "nobody", "a", "c"};
	for (int i = 0; i < 3; i++)
		kit_ok(kit, kit_new((const char *[]){"a", "b", "c"}[i], 1000 + i));
	kit_ok(kit, kit_cancelled(kit, "a", 1003));
	struct ql_store_read op = {.kind = QL_READ_NAMED, .ids = ids, .id_count = 4};
	assert_int_equal(kit_read(kit, &op), 0);
	assert_int_equal(op.record_count, 3);
	assert_string_equal(op.records[0].eval_id, "c");
	assert_null(op.records[0].payload);
	assert_string_equal(op.records[1].eval_id, "a");
	assert_int_equal(op.records[1].state.cancel.requested_at, 1003);
	assert_string_equal(op.records[2].eval_id, "c");
	ql_store_read_done(&op);
	op.id_count = 0;
	assert_int_equal(kit_read(kit, &op), 0);
	assert_int_equal(op.record_count, 0);
	ql_store_read_done(&op);
}

/* ---- cancellations ---- */

static void
keeps_a_cancellation_when_the_next_attempt_begins(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	kit_ok(kit, kit_cancelled(kit, "one", 1001));
	struct ql_change *change = kit_status(kit, "one", 1002, QL_STATUS_QUEUED);
	change->record.state.attempt = 2;
	change->record.state.cancel = (struct ql_cancel){0};
	kit_ok(kit, claim(kit, "one", 1001));
	kit_ok(kit, change);
	struct ql_store_read op = {
		.kind = QL_READ_CANCELLATIONS, .filter = {.eval_id = "one", .attempt = 1}};
	assert_int_equal(kit_read(kit, &op), 0);
	assert_int_equal(op.record_count, 1);
	struct ql_record *record = &op.records[0];
	assert_int_equal(record->state.attempt, 1);
	assert_int_equal(record->state.runs[0].incarnation, 0);
	assert_int_equal(record->state.cancel.requested_at, 1001);
	assert_int_equal(record->state.cancel.outcome, QL_OUTCOME_REMOVED);
	assert_string_equal(record->actor, "user:alice");
	assert_string_equal(record->reason, "not needed");
	ql_store_read_done(&op);
	op.filter.attempt = 2;
	assert_string_equal(kit_ids(kit, &op), "");
}

static struct ql_change *
stop(struct kit *kit, const char *eval_id, int64_t at, enum ql_mode mode, const char *actor)
{
	struct ql_change *change = kit_cancelled(kit, eval_id, at);
	change->record.state.status = QL_STATUS_CANCELLING;
	change->record.state.finished_at = 0;
	change->record.state.cancel.mode = (int32_t)mode;
	free(change->record.actor);
	change->record.actor = strdup(actor);
	return change;
}

static void
raises_a_cancellation_in_its_place(void **state)
{
	struct kit *kit = *state;
	submit_six(kit);
	kit_ok(kit, stop(kit, "a", 2000, QL_MODE_CANCEL, "user:alice"));
	kit_ok(kit, stop(kit, "d", 2001, QL_MODE_CANCEL, "user:alice"));
	struct ql_change *change = kit_state(kit, "a", 2002);
	change->record.state.cancel.mode = QL_MODE_KILL;
	kit_ok(kit, change);
	struct ql_store_read op = {.kind = QL_READ_CANCELLATIONS};
	assert_string_equal(kit_ids(kit, &op), "d a");
	op.filter.mode = QL_MODE_KILL;
	assert_string_equal(kit_ids(kit, &op), "a");
}

static void
lists_cancellations_by_filter(void **state)
{
	struct kit *kit = *state;
	submit_six(kit);
	kit_ok(kit, stop(kit, "d", 2000, QL_MODE_CANCEL, "user:alice"));
	kit_ok(kit, stop(kit, "a", 2001, QL_MODE_KILL, "user:bob"));
	kit_ok(kit, stop(kit, "e", 2002, QL_MODE_KILL, "user:alice"));
	kit_ok(kit, kit_cancelled(kit, "f", 2003));
	const struct {
		struct ql_filter filter;
		const char *ids;
	} lists[] = {
		{{0}, "f e a d"},
		{{.mode = QL_MODE_KILL}, "e a"},
		{{.mode = QL_MODE_CANCEL, .since = 2003}, "f"},
		{{.actor = "user:alice"}, "f e d"},
		{{.actor = "user:alice", .mode = QL_MODE_KILL}, "e"},
		{{.owner = "bob"}, "e"},
		{{.statuses = 1u << QL_STATUS_CANCELLED}, "f"},
		{{.since = 2001}, "f e a"},
		{{.since = 2002, .statuses = 1u << QL_STATUS_CANCELLING}, "e"},
		{{.since = 2004}, ""},
		{{.eval_id = "a"}, "a"},
		{{.eval_id = "b"}, ""},
		{{.eval_id = "nobody"}, ""},
	};
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct ql_store_read op = {
			.kind = QL_READ_CANCELLATIONS, .filter = lists[i].filter};
		assert_string_equal(kit_ids(kit, &op), lists[i].ids);
		assert_int_equal(op.next_cursor, 0);
	}
	struct ql_store_read op = {.kind = QL_READ_CANCELLATIONS, .filter = {.limit = 3}};
	assert_string_equal(kit_ids(kit, &op), "f e a");
	op.filter.cursor = op.next_cursor;
	assert_string_equal(kit_ids(kit, &op), "d");
	assert_int_equal(op.next_cursor, 0);
}

/* ---- the timeline ---- */

static void
tells_each_decision_oldest_first(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	kit_ok(kit, kit_cancelled(kit, "one", 1001));
	struct ql_change *change = kit_status(kit, "one", 1001, QL_STATUS_QUEUED);
	change->record.state.attempt = 2;
	change->record.state.cancel = (struct ql_cancel){0};
	kit_say(change, "restore -> queued");
	kit_ok(kit, change);
	change = kit_status(kit, "one", 0, QL_STATUS_RUNNING); /* without a row */
	kit_ok(kit, change);

	struct ql_store_read op = {.kind = QL_READ_TIMELINE, .filter = {.eval_id = "one"}};
	assert_int_equal(kit_read(kit, &op), 0);
	assert_int_equal(op.row_count, 3);
	assert_string_equal(op.rows[0].what, "submit -> queued");
	assert_int_equal(op.rows[1].status, QL_STATUS_CANCELLED);
	assert_int_equal(op.rows[1].rung, QL_RUNG_REMOVE);
	assert_int_equal(op.rows[1].attempt, 1);
	assert_string_equal(op.rows[2].what, "restore -> queued");
	assert_int_equal(op.rows[2].attempt, 2);
	ql_store_read_done(&op);
	op.filter.attempt = 2;
	assert_int_equal(kit_read(kit, &op), 0);
	assert_int_equal(op.row_count, 1);
	assert_int_equal(op.rows[0].at, 1001);
	ql_store_read_done(&op);
}

static void
tells_of_refused_stops(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	kit_ok(kit, kit_status(kit, "one", 1001, QL_STATUS_SUCCEEDED));
	static const char *const ids[] = {"nobody", "one"};
	for (int i = 0; i < 2; i++) {
		struct ql_change *change = kit_change(QL_CHANGE_REFUSAL, ids[i]);
		change->mode = QL_MODE_KILL;
		change->at = 1002;
		change->record.actor = strdup("user:bob");
		kit_say(change, "kill -> refused: it had finished");
		kit_ok(kit, change);
	}
	struct ql_store_read op = {.kind = QL_READ_TIMELINE, .filter = {.eval_id = "one"}};
	assert_int_equal(kit_read(kit, &op), 0);
	assert_int_equal(op.row_count, 3);
	assert_string_equal(op.rows[2].what, "kill -> refused: it had finished");
	assert_int_equal(op.rows[2].status, QL_STATUS_SUCCEEDED);
	assert_int_equal(op.rows[2].attempt, 1);
	ql_store_read_done(&op);
	op = (struct ql_store_read){.kind = QL_READ_CANCELLATIONS};
	assert_string_equal(kit_ids(kit, &op), "");
	op = (struct ql_store_read){.kind = QL_READ_TIMELINE, .filter = {.eval_id = "nobody"}};
	assert_int_equal(kit_read(kit, &op), 0);
	assert_int_equal(op.row_count, 0);
	ql_store_read_done(&op);
}

/* ---- sweeping ---- */

static void
finish(struct kit *kit, const char *eval_id, int64_t at, int64_t bytes)
{
	kit_ok(kit, kit_new(eval_id, 1000));
	struct ql_change *change = kit_status(kit, eval_id, at, QL_STATUS_SUCCEEDED);
	change->record.state.output_bytes = bytes / 2;
	change->record.state.checkpoint_bytes = bytes - bytes / 2;
	kit_ok(kit, change);
}

static void
sweeps_by_age_and_by_bytes(void **state)
{
	struct kit *kit = *state;
	finish(kit, "a", 5000, 100);
	finish(kit, "b", 3000, 10);
	finish(kit, "c", 4000, 1000);
	kit_ok(kit, kit_new("waiting", 1000));
	const struct {
		struct ql_filter filter;
		const char *ids;
	} sweeps[] = {
		{{.until = 3000, .keep_bytes = -1}, ""},
		{{.until = 3001, .keep_bytes = -1}, "b"},
		{{.until = 9000, .keep_bytes = -1}, "b c a"},
		{{.until = 9000, .keep_bytes = -1, .limit = 2}, "b c"},
		{{.until = 0, .keep_bytes = 1110}, ""},
		{{.until = 0, .keep_bytes = 1109}, "b"},
		{{.until = 0, .keep_bytes = 1099}, "b c"},
		{{.until = 0, .keep_bytes = 100}, "b c"},
		{{.until = 0, .keep_bytes = 0}, "b c a"},
		{{.until = 4001, .keep_bytes = 99}, "b c a"},
	};
	for (size_t i = 0; i < sizeof(sweeps) / sizeof(sweeps[0]); i++) {
		struct ql_store_read op = {.kind = QL_READ_SWEEPABLE, .filter = sweeps[i].filter};
		assert_string_equal(kit_ids(kit, &op), sweeps[i].ids);
	}
	kit_ok(kit, kit_change(QL_CHANGE_FORGET, "c"));
	struct ql_store_read op = {.kind = QL_READ_SWEEPABLE, .filter = {.keep_bytes = 100}};
	assert_string_equal(kit_ids(kit, &op), "b");
}

static void
counts_the_output_of_earlier_attempts(void **state)
{
	struct kit *kit = *state;
	finish(kit, "a", 2000, 100);
	struct ql_change *change = kit_status(kit, "a", 2001, QL_STATUS_QUEUED);
	change->record.state.attempt = 2;
	change->record.state.output_bytes = 0;
	kit_ok(kit, change);
	struct ql_store_read op = {.kind = QL_READ_SWEEPABLE, .filter = {.keep_bytes = 0}};
	assert_string_equal(kit_ids(kit, &op), "");
	change = kit_status(kit, "a", 2002, QL_STATUS_FAILED);
	change->record.state.output_bytes = 7;
	kit_ok(kit, change);
	op.filter.keep_bytes = 107;
	assert_string_equal(kit_ids(kit, &op), "");
	op.filter.keep_bytes = 106;
	assert_string_equal(kit_ids(kit, &op), "a");
}

/* ---- many at once ---- */

#define READS 50

struct many {
	struct ql_store_read op; /* first */
	int answers;
};

static void
count_read(struct ql_store_read *op, int status)
{
	assert_int_equal(status, 0);
	assert_int_equal(op->record_count, 1);
	((struct many *)op)->answers++;
}

static void
answers_each_of_many_reads_once(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	static struct many many[READS];
	memset(many, 0, sizeof(many));
	for (int i = 0; i < READS; i++) {
		many[i].op = (struct ql_store_read){
			.kind = QL_READ_GET, .filter = {.eval_id = "one"}, .done = count_read};
		kit->store->ops->read(kit->store, &many[i].op);
		assert_int_equal(many[i].answers, 0);
	}
	assert_int_equal(uv_run(&kit->loop, UV_RUN_DEFAULT), 0);
	for (int i = 0; i < READS; i++) {
		assert_int_equal(many[i].answers, 1);
		ql_store_read_done(&many[i].op);
	}
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		KIT_CASE(orders_claims_by_priority_then_age),
		KIT_CASE(keeps_claimed_live_and_waiting_apart),
		KIT_CASE(keeps_the_place_of_one_that_waits_again),
		KIT_CASE(finds_those_that_waited_too_long),
		KIT_CASE(finds_what_a_newer_one_replaces),
		KIT_CASE(lists_the_newest_first_by_filter),
		KIT_CASE(lists_page_by_page),
		KIT_CASE(reads_a_submission_only_where_asked_for),
		KIT_CASE(reads_those_that_are_named),
		KIT_CASE(keeps_a_cancellation_when_the_next_attempt_begins),
		KIT_CASE(raises_a_cancellation_in_its_place),
		KIT_CASE(lists_cancellations_by_filter),
		KIT_CASE(tells_each_decision_oldest_first),
		KIT_CASE(tells_of_refused_stops),
		KIT_CASE(sweeps_by_age_and_by_bytes),
		KIT_CASE(counts_the_output_of_earlier_attempts),
		KIT_CASE(answers_each_of_many_reads_once),
	};
	return kit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
