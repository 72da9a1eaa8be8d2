/* What was seen of a run: evidence. */
#include <inttypes.h>
#include <stddef.h>

#include "core/move.h"

static enum ql_verdict
ignore(struct ql_move *move, const char *why)
{
	char name[QL_RUN_NAME];
	ql_say(move, "%s: %s", ql_explain_run(move, name), why);
	ql_what(move, "nothing to do");
	return QL_VERDICT_IGNORED;
}

static enum ql_verdict
note(struct ql_move *move, const char *why)
{
	char name[QL_RUN_NAME];
	ql_say(move, "%s: %s", ql_explain_run(move, name), why);
	ql_what(move, "noted");
	return QL_VERDICT_NOTED;
}

/* ---- runs that have no place in the state ---- */

/* A sighting that does not say whose run it is means the current attempt's only if there was no other. */
static bool
is_earlier_attempts(const struct ql_move *move)
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

static bool
is_stranger(const struct ql_move *move)
{
	return is_earlier_attempts(move) || ql_status_settled((enum ql_status)move->was->status);
}

/* Nothing is left of it, and nobody waits for it: only its record goes. */
static enum ql_verdict
drop_stranger(struct ql_move *move)
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

/*
 * A run that was not known: another delivery of the same attempt takes a place. NULL when it must
 * not have one; then ret_verdict says what became of it.
 */
static struct ql_run *
meet(struct ql_move *move, enum ql_phase phase, enum ql_verdict *ret_verdict)
{
	enum ql_status status = (enum ql_status)move->was->status;
	*ret_verdict = QL_VERDICT_NOTED;
	if (is_earlier_attempts(move)) {
		*ret_verdict = kill_on_sight(move, "and it is an earlier attempt's");
		return NULL;
	}
	if (status == QL_STATUS_CANCELLED) {
		*ret_verdict = kill_on_sight(move, "and its attempt is cancelled");
		return NULL;
	}
	if (ql_status_settled(status)) {
		*ret_verdict = note(move, "it runs again though its attempt has finished");
		return NULL;
	}
	if (move->policy->remote_broker)
		meet_elsewhere(move);
	struct ql_run *run = ql_move_take(move, phase, -1);
	if (!run)
		*ret_verdict = kill_on_sight(move, "and it is one more than is watched");
	return run;
}

/* ---- held ---- */

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
 * held: an older sighting may be late, and the program may run and have its grace.
 */
static enum ql_verdict
held_though_released(struct ql_move *move, struct ql_run *run)
{
	if (run->killed_at || move->event->epoch != move->was->epoch)
		return ignore(move, "held, as it was when its release was decided");
	ql_move_unreleased(move, run);
	return discard(move, run);
}

/* A worker of the broker's has it: that one begins it when it likes, and nobody releases it. */
static enum ql_verdict
held_elsewhere(struct ql_move *move)
{
	enum ql_verdict verdict;
	char name[QL_RUN_NAME];
	struct ql_run *run = meet(move, QL_PHASE_HELD, &verdict);
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
		return ignore(move, "held, as was known");
	if (!run && move->was->status != QL_STATUS_QUEUED) {
		run = meet(move, QL_PHASE_HELD, &verdict);
		return run ? discard(move, run) : verdict;
	}
	if (!run) {
		run = meet(move, QL_PHASE_CLAIMED, &verdict);
		if (!run)
			return verdict;
	}
	if (run->phase == QL_PHASE_HELD && run->released_at)
		return ql_state_stopping(move->was) ? held_though_released(move, run)
						    : release(move, run);
	if (run->phase != QL_PHASE_CLAIMED)
		return ignore(move, "held, as was known");
	if (run->killed_at || move->was->status != QL_STATUS_QUEUED)
		return discard(move, run);
	return release(move, run);
}

/* ---- running ---- */

