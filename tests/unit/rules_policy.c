/* Policies: what is refused, what a rule adds to its selector, and whom it picks in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/choice.h"
#include "rules/ledger.h"

static struct ql_rule
rule_of(const char *text)
{
	struct ql_rule rule;
	struct ql_rule_fault fault;
	struct ql_err err = {0};
	bool confirm;
	json_t *json = json_loads(text, 0, NULL);
	assert_non_null(json);
	if (ql_rule_ask(json, "user:a", 1000, &rule, &confirm, &fault, &err))
		fail_msg("%s: %s", text, err.text);
	json_decref(json);
	return rule;
}

static void
refused(const char *text, const char *field, const char *why)
{
	struct ql_rule rule;
	struct ql_rule_fault fault;
	struct ql_err err = {0};
	bool confirm;
	json_t *json = json_loads(text, 0, NULL);
	assert_non_null(json);
	assert_int_equal(ql_rule_ask(json, "user:a", 1000, &rule, &confirm, &fault, &err), -1);
	assert_string_equal(fault.field, field);
	if (!strstr(err.text, why))
		fail_msg("%s", err.text);
	json_decref(json);
}

#define RULE(selector, trigger) \
	"{\"name\":\"p\",\"selector\":\"" selector "\",\"trigger\":" trigger "}"
#define LATE "{\"kind\":\"run_deadline\",\"after_s\":10}"

static void
bad_ones_are_refused(void **state)
{
	(void)state;
	refused("{\"name\":\"p\",\"trigger\":" LATE "}", "selector", "needs a selector");
	refused(RULE("queue=", LATE), "selector", "column 7");
	refused(RULE("status=queued", LATE), "selector", "can't all hold");
	refused(RULE("took<5s", LATE), "selector", "can't all hold");
	refused(RULE("queue=a", "{\"kind\":\"soon\"}"), "trigger.kind", "run_deadline");
	refused(RULE("queue=a", "{\"kind\":\"run_deadline\"}"), "trigger.after_s", "a number");
	refused(RULE("queue=a", "{\"kind\":\"superseded\",\"key\":\"owner\"}"), "trigger.key",
		"label.NAME");
	refused(RULE("queue=a",
			"{\"kind\":\"overload\",\"measure\":\"load\",\"high\":2,\"low\":2}"),
		"trigger.low", "isn't below");
	refused("{\"name\":\"p\",\"selector\":\"queue=a\",\"trigger\":" LATE
		",\"mode\":\"kill\",\"grace_s\":1}",
		"grace_s", "contradicts");
}

static void
it_reads_what_it_wrote(void **state)
{
	struct ql_rule rule = rule_of(RULE(
			       "queue=a", "{\"kind\":\"budget\",\"cpu_s\":1.5,\"window_s\":3600}")),
		       read;
	struct ql_err err = {0};
	(void)state;
	char *text = ql_rule_text(&rule);
	assert_int_equal(ql_rule_parse(text, &read, &err), 0);
	char *again = ql_rule_text(&read);
	assert_string_equal(text, again);
	assert_string_equal(read.created_by, "user:a");
	free(text);
	free(again);
	ql_rule_done(&rule);
	ql_rule_done(&read);
}

static double
level(void *arg, enum ql_measure measure)
{
	(void)measure;
	return *(const double *)arg;
}

static void
a_late_run_is_picked(void **state)
{
	struct ql_rule rule = rule_of(RULE("queue=a", LATE));
	struct ql_choice choice;
	struct ql_facts facts = {0};
	struct ql_record record = {.state = {.started_at = 5000}};
	char why[QL_REASON_MAX];
	int64_t at;
	(void)state;
	assert_true(ql_choice_begin(&choice, &rule, &facts, 14000, 5, NULL));
	assert_false(ql_choice_pick(&choice, &record, &at, why));
	choice.now = 17500;
	assert_true(ql_choice_pick(&choice, &record, &at, why));
	assert_string_equal(why, "it has run for 12.5 s, longer than the 10 s that are allowed");
	choice.past = true;
	record.state.finished_at = 16000;
	assert_true(ql_choice_pick(&choice, &record, &at, why));
	assert_int_equal(at, 15000);
	ql_choice_done(&choice);
	ql_rule_done(&rule);
}

static void
the_older_of_a_key_are_picked(void **state)
{
	struct ql_rule rule =
		rule_of(RULE("queue=a", "{\"kind\":\"superseded\",\"key\":\"label.b\"}"));
	struct ql_choice choice;
	struct ql_facts facts = {0};
	char alice[] = "alice", bob[] = "bob", one[] = "{\"b\":\"x\"}", none[] = "{}";
	struct ql_record newer = {.eval_id = "n", .owner = alice, .labels = one};
	struct ql_record older = {.eval_id = "o", .owner = alice, .labels = one};
	struct ql_record other = {.eval_id = "p", .owner = bob, .labels = one};
	struct ql_record plain = {.eval_id = "q", .owner = alice, .labels = none};
	char why[QL_REASON_MAX];
	int64_t at;
	(void)state;
	assert_true(ql_choice_begin(&choice, &rule, &facts, 1000, 5, NULL));
	assert_false(ql_choice_pick(&choice, &newer, &at, why));
	assert_false(ql_choice_pick(&choice, &other, &at, why));
	assert_false(ql_choice_pick(&choice, &plain, &at, why));
	assert_false(ql_choice_pick(&choice, &plain, &at, why));
	assert_true(ql_choice_pick(&choice, &older, &at, why));
	assert_string_equal(why, "n is newer, of the same owner and the same label.b (x)");
	ql_choice_done(&choice);
	ql_rule_done(&rule);
}

static void
an_overload_goes_on_until_its_low_mark(void **state)
{
	struct ql_rule rule = rule_of(RULE("queue=a",
		"{\"kind\":\"overload\",\"measure\":\"queue_depth\",\"high\":10,\"low\":4}"));
	double now = 9;
	struct ql_shedding shedding = {0};
	struct ql_choice choice;
	struct ql_facts facts = {.level = level, .arg = &now};
	(void)state;
	assert_false(ql_choice_begin(&choice, &rule, &facts, 1000, 500, &shedding));
	now = 12;
	assert_true(ql_choice_begin(&choice, &rule, &facts, 1000, 500, &shedding));
	assert_int_equal(choice.room, 8);
	now = 5;
	assert_true(ql_choice_begin(&choice, &rule, &facts, 1000, 500, &shedding));
	assert_int_equal(choice.room, 1);
	now = 4;
	assert_false(ql_choice_begin(&choice, &rule, &facts, 1000, 500, &shedding));
	now = 9;
	assert_false(ql_choice_begin(&choice, &rule, &facts, 1000, 500, &shedding));
	ql_rule_done(&rule);
}

static void
what_falls_by_itself_is_left_to_fall(void **state)
{
	struct ql_rule rule = rule_of(RULE(
		"queue=a", "{\"kind\":\"overload\",\"measure\":\"load\",\"high\":3,\"low\":1}"));
	static const struct {
		double level;
		bool picks;
	} looks[] = {{2, false}, {3, true}, {3.5, true}, {2.9, false}, {2, false}, {2, true},
		{1.995, true}, {1, false}, {2.5, false}, {3, true}};
	double now;
	struct ql_shedding shedding = {0};
	struct ql_choice choice;
	struct ql_facts facts = {.level = level, .arg = &now};
	(void)state;
	for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++) {
		now = looks[i].level;
		assert_int_equal(ql_choice_begin(&choice, &rule, &facts, 1000, 500, &shedding),
			looks[i].picks);
		assert_true(!looks[i].picks || choice.room == 1);
	}
	ql_rule_done(&rule);
}

static void
the_ledger_forgets_by_the_minute(void **state)
{
	struct ql_ledger *ledger = NULL;
	int64_t minute = 60000, start = 1000 * minute;
	(void)state;
	ql_ledger_add(&ledger, "alice", start, 5);
	ql_ledger_add(&ledger, "alice", start + minute, 7);
	ql_ledger_add(&ledger, "bob", start + minute, 20);
	assert_int_equal(ql_ledger_used(ledger, "alice", start + minute, 2 * minute), 12);
	assert_int_equal(ql_ledger_used(ledger, "alice", start + minute, minute), 7);
	assert_int_equal(ql_ledger_used(ledger, "alice", start + 9 * minute, 5 * minute), 0);
	assert_int_equal(ql_ledger_used(ledger, "carol", start, minute), 0);
	assert_int_equal(ql_ledger_most(ledger, start + minute, minute), 20);
	ql_ledger_free(ledger);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_ones_are_refused),
		cmocka_unit_test(it_reads_what_it_wrote),
		cmocka_unit_test(a_late_run_is_picked),
		cmocka_unit_test(the_older_of_a_key_are_picked),
		cmocka_unit_test(an_overload_goes_on_until_its_low_mark),
		cmocka_unit_test(what_falls_by_itself_is_left_to_fall),
		cmocka_unit_test(the_ledger_forgets_by_the_minute),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
