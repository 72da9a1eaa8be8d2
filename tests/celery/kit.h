/*
 * Real Redis servers for the tests, each a child of the test on a port and a socket of its own,
 * and a loop that runs until something is true.
 */
#ifndef QL_TESTS_CELERY_KIT_H
#define QL_TESTS_CELERY_KIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <setjmp.h>
#include <uv.h>

#include <cmocka.h>

#include "broker/celery/redis/redis.h"

struct server {
	pid_t pid; /* 0: not running */
	int port;
	char dir[64];
	char url[128]; /* redis://127.0.0.1:PORT/0 */
	char socket[96];
};

/* A port and a folder of its own, and no server yet. */
void server_place(struct server *server);
/* words: a file of settings or none, then further arguments of redis-server, NULL-terminated, or NULL. Returns
 * when it accepts. */
void server_start(struct server *server, const char *const *words);
/* The same again, on the same port, after it was killed. */
void server_restart(struct server *server, const char *const *words);
void server_signal(const struct server *server, int signal);
/* SIGKILL, and waits for it. */
void server_kill(struct server *server);
void server_remove(struct server *server);
/* redis-cli's work: a blocking command of the test's own; what it says as text, the caller's to free. */
char *
server_ask(const struct server *server, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int free_port(void);
/*
 * A worker of Celery's on it: `app` is a module of `folder`, and finds the URL in BROKER_URL and PROJ_URL; more is a
 * flag, or NULL. In a group of its own, with its pool's processes, and gone with the test; its errors are the test's.
 */
pid_t worker_start(const struct server *server, const char *folder, const char *app,
	const char *node, const char *more);
/* SIGKILL to all of it, and waits. */
void worker_kill(pid_t worker);
/* One server for a group of tests: *state is it. */
int server_setup(void **state);
int server_teardown(void **state);

struct client {
	uv_loop_t loop;
	uv_timer_t tick;
	struct ql_redis_url url;
	struct ql_redis *redis;
	int ups;
	int losses;
	int messages;
	char last[256]; /* channel=data of the last message */
	struct ql_err lost;
	bool closed;
};

/* Opens; with `listens` it is for subscriptions, and subscribes "news" and the pattern "all.*" when up. */
void client_open(struct client *client, const char *url, bool listens);
void client_close(struct client *client);
int64_t now_ms(void);

/* Runs the client's loop until it is true, for at most so long; fails the test otherwise. */
#define UNTIL(client, condition, ms) \
	do { \
		int64_t until_end = now_ms() + (ms); \
		while (!(condition)) { \
			if (now_ms() > until_end) \
				fail_msg("not true in %d ms: %s", (int)(ms), #condition); \
			uv_run(&(client)->loop, UV_RUN_ONCE); \
		} \
	} while (0)

/* A command, and what came of it. */
struct call {
	struct ql_redis_command command;
	int done;
	int status;
	char text[QL_ERR_TEXT];
	long long number;
};

void call(struct client *client, struct call *call, const char *line);

#endif
