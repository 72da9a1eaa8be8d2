/*
 * A world for tests of the HTTP side: the real server with the fake engine on a thread of its own,
 * and a client of plain sockets. Every read of the client has a deadline.
 */
#ifndef TESTS_HTTP_WORLD_H
#define TESTS_HTTP_WORLD_H

#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fake.h"
#include "http/server.h"

struct world {
	uv_loop_t loop;
	uv_thread_t thread;
	uv_async_t call;
	uv_mutex_t lock;
	uv_cond_t called;
	void (*call_fn)(struct world *world, void *arg);
	void *call_arg;
	bool stopping;
	bool stopped;
	struct ql_engine *engine;
	struct ql_server *server;
	struct ql_auth auth;
	struct ql_meter meter;
	struct ql_limiter *limiter; /* all that limit.def says, unless a test sets another */
	struct ql_server_config config;
	char data_dir[64];
	struct ql_signer *signer;
	char host[64]; /* "127.0.0.1:PORT" */
	int port;
};

/* The keys of every world but those without auth. */
#define ADMIN "adminkey"
#define ALICE "alicekey"
#define BOB "bobkey"

struct answer {
	int status;
	char *text; /* all of it */
	char *body;
	size_t body_len;
	json_t *json; /* of a JSON body */
};

/* config may be changed between the two. */
struct world *world_new(void);
void world_start(struct world *world);
void world_free(struct world *world); /* stops the server, which must not hang */

/* A world for one test; change (or NULL) changes its config before the start. */
int world_setup_with(void **state, void (*change)(struct world *world));
int world_setup(void **state);
int world_teardown(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

/* On the loop's thread: the server begins to stop; world_free then waits for its end alone. */
void world_begin_stop(struct world *world);

/* Runs fn on the loop's thread and waits for it. */
void world_call(struct world *world, void (*fn)(struct world *world, void *arg), void *arg);

/* Waits until fn says true on the loop's thread; fails the test after ten seconds. */
void world_until(struct world *world, bool (*fn)(struct world *world));

/* For world_call: a running evaluation of alice's, by its id. */
void add_one(struct world *world, void *eval_id);

/* One request with the key (NULL = none) and extra header lines ("A: b\r\n"; NULL = none). */
struct answer ask(struct world *world, const char *key, const char *method, const char *target,
	const char *headers, const char *body);

/* The same as the admin, with JSON where there is a body. */
struct answer get(struct world *world, const char *target);
struct answer post(struct world *world, const char *target, const char *body);

void answer_done(struct answer *answer);

/* A header's value, or NULL; valid until the next call. */
const char *answer_header(const struct answer *answer, const char *name);

/* A member of the JSON body, by name. */
const char *answer_text(const struct answer *answer, const char *name);

/* The raw side: a socket; what is sent; one whole answer; the end of the connection. */
int dial(struct world *world);
/* Dials and sends a request without a body. */
int begin(struct world *world, const char *key, const char *method, const char *target,
	const char *headers);
void send_text(int fd, const char *text);
struct answer read_answer(int fd, bool head);
bool is_closed_soon(int fd); /* the server ends it, whatever it sends before that */

/* Reads until the text has come; the rest may have come too. Into buf, NUL-terminated. */
void read_until(int fd, const char *text, char *buf, size_t size);

#endif
