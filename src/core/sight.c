/* What was seen of a run that lives: evidence. */
#include <stddef.h>

#include "core/move.h"

static enum ql_verdict
release(struct ql_move *move, struct ql_run *run)
{
	char span[QL_SPAN];
	bool again = run->released_at;
	run->phase = QL_PHASE_HELD;
	ql_move_released(move, run);
	ql_move_act(move, QL_ACT_RELEASE, run);
	ql_say(move, again ? "it is still held" : "it is held, and no stop is in force");
	ql_what(move, again ? "release it again" : "release");
	if (!again && move->next->run_until)
		ql_say(move, ", to run for at most %s",
			ql_explain_span(move->next->timeout_ms, span));
	return QL_VERDICT_DONE;
}

static enum ql_verdict
discard(struct ql_move *move, struct ql_run *run)
{
	char name[QL_RUN_NAME];
	bool stopping = ql_state_stopping(move->next);
	run->phase = QL_PHASE_HELD;
	ql_say(move, "%s is held, and %s", ql_explain_run(move, name),
		stopping         ? "a stop is in force"
		: run->killed_at ? "its start was given up"
				 : "another run was released");
	ql_ladder_discard(move, run);
	return QL_VERDICT_DONE;
}

/*
 * Its release was decided and then a stop was. Only a look made under this stop can tell that it is
 * held: an older sighting may be late, and the program may run and have its grace. The release may yet
 * come before the kill does: whether its program ran is known from its end alone.
 */
static enum ql_verdict
held_though_released(struct ql_move *move, struct ql_run *run)
{
	if (run->killed_at || move->event->epoch != move->was->epoch)
		return ql_sight_ignore(move, "held, as it was when its release was decided");
	return discard(move, run);
}

/* A worker of the broker's has it: that one begins it when it likes, and nobody releases it. */
static enum ql_verdict
held_elsewhere(struct ql_move *move)
{
	enum ql_verdict verdict;
	char name[QL_RUN_NAME];
	struct ql_run *run = ql_meet(move, QL_PHASE_HELD, &verdict);
	if (!run)
		return verdict;
	if (ql_state_stopping(move->was))
		return discard(move, run);
	ql_say(move, "a worker holds %s", ql_explain_run(move, name));
	ql_what(move, "waiting until it begins");
	return QL_VERDICT_DONE;
}

enum ql_verdict
ql_hear_held(struct ql_move *move)
{
	enum ql_verdict verdict;
	struct ql_run *run = ql_move_run(move);
	if (!run && move->policy->remote_broker)
		return held_elsewhere(move);
	if (move->policy->remote_broker)
		return ql_sight_ignore(move, "held, as was known");
	if (!run && move->was->status != QL_STATUS_QUEUED) {
		run = ql_meet(move, QL_PHASE_HELD, &verdict);
		return run ? discard(move, run) : verdict;
	}
	if (!run) {
		run = ql_meet(move, QL_PHASE_CLAIMED, &verdict);
		if (!run)
			return verdict;
	}
	if (run->phase == QL_PHASE_HELD && run->released_at)
		return ql_state_stopping(move->was) ? held_though_released(move, run)
						    : release(move, run);
	if (run->phase != QL_PHASE_CLAIMED)
		return ql_sight_ignore(move, "held, as was known");
	if (run->killed_at || move->was->status != QL_STATUS_QUEUED)
		return discard(move, run);
	return release(move, run);
}

/* ---- running ---- */

/* Of another producer's task nothing was known when its stop was asked for: what is seen of it first was there. */
static void
name_found(struct ql_move *move)
{
	if (move->was->adopted && !move->was->seen && ql_state_stopping(move->next))
		move->next->cancel.previous = QL_STATUS_RUNNING;
}

enum ql_verdict
ql_hear_running(struct ql_move *move)
{
	enum ql_verdict verdict;
	char name[QL_RUN_NAME];
	struct ql_run *run = ql_move_run(move);
	bool known = run, first = ql_move_has_no_run(move);
	if (!known)
		run = ql_meet(move, QL_PHASE_RUNNING, &verdict);
	if (!run)
		return verdict;
	if (known && run->phase != QL_PHASE_CLAIMED && run->phase != QL_PHASE_HELD)
		return ql_sight_ignore(move, "running, as was known");
	run->phase = QL_PHASE_RUNNING;
	ql_move_released(move, run);
	name_found(move);
	if (known) {
		ql_say(move, "%s was seen to run", ql_explain_run(move, name));
		ql_what(move, "it runs");
		return QL_VERDICT_DONE;
	}
	ql_say(move, "%s was seen to run", ql_explain_run(move, name));
	ql_what(move, first ? "a worker has it" : "another delivery, watched too");
	ql_ladder_restart(move, run);
	return QL_VERDICT_DONE;
}

/* ---- what it began ---- */

enum ql_verdict
ql_hear_boxed(struct ql_move *move)
{
	char name[QL_RUN_NAME];
	const struct ql_run *run = ql_move_run(move);
	if (!move->event->incarnation)
		return ql_seek_boxed(move);
	if (!run || !ql_run_is_open(run))
		return ql_sight_ignore(move, "a container of a run that is over, or not known");
	ql_say(move, "a container of %s was found", ql_explain_run(move, name));
	ql_what(move, "a kill ends it too");
	return QL_VERDICT_DONE;
}
