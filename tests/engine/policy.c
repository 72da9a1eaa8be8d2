/* Policies on a real engine: whom they stop, in which order, over a restart too. */
#include <stdlib.h>
#include <string.h>

#include "engine/ask.h"
#include "engine/policy.h"

#define ROUND 7000 /* longer than the time between two rounds of any rule */
#define DAY 86400000LL

#define RULE(name, selector, means, trigger) \
	"{\"name\":\"" name "\",\"selector\":\"" selector "\"," means "\"trigger\":{" trigger "}}"

static void
open_world(struct kit *kit, int32_t workers, double *level)
{
	struct kit_options options = {
		.log = getenv("KIT_LOG") != NULL, .workers = workers, .level = level};
	kit_open(kit, &options);
	kit_start(kit);
	ask_as("alice");
}

/* It was stopped by that rule, for that reason, which the timeline says too. */
static void
check_stopped(struct kit *kit, const char *eval_id, const char *actor, const char *why)
{
	struct ql_record record;
	kit_until_status(kit, eval_id, QL_STATUS_CANCELLED);
	kit_check(kit, ask_read(kit, eval_id, &record));
	assert_string_equal(record.actor, actor);
	if (!strstr(record.reason, why))
		kit_fail(kit, "%s: %s", eval_id, record.reason);
	kit_check(kit, record.state.cause == QL_CAUSE_POLICY);
	kit_check(kit, ask_rows(kit, eval_id, why) == 1);
	kit_check(kit, ask_rows(kit, eval_id, actor) == 1);
	ql_record_done(&record);
}

static bool
has_status(struct kit *kit, const char *eval_id, enum ql_status status)
{
	return kit_state(kit, eval_id)->status == (int32_t)status;
}

static const struct ql_rule_view *
rule(struct kit *kit, const char *name)
{
	const struct ql_rule_view *view = ql_engine_rule(kit->engine, name);
	kit_check(kit, view);
	return view;
}

static bool
has_rule(struct kit *kit, void *arg)
{
	return ql_engine_rule(kit->engine, arg) != NULL;
}

struct rounds {
	const char *name;
	int64_t until;
};

static bool
were_rounds(struct kit *kit, void *arg)
{
	const struct rounds *rounds = arg;
	return rule(kit, rounds->name)->rounds >= rounds->until;
}

/* So many whole rounds of the rule, each at its time. */
static void
pass_rounds(struct kit *kit, const char *name, int count)
{
	while (count--) {
		struct rounds rounds = {name, rule(kit, name)->rounds + 1};
		kit_pass(kit, ROUND);
		kit_until(kit, were_rounds, &rounds, "a round");
	}
}

/* ---- what is late ---- */

static void
a_late_run_is_stopped_with_the_reason(void **state)
{
	static const char late[] = RULE("late", "priority>=0", "\"mode\":\"kill\",",
		"\"kind\":\"run_deadline\",\"after_s\":0.05");
	struct kit kit = {0};
	(void)state;
	ask_world(&kit);
	kit_check(&kit, !ask_rule(&kit, late));
	kit_check(&kit, ask_rule(&kit, late) == QL_E_CONFLICT);
	ask_run(&kit, "e1", "\"after=never\"");
	check_stopped(&kit, "e1", "policy:late", "it has run for");
	kit_restart(&kit);
	ask_run(&kit, "e2", "\"after=never\"");
	check_stopped(&kit, "e2", "policy:late", "it has run for");
	kit_close(&kit);
}

static void
what_waits_for_too_long_is_removed(void **state)
{
	static const char submit[] = "{\"eval_id\":\"%s\",\"queue\":\"%s\",\"command\":[\"x\"]}";
	struct kit kit = {0};
	(void)state;
	open_world(&kit, -1, NULL);
	kit_check(&kit, !ask_submit(&kit, submit, "early", "low"));
	kit_check(&kit, !ask_submit(&kit, submit, "other", "high"));
	kit_check(&kit, !ask_rule(&kit, RULE("ttl", "queue=low", "",
						"\"kind\":\"queue_ttl\",\"after_s\":600")));
	pass_rounds(&kit, "ttl", 1);
	kit_check(&kit, has_status(&kit, "early", QL_STATUS_QUEUED));
	kit_pass(&kit, 600000);
	check_stopped(&kit, "early", "policy:ttl", "it has waited in the queue for 10 min");
	kit_check(&kit, kit_state(&kit, "early")->cancel.outcome == QL_OUTCOME_REMOVED);
	pass_rounds(&kit, "ttl", 1);
	kit_check(&kit, has_status(&kit, "other", QL_STATUS_QUEUED));
	kit_close(&kit);
}

