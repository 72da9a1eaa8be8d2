/* What stands before every handler: Host, Origin, keys, methods, slow and departed clients, the end. */
#include "world.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/inside.h"

/* One whose patience a test can wait for, and with little room. */
static void
strict(struct world *world)
{
	world->config.limits.head_ms = 300;
	world->config.limits.body_ms = 300;
	world->config.limits.waits = 2;
}

static int
setup_strict(void **state)
{
	return world_setup_with(state, strict);
}

static int
status_of(struct world *world, const char *request)
{
	int fd = dial(world);
	send_text(fd, request);
	struct answer answer = read_answer(fd, false);
	int status = answer.status;
	answer_done(&answer);
	close(fd);
	return status;
}

static int
status_with(struct world *world, const char *headers)
{
	char request[512];
	snprintf(request, sizeof(request),
		"GET /api/evaluations HTTP/1.1\r\nAuthorization: Bearer " ADMIN "\r\n%s\r\n",
		headers);
	return status_of(world, request);
}

static void
test_host_and_origin(void **state)
{
	struct world *world = *state;
	char headers[256];
	snprintf(headers, sizeof(headers), "Host: localhost:%d\r\n", world->port);
	assert_int_equal(status_with(world, headers), 200);
	assert_int_equal(status_with(world, "Host: evil.example\r\n"), 403);
	assert_int_equal(status_with(world, ""), 400);
	snprintf(headers, sizeof(headers), "Host: %s\r\nOrigin: http://evil.example\r\n",
		world->host);
	assert_int_equal(status_with(world, headers), 403);
	snprintf(headers, sizeof(headers), "Host: %s\r\nOrigin: null\r\n", world->host);
	assert_int_equal(status_with(world, headers), 403);
	snprintf(headers, sizeof(headers), "Host: %s\r\nOrigin: http://localhost:%d\r\n",
		world->host, world->port);
	assert_int_equal(status_with(world, headers), 200);
}

static void
test_an_absolute_target_must_be_ours(void **state)
{
	struct world *world = *state;
	char request[512];
	const char *rest = "HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer " ADMIN "\r\n\r\n";
	size_t len = (size_t)snprintf(
		request, sizeof(request), "GET http://%s/api/evaluations ", world->host);
	snprintf(request + len, sizeof(request) - len, rest, "whatever");
	assert_int_equal(status_of(world, request), 200);
	len = (size_t)snprintf(
		request, sizeof(request), "GET http://evil.example/api/evaluations ");
	snprintf(request + len, sizeof(request) - len, rest, world->host);
	assert_int_equal(status_of(world, request), 403);
}

static void
open_door(struct world *world)
{
	world->auth.none = true;
}

static int
setup_open(void **state)
{
	return world_setup_with(state, open_door);
}

static void
test_without_keys_the_other_rules_hold(void **state)
{
	struct world *world = *state;
	struct answer answer = ask(world, NULL, "POST", "/api/eval",
		"Content-Type: application/json\r\n", "{\"command\":[\"true\"]}");
	assert_int_equal(answer.status, 201);
	assert_string_equal(answer_text(&answer, "owner"), "admin");
	answer_done(&answer);
	answer = ask(world, NULL, "POST", "/api/eval", "Origin: http://evil.example\r\n", NULL);
	assert_int_equal(answer.status, 403);
	answer_done(&answer);
	answer = ask(world, NULL, "POST", "/api/eval", "Content-Type: text/plain\r\n", "{}");
	assert_int_equal(answer.status, 415);
	answer_done(&answer);
	assert_int_equal(
		status_of(world,
			"POST /api/eval HTTP/1.1\r\nHost: evil\r\nContent-Length: 0\r\n\r\n"),
		403);
}

static void
test_no_keys_on_another_address_is_refused(void **state)
{
	struct world *world = *state;
	struct ql_auth open = {.none = true};
	struct ql_server_config config = world->config;
	struct ql_server *server;
	struct ql_err e;
	config.auth = &open;
	config.listen = "0.0.0.0:0";
	assert_int_equal(ql_server_start(&config, &server, &e), -1);
	assert_int_equal(e.code, QL_E_USAGE);
}

