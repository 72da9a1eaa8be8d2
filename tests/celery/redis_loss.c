/* What a connection does when the server is not there, dies, stands still or talks nonsense. */
#include "kit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* Nobody listens: a command waits for its own deadline, then the breaker refuses the next at once. */
static void
refused_opens_the_breaker_and_a_server_closes_it(void **state)
{
	struct server *server = *state;
	struct client client;
	struct call waits = {.command.timeout_ms = 1500}, quick = {0}, after = {0};
	server_kill(server);
	client_open(&client, server->url, false);
	call(&client, &waits, "PING");
	const struct ql_breaker *breaker = ql_redis_breaker(client.redis);
	UNTIL(&client, breaker->state == QL_BREAKER_OPEN, 3000);
	assert_non_null(strstr(breaker->why, "connection refused"));
	assert_false(waits.done);
	call(&client, &quick, "PING");
	uv_run(&client.loop, UV_RUN_NOWAIT);
	uv_run(&client.loop, UV_RUN_NOWAIT);
	assert_int_equal(quick.done, 1);
	assert_non_null(strstr(quick.text, "connection refused"));
	UNTIL(&client, waits.done, 3000);
	assert_int_equal(waits.command.err.code, QL_E_TIMEOUT);
	assert_non_null(strstr(waits.text, "was not asked"));
	assert_int_equal(client.losses, 0); /* it never was up */
	server_restart(server, NULL);
	UNTIL(&client, breaker->state == QL_BREAKER_CLOSED, 2 * QL_REDIS_BACKOFF_MAX_MS);
	call(&client, &after, "PING");
	UNTIL(&client, after.done, 5000);
	assert_string_equal(after.text, "PONG");
	client_close(&client);
}

/* What was sent is failed at once; what was not waits for the reconnect. */
static void
a_dead_server_is_noticed_at_once(void **state)
{
	struct server *server = *state;
	struct client client;
	struct call blocked = {.command.timeout_ms = 20000}, later = {.command.timeout_ms = 20000};
	client_open(&client, server->url, false);
	UNTIL(&client, client.ups == 1, 5000);
	call(&client, &blocked, "BLPOP nothing 0");
	for (int i = 0; i < 3; i++)
		uv_run(&client.loop, UV_RUN_ONCE);
	int64_t start = now_ms();
	server_kill(server);
	UNTIL(&client, blocked.done, 1000);
	assert_true(now_ms() - start < 1000);
	assert_int_equal(blocked.status, -1);
	assert_non_null(strstr(blocked.text, "what came of it is not known"));
	UNTIL(&client, client.losses == 1, 1000);
	call(&client, &later, "SET after restart");
	server_restart(server, NULL);
	UNTIL(&client, later.done, 15000);
	assert_string_equal(later.text, "OK");
	assert_int_equal(client.ups, 2);
	client_close(&client);
}

static bool
is_away(const struct client *client)
{
	struct ql_dependency shown;
	ql_redis_show(client->redis, &shown);
	assert_true(shown.state == QL_BREAKER_CLOSED || shown.detail[0]);
	return shown.state != QL_BREAKER_CLOSED;
}

/* Nobody reports a stopped process but the lack of answers: it shows before the connection is given up, and on. */
static void
a_frozen_server_is_noticed(void **state)
{
	struct server *server = *state;
	struct client client;
	struct call idle = {0}, after = {.command.timeout_ms = 20000};
	client_open(&client, server->url, false);
	UNTIL(&client, client.ups == 1, 5000);
	assert_false(is_away(&client));
	server_signal(server, SIGSTOP);
	UNTIL(&client, is_away(&client), 20000); /* by the PING of its own */
	assert_int_equal(ql_redis_breaker(client.redis)->state, QL_BREAKER_CLOSED);
	while (!client.losses) {
		assert_true(is_away(&client));
		uv_run(&client.loop, UV_RUN_ONCE);
	}
	assert_int_equal(client.lost.code, QL_E_TIMEOUT);
	assert_true(is_away(&client));
	call(&client, &idle, "PING");
	UNTIL(&client, idle.done,
		QL_REDIS_TIMEOUT_MS + 1000); /* the kernel still takes connections */
	assert_int_equal(idle.status, -1);
	assert_true(is_away(&client));
	server_signal(server, SIGCONT);
	UNTIL(&client, client.ups == 2, 15000);
	assert_false(is_away(&client));
	call(&client, &after, "PING");
	UNTIL(&client, after.done, 5000);
	assert_string_equal(after.text, "PONG");
	client_close(&client);
}