/* It asks, terminates after its grace, and kills after another one. */
static void
a_rule_climbs_as_it_says(void **state)
{
	struct kit kit = {0};
	(void)state;
	ask_world(&kit);
	kit_check(
		&kit, !ask_rule(&kit,
			      RULE("late", "priority>=0",
				      "\"mode\":\"cancel\",\"escalate\":\"kill\",\"grace_s\":0.05,",
				      "\"kind\":\"run_deadline\",\"after_s\":0.01")));
	ask_run(&kit, "e1", "\"after=never\",\"term=ignore\"");
	check_stopped(&kit, "e1", "policy:late", "it has run for");
	kit_check(&kit, kit_state(&kit, "e1")->cancel.mode == QL_MODE_CANCEL);
	kit_check(&kit, kit_state(&kit, "e1")->cancel.outcome == QL_OUTCOME_KILLED);
	kit_close(&kit);
}

/* ---- superseded ---- */

static void
the_older_of_a_label_are_stopped(void **state)
{
	static const char submit[] = "{\"eval_id\":\"%s\",\"labels\":{\"branch\":\"%s\"},"
				     "\"command\":[\"x\"]}";
	struct kit kit = {0};
	(void)state;
	open_world(&kit, -1, NULL);
	kit_check(&kit, !ask_submit(&kit, submit, "a1", "main"));
	kit_check(&kit, !ask_submit(&kit, submit, "other", "feature"));
	ask_as("bob");
	kit_check(&kit, !ask_submit(&kit, submit, "b1", "main"));
	ask_as("alice");
	kit_check(
		&kit, !ask_rule(&kit, RULE("newest", "label.branch=*", "",
					      "\"kind\":\"superseded\",\"key\":\"label.branch\"")));
	pass_rounds(&kit, "newest", 1);
	kit_check(&kit, has_status(&kit, "a1", QL_STATUS_QUEUED));
	kit_check(&kit, !ask_submit(&kit, submit, "a2", "main"));
	kit_check(&kit, !ask_submit(&kit, submit, "a3", "main"));
	kit_pass(&kit, ROUND);
	check_stopped(&kit, "a1", "policy:newest", "a3 is newer, of the same owner and the same");
	check_stopped(&kit, "a2", "policy:newest", "a3 is newer");
	kit_check(&kit, has_status(&kit, "a3", QL_STATUS_QUEUED));
	kit_check(&kit, has_status(&kit, "b1", QL_STATUS_QUEUED));
	kit_check(&kit, has_status(&kit, "other", QL_STATUS_QUEUED));
	kit_close(&kit);
}

/* ---- overload ---- */

static void
submit_with_priority(struct kit *kit, const char *eval_id, int priority)
{
	kit_check(kit, !ask_submit(kit,
			       "{\"eval_id\":\"%s\",\"priority\":%d,\"grace_s\":0,"
			       "\"command\":[\"after=never\",\"term=ignore\"]}",
			       eval_id, priority));
}

static void
a_full_queue_gives_way_from_its_lower_end(void **state)
{
	static const struct {
		const char *eval_id;
		int priority;
	} waiting[] = {{"p5", 5}, {"p1old", 1}, {"p1young", 1}, {"p9", 9}, {"p0", 0}};
	struct kit kit = {0};
	(void)state;
	open_world(&kit, -1, NULL);
	kit_check(&kit, !ask_rule(&kit, RULE("full", "priority<9", "",
						"\"kind\":\"overload\",\"measure\":\"queue_depth\","
						"\"high\":6,\"low\":4")));
	for (size_t i = 0; i < sizeof(waiting) / sizeof(*waiting); i++)
		submit_with_priority(&kit, waiting[i].eval_id, waiting[i].priority);
	pass_rounds(&kit, "full", 2);
	kit_check(&kit, !rule(&kit, "full")->stops);
	submit_with_priority(&kit, "p3", 3);
	kit_pass(&kit, ROUND);
	check_stopped(&kit, "p0", "policy:full", "overload: 6 queued");
	check_stopped(&kit, "p1young", "policy:full", "of those it is the youngest");
	pass_rounds(&kit, "full", 2);
	kit_check(&kit, rule(&kit, "full")->stops == 2);
	kit_restart(&kit);
	char name[] = "full";
	kit_until(&kit, has_rule, name, "the policy to be read");
	kit_check(&kit, rule(&kit, "full")->stops == 2);
	assert_string_equal(rule(&kit, "full")->last_eval_id, "p1young");
	assert_non_null(strstr(rule(&kit, "full")->last_why, "youngest"));
	kit_close(&kit);
}

