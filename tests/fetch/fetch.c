/* The HTTP client against servers that answer, that don't, and that never stop. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "fetch/fetch.h"
#include "server.h"

#define PATIENCE_MS 10000
#define ENOUGH (1 << 20) /* bytes of a flood */

struct world;

struct call {
	struct ql_fetch_request request;
	struct world *world;
	int done;
	int status;
	char *answer; /* a copy */
	size_t taken; /* bytes that came by piece */
};

struct world {
	uv_loop_t loop;
	uv_timer_t patience;
	bool impatient;
	struct server server;
	struct ql_fetch *fetch;
	bool over_unix, calling, closed;
	char folder[32];
	struct peer *held; /* a request that waits for the test */
	struct call calls[8];
	char url[8][256];
};

/* ---- what the server does ---- */

static void
serve(struct server *server, struct peer *peer)
{
	struct world *world = server->own;
	char body[128];
	if (strcmp(peer->path, "/echo") == 0) {
		snprintf(body, sizeof(body), "%s %zu %.20s", peer->method, peer->body_len,
			peer->body);
		peer_answer(peer, 200, body);
	} else if (strcmp(peer->path, "/header") == 0) {
		peer_answer(peer, strstr(peer->head, "\r\nX-Told: yes\r\n") ? 200 : 400, "");
	} else if (strcmp(peer->path, "/gone") == 0) {
		peer_answer(peer, 404, "{\"message\":\"no\"}");
	} else if (strcmp(peer->path, "/empty") == 0) {
		peer_answer(peer, 204, "");
	} else if (strcmp(peer->path, "/busy") == 0) {
		peer_say(peer, "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
			56);
	} else if (strcmp(peer->path, "/torn") == 0) {
		peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 42);
		peer_close(peer);
	} else if (strcmp(peer->path, "/reset") == 0) {
		peer_reset(peer);
	} else if (strcmp(peer->path, "/noise") == 0) {
		peer_say(peer, "\x16\x03\x01 what is this\r\n\r\n", 20);
		peer_close(peer);
	} else if (strcmp(peer->path, "/flood") == 0) {
		peer_flood(peer);
	} else {
		world->held = peer; /* "/held": the test answers, or nobody does */
	}
}

/* ---- the stage ---- */

static void
lose_patience(uv_timer_t *timer)
{
	struct world *world = timer->data;
	world->impatient = true;
}

