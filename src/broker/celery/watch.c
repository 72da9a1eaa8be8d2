/* Who began what: every few seconds the workers are asked what they do, as most of them send no events. */
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "broker/celery/driver.h"

struct watching {
	struct ql_celery *celery;
	const char *node;
};

static void
each_active(void *arg, const struct ql_seen *seen)
{
	const struct watching *watching = arg;
	struct ql_celery *celery = watching->celery;
	struct copy copy = {.place = QL_PLACE_ACTIVE, .pid = seen->pid, .since = seen->since};
	char eval_id[QL_EVAL_ID];
	int32_t attempt;
	if (ql_results_whose(celery, seen->task_id, eval_id, &attempt))
		return;
	ql_str_copy(copy.node, sizeof(copy.node), watching->node);
	uint64_t incarnation = ql_delivery_name(seen->task_id, &copy);
	struct delivery *delivery = ql_delivery_find(celery, incarnation);
	if (delivery)
		delivery->watched = true;
	if (delivery && delivery->told_running) {
		ql_delivery_listed(delivery);
		ql_spend_read(delivery);
		return;
	}
	if (!delivery)
		delivery = ql_delivery_add(celery, incarnation, eval_id, seen->task_id, attempt);
	if (!delivery)
		return;
	delivery->watched = true;
	ql_delivery_place(delivery, &copy);
	ql_tell_copy(delivery, &copy);
}

/* What its worker does not list any more has ended, whether or not a result told of it. */
static void
look_after_the_others(struct ql_celery *celery, const json_t *replies)
{
	struct delivery *delivery, *next;
	HASH_ITER (hh, celery->deliveries, delivery, next) {
		bool answered = json_object_get(replies, delivery->node);
		if (answered && !delivery->watched && !delivery->held)
			ql_stop_prove(delivery);
		delivery->watched = false;
	}
}

static void
on_active(struct ql_ask *ask, int status)
{
	struct ql_celery *celery = QL_OWNER(ask, struct ql_celery, watch_ask);
	const char *node;
	json_t *reply;
	(void)status; /* who did not answer is asked again */
	json_object_foreach (ask->replies, node, reply) {
		struct watching watching = {.celery = celery, .node = node};
		ql_inspect_list(reply, QL_PLACE_ACTIVE, each_active, &watching);
	}
	look_after_the_others(celery, ask->replies);
	celery->watching = false;
}

void
ql_watch_soon(struct ql_celery *celery)
{
	if (celery->watching || celery->closing || !ql_control_is_up(celery->control))
		return;
	celery->watching = true;
	celery->watch_ask = (struct ql_ask){.method = "active", .done = on_active};
	ql_control_ask(celery->control, &celery->watch_ask);
}

/* The last of the connections is back when the next question is put, if not before. */
void
ql_watch_back(struct ql_celery *celery)
{
	const struct ql_broker *base = &celery->base;
	if (!base->back || !celery->was_deaf || celery->closing ||
		!ql_redis_is_up(celery->follow) || !ql_redis_is_up(celery->backend) ||
		!ql_control_is_up(celery->control))
		return;
	celery->was_deaf = false;
	base->back(base->back_arg);
}

static void
on_watch(uv_timer_t *timer)
{
	ql_watch_back(timer->data);
	ql_news_again(timer->data);
	ql_watch_soon(timer->data);
}

void
ql_watch_start(struct ql_celery *celery)
{
	uv_timer_init(celery->base.loop, &celery->watch);
	celery->watch.data = celery;
	celery->was_deaf = true;
	uv_timer_start(&celery->watch, on_watch, QL_CELERY_WATCH_MS, QL_CELERY_WATCH_MS);
}
