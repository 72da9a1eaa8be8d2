/* What a connection takes over: bounds, the script's place in its books, the deadline. */
#include <assert.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/str.h"
#include "broker/celery/redis/inside.h"

static int
admit(struct ql_redis *redis, size_t len, struct ql_err *e)
{
	const struct ql_breaker *breaker = &redis->breaker;
	if (redis->state == QL_REDIS_CLOSING)
		return ql_fail(e, QL_E_UNAVAILABLE, "The connection to Redis is being closed");
	if (breaker->state != QL_BREAKER_CLOSED)
		return ql_fail(
			e, QL_E_UNAVAILABLE, "Redis was not asked: it is away; %s", breaker->why);
	if (redis->open >= QL_REDIS_OPEN_MAX)
		return ql_fail(e, QL_E_LIMIT,
			"%d commands to Redis are open already: ask again when some are answered",
			QL_REDIS_OPEN_MAX);
	if (redis->bytes + len > QL_REDIS_BYTES_MAX && redis->bytes)
		return ql_fail(e, QL_E_LIMIT,
			"%d bytes of commands to Redis are not sent yet: ask again when they are",
			QL_REDIS_BYTES_MAX);
	return 0;
}

/* bytes is the wire's from here on, or freed. */
static void
take_over(
	struct ql_redis *redis, struct ql_redis_command *command, struct ql_redis_wire how, int len)
{
	struct ql_redis_wire *wire = len < 0 ? NULL : calloc(1, sizeof(*wire));
	command->redis = redis;
	command->wire = NULL;
	if (!command->timeout_ms)
		command->timeout_ms = QL_REDIS_TIMEOUT_MS;
	if (!wire || ql_alarm_set(&redis->alarm, &command->due, command->timeout_ms)) {
		free(wire);
		if (len >= 0)
			redisFreeCommand(how.bytes);
		ql_fail(&command->err, QL_E_UNAVAILABLE, "Out of memory to ask Redis");
		ql_redis_refuse(redis, command);
		return;
	}
	*wire = how;
	wire->command = command;
	wire->len = (size_t)len;
	command->wire = wire;
	redis->open++;
	redis->bytes += wire->len;
	DL_APPEND(redis->waiting, wire);
	uv_idle_start(&redis->idle, ql_redis_turn);
}

static size_t
length_of(int argc, const char *const *argv, const size_t *lens)
{
	size_t len = 0;
	for (int i = 0; i < argc; i++)
		len += lens ? lens[i] : strlen(argv[i]);
	return len;
}

void
ql_redis_send(struct ql_redis *redis, struct ql_redis_command *command, int argc,
	const char *const *argv, const size_t *lens)
{
	struct ql_redis_wire wire = {0};
	if (admit(redis, length_of(argc, argv, lens), &command->err)) {
		ql_redis_refuse(redis, command);
		return;
	}
	int len = redisFormatCommandArgv(&wire.bytes, argc, (const char **)argv, lens);
	take_over(redis, command, wire, len);
}

/* ---- scripts ---- */

static void
hash(const char *body, char ret_sha[static 41])
{
	unsigned char sum[SHA_DIGEST_LENGTH];
	SHA1((const unsigned char *)body, strlen(body), sum);
	for (int i = 0; i < SHA_DIGEST_LENGTH; i++)
		snprintf(ret_sha + 2 * i, 3, "%02x", sum[i]);
}

static struct ql_redis_script *
script_of(struct ql_redis *redis, const char *body)
{
	for (size_t i = 0; i < redis->script_count; i++) {
		if (redis->scripts[i].body == body)
			return &redis->scripts[i];
	}
	assert(redis->script_count < QL_REDIS_SCRIPTS_MAX); /* they are static: a program's own */
	struct ql_redis_script *script = &redis->scripts[redis->script_count++];
	script->body = body;
	hash(body, script->sha);
	return script;
}

/* The arguments behind the script: the number of keys, the keys, the rest. */
static int
format_arguments(
	struct ql_redis_wire *wire, int keys, int argc, const char *const *argv, const size_t *lens)
{
	char count[16];
	const char **all = calloc((size_t)argc + 1, sizeof(*all));
	size_t *all_lens = calloc((size_t)argc + 1, sizeof(*all_lens));
	int len = -1;
	if (all && all_lens) {
		snprintf(count, sizeof(count), "%d", keys);
		all[0] = count;
		all_lens[0] = strlen(count);
		for (int i = 0; i < argc; i++) {
			all[i + 1] = argv[i];
			all_lens[i + 1] = lens ? lens[i] : strlen(argv[i]);
		}
		len = redisFormatCommandArgv(&wire->bytes, argc + 1, all, all_lens);
	}
	free(all);
	free(all_lens);
	if (len < 0)
		return -1;
	size_t head = strcspn(wire->bytes, "\n") + 1; /* "*N\r\n": the whole command has its own */
	memmove(wire->bytes, wire->bytes + head, (size_t)len - head);
	return len - (int)head;
}

void
ql_redis_eval(struct ql_redis *redis, struct ql_redis_command *command, const char *body, int keys,
	int argc, const char *const *argv, const size_t *lens)
{
	struct ql_redis_wire wire = {.script = script_of(redis, body), .args = argc + 1};
	if (admit(redis, length_of(argc, argv, lens), &command->err)) {
		ql_redis_refuse(redis, command);
		return;
	}
	int len = format_arguments(&wire, keys, argc, argv, lens);
	take_over(redis, command, wire, len);
}

/* ---- subscriptions ---- */

/* Its confirmation is a push, which no wire waits for. */
void
ql_redis_subscribe(struct ql_redis *redis, const char *channel, bool pattern, bool on)
{
	static const char *const verbs[2][2] = {
		{"UNSUBSCRIBE", "SUBSCRIBE"}, {"PUNSUBSCRIBE", "PSUBSCRIBE"}};
	const char *argv[] = {verbs[pattern][on], channel};
	char *bytes;
	if (redis->state != QL_REDIS_UP)
		return; /* `up` asks again */
	int len = redisFormatCommandArgv(&bytes, 2, argv, NULL);
	if (len < 0 || ql_redis_link_write(redis->link, bytes, (size_t)len))
		ql_redis_fail_for_memory(redis);
	if (len >= 0)
		redisFreeCommand(bytes);
	uv_idle_start(&redis->idle, ql_redis_turn);
}