static int
setup_with(void **state, bool over_unix, struct ql_fetch_config config)
{
	struct world *world = calloc(1, sizeof(*world));
	struct ql_err e;
	char path[64];
	assert_non_null(world);
	world->over_unix = over_unix;
	snprintf(world->folder, sizeof(world->folder), "/tmp/quell-fetch-XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(path, sizeof(path), "%s/socket", world->folder);
	uv_loop_init(&world->loop);
	uv_timer_init(&world->loop, &world->patience);
	world->patience.data = world;
	uv_timer_start(&world->patience, lose_patience, PATIENCE_MS, 0);
	server_open(&world->server, &world->loop, over_unix ? path : NULL, serve);
	world->server.own = world;
	config.unix_path = over_unix ? path : NULL;
	config.connections = 2;
	assert_int_equal(ql_fetch_open(&world->loop, &config, &world->fetch, &e), 0);
	*state = world;
	return 0;
}

static int
setup_tcp(void **state)
{
	return setup_with(state, false, (struct ql_fetch_config){0});
}

static int
setup_unix(void **state)
{
	return setup_with(state, true, (struct ql_fetch_config){0});
}

static int
setup_public(void **state)
{
	return setup_with(state, false, (struct ql_fetch_config){.public_only = true});
}

static int
setup_fresh(void **state)
{
	return setup_with(state, false, (struct ql_fetch_config){.fresh = true});
}

static void
fetch_closed(void *arg)
{
	struct world *world = arg;
	world->closed = true;
}

static void
turn(struct world *world)
{
	uv_run(&world->loop, UV_RUN_ONCE);
	assert_false(world->impatient);
}

static void
close_fetch(struct world *world)
{
	if (world->fetch)
		ql_fetch_close(world->fetch, fetch_closed, world);
	world->fetch = NULL;
}

static int
teardown(void **state)
{
	struct world *world = *state;
	close_fetch(world);
	while (!world->closed)
		turn(world);
	server_close(&world->server);
	while (world->server.handles)
		turn(world);
	uv_close((uv_handle_t *)&world->patience, NULL);
	uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	assert_int_equal(rmdir(world->folder), 0);
	for (size_t i = 0; i < 8; i++)
		free(world->calls[i].answer);
	free(world);
	return 0;
}

static void
done(struct ql_fetch_request *request, int status)
{
	struct call *call = (struct call *)request;
	assert_false(call->world->calling);
	assert_false(call->world->closed);
	call->done++;
	call->status = status;
	call->answer = request->answer.data ? strdup(request->answer.data) : NULL;
}

/* The request that is number `n` in the world, not sent yet. */
static struct call *
prepare(struct world *world, int n, const char *method, const char *path)
{
	struct call *call = &world->calls[n];
	snprintf(world->url[n], sizeof(world->url[n]), "%s%s", world->server.url, path);
	*call = (struct call){.world = world};
	call->request.method = method;
	call->request.url = world->url[n];
	call->request.timeout_ms = PATIENCE_MS;
	call->request.done = done;
	return call;
}

static void
submit(struct call *call)
{
	call->world->calling = true;
	ql_fetch(call->world->fetch, &call->request);
	call->world->calling = false;
}

static int
finish(struct call *call)
{
	while (!call->done)
		turn(call->world);
	assert_int_equal(call->done, 1);
	return call->status;
}

static struct call *
get(struct world *world, int n, const char *path)
{
	struct call *call = prepare(world, n, "GET", path);
	submit(call);
	return call;
}

static enum ql_code
refused(struct call *call)
{
	assert_int_equal(finish(call), -1);
	assert_true(strlen(call->request.err.text) > 20);
	return call->request.err.code;
}

/* ---- answers ---- */

static void
answers_come_whole(void **state)
{
	struct world *world = *state;
	struct call *call = get(world, 0, "/echo");
	assert_int_equal(finish(call), 0);
	assert_int_equal(call->request.http, 200);
	assert_string_equal(call->answer, "GET 0 ");
}

static void
any_status_is_an_answer(void **state)
{
	struct world *world = *state;
	struct call *gone = get(world, 0, "/gone");
	struct call *empty = prepare(world, 1, "DELETE", "/empty");
	submit(empty);
	assert_int_equal(finish(gone), 0);
	assert_int_equal(gone->request.http, 404);
	assert_string_equal(gone->answer, "{\"message\":\"no\"}");
	assert_int_equal(finish(empty), 0);
	assert_int_equal(empty->request.http, 204);
	assert_null(empty->answer);
}

static void
bodies_and_headers_are_sent(void **state)
{
	struct world *world = *state;
	static const char *const headers[] = {"X-Told: yes", NULL};
	size_t len = 3 << 20;
	char *body = malloc(len);
	assert_non_null(body);
	memset(body, 'x', len);
	struct call *put = prepare(world, 0, "PUT", "/echo");
	put->request.body = body;
	put->request.body_len = len;
	submit(put);
	assert_int_equal(finish(put), 0);
	assert_string_equal(put->answer, "PUT 3145728 xxxxxxxxxxxxxxxxxxxx");
	free(body);
	struct call *post = prepare(world, 1, "POST", "/echo");
	submit(post);
	assert_int_equal(finish(post), 0);
	assert_string_equal(post->answer, "POST 0 ");
	struct call *told = prepare(world, 2, "HEAD", "/header");
	told->request.headers = headers;
	submit(told);
	assert_int_equal(finish(told), 0);
	assert_int_equal(told->request.http, 200);
}

static void
connections_are_kept(void **state)
{
	struct world *world = *state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(finish(get(world, i, "/echo")), 0);
	assert_int_equal(world->server.accepted, 1);
}

static void
requests_wait_in_order(void **state)
{
	struct world *world = *state;
	for (int i = 0; i < 8; i++)
		get(world, i, "/echo");
	for (int i = 0; i < 8; i++)
		assert_int_equal(finish(&world->calls[i]), 0);
	assert_int_equal(world->server.served, 8);
	assert_in_range(world->server.most, 1, 2);
	assert_in_range(world->server.accepted, 1, 2);
}

/* ---- what goes wrong ---- */

static void
silence_ends_at_the_deadline(void **state)
{
	struct world *world = *state;
	struct call *call = prepare(world, 0, "GET", "/held");
	call->request.timeout_ms = 30;
	submit(call);
	assert_int_equal(refused(call), QL_E_TIMEOUT);
	assert_non_null(strstr(call->request.err.text, "30 ms"));
	assert_int_equal(finish(get(world, 1, "/echo")), 0);
}

static void
waiting_counts_for_the_deadline(void **state)
{
	struct world *world = *state;
	get(world, 0, "/held");
	get(world, 1, "/held");
	struct call *call = prepare(world, 2, "GET", "/echo");
	call->request.timeout_ms = 30;
	submit(call);
	assert_int_equal(refused(call), QL_E_TIMEOUT);
	assert_int_equal(world->calls[0].done + world->calls[1].done, 0);
}

static void
broken_answers_are_none(void **state)
{
	struct world *world = *state;
	struct call *torn = get(world, 0, "/torn");
	assert_int_equal(refused(torn), QL_E_UNAVAILABLE);
	assert_int_equal(torn->request.http, 200);
	assert_int_equal(refused(get(world, 1, "/reset")), QL_E_UNAVAILABLE);
	assert_int_equal(refused(get(world, 2, "/noise")), QL_E_UNAVAILABLE);
	assert_int_equal(finish(get(world, 3, "/echo")), 0);
}

static void
floods_are_cut(void **state)
{
	struct world *world = *state;
	struct call *call = get(world, 0, "/flood");
	assert_int_equal(refused(call), QL_E_TOO_LARGE);
	assert_non_null(strstr(call->request.err.text, "16777216"));
}

static void
nobody_there_is_unreachable(void **state)
{
	struct world *world = *state;
	server_close(&world->server);
	while (world->server.handles)
		turn(world);
	struct call *call = get(world, 0, "/echo");
	assert_int_equal(refused(call), QL_E_UNREACHABLE);
	assert_non_null(
		strstr(call->request.err.text, world->over_unix ? "/socket: " : "127.0.0.1"));
}

static void
wrong_addresses_are_refused(void **state)
{
	struct world *world = *state;
	struct call *call = prepare(world, 0, "GET", "/echo");
	call->request.url = "ftp://127.0.0.1/x";
	submit(call);
	assert_int_equal(refused(call), QL_E_INVALID);
}

/* By its address, by a name for it, and however else it may be written: nobody is reached. */
static void
only_public_addresses_are_connected_to(void **state)
{
	struct world *world = *state;
	static const char *const hosts[] = {"127.0.0.1", "localhost", "2130706433", "0x7f.1", "0",
		"127.1", "[::ffff:127.0.0.1]", "0177.0.0.1"};
	const char *port = strrchr(world->server.url, ':');
	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		struct call *call = prepare(world, 0, "POST", "/echo");
		snprintf(world->url[0], sizeof(world->url[0]), "https://%s%s/echo", hosts[i], port);
		submit(call);
		assert_int_equal(refused(call), QL_E_FORBIDDEN);
		assert_non_null(strstr(call->request.err.text, "not a public address"));
	}
	assert_int_equal(refused(get(world, 1, "/echo")), QL_E_INVALID); /* no TLS */
	assert_int_equal(world->server.accepted, 0);
}