static void
a_command_has_its_deadline_while_others_are_answered(void **state)
{
	struct server *server = *state;
	struct client client;
	struct call slow = {.command.timeout_ms = 200}, next = {0};
	client_open(&client, server->url, false);
	UNTIL(&client, client.ups == 1, 5000);
	call(&client, &slow, "BLPOP nothing 1");
	call(&client, &next, "PING");
	UNTIL(&client, slow.done, 1000);
	assert_int_equal(slow.command.err.code, QL_E_TIMEOUT);
	memset(&slow, 0xee,
		sizeof(slow)); /* it is the caller's again: the late reply must not touch it */
	UNTIL(&client, next.done, 3000);
	assert_string_equal(next.text, "PONG"); /* its own answer, not the late one */
	assert_int_equal(client.losses, 0);
	client_close(&client);
}

static void
a_script_is_there_after_a_restart(void **state)
{
	struct server *server = *state;
	static const char script[] = "return redis.call('INCR', KEYS[1])";
	const char *const argv[] = {"runs"};
	struct client client;
	struct call before = {0}, after = {.command.timeout_ms = 20000};
	client_open(&client, server->url, false);
	call(&client, &before, "PING");
	UNTIL(&client, before.done, 5000);
	server_kill(server);
	server_restart(server, NULL);
	UNTIL(&client, client.ups == 2, 15000);
	after.command.done = before.command.done;
	ql_redis_eval(client.redis, &after.command, script, 1, 1, argv, NULL);
	UNTIL(&client, after.done, 5000);
	assert_int_equal(after.number, 1);
	client_close(&client);
}

static void
a_listener_subscribes_again(void **state)
{
	struct server *server = *state;
	struct client client;
	client_open(&client, server->url, true);
	UNTIL(&client, client.ups == 1, 5000);
	server_kill(server);
	UNTIL(&client, client.losses == 1, 1000);
	server_restart(server, NULL);
	UNTIL(&client, client.ups == 2, 15000);
	char *heard = NULL;
	do {
		free(heard);
		heard = server_ask(server, "PUBLISH news again");
		uv_run(&client.loop, UV_RUN_ONCE);
	} while (!strcmp(heard, "0"));
	free(heard);
	UNTIL(&client, !strcmp(client.last, "news=again"), 5000);
	client_close(&client);
}

/* ---- passwords ---- */

static void
never_up(const char *url, const char *secret, const char *says)
{
	struct client client;
	struct call of = {.command.timeout_ms = 1500};
	client_open(&client, url, false);
	call(&client, &of, "PING");
	UNTIL(&client, of.done, 3000);
	assert_int_equal(of.status, -1);
	assert_int_equal(client.ups, 0);
	if (!strstr(ql_redis_breaker(client.redis)->why, says) || !strstr(of.text, says))
		fail_msg("%s | %s", ql_redis_breaker(client.redis)->why, of.text);
	assert_null(strstr(of.text, secret));
	assert_null(strstr(ql_redis_breaker(client.redis)->why, secret));
	client_close(&client);
}

static void
passwords(void **state)
{
	(void)state;
	static const char *const words[] = {"--requirepass", "sesame", "--user", "quell", "on",
		">opensesame", "~*", "&*", "+@all", NULL};
	struct server locked;
	struct client client;
	struct call of = {0};
	char url[160];
	server_start(&locked, words);
	snprintf(url, sizeof(url), "redis://:sesame@127.0.0.1:%d/0", locked.port);
	client_open(&client, url, false);
	call(&client, &of, "PING");
	UNTIL(&client, of.done, 5000);
	assert_string_equal(of.text, "PONG");
	client_close(&client);
	of = (struct call){0};
	snprintf(url, sizeof(url), "redis://quell:opensesame@127.0.0.1:%d/0", locked.port);
	client_open(&client, url, false);
	call(&client, &of, "ACL WHOAMI");
	UNTIL(&client, of.done, 5000);
	assert_string_equal(of.text, "quell");
	client_close(&client);
	snprintf(url, sizeof(url), "redis://:guessed@127.0.0.1:%d/0", locked.port);
	never_up(url, "guessed", "WRONGPASS");
	never_up(locked.url, "sesame", "NOAUTH");
	server_remove(&locked);
}