enum ql_verdict
ql_hear_running(struct ql_move *move)
{
	enum ql_verdict verdict;
	char name[QL_RUN_NAME];
	struct ql_run *run = ql_move_run(move);
	bool known = run, first = ql_move_has_no_run(move);
	if (!known)
		run = meet(move, QL_PHASE_RUNNING, &verdict);
	if (!run)
		return verdict;
	if (known && run->phase != QL_PHASE_CLAIMED && run->phase != QL_PHASE_HELD)
		return ignore(move, "running, as was known");
	run->phase = QL_PHASE_RUNNING;
	ql_move_released(move, run);
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

/* ---- its end ---- */

static void
keep_output(struct ql_move *move)
{
	const struct ql_event *event = move->event;
	if (event->output_bytes > 0) {
		move->next->output_bytes = event->output_bytes;
		move->next->output_truncated = event->output_truncated;
	}
}

static void
record_exit(struct ql_move *move, struct ql_run *run)
{
	const struct ql_event *event = move->event;
	const int32_t told = QL_RUN_CATCHES_TERM | QL_RUN_SAID_STOPPED | QL_RUN_OOM | QL_RUN_LOST |
			     QL_RUN_UNSTARTED | QL_RUN_REVOKED;
	char name[QL_RUN_NAME], end[QL_ENDING];
	bool gone = run->phase == QL_PHASE_GONE;
	int32_t flags = event->flags & told;
	run->exit_code = event->exit_signal ? -1 : event->exit_code;
	run->exit_signal = event->exit_signal;
	run->sent = event->sent < QL_RUNG_NOTICE ? QL_RUNG_NONE
		    : event->sent > QL_RUNG_KILL ? QL_RUNG_KILL
						 : (int32_t)event->sent;
	if (flags & QL_RUN_UNSTARTED)
		ql_move_unreleased(move, run);
	if (!run->released_at)
		flags |= QL_RUN_UNSTARTED;
	ql_move_ended(move, run, gone ? QL_PHASE_GONE : QL_PHASE_EXITED, flags | QL_RUN_REPORTED);
	keep_output(move);
	ql_say(move, "%s exited %s", ql_explain_run(move, name), ql_explain_end(run, end));
	if (ql_state_stopping(move->next) || run->sent || flags & QL_RUN_REVOKED)
		ql_say(move, ": %s", ql_race_judge(run).sentence);
}

enum ql_verdict
ql_hear_exited(struct ql_move *move)
{
	enum ql_verdict verdict;
	struct ql_run *run = ql_move_run(move);
	if (!run) {
		run = meet(move, QL_PHASE_RUNNING, &verdict);
		if (!run)
			return verdict;
		ql_move_released(move, run);
	}
	if (run->flags & QL_RUN_LOST && ql_status_settled((enum ql_status)move->was->status))
		return note(move, "its exit was told after it was taken as lost");
	if (run->flags & QL_RUN_LOST)
		run->flags &= ~(QL_RUN_LOST | QL_RUN_REPORTED); /* known after all */
	bool sought = move->was->again_at || ql_move_is_uncounted(move, move->was);
	if (run->flags & QL_RUN_REPORTED && sought && move->event->epoch)
		return ql_seek_nowhere(move); /* a look found this end, and nothing else */
	if (run->flags & QL_RUN_REPORTED)
		return ignore(move, "an exit that was told before");
	record_exit(move, run);
	return QL_VERDICT_DONE;
}

/* Nothing of this run is left. Of a task elsewhere there may be another run: its settlement says more. */
static void
prove(struct ql_move *move)
{
	struct ql_cancel *cancel = &move->next->cancel;
	if (!ql_state_stopping(move->next))
		return;
	cancel->unasked |= move->event->unasked;
	cancel->passed |= move->event->passed;
	if (!ql_state_open(move->next) && !move->policy->remote_broker)
		cancel->evidence = cancel->unasked ? QL_EVIDENCE_EXITED : QL_EVIDENCE_VERIFIED;
}

/* It is over before it was known to run; how it ended counts. NULL as for meet. */
static struct ql_run *
meet_ended(struct ql_move *move, enum ql_verdict *ret_verdict)
{
	if (is_stranger(move) || ql_move_is_full(move)) {
		*ret_verdict = drop_stranger(move);
		return NULL;
	}
	struct ql_run *run = meet(move, QL_PHASE_RUNNING, ret_verdict);
	if (run)
		ql_move_released(move, run);
	return run;
}

/* It is no more where it was held, and nothing proves that it will not begin elsewhere. */
static enum ql_verdict
leave_held(struct ql_move *move, struct ql_run *run)
{
	ql_move_set_free(move, run);
	if (ql_state_open(move->next))
		ql_what(move, "its place is free");
	return QL_VERDICT_DONE;
}

enum ql_verdict
ql_hear_gone(struct ql_move *move)
{
	enum ql_verdict verdict;
	struct ql_run *run = ql_move_run(move);
	char name[QL_RUN_NAME];
	if (!run && !(run = meet_ended(move, &verdict)))
		return verdict;
	if (!ql_run_is_open(run))
		return ignore(move, "gone, as was known");
	ql_say(move, "nothing of %s is left", ql_explain_run(move, name));
	if (ql_move_is_held_elsewhere(move, run) && !ql_state_stopping(move->was))
		return leave_held(move, run);
	if (run->flags & QL_RUN_REPORTED) {
		run->phase = QL_PHASE_GONE;
	} else if (!run->released_at) {
		ql_move_ended(move, run, QL_PHASE_GONE, QL_RUN_UNSTARTED | QL_RUN_REPORTED);
		ql_say(move, ": its program never ran");
	} else {
		ql_move_ended(move, run, QL_PHASE_GONE, 0);
		ql_move_act(move, QL_ACT_INSPECT, run);
		ql_what(move, "ask how it ended");
	}
	prove(move);
	return QL_VERDICT_DONE;
}

enum ql_verdict
ql_hear_stuck(struct ql_move *move)
{
	struct ql_run *run = ql_move_run(move);
	char name[QL_RUN_NAME];
	if (!run)
		return note(move, "stuck in the kernel, and none of this attempt's");
	if (!ql_run_is_open(run) || run->flags & QL_RUN_STUCK)
		return ignore(move, "stuck, as was known");
	run->flags |= QL_RUN_STUCK;
	ql_say(move, "SIGKILL is delivered and the kernel keeps %s", ql_explain_run(move, name));
	ql_what(move, "keep watching");
	return QL_VERDICT_DONE;
}

/* Proven dead, and no exit status can ever be told. */
static enum ql_verdict
lose(struct ql_move *move, struct ql_run *run, enum ql_phase phase)
{
	int32_t flags = QL_RUN_LOST | QL_RUN_REPORTED;
	if (!run->released_at)
		flags |= QL_RUN_UNSTARTED;
	if (run->flags & QL_RUN_REPORTED) {
		run->phase = (int32_t)phase;
	} else {
		ql_move_ended(move, run, phase, flags);
	}
	prove(move);
	return QL_VERDICT_DONE;
}

/* It may have been held, and its message is with the next worker then. */
static enum ql_verdict
lose_unseen(struct ql_move *move)
{
	char name[QL_RUN_NAME];
	if (ql_move_is_adrift(move))
		return ignore(move, "lost, and its task is looked for");
	ql_say(move, "%s lost its worker, and nobody saw whether it had begun",
		ql_explain_run(move, name));
	ql_move_set_free(move, NULL);
	if (ql_state_open(move->next))
		ql_what(move, "the other delivery goes on");
	return QL_VERDICT_DONE;
}

enum ql_verdict
ql_hear_lost(struct ql_move *move)
{
	enum ql_verdict verdict;
	struct ql_run *run = ql_move_run(move);
	char name[QL_RUN_NAME];
	bool elsewhere = move->policy->remote_broker && !is_stranger(move);
	if (!run && elsewhere && ql_state_stopping(move->was))
		return lose_unseen(move);
	if (!run && !(run = meet_ended(move, &verdict)))
		return verdict;
	if (!ql_run_is_open(run) && run->flags & QL_RUN_REPORTED)
		return ignore(move, "lost, after it was known to be over");
	ql_say(move, "%s lost its supervisor or host, and is proven dead",
		ql_explain_run(move, name));
	if (ql_move_is_held_elsewhere(move, run))
		return leave_held(move, run);
	return lose(move, run, QL_PHASE_GONE);
}

enum ql_verdict
ql_hear_absent(struct ql_move *move)
{
	struct ql_run *run = ql_move_run(move);
	char name[QL_RUN_NAME];
	if (!move->event->incarnation && move->policy->remote_broker)
		return ql_seek_nowhere(move);
	if (!run || (!ql_run_is_open(run) && run->flags & QL_RUN_REPORTED))
		return ignore(move, "absent, as was known");
	ql_say(move, "the place of execution has no trace of %s", ql_explain_run(move, name));
	if (ql_move_is_held_elsewhere(move, run))
		return leave_held(move, run);
	bool claimed = run->phase == QL_PHASE_CLAIMED;
	if (claimed &&
		(move->was->status == QL_STATUS_QUEUED || move->was->status == QL_STATUS_RUNNING)) {
		*run = (struct ql_run){0};
		ql_what(move, "its claim is void: its place is free");
		return QL_VERDICT_DONE;
	}
	return lose(move, run, run->phase == QL_PHASE_GONE ? QL_PHASE_GONE : QL_PHASE_ABSENT);
}

enum ql_verdict
ql_hear_failed_start(struct ql_move *move)
{
	struct ql_run *run = ql_move_run(move);
	char name[QL_RUN_NAME];
	if (!run)
		return is_stranger(move) ? drop_stranger(move)
					 : note(move, "could not be started, and was not known");
	if (!ql_run_is_open(run))
		return ignore(move, "not started, as was known");
	if (run->phase != QL_PHASE_CLAIMED && run->phase != QL_PHASE_HELD)
		return note(move, "said not to have started, and it did");
	ql_say(move, "%s could not be started, and nothing of it is left",
		ql_explain_run(move, name));
	ql_move_unreleased(move, run);
	ql_move_ended(move, run, QL_PHASE_GONE, QL_RUN_UNSTARTED | QL_RUN_REPORTED);
	prove(move);
	return QL_VERDICT_DONE;
}

/* ---- delivered again ---- */

/* Its attempt is cancelled, and its message is to come once more. */
static enum ql_verdict
take_out_stranger(struct ql_move *move)
{
	char name[QL_RUN_NAME];
	ql_say(move, "%s is to be delivered again, and its attempt is cancelled",
		ql_explain_run(move, name));
	ql_what(move, "take its message out");
	ql_move_act_on(move, QL_ACT_REMOVE, 0);
	return QL_VERDICT_NOTED;
}

enum ql_verdict
ql_hear_retried(struct ql_move *move)
{
	struct ql_run *run = ql_move_run(move);
	char name[QL_RUN_NAME];
	bool judged = run ? run->flags & QL_RUN_REPORTED && !(run->flags & QL_RUN_LOST)
			  : !ql_move_has_no_run(move);
	if (!is_earlier_attempts(move) && move->was->status == QL_STATUS_CANCELLED)
		return take_out_stranger(move);
	if (is_stranger(move))
		return note(move, "to be delivered again, and none of this attempt's");
	if (judged)
		return ignore(move, "to be delivered again, and its end or its next run is known");
	ql_say(move, "%s ended, to be delivered again", ql_explain_run(move, name));
	ql_move_set_free(move, run);
	if (ql_state_open(move->next))
		ql_what(move, "the other delivery goes on");
	return QL_VERDICT_DONE;
}

/* ---- salvaged ---- */

static bool
is_salvaged(const struct ql_state *state)
{
	for (int i = 0; i < QL_RUNS; i++) {
		int32_t flags = state->runs[i].flags;
		if (flags & QL_RUN_SALVAGING && !(flags & QL_RUN_SALVAGED))
			return false;
	}
	return true;
}

enum ql_verdict
ql_hear_salvaged(struct ql_move *move)
{
	struct ql_state *next = move->next;
	struct ql_run *run = ql_move_run(move);
	if (!run || run->flags & QL_RUN_SALVAGED || !(run->flags & QL_RUN_SALVAGING))
		return ignore(move, "a salvage that was told before, or is not waited for");
	run->flags |= QL_RUN_SALVAGED;
	keep_output(move);
	ql_say(move, "%" PRId64 " bytes of output are kept", next->output_bytes);
	if (move->event->checkpoint_bytes >= 0) {
		next->checkpoint_bytes = move->event->checkpoint_bytes;
		next->checkpoint_at = move->event->now;
		ql_say(move, " and %" PRId64 " of checkpoint", next->checkpoint_bytes);
	}
	if (is_salvaged(next))
		next->salvage_until = 0;
	return QL_VERDICT_DONE;
}
