/* The store's contract, what outlets have still to be told; argv[1] says which driver. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_kit.h"

#define STORAGE (1u << QL_OUTLET_STORAGE)
#define RESULTS (1u << QL_OUTLET_RESULTS)
#define WEBHOOKS (1u << QL_OUTLET_WEBHOOKS)

/* Settles it, with letters to these. */
static struct ql_change *
settled(struct kit *kit, const char *eval_id, int64_t at, enum ql_status status, uint32_t outlets)
{
	struct ql_change *change = kit_status(kit, eval_id, at, status);
	char task_id[QL_TASK_ID];
	ql_record_task_id(&change->record, change->record.state.attempt, task_id);
	change->outlets = outlets;
	change->task_id = strdup(task_id);
	return change;
}

static struct ql_change *
delivered_up_to(enum ql_outlet_kind outlet, int64_t first, int64_t last)
{
	struct ql_change *change = kit_change(QL_CHANGE_DELIVERED, "");
	change->outlet = outlet;
	change->letter = first;
	change->letter_last = last;
	return change;
}

static struct ql_change *
delivered(enum ql_outlet_kind outlet, int64_t number)
{
	return delivered_up_to(outlet, number, number);
}

static void
read_outbox(struct kit *kit, struct ql_store_read *op, enum ql_outlet_kind outlet)
{
	op->kind = QL_READ_OUTBOX;
	op->filter.outlet = outlet;
	if (kit_read(kit, op))
		fail_msg("%s", kit->err.text);
}

/* The eval_ids of an outlet's letters, with blanks between. */
static const char *
letters(struct kit *kit, enum ql_outlet_kind outlet)
{
	static char text[1024];
	struct ql_store_read op = {0};
	size_t len = 0;
	read_outbox(kit, &op, outlet);
	text[0] = 0;
	for (size_t i = 0; i < op.letter_count && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
			op.letters[i].eval_id);
	assert_true(len < sizeof(text));
	ql_store_read_done(&op);
	return text;
}

static int64_t
number_of(struct kit *kit, enum ql_outlet_kind outlet, const char *eval_id)
{
	struct ql_store_read op = {0};
	int64_t number = 0;
	read_outbox(kit, &op, outlet);
	for (size_t i = 0; i < op.letter_count; i++) {
		if (!strcmp(op.letters[i].eval_id, eval_id))
			number = op.letters[i].number;
	}
	ql_store_read_done(&op);
	assert_true(number > 0);
	return number;
}

static void
submit(struct kit *kit, const char *eval_id)
{
	kit_ok(kit, kit_new(eval_id, 1000));
}

static void
says_how_it_was_settled(void **state)
{
	struct kit *kit = *state;
	submit(kit, "one");
	struct ql_change *change = settled(kit, "one", 1005, QL_STATUS_CANCELLED, STORAGE);
	change->record.error = strdup("Task cancelled by user");
	kit_ok(kit, change);
	struct ql_store_read op = {0};
	read_outbox(kit, &op, QL_OUTLET_STORAGE);
	assert_int_equal(op.letter_count, 1);
	const struct ql_letter *letter = &op.letters[0];
	assert_string_equal(letter->eval_id, "one");
	assert_string_equal(letter->task_id, "celery-one");
	assert_string_equal(letter->error, "Task cancelled by user");
	assert_int_equal(letter->attempt, 1);
	assert_int_equal(letter->status, QL_STATUS_CANCELLED);
	assert_int_equal(letter->finished_at, 1005);
	ql_store_read_done(&op);
}

static void
keeps_each_outlets_own(void **state)
{
	struct kit *kit = *state;
	submit(kit, "one");
	submit(kit, "two");
	submit(kit, "three");
	kit_ok(kit, settled(kit, "one", 1001, QL_STATUS_SUCCEEDED, STORAGE | RESULTS));
	kit_ok(kit, settled(kit, "two", 1002, QL_STATUS_FAILED, RESULTS));
	kit_ok(kit, settled(kit, "three", 1003, QL_STATUS_SUCCEEDED, 0));
	assert_string_equal(letters(kit, QL_OUTLET_STORAGE), "one");
	assert_string_equal(letters(kit, QL_OUTLET_RESULTS), "one two");
	kit_ok(kit, delivered(QL_OUTLET_RESULTS, number_of(kit, QL_OUTLET_RESULTS, "one")));
	assert_string_equal(letters(kit, QL_OUTLET_STORAGE), "one");
	assert_string_equal(letters(kit, QL_OUTLET_RESULTS), "two");
}

/* Many at once, and among them none of another outlet's. */
static void
removes_those_from_one_to_another(void **state)
{
	struct kit *kit = *state;
	static const char *const names[] = {"a", "b", "c", "d", "e"};
	for (int i = 0; i < 5; i++) {
		submit(kit, names[i]);
		kit_ok(kit, settled(kit, names[i], 2000 + i, QL_STATUS_FAILED, STORAGE | RESULTS));
	}
	kit_ok(kit, delivered_up_to(QL_OUTLET_STORAGE, number_of(kit, QL_OUTLET_STORAGE, "b"),
			    number_of(kit, QL_OUTLET_STORAGE, "d")));
	assert_string_equal(letters(kit, QL_OUTLET_STORAGE), "a e");
	assert_string_equal(letters(kit, QL_OUTLET_RESULTS), "a b c d e");
}

