/* Sessions on a real engine: ended, lost, held by a connection, and what becomes of their work. */
#include <string.h>

#include "engine/ask.h"
#include "engine/policy.h"

#define HOUR 3600000LL
#define RULE \
	"{\"name\":\"gone\",\"selector\":\"session=nb*\",\"mode\":\"kill\"," \
	"\"trigger\":{\"kind\":\"session_ended\"}}"

static void
open_world(struct kit *kit)
{
	struct kit_options options = {.workers = 4};
	kit_open(kit, &options);
	kit_start(kit);
	ask_as("alice");
}

static void
submit(struct kit *kit, const char *eval_id, const char *session)
{
	kit_check(kit, !ask_submit(kit,
			       "{\"eval_id\":\"%s\",\"session\":\"%s\",\"timeout_s\":86400,"
			       "\"command\":[\"after=never\"]}",
			       eval_id, session));
}

static void
run(struct kit *kit, const char *eval_id, const char *session)
{
	submit(kit, eval_id, session);
	kit_until_status(kit, eval_id, QL_STATUS_RUNNING);
}

static void
check_stopped(struct kit *kit, const char *eval_id, const char *why)
{
	struct ql_record record;
	kit_until_status(kit, eval_id, QL_STATUS_CANCELLED);
	kit_check(kit, ask_read(kit, eval_id, &record));
	assert_string_equal(record.actor, "policy:gone");
	assert_string_equal(record.reason, why);
	ql_record_done(&record);
}

static bool
runs(struct kit *kit, const char *eval_id)
{
	return kit_state(kit, eval_id)->status == QL_STATUS_RUNNING;
}

static struct ql_lease
lease_of(struct kit *kit, const char *owner, const char *session)
{
	struct ql_lease lease = {0};
	kit_check(kit, ql_engine_session(kit->engine, owner, session, &lease));
	return lease;
}

static void
an_ended_one_takes_its_work_along(void **state)
{
	struct kit kit = {0};
	(void)state;
	open_world(&kit);
	kit_check(&kit, !ask_rule(&kit, RULE));
	run(&kit, "e1", "nb1");
	run(&kit, "e2", "nb2");
	run(&kit, "spared", "editor"); /* the rule doesn't select it */
	ask_as("bob");
	run(&kit, "b1", "nb1");
	ask_as("alice");
	submit(&kit, "waits", "nb1");
	kit_check(&kit, !ask_session(&kit, "nb1", 0) && !ask_session(&kit, "editor", 0));
	check_stopped(&kit, "e1", "its session nb1 was ended");
	check_stopped(&kit, "waits", "its session nb1 was ended");
	submit(&kit, "late", "nb1"); /* what comes to it later, too */
	kit_pass(&kit, 2000);
	check_stopped(&kit, "late", "its session nb1 was ended");
	kit_check(&kit, runs(&kit, "e2") && runs(&kit, "b1") && runs(&kit, "spared"));
	kit_check(&kit, ask_session(&kit, "nb1", 1000) == QL_E_CONFLICT);
	kit_check(&kit, !ask_session(&kit, "nb1", 0)); /* again changes nothing */
	kit_restart(&kit);
	kit_check(&kit, ask_session(&kit, "nb1", 1000) == QL_E_CONFLICT);
	submit(&kit, "later", "nb1");
	kit_pass(&kit, 2000);
	check_stopped(&kit, "later", "its session nb1 was ended");
	kit_check(&kit, runs(&kit, "e2") && runs(&kit, "b1") && runs(&kit, "spared"));
	kit_close(&kit);
}

