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
	struct ql_fault fault;
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
	struct ql_fault fault;
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

#define MINUTE 60000LL
#define START (1000 * MINUTE)

static void
spend(struct ql_ledger *ledger, const char *owner, int64_t from, int64_t to, int64_t cpu_us)
{
	struct ql_spell spell = {owner, from, to, cpu_us};
	assert_int_equal(ql_ledger_add(ledger, &spell), 0);
}

static void
the_ledger_forgets_by_the_minute(void **state)
{
	struct ql_ledger *ledger = ql_ledger_new(1);
	(void)state;
	spend(ledger, "alice", START, START, 5);
	spend(ledger, "alice", START + MINUTE, START + MINUTE, 7);
	spend(ledger, "bob", START + MINUTE, START + MINUTE, 20);
	assert_int_equal(ql_ledger_used(ledger, "alice", START + MINUTE, 2 * MINUTE), 12);
	assert_int_equal(ql_ledger_used(ledger, "alice", START + MINUTE, MINUTE), 7);
	assert_int_equal(ql_ledger_used(ledger, "alice", START + 9 * MINUTE, 5 * MINUTE), 0);
	assert_int_equal(ql_ledger_used(ledger, "carol", START, MINUTE), 0);
	assert_int_equal(ql_ledger_most(ledger, START + MINUTE, MINUTE), 20);
	spend(ledger, "alice", START + 3000 * MINUTE, START + 3000 * MINUTE, 1);
	assert_int_equal(ql_ledger_used(ledger, "alice", START + 3000 * MINUTE, 1440 * MINUTE), 1);
	ql_ledger_free(ledger);
}

static void
a_long_run_is_spread_over_its_minutes(void **state)
{
	struct ql_ledger *ledger = ql_ledger_new(1);
	struct ql_spell spell = {"alice", START, START + 10 * MINUTE, 1000};
	struct ql_spell week = {"bob", START, START + 7 * 1440 * MINUTE, 7000};
	(void)state;
	assert_int_equal(ql_ledger_add(ledger, &spell), 0);
	assert_int_equal(ql_ledger_used(ledger, "alice", START + 10 * MINUTE, 11 * MINUTE), 1000);
	assert_int_equal(ql_ledger_used(ledger, "alice", START + 9 * MINUTE, 3 * MINUTE), 300);
	ql_ledger_take_back(ledger, &spell);
	assert_int_equal(ql_ledger_used(ledger, "alice", START + 10 * MINUTE, 60 * MINUTE), 0);
	assert_int_equal(ql_ledger_add(ledger, &week), 0);
	int64_t day = ql_ledger_used(ledger, "bob", week.to, 1440 * MINUTE);
	assert_true(day > 990 && day <= 1000);
	ql_ledger_free(ledger);
}

static void
what_runs_counts_within_the_window(void **state)
{
	struct ql_ledger *ledger = ql_ledger_new(1);
	struct ql_spell runs[] = {{"alice", START, START + 10 * MINUTE, 1000},
		{"bob", START + 9 * MINUTE, START + 10 * MINUTE, 50},
		{"alice", START + 9 * MINUTE, START + 10 * MINUTE, 1}};
	(void)state;
	ql_ledger_run(ledger, runs, 3);
	assert_int_equal(ql_ledger_used(ledger, "alice", START + 10 * MINUTE, MINUTE), 101);
	assert_int_equal(ql_ledger_most(ledger, START + 10 * MINUTE, 60 * MINUTE), 1001);
	ql_ledger_run(ledger, runs + 1, 1);
	assert_int_equal(ql_ledger_used(ledger, "alice", START + 10 * MINUTE, 60 * MINUTE), 0);
	assert_int_equal(ql_ledger_used(ledger, "bob", START + 10 * MINUTE, 60 * MINUTE), 50);
	ql_ledger_free(ledger);
}

/* As a store would keep them: by id, the later one in the place of the earlier. */
struct shelf {
	size_t count;
	char ids[8][QL_LEDGER_ID];
	char texts[8][128];
};

static int
put(void *arg, const char *id, const char *text)
{
	struct shelf *shelf = arg;
	size_t at = 0;
	while (at < shelf->count && strcmp(shelf->ids[at], id) != 0)
		at++;
	assert_true(at < 8);
	shelf->count += at == shelf->count;
	snprintf(shelf->ids[at], sizeof(shelf->ids[at]), "%s", id);
	snprintf(shelf->texts[at], sizeof(shelf->texts[at]), "%s", text);
	return 0;
}

static struct ql_ledger *
next_life(const struct shelf *shelf, int64_t life)
{
	struct ql_ledger *ledger = ql_ledger_new(life);
	struct ql_err err;
	for (size_t i = 0; i < shelf->count; i++)
		assert_int_equal(ql_ledger_load(ledger, shelf->texts[i], &err), 0);
	return ledger;
}

static void
the_ledger_outlives_the_server(void **state)
{
	struct shelf shelf = {0};
	struct ql_spell spell = {"alice", START, START + 2 * MINUTE, 120};
	char oldest[QL_LEDGER_ID];
	struct ql_err err;
	(void)state;
	for (int64_t life = 1; life <= 3; life++) {
		struct ql_ledger *ledger = next_life(&shelf, life);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(ql_ledger_add(ledger, &spell), 0);
			assert_int_equal(ql_ledger_documents(ledger, &spell, put, &shelf), 0);
		}
		assert_int_equal(shelf.count, 2 * life);
		assert_int_equal(ql_ledger_used(ledger, "alice", spell.to, 5 * MINUTE), 240 * life);
		ql_ledger_oldest(START + 1439 * MINUTE, oldest);
		assert_true(strcmp(shelf.ids[0], oldest) > 0);
		ql_ledger_oldest(START + 1441 * MINUTE, oldest);
		assert_true(strcmp(shelf.ids[0], oldest) < 0);
		assert_int_equal(ql_ledger_load(ledger, "{}", &err), -1);
		ql_ledger_free(ledger);
	}
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
		cmocka_unit_test(a_long_run_is_spread_over_its_minutes),
		cmocka_unit_test(what_runs_counts_within_the_window),
		cmocka_unit_test(the_ledger_outlives_the_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
