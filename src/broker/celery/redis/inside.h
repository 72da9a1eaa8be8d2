/* What the files of this folder share: one connection's state, and who moves it. */
#ifndef QL_BROKER_CELERY_REDIS_INSIDE_H
#define QL_BROKER_CELERY_REDIS_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "broker/celery/redis/redis.h"
#include "broker/celery/redis/link.h"
#include "runtime/alarm.h"

#define QL_REDIS_SCRIPTS_MAX 32 /* different scripts on one connection */
#define QL_REDIS_FLIGHT_BYTES (256 << 10) /* given to the link at once */

struct ql_redis_script {
	const char *body; /* static: its address is its name */
	char sha[41];
	bool loaded; /* into this server, by this connection */
};

/* A command as bytes: its caller may give up on it while its reply is still to come. */
struct ql_redis_wire {
	struct ql_redis_wire *prev, *next;
	struct ql_redis_command
		*command; /* NULL: nobody waits for it any more, or nobody ever did */
	/* Takes the reply; NULL: it is the command's. */
	void (*answered)(struct ql_redis *redis, const redisReply *reply);
	struct ql_redis_script *script; /* or NULL; bytes are then the arguments behind it alone */
	int args; /* how many those are */
	bool again; /* the server had forgotten the script: goes as EVAL */
	bool sent;
	char *bytes; /* owned; NULL once sent, unless it may have to be sent again */
	size_t len;
};

enum ql_redis_state {
	QL_REDIS_WAITING, /* for the time of the next attempt */
	QL_REDIS_ASKING, /* a sentinel */
	QL_REDIS_CONNECTING,
	QL_REDIS_GREETING, /* connected; AUTH, SELECT and the like are not answered yet */
	QL_REDIS_UP,
	QL_REDIS_CLOSING,
};

struct ql_redis {
	uv_loop_t *loop;
	struct ql_redis_config config;
	char *name; /* owned */
	enum ql_redis_state state;
	struct ql_redis_link *link; /* NULL in WAITING and CLOSING */
	struct ql_breaker breaker;
	int64_t wall_ms; /* added to ql_alarm_ms: unix time that never jumps */

	/* deadlines */
	struct ql_alarm alarm;
	/*
	 * Always set, so that setting it anew takes no memory. WAITING: the next attempt; ASKING to
	 * GREETING: its end; UP: the next look at whether the server is alive.
	 */
	struct ql_heap_node turn;
	int failures; /* attempts in a row, for the backoff */
	int64_t heard_at; /* of the last reply, or since when one is awaited */
	int64_t well_until; /* not UP: when it still was, or was opened */

	/* commands */
	struct ql_redis_wire *waiting; /* not sent, in order */
	struct ql_redis_wire *again; /* goes before them */
	struct ql_redis_wire *sent; /* in the order of their replies */
	struct ql_redis_command *refused; /* done with -1 in the next turn of the loop */
	size_t open; /* commands not done, and wires of given up ones */
	size_t bytes; /* of what waits */
	struct ql_redis_script scripts[QL_REDIS_SCRIPTS_MAX];
	size_t script_count;
	uv_idle_t idle; /* runs while something is refused or is to be flushed */

	/* greeting */
	int greetings; /* answers still to come */
	struct ql_err greeting; /* the first refusal; code OK = none */

	/* sentinels */
	int sentinel; /* the one to ask next */
	int sentinels_asked; /* in this attempt */
	char *master_host; /* owned */
	int master_port;
	struct ql_err sentinel_err; /* of the last one */

	int parts; /* alarm, idle and links */
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- redis.c: the connection's life ---- */

/* The connection, or the attempt at it, is over: what was sent fails, and the next attempt is set. */
void ql_redis_fail(struct ql_redis *redis, const struct ql_err *err);

/* Greeted: commands may go. */
void ql_redis_arrive(struct ql_redis *redis);

/* Connects to the server itself; the sentinels, where there are any, have named it. */
void ql_redis_connect(struct ql_redis *redis, const char *host, int port);

void ql_redis_part_gone(void *arg);

/* The end of a close: everything was told. */
void ql_redis_close_parts(struct ql_redis *redis);

int64_t ql_redis_now(const struct ql_redis *redis);

/* ---- wire.c: commands out, replies in ---- */

/* A command of the connection's own, before all that waits; the next flush sends it. -1: no memory. */
int ql_redis_own(struct ql_redis *redis, int argc, const char *const *argv,
	void (*answered)(struct ql_redis *redis, const redisReply *reply));

void ql_redis_take_reply(struct ql_redis *redis, const redisReply *reply);
void ql_redis_flush(struct ql_redis *redis);

/* The connection can't go on. */
void ql_redis_fail_for_memory(struct ql_redis *redis);

/* What was sent is done with -1 in the next turn of the loop; the other: what waits, too. */
void ql_redis_fail_sent(struct ql_redis *redis, const struct ql_err *err);
void ql_redis_fail_waiting(struct ql_redis *redis, const struct ql_err *err);

/* The idle handle's callback: refusals are told, what was gathered goes out. */
void ql_redis_turn(uv_idle_t *idle);

/* The deadline of a command. */
void ql_redis_expire(struct ql_redis *redis, struct ql_redis_command *command);

/* ---- greet.c ---- */

void ql_redis_greet(struct ql_redis *redis);

/* ---- sentinel.c ---- */

void ql_redis_ask_sentinels(struct ql_redis *redis);

#endif
