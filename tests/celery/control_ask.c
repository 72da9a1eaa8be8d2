/* Who is there, and what they answer. */
#include "plant.h"

#include <signal.h>

#include "base/str.h"
#include "broker/celery/control/inspect.h"

#define NODE "w1@test"

static void
nobody_is_there(void **state)
{
	struct plant plant;
	struct question question;
	(void)state;
	plant_open(&plant, NULL);
	int64_t began = now_ms();
	plant_ask(&plant, &question, "ping", NULL);
	assert_int_equal(question.status, 0);
	assert_int_equal(question.ask.heard, 0);
	assert_int_equal(json_object_size(question.replies), 0);
	assert_true(now_ms() - began < QL_CONTROL_ASK_MS); /* nobody is waited for */
	question_done(&question);
	json_t *nodes = json_pack("[s]", "nobody@test");
	plant_ask(&plant, &question, "ping", nodes);
	assert_int_equal(question.status, -1);
	assert_non_null(strstr(question.ask.err.text, "nobody@test"));
	question_done(&question);
	json_decref(nodes);
	plant_close(&plant);
}

static void
each_kind_of_pool(void **state)
{
	static const struct {
		const char *name;
		enum ql_pool pool;
		bool can;
	} kinds[PLANT_WORKERS] = {{"prefork", QL_POOL_PREFORK, true},
		{"threads", QL_POOL_THREADS, false}, {"solo", QL_POOL_SOLO, false},
		{"gevent", QL_POOL_GEVENT, false}};
	struct plant plant;
	struct question question;
	char node[64];
	const char *why;
	(void)state;
	plant_open(&plant, NULL);
	for (int i = 0; i < PLANT_WORKERS; i++) {
		snprintf(node, sizeof(node), "%s@test", kinds[i].name);
		plant_worker(&plant, i, kinds[i].name, node, NULL);
	}
	for (int i = 0; i < PLANT_WORKERS; i++) {
		snprintf(node, sizeof(node), "%s@test", kinds[i].name);
		const struct ql_worker *worker = plant_here(&plant, node);
		assert_int_equal(worker->pool, kinds[i].pool);
		assert_int_equal(worker->pid, plant.workers[i]);
		assert_string_equal(worker->version, "5.2.6");
		assert_string_equal(ql_worker_host(worker), "test");
		assert_int_equal(ql_worker_can_terminate(worker, &why), kinds[i].can);
		assert_int_equal(why == NULL, kinds[i].can);
	}
	plant_ask(&plant, &question, "ping", NULL);
	assert_int_equal(question.status, 0);
	assert_int_equal(question.ask.heard, PLANT_WORKERS);
	assert_int_equal(json_object_size(question.replies), PLANT_WORKERS);
	question_done(&question);
	plant_close(&plant);
}

struct look {
	int count;
	char task_id[64];
	struct ql_seen last;
};

static void
see(void *arg, const struct ql_seen *seen)
{
	struct look *look = arg;
	look->count++;
	look->last = *seen;
	assert_int_equal(ql_str_copy(look->task_id, sizeof(look->task_id), seen->task_id), 0);
	look->last.task_id = look->task_id;
}

/* Asks the worker until it has one such task. */
static struct look
look_until(struct plant *plant, const char *method, enum ql_place place)
{
	struct look look = {0};
	int64_t end = now_ms() + 20000;
	while (look.count == 0 && now_ms() < end) {
		struct question question;
		plant_ask(plant, &question, method, NULL);
		ql_inspect_list(json_object_get(question.replies, NODE), place, see, &look);
		question_done(&question);
	}
	assert_int_equal(look.count, 1);
	assert_int_equal(look.last.place, place);
	return look;
}

static void
look_by_id(struct plant *plant, const char *task_id, enum ql_place place, int64_t pid)
{
	struct question question;
	struct look look = {0};
	json_t *arguments = json_pack("{s:[s, s]}", "ids", task_id, "unknown-1");
	plant_ask_with(plant, &question, "query_task", NULL, arguments);
	ql_inspect_query(json_object_get(question.replies, NODE), see, &look);
	question_done(&question);
	json_decref(arguments);
	assert_int_equal(look.count, 1);
	assert_string_equal(look.task_id, task_id);
	assert_int_equal(look.last.place, place);
	assert_int_equal(look.last.pid, pid);
}

/* Ends it, and tells whether this worker says so. */
static bool
terminate(struct plant *plant, const char *task_id)
{
	struct question question;
	json_t *nodes = json_pack("[s]", NODE);
	json_t *arguments =
		json_pack("{s:[s], s:b, s:n}", "task_id", task_id, "terminate", 1, "signal");
	plant_ask_with(plant, &question, "revoke", nodes, arguments);
	assert_int_equal(question.status, 0);
	bool was = ql_inspect_was_terminated(json_object_get(question.replies, NODE), task_id);
	question_done(&question);
	json_decref(nodes);
	json_decref(arguments);
	return was;
}

static bool
has_process(struct plant *plant, int64_t pid)
{
	struct question question;
	plant_ask(plant, &question, "stats", NULL);
	assert_int_equal(question.status, 0);
	bool has = ql_inspect_has_process(json_object_get(question.replies, NODE), pid);
	question_done(&question);
	return has;
}