/* By the commit in which they come, too. */
static void
removes_what_came_just_before(void **state)
{
	struct kit *kit = *state;
	submit(kit, "one");
	submit(kit, "two");
	kit_ok(kit, settled(kit, "one", 1001, QL_STATUS_FAILED, STORAGE));
	int64_t number = number_of(kit, QL_OUTLET_STORAGE, "one");
	struct ql_change *changes = settled(kit, "two", 1002, QL_STATUS_FAILED, STORAGE | RESULTS);
	kit_add(&changes, delivered_up_to(QL_OUTLET_STORAGE, number, number + 2));
	kit_ok(kit, changes);
	assert_string_equal(letters(kit, QL_OUTLET_STORAGE), "");
	assert_string_equal(letters(kit, QL_OUTLET_RESULTS), "two");
}

static void
reads_them_oldest_first_and_piece_by_piece(void **state)
{
	struct kit *kit = *state;
	static const char *const names[] = {"e", "d", "c", "b", "a"};
	for (int i = 0; i < 5; i++) {
		submit(kit, names[i]);
		kit_ok(kit, settled(kit, names[i], 2000 - i, QL_STATUS_FAILED, STORAGE));
	}
	assert_string_equal(letters(kit, QL_OUTLET_STORAGE), "e d c b a");
	struct ql_store_read op = {.filter.limit = 2};
	int64_t last = 0;
	for (size_t i = 0; i < 5;) {
		read_outbox(kit, &op, QL_OUTLET_STORAGE);
		assert_int_equal(op.letter_count, i < 4 ? 2 : 1);
		for (size_t j = 0; j < op.letter_count; j++, i++) {
			assert_string_equal(op.letters[j].eval_id, names[i]);
			assert_true(op.letters[j].number > last);
			last = op.letters[j].number;
		}
		op.filter.cursor = last;
		ql_store_read_done(&op);
	}
	read_outbox(kit, &op, QL_OUTLET_STORAGE);
	assert_int_equal(op.letter_count, 0);
	ql_store_read_done(&op);
}

static void
has_one_for_each_attempt(void **state)
{
	struct kit *kit = *state;
	submit(kit, "one");
	kit_ok(kit, settled(kit, "one", 1001, QL_STATUS_CANCELLED, STORAGE));
	struct ql_change *again = kit_status(kit, "one", 1002, QL_STATUS_QUEUED);
	again->record.state.attempt = 2;
	kit_ok(kit, again);
	kit_ok(kit, settled(kit, "one", 1003, QL_STATUS_SUCCEEDED, STORAGE));
	struct ql_store_read op = {0};
	read_outbox(kit, &op, QL_OUTLET_STORAGE);
	assert_int_equal(op.letter_count, 2);
	assert_int_equal(op.letters[0].status, QL_STATUS_CANCELLED);
	assert_int_equal(op.letters[1].attempt, 2);
	assert_int_equal(op.letters[1].status, QL_STATUS_SUCCEEDED);
	assert_string_equal(op.letters[1].task_id, "celery-one~2");
	ql_store_read_done(&op);
}

static void
tells_of_one_that_was_over_when_it_came(void **state)
{
	struct kit *kit = *state;
	struct ql_change *change = kit_new("one", 1000);
	change->record.state.status = QL_STATUS_FAILED;
	change->record.error = strdup("it could not be sent");
	change->outlets = STORAGE;
	change->task_id = strdup("celery-one");
	kit_ok(kit, change);
	assert_string_equal(letters(kit, QL_OUTLET_STORAGE), "one");
}

static void
comes_with_its_settlement_or_not_at_all(void **state)
{
	struct kit *kit = *state;
	submit(kit, "one");
	struct ql_change *changes = settled(kit, "one", 1001, QL_STATUS_CANCELLED, STORAGE);
	kit_add(&changes, kit_change(QL_CHANGE_FORGET, "nobody"));
	kit_refused(kit, changes, QL_E_NOT_FOUND);
	assert_string_equal(letters(kit, QL_OUTLET_STORAGE), "");
	kit_ok(kit, settled(kit, "one", 1002, QL_STATUS_CANCELLED, STORAGE));
	changes = delivered(QL_OUTLET_STORAGE, number_of(kit, QL_OUTLET_STORAGE, "one"));
	kit_add(&changes, kit_change(QL_CHANGE_FORGET, "nobody"));
	kit_refused(kit, changes, QL_E_NOT_FOUND);
	assert_string_equal(letters(kit, QL_OUTLET_STORAGE), "one");
}

