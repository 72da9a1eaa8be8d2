/* A connection as long as all is well: order, errors, scripts, subscriptions, bounds, sockets, passwords. */
#include "kit.h"

static void
answers_come_in_order(void **state)
{
	struct server *server = *state;
	enum { MANY = 20000 };
	struct client client;
	struct call *calls = calloc(MANY, sizeof(*calls));
	struct call last = {0};
	client_open(&client, server->url, false);
	for (int i = 0; i < MANY; i++)
		call(&client, &calls[i], "INCR counter");
	call(&client, &last, "GET counter");
	UNTIL(&client, last.done, 10000);
	assert_string_equal(last.text, "20000");
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(calls[i].done, 1);
		assert_int_equal(calls[i].number, i + 1);
	}
	client_close(&client);
	free(calls);
}

static void
an_error_is_told_with_its_text(void **state)
{
	struct server *server = *state;
	struct client client;
	struct call set = {0}, push = {0}, get = {0};
	client_open(&client, server->url, false);
	call(&client, &set, "SET word 1");
	call(&client, &push, "LPUSH word 1");
	call(&client, &get, "GET word");
	UNTIL(&client, get.done, 5000);
	assert_int_equal(push.status, -1);
	assert_non_null(strstr(push.text, "WRONGTYPE"));
	assert_int_equal(get.status, 0);
	assert_int_equal(client.losses, 0);
	client_close(&client);
}

static void
it_is_named_and_in_its_database(void **state)
{
	struct server *server = *state;
	char url[160];
	struct client client;
	struct call set = {0}, name = {0};
	snprintf(url, sizeof(url), "redis+socket://%s?virtual_host=3", server->socket);
	client_open(&client, url, false);
	call(&client, &set, "SET where here");
	call(&client, &name, "CLIENT GETNAME");
	UNTIL(&client, name.done, 5000);
	assert_string_equal(name.text, "quell-test");
	char *there = server_ask(server, "GET where");
	assert_string_equal(there, "(nil)"); /* in database 0 */
	free(there);
	client_close(&client);
}

static const char twice[] = "return redis.call('INCRBY', KEYS[1], ARGV[1] * 2)";

static void
evaluate(struct client *client, struct call *of, const char *by)
{
	const char *const argv[] = {"sum", by};
	void (*done)(struct ql_redis_command *, int, const redisReply *);
	struct call proto = {0};
	call(client, &proto, "PING"); /* for its done */
	done = proto.command.done;
	UNTIL(client, proto.done, 5000);
	of->command.done = done;
	ql_redis_eval(client->redis, &of->command, twice, 1, 2, argv, NULL);
}

static void
a_script_is_loaded_and_comes_back(void **state)
{
	struct server *server = *state;
	struct client client;
	struct call first = {0}, second = {0}, third = {0};
	client_open(&client, server->url, false);
	evaluate(&client, &first, "1");
	UNTIL(&client, first.done, 5000);
	assert_int_equal(first.number, 2);
	char *calls = server_ask(server, "SCRIPT FLUSH"); /* NOSCRIPT to the next EVALSHA */
	free(calls);
	evaluate(&client, &second, "10");
	evaluate(&client, &third, "100");
	UNTIL(&client, third.done, 5000);
	assert_int_equal(second.number, 22);
	assert_int_equal(third.number, 222);
	char *hash = server_ask(server, "SCRIPT LOAD %s", twice);
	char *known = server_ask(server, "SCRIPT EXISTS %s", hash);
	assert_string_equal(known, "1 elements");
	free(hash);
	free(known);
	client_close(&client);
}

static void
messages_reach_a_listener(void **state)
{
	struct server *server = *state;
	struct client client;
	client_open(&client, server->url, true);
	UNTIL(&client, client.ups == 1, 5000);
	char *heard = NULL;
	do { /* the subscription is on its way */
		free(heard);
		heard = server_ask(server, "PUBLISH all.x hello");
		uv_run(&client.loop, UV_RUN_ONCE);
	} while (!strcmp(heard, "0"));
	free(heard);
	UNTIL(&client, client.messages >= 1, 5000);
	assert_string_equal(client.last, "all.*:all.x=hello");
	free(server_ask(server, "PUBLISH news of today"));
	free(server_ask(server, "PUBLISH news %s", "today"));
	UNTIL(&client, !strcmp(client.last, "news=today"), 5000);
	client_close(&client);
}

