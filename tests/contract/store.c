/* The store's contract: the same cases for each driver; argv[1] says which. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store_kit.h"

static const char *kind;

static int
setup(void **state)
{
	*state = calloc(1, sizeof(struct kit));
	kit_open(*state, kind);
	return 0;
}

static int
teardown(void **state)
{
	kit_close(*state);
	free(*state);
	return 0;
}

static void
ok(struct kit *kit, struct ql_change *changes)
{
	if (kit_commit(kit, changes))
		fail_msg("%s", kit->err.text);
}

static void
refused(struct kit *kit, struct ql_change *changes, enum ql_code code)
{
	assert_int_equal(kit_commit(kit, changes), -1);
	if (kit->err.code != code)
		fail_msg("%s, not %s: %s", ql_code_name(kit->err.code), ql_code_name(code),
			kit->err.text);
	assert_true(strncmp(kit->err.text, "couldn't commit", 15) == 0);
}

/* ---- evaluations ---- */

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
	record->actor = strdup("user:bob");
	record->reason = strdup("because");
	record->priority = 9;
	struct ql_record sent;
	assert_int_equal(ql_record_copy(&sent, record), 0);
	ok(kit, change);

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
	SAME(actor)
	SAME(reason)
#undef SAME
	ql_record_done(&kept);
	ql_record_done(&sent);
}

static void
refuses_an_id_that_exists_and_drops_the_whole_commit(void **state)
{
	struct kit *kit = *state;
	ok(kit, kit_new("one", 1000));
	struct ql_change *changes = kit_new("two", 1001);
	kit_add(&changes, kit_new("one", 1002));
	refused(kit, changes, QL_E_CONFLICT);
	struct ql_store_read op = {.kind = QL_READ_LIST};
	assert_string_equal(kit_ids(kit, &op), "one");
}

static void
keeps_settled_for_ever(void **state)
{
	struct kit *kit = *state;
	struct ql_change *changes = kit_new("one", 1000);
	kit_add(&changes, kit_new("two", 1000));
	ok(kit, changes);
	ok(kit, kit_cancelled(kit, "one", 2000));
	ok(kit, kit_status(kit, "one", 3000, QL_STATUS_CANCELLED));
	changes = kit_status(kit, "two", 4000, QL_STATUS_FAILED);
	kit_add(&changes, kit_status(kit, "one", 4000, QL_STATUS_SUCCEEDED));
	refused(kit, changes, QL_E_INTERNAL);
	struct ql_store_read op = {
		.kind = QL_READ_LIST, .filter = {.statuses = 1u << QL_STATUS_CANCELLED}};
	assert_string_equal(kit_ids(kit, &op), "one");
	op = (struct ql_store_read){
		.kind = QL_READ_LIST, .filter = {.statuses = 1u << QL_STATUS_QUEUED}};
	assert_string_equal(kit_ids(kit, &op), "two");
}

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
	ok(kit, changes);
	struct ql_store_read op = {.kind = QL_READ_CLAIMABLE, .filter = {.limit = 4}};
	assert_string_equal(kit_ids(kit, &op), "b d a e");
}

int
main(int argc, char **argv)
{
	kind = argc > 1 ? argv[1] : "memory";
	static const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(keeps_all_of_a_new_one),
		CASE(refuses_an_id_that_exists_and_drops_the_whole_commit),
		CASE(keeps_settled_for_ever),
		CASE(orders_claims_by_priority_then_age),
	};
	return cmocka_run_group_tests_name(kind, tests, NULL, NULL);
}
