/* The store that fails on demand, over each of the others; argv[1] says which. */
#include <string.h>

#include "store_kit.h"

static bool
is_there(struct kit *kit, const char *eval_id)
{
	struct ql_record record = kit_get(kit, eval_id);
	bool is = record.eval_id[0] != 0;
	ql_record_done(&record);
	return is;
}

static void
fails_before_it_is_durable(void **state)
{
	struct kit *kit = *state;
	kit->faults.fail_before = 2;
	kit_ok(kit, kit_new("one", 1000));
	kit_refused(kit, kit_new("two", 1001), QL_E_DISK_FULL);
	kit_ok(kit, kit_new("three", 1002));
	assert_true(is_there(kit, "one"));
	assert_false(is_there(kit, "two"));
	assert_true(is_there(kit, "three"));
}

static void
fails_after_it_is_durable(void **state)
{
	struct kit *kit = *state;
	kit->faults.fail_after = 2;
	kit_ok(kit, kit_new("one", 1000));
	kit_refused(kit, kit_new("two", 1001), QL_E_UNAVAILABLE);
	kit_refused(kit, kit_new("two", 1001), QL_E_CONFLICT);
	assert_true(is_there(kit, "two"));
}

static void
fails_as_often_as_asked(void **state)
{
	struct kit *kit = *state;
	kit->faults.fail_before = 1;
	kit->faults.fail_count = 3;
	for (int i = 0; i < 3; i++)
		kit_refused(kit, kit_new("one", 1000), QL_E_DISK_FULL);
	kit_ok(kit, kit_new("one", 1000));
	kit->faults = (struct ql_store_faults){.fail_after = 6};
	kit_ok(kit, kit_new("two", 1000));
	kit_refused(kit, kit_new("three", 1000), QL_E_UNAVAILABLE);
	assert_true(is_there(kit, "three"));
}

static void
fails_reads_until_told_otherwise(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	kit->faults.fail_reads = true;
	struct ql_store_read op = {.kind = QL_READ_LIST};
	assert_int_equal(kit_read(kit, &op), -1);
	assert_int_equal(kit->err.code, QL_E_UNAVAILABLE);
	kit->faults.fail_reads = false;
	assert_string_equal(kit_ids(kit, &op), "one");
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		KIT_CASE(fails_before_it_is_durable),
		KIT_CASE(fails_after_it_is_durable),
		KIT_CASE(fails_as_often_as_asked),
		KIT_CASE(fails_reads_until_told_otherwise),
	};
	return kit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
