/*
 * The container of a run, for whoever looks at its evaluation: found by its label or name when somebody asks, or
 * when its daemon says that one came. Nothing waits for it, and no stop goes by it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "broker/celery/driver.h"

/* Outlives its run where that is forgotten meanwhile. */
struct boxing {
	struct ql_containers_op op;
	struct ql_celery *celery;
	uint64_t incarnation;
	char *eval_id; /* owned */
};

void
ql_box_name(const struct ql_celery *celery, const struct ql_container *box,
	struct ql_sighting *sighting)
{
	sighting->container = box->id;
	sighting->container_runtime = celery->config.containers->ops->name;
	sighting->container_name = box->name;
	sighting->container_image = box->image;
}

static void
tell(struct delivery *delivery)
{
	const struct ql_container *box = delivery->box;
	struct ql_sighting sighting = {
		.event = {.kind = QL_EVENT_BOXED,
			.attempt = delivery->attempt,
			.incarnation = delivery->incarnation,
			.exit_code = -1,
			.checkpoint_bytes = -1},
		.eval_id = delivery->eval_id,
	};
	ql_box_name(delivery->celery, box, &sighting);
	ql_sight(delivery->celery, &sighting);
}

/* Not one that an earlier run left behind. */
static bool
is_its(const struct delivery *delivery, const struct ql_container *found)
{
	return found->started_at && (found->running || found->started_at >= delivery->since);
}

void
ql_box_take(struct delivery *delivery, const struct ql_container *found, size_t count)
{
	const struct ql_container *last = NULL;
	for (size_t i = 0; i < count; i++) {
		if (is_its(delivery, &found[i]) &&
			(!last || found[i].started_at >= last->started_at))
			last = &found[i];
	}
	if (!last)
		return;
	bool other = !delivery->box || strcmp(delivery->box->id, last->id) != 0;
	if (!delivery->box)
		delivery->box = malloc(sizeof(*delivery->box));
	if (!delivery->box)
		return;
	*delivery->box = *last;
	if (other && !delivery->told_gone)
		tell(delivery);
}

static void
boxing_free(struct boxing *boxing)
{
	free(boxing->eval_id);
	free(boxing);
}

static void
on_found(struct ql_containers_op *op, int status)
{
	struct boxing *boxing = QL_OWNER(op, struct boxing, op);
	struct ql_celery *celery = boxing->celery;
	struct delivery *delivery = ql_delivery_find(celery, boxing->incarnation);
	celery->boxings--;
	if (delivery)
		delivery->boxing = false;
	if (delivery && !status)
		ql_box_take(delivery, op->found, op->count);
	boxing_free(boxing);
}

void
ql_box_look(struct delivery *delivery)
{
	struct ql_celery *celery = delivery->celery;
	struct ql_containers *containers = celery->config.containers;
	int64_t now = ql_alarm_ms();
	bool just_now = delivery->box && now - delivery->boxed_at < QL_CELERY_BOXED_MS;
	if (!containers || delivery->held || delivery->boxing || just_now || celery->closing ||
		celery->boxings >= QL_CELERY_BOXINGS_MAX)
		return;
	struct boxing *boxing = calloc(1, sizeof(*boxing));
	char *eval_id = strdup(delivery->eval_id);
	if (!boxing || !eval_id) {
		free(boxing);
		free(eval_id);
		return;
	}
	*boxing = (struct boxing){.op = {.kind = QL_CONTAINERS_FIND,
					  .eval_id = eval_id,
					  .timeout_ms = QL_CELERY_BOXING_MS,
					  .done = on_found},
		.celery = celery,
		.incarnation = delivery->incarnation,
		.eval_id = eval_id};
	celery->boxings++;
	delivery->boxing = true;
	delivery->boxed_at = now;
	containers->ops->act(containers, &boxing->op);
}

/* Of several runs, the one that began last. */
const char *
ql_box_show(struct ql_broker *broker, const char *task_id)
{
	struct delivery *delivery, *last = NULL;
	DL_FOREACH (ql_deliveries_of(celery_of(broker), task_id), delivery) {
		if (!delivery->told_gone && (!last || delivery->since >= last->since))
			last = delivery;
	}
	if (!last)
		return NULL;
	ql_box_look(last);
	return last->box && last->box->state[0] ? last->box->state : NULL;
}
