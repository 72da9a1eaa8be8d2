#include "broker/celery/control/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "broker/celery/control/inside.h"

/*
 * How many heard it: each subscriber of a pattern is a worker. ARGV: the channels, then the bytes. As keys
 * the channels would need rights to keys of their names.
 */
static const char cast_script[] = "local heard = 0\n"
				  "for i = 1, #ARGV - 1 do\n"
				  "  local channel = ARGV[i]\n"
				  "  heard = heard + redis.call('PUBLISH', channel, ARGV[#ARGV])\n"
				  "  heard = heard - redis.call('PUBSUB', 'NUMSUB', channel)[2]\n"
				  "end\n"
				  "return heard\n";

struct cast {
	struct ql_redis_command command;
	struct ql_control *control;
	ql_heard_fn told;
	uint64_t about;
};

static void
rang(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	struct ql_control *control = QL_OWNER(alarm, struct ql_control, alarm);
	struct ql_control_timer *timer = (struct ql_control_timer *)node;
	timer->rang(control, timer);
}

/* Where there is no memory to set it, it is tried when the next of the others rings. */
void
ql_control_ring(struct ql_control *control, struct ql_control_timer *timer, int64_t in_ms)
{
	if (!control->closing)
		(void)ql_alarm_set(&control->alarm, &timer->node, in_ms);
}

void
ql_control_still(struct ql_control *control, struct ql_control_timer *timer)
{
	ql_alarm_clear(&control->alarm, &timer->node);
}

static void
free_strings(struct ql_control *control)
{
	for (size_t i = 0; i < QL_CONTROL_CHANNELS; i++) {
		free(control->channels[i]);
		free(control->events[i]);
	}
	free(control->node);
	free(control->instance);
	free(control->key_prefix);
	free(control->reply_list);
	free(control->reply_key);
}

void
ql_control_hold(struct ql_control *control)
{
	control->open++;
}

void
ql_control_let_go(struct ql_control *control)
{
	if (--control->open)
		return;
	void (*closed)(void *) = control->closed;
	void *arg = control->closed_arg;
	ql_control_stop_telling(control);
	ql_workers_done(&control->workers);
	free_strings(control);
	free(control);
	closed(arg);
}

static void
cast_done(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct cast *cast = (struct cast *)command;
	struct ql_control *control = cast->control;
	bool counted = status == 0 && reply->type == REDIS_REPLY_INTEGER;
	if (cast->told && !control->closing)
		cast->told(control, cast->about, counted ? (int64_t)reply->integer : -1);
	free(cast);
	ql_control_let_go(control);
}

void
ql_control_cast(
	struct ql_control *control, char *bytes, size_t len, ql_heard_fn told, uint64_t about)
{
	const char *argv[QL_CONTROL_CHANNELS + 1];
	size_t lens[QL_CONTROL_CHANNELS + 1];
	struct cast *cast = bytes ? calloc(1, sizeof(*cast)) : NULL;
	size_t count = control->channel_count;
	if (!cast) {
		free(bytes);
		return;
	}
	*cast = (struct cast){
		.command.done = cast_done, .control = control, .told = told, .about = about};
	for (size_t i = 0; i < count; i++) {
		argv[i] = control->channels[i];
		lens[i] = strlen(argv[i]);
	}
	argv[count] = bytes;
	lens[count] = len;
	ql_control_hold(control);
	ql_redis_eval(control->config.commands, &cast->command, cast_script, 0, (int)count + 1,
		argv, lens);
	free(bytes);
}

static void
message(void *arg, const char *pattern, const char *channel, const char *data, size_t len)
{
	struct ql_control *control = arg;
	(void)channel;
	if (control->closing)
		return;
	if (pattern)
		ql_control_beat(control, data, len);
	else if (!control->config.only_asked)
		ql_control_hello(control, data, len);
}

/* Whoever said hello while this connection was away was not answered: all is told anew. */
static void
hearing_up(void *arg, struct ql_redis *redis)
{
	struct ql_control *control = arg;
	for (size_t i = 0; i < control->channel_count; i++) {
		ql_redis_subscribe(redis, control->channels[i], false, true);
		ql_redis_subscribe(redis, control->events[i], true, true);
	}
	control->told = control->tombstones.turns;
	ql_control_tell(control, 1);
	ql_control_census(control, 0);
}

static void
replies_up(void *arg, struct ql_redis *redis)
{
	(void)redis;
	ql_control_pop(arg);
}

bool
ql_control_is_up(const struct ql_control *control)
{
	return ql_redis_is_up(control->hearing) && ql_redis_is_up(control->replies) &&
	       ql_redis_is_up(control->config.commands);
}

