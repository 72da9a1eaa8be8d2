/* Workers are told of tombstones, whatever befalls them or Redis meanwhile. */
#include "plant.h"

#include <signal.h>
#include <time.h>

#include "base/clock.h"

#define NODE "w1@test"

/* A time on the wall, some seconds from now, as Celery writes it. */
static int64_t
wall(int in_s, char ret_text[static QL_TIME_TEXT])
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t at = ((int64_t)now.tv_sec + in_s) * 1000;
	ql_time_text(at, ret_text);
	return at;
}

static int
open_one(void **state)
{
	static struct plant plant;
	plant_open(&plant, NULL);
	plant_worker(&plant, 0, "prefork", NODE, NULL);
	plant_here(&plant, NODE);
	*state = &plant;
	return 0;
}

static int
close_it(void **state)
{
	plant_close(*state);
	return 0;
}

/* celery#8888: the cancel came while no worker was there. */
static void
a_worker_that_was_not_there(void **state)
{
	struct plant plant;
	(void)state;
	plant_open(&plant, NULL);
	plant_bury(&plant, "stopped-1", 0);
	plant_send(&plant, "stopped-1", "0", NULL);
	plant_send(&plant, "wanted-1", "0", NULL);
	UNTIL(&plant.client, ql_control_told_at(plant.control, "stopped-1"), 5000);
	plant_worker(&plant, 0, "prefork", NODE, NULL);
	UNTIL(&plant.client, plant_has_result(&plant, "wanted-1", "SUCCESS"), PLANT_START_MS);
	assert_true(plant_has_result(&plant, "stopped-1", "REVOKED"));
	plant_close(&plant);
}

static bool
has_answered_hello(const struct plant *plant)
{
	char *text = server_ask(&plant->server, "INFO commandstats");
	bool has = strstr(text, "cmdstat_expire:") != NULL;
	free(text);
	return has;
}

/* After its hello was answered, and before it listens: no broadcast reaches it. */
static void
one_that_is_about_to_listen(void **state)
{
	struct plant plant;
	(void)state;
	plant_open(&plant, NULL);
	plant_bury(&plant, "before-1", 0);
	plant_worker(&plant, 0, "solo", NODE, NULL);
	UNTIL(&plant.client, has_answered_hello(&plant), PLANT_START_MS);
	plant_bury(&plant, "meanwhile-1", 0);
	plant_await_revoked(&plant, NODE, "before-1", true);
	plant_await_revoked(&plant, NODE, "meanwhile-1", true);
	plant_close(&plant);
}

/* More than one answer holds, under as many names. */
static void
many_tombstones(void **state)
{
	struct plant plant;
	(void)state;
	plant_open(&plant, NULL);
	for (int i = 0; i < QL_CONTROL_CAST_IDS * 2 + 1; i++) {
		char id[48];
		snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012d", i);
		plant_bury(&plant, id, 0);
	}
	plant_worker(&plant, 0, "solo", NODE, NULL);
	plant_here(&plant, NODE);
	plant_await_revoked(&plant, NODE, "00000000-0000-4000-8000-000000000000", true);
	plant_await_revoked(&plant, NODE, "00000000-0000-4000-8000-000000010000", true);
	plant_await_revoked(&plant, NODE, "00000000-0000-4000-8000-000000020000", true);
	plant_close(&plant);
}

static void
one_that_is_there(void **state)
{
	struct plant *plant = *state;
	assert_int_equal(ql_control_told_at(plant->control, "there-1"), 0);
	plant_bury(plant, "there-1", 0);
	plant_await_revoked(plant, NODE, "there-1", true);
	assert_true(ql_control_told_at(plant->control, "there-1") > 0);
}

static void
one_that_was_frozen_meanwhile(void **state)
{
	struct plant *plant = *state;
	plant_signal(plant, 0, SIGSTOP);
	plant_bury(plant, "frozen-1", 0);
	UNTIL(&plant->client, ql_control_told_at(plant->control, "frozen-1"), 5000);
	UNTIL(&plant->client,
		ql_workers_find(ql_control_workers(plant->control), NODE)->state ==
			QL_WORKER_SILENT,
		20000);
	char text[256];
	ql_worker_show(
		ql_workers_find(ql_control_workers(plant->control), NODE), 0, text, sizeof(text));
	assert_non_null(strstr(text, "frozen or cut off"));
	plant_signal(plant, 0, SIGCONT);
	plant_await_revoked(plant, NODE, "frozen-1", true);
	plant_here(plant, NODE);
}

