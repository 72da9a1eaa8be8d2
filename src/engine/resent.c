/*
 * A task that another producer sent, that is settled, and that its producer sends again under the same id: that is a run
 * of its own, which nobody looks after. A stop of that id means it. So before one says that there is nothing to stop
 * every place is asked, and what is found there is the next attempt.
 */
#include "engine/private.h"

#include <stdlib.h>

#include "base/owner.h"

#define LOOK_MS 3000 /* workers answer within a second, a busy one late */

struct resent {
	struct ql_locate look;
	struct ql_runtime_op forget;
	struct ql_live *live; /* pinned */
	char task_id[QL_TASK_ID];
	void (*done)(void *arg, struct ql_live *live, const struct ql_err *err);
	void *arg;
};

bool
ql_resent_may_be(const struct ql_live *live)
{
	const struct ql_state *state = &live->record.state;
	return live->engine->config.broker && state->adopted && !ql_state_open(state) &&
	       ql_status_settled((enum ql_status)state->status);
}

/*
 * What the settled attempt left is not sent again: a copy that was marked in its place, and a run that its worker lists for a
 * moment after its end. (Before a worker drops what it holds nothing is settled.)
 */
static bool
is_resent(const struct ql_live *live, const struct ql_locate *look)
{
	switch (look->place) {
	case QL_PLACE_QUEUED:
	case QL_PLACE_RESERVED:
	case QL_PLACE_SCHEDULED:
		return !look->marked;
	case QL_PLACE_ACTIVE:
		return !look->since || look->since > live->record.state.finished_at;
	default:
		return false;
	}
}

static void
finish(struct resent *resent, const struct ql_err *err)
{
	resent->done(resent->arg, resent->live, err);
	ql_live_release(resent->live);
	free(resent);
}

/* What was kept of the settled attempt can't be taken for the next one's any more. */
static void
on_forgotten(struct ql_runtime_op *op, int status)
{
	struct resent *resent = QL_OWNER(op, struct resent, forget);
	struct feeding feeding = {.event = {.kind = QL_EVENT_ADOPT}};
	struct ql_decision decision;
	if (!status && ql_resent_may_be(resent->live))
		ql_feed(resent->live, &feeding, &decision);
	finish(resent, status ? &op->err : NULL);
}

static void
forget(struct resent *resent)
{
	const struct ql_live *live = resent->live;
	struct ql_broker *broker = live->engine->config.broker;
	resent->forget = (struct ql_runtime_op){.kind = QL_ACT_FORGET,
		.epoch = live->record.state.epoch,
		.eval_id = live->record.eval_id,
		.task_id = resent->task_id,
		.attempt = live->record.state.attempt,
		.timeout_ms = QL_ENGINE_ACT_MS,
		.done = on_forgotten};
	broker->ops->act(broker, &resent->forget);
}

static void
on_located(struct ql_locate *look, int status)
{
	struct resent *resent = QL_OWNER(look, struct resent, look);
	const struct ql_live *live = resent->live;
	if (!status && !live->engine->closing && ql_resent_may_be(live) && is_resent(live, look))
		forget(resent);
	else
		finish(resent, NULL);
}

int
ql_resent_look(struct ql_live *live,
	void (*done)(void *arg, struct ql_live *live, const struct ql_err *err), void *arg,
	struct ql_err *e)
{
	struct resent *resent = calloc(1, sizeof(*resent));
	if (!resent)
		return ql_fail(e, QL_E_UNAVAILABLE, "out of memory: try again later");
	resent->live = live;
	resent->done = done;
	resent->arg = arg;
	live->pins++;
	ql_record_task_id(&live->record, live->record.state.attempt, resent->task_id);
	resent->look = (struct ql_locate){
		.task_id = resent->task_id, .timeout_ms = LOOK_MS, .done = on_located};
	ql_engine_locate(live->engine, &resent->look);
	return 0;
}