static void
a_lease_that_is_not_renewed_is_lost(void **state)
{
	struct kit kit = {0};
	(void)state;
	open_world(&kit);
	kit_check(&kit, !ask_rule(&kit, RULE));
	kit_check(&kit, !ask_session(&kit, "nb1", HOUR) && !ask_session(&kit, "nb2", HOUR));
	run(&kit, "e1", "nb1");
	run(&kit, "e2", "nb2");
	kit_pass(&kit, HOUR - 60000);
	kit_check(&kit, !ask_session(&kit, "nb2", HOUR)); /* a heartbeat */
	kit_check(&kit, !lease_of(&kit, "alice", "nb1").over_at);
	kit_pass(&kit, 120000);
	check_stopped(&kit, "e1", "its session nb1 was lost: its lease ran out");
	kit_check(&kit, runs(&kit, "e2") && lease_of(&kit, "alice", "nb1").lost);
	kit_restart(&kit); /* it is lost over a restart; a running lease begins anew */
	kit_check(&kit, !ask_session(&kit, "nb3", HOUR)); /* all are read by then */
	kit_check(&kit, lease_of(&kit, "alice", "nb1").lost);
	kit_pass(&kit, HOUR - 60000);
	kit_check(&kit, runs(&kit, "e2") && !lease_of(&kit, "alice", "nb2").over_at);
	kit_check(&kit, !ask_session(&kit, "nb1", HOUR)); /* it lives again */
	run(&kit, "e3", "nb1");
	kit_pass(&kit, 120000);
	check_stopped(&kit, "e2", "its session nb2 was lost: its lease ran out");
	kit_check(&kit, runs(&kit, "e3"));
	kit_close(&kit);
}

/* Time passes, and what follows from it is done. */
static void
pass(struct kit *kit, int64_t ms)
{
	kit_pass(kit, ms);
	kit_check(kit, !ask_session(kit, "another", HOUR)); /* committed a few turns later */
	kit_check(kit, !ask_session(kit, "another", HOUR));
}

static void
a_connection_is_a_lease(void **state)
{
	struct kit kit = {0};
	struct ql_err err;
	(void)state;
	open_world(&kit);
	kit_check(&kit, !ask_rule(&kit, RULE));
	kit_check(&kit, ql_engine_session_hold(kit.engine, "alice", "nb1", &err));
	kit_check(&kit, err.code == QL_E_NOT_FOUND);
	kit_check(&kit, !ask_session(&kit, "nb1", 60000));
	kit_check(&kit, ql_engine_session_hold(kit.engine, "bob", "nb1", &err));
	kit_check(&kit, !ql_engine_session_hold(kit.engine, "alice", "nb1", &err));
	kit_check(&kit, !ql_engine_session_hold(kit.engine, "alice", "nb1", &err));
	run(&kit, "e1", "nb1");
	pass(&kit, 2 * HOUR);
	kit_check(&kit, runs(&kit, "e1") && !lease_of(&kit, "alice", "nb1").over_at);
	ql_engine_session_release(kit.engine, "alice", "nb1");
	pass(&kit, HOUR);
	kit_check(&kit, runs(&kit, "e1")); /* one is left */
	ql_engine_session_release(kit.engine, "alice", "nb1");
	pass(&kit, 50000);
	kit_check(&kit, runs(&kit, "e1")); /* there is time to come back */
	kit_pass(&kit, 20000);
	check_stopped(&kit, "e1", "its session nb1 was lost: its lease ran out");
	kit_check(&kit, ql_engine_session_hold(kit.engine, "alice", "nb1", &err));
	kit_check(&kit, err.code == QL_E_CONFLICT);
	kit_close(&kit);
}

/* Whom would it have stopped? Those that were alive when their session was over. */
static void
a_simulation_knows_when_a_session_was_over(void **state)
{
	struct kit kit = {0};
	struct ql_trial trial;
	(void)state;
	open_world(&kit);
	kit_check(&kit,
		!ask_submit(&kit,
			"{\"eval_id\":\"done\",\"session\":\"nb1\",\"command\":[\"after=0\"]}"));
	kit_until_status(&kit, "done", QL_STATUS_SUCCEEDED);
	kit_pass(&kit, 1000);
	run(&kit, "e1", "nb1");
	run(&kit, "e2", "nb2");
	kit_check(&kit, !ask_session(&kit, "nb1", 0));
	kit_pass(&kit, HOUR / 2);
	ask_trial(&kit, RULE, 24 * HOUR, &trial);
	assert_int_equal(trial.picked, 1);
	assert_string_equal(trial.sample[0].eval_id, "e1");
	assert_int_equal(trial.sample[0].at, lease_of(&kit, "alice", "nb1").over_at);
	kit_check(&kit, runs(&kit, "e1"));
	kit_check(&kit, !ask_rule(&kit, RULE));
	check_stopped(&kit, "e1", trial.sample[0].why);
	kit_close(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ended_one_takes_its_work_along),
		cmocka_unit_test(a_lease_that_is_not_renewed_is_lost),
		cmocka_unit_test(a_connection_is_a_lease),
		cmocka_unit_test(a_simulation_knows_when_a_session_was_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
