#include "broker/celery/observe/observe.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/celery/observe/inside.h"

#define NODE "quell-observer"

static void
look_again(uv_timer_t *timer)
{
	struct ql_observe *observe = timer->data;
	if (ql_observe_look_start(observe))
		uv_timer_start(timer, look_again, QL_OBSERVE_PACE_MS, 0);
}

static void
look_in(struct ql_observe *observe, int64_t ms)
{
	if (!observe->closing)
		uv_timer_start(&observe->timer, look_again, (uint64_t)ms, 0);
}

static void
publish(struct ql_observe *observe, struct ql_observe_look *look)
{
	json_t *report = look->redis_away ? NULL : ql_observe_report(look);
	if (!report && !look->redis_away)
		ql_fail(&look->err, QL_E_UNAVAILABLE, "Out of memory for the report");
	observe->config.seen(observe->config.arg, report, report ? NULL : &look->err);
	json_decref(report);
}

/* ---- from open to closed ---- */

static void
free_all(struct ql_observe *observe)
{
	void (*closed)(void *arg) = observe->closed;
	void *arg = observe->closed_arg;
	ql_redis_url_done(&observe->broker_url);
	ql_redis_url_done(&observe->results_url);
	json_decref(observe->suspects);
	free(observe);
	closed(arg);
}

static void
part_closed(void *arg)
{
	struct ql_observe *observe = arg;
	if (!--observe->parts && !observe->look)
		free_all(observe);
}

/* The lists' look needs its connection up to its end. */
static void
asked_closed(void *arg)
{
	struct ql_observe *observe = arg;
	if (--observe->parts)
		return;
	bool two = observe->backend && observe->backend != observe->commands;
	observe->parts = 1 + two;
	if (two)
		ql_redis_close(observe->backend, part_closed, observe);
	ql_redis_close(observe->commands, part_closed, observe);
}

static void
timer_closed(uv_handle_t *handle)
{
	asked_closed(handle->data);
}

void
ql_observe_close(struct ql_observe *observe, void (*closed)(void *arg), void *arg)
{
	assert(!observe->closing);
	observe->closing = true;
	observe->closed = closed;
	observe->closed_arg = arg;
	observe->parts = 3;
	uv_close((uv_handle_t *)&observe->timer, timer_closed);
	ql_control_close(observe->control, asked_closed, observe);
	ql_queues_close(observe->queues, asked_closed, observe);
}

void
ql_observe_looked(struct ql_observe_look *look)
{
	struct ql_observe *observe = look->observe;
	int64_t spent_ms = observe->spent_ms + (int64_t)(uv_hrtime() / 1000000) - look->began;
	bool first = !observe->suspects;
	bool found = json_object_size(look->keys) > 0;
	observe->look = NULL;
	json_decref(observe->suspects);
	observe->suspects = NULL;
	observe->spent_ms = 0;
	if (observe->closing) {
		if (!observe->parts)
			free_all(observe);
	} else if (first && found && !look->redis_away) {
		observe->suspects = json_incref(look->keys);
		observe->spent_ms = spent_ms;
		look_in(observe, QL_OBSERVE_AGAIN_MS);
	} else {
		int64_t rest = spent_ms * QL_OBSERVE_SHARE;
		look_in(observe, rest > QL_OBSERVE_PACE_MS ? rest : QL_OBSERVE_PACE_MS);
		publish(observe, look);
	}
	ql_observe_look_free(look);
}

static int
parse_urls(struct ql_observe *observe, struct ql_err *e)
{
	const char *results = observe->config.results;
	if (ql_queue_steps_parse(observe->config.steps, &observe->steps, e) ||
		ql_redis_url_parse(observe->config.broker, &observe->broker_url, e))
		return -1;
	observe->reads_results = true;
	if (results && ql_redis_url_parse(results, &observe->results_url, NULL))
		observe->reads_results = false;
	return 0;
}

static int
open_redis(uv_loop_t *loop, struct ql_observe *observe, struct ql_err *e)
{
	const struct ql_observe_config *config = &observe->config;
	struct ql_redis_config commands = {.url = &observe->broker_url, .name = "quell-observe"};
	struct ql_redis_config backend = {.url = &observe->results_url, .name = "quell-observe"};
	if (ql_redis_open(loop, &commands, &observe->commands, e))
		return -1;
	observe->backend = observe->commands;
	if (config->results && observe->reads_results &&
		strcmp(config->results, config->broker) != 0)
		return ql_redis_open(loop, &backend, &observe->backend, e);
	return 0;
}

static int
open_parts(uv_loop_t *loop, struct ql_observe *observe, struct ql_err *e)
{
	const struct ql_observe_config *config = &observe->config;
	struct ql_queues_config queues = {.names = &config->queue,
		.name_count = config->queue != NULL,
		.steps = observe->steps,
		.separator = config->separator,
		.prefix = config->prefix};
	struct ql_control_config control = {.url = &observe->broker_url,
		.only_asked = true,
		.node = NODE,
		.instance = config->instance,
		.exchange = config->exchange,
		.fanout_prefix = config->fanout_prefix,
		.key_prefix = config->prefix};
	if (open_redis(loop, observe, e))
		return -1;
	queues.redis = control.commands = observe->commands;
	if (ql_queues_open(loop, &queues, &observe->queues, e))
		return -1;
	return ql_control_open(loop, &control, &observe->control, e);
}

int
ql_observe_open(uv_loop_t *loop, const struct ql_observe_config *config,
	struct ql_observe **ret_observe, struct ql_err *e)
{
	struct ql_observe *observe = calloc(1, sizeof(*observe));
	if (!observe)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory to observe workers");
	observe->config = *config;
	if (parse_urls(observe, e)) {
		free(observe);
		return -1;
	}
	if (open_parts(loop, observe, e))
		return -1; /* out of memory: the process ends */
	uv_timer_init(loop, &observe->timer);
	observe->timer.data = observe;
	uv_timer_start(&observe->timer, look_again, 0, 0);
	*ret_observe = observe;
	return 0;
}
