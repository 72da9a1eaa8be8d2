#include "broker/celery/redis/redis.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/owner.h"
#include "base/rand.h"
#include "base/str.h"
#include "broker/celery/redis/inside.h"

int64_t
ql_redis_now(const struct ql_redis *redis)
{
	return redis->wall_ms + ql_alarm_ms();
}

/* The alarm, the idle handle or a link is closed. */
void
ql_redis_part_gone(void *arg)
{
	struct ql_redis *redis = arg;
	if (--redis->parts)
		return;
	void (*closed)(void *arg) = redis->closed;
	void *closed_arg = redis->closed_arg;
	free(redis->master_host);
	free(redis->name);
	free(redis);
	if (closed)
		closed(closed_arg);
}

static void
drop_link(struct ql_redis *redis)
{
	if (redis->link)
		ql_redis_link_drop(redis->link);
	redis->link = NULL;
}

/* ---- attempts ---- */

/* Doubles from attempt to attempt; half of it is chance, so that many clients do not come at once. */
static int64_t
backoff_ms(const struct ql_redis *redis)
{
	int64_t pause = QL_REDIS_BACKOFF_MS;
	for (int i = 1; i < redis->failures && pause < QL_REDIS_BACKOFF_MAX_MS; i++)
		pause *= 2;
	if (pause > QL_REDIS_BACKOFF_MAX_MS)
		pause = QL_REDIS_BACKOFF_MAX_MS;
	pause = pause / 2 + (int64_t)(ql_rand_u64() % (uint64_t)(pause / 2 + 1));
	int64_t probe = ql_breaker_next(&redis->breaker) - ql_redis_now(redis);
	return probe > pause ? probe : pause;
}

static void
set_turn(struct ql_redis *redis, int64_t in_ms)
{
	int status = ql_alarm_set(&redis->alarm, &redis->turn, in_ms);
	assert(!status); /* its place in the heap was free */
	(void)status;
}

static void
attempt(struct ql_redis *redis)
{
	if (!ql_breaker_allows(&redis->breaker, ql_redis_now(redis))) {
		set_turn(redis, backoff_ms(redis));
		return;
	}
	set_turn(redis, QL_REDIS_CONNECT_MS);
	if (redis->config.url->sentinels)
		ql_redis_ask_sentinels(redis);
	else
		ql_redis_connect(redis, redis->config.url->host, redis->config.url->port);
}

/* Of one that is up and owes no answer nothing else is known. */
static int64_t
well_until(const struct ql_redis *redis)
{
	if (redis->state != QL_REDIS_UP)
		return redis->well_until;
	return redis->sent ? redis->heard_at : ql_alarm_ms();
}

void
ql_redis_fail(struct ql_redis *redis, const struct ql_err *err)
{
	bool was_up = redis->state == QL_REDIS_UP;
	if (was_up)
		redis->well_until = well_until(redis);
	drop_link(redis);
	redis->state = QL_REDIS_WAITING;
	redis->failures++;
	for (size_t i = 0; i < redis->script_count; i++)
		redis->scripts[i].loaded = false;
	ql_breaker_failure(&redis->breaker, ql_redis_now(redis), err->text);
	ql_redis_fail_sent(redis, err);
	set_turn(redis, backoff_ms(redis));
	if (was_up && redis->config.lost)
		redis->config.lost(redis->config.arg, err);
}

/* ---- alive or not ---- */

static void
ponged(struct ql_redis *redis, const redisReply *reply)
{
	(void)redis;
	(void)reply; /* that it came is all */
}

/*
 * A server that is frozen, or gone without a word, leaves what it was asked without an answer. One
 * that is asked nothing is asked PING.
 */
static void
watch(struct ql_redis *redis)
{
	static const char *const ping[] = {"PING"};
	struct ql_err err;
	int64_t silence = ql_alarm_ms() - redis->heard_at;
	set_turn(redis, QL_REDIS_WATCH_MS);
	redis->failures = 0; /* it has been up for a while */
	if (redis->sent && silence >= QL_REDIS_SILENCE_MS) {
		ql_fail(&err, QL_E_TIMEOUT,
			"Redis has not answered for %d ms: the connection is given up; see whether "
			"the server is overloaded, stopped or cut off",
			QL_REDIS_SILENCE_MS);
		ql_redis_fail(redis, &err);
	} else if (!redis->sent && silence >= QL_REDIS_IDLE_MS) {
		/* without memory for it the next look tries again */
		if (!ql_redis_own(redis, 1, ping, ponged))
			ql_redis_flush(redis);
	}
}

static void
attempt_took_too_long(struct ql_redis *redis)
{
	char at[128];
	struct ql_err err;
	ql_redis_url_show(redis->config.url, at, sizeof(at));
	ql_fail(&err, QL_E_TIMEOUT,
		"Connecting to %s took more than %d ms: see that the server is there and answers",
		at, QL_REDIS_CONNECT_MS);
	ql_redis_fail(redis, &err);
}

static void
rang(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	struct ql_redis *redis = QL_OWNER(alarm, struct ql_redis, alarm);
	if (node != &redis->turn)
		ql_redis_expire(redis, QL_OWNER(node, struct ql_redis_command, due));
	else if (redis->state == QL_REDIS_WAITING)
		attempt(redis);
	else if (redis->state == QL_REDIS_UP)
		watch(redis);
	else if (redis->state != QL_REDIS_CLOSING)
		attempt_took_too_long(redis);
}

