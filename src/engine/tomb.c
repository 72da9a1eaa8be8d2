/*
 * Tombstones: which tasks the broker's workers are told to drop. The state is what is durable of one; the
 * broker's copy follows it, after each commit and after a start. One lies while a stop is in force and
 * a copy of the message may be anywhere but in the queue that is being looked through.
 */
#include "engine/private.h"

static bool
lies(const struct ql_live *live)
{
	const struct ql_state *state = &live->durable;
	if (live->gone || !state->enqueued_at || !ql_state_stopping(state))
		return false;
	return state->cancel.rung != QL_RUNG_REMOVE || state->ahead_until || state->absent_at ||
	       state->runs[0].incarnation;
}

void
ql_tomb_follow(struct ql_live *live)
{
	struct ql_engine *engine = live->engine;
	struct ql_broker *broker = engine->config.broker;
	char task_id[QL_TASK_ID];
	struct ql_err err;
	if (!broker || live->buried == lies(live))
		return;
	ql_record_task_id(&live->record, live->durable.attempt, task_id);
	if (live->buried) {
		live->buried = false;
		broker->ops->lift(broker, task_id);
		return;
	}
	struct ql_tombstone tombstone = {.task_id = task_id,
		.eval_id = live->record.eval_id,
		.attempt = live->durable.attempt};
	live->buried = !broker->ops->bury(broker, &tombstone, &err);
	if (!live->buried)
		ql_engine_log(engine, "workers are not told of %s: %s", task_id, err.text);
}