/* Redis' patterns have no other special letters. */
static char *
make_pattern(const char *before, const char *exchange)
{
	struct ql_buf buf QL_CLEAN_BUF = {0};
	char *literal = NULL;
	if (asprintf(&literal, "%s%s", before, exchange) < 0)
		return NULL;
	for (const char *at = literal; *at; at++)
		ql_buf_addf(&buf, "%s%c", strchr("*?[]\\", *at) ? "\\" : "", *at);
	free(literal);
	ql_buf_adds(&buf, "/worker.*");
	return buf.failed ? NULL : ql_buf_take(&buf);
}

static int
add_channel(struct ql_control *control, const char *prefix)
{
	const struct ql_control_config *config = &control->config;
	size_t i = control->channel_count++;
	char *before = NULL;
	if (asprintf(&before, "%s%s", control->key_prefix, prefix) < 0 ||
		asprintf(&control->channels[i], "%s%s.pidbox", before,
			config->exchange ? config->exchange : "celery") < 0) {
		free(before);
		return -1;
	}
	control->events[i] =
		make_pattern(before, config->event_exchange ? config->event_exchange : "celeryev");
	free(before);
	return control->events[i] ? 0 : -1;
}

static int
fill_strings(struct ql_control *control)
{
	const struct ql_control_config *config = &control->config;
	char prefix[32];
	snprintf(prefix, sizeof(prefix), "/%d.", config->url->db);
	control->node = ql_str_dup(config->node);
	control->instance = ql_str_dup(config->instance);
	control->key_prefix = ql_str_dup(config->key_prefix ? config->key_prefix : "");
	if (!control->node || !control->instance || !control->key_prefix ||
		asprintf(&control->reply_list, "quell.replies.%s", control->instance) < 0 ||
		asprintf(&control->reply_key, "%s%s", control->key_prefix, control->reply_list) < 0)
		return -1;
	if (config->fanout_prefix)
		return add_channel(control, config->fanout_prefix);
	if (add_channel(control, prefix))
		return -1;
	return config->url->sentinels ? add_channel(control, "/{db}.") : 0;
}

static void
free_unopened(struct ql_control *control)
{
	free_strings(control);
	free(control);
}

static void
connection_closed(void *arg)
{
	ql_control_let_go(arg);
}

static void
alarm_closed(struct ql_alarm *alarm)
{
	ql_control_let_go(QL_OWNER(alarm, struct ql_control, alarm));
}

static void
nobody(void *arg)
{
	(void)arg;
}

static int
open_connections(uv_loop_t *loop, struct ql_control *control, struct ql_err *e)
{
	const struct ql_redis_config hearing = {.url = control->config.url,
		.name = "quell-hear",
		.message = message,
		.up = hearing_up,
		.arg = control};
	const struct ql_redis_config replies = {.url = control->config.url,
		.name = "quell-replies",
		.up = replies_up,
		.arg = control};
	if (ql_redis_open(loop, &hearing, &control->hearing, e))
		return -1;
	control->open++;
	if (ql_redis_open(loop, &replies, &control->replies, e))
		return -1;
	control->open++;
	return 0;
}

int
ql_control_open(uv_loop_t *loop, const struct ql_control_config *config,
	struct ql_control **ret_control, struct ql_err *e)
{
	struct ql_control *control = calloc(1, sizeof(*control));
	if (!control)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for the workers' remote control");
	control->config = *config;
	if (fill_strings(control) || ql_alarm_init(&control->alarm, loop, rang)) {
		free_unopened(control);
		return ql_fail(e, QL_E_SYSTEM, "out of memory for the workers' remote control");
	}
	control->open = 1;
	ql_control_start_telling(control);
	ql_control_start_census(control);
	if (open_connections(loop, control, e)) {
		ql_control_close(control, nobody, NULL);
		return -1;
	}
	*ret_control = control;
	return 0;
}

void
ql_control_close(struct ql_control *control, void (*closed)(void *arg), void *arg)
{
	control->closed = closed;
	control->closed_arg = arg;
	ql_control_hold(control);
	control->closing = true;
	ql_control_drop_asks(control);
	ql_control_drop_joins(control);
	ql_alarm_close(&control->alarm, alarm_closed);
	if (control->hearing)
		ql_redis_close(control->hearing, connection_closed, control);
	if (control->replies)
		ql_redis_close(control->replies, connection_closed, control);
	ql_control_let_go(control);
}

const struct ql_workers *
ql_control_workers(const struct ql_control *control)
{
	return &control->workers;
}
