/* GET /metrics: its two formats, who may read it, and that values say what the engine says. */
#include <string.h>

#include "world.h"

static void
feed(struct world *world, void *arg)
{
	(void)arg;
	struct ql_health *health = &world->engine->health;
	health->queued = 12;
	health->slots = 4;
	health->slots_used = 1;
	health->dependency_count = 1;
	health->dependencies[0] = (struct ql_dependency){
		.name = "broker", .state = QL_BREAKER_OPEN, .since = 1, .backlog = 7};
	fake_add(world->engine, "running", "alice");
	struct ql_record *record = fake_add(world->engine, "stopping", "alice");
	record->state.status = QL_STATUS_CANCELLING;
	record->state.cancel.requested_at = ql_engine_now(world->engine) - 2500;
	ql_meter_add(world->config.meter, QL_METRIC_CANCELLATIONS,
		QL_LABELS("kill", "killed", "policy", "a\"b\\c\nd"), 3);
	ql_meter_observe(world->config.meter, QL_METRIC_STOP, QL_LABELS("kill", "sandbox"), 0.002);
	ql_meter_observe(world->config.meter, QL_METRIC_STOP, QL_LABELS("kill", "sandbox"), 2);
}

static void
assert_line(const struct answer *answer, const char *line)
{
	char wanted[256];
	snprintf(wanted, sizeof(wanted), "\n%s\n", line);
	if (!strstr(answer->body, wanted))
		fail_msg("no line '%s' in:\n%s", line, answer->body);
}

static struct answer
scrape(struct world *world, const char *accept)
{
	char header[300];
	snprintf(header, sizeof(header), "Accept: %s\r\n", accept);
	struct answer answer = ask(world, ALICE, "GET", "/metrics", accept ? header : NULL, NULL);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer_header(&answer, "Vary"), "Accept");
	return answer;
}

static void
test_openmetrics(void **state)
{
	struct world *world = *state;
	world_call(world, feed, NULL);
	struct answer answer = scrape(world, NULL);
	assert_string_equal(answer_header(&answer, "Content-Type"),
		"application/openmetrics-text; version=1.0.0; charset=utf-8");
	assert_string_equal(answer.body + answer.body_len - strlen("\n# EOF\n"), "\n# EOF\n");
	assert_line(&answer, "# TYPE quell_stop_seconds histogram");
	assert_line(&answer, "# UNIT quell_stop_seconds seconds");
	assert_line(&answer, "# TYPE quell_attempts counter");
	assert_line(&answer, "quell_cancellations_total{mode=\"kill\",outcome=\"killed\","
			     "actor=\"policy\",policy=\"a\\\"b\\\\c\\nd\"} 3");
	assert_line(&answer, "quell_queue_depth 12");
	assert_line(&answer, "quell_ready 1");
	assert_line(&answer, "quell_slots{state=\"used\"} 1");
	assert_line(&answer, "quell_slots{state=\"free\"} 3");
	assert_line(&answer, "quell_live_evaluations{status=\"running\"} 1");
	assert_line(&answer, "quell_live_evaluations{status=\"cancelling\"} 1");
	assert_line(&answer, "quell_live_evaluations{status=\"unconfirmed\"} 0");
	assert_line(&answer, "quell_oldest_cancelling_seconds 2.5");
	assert_line(&answer, "quell_dependency_state{dependency=\"broker\",state=\"ok\"} 0");
	assert_line(&answer, "quell_dependency_state{dependency=\"broker\",state=\"away\"} 1");
	assert_line(&answer, "quell_outbox_backlog{dependency=\"broker\"} 7");
	assert_line(&answer, "quell_build_info{version=\"" QL_VERSION "\"} 1");
	answer_done(&answer);
}

static void
test_buckets_add_up(void **state)
{
	struct world *world = *state;
	world_call(world, feed, NULL);
	struct answer answer = scrape(world, NULL);
#define BUCKET(le) "quell_stop_seconds_bucket{rung=\"kill\",runtime=\"sandbox\",le=\"" le "\"} "
	assert_line(&answer, BUCKET("0.001") "0");
	assert_line(&answer, BUCKET("0.0025") "1");
	assert_line(&answer, BUCKET("1.0") "1");
	assert_line(&answer, BUCKET("2.5") "2");
	assert_line(&answer, BUCKET("+Inf") "2");
	assert_line(&answer, "quell_stop_seconds_count{rung=\"kill\",runtime=\"sandbox\"} 2");
	assert_line(&answer, "quell_stop_seconds_sum{rung=\"kill\",runtime=\"sandbox\"} 2.002");
	answer_done(&answer);
}

static void
test_a_scraper_gets_what_it_takes(void **state)
{
	static const char prometheus[] =
		"application/openmetrics-text;version=1.0.0,application/"
		"openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
	struct world *world = *state;
	struct answer answer = scrape(world, prometheus);
	assert_non_null(strstr(answer_header(&answer, "Content-Type"), "openmetrics-text"));
	answer_done(&answer);
	answer = scrape(world, "*/*");
	assert_non_null(strstr(answer_header(&answer, "Content-Type"), "openmetrics-text"));
	answer_done(&answer);
	answer = scrape(world, "text/plain;version=0.0.4;q=1,*/*;q=0.1");
	assert_string_equal(
		answer_header(&answer, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
	assert_line(&answer, "# TYPE quell_commit_changes_total counter");
	assert_line(&answer, "quell_commit_changes_total 0");
	assert_null(strstr(answer.body, "# UNIT"));
	assert_null(strstr(answer.body, "# EOF"));
	answer_done(&answer);
}

static void
test_a_key_is_needed(void **state)
{
	struct world *world = *state;
	struct answer answer = ask(world, NULL, "GET", "/metrics", NULL, NULL);
	assert_int_equal(answer.status, 401);
	answer_done(&answer);
}

static void
test_nothing_says_whose_or_which(void **state)
{
	struct world *world = *state;
	world_call(world, feed, NULL);
	struct answer answer = scrape(world, NULL);
	assert_null(strstr(answer.body, "alice"));
	assert_null(strstr(answer.body, "\"stopping\""));
	answer_done(&answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_openmetrics),
		WORLD_TEST(test_buckets_add_up),
		WORLD_TEST(test_a_scraper_gets_what_it_takes),
		WORLD_TEST(test_a_key_is_needed),
		WORLD_TEST(test_nothing_says_whose_or_which),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
