/* Which marks make an orphan, and what is done about one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "rules/keep.h"
#include "rules/orphan.h"

#define BIT(mark) (1u << QL_MARK_##mark)
#define MINUTE 60000

static enum ql_orphan_verdict
judge(uint32_t marks, bool recorded, int64_t age_ms, int64_t known_ms, int looks)
{
	struct ql_trace trace = {.marks = marks, .age_ms = age_ms};
	struct ql_orphan_facts facts = {
		.recorded = recorded, .known_ms = known_ms, .min_age_ms = MINUTE, .looks = looks};
	return ql_orphan_judge(&trace, &facts);
}

/* Every pair: sure exactly where one of the two is this server's own. */
static void
test_two_marks_and_one_of_them_ours(void **state)
{
	(void)state;
	const uint32_t ours =
		BIT(LEAF) | BIT(RUNDIR) | BIT(NAME) | BIT(PLACE) | BIT(RUNTIME) | BIT(SETTLED);
	assert_false(ql_orphan_is_sure(0));
	for (int one = 0; one < QL_MARK_COUNT; one++) {
		assert_false(ql_orphan_is_sure(1u << one));
		for (int two = one + 1; two < QL_MARK_COUNT; two++) {
			uint32_t both = 1u << one | 1u << two;
			assert_int_equal(ql_orphan_is_sure(both), (both & ours) != 0);
		}
	}
	assert_false(ql_orphan_is_sure(BIT(ENVIRON) | BIT(NAMESPACE) | BIT(EMPTY) | BIT(SOURCE)));
}

static void
test_verdicts(void **state)
{
	(void)state;
	const uint32_t sure = BIT(ENVIRON) | BIT(LEAF);
	assert_int_equal(judge(sure, true, 10 * MINUTE, MINUTE, 9), QL_ORPHAN_LIVE);
	assert_int_equal(judge(sure, false, MINUTE - 1, 0, 9), QL_ORPHAN_YOUNG);
	assert_int_equal(judge(sure, false, MINUTE, 0, 1), QL_ORPHAN_FRESH);
	assert_int_equal(judge(sure, false, MINUTE, 0, 2), QL_ORPHAN_RIPE);
	assert_int_equal(judge(BIT(ENVIRON), false, MINUTE, 0, 9), QL_ORPHAN_UNSURE);
	/* an age that nobody knows is the time for which it was seen */
	assert_int_equal(judge(sure, false, -1, MINUTE - 1, 2), QL_ORPHAN_YOUNG);
	assert_int_equal(judge(sure, false, -1, MINUTE, 2), QL_ORPHAN_RIPE);
}

static bool
outlived(enum ql_orphan_kind kind, enum ql_status status, bool adopted, int64_t since)
{
	struct ql_trace trace = {.kind = kind, .incarnation = 7, .since = since};
	struct ql_state state = {
		.status = (int32_t)status, .adopted = adopted, .finished_at = 1000};
	return ql_orphan_outlived(&trace, &state);
}

/* What others send too may run again under its id, and that is theirs. */
static void
test_what_outlived_its_record(void **state)
{
	(void)state;
	const enum ql_orphan_kind task = QL_ORPHAN_TASK, box = QL_ORPHAN_CONTAINER;
	for (int status = 0; status < QL_STATUS_COUNT; status++) {
		enum ql_status is = (enum ql_status)status;
		bool cancelled = is == QL_STATUS_CANCELLED;
		assert_int_equal(outlived(task, is, false, 900), cancelled);
		assert_int_equal(outlived(task, is, false, 1100), cancelled);
		assert_false(outlived(task, is, true, 900));
		assert_int_equal(outlived(box, is, false, 900), ql_status_settled(is));
		assert_int_equal(outlived(box, is, true, 900), ql_status_settled(is));
		assert_int_equal(outlived(box, is, false, 1100), cancelled);
		assert_false(outlived(box, is, true, 1100));
		assert_int_equal(outlived(box, is, false, 0), cancelled);
	}
	struct ql_trace known = {.kind = task, .incarnation = 7};
	struct ql_state record = {.status = QL_STATUS_CANCELLED, .adopted = 1};
	record.runs[QL_RUNS - 1].incarnation = 7;
	assert_true(ql_orphan_outlived(&known, &record));
	known.incarnation = 8;
	assert_false(ql_orphan_outlived(&known, &record));
}

static void
test_a_pid_that_changed_hands_is_another(void **state)
{
	(void)state;
	struct ql_trace one = {.kind = QL_ORPHAN_PROCESS, .incarnation = 7, .name = "12@100"};
	struct ql_trace other = one;
	assert_true(ql_trace_is(&one, &other));
	strcpy(other.name, "12@101");
	assert_false(ql_trace_is(&one, &other));
	other = one;
	other.incarnation = 8;
	assert_false(ql_trace_is(&one, &other));
	other = one;
	other.kind = QL_ORPHAN_CGROUP;
	assert_false(ql_trace_is(&one, &other));
}

static void
test_names_of_cgroups(void **state)
{
	(void)state;
	static const char *const not_ours[] = {"", "quell", "quell-", "quell-server",
		"quell-0123456789abcdef", "quell-0123456789abcdef-",
		"quell-0123456789abcdef-00000000000000aG",
		"quell-0123456789abcdef-0000000000000000",
		"quell-0123456789abcdef-00000000000000ab0",
		"quell-0123456789abcde-00000000000000ab",
		"docker-0123456789abcdef-00000000000000ab"};
	char server[QL_ORPHAN_SERVER];
	uint64_t run;
	for (size_t i = 0; i < sizeof(not_ours) / sizeof(*not_ours); i++)
		assert_int_equal(ql_orphan_leaf(not_ours[i], server, &run), -1);
	assert_int_equal(
		ql_orphan_leaf("quell-0123456789abcdef-00000000000000ab", server, &run), 0);
	assert_string_equal(server, "0123456789abcdef");
	assert_int_equal(run, 0xab);
}

static void
test_names_of_kept_folders(void **state)
{
	(void)state;
	char path[128], shard[3], wrong[3], eval_id[QL_EVAL_ID];
	int32_t attempt;
	assert_int_equal(ql_keep_path("", "a~b", 12, NULL, path, sizeof(path)), 0);
	memcpy(shard, path + strlen("/kept/"), 2);
	shard[2] = 0;
	assert_int_equal(ql_orphan_kept(shard, "a~b~12", eval_id, &attempt), 0);
	assert_string_equal(eval_id, "a~b");
	assert_int_equal(attempt, 12);
	snprintf(wrong, sizeof(wrong), "%s", strcmp(shard, "00") ? "00" : "01");
	assert_int_equal(ql_orphan_kept(wrong, "a~b~12", eval_id, &attempt), -1);
	assert_int_equal(ql_orphan_kept(shard, "a~b~012", eval_id, &attempt), -1);
	assert_int_equal(ql_orphan_kept(shard, "a~b~0", eval_id, &attempt), -1);
	assert_int_equal(ql_orphan_kept(shard, "a~b", eval_id, &attempt), -1);
	assert_int_equal(ql_orphan_kept(shard, "~12", eval_id, &attempt), -1);
	assert_int_equal(ql_orphan_kept(shard, "", eval_id, &attempt), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_marks_and_one_of_them_ours),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_what_outlived_its_record),
		cmocka_unit_test(test_a_pid_that_changed_hands_is_another),
		cmocka_unit_test(test_names_of_cgroups),
		cmocka_unit_test(test_names_of_kept_folders),
	};
	return cmocka_run_group_tests_name("orphan", tests, NULL, NULL);
}
