/* What a new connection says first: who we are, which database, what it is for. */
#include <stdio.h>
#include <string.h>

#include "broker/celery/redis/inside.h"

static void
refused(struct ql_redis *redis, const char *what, const char *text, size_t len)
{
	char at[128];
	if (redis->greeting.code)
		return; /* the first one is the reason for the rest */
	ql_redis_url_show(redis->config.url, at, sizeof(at));
	ql_fail(&redis->greeting, QL_E_UNAVAILABLE, "Redis at %s refused %s: %.*s", at, what,
		(int)len, text);
}

static void
answered(struct ql_redis *redis)
{
	if (--redis->greetings)
		return;
	if (redis->greeting.code)
		ql_redis_fail(redis, &redis->greeting);
	else
		ql_redis_arrive(redis);
}

/* Of the answer only its first word: a server that does not know AUTH repeats the password. */
static void
authenticated(struct ql_redis *redis, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR)
		refused(redis, "the user or the password of the address", reply->str,
			strcspn(reply->str, " "));
	answered(redis);
}

static void
selected(struct ql_redis *redis, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR)
		refused(redis, "its database", reply->str, reply->len);
	answered(redis);
}

/* An old server, or a user who may not: the name is for people alone. */
static void
named(struct ql_redis *redis, const redisReply *reply)
{
	(void)reply;
	answered(redis);
}

static void
ponged(struct ql_redis *redis, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_ERROR)
		refused(redis, "to serve", reply->str, reply->len);
	answered(redis);
}

/* Sentinels may name a server that is about to be replaced. */
static void
told_role(struct ql_redis *redis, const redisReply *reply)
{
	const redisReply *role =
		reply->type == REDIS_REPLY_ARRAY && reply->elements ? reply->element[0] : reply;
	bool known = role->type == REDIS_REPLY_STRING;
	if (!known || strcmp(role->str, "master"))
		refused(redis, "to be the master that the sentinels named: it is",
			known ? role->str : "unknown", known ? role->len : 7);
	answered(redis);
}

static int
say(struct ql_redis *redis, int argc, const char *const *argv,
	void (*told)(struct ql_redis *redis, const redisReply *reply))
{
	redis->greetings++;
	return ql_redis_own(redis, argc, argv, told);
}

static int
authenticate(struct ql_redis *redis)
{
	const struct ql_redis_url *url = redis->config.url;
	const char *const both[] = {"AUTH", url->user, url->password};
	const char *const one[] = {"AUTH", url->password};
	if (!url->password)
		return 0;
	return url->user ? say(redis, 3, both, authenticated) : say(redis, 2, one, authenticated);
}

static int
choose(struct ql_redis *redis)
{
	char db[16];
	const char *const argv[] = {"SELECT", db};
	snprintf(db, sizeof(db), "%d", redis->config.url->db);
	return redis->config.url->db ? say(redis, 2, argv, selected) : 0;
}

void
ql_redis_greet(struct ql_redis *redis)
{
	const char *const name[] = {"CLIENT", "SETNAME", redis->name};
	static const char *const role[] = {"ROLE"};
	static const char *const ping[] = {"PING"};
	redis->greetings = 0;
	redis->greeting = (struct ql_err){0};
	bool sentinels = redis->config.url->sentinels != NULL;
	if (authenticate(redis) || choose(redis) || say(redis, 3, name, named) ||
		(sentinels && say(redis, 1, role, told_role)) || say(redis, 1, ping, ponged))
		ql_redis_fail_for_memory(redis);
	else
		ql_redis_flush(redis);
}