/* A server that does not know AUTH says «unknown command, with args beginning with» the password. */
static void
a_password_that_the_server_repeats_is_not_shown(void **state)
{
	(void)state;
	static const char *const words[] = {"--rename-command", "AUTH", "", NULL};
	struct server old;
	char url[160];
	server_start(&old, words);
	snprintf(url, sizeof(url), "redis://:guessed@127.0.0.1:%d/0", old.port);
	never_up(url, "guessed", "refused the user or the password of the address: ERR");
	server_remove(&old);
}

/* ---- a server that is none ---- */

enum manner { RESETS, CLOSES, BABBLES, NONSENSE };

struct impostor {
	int listener;
	enum manner manner;
	pthread_t thread;
};

static void
drop(int conn, enum manner manner)
{
	const struct linger now = {.l_onoff = 1};
	if (manner == BABBLES) /* the answer to GET, and one that nobody asked for */
		assert_true(send(conn, "+a\r\n+b\r\n+c\r\n", 12, MSG_NOSIGNAL) > 0);
	if (manner == NONSENSE)
		assert_true(send(conn, "HTTP/1.1 400 Bad Request\r\n", 26, MSG_NOSIGNAL) > 0);
	char rest[64];
	while (manner >= BABBLES && recv(conn, rest, sizeof(rest), 0) > 0)
		; /* the client hangs up */
	if (manner == RESETS)
		setsockopt(conn, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(conn);
}

/* Greets the first that comes, takes a command, and ends it in its manner. */
static void *
impose(void *arg)
{
	struct impostor *impostor = arg;
	char heard[512];
	size_t len = 0;
	int conn = accept(impostor->listener, NULL, NULL);
	bool greeted = false;
	for (;;) {
		ssize_t n = recv(conn, heard + len, sizeof(heard) - len - 1, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
		heard[len] = 0;
		if (!greeted && strstr(heard, "PING"))
			greeted = send(conn, "+OK\r\n+PONG\r\n", 12, MSG_NOSIGNAL) == 12;
		if (strstr(heard, "GET"))
			break;
	}
	drop(conn, impostor->manner);
	return NULL;
}

static void
meets(enum manner manner, const char *says)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	char url[64];
	struct client client;
	struct call calls[3] = {0};
	struct impostor impostor = {.manner = manner};
	impostor.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(impostor.listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(impostor.listener, 1), 0);
	assert_int_equal(getsockname(impostor.listener, (struct sockaddr *)&at, &len), 0);
	pthread_create(&impostor.thread, NULL, impose, &impostor);
	snprintf(url, sizeof(url), "redis://127.0.0.1:%d", ntohs(at.sin_port));
	client_open(&client, url, false);
	UNTIL(&client, client.ups == 1, 5000);
	for (int i = 0; i < (manner == BABBLES ? 1 : 3); i++)
		call(&client, &calls[i], "GET it");
	UNTIL(&client, client.losses == 1, 5000);
	if (!strstr(client.lost.text, says))
		fail_msg("%s", client.lost.text);
	UNTIL(&client, calls[0].done, 1000);
	assert_int_equal(calls[0].status, manner == BABBLES ? 0 : -1);
	client_close(&client);
	close(impostor.listener);
	pthread_join(impostor.thread, NULL);
}

static void
a_reset_amid_a_pipeline_fails_all_of_it(void **state)
{
	(void)state;
	meets(RESETS, "connection reset");
	meets(CLOSES, "closed the connection");
}

static void
an_answer_that_nobody_asked_for_ends_the_connection(void **state)
{
	(void)state;
	meets(BABBLES, "what nobody asked");
	meets(NONSENSE, "Protocol error");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_opens_the_breaker_and_a_server_closes_it),
		cmocka_unit_test(a_dead_server_is_noticed_at_once),
		cmocka_unit_test(a_frozen_server_is_noticed),
		cmocka_unit_test(a_command_has_its_deadline_while_others_are_answered),
		cmocka_unit_test(a_script_is_there_after_a_restart),
		cmocka_unit_test(a_listener_subscribes_again),
		cmocka_unit_test(passwords),
		cmocka_unit_test(a_password_that_the_server_repeats_is_not_shown),
		cmocka_unit_test(a_reset_amid_a_pipeline_fails_all_of_it),
		cmocka_unit_test(an_answer_that_nobody_asked_for_ends_the_connection),
	};
	return cmocka_run_group_tests_name("redis loss", tests, server_setup, server_teardown);
}
