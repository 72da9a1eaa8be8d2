/* The driver as a whole: its acts, its parts opened and closed. */
#include "broker/celery/driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/owner.h"
#include "base/str.h"
#include "broker/celery/stray.h"

void
ql_celery_log(const struct ql_celery *celery, const char *fmt, ...)
{
	char line[QL_ERR_TEXT * 2];
	va_list ap;
	if (!celery->config.log)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	celery->config.log(line);
}

/* ---- acts ---- */

typedef void act_fn(struct job *job);

static act_fn *const acts[QL_ACT_COUNT] = {
	[QL_ACT_ENQUEUE] = ql_celery_enqueue,
	[QL_ACT_REMOVE] = ql_celery_remove,
	[QL_ACT_INSPECT] = ql_celery_inspect,
	[QL_ACT_NOTICE] = ql_celery_notice,
	[QL_ACT_TERMINATE] = ql_celery_terminate,
	[QL_ACT_KILL] = ql_celery_kill,
	[QL_ACT_SALVAGE] = ql_celery_salvage,
	[QL_ACT_FORGET] = ql_celery_forget,
};

static void
act(struct ql_broker *broker, struct ql_runtime_op *op)
{
	struct ql_celery *celery = celery_of(broker);
	struct ql_err err;
	struct job *job = ql_job_new(celery, op);
	if (!job)
		return;
	if (acts[op->kind]) {
		acts[op->kind](job);
		return;
	}
	ql_fail(&err, QL_E_CONFLICT, "workers of a broker take no %s", ql_act_word(op->kind));
	ql_job_end(job, -1, &err);
}

/* Deadline or close: its work goes on, and nobody waits for it. */
static void
dropped(struct ql_desk *desk, struct ql_runtime_op *op)
{
	struct job *job = op->driver;
	(void)desk;
	if (job)
		job->op = NULL;
}

/* ---- tombstones, health ---- */

static int
bury(struct ql_broker *broker, const struct ql_tombstone *tombstone, struct ql_err *e)
{
	struct ql_celery *celery = celery_of(broker);
	if (celery->closing)
		return ql_fail(e, QL_E_UNAVAILABLE, "the server ends");
	ql_results_follow(celery, tombstone->task_id, tombstone->eval_id, tombstone->attempt);
	return ql_control_bury(celery->control, tombstone, e);
}

static void
lift(struct ql_broker *broker, const char *task_id)
{
	struct ql_celery *celery = celery_of(broker);
	if (celery->closing)
		return;
	ql_results_unfollow(celery, task_id);
	ql_control_lift(celery->control, task_id);
}

static size_t
health(const struct ql_broker *broker, struct ql_dependency *ret, size_t size)
{
	const struct ql_celery *celery = (const struct ql_celery *)(const void *)broker;
	const struct ql_containers *containers = celery->config.containers;
	bool apart = celery->backend != celery->commands;
	size_t count = 0;
	if (count < size) {
		ret[count].name = "broker";
		ql_redis_show(celery->commands, &ret[count++]);
	}
	if (apart && count < size) {
		ret[count].name = "result_backend";
		ql_redis_show(celery->backend, &ret[count++]);
	}
	if (containers && count < size)
		count += containers->ops->health(containers, ret + count, size - count);
	return count;
}

/* ---- the end: what is asked for, what asks, and then the connections ---- */

static void
on_connections_closed(void *arg)
{
	struct ql_celery *celery = arg;
	void (*closed)(void *arg) = celery->closed;
	void *closed_arg = celery->closed_arg;
	if (--celery->parts)
		return;
	ql_deliveries_free(celery);
	ql_news_free(celery);
	celery->base.finder->ops->free(celery->base.finder);
	ql_results_close(celery);
	ql_redis_url_done(&celery->url);
	ql_redis_url_done(&celery->results_url);
	free(celery);
	closed(closed_arg);
}

static void
on_asked_closed(void *arg)
{
	struct ql_celery *celery = arg;
	bool apart = celery->backend != celery->commands;
	if (--celery->parts)
		return;
	celery->parts = 2 + apart;
	ql_redis_close(celery->follow, on_connections_closed, celery);
	if (apart)
		ql_redis_close(celery->backend, on_connections_closed, celery);
	ql_redis_close(celery->commands, on_connections_closed, celery);
}

