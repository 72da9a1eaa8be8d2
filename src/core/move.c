#include "core/move.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

void
ql_move_act_on(struct ql_move *move, enum ql_act_kind kind, uint64_t incarnation)
{
	struct ql_decision *decision = move->decision;
	for (int i = 0; i < decision->act_count; i++) {
		if (decision->acts[i].kind == kind && decision->acts[i].incarnation == incarnation)
			return;
	}
	assert(decision->act_count < QL_ACTS);
	decision->acts[decision->act_count++] =
		(struct ql_act){.kind = kind, .incarnation = incarnation, .slot = -1};
}

void
ql_move_act(struct ql_move *move, enum ql_act_kind kind, const struct ql_run *run)
{
	ql_move_act_on(move, kind, run->incarnation);
}

struct ql_run *
ql_move_run(struct ql_move *move)
{
	const struct ql_run *run = ql_state_run(move->next, move->event->incarnation);
	return run ? &move->next->runs[run - move->next->runs] : NULL;
}

struct ql_run *
ql_move_take(struct ql_move *move, enum ql_phase phase, int32_t slot)
{
	for (int i = 0; i < QL_RUNS; i++) {
		struct ql_run *run = &move->next->runs[i];
		if (run->incarnation)
			continue;
		*run = (struct ql_run){.incarnation = move->event->incarnation,
			.claimed_at = move->event->now,
			.phase = (int32_t)phase,
			.slot = slot,
			.exit_code = -1};
		return run;
	}
	return NULL;
}

void
ql_move_released(struct ql_move *move, struct ql_run *run)
{
	struct ql_state *next = move->next;
	int64_t now = move->event->now;
	if (!run->released_at)
		run->released_at = now;
	if (next->started_at && next->status != QL_STATUS_QUEUED)
		return;
	if (!next->started_at) /* else its task was delivered again */
		next->started_at = now;
	if (next->timeout_ms)
		next->run_until = now + next->timeout_ms;
	if (next->status == QL_STATUS_QUEUED)
		next->status = QL_STATUS_RUNNING;
}

void
ql_move_unreleased(struct ql_move *move, struct ql_run *run)
{
	run->released_at = 0;
	for (int i = 0; i < QL_RUNS; i++) {
		if (move->next->runs[i].released_at)
			return;
	}
	move->next->started_at = 0;
	move->next->run_until = 0;
}

void
ql_move_ended(struct ql_move *move, struct ql_run *run, enum ql_phase phase, int32_t flags)
{
	struct ql_cancel *cancel = &move->next->cancel;
	int64_t now = move->event->now;
	bool stopping = ql_state_stopping(move->next);
	run->phase = (int32_t)phase;
	run->flags |= flags;
	if (stopping && flags & QL_RUN_REPORTED)
		run->flags |= QL_RUN_UNDER_STOP;
	if (!run->exited_at)
		run->exited_at = now;
	if (!stopping)
		return;
	cancel->stopped_at = now;
	if (cancel->evidence < QL_EVIDENCE_EXITED)
		cancel->evidence = QL_EVIDENCE_EXITED;
}

void
ql_move_attempt(struct ql_move *move)
{
	struct ql_state *next = move->next;
	int64_t now = move->event->now;
	next->attempt++;
	next->epoch++;
	next->status = QL_STATUS_QUEUED;
	next->cause = QL_CAUSE_NONE;
	next->queued_at = now;
	next->queue_until = next->queue_ttl_ms ? now + next->queue_ttl_ms : 0;
	next->enqueued_at = next->started_at = next->finished_at = next->run_until = 0;
	next->salvage_until = next->retry_at = 0;
	next->absent_at = next->again_at = next->boxed_at = next->ahead_until = 0;
	next->output_bytes = 0;
	next->output_truncated = 0;
	next->exit_code = -1;
	next->exit_signal = 0;
	next->tries = 0;
	next->cancel = (struct ql_cancel){0};
	memset(next->runs, 0, sizeof(next->runs));
}

bool
ql_run_is_open(const struct ql_run *run)
{
	return ql_phase_takes_slot((enum ql_phase)run->phase);
}

bool
ql_run_is_asked(const struct ql_run *run)
{
	return run->released_at && !run->killed_at && ql_run_is_open(run) &&
	       run->phase != QL_PHASE_EXITED;
}

bool
ql_move_is_full(const struct ql_move *move)
{
	for (int i = 0; i < QL_RUNS; i++) {
		if (!move->next->runs[i].incarnation)
			return false;
	}
	return true;
}

bool
ql_move_is_held_elsewhere(const struct ql_move *move, const struct ql_run *run)
{
	return move->policy->remote_broker && run->phase == QL_PHASE_HELD;
}

bool
ql_move_is_adrift(const struct ql_move *move)
{
	const struct ql_state *next = move->next;
	bool free = next->again_at || ql_move_has_no_run(move);
	return !ql_state_open(next) && (free || ql_move_is_uncounted(move, next));
}

static bool
all_are_told(const struct ql_state *state)
{
	for (int i = 0; i < QL_RUNS; i++) {
		const struct ql_run *run = &state->runs[i];
		if (run->incarnation && !(run->flags & QL_RUN_REPORTED))
			return false;
	}
	return true;
}

void
ql_move_all_asked(struct ql_move *move)
{
	move->next->cancel.unasked &= ~(1 << QL_CHECK_WORKERS);
}

bool
ql_move_is_uncounted(const struct ql_move *move, const struct ql_state *state)
{
	bool answered_first = state->cancel.mode == QL_MODE_KILL;
	return move->policy->remote_broker && ql_state_stopping(state) && !ql_state_open(state) &&
	       ql_state_has_run(state) && all_are_told(state) && !state->again_at &&
	       !state->absent_at && (answered_first || !state->salvage_until);
}

void
ql_move_seen(struct ql_move *move)
{
	struct ql_state *next = move->next;
	next->seen = 1;
	next->absent_at = 0;
	if (!next->enqueued_at) /* the answer to its ENQUEUE was lost, or comes later */
		next->enqueued_at = move->event->now;
}

/* A run that was met after it is what became of its message. */
static bool
came_again(const struct ql_state *state, const struct ql_run *run)
{
	for (int i = 0; i < QL_RUNS; i++) {
		if (state->runs[i].claimed_at > run->claimed_at)
			return true;
	}
	return false;
}

void
ql_move_set_free(struct ql_move *move, struct ql_run *run)
{
	ql_move_seen(move);
	if (!run || !came_again(move->next, run))
		move->next->again_at = move->event->now;
	if (run)
		*run = (struct ql_run){0};
}

bool
ql_move_has_no_run(const struct ql_move *move)
{
	return !ql_state_has_run(move->next);
}