static bool
is_terminated(struct kit *kit, void *arg)
{
	return ask_rows(kit, arg, "terminate was taken over") != 0;
}

static void
until_terminated(struct kit *kit, const char *eval_id)
{
	kit_until(kit, is_terminated, (void *)(uintptr_t)eval_id, "who gives way is terminated");
}

/* While it is terminated and there yet, no other follows. */
static void
check_nobody_follows(struct kit *kit)
{
	for (int i = 0; i < 3; i++) {
		kit_pass(kit, ROUND);
		for (int turns = 0; turns < 20; turns++)
			kit_turn(kit);
	}
	kit_check(kit, rule(kit, "full")->stops == 1);
}

static void
run_four(struct kit *kit)
{
	submit_with_priority(kit, "p9", 9);
	submit_with_priority(kit, "p1old", 1);
	kit_until_status(kit, "p1old", QL_STATUS_RUNNING);
	submit_with_priority(kit, "p1young", 1);
	submit_with_priority(kit, "p4", 4);
	kit_until_status(kit, "p4", QL_STATUS_RUNNING);
	kit_until_status(kit, "p1young", QL_STATUS_RUNNING);
}

/* One at a time: the next one when that is gone, and the memory has not fallen by itself. */
static void
a_full_host_gives_way_one_by_one(void **state)
{
	double level = 70;
	struct kit kit = {0};
	(void)state;
	open_world(&kit, 4, &level);
	run_four(&kit);
	kit_check(&kit,
		!ask_rule(&kit, RULE("full", "priority<9", "\"mode\":\"terminate\",\"grace_s\":30,",
					"\"kind\":\"overload\",\"measure\":\"memory\","
					"\"high\":90,\"low\":60")));
	pass_rounds(&kit, "full", 2);
	kit_check(&kit, !rule(&kit, "full")->stops);
	level = 95;
	kit_pass(&kit, ROUND);
	until_terminated(&kit, "p1young");
	check_nobody_follows(&kit);
	level = 80; /* it falls: is that enough? */
	kit_pass(&kit, 30000 - 3 * ROUND);
	check_stopped(&kit, "p1young", "policy:full", "overload: 95 % of the memory in use");
	pass_rounds(&kit, "full", 1);
	kit_check(&kit, rule(&kit, "full")->stops == 1);
	kit_pass(&kit, ROUND); /* it stays there */
	until_terminated(&kit, "p1old");
	kit_pass(&kit, 30000);
	check_stopped(&kit, "p1old", "policy:full", "overload: 80 % of the memory in use");
	static const double enough[] = {60, 89, -1}; /* the low mark; below the high one; unknown */
	for (size_t i = 0; i < sizeof(enough) / sizeof(*enough); i++) {
		level = enough[i];
		pass_rounds(&kit, "full", 2);
		kit_check(&kit, rule(&kit, "full")->stops == 2);
	}
	kit_close(&kit);
}

/* ---- a budget ---- */

#define BUDGET \
	RULE("budget", "owner=alice", "\"mode\":\"kill\",", \
		"\"kind\":\"budget\",\"cpu_s\":10,\"window_s\":3600")

static void
spend(struct kit *kit, const char *eval_id, int cpu_ms)
{
	kit_check(kit,
		!ask_submit(kit, "{\"eval_id\":\"%s\",\"command\":[\"cpu=%d\"]}", eval_id, cpu_ms));
	kit_until_status(kit, eval_id, QL_STATUS_SUCCEEDED);
}

