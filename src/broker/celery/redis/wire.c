#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/str.h"
#include "broker/celery/redis/inside.h"

static void
wire_free(struct ql_redis_wire *wire)
{
	if (wire->bytes)
		redisFreeCommand(wire->bytes);
	free(wire);
}

/* ---- commands that are over ---- */

/* Takes the command from its books; whoever calls tells it. */
static void
release(struct ql_redis *redis, struct ql_redis_command *command)
{
	struct ql_redis_wire *wire = command->wire;
	ql_alarm_clear(&redis->alarm, &command->due);
	command->wire = NULL;
	if (wire)
		wire->command = NULL;
}

void
ql_redis_refuse(struct ql_redis *redis, struct ql_redis_command *command)
{
	DL_APPEND(redis->refused, command);
	uv_idle_start(&redis->idle, ql_redis_turn);
}

static void
tell_refused(struct ql_redis *redis)
{
	struct ql_redis_command *last = redis->refused ? redis->refused->prev : NULL;
	for (bool more = last != NULL; more;) {
		struct ql_redis_command *command = redis->refused;
		more = command != last;
		DL_DELETE(redis->refused, command);
		command->done(command, -1, NULL);
	}
}

void
ql_redis_turn(uv_idle_t *idle)
{
	struct ql_redis *redis = idle->data;
	tell_refused(redis);
	if (redis->refused)
		return;
	if (redis->state == QL_REDIS_CLOSING) {
		ql_redis_close_parts(redis);
		return;
	}
	uv_idle_stop(idle);
	ql_redis_flush(redis);
}

/* A command that leaves the books without its reply. */
static void
fail_wire(struct ql_redis *redis, struct ql_redis_wire *wire, const struct ql_err *err,
	const char *what)
{
	struct ql_redis_command *command = wire->command;
	redis->open--;
	if (command) {
		release(redis, command);
		command->err = *err;
		ql_err_prefix(&command->err, "%s", what);
		ql_redis_refuse(redis, command);
	}
	wire_free(wire);
}

void
ql_redis_fail_sent(struct ql_redis *redis, const struct ql_err *err)
{
	struct ql_redis_wire *wire, *next;
	DL_FOREACH_SAFE (redis->sent, wire, next) {
		DL_DELETE(redis->sent, wire);
		fail_wire(redis, wire, err, "Redis was asked, and what came of it is not known");
	}
	/* Those were refused: nothing came of them. */
	DL_CONCAT(redis->again, redis->waiting);
	redis->waiting = redis->again;
	redis->again = NULL;
}

void
ql_redis_fail_waiting(struct ql_redis *redis, const struct ql_err *err)
{
	struct ql_redis_wire *wire, *next;
	DL_FOREACH_SAFE (redis->waiting, wire, next) {
		DL_DELETE(redis->waiting, wire);
		redis->bytes -= wire->len;
		fail_wire(redis, wire, err, "Redis was not asked");
	}
}

void
ql_redis_expire(struct ql_redis *redis, struct ql_redis_command *command)
{
	struct ql_redis_wire *wire = command->wire;
	const char *why = redis->breaker.why;
	release(redis, command);
	if (wire->sent) {
		ql_fail(&command->err, QL_E_TIMEOUT,
			"Redis gave no answer in %lld ms: what came of it is not known",
			(long long)command->timeout_ms);
	} else {
		ql_fail(&command->err, QL_E_TIMEOUT,
			"Redis was not asked: there was no way to it for %lld ms%s%s",
			(long long)command->timeout_ms, why[0] ? "; " : "", why);
		if (wire->again)
			DL_DELETE(redis->again, wire);
		else
			DL_DELETE(redis->waiting, wire);
		redis->bytes -= wire->len;
		redis->open--;
		wire_free(wire);
	}
	command->done(command, -1, NULL);
}

/* ---- commands out ---- */