static void
says_nothing_of_what_is_not_settled(void **state)
{
	struct kit *kit = *state;
	submit(kit, "one");
	kit_refused(kit, settled(kit, "one", 1001, QL_STATUS_UNCONFIRMED, STORAGE), QL_E_INTERNAL);
	struct ql_record record = kit_get(kit, "one");
	assert_int_equal(record.state.status, QL_STATUS_QUEUED);
	ql_record_done(&record);
}

static void
tells_webhooks_alone_of_what_is_unconfirmed(void **state)
{
	struct kit *kit = *state;
	submit(kit, "one");
	kit_ok(kit, settled(kit, "one", 1001, QL_STATUS_UNCONFIRMED, WEBHOOKS));
	assert_string_equal(letters(kit, QL_OUTLET_WEBHOOKS), "one");
	kit_refused(kit, settled(kit, "one", 1002, QL_STATUS_RUNNING, WEBHOOKS), QL_E_INTERNAL);
	kit_ok(kit, settled(kit, "one", 1003, QL_STATUS_CANCELLED, STORAGE | WEBHOOKS));
	assert_string_equal(letters(kit, QL_OUTLET_WEBHOOKS), "one one");
}

/* Whose trace it belongs to, for instance. */
static void
brings_the_labels_while_the_evaluation_is_there(void **state)
{
	struct kit *kit = *state;
	struct ql_store_read op = {0};
	struct ql_change *change = kit_new("one", 1000);
	free(change->record.labels);
	change->record.labels = strdup("{\"team\":\"ml\"}");
	kit_ok(kit, change);
	kit_ok(kit, settled(kit, "one", 1001, QL_STATUS_SUCCEEDED, STORAGE));
	read_outbox(kit, &op, QL_OUTLET_STORAGE);
	assert_string_equal(op.letters[0].labels, "{\"team\":\"ml\"}");
	ql_store_read_done(&op);
	kit_ok(kit, kit_change(QL_CHANGE_FORGET, "one"));
	read_outbox(kit, &op, QL_OUTLET_STORAGE);
	assert_null(op.letters[0].labels);
	ql_store_read_done(&op);
}

static void
outlives_what_it_tells_of(void **state)
{
	struct kit *kit = *state;
	submit(kit, "one");
	kit_ok(kit, settled(kit, "one", 1001, QL_STATUS_SUCCEEDED, STORAGE));
	kit_ok(kit, kit_change(QL_CHANGE_FORGET, "one"));
	assert_string_equal(letters(kit, QL_OUTLET_STORAGE), "one");
}

/* A removal that is asked for again, as nobody heard that it was done, must not take another one. */
static void
never_uses_a_number_again(void **state)
{
	struct kit *kit = *state;
	submit(kit, "one");
	kit_ok(kit, settled(kit, "one", 1001, QL_STATUS_SUCCEEDED, STORAGE));
	int64_t number = number_of(kit, QL_OUTLET_STORAGE, "one");
	kit_ok(kit, delivered(QL_OUTLET_STORAGE, number));
	submit(kit, "two");
	kit_ok(kit, settled(kit, "two", 1002, QL_STATUS_SUCCEEDED, STORAGE));
	kit_ok(kit, delivered(QL_OUTLET_STORAGE, number));
	assert_string_equal(letters(kit, QL_OUTLET_STORAGE), "two");
}

static void
counts_them_when_it_is_opened(void **state)
{
	struct kit *kit = *state;
	submit(kit, "one");
	submit(kit, "two");
	kit_ok(kit, settled(kit, "one", 1001, QL_STATUS_SUCCEEDED, STORAGE | RESULTS));
	kit_ok(kit, settled(kit, "two", 1001, QL_STATUS_SUCCEEDED, STORAGE));
	kit_shut(kit);
	assert_int_equal(kit_reopen(kit), 0);
	bool lasts = strstr(kit->kind, "sqlite") != NULL;
	assert_int_equal(kit->store->facts.backlog[QL_OUTLET_STORAGE], lasts ? 2 : 0);
	assert_int_equal(kit->store->facts.backlog[QL_OUTLET_RESULTS], lasts ? 1 : 0);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		KIT_CASE(says_how_it_was_settled),
		KIT_CASE(keeps_each_outlets_own),
		KIT_CASE(removes_those_from_one_to_another),
		KIT_CASE(removes_what_came_just_before),
		KIT_CASE(reads_them_oldest_first_and_piece_by_piece),
		KIT_CASE(has_one_for_each_attempt),
		KIT_CASE(tells_of_one_that_was_over_when_it_came),
		KIT_CASE(comes_with_its_settlement_or_not_at_all),
		KIT_CASE(says_nothing_of_what_is_not_settled),
		KIT_CASE(tells_webhooks_alone_of_what_is_unconfirmed),
		KIT_CASE(brings_the_labels_while_the_evaluation_is_there),
		KIT_CASE(outlives_what_it_tells_of),
		KIT_CASE(never_uses_a_number_again),
		KIT_CASE(counts_them_when_it_is_opened),
	};
	return kit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
