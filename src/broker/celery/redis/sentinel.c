/*
 * Asks the sentinels, one after the other, who the master is. Each attempt begins behind the last
 * one asked, so that one that is down costs no more than its share.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/celery/redis/inside.h"

static int
count(const char *list)
{
	int n = 1;
	for (; *list; list++)
		n += *list == ' ';
	return n;
}

/* The n-th of "host:port host:port"; -1 when there are fewer. */
static int
nth(const char *list, int n, char *ret_host, size_t size, int *ret_port)
{
	for (; n && list; n--) {
		list = strchr(list, ' ');
		list = list ? list + 1 : NULL;
	}
	if (!list)
		return -1;
	char one[300];
	snprintf(one, sizeof(one), "%.*s", (int)strcspn(list, " "), list);
	char *colon = strrchr(one, ':');
	int64_t port;
	if (!colon || ql_str_int(colon + 1, 1, 65535, &port))
		return -1;
	*colon = 0;
	*ret_port = (int)port;
	return ql_str_copy(ret_host, size, one);
}

static void ask_next(struct ql_redis *redis);

static void
leave(struct ql_redis *redis)
{
	ql_redis_link_drop(redis->link);
	redis->link = NULL;
}

static void
link_up(void *arg)
{
	struct ql_redis *redis = arg;
	const char *argv[] = {
		"SENTINEL", "get-master-addr-by-name", redis->config.url->master_name};
	char *bytes;
	struct ql_err err;
	int len = redisFormatCommandArgv(&bytes, 3, argv, NULL);
	int status = len < 0 ? -1 : ql_redis_link_write(redis->link, bytes, (size_t)len);
	if (len >= 0)
		redisFreeCommand(bytes);
	if (status)
		ql_redis_fail_for_memory(redis);
	else if (ql_redis_link_flush(redis->link, &err))
		ql_redis_fail(redis, &err);
}

/* 0 with the master's address; -1 with why this one does not know it. */
static int
read_address(struct ql_redis *redis, const redisReply *reply, struct ql_err *e)
{
	int64_t port;
	if (reply->type == REDIS_REPLY_ERROR)
		return ql_fail(e, QL_E_UNAVAILABLE, "A sentinel refused: %s", reply->str);
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
		reply->element[0]->type != REDIS_REPLY_STRING ||
		reply->element[1]->type != REDIS_REPLY_STRING ||
		ql_str_int(reply->element[1]->str, 1, 65535, &port))
		return ql_fail(e, QL_E_UNAVAILABLE,
			"A sentinel knows no master of the name %s: see master_name",
			redis->config.url->master_name);
	char *host = strdup(reply->element[0]->str);
	if (!host)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory to ask a sentinel");
	free(redis->master_host);
	redis->master_host = host;
	redis->master_port = (int)port;
	return 0;
}

static void
link_reply(void *arg, const redisReply *reply)
{
	struct ql_redis *redis = arg;
	int status = read_address(redis, reply, &redis->sentinel_err);
	leave(redis);
	if (status)
		ask_next(redis);
	else
		ql_redis_connect(redis, redis->master_host, redis->master_port);
}

static void
link_drained(void *arg)
{
	(void)arg; /* one question; there is nothing more to write */
}

static void
link_lost(void *arg, const struct ql_err *err)
{
	struct ql_redis *redis = arg;
	redis->sentinel_err = *err;
	leave(redis);
	ask_next(redis);
}

static void
none_left(struct ql_redis *redis)
{
	struct ql_err err = redis->sentinel_err;
	ql_err_prefix(&err, "No sentinel named the master");
	ql_redis_fail(redis, &err);
}

static void
ask_next(struct ql_redis *redis)
{
	static const struct ql_redis_link_ops ops = {
		.up = link_up,
		.reply = link_reply,
		.drained = link_drained,
		.lost = link_lost,
		.gone = ql_redis_part_gone,
	};
	const char *list = redis->config.url->sentinels;
	char host[256];
	int port;
	while (redis->sentinels_asked < count(list)) {
		int n = redis->sentinel++ % count(list);
		redis->sentinels_asked++;
		if (nth(list, n, host, sizeof(host), &port)) {
			ql_fail(&redis->sentinel_err, QL_E_INVALID,
				"A sentinel's address has a host of over 255 bytes");
		} else if (!ql_redis_link_open(redis->loop, host, port, &ops, redis, &redis->link,
				   &redis->sentinel_err)) {
			redis->parts++;
			return;
		}
	}
	none_left(redis);
}

void
ql_redis_ask_sentinels(struct ql_redis *redis)
{
	redis->state = QL_REDIS_ASKING;
	redis->sentinels_asked = 0;
	redis->sentinel %= count(redis->config.url->sentinels);
	ask_next(redis);
}