/* Without a script the wire's bytes are the whole command. */
static int
write_bytes(struct ql_redis *redis, struct ql_redis_wire *wire)
{
	int status = ql_redis_link_write(redis->link, wire->bytes, wire->len);
	redisFreeCommand(wire->bytes);
	wire->bytes = NULL;
	return status;
}

/* With one, only the arguments behind EVALSHA and the hash, or EVAL and the text. */
static int
write_script(struct ql_redis *redis, struct ql_redis_wire *wire)
{
	char head[64];
	const char *name = wire->again ? "EVAL" : "EVALSHA";
	const char *what = wire->again ? wire->script->body : wire->script->sha;
	int len = snprintf(head, sizeof(head), "*%d\r\n$%zu\r\n%s\r\n$%zu\r\n", wire->args + 2,
		strlen(name), name, strlen(what));
	if (ql_redis_link_write(redis->link, head, (size_t)len) ||
		ql_redis_link_write(redis->link, what, strlen(what)) ||
		ql_redis_link_write(redis->link, "\r\n", 2))
		return -1;
	return ql_redis_link_write(redis->link, wire->bytes, wire->len);
}

static void
loaded(struct ql_redis *redis, const redisReply *reply)
{
	(void)redis;
	(void)reply; /* if it failed, EVALSHA says so */
}

/* -1 ends the connection. */
static int
write_wire(struct ql_redis *redis, struct ql_redis_wire *wire)
{
	if (!redis->sent)
		redis->heard_at = ql_alarm_ms(); /* from here on it is silence */
	DL_APPEND(redis->sent, wire);
	redis->bytes -= wire->len;
	wire->sent = true;
	return wire->script ? write_script(redis, wire) : write_bytes(redis, wire);
}

static int
load_script(struct ql_redis *redis, struct ql_redis_script *script)
{
	const char *const load[] = {"SCRIPT", "LOAD", script->body};
	script->loaded = true;
	return ql_redis_own(redis, 3, load, loaded);
}

static int
send_next(struct ql_redis *redis, struct ql_redis_wire **list)
{
	struct ql_redis_wire *wire = *list;
	if (wire->script && !wire->script->loaded && load_script(redis, wire->script))
		return -1;
	DL_DELETE(*list, wire);
	return write_wire(redis, wire);
}

void
ql_redis_fail_for_memory(struct ql_redis *redis)
{
	struct ql_err err;
	ql_fail(&err, QL_E_UNAVAILABLE, "Out of memory to write to Redis");
	ql_redis_fail(redis, &err);
}

void
ql_redis_flush(struct ql_redis *redis)
{
	struct ql_err err;
	while (redis->state == QL_REDIS_UP && (redis->again || redis->waiting) &&
		ql_redis_link_backlog(redis->link) < QL_REDIS_FLIGHT_BYTES) {
		if (send_next(redis, redis->again ? &redis->again : &redis->waiting))
			ql_redis_fail_for_memory(redis);
	}
	if (redis->link && ql_redis_link_flush(redis->link, &err))
		ql_redis_fail(redis, &err);
}

int
ql_redis_own(struct ql_redis *redis, int argc, const char *const *argv,
	void (*answered)(struct ql_redis *redis, const redisReply *reply))
{
	struct ql_redis_wire *wire = calloc(1, sizeof(*wire));
	int len = wire ? redisFormatCommandArgv(&wire->bytes, argc, (const char **)argv, NULL) : -1;
	if (len < 0) {
		free(wire);
		return -1;
	}
	wire->answered = answered;
	wire->len = (size_t)len;
	redis->bytes += wire->len;
	redis->open++;
	return write_wire(redis, wire);
}

/* ---- replies in ---- */

static bool
is_error(const redisReply *reply, const char *word)
{
	return reply->type == REDIS_REPLY_ERROR && !strncmp(reply->str, word, strlen(word));
}