static void
test_an_address_in_use_is_said(void **state)
{
	struct world *world = *state;
	struct ql_server_config config = world->config;
	struct ql_server *server;
	struct ql_err e;
	config.listen = world->host;
	assert_int_equal(ql_server_start(&config, &server, &e), -1);
	assert_non_null(strstr(e.text, "in use"));
}

static void
test_keys_are_asked_for(void **state)
{
	struct world *world = *state;
	static const char *const closed[] = {"/api/evaluations", "/api/eval/e1", "/api/events",
		"/evaluations/e1", "/openapi.json"};
	struct answer answer = ask(world, NULL, "GET", "/healthz", NULL, NULL);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer_text(&answer, "status"), "ok");
	answer_done(&answer);
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
		answer = ask(world, i % 2 ? "wrong" : NULL, "GET", closed[i], NULL, NULL);
		assert_int_equal(answer.status, 401);
		assert_string_equal(
			answer_header(&answer, "WWW-Authenticate"), "Bearer realm=\"quell\"");
		answer_done(&answer);
	}
}

static void
test_a_key_for_one_evaluation_opens_its_report_alone(void **state)
{
	struct world *world = *state;
	char key[QL_HASH_TEXT];
	world_call(world, add_one, "e1");
	world_call(world, add_one, "e2");
	assert_int_equal(ql_auth_eval_key(&world->auth, "e1", key), 0);
	static const struct {
		const char *method, *target;
		int status;
	} tries[] = {{"GET", "/evaluations/e1", 200}, {"GET", "/evaluations/e2", 401},
		{"GET", "/api/eval/e1", 401}, {"POST", "/api/eval/e1/kill", 401}};
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct answer answer =
			ask(world, key, tries[i].method, tries[i].target, NULL, NULL);
		assert_int_equal(answer.status, tries[i].status);
		answer_done(&answer);
	}
}

static void
test_paths_and_methods(void **state)
{
	struct world *world = *state;
	struct answer answer = get(world, "/nothing");
	assert_int_equal(answer.status, 404);
	answer_done(&answer);
	answer = ask(world, ADMIN, "PUT", "/api/eval/e1", NULL, NULL);
	assert_int_equal(answer.status, 405);
	assert_string_equal(answer_header(&answer, "Allow"), "GET, HEAD, DELETE");
	answer_done(&answer);
	answer = ask(world, ADMIN, "BREW", "/api/eval", NULL, NULL);
	assert_int_equal(answer.status, 405);
	assert_string_equal(answer_header(&answer, "Allow"), "POST");
	answer_done(&answer);
	answer = ask(
		world, ADMIN, "DELETE", "/api/eval/e1", "Content-Type: application/json\r\n", "{}");
	assert_int_equal(answer.status, 422);
	answer_done(&answer);
	answer = get(world, "/api/eval/a%2Fb");
	assert_int_equal(answer.status, 422);
	assert_string_equal(answer_text(&answer, "field"), "eval_id");
	answer_done(&answer);
	char target[200];
	snprintf(target, sizeof(target), "/api/eval/%0*d/kill", QL_EVAL_ID, 0);
	answer = post(world, target, NULL);
	assert_int_equal(answer.status, 422);
	assert_int_equal(json_integer_value(json_object_get(answer.json, "limit")), 128);
	answer_done(&answer);
	answer = get(world, "/api/cancellations/a%2Fb~1");
	assert_int_equal(answer.status, 422);
	answer_done(&answer);
	answer = get(world, "/api/cancellations/nonsense");
	assert_int_equal(answer.status, 404);
	answer_done(&answer);
	answer = get(world, "/api/eval/%zz");
	assert_int_equal(answer.status, 400);
	answer_done(&answer);
}