/* Ends what the worker listens with: for control, and for its neighbours' events. */
static void
cut_off(const struct plant *plant)
{
	char *text = server_ask(&plant->server, "CLIENT LIST TYPE pubsub"), *save = NULL;
	int count = 0;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		long id;
		if (strstr(line, " name=quell") || sscanf(line, "id=%ld", &id) != 1)
			continue;
		free(server_ask(&plant->server, "CLIENT KILL ID %ld", id));
		count++;
	}
	free(text);
	assert_true(count > 0);
}

/* celery#9237: what is broadcast while its connection is away, it never hears. */
static void
one_that_was_cut_off_meanwhile(void **state)
{
	struct plant *plant = *state;
	for (int i = 0; i < 3; i++) {
		char id[32];
		snprintf(id, sizeof(id), "cut-%d", i);
		cut_off(plant);
		plant_bury(plant, id, 0);
		UNTIL(&plant->client, ql_control_told_at(plant->control, id), 5000);
		plant_await_revoked(plant, NODE, id, true);
	}
}

/* It says no hello: only that too few heard it shows that it has to be told again. */
static void
one_that_says_no_hello(void **state)
{
	struct plant plant;
	(void)state;
	plant_open(&plant, NULL);
	plant_worker(&plant, 0, "solo", NODE, "--without-mingle");
	plant_here(&plant, NODE);
	cut_off(&plant);
	plant_bury(&plant, "cut-1", 0);
	plant_await_revoked(&plant, NODE, "cut-1", true);
	plant_close(&plant);
}

/* Its hello comes while Quell itself hears nothing. */
static void
both_were_cut_off(void **state)
{
	struct plant *plant = *state;
	plant_bury(plant, "both-1", 0);
	free(server_ask(&plant->server, "CLIENT KILL TYPE pubsub"));
	plant_bury(plant, "both-2", 0);
	UNTIL(&plant->client, ql_control_is_up(plant->control), 10000);
	plant_await_revoked(plant, NODE, "both-1", true);
	plant_await_revoked(plant, NODE, "both-2", true);
}

static void
lifted_ones_are_taken_back(void **state)
{
	struct plant *plant = *state;
	plant_bury(plant, "again-1", 0);
	plant_await_revoked(plant, NODE, "again-1", true);
	ql_control_lift(plant->control, "again-1");
	plant_await_revoked(plant, NODE, "again-1", false);
	plant_send(plant, "again-1", "0", NULL);
	UNTIL(&plant->client, plant_has_result(plant, "again-1", "SUCCESS"), 20000);
}

/* What Quell has just begun to know has no version yet, and none is told what only some take back. */
static void
lifted_before_its_version_is_known(void **state)
{
	struct plant *plant = *state;
	plant_bury(plant, "early-1", 0);
	plant_await_revoked(plant, NODE, "early-1", true);
	plant_reopen(plant);
	plant_bury(plant, "early-1", 0);
	UNTIL(&plant->client, ql_control_told_at(plant->control, "early-1"), 5000);
	const struct ql_worker *worker = ql_workers_find(ql_control_workers(plant->control), NODE);
	assert_true(!worker || !worker->version[0]);
	ql_control_lift(plant->control, "early-1");
	plant_await_revoked(plant, NODE, "early-1", false);
}

/* It knows what it was told, and was not there to be told otherwise. */
static void
lifted_while_it_was_cut_off(void **state)
{
	struct plant *plant = *state;
	for (int i = 0; i < 3; i++) {
		char id[32];
		snprintf(id, sizeof(id), "off-%d", i);
		plant_bury(plant, id, 0);
		plant_await_revoked(plant, NODE, id, true);
		cut_off(plant);
		ql_control_lift(plant->control, id);
		plant_await_revoked(plant, NODE, id, false);
	}
}

/* Quell itself was. */
static void
lifted_while_redis_was_away(void **state)
{
	struct plant *plant = *state;
	plant_bury(plant, "away-1", 0);
	plant_await_revoked(plant, NODE, "away-1", true);
	server_signal(&plant->server, SIGSTOP);
	UNTIL(&plant->client, ql_redis_breaker(plant->client.redis)->state != QL_BREAKER_CLOSED,
		30000);
	ql_control_lift(plant->control, "away-1");
	for (int turns = 0; turns < 5; turns++) /* its cast is refused in the next ones */
		uv_run(&plant->client.loop, UV_RUN_ONCE);
	server_signal(&plant->server, SIGCONT);
	UNTIL(&plant->client, ql_control_is_up(plant->control), 10000);
	plant_await_revoked(plant, NODE, "away-1", false);
	plant_here(plant, NODE);
}

