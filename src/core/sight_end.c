/* What was seen of a run's end: evidence. */
#include <stddef.h>

#include "core/move.h"

static void
record_exit(struct ql_move *move, struct ql_run *run)
{
	const struct ql_event *event = move->event;
	const int32_t told = QL_RUN_CATCHES_TERM | QL_RUN_SAID_STOPPED | QL_RUN_OOM | QL_RUN_LOST |
			     QL_RUN_UNSTARTED | QL_RUN_REVOKED | QL_RUN_WRITTEN;
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
	ql_sight_output(move);
	ql_say(move, "%s exited %s", ql_explain_run(move, name), ql_explain_end(run, end));
	if (ql_state_stopping(move->next) || run->sent || flags & QL_RUN_REVOKED)
		ql_say(move, ": %s", ql_race_judge(run).sentence);
}

/* Its worker said «revoked» as it sent a signal, which it swallowed: how it ended is known after all. */
static bool
outlived_its_revoke(const struct ql_run *run, const struct ql_event *event)
{
	return run->phase == QL_PHASE_EXITED && run->flags & QL_RUN_REVOKED &&
	       !(run->flags & QL_RUN_UNSTARTED) && !(event->flags & QL_RUN_REVOKED);
}

/*
 * Every run that is known is over, one of them as its worker said «revoked», and a look at all places found that word
 * and nothing else. Who looks may have been started since and not know which run it is of.
 */
static bool
is_word_of_another(const struct ql_move *move)
{
	const struct ql_event *event = move->event;
	bool revoked = event->flags & QL_RUN_REVOKED && !(event->flags & QL_RUN_UNSTARTED);
	if (!revoked || !event->epoch || ql_sight_is_earlier(move) ||
		!ql_move_is_uncounted(move, move->was))
		return false;
	for (int i = 0; i < QL_RUNS; i++) {
		int32_t flags = move->was->runs[i].flags;
		if (flags & QL_RUN_REVOKED && !(flags & QL_RUN_UNSTARTED))
			return true;
	}
	return false;
}

enum ql_verdict
ql_hear_exited(struct ql_move *move)
{
	enum ql_verdict verdict;
	struct ql_run *run = ql_move_run(move);
	if (!run && is_word_of_another(move)) {
		ql_move_act_on(move, QL_ACT_FORGET, move->event->incarnation);
		return ql_seek_nowhere(move);
	}
	if (!run) {
		run = ql_meet(move, QL_PHASE_RUNNING, &verdict);
		if (!run)
			return verdict;
		ql_move_released(move, run);
	}
	if (run->flags & QL_RUN_LOST && ql_status_settled((enum ql_status)move->was->status))
		return ql_sight_note(move, "its exit was told after it was taken as lost");
	if (run->flags & QL_RUN_LOST)
		run->flags &= ~(QL_RUN_LOST | QL_RUN_REPORTED); /* known after all */
	if (outlived_its_revoke(run, move->event)) {
		run->flags &= ~(QL_RUN_REVOKED | QL_RUN_REPORTED);
		run->exited_at = 0;
	}
	bool sought = move->was->again_at || ql_move_is_uncounted(move, move->was);
	if (run->flags & QL_RUN_REPORTED && sought && move->event->epoch)
		return ql_seek_nowhere(move); /* a look found this end, and nothing else */
	if (run->flags & QL_RUN_REPORTED)
		return ql_sight_ignore(move, "an exit that was told before");
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
	if (!run && !(run = ql_meet_ended(move, &verdict)))
		return verdict;
	if (!ql_run_is_open(run))
		return ql_sight_ignore(move, "gone, as was known");
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
		return ql_sight_note(move, "stuck in the kernel, and none of this attempt's");
	if (!ql_run_is_open(run) || run->flags & QL_RUN_STUCK)
		return ql_sight_ignore(move, "stuck, as was known");
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
		return ql_sight_ignore(move, "lost, and its task is looked for");
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
	bool elsewhere = move->policy->remote_broker && !ql_sight_is_strange(move);
	if (!run && elsewhere && ql_state_stopping(move->was))
		return lose_unseen(move);
	if (!run && !(run = ql_meet_ended(move, &verdict)))
		return verdict;
	if (!ql_run_is_open(run) && run->flags & QL_RUN_REPORTED)
		return ql_sight_ignore(move, "lost, after it was known to be over");
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
		return ql_sight_ignore(move, "absent, as was known");
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
		return ql_sight_is_strange(move)
			       ? ql_meet_drop(move)
			       : ql_sight_note(move, "could not be started, and was not known");
	if (!ql_run_is_open(run))
		return ql_sight_ignore(move, "not started, as was known");
	if (run->phase != QL_PHASE_CLAIMED && run->phase != QL_PHASE_HELD)
		return ql_sight_note(move, "said not to have started, and it did");
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
	if (!ql_sight_is_earlier(move) && move->was->status == QL_STATUS_CANCELLED)
		return take_out_stranger(move);
	if (ql_sight_is_strange(move))
		return ql_sight_note(move, "to be delivered again, and none of this attempt's");
	if (judged)
		return ql_sight_ignore(
			move, "to be delivered again, and its end or its next run is known");
	ql_say(move, "%s ended, to be delivered again", ql_explain_run(move, name));
	ql_move_set_free(move, run);
	if (ql_state_open(move->next))
		ql_what(move, "the other delivery goes on");
	return QL_VERDICT_DONE;
}