static void
no_connection_is_kept(void **state)
{
	struct world *world = *state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(finish(get(world, i, "/empty")), 0);
	assert_int_equal(world->server.accepted, 3);
}

static void
an_answer_says_when_to_come_again(void **state)
{
	struct world *world = *state;
	struct call *call = get(world, 0, "/busy");
	assert_int_equal(finish(call), 0);
	assert_int_equal(call->request.http, 503);
	assert_int_equal(call->request.retry_after_ms, 7000);
	call = get(world, 1, "/empty");
	assert_int_equal(finish(call), 0);
	assert_int_equal(call->request.retry_after_ms, 0);
}

static void
openness_has_a_bound(void **state)
{
	struct world *world = *state;
	struct call *calls = calloc(QL_FETCH_OPEN_MAX + 1, sizeof(*calls));
	assert_non_null(calls);
	prepare(world, 0, "GET", "/held");
	for (int i = 0; i <= QL_FETCH_OPEN_MAX; i++) {
		calls[i] = world->calls[0];
		submit(&calls[i]);
	}
	assert_int_equal(refused(&calls[QL_FETCH_OPEN_MAX]), QL_E_LIMIT);
	assert_non_null(strstr(calls[QL_FETCH_OPEN_MAX].request.err.text, "4096"));
	close_fetch(world);
	for (int i = 0; i < QL_FETCH_OPEN_MAX; i++)
		assert_int_equal(refused(&calls[i]), QL_E_UNAVAILABLE);
	free(calls);
}