static void
on_alarm_closed(struct ql_alarm *alarm)
{
	on_asked_closed(QL_OWNER(alarm, struct ql_celery, alarm));
}

static int64_t
cpu_us(struct ql_broker *broker, uint64_t incarnation)
{
	const struct delivery *delivery = ql_delivery_find(celery_of(broker), incarnation);
	return delivery ? ql_spend_us(delivery) : 0;
}

static void
on_handle_closed(uv_handle_t *handle)
{
	on_asked_closed(handle->data);
}

/* The desk first: nobody waits any more for what ends now. */
static void
close_broker(struct ql_broker *broker, void (*closed)(void *arg), void *arg)
{
	struct ql_celery *celery = celery_of(broker);
	struct ql_containers *containers = celery->config.containers;
	celery->closing = true;
	celery->closed = closed;
	celery->closed_arg = arg;
	celery->parts = 7 + (containers != NULL);
	ql_desk_close(&celery->desk, on_asked_closed, celery);
	ql_rounds_close(celery, on_handle_closed);
	uv_close((uv_handle_t *)&celery->watch, on_handle_closed);
	ql_strays_close(celery->base.finder, on_handle_closed);
	ql_alarm_close(&celery->alarm, on_alarm_closed);
	ql_control_close(celery->control, on_asked_closed, celery);
	ql_queues_close(celery->queues, on_asked_closed, celery);
	if (containers)
		containers->ops->close(containers, on_asked_closed, celery);
}

static const struct ql_broker_ops ops = {
	.name = "celery",
	.act = act,
	.locate = ql_celery_locate,
	.bury = bury,
	.lift = lift,
	.cpu_us = cpu_us,
	.expect = ql_kept_expect,
	.remember = ql_recollect_set,
	.container = ql_box_show,
	.health = health,
	.close = close_broker,
};

/* ---- the start ---- */

/* All are asked each minute: what they said before is no news, nor is one that has not said yet what it is. */
static void
log_worker(struct ql_celery *celery, const struct ql_worker *worker)
{
	char line[QL_ERR_TEXT];
	struct ql_worker *known =
		ql_workers_find(ql_control_workers(celery->control), worker->node);
	bool asked = worker->deaf || (worker->pid && *worker->version);
	if (!known || (worker->state == QL_WORKER_HERE && !asked))
		return;
	ql_worker_show(worker, ql_alarm_ms(), line, sizeof(line));
	if (known->said == ql_str_hash(line))
		return;
	known->said = ql_str_hash(line);
	ql_celery_log(celery, "%s", line);
}

static void
on_changed(void *arg, const struct ql_worker *worker)
{
	struct ql_celery *celery = arg;
	log_worker(celery, worker);
	ql_silence_meet(celery, worker);
	ql_kept_know(celery, worker);
	ql_watch_back(celery);
	ql_watch_soon(celery);
}

static void
on_dropped(void *arg, const struct ql_worker *worker)
{
	const struct ql_celery *celery = arg;
	if (celery->base.known && !celery->closing)
		celery->base.known(celery->base.back_arg, worker->node, NULL);
}

/* Who began while the broker was away never heard of the workers that lost it, and can't miss them. */
static void
on_met(void *arg, struct ql_redis *redis)
{
	struct ql_celery *celery = arg;
	if (!celery->met && ql_redis_was_away(redis))
		celery->return_until = ql_alarm_ms() + QL_CELERY_RETURN_MS;
	celery->met = true;
	ql_recollect_read(celery);
}

static int
parse_urls(struct ql_celery *celery, struct ql_err *e)
{
	const struct ql_celery_config *config = &celery->config;
	const char *results = config->results ? config->results : config->broker;
	if (ql_queue_steps_parse(config->steps, &celery->steps, e) ||
		ql_redis_url_parse(config->broker, &celery->url, e))
		return -1;
	if (!ql_redis_url_parse(results, &celery->results_url, e))
		return 0;
	ql_redis_url_done(&celery->url);
	return -1;
}