static void
who_spent_too_much_is_stopped(void **state)
{
	struct kit kit = {0};
	(void)state;
	open_world(&kit, 4, NULL);
	spend(&kit, "a1", 6000);
	ask_as("bob");
	spend(&kit, "b1", 60000);
	ask_run(&kit, "b2", "\"after=never\"");
	ask_as("alice");
	kit_restart(&kit);
	spend(&kit, "a2", 4000);
	kit_check(&kit, !ask_rule(&kit, BUDGET));
	ask_run(&kit, "a3", "\"after=never\"");
	pass_rounds(&kit, "budget", 2);
	kit_check(&kit, !rule(&kit, "budget")->stops); /* 10 of 10 s */
	kit_check(&kit, !ask_submit(&kit, "{\"eval_id\":\"a4\",\"command\":[\"cpu=100\"]}"));
	check_stopped(&kit, "a3", "policy:budget",
		"runs of alice used 10.1 s of processor time within 60 min, and 10 s are allowed");
	kit_restart(&kit);
	kit_check(&kit, !ask_submit(&kit, "{\"eval_id\":\"a5\",\"command\":[\"after=never\"]}"));
	check_stopped(&kit, "a5", "policy:budget", "used 10.1 s");
	kit_check(&kit, has_status(&kit, "b2", QL_STATUS_RUNNING));
	kit_pass(&kit, 61 * 60000); /* the hour is over; so is b2's */
	ask_run(&kit, "a6", "\"after=never\"");
	pass_rounds(&kit, "budget", 2);
	kit_check(&kit, has_status(&kit, "a6", QL_STATUS_RUNNING));
	kit_close(&kit);
}

static void
send_task(struct kit *kit, const char *eval_id, const char *program)
{
	kit_check(kit,
		!ask_submit(kit, "{\"eval_id\":\"%s\",\"language\":\"python\",\"code\":\"%s\"}",
			eval_id, program));
}

/* What a worker of the broker runs counts while it goes on, and once when it is over. */
static void
tasks_of_workers_count_as_well(void **state)
{
	struct kit kit = {0};
	(void)state;
	kit_open(&kit, &(struct kit_options){.remote = true, .log = getenv("KIT_LOG") != NULL});
	ql_farm_hire(kit.farm, "w1@fake", 4, 16);
	kit_start(&kit);
	ask_as("alice");
	kit_check(&kit, !ask_rule(&kit, BUDGET));
	send_task(&kit, "a1", "after=10 cpu=6000");
	kit_until_status(&kit, "a1", QL_STATUS_SUCCEEDED);
	kit_until_quiet(&kit);
	send_task(&kit, "a2", "after=never cpu=4000");
	kit_until_status(&kit, "a2", QL_STATUS_RUNNING);
	pass_rounds(&kit, "budget", 2);
	kit_check(&kit, has_status(&kit, "a2", QL_STATUS_RUNNING)); /* 10 of 10 s */
	send_task(&kit, "a3", "after=never cpu=100");
	check_stopped(&kit, "a2", "policy:budget", "used 10.1 s");
	kit_until_status(&kit, "a3", QL_STATUS_CANCELLED);
	kit_close(&kit);
}

/* The commit that would have made the run's end durable fails; it is told again. */
static void
what_a_failed_commit_took_back_is_counted_once(void **state)
{
	(void)state;
	for (int number = 1; number <= 4; number++) {
		struct kit kit = {0};
		ask_world(&kit);
		kit_check(&kit, !ask_rule(&kit, BUDGET));
		ask_run(&kit, "a1", "\"after=never\",\"cpu=6000\"");
		struct asking_stop *asking =
			ask_stop_soon(&kit, "a1", &(struct ask_stop){.mode = QL_MODE_KILL});
		kit.faults.fail_before = kit.book.asked + number;
		kit_until_set(&kit, &asking->answered, "the kill is answered");
		asking_free(asking);
		while (!has_status(&kit, "a1", QL_STATUS_CANCELLED)) {
			ask_stop(&kit, "a1", &(struct ask_stop){.mode = QL_MODE_KILL}, NULL, NULL);
			kit_turn(&kit);
		}
		kit_until_quiet(&kit);
		ask_run(&kit, "a2", "\"after=never\"");
		pass_rounds(&kit, "budget", 2);
		kit_check(&kit, has_status(&kit, "a2", QL_STATUS_RUNNING)); /* 6 s, not 12 */
		spend(&kit, "a3", 4001);
		check_stopped(&kit, "a2", "policy:budget", "used 10.001 s");
		kit_close(&kit);
	}
}

