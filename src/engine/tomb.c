/*
 * Tombstones: which tasks the broker's workers are told to drop. The state is what is durable of one; the
 * broker's copy follows it, after each commit and after a start. One lies while a stop is in force and
 * a copy of the message may be anywhere but in the queue that is being looked through; and for a while where the broker
 * may have forgotten what was done (recall.c).
 */
#include "engine/private.h"

#define PROMPT_TRIES 2 /* of a look, until it counts as long */

static bool
lies(const struct ql_live *live)
{
	const struct ql_state *state = &live->durable;
	if (live->gone || !state->enqueued_at)
		return false;
	if (state->status == QL_STATUS_CANCELLED)
		return ql_recall_has(live->engine, live->record.eval_id);
	if (!ql_state_stopping(state))
		return false;
	return state->cancel.rung != QL_RUNG_REMOVE || state->ahead_until || state->absent_at ||
	       state->runs[0].incarnation;
}

/*
 * Another producer's, of which nothing was seen so far: perhaps an id that nobody knows, which has to leave nothing
 * behind. Where the looks take long somebody may have it who does not say so, and then all are told.
 */
static bool
is_tentative(const struct ql_state *state)
{
	return state->adopted && !state->seen && !state->ahead_until && !state->cancel.unasked &&
	       state->status != QL_STATUS_UNCONFIRMED && state->tries < PROMPT_TRIES;
}

static bool
bury(struct ql_live *live, const char *task_id, bool tentative)
{
	struct ql_broker *broker = live->engine->config.broker;
	struct ql_err err;
	struct ql_tombstone tombstone = {.task_id = task_id,
		.eval_id = live->record.eval_id,
		.attempt = live->durable.attempt,
		.tentative = tentative};
	if (!broker->ops->bury(broker, &tombstone, &err))
		return true;
	ql_engine_log(live->engine, "workers are not told of %s: %s", task_id, err.text);
	return false;
}

void
ql_tomb_follow(struct ql_live *live)
{
	struct ql_broker *broker = live->engine->config.broker;
	char task_id[QL_TASK_ID];
	bool lying = lies(live);
	bool tentative = lying && is_tentative(&live->durable);
	bool follows = !lying      ? live->tomb == QL_TOMB_NONE
		       : tentative ? live->tomb != QL_TOMB_NONE
				   : live->tomb == QL_TOMB_LIES;
	if (!broker || follows)
		return;
	ql_record_task_id(&live->record, live->durable.attempt, task_id);
	if (!lying) {
		live->tomb = QL_TOMB_NONE;
		broker->ops->lift(broker, task_id);
	} else if (bury(live, task_id, tentative)) {
		live->tomb = tentative ? QL_TOMB_TENTATIVE : QL_TOMB_LIES;
	}
}