static void
told_again_before_its_eta(void **state)
{
	struct plant *plant = *state;
	char text[QL_TIME_TEXT];
	int64_t eta = wall(6, text);
	plant_bury(plant, "eta-1", eta);
	UNTIL(&plant->client, ql_control_told_at(plant->control, "eta-1"), 5000);
	int64_t first = ql_control_told_at(plant->control, "eta-1");
	assert_true(first < eta - QL_CONTROL_ETA_MS);
	UNTIL(&plant->client,
		ql_control_told_at(plant->control, "eta-1") >= eta - QL_CONTROL_ETA_MS, 10000);
	assert_true(ql_control_told_at(plant->control, "eta-1") < eta);
}

static bool
is_held(struct plant *plant, const char *task_id)
{
	struct question question;
	plant_ask(plant, &question, "scheduled", NULL);
	char *text = json_dumps(question.replies, 0);
	bool is = strstr(text, task_id) != NULL;
	free(text);
	question_done(&question);
	return is;
}

/* As any other program does it: once, with so many others that a worker seldom builds its heap anew. */
static void
revoke_by_hand(const struct plant *plant, const char *task_id)
{
	size_t len;
	json_t *ids = json_pack("[s]", task_id);
	for (int i = 0; i < 300; i++)
		json_array_append_new(ids, json_sprintf("filler-%d", i));
	json_t *arguments = json_pack("{s:o}", "task_id", ids);
	char *bytes = ql_control_message_make("revoke", arguments, NULL, NULL, NULL, &len);
	free(server_ask(&plant->server, "PUBLISH /0.celery.pidbox %s", bytes));
	free(bytes);
	json_decref(arguments);
}

/*
 * Workers forget after 6 s here, after three hours elsewhere. The twin is revoked by another hand, once:
 * it runs, so that the first was stopped by being told again.
 */
static void
told_again_before_it_is_forgotten(void **state)
{
	struct plant plant;
	char eta[QL_TIME_TEXT];
	(void)state;
	plant_open(&plant, &(struct ql_control_config){.revoke_expires_ms = 6000});
	plant_worker(&plant, 0, "prefork", NODE, "PROJ_REVOKE_EXPIRES=6");
	plant_here(&plant, NODE);
	wall(14, eta);
	plant_send(&plant, "kept-1", "0", eta);
	plant_send(&plant, "twin-1", "0", eta);
	/* held by the worker, so that what it knows at the ETA is what counts */
	UNTIL(&plant.client, is_held(&plant, "kept-1") && is_held(&plant, "twin-1"), 10000);
	plant_bury(&plant, "kept-1", 0);
	plant_await_revoked(&plant, NODE, "kept-1", true);
	revoke_by_hand(&plant, "twin-1");
	plant_await_revoked(&plant, NODE, "twin-1", true);
	UNTIL(&plant.client, plant_has_result(&plant, "twin-1", "SUCCESS"), 30000);
	UNTIL(&plant.client, plant_has_result(&plant, "kept-1", "REVOKED"), 10000);
	plant_close(&plant);
}

int
main(void)
{
	const struct CMUnitTest with_one[] = {
		cmocka_unit_test(one_that_is_there),
		cmocka_unit_test(one_that_was_cut_off_meanwhile),
		cmocka_unit_test(both_were_cut_off),
		cmocka_unit_test(lifted_ones_are_taken_back),
		cmocka_unit_test(lifted_before_its_version_is_known),
		cmocka_unit_test(lifted_while_it_was_cut_off),
		cmocka_unit_test(lifted_while_redis_was_away),
		cmocka_unit_test(told_again_before_its_eta),
		cmocka_unit_test(one_that_was_frozen_meanwhile),
		cmocka_unit_test(a_worker_that_was_not_there),
		cmocka_unit_test(one_that_is_about_to_listen),
		cmocka_unit_test(one_that_says_no_hello),
		cmocka_unit_test(many_tombstones),
		cmocka_unit_test(told_again_before_it_is_forgotten),
	};
	return cmocka_run_group_tests(with_one, open_one, close_it);
}
