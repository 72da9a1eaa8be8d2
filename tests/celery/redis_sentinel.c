/* A master, its replica and a sentinel: who the master is, and who it is after its death. */
#include "kit.h"

static void
write_config(const char *path, int master_port)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file,
		"sentinel monitor eva 127.0.0.1 %d 1\n"
		"sentinel down-after-milliseconds eva 300\n"
		"sentinel failover-timeout eva 3000\n",
		master_port);
	fclose(file);
}

static void
start_sentinel(struct server *sentinel, int master_port)
{
	char path[128];
	const char *const words[] = {path, "--sentinel", NULL};
	server_place(sentinel);
	snprintf(path, sizeof(path), "%s/sentinel.conf", sentinel->dir);
	write_config(path, master_port);
	server_restart(sentinel, words);
}

static bool
knows_replica(const struct server *sentinel)
{
	char *replicas = server_ask(sentinel, "SENTINEL replicas eva");
	bool one = !strcmp(replicas, "1 elements");
	free(replicas);
	return one;
}

static void
the_master_is_found_and_followed(void **state)
{
	(void)state;
	char port[16], url[160];
	const char *const words[] = {
		"--replicaof", "127.0.0.1", port, "--repl-diskless-sync-delay", "0", NULL};
	struct server master, replica, sentinel;
	struct client client;
	struct call before = {0}, after = {.command.timeout_ms = 20000};
	server_start(&master, NULL);
	snprintf(port, sizeof(port), "%d", master.port);
	server_start(&replica, words);
	start_sentinel(&sentinel, master.port);
	/* The first of the sentinels is not there. */
	snprintf(url, sizeof(url),
		"sentinel://127.0.0.1:%d;sentinel://127.0.0.1:%d/0?master_name=eva", free_port(),
		sentinel.port);
	client_open(&client, url, false);
	call(&client, &before, "SET who first");
	UNTIL(&client, before.done, 5000);
	assert_string_equal(before.text, "OK");
	UNTIL(&client, knows_replica(&sentinel), 30000);
	server_kill(&master);
	UNTIL(&client, client.losses == 1, 1000);
	UNTIL(&client, client.ups == 2, 30000);
	call(&client, &after, "SET who second");
	UNTIL(&client, after.done, 5000);
	assert_string_equal(after.text, "OK");
	char *who = server_ask(&replica, "GET who");
	assert_string_equal(who, "second");
	free(who);
	client_close(&client);
	server_remove(&sentinel);
	server_remove(&replica);
	server_remove(&master);
}

static void
a_name_that_no_sentinel_knows(void **state)
{
	(void)state;
	char url[160];
	struct server sentinel;
	struct client client;
	struct call of = {.command.timeout_ms = 1500};
	start_sentinel(&sentinel, free_port());
	snprintf(url, sizeof(url), "sentinel://127.0.0.1:%d?master_name=adam", sentinel.port);
	client_open(&client, url, false);
	call(&client, &of, "PING");
	UNTIL(&client, of.done, 5000);
	assert_int_equal(of.status, -1);
	assert_non_null(strstr(of.text, "no master of the name adam"));
	client_close(&client);
	server_remove(&sentinel);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_master_is_found_and_followed),
		cmocka_unit_test(a_name_that_no_sentinel_knows),
	};
	return cmocka_run_group_tests_name("redis sentinel", tests, NULL, NULL);
}