/* Longer than the idle time: PINGs are asked and answered on a connection with subscriptions, too. */
static void
a_quiet_listener_stays_connected(void **state)
{
	struct server *server = *state;
	struct client client;
	client_open(&client, server->url, true);
	UNTIL(&client, client.ups == 1, 5000);
	int64_t end = now_ms() + QL_REDIS_IDLE_MS + QL_REDIS_SILENCE_MS + 2 * QL_REDIS_WATCH_MS;
	UNTIL(&client, now_ms() > end, 20000);
	assert_int_equal(client.losses, 0);
	assert_int_equal(client.ups, 1);
	free(server_ask(server, "PUBLISH news still"));
	UNTIL(&client, !strcmp(client.last, "news=still"), 5000);
	client_close(&client);
}

static void
over_the_bounds_it_refuses_with_the_number(void **state)
{
	struct server *server = *state;
	char number[32];
	struct client client;
	struct call over = {0};
	struct call *calls = calloc(QL_REDIS_OPEN_MAX, sizeof(*calls));
	client_open(&client, server->url, false);
	for (int i = 0; i < QL_REDIS_OPEN_MAX; i++)
		call(&client, &calls[i], "PING");
	call(&client, &over, "PING");
	UNTIL(&client, over.done, 5000);
	assert_int_equal(over.status, -1);
	assert_int_equal(over.command.err.code, QL_E_LIMIT);
	snprintf(number, sizeof(number), "%d", QL_REDIS_OPEN_MAX);
	assert_non_null(strstr(over.text, number));
	UNTIL(&client, calls[QL_REDIS_OPEN_MAX - 1].done, 10000);
	for (int i = 0; i < QL_REDIS_OPEN_MAX; i++)
		assert_int_equal(calls[i].status, 0);
	client_close(&client);
	free(calls);
}

static void
over_the_bytes_it_refuses_with_the_number(void **state)
{
	struct server *server = *state;
	enum { BIG = 8 << 20, MANY = QL_REDIS_BYTES_MAX / BIG };
	char *value = malloc(BIG + 1);
	struct client client;
	struct call calls[MANY + 1] = {0};
	struct call proto = {0};
	memset(value, 'x', BIG);
	value[BIG] = 0;
	client_open(&client, server->url, false);
	call(&client, &proto, "PING");
	for (int i = 0; i <= MANY; i++) {
		const char *const argv[] = {"SET", "big", value};
		calls[i].command.done = proto.command.done;
		ql_redis_send(client.redis, &calls[i].command, 3, argv, NULL);
	}
	UNTIL(&client, calls[0].done && calls[MANY].done, 10000);
	assert_int_equal(calls[0].status, 0);
	assert_int_equal(calls[MANY].status, -1);
	assert_int_equal(calls[MANY].command.err.code, QL_E_LIMIT);
	UNTIL(&client, calls[MANY - 2].done, 10000);
	client_close(&client);
	free(value);
}

static void
closing_answers_what_is_open(void **state)
{
	struct server *server = *state;
	struct client client;
	struct call calls[3] = {0};
	client_open(&client, server->url, false);
	UNTIL(&client, client.ups, 5000);
	call(&client, &calls[0], "BLPOP nothing 0");
	UNTIL(&client, ql_redis_is_up(client.redis), 5000);
	uv_run(&client.loop, UV_RUN_ONCE);
	call(&client, &calls[1], "PING");
	call(&client, &calls[2], "PING");
	client_close(&client);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(calls[i].done, 1);
		assert_int_equal(calls[i].status, -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_come_in_order),
		cmocka_unit_test(an_error_is_told_with_its_text),
		cmocka_unit_test(it_is_named_and_in_its_database),
		cmocka_unit_test(a_script_is_loaded_and_comes_back),
		cmocka_unit_test(messages_reach_a_listener),
		cmocka_unit_test(a_quiet_listener_stays_connected),
		cmocka_unit_test(over_the_bounds_it_refuses_with_the_number),
		cmocka_unit_test(over_the_bytes_it_refuses_with_the_number),
		cmocka_unit_test(closing_answers_what_is_open),
	};
	return cmocka_run_group_tests_name("redis", tests, server_setup, server_teardown);
}