static enum ql_code
code_of(const redisReply *reply)
{
	static const char *const away[] = {"LOADING", "BUSY", "MASTERDOWN", "READONLY", "OOM",
		"TRYAGAIN", "NOREPLICAS", "MISCONF"};
	for (size_t i = 0; i < sizeof(away) / sizeof(*away); i++) {
		if (is_error(reply, away[i]))
			return QL_E_UNAVAILABLE;
	}
	return QL_E_INTERNAL;
}

static void
answer(struct ql_redis *redis, struct ql_redis_command *command, const redisReply *reply)
{
	release(redis, command);
	if (reply->type != REDIS_REPLY_ERROR) {
		command->done(command, 0, reply);
		return;
	}
	ql_fail(&command->err, code_of(reply), "Redis refused it: %s", reply->str);
	command->done(command, -1, NULL);
}

/* A master that was made a replica: the sentinels know who took over. */
static void
look_for_the_master(struct ql_redis *redis)
{
	struct ql_err err;
	if (redis->state != QL_REDIS_UP || !redis->config.url->sentinels)
		return;
	ql_fail(&err, QL_E_UNAVAILABLE,
		"That Redis is no master any more; the sentinels are asked");
	ql_redis_fail(redis, &err);
}

static bool
says(const redisReply *reply, size_t elements, const char *word)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != elements)
		return false;
	for (size_t i = 1; i + 1 < elements; i++) {
		if (reply->element[i]->type != REDIS_REPLY_STRING)
			return false;
	}
	return reply->element[0]->type == REDIS_REPLY_STRING &&
	       !strcmp(reply->element[0]->str, word);
}

/* What comes by itself on a connection with subscriptions; everything else answers a command. */
static bool
take_push(struct ql_redis *redis, const redisReply *reply)
{
	static const char *const confirmations[] = {
		"subscribe", "psubscribe", "unsubscribe", "punsubscribe"};
	redisReply **element = reply->element;
	const struct ql_redis_config *config = &redis->config;
	if (says(reply, 3, "message") && element[2]->type == REDIS_REPLY_STRING) {
		config->message(
			config->arg, NULL, element[1]->str, element[2]->str, element[2]->len);
		return true;
	}
	if (says(reply, 4, "pmessage") && element[3]->type == REDIS_REPLY_STRING) {
		config->message(config->arg, element[1]->str, element[2]->str, element[3]->str,
			element[3]->len);
		return true;
	}
	for (size_t i = 0; i < sizeof(confirmations) / sizeof(*confirmations); i++) {
		if (says(reply, 3, confirmations[i]))
			return true;
	}
	return false;
}

static void
nobody_asked(struct ql_redis *redis, const redisReply *reply)
{
	struct ql_err err;
	ql_fail(&err, QL_E_UNAVAILABLE, "Redis answered what nobody asked%s%s",
		reply->type == REDIS_REPLY_ERROR ? ": " : "; is it a Redis that stands there?",
		reply->type == REDIS_REPLY_ERROR ? reply->str : "");
	ql_redis_fail(redis, &err);
}

/* It had no effect and goes first now. */
static void
send_again(struct ql_redis *redis, struct ql_redis_wire *wire)
{
	wire->again = true;
	wire->sent = false;
	redis->bytes += wire->len;
	redis->open++;
	DL_APPEND(redis->again, wire);
	ql_redis_flush(redis);
}

void
ql_redis_take_reply(struct ql_redis *redis, const redisReply *reply)
{
	struct ql_redis_wire *wire = redis->sent;
	if (redis->config.message && take_push(redis, reply))
		return;
	if (!wire) {
		nobody_asked(redis, reply);
		return;
	}
	bool demoted = is_error(reply, "READONLY");
	DL_DELETE(redis->sent, wire);
	redis->open--;
	if (wire->command && wire->script && !wire->again && is_error(reply, "NOSCRIPT")) {
		send_again(redis, wire);
		return;
	}
	if (wire->answered)
		wire->answered(redis, reply);
	else if (wire->command)
		answer(redis, wire->command, reply);
	wire_free(wire);
	if (demoted)
		look_for_the_master(redis);
}