/* ---- by piece ---- */

static int
take(struct ql_fetch_request *request, const char *data, size_t len)
{
	struct call *call = (struct call *)request;
	assert_non_null(data);
	assert_int_equal(request->http, 200);
	call->taken += len;
	return call->taken > ENOUGH ? -1 : 0;
}

static int
take_and_say_why(struct ql_fetch_request *request, const char *data, size_t len)
{
	(void)data, (void)len;
	return ql_fail(&request->err, QL_E_TOO_LARGE, "that is enough of it");
}

static void
pieces_are_not_kept(void **state)
{
	struct world *world = *state;
	struct call *call = prepare(world, 0, "GET", "/flood");
	call->request.piece = take;
	call->request.timeout_ms = 0;
	submit(call);
	assert_int_equal(refused(call), QL_E_UNAVAILABLE);
	assert_true(call->taken > ENOUGH);
	assert_null(call->answer);
}

static void
readers_may_say_why(void **state)
{
	struct world *world = *state;
	struct call *call = prepare(world, 0, "GET", "/flood");
	call->request.piece = take_and_say_why;
	submit(call);
	assert_int_equal(refused(call), QL_E_TOO_LARGE);
	assert_non_null(strstr(call->request.err.text, "that is enough of it"));
}

static void
pieces_come_as_they_are_said(void **state)
{
	struct world *world = *state;
	struct call *call = prepare(world, 0, "GET", "/held");
	const char *head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	call->request.piece = take;
	call->request.timeout_ms = 0;
	submit(call);
	while (!world->held)
		turn(world);
	peer_say(world->held, head, strlen(head));
	for (size_t i = 1; i <= 3; i++) {
		peer_say(world->held, "5\r\nevent\r\n", 10);
		while (call->taken < 5 * i)
			turn(world);
	}
	peer_say(world->held, "0\r\n\r\n", 5);
	assert_int_equal(finish(call), 0);
	assert_int_equal(call->taken, 15);
}

/* ---- stopping ---- */