static void
test_head_is_get_without_a_body(void **state)
{
	struct world *world = *state;
	static const char *const targets[] = {"/healthz", "/readyz", "/openapi.json",
		"/api/eval/e1", "/api/eval/e1/output", "/api/eval/e1/output?follow=true",
		"/api/events"};
	world_call(world, add_one, "e1");
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		char request[512];
		int fd = dial(world);
		snprintf(request, sizeof(request),
			"HEAD %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer " ADMIN
			"\r\n\r\nGET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n",
			targets[i], world->host, world->host);
		send_text(fd, request);
		char said[8192];
		read_until(fd, "\"ok\"", said, sizeof(said));
		/* both answers came on this connection, and the first one had no body */
		assert_int_equal(strncmp(said, "HTTP/1.1 200", 12), 0);
		assert_int_equal(strncmp(strstr(said, "\r\n\r\n") + 4, "HTTP/1.1 200", 12), 0);
		close(fd);
	}
}

static void
test_a_connection_serves_many(void **state)
{
	struct world *world = *state;
	char request[256];
	int fd = dial(world);
	snprintf(
		request, sizeof(request), "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", world->host);
	for (int i = 0; i < 100; i++) {
		send_text(fd, request);
		struct answer answer = read_answer(fd, false);
		assert_int_equal(answer.status, 200);
		answer_done(&answer);
	}
	close(fd);
}

/* ---- slow clients ---- */

static void
test_slow_headers_are_cut_off(void **state)
{
	struct world *world = *state;
	int fd = dial(world);
	send_text(fd, "GET /healthz HTTP/1.1\r\n");
	/* a byte now and then does not buy more time */
	uint64_t end = uv_hrtime() + 5000000000ull;
	char byte;
	while (uv_hrtime() < end && send(fd, "a", 1, MSG_NOSIGNAL) == 1 &&
		recv(fd, &byte, 1, MSG_DONTWAIT) < 0)
		usleep(10000);
	assert_true(uv_hrtime() < end);
	close(fd);
	fd = dial(world); /* and one that says nothing at all */
	assert_true(is_closed_soon(fd));
	close(fd);
}

static void
test_slow_bodies_are_cut_off(void **state)
{
	struct world *world = *state;
	int fd = begin(world, ADMIN, "POST", "/api/eval",
		"Content-Type: application/json\r\nContent-Length: 1000\r\n");
	send_text(fd, "{");
	assert_true(is_closed_soon(fd));
	close(fd);
}

static void
test_idle_connections_are_closed(void **state)
{
	struct world *world = *state;
	char request[256];
	int fd = dial(world);
	snprintf(
		request, sizeof(request), "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", world->host);
	send_text(fd, request);
	struct answer answer = read_answer(fd, false);
	assert_int_equal(answer.status, 200);
	answer_done(&answer);
	assert_true(is_closed_soon(fd));
	close(fd);
}

static void
crowded(struct world *world)
{
	world->config.limits.connections = 4;
	world->config.limits.crowd_ms = 100;
	world->config.limits.bodies = 1000;
}

static int
setup_crowded(void **state)
{
	return world_setup_with(state, crowded);
}

static bool
four_are_connected(struct world *world)
{
	return world->server->conn_count == 4;
}