/* One runs, one waits, one is held for its time; the first is ended. */
static void
tasks_in_a_worker(void **state)
{
	struct plant plant;
	struct question question;
	(void)state;
	plant_open(&plant, NULL);
	plant_worker(&plant, 0, "prefork", NODE, NULL);
	plant_here(&plant, NODE);
	plant_send(&plant, "later-1", "0", "2100-01-01T00:00:00+00:00");
	plant_send(&plant, "runs-1", "3600", NULL);
	plant_send(&plant, "waits-1", "0", NULL);
	struct look runs = look_until(&plant, "active", QL_PLACE_ACTIVE);
	assert_string_equal(runs.task_id, "runs-1");
	assert_true(runs.last.pid > 1 && runs.last.acknowledged && runs.last.since > 0);
	assert_true(has_process(&plant, runs.last.pid));
	assert_string_equal(look_until(&plant, "reserved", QL_PLACE_RESERVED).task_id, "waits-1");
	struct look later = look_until(&plant, "scheduled", QL_PLACE_SCHEDULED);
	assert_string_equal(later.task_id, "later-1");
	assert_int_equal(later.last.eta, 4102444800000);
	look_by_id(&plant, "runs-1", QL_PLACE_ACTIVE, runs.last.pid);
	look_by_id(&plant, "waits-1", QL_PLACE_RESERVED, 0);
	assert_false(terminate(&plant, "unknown-1"));
	assert_true(terminate(&plant, "runs-1"));
	UNTIL(&plant.client, !has_process(&plant, runs.last.pid), 20000);
	UNTIL(&plant.client, plant_has_result(&plant, "waits-1", "SUCCESS"), 20000);
	plant_ask(&plant, &question, "no_such_method", NULL);
	assert_int_equal(question.status, 0);
	assert_non_null(ql_inspect_error(json_object_get(question.replies, NODE)));
	question_done(&question);
	plant_close(&plant);
}

static void
one_does_not_answer(void **state)
{
	struct plant plant;
	struct question question;
	(void)state;
	plant_open(&plant, NULL);
	plant_worker(&plant, 0, "solo", NODE, NULL);
	plant_worker(&plant, 1, "solo", "w2@test", NULL);
	plant_here(&plant, NODE);
	plant_here(&plant, "w2@test");
	plant_signal(&plant, 1, SIGSTOP);
	plant_ask(&plant, &question, "ping", NULL);
	assert_int_equal(question.status, -1);
	assert_int_equal(question.ask.heard, 2); /* its connection is there */
	assert_int_equal(json_object_size(question.replies), 1);
	assert_non_null(json_object_get(question.missing, "w2@test"));
	assert_non_null(strstr(question.ask.err.text, "w2@test"));
	question_done(&question);
	json_t *nodes = json_pack("[s]", NODE);
	plant_ask(&plant, &question, "ping", nodes);
	assert_int_equal(question.status, 0);
	question_done(&question);
	json_decref(nodes);
	plant_signal(&plant, 1, SIGCONT);
	plant_close(&plant);
}

static void
replies_that_are_pickled(void **state)
{
	struct plant plant;
	struct question question;
	(void)state;
	plant_open(&plant, NULL);
	plant_worker(&plant, 0, "solo", NODE, "PROJ_SERIALIZER=pickle");
	plant_bury(&plant, "stopped-1", 0);
	int64_t end = now_ms() + PLANT_START_MS;
	do {
		plant_ask(&plant, &question, "ping", NULL);
		question_done(&question);
	} while (question.ask.unreadable == 0 && now_ms() < end);
	int64_t told_at = ql_control_told_at(plant.control, "stopped-1");
	UNTIL(&plant.client, ql_control_told_at(plant.control, "stopped-1") > told_at, 20000);
	/* it does what it hears in the order in which it hears it */
	plant_ask(&plant, &question, "ping", NULL);
	question_done(&question);
	assert_int_equal(question.ask.unreadable, 1);
	plant_send(&plant, "stopped-1", "0", NULL);
	UNTIL(&plant.client, plant_has_result(&plant, "stopped-1", "REVOKED"), 20000);
	plant_ask(&plant, &question, "ping", NULL);
	assert_int_equal(question.status, -1);
	assert_int_equal(question.ask.unreadable, 1);
	assert_non_null(strstr(question.ask.err.text, "task_serializer = 'json'"));
	question_done(&question);
	plant_close(&plant);
}

static void
redis_goes_away(void **state)
{
	struct plant plant;
	struct question question;
	(void)state;
	plant_open(&plant, NULL);
	server_kill(&plant.server);
	plant_ask(&plant, &question, "ping", NULL);
	assert_int_equal(question.status, -1);
	assert_int_equal(question.ask.heard, -1);
	assert_true(question.ask.err.text[0]);
	question_done(&question);
	server_restart(&plant.server, NULL);
	UNTIL(&plant.client, ql_control_is_up(plant.control), 20000);
	plant_ask(&plant, &question, "ping", NULL);
	assert_int_equal(question.status, 0);
	question_done(&question);
	plant_close(&plant);
}

/* One is closed while it waits for an answer. */
static void
ended(struct ql_ask *ask, int status)
{
	struct question *question = (struct question *)ask;
	question->done++;
	question->status = status;
}

static void
closed_in_the_middle(void **state)
{
	struct plant plant;
	struct question question = {.ask = {.method = "ping", .done = ended}};
	(void)state;
	plant_open(&plant, NULL);
	ql_control_ask(plant.control, &question.ask);
	plant_bury(&plant, "a", 0);
	plant_close(&plant);
	assert_int_equal(question.done, 1);
	assert_int_equal(question.status, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_there),
		cmocka_unit_test(each_kind_of_pool),
		cmocka_unit_test(tasks_in_a_worker),
		cmocka_unit_test(one_does_not_answer),
		cmocka_unit_test(replies_that_are_pickled),
		cmocka_unit_test(redis_goes_away),
		cmocka_unit_test(closed_in_the_middle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