static int
open_connections(struct ql_celery *celery, struct ql_err *e)
{
	const struct ql_celery_config *config = &celery->config;
	struct ql_redis_config commands = {
		.url = &celery->url, .name = "quell", .up = on_met, .arg = celery};
	struct ql_redis_config backend = {.url = &celery->results_url, .name = "quell-results"};
	if (ql_redis_open(celery->base.loop, &commands, &celery->commands, e))
		return -1;
	celery->backend = celery->commands;
	if (config->results && strcmp(config->results, config->broker) != 0)
		return ql_redis_open(celery->base.loop, &backend, &celery->backend, e);
	return 0;
}

static int
open_queues(struct ql_celery *celery, struct ql_err *e)
{
	struct ql_queues_config queues = {.redis = celery->commands,
		.names = &celery->config.queue,
		.name_count = 1,
		.steps = celery->steps,
		.separator = celery->config.separator,
		.prefix = celery->config.prefix,
		.arg = celery};
	if (celery->backend == celery->commands)
		queues.revoked = ql_results_revoked;
	return ql_queues_open(celery->base.loop, &queues, &celery->queues, e);
}

static int
open_control(struct ql_celery *celery, struct ql_err *e)
{
	const struct ql_celery_config *config = &celery->config;
	struct ql_control_config control = {.url = &celery->url,
		.commands = celery->commands,
		.node = celery->node,
		.instance = config->instance,
		.exchange = config->exchange,
		.fanout_prefix = config->fanout_prefix,
		.key_prefix = config->prefix,
		.changed = on_changed,
		.dropped = on_dropped,
		.arg = celery};
	return ql_control_open(celery->base.loop, &control, &celery->control, e);
}

static int
open_parts(struct ql_celery *celery, struct ql_err *e)
{
	if (open_connections(celery, e) || open_queues(celery, e) || open_control(celery, e) ||
		ql_results_open(celery, e))
		return -1;
	return ql_desk_init(&celery->desk, celery->base.loop, &celery->base.sink, e);
}

static void
on_container_changed(void *arg, const char *eval_id)
{
	struct ql_celery *celery = arg;
	struct delivery *delivery, *next;
	HASH_ITER (hh, celery->deliveries, delivery, next) {
		if (strcmp(delivery->eval_id, eval_id) != 0)
			continue;
		delivery->had_containers |= delivery->kill; /* known before any failure for that */
		if (!delivery->box)
			ql_box_look(delivery);
		if (delivery->stage == STAGE_GRACE)
			ql_stop_prove(delivery);
	}
}

int
ql_broker_celery_open(uv_loop_t *loop, const struct ql_celery_config *config,
	struct ql_broker **ret_broker, struct ql_err *e)
{
	struct ql_celery *celery = calloc(1, sizeof(*celery));
	if (!celery)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for the broker");
	celery->base = (struct ql_broker){.ops = &ops, .loop = loop};
	celery->config = *config;
	if (gethostname(celery->host, sizeof(celery->host) - 1))
		celery->host[0] = 0;
	snprintf(
		celery->writer, sizeof(celery->writer), QL_RESULT_WRITER "%.64s", config->instance);
	snprintf(celery->node, sizeof(celery->node), "quell-%.64s@%.128s", config->instance,
		celery->host);
	ql_kept_begin(celery);
	if (parse_urls(celery, e)) {
		free(celery);
		return -1;
	}
	if (open_parts(celery, e))
		return -1; /* out of memory: the process ends */
	celery->desk.dropped = dropped;
	celery->desk.dropped_ticket = ql_celery_locate_dropped;
	celery->desk.max = QL_BROKER_OPS_MAX;
	ql_alarm_init(&celery->alarm, loop, ql_stop_rang);
	ql_rounds_start(celery);
	ql_watch_start(celery);
	celery->base.finder = ql_strays_new(celery);
	if (!celery->base.finder)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for the broker");
	if (config->containers) {
		config->containers->changed = on_container_changed;
		config->containers->changed_arg = celery;
	}
	*ret_broker = &celery->base;
	return 0;
}