/* ---- the link's word ---- */

static void
link_up(void *arg)
{
	struct ql_redis *redis = arg;
	redis->state = QL_REDIS_GREETING;
	ql_redis_greet(redis);
}

static void
link_reply(void *arg, const redisReply *reply)
{
	struct ql_redis *redis = arg;
	redis->heard_at = ql_alarm_ms();
	ql_redis_take_reply(redis, reply);
}

static void
link_drained(void *arg)
{
	ql_redis_flush(arg);
}

static void
link_lost(void *arg, const struct ql_err *err)
{
	ql_redis_fail(arg, err);
}

void
ql_redis_connect(struct ql_redis *redis, const char *host, int port)
{
	static const struct ql_redis_link_ops ops = {
		.up = link_up,
		.reply = link_reply,
		.drained = link_drained,
		.lost = link_lost,
		.gone = ql_redis_part_gone,
	};
	struct ql_err err;
	redis->state = QL_REDIS_CONNECTING;
	if (ql_redis_link_open(redis->loop, host, port, &ops, redis, &redis->link, &err))
		ql_redis_fail(redis, &err);
	else
		redis->parts++;
}

void
ql_redis_arrive(struct ql_redis *redis)
{
	redis->state = QL_REDIS_UP;
	redis->heard_at = ql_alarm_ms();
	ql_breaker_success(&redis->breaker, ql_redis_now(redis));
	set_turn(redis, QL_REDIS_WATCH_MS);
	if (redis->config.up)
		redis->config.up(redis->config.arg, redis);
	ql_redis_flush(redis);
}

/* ---- the public rest ---- */

static void
alarm_closed(struct ql_alarm *alarm)
{
	ql_redis_part_gone(QL_OWNER(alarm, struct ql_redis, alarm));
}

static void
idle_closed(uv_handle_t *handle)
{
	ql_redis_part_gone(handle->data);
}

void
ql_redis_close_parts(struct ql_redis *redis)
{
	uv_close((uv_handle_t *)&redis->idle, idle_closed);
	ql_alarm_close(&redis->alarm, alarm_closed);
}

int
ql_redis_open(uv_loop_t *loop, const struct ql_redis_config *config, struct ql_redis **ret_redis,
	struct ql_err *e)
{
	struct ql_redis *redis = calloc(1, sizeof(*redis));
	char *name = redis ? strdup(config->name) : NULL;
	struct timespec wall;
	if (!name) {
		free(redis);
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for a connection to Redis");
	}
	clock_gettime(CLOCK_REALTIME, &wall);
	redis->loop = loop;
	redis->config = *config;
	redis->name = name;
	redis->parts = 2;
	redis->well_until = ql_alarm_ms();
	redis->wall_ms = wall.tv_sec * 1000 + wall.tv_nsec / 1000000 - ql_alarm_ms();
	redis->breaker = (struct ql_breaker){
		.threshold = QL_REDIS_BREAKER_FAILURES,
		.pause_ms = QL_REDIS_BREAKER_MS,
		.pause_max_ms = QL_REDIS_BACKOFF_MAX_MS,
	};
	uv_idle_init(loop, &redis->idle);
	redis->idle.data = redis;
	ql_alarm_init(&redis->alarm, loop, rang); /* a timer's init never fails */
	if (ql_alarm_set(&redis->alarm, &redis->turn, 0)) {
		ql_redis_close_parts(redis);
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for a connection to Redis");
	}
	*ret_redis = redis;
	return 0;
}

void
ql_redis_close(struct ql_redis *redis, void (*closed)(void *arg), void *arg)
{
	struct ql_err err;
	assert(redis->state != QL_REDIS_CLOSING);
	ql_fail(&err, QL_E_UNAVAILABLE, "The connection to Redis is being closed");
	drop_link(redis);
	redis->state = QL_REDIS_CLOSING;
	redis->closed = closed;
	redis->closed_arg = arg;
	ql_redis_fail_sent(redis, &err);
	ql_redis_fail_waiting(redis, &err);
	uv_idle_start(&redis->idle, ql_redis_turn);
}

bool
ql_redis_is_up(const struct ql_redis *redis)
{
	return redis->state == QL_REDIS_UP;
}

bool
ql_redis_was_away(const struct ql_redis *redis)
{
	return redis->failures;
}

const struct ql_breaker *
ql_redis_breaker(const struct ql_redis *redis)
{
	return &redis->breaker;
}

void
ql_redis_show(const struct ql_redis *redis, struct ql_dependency *ret)
{
	char at[128];
	int64_t mute_ms = ql_alarm_ms() - well_until(redis);
	ql_breaker_show(&redis->breaker, ret);
	if (ret->state != QL_BREAKER_CLOSED || mute_ms < QL_REDIS_MUTE_MS)
		return;
	ql_redis_url_show(redis->config.url, at, sizeof(at));
	ret->state = QL_BREAKER_OPEN;
	ret->since = ql_redis_now(redis) - mute_ms;
	snprintf(ret->detail, sizeof(ret->detail),
		"Redis at %s does not answer: see whether it is overloaded, stopped or cut off",
		at);
}
