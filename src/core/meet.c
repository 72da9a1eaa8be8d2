/* Runs that are seen and have no place in the state: who gets one, and what becomes of the others. */
#include <stddef.h>

#include "core/move.h"

enum ql_verdict
ql_sight_ignore(struct ql_move *move, const char *why)
{
	char name[QL_RUN_NAME];
	ql_say(move, "%s: %s", ql_explain_run(move, name), why);
	ql_what(move, "nothing to do");
	return QL_VERDICT_IGNORED;
}

enum ql_verdict
ql_sight_note(struct ql_move *move, const char *why)
{
	char name[QL_RUN_NAME];
	ql_say(move, "%s: %s", ql_explain_run(move, name), why);
	ql_what(move, "noted");
	return QL_VERDICT_NOTED;
}

void
ql_sight_output(struct ql_move *move)
{
	const struct ql_event *event = move->event;
	if (event->output_bytes > 0) {
		move->next->output_bytes = event->output_bytes;
		move->next->output_truncated = event->output_truncated;
	}
}

/* A sighting that does not say whose run it is means the current attempt's only if there was no other. */
bool
ql_sight_is_earlier(const struct ql_move *move)
{
	int32_t attempt = move->event->attempt;
	return attempt ? attempt != move->was->attempt : move->was->attempt > 1;
}

static enum ql_verdict
kill_on_sight(struct ql_move *move, const char *why)
{
	char name[QL_RUN_NAME];
	ql_say(move, "%s was seen, %s", ql_explain_run(move, name), why);
	ql_what(move, "kill it on sight");
	ql_move_act_on(move, QL_ACT_KILL, move->event->incarnation);
	return QL_VERDICT_NOTED;
}

bool
ql_sight_is_strange(const struct ql_move *move)
{
	return ql_sight_is_earlier(move) || ql_status_settled((enum ql_status)move->was->status);
}

enum ql_verdict
ql_meet_drop(struct ql_move *move)
{
	char name[QL_RUN_NAME];
	ql_say(move, "%s is over, and nobody waits for it", ql_explain_run(move, name));
	ql_what(move, "forget it");
	ql_move_act_on(move, QL_ACT_FORGET, move->event->incarnation);
	return QL_VERDICT_NOTED;
}

/* What was held has perhaps become this run: its message is no more where it was. */
static void
meet_elsewhere(struct ql_move *move)
{
	struct ql_run *oldest = NULL;
	ql_move_seen(move);
	move->next->again_at = 0;
	for (int i = 0; i < QL_RUNS; i++) {
		struct ql_run *run = &move->next->runs[i];
		if (!ql_move_is_held_elsewhere(move, run) || run->killed_at)
			continue;
		if (!oldest || run->claimed_at < oldest->claimed_at)
			oldest = run;
	}
	if (oldest && ql_move_is_full(move))
		*oldest = (struct ql_run){0}; /* it is met again if it is still held */
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &move->next->runs[i];
		if (ql_move_is_held_elsewhere(move, run))
			ql_move_act(move, QL_ACT_INSPECT, run);
	}
}

struct ql_run *
ql_meet(struct ql_move *move, enum ql_phase phase, enum ql_verdict *ret_verdict)
{
	enum ql_status status = (enum ql_status)move->was->status;
	*ret_verdict = QL_VERDICT_NOTED;
	if (ql_sight_is_earlier(move)) {
		*ret_verdict = kill_on_sight(move, "and it is an earlier attempt's");
		return NULL;
	}
	if (status == QL_STATUS_CANCELLED) {
		*ret_verdict = kill_on_sight(move, "and its attempt is cancelled");
		return NULL;
	}
	if (ql_status_settled(status)) {
		*ret_verdict = ql_sight_note(move, "it runs again though its attempt has finished");
		return NULL;
	}
	if (move->policy->remote_broker)
		meet_elsewhere(move);
	struct ql_run *run = ql_move_take(move, phase, -1);
	if (!run)
		*ret_verdict = kill_on_sight(move, "and it is one more than is watched");
	return run;
}

struct ql_run *
ql_meet_ended(struct ql_move *move, enum ql_verdict *ret_verdict)
{
	if (ql_sight_is_strange(move) || ql_move_is_full(move)) {
		*ret_verdict = ql_meet_drop(move);
		return NULL;
	}
	struct ql_run *run = ql_meet(move, QL_PHASE_RUNNING, ret_verdict);
	if (run)
		ql_move_released(move, run);
	return run;
}