/* ---- simulations ---- */

#define SLOW RULE("slow", "queue=low", "", "\"kind\":\"queue_ttl\",\"after_s\":600")

static void
submit_to(struct kit *kit, const char *eval_id, const char *queue)
{
	kit_check(kit, !ask_submit(kit, "{\"eval_id\":\"%s\",\"queue\":\"%s\",\"command\":[\"x\"]}",
			       eval_id, queue));
}

static void
cancel(struct kit *kit, const char *eval_id)
{
	kit_check(kit, !ask_stop(kit, eval_id, &(struct ask_stop){0}, NULL, NULL));
	kit_until_status(kit, eval_id, QL_STATUS_CANCELLED);
}

static void
a_simulation_says_what_then_happens(void **state)
{
	struct kit kit = {0};
	struct ql_trial trial;
	(void)state;
	struct kit_options options = {.workers = -1, .keep_ms = 30 * DAY};
	kit_open(&kit, &options);
	kit_start(&kit);
	ask_as("alice");
	submit_to(&kit, "old", "low");
	kit_pass(&kit, 700 * 1000);
	cancel(&kit, "old");
	submit_to(&kit, "quick", "low");
	cancel(&kit, "quick");
	kit_pass(&kit, 6 * DAY);
	submit_to(&kit, "one", "low");
	submit_to(&kit, "other", "high");
	kit_pass(&kit, 601 * 1000);
	submit_to(&kit, "young", "low");
	ask_trial(&kit, SLOW, 7 * DAY, &trial);
	assert_int_equal(trial.picked, 2); /* one, and old by then */
	assert_int_equal(trial.live, 3);
	assert_true(trial.whole && !trial.only_now);
	ask_trial(&kit, SLOW, 5 * DAY, &trial);
	assert_int_equal(trial.picked, 1);
	ask_trial(&kit, SLOW, 0, &trial);
	assert_int_equal(trial.picked, 1);
	assert_string_equal(trial.sample[0].eval_id, "one");
	kit_check(&kit, has_status(&kit, "one", QL_STATUS_QUEUED));
	kit_check(&kit, !ask_rule(&kit, SLOW));
	check_stopped(&kit, "one", "policy:slow", trial.sample[0].why);
	pass_rounds(&kit, "slow", 1);
	kit_check(&kit, rule(&kit, "slow")->stops == 1);
	kit_close(&kit);
}

/* Of memory nobody knows after whom it is enough: all of them, the first to give way first. */
static void
a_simulation_of_memory_says_all_it_may_come_to(void **state)
{
	static const char full[] = RULE("full", "priority<9", "",
		"\"kind\":\"overload\",\"measure\":\"memory\",\"high\":90,\"low\":60");
	double level = 50;
	struct kit kit = {0};
	struct ql_trial trial;
	(void)state;
	open_world(&kit, 4, &level);
	run_four(&kit);
	ask_trial(&kit, full, 0, &trial);
	assert_int_equal(trial.picked, 0);
	level = 95;
	ask_trial(&kit, full, 7 * DAY, &trial);
	assert_true(trial.at_most && trial.only_now);
	assert_int_equal(trial.picked, 3);
	assert_string_equal(trial.sample[0].eval_id, "p1young");
	assert_string_equal(trial.sample[1].eval_id, "p1old");
	assert_string_equal(trial.sample[2].eval_id, "p4");
	kit_close(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_late_run_is_stopped_with_the_reason),
		cmocka_unit_test(what_waits_for_too_long_is_removed),
		cmocka_unit_test(a_rule_climbs_as_it_says),
		cmocka_unit_test(the_older_of_a_label_are_stopped),
		cmocka_unit_test(a_full_queue_gives_way_from_its_lower_end),
		cmocka_unit_test(a_full_host_gives_way_one_by_one),
		cmocka_unit_test(who_spent_too_much_is_stopped),
		cmocka_unit_test(tasks_of_workers_count_as_well),
		cmocka_unit_test(what_a_failed_commit_took_back_is_counted_once),
		cmocka_unit_test(a_simulation_says_what_then_happens),
		cmocka_unit_test(a_simulation_of_memory_says_all_it_may_come_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