static void
stopped_ones_are_not_done(void **state)
{
	struct world *world = *state;
	for (int i = 0; i < 4; i++)
		get(world, i, i == 3 ? "/echo" : "/held");
	ql_fetch_stop(world->fetch, &world->calls[0].request);
	ql_fetch_stop(world->fetch, &world->calls[2].request); /* waits yet */
	assert_int_equal(finish(&world->calls[3]), 0);
	assert_int_equal(world->calls[0].done + world->calls[2].done, 0);
}

static int
stop_within(struct ql_fetch_request *request, const char *data, size_t len)
{
	struct call *call = (struct call *)request;
	struct world *world = call->world;
	(void)data;
	call->taken += len;
	ql_fetch_stop(world->fetch, &world->calls[1].request);
	ql_fetch_stop(world->fetch, request);
	memset(&call->request, 0xa5, sizeof(call->request)); /* it is ours again */
	submit(prepare(world, 2, "GET", "/echo"));
	return 0;
}

static void
readers_may_stop_and_ask(void **state)
{
	struct world *world = *state;
	struct call *call = prepare(world, 0, "GET", "/flood");
	call->request.piece = stop_within;
	submit(call);
	get(world, 1, "/held");
	while (!world->calls[2].request.done)
		turn(world);
	assert_int_equal(finish(&world->calls[2]), 0);
	assert_int_equal(call->done + world->calls[1].done, 0);
}

static void
done_and_stop_other(struct ql_fetch_request *request, int status)
{
	struct call *call = (struct call *)request;
	done(request, status);
	ql_fetch_stop(call->world->fetch, &call->world->calls[1].request);
	submit(prepare(call->world, 2, "GET", "/echo"));
}

/* Both have ended in the same turn, and the one that is told first takes the other back. */
static void
ended_ones_may_be_stopped(void **state)
{
	struct world *world = *state;
	for (int i = 0; i < 2; i++) {
		struct call *call = prepare(world, i, "GET", "/held");
		call->request.url = "ftp://127.0.0.1/x";
		call->request.done = done_and_stop_other;
	}
	submit(&world->calls[0]);
	submit(&world->calls[1]);
	assert_int_equal(finish(&world->calls[0]), -1);
	assert_int_equal(finish(&world->calls[2]), 0);
	assert_int_equal(world->calls[1].done, 0);
}

static void
closing_ends_what_is_open(void **state)
{
	struct world *world = *state;
	for (int i = 0; i < 4; i++)
		get(world, i, "/held");
	while (!world->held)
		turn(world);
	close_fetch(world);
	for (int i = 0; i < 4; i++)
		assert_int_equal(refused(&world->calls[i]), QL_E_UNAVAILABLE);
}

#define BOTH(play) \
	{#play " (tcp)", play, setup_tcp, teardown, NULL}, \
	{ \
#play " (unix)", play, setup_unix, teardown, NULL \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(answers_come_whole),
		BOTH(any_status_is_an_answer),
		BOTH(bodies_and_headers_are_sent),
		BOTH(connections_are_kept),
		BOTH(requests_wait_in_order),
		BOTH(silence_ends_at_the_deadline),
		BOTH(waiting_counts_for_the_deadline),
		BOTH(broken_answers_are_none),
		BOTH(floods_are_cut),
		BOTH(nobody_there_is_unreachable),
		BOTH(wrong_addresses_are_refused),
		cmocka_unit_test_setup_teardown(
			only_public_addresses_are_connected_to, setup_public, teardown),
		cmocka_unit_test_setup_teardown(no_connection_is_kept, setup_fresh, teardown),
		BOTH(an_answer_says_when_to_come_again),
		BOTH(openness_has_a_bound),
		BOTH(pieces_are_not_kept),
		BOTH(readers_may_say_why),
		BOTH(pieces_come_as_they_are_said),
		BOTH(stopped_ones_are_not_done),
		BOTH(readers_may_stop_and_ask),
		BOTH(ended_ones_may_be_stopped),
		BOTH(closing_ends_what_is_open),
	};
	signal(SIGPIPE, SIG_IGN); /* the server's: its clients leave as they please */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