static void
test_a_crowd_of_idlers_makes_room(void **state)
{
	struct world *world = *state;
	int fds[4];
	for (int i = 0; i < 4; i++)
		fds[i] = dial(world);
	world_until(world, four_are_connected);
	struct answer answer = ask(world, NULL, "GET", "/healthz", NULL, NULL);
	assert_int_equal(answer.status, 200);
	answer_done(&answer);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

static bool
no_body_is_held(struct world *world)
{
	return !world->server->body_bytes;
}

static void
test_all_bodies_together_are_bounded(void **state)
{
	struct world *world = *state;
	char body[1200];
	snprintf(body, sizeof(body), "{\"code\":\"%0*d\",\"language\":\"python\"}", 1100, 0);
	struct answer answer = post(world, "/api/eval", body);
	assert_int_equal(answer.status, 503);
	assert_string_equal(answer_header(&answer, "Retry-After"), "1");
	answer_done(&answer);
	world_until(world, no_body_is_held);
	answer = post(world, "/api/eval", "{\"command\":[\"true\"]}");
	assert_int_equal(answer.status, 201);
	answer_done(&answer);
	world_until(world, no_body_is_held);
}

/* ---- those who wait ---- */

static int
start_wait(struct world *world)
{
	return begin(world, ADMIN, "GET", "/api/eval/e1?wait=60", NULL);
}

static bool
two_wait(struct world *world)
{
	return world->server->waits == 2 && world->engine->wait_count == 2;
}

static bool
nobody_waits(struct world *world)
{
	return !world->server->waits && !world->engine->wait_count;
}

static bool
nobody_is_connected(struct world *world)
{
	return !world->server->conn_count;
}

static void
test_waits_are_bounded(void **state)
{
	struct world *world = *state;
	world_call(world, add_one, "e1");
	int one = start_wait(world), two = start_wait(world);
	world_until(world, two_wait);
	struct answer answer = get(world, "/api/eval/e1?wait=5");
	assert_int_equal(answer.status, 429);
	assert_int_equal(json_integer_value(json_object_get(answer.json, "limit")), 2);
	assert_string_equal(answer_header(&answer, "Retry-After"), "1");
	answer_done(&answer);
	/* a stop is never refused for that: it is answered without a wait */
	answer = post(world, "/api/eval/e1/kill?wait=60", NULL);
	assert_int_equal(answer.status, 202);
	assert_int_equal(world->engine->asked_stop.wait_ms, 0);
	answer_done(&answer);
	close(one);
	close(two);
	world_until(world, nobody_waits);
}

static void
settle_one(struct world *world, void *arg)
{
	struct ql_record *record = fake_find(world->engine, arg);
	record->state.status = QL_STATUS_SUCCEEDED;
	record->state.exit_code = 0;
	fake_changed(world->engine, record, false);
}

static bool
one_waits(struct world *world)
{
	return world->server->waits == 1 && world->engine->wait_count == 1;
}

static void
test_a_wait_ends_with_the_evaluation(void **state)
{
	struct world *world = *state;
	world_call(world, add_one, "e1");
	int fd = start_wait(world);
	world_until(world, one_waits);
	world_call(world, settle_one, "e1");
	struct answer answer = read_answer(fd, false);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer_text(&answer, "status"), "succeeded");
	answer_done(&answer);
	close(fd);
	world_until(world, nobody_waits);
}

static void
test_who_leaves_while_waiting_is_noticed(void **state)
{
	struct world *world = *state;
	world_call(world, add_one, "e1");
	int fd = start_wait(world);
	world_until(world, one_waits);
	close(fd);
	world_until(world, nobody_waits);
	world_until(world, nobody_is_connected);
}

static void
hold(struct world *world, void *arg)
{
	(void)arg;
	world->engine->hold = true;
}

static void
release(struct world *world, void *arg)
{
	(void)arg;
	fake_release(world->engine);
}

static bool
one_stop_is_asked(struct world *world)
{
	return world->engine->asked_stops == 1;
}

static void
test_who_leaves_during_an_operation_harms_nobody(void **state)
{
	struct world *world = *state;
	world_call(world, add_one, "e1");
	world_call(world, hold, NULL);
	int fd = begin(world, ADMIN, "POST", "/api/eval/e1/kill", NULL);
	world_until(world, one_stop_is_asked);
	close(fd);
	world_call(world, release, NULL);
	world_until(world, nobody_is_connected);
	struct answer answer = get(world, "/api/eval/e1");
	assert_string_equal(answer_text(&answer, "status"), "cancelling");
	answer_done(&answer);
}

/* ---- the end ---- */

static void
stop_now(struct world *world, void *arg)
{
	(void)arg;
	world_begin_stop(world);
}

static void
ends_soon(struct world *world)
{
	world->config.limits.stop_ms = 300;
}

static int
setup_end(void **state)
{
	world_setup_with(state, ends_soon);
	world_call(*state, add_one, "e1");
	return 0;
}

