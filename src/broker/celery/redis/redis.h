/*
 * Redis, as the Celery driver needs it: one address (redis://, redis+socket://, sentinel://), several
 * connections, each pipelined, with deadlines of our own and reconnects with backoff. The protocol
 * is hiredis', the socket libuv's (link.h says why).
 *
 * A command is a struct embedded in its caller's: `done` once, on the loop's thread, never from
 * within the call, at the latest at its deadline. Commands of one connection take effect in their
 * order. After a loss of connection what was sent and not answered is done with -1 (nothing is
 * known of it); what was not sent yet waits for the reconnect until its deadline. While the breaker
 * is open a command is refused at once.
 */
#ifndef QL_BROKER_CELERY_REDIS_REDIS_H
#define QL_BROKER_CELERY_REDIS_REDIS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/breaker.h"
#include "base/err.h"
#include "base/heap.h"

#define QL_REDIS_OPEN_MAX 65536 /* commands open on one connection */
#define QL_REDIS_BYTES_MAX (64 << 20) /* bytes of them that were not sent yet */
#define QL_REDIS_TIMEOUT_MS 5000 /* of a command that names no time */
#define QL_REDIS_CONNECT_MS 3000 /* to find the server, connect and greet it */
#define QL_REDIS_BACKOFF_MS \
	50 /* before the second attempt to connect; doubles, half of it chance */
#define QL_REDIS_BACKOFF_MAX_MS \
	500 /* a worker that is back takes its first message a second later: to be there before */
#define QL_REDIS_WATCH_MS 500 /* between looks at whether the server is alive */
#define QL_REDIS_IDLE_MS 1000 /* without a word: PING */
#define QL_REDIS_MUTE_MS 1500 /* while an answer or a connection is awaited: it shows as away */
#define QL_REDIS_SILENCE_MS 4000 /* while an answer is awaited: the connection is given up */
#define QL_REDIS_BREAKER_FAILURES \
	3 /* failed attempts and lost connections in a row open the breaker */
#define QL_REDIS_BREAKER_MS 250 /* its first pause */

/* redis://[user:password@]host:port/db and the rest; strings are owned. Never logged as a whole. */
struct ql_redis_url {
	char *host; /* or the path of a unix socket */
	char *user, *password; /* or NULL */
	char *sentinels; /* "host:port host:port", or NULL */
	char *master_name; /* of the sentinels */
	int port; /* 0 = unix socket */
	int db;
};

/* rediss:// is refused with the recipe; query options master_name and virtual_host are read. */
int ql_redis_url_parse(const char *text, struct ql_redis_url *ret_url, struct ql_err *e);
void ql_redis_url_done(struct ql_redis_url *url);
/* Without its password, for logs. */
void ql_redis_url_show(const struct ql_redis_url *url, char *ret_text, size_t size);

struct ql_redis_command {
	struct ql_redis_command *prev, *next;
	struct ql_heap_node due;
	/* reply: valid within the call; NULL with status -1. An error reply is -1 with its text in err. */
	void (*done)(struct ql_redis_command *command, int status, const redisReply *reply);
	struct ql_err err;
	struct ql_redis *redis;
	int64_t timeout_ms; /* 0 = QL_REDIS_TIMEOUT_MS */
	void *wire; /* the connection's own, until done */
};

struct ql_redis;

struct ql_redis_config {
	const struct ql_redis_url *url; /* borrowed until closed */
	const char *name; /* CLIENT SETNAME: "quell", "quell-sub" */
	/*
	 * message: NULL, or this connection is for subscriptions and each message comes here. `up`
	 * is told after each connect (and subscribes again), `lost` each time a connection that was
	 * up goes. Each of them may be NULL.
	 */
	void (*message)(
		void *arg, const char *pattern, const char *channel, const char *data, size_t len);
	void (*up)(void *arg, struct ql_redis *redis);
	void (*lost)(void *arg, const struct ql_err *err);
	void *arg;
};

int ql_redis_open(uv_loop_t *loop, const struct ql_redis_config *config,
	struct ql_redis **ret_redis, struct ql_err *e);

/* argv is copied. lens NULL: they are strings. */
void ql_redis_send(struct ql_redis *redis, struct ql_redis_command *command, int argc,
	const char *const *argv, const size_t *lens);

/*
 * EVALSHA of body (static: its address is its name), with so many of the arguments as keys. It is
 * loaded on each new connection by itself; where the server forgot it since (SCRIPT FLUSH) it goes
 * again as EVAL, and that once it may take effect after later commands.
 */
void ql_redis_eval(struct ql_redis *redis, struct ql_redis_command *command, const char *body,
	int keys, int argc, const char *const *argv, const size_t *lens);

/* Done with -1 and the err that the caller filled, as if Redis had been asked. */
void ql_redis_refuse(struct ql_redis *redis, struct ql_redis_command *command);

/* Of a connection for subscriptions; no answer is waited for. */
void ql_redis_subscribe(struct ql_redis *redis, const char *channel, bool pattern, bool on);

bool ql_redis_is_up(const struct ql_redis *redis);

/* Did an attempt fail, or was a connection lost, shortly before the one that is up? */
bool ql_redis_was_away(const struct ql_redis *redis);

const struct ql_breaker *ql_redis_breaker(const struct ql_redis *redis);

/*
 * What is shown of the server: the breaker's word, but that one which says nothing is away long before the
 * connection to it is given up and the breaker opens.
 */
void ql_redis_show(const struct ql_redis *redis, struct ql_dependency *ret);

/* Whatever is open is done with -1 before `closed`. From within those `done` more may be sent: it is refused. */
void ql_redis_close(struct ql_redis *redis, void (*closed)(void *arg), void *arg);

#endif