static void
test_the_end_answers_who_waits(void **state)
{
	struct world *world = *state;
	char said[8192];
	int wait = start_wait(world), idle = dial(world);
	int events = begin(world, ADMIN, "GET", "/api/events", NULL);
	read_until(events, "id: ", said, sizeof(said));
	world_until(world, one_waits);
	world_call(world, stop_now, NULL);
	struct answer answer = read_answer(wait, false);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer_header(&answer, "Connection"), "close");
	answer_done(&answer);
	assert_true(is_closed_soon(wait));
	assert_true(is_closed_soon(events));
	assert_true(is_closed_soon(idle));
	close(wait);
	close(events);
	close(idle);
}

/* An operation that is open at the end is waited for, and answered. */
static void
test_the_end_waits_for_operations(void **state)
{
	struct world *world = *state;
	world_call(world, hold, NULL);
	int fd = begin(world, ADMIN, "POST", "/api/eval/e1/kill", NULL);
	world_until(world, one_stop_is_asked);
	world_call(world, stop_now, NULL);
	assert_false(world->stopped);
	world_call(world, release, NULL);
	struct answer answer = read_answer(fd, false);
	assert_int_equal(answer.status, 202);
	answer_done(&answer);
	close(fd);
}

/* ---- garbage ---- */

static void
test_garbage_harms_nobody(void **state)
{
	struct world *world = *state;
	static const char *const garbage[] = {"\r\n\r\n", "GARBAGE\r\n\r\n",
		"GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nHost\r\n\r\n", "\x01\xff\xfe\r\n\r\n",
		"POST /api/eval HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"POST /api/eval HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		int fd = dial(world);
		send_text(fd, garbage[i]);
		shutdown(fd, SHUT_WR);
		assert_true(is_closed_soon(fd));
		close(fd);
	}
	static char long_line[100001];
	memset(long_line, 'a', sizeof(long_line) - 1);
	int fd = dial(world);
	send_text(fd, "GET /");
	send_text(fd, long_line);
	shutdown(fd, SHUT_WR);
	assert_true(is_closed_soon(fd));
	close(fd);
	struct answer answer = get(world, "/healthz");
	assert_int_equal(answer.status, 200);
	answer_done(&answer);
}

#define STRICT(name) cmocka_unit_test_setup_teardown(name, setup_strict, world_teardown)
#define END(name) cmocka_unit_test_setup_teardown(name, setup_end, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_host_and_origin),
		WORLD_TEST(test_an_absolute_target_must_be_ours),
		cmocka_unit_test_setup_teardown(
			test_without_keys_the_other_rules_hold, setup_open, world_teardown),
		WORLD_TEST(test_no_keys_on_another_address_is_refused),
		WORLD_TEST(test_an_address_in_use_is_said),
		WORLD_TEST(test_keys_are_asked_for),
		WORLD_TEST(test_a_key_for_one_evaluation_opens_its_report_alone),
		WORLD_TEST(test_paths_and_methods),
		WORLD_TEST(test_head_is_get_without_a_body),
		WORLD_TEST(test_a_connection_serves_many),
		STRICT(test_slow_headers_are_cut_off),
		STRICT(test_slow_bodies_are_cut_off),
		STRICT(test_idle_connections_are_closed),
		cmocka_unit_test_setup_teardown(
			test_a_crowd_of_idlers_makes_room, setup_crowded, world_teardown),
		cmocka_unit_test_setup_teardown(
			test_all_bodies_together_are_bounded, setup_crowded, world_teardown),
		STRICT(test_waits_are_bounded),
		WORLD_TEST(test_a_wait_ends_with_the_evaluation),
		WORLD_TEST(test_who_leaves_while_waiting_is_noticed),
		WORLD_TEST(test_who_leaves_during_an_operation_harms_nobody),
		END(test_the_end_answers_who_waits),
		END(test_the_end_waits_for_operations),
		STRICT(test_garbage_harms_nobody),
	};
	return cmocka_run_group_tests_name("door", tests, NULL, NULL);
}
