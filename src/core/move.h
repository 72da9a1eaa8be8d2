/*
 * The inside of ql_step, shared by its files alone: one move of the state machine.
 *
 * An event's handler (request.c, answer.c, sight*.c, deadline.c) says why, changes `next`, asks for
 * acts and returns the verdict. After a DONE, step.c concludes: salvage, settlement, the reaping
 * rungs (settle.c), and when to ask again (again.c). The ladder's rungs stand in ladder.c, the race
 * between exit and stop in race.c, the sentence in explain.c.
 */
#ifndef QL_CORE_MOVE_H
#define QL_CORE_MOVE_H

#include "core/step.h"

struct ql_move {
	const struct ql_state *was;
	const struct ql_policy *policy;
	const struct ql_event *event;
	struct ql_decision *decision;
	struct ql_state *next; /* = &decision->next */
	bool what_said; /* the sentence has passed its arrow */
};

/* ---- move.c ---- */

/* Asks for an act; the same one is asked for once. Its epoch is that of the finished move. */
void ql_move_act(struct ql_move *move, enum ql_act_kind kind, const struct ql_run *run);

/* For a run that has no place in the state, or (0) for the task itself. */
void ql_move_act_on(struct ql_move *move, enum ql_act_kind kind, uint64_t incarnation);

/* The run that the event names, or NULL. */
struct ql_run *ql_move_run(struct ql_move *move);

/* A free place for the run that the event names, or NULL when all are taken. */
struct ql_run *ql_move_take(struct ql_move *move, enum ql_phase phase, int32_t slot);

/* Its program goes, or was seen to go, now. */
void ql_move_released(struct ql_move *move, struct ql_run *run);

/* Its release was decided, and it is known that its program never went. */
void ql_move_unreleased(struct ql_move *move, struct ql_run *run);

/* Its end is known now; flags are added to those it has. */
void ql_move_ended(struct ql_move *move, struct ql_run *run, enum ql_phase phase, int32_t flags);

/* Everything of an attempt but what was submitted and what was kept, as the next one. */
void ql_move_attempt(struct ql_move *move);

/* Neither gone nor absent. */
bool ql_run_is_open(const struct ql_run *run);

/* Its program may be running, and nobody has decided to kill it. */
bool ql_run_is_asked(const struct ql_run *run);

/* Its place was never taken, or is free again. */
bool ql_move_has_no_run(const struct ql_move *move);

/* All of its places are taken. */
bool ql_move_is_full(const struct ql_move *move);

/* A worker that is not Quell's has it, and has not begun it. */
bool ql_move_is_held_elsewhere(const struct ql_move *move, const struct ql_run *run);

/*
 * No run of it is open, and its message, or a copy of it, may be anywhere: in a queue, on its way to a
 * worker, or nowhere.
 */
bool ql_move_is_adrift(const struct ql_move *move);

/*
 * Under a stop, all runs of such a state that are known are over. A message can be delivered twice, so another
 * may be running that nobody has told of: every place has to be asked first.
 */
bool ql_move_is_uncounted(const struct ql_move *move, const struct ql_state *state);

/* No worker has to be asked any more: what an earlier look could not ask is known now. */
void ql_move_all_asked(struct ql_move *move);

/* Its message, or a run of it, was seen at a broker or a worker. */
void ql_move_seen(struct ql_move *move);

/* Its message is free, to be delivered as another run: the place of this one too, if it has one. */
void ql_move_set_free(struct ql_move *move, struct ql_run *run);

/* ---- request.c, answer.c, sight*.c, deadline.c: one function per event ---- */

enum ql_verdict ql_hear_submit(struct ql_move *move);
enum ql_verdict ql_hear_adopt(struct ql_move *move);
enum ql_verdict ql_hear_claim(struct ql_move *move);
enum ql_verdict ql_hear_cancel(struct ql_move *move);
enum ql_verdict ql_hear_restore(struct ql_move *move);
enum ql_verdict ql_hear_resume(struct ql_move *move);
enum ql_verdict ql_hear_time(struct ql_move *move);
enum ql_verdict ql_hear_delivered(struct ql_move *move);
enum ql_verdict ql_hear_unreachable(struct ql_move *move);
enum ql_verdict ql_hear_removed(struct ql_move *move);
enum ql_verdict ql_hear_not_queued(struct ql_move *move);
enum ql_verdict ql_hear_held(struct ql_move *move);
enum ql_verdict ql_hear_running(struct ql_move *move);
enum ql_verdict ql_hear_exited(struct ql_move *move);
enum ql_verdict ql_hear_retried(struct ql_move *move);
enum ql_verdict ql_hear_gone(struct ql_move *move);
enum ql_verdict ql_hear_stuck(struct ql_move *move);
enum ql_verdict ql_hear_lost(struct ql_move *move);
enum ql_verdict ql_hear_absent(struct ql_move *move);
enum ql_verdict ql_hear_failed_start(struct ql_move *move);
enum ql_verdict ql_hear_boxed(struct ql_move *move);
enum ql_verdict ql_hear_salvaged(struct ql_move *move);

/* ---- meet.c: what every sighting begins with ---- */

/* Nothing new; why, in half a sentence. */
enum ql_verdict ql_sight_ignore(struct ql_move *move, const char *why);

/* A line for the timeline that changes nothing else. */
enum ql_verdict ql_sight_note(struct ql_move *move, const char *why);

/* Is it an earlier attempt's run? */
bool ql_sight_is_earlier(const struct ql_move *move);

/* Is it no run of this attempt, or is this attempt settled? */
bool ql_sight_is_strange(const struct ql_move *move);

/* How much output the event says is kept. */
void ql_sight_output(struct ql_move *move);

/*
 * A run that was not known: another delivery of the same attempt takes a place. NULL when it must
 * not have one; then ret_verdict says what became of it.
 */
struct ql_run *ql_meet(struct ql_move *move, enum ql_phase phase, enum ql_verdict *ret_verdict);

/* It is over before it was known to run; how it ended counts. NULL as for ql_meet. */
struct ql_run *ql_meet_ended(struct ql_move *move, enum ql_verdict *ret_verdict);

/* Nothing is left of it, and nobody waits for it: only its record goes. */
enum ql_verdict ql_meet_drop(struct ql_move *move);

/* ---- ladder.c ---- */

struct ql_stop_request {
	enum ql_mode mode;
	enum ql_rung top; /* NONE = the mode's own */
	enum ql_cause cause;
	int64_t grace_ms; /* -1 = the evaluation's own */
};

/* Begins a cancellation of an attempt that has none. */
void ql_ladder_begin(struct ql_move *move, const struct ql_stop_request *request);

/* The cancellation under way is asked for again: DONE when that raises it, else JOINED. */
enum ql_verdict ql_ladder_join(struct ql_move *move, const struct ql_stop_request *request);

/* Goes to a rung: a new epoch, a new deadline, its acts to each run that it is for. */
void ql_ladder_go(struct ql_move *move, enum ql_rung rung);

/* Its last run was left and its message is free again: it must be taken out of the queue. */
void ql_ladder_take_out(struct ql_move *move);

/* If a stop is in force, another run gets the ladder from its first rung: look before the signal. */
void ql_ladder_restart(struct ql_move *move, const struct ql_run *run);

/* Kills what was held and not released; the ladder goes on with the rest, or to the kill. */
void ql_ladder_discard(struct ql_move *move, struct ql_run *run);

/* The deadline of the rung has passed. */
void ql_ladder_climb(struct ql_move *move);

/* The run deadline has passed. */
void ql_ladder_timeout(struct ql_move *move);

/* ---- seek.c ---- */

/* The task's message is not in the queue: looks for a run of it anywhere. */
void ql_seek(struct ql_move *move);

/* The runs that are known are over: looks whether there are others. */
void ql_seek_others(struct ql_move *move);

/* A look found it nowhere, and the next one is not due: nothing is asked meanwhile. */
bool ql_seek_waits(const struct ql_state *state);

/* The next look is due. */
void ql_seek_again(struct ql_move *move);

/* Every place was asked, and none has its message or an open run of it. */
enum ql_verdict ql_seek_nowhere(struct ql_move *move);

/* The same, but containers of it run, or did until this look. */
enum ql_verdict ql_seek_boxed(struct ql_move *move);

/* What an act on the task does about them. */
enum ql_boxes ql_seek_boxes(const struct ql_move *move, const struct ql_act *act);

/* ---- race.c ---- */

struct ql_ruling {
	enum ql_status status; /* SUCCEEDED, FAILED, or CANCELLED */
	enum ql_cause cause; /* of a failure */
	enum ql_outcome outcome; /* of the cancellation, if there is one */
	const char *sentence;
};

/* Who won: the run's own end, or the stop. The run's end is known (REPORTED). */
struct ql_ruling ql_race_judge(const struct ql_run *run);

/* ---- settle.c ---- */

/* Salvage, settlement, reaping and forgetting, as far as they can go now. */
void ql_settle(struct ql_move *move);

/* Ends the attempt as cancelled, without any run having to say so. */
void ql_settle_cancelled(struct ql_move *move, enum ql_outcome outcome);

/* Every means is spent. */
void ql_settle_unconfirmed(struct ql_move *move);

/* Nothing more is asked of a run that is gone but that its record may be dropped. */
bool ql_settle_forgettable(const struct ql_state *state, const struct ql_run *run);

/* ---- again.c ---- */

/* Asks for whatever is open; with `look`, what could be asked twice in vain is looked after. */
bool ql_again_ask(struct ql_move *move, bool look);

/* Sets retry_at from what is open. A retry_at of 0 in `next` means: from now. */
void ql_again_arm(struct ql_move *move);

/* ---- explain.c ---- */

/* The sentence: ql_say goes on where it stands, ql_what begins a next «what» (the first one after
 * the arrow, the others after a comma). Its end is cut at QL_WHY. */
void ql_say(struct ql_move *move, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ql_what(struct ql_move *move, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "250 ms", "1.5 s", "10 s" */
#define QL_SPAN 32
const char *ql_explain_span(int64_t ms, char ret_span[static QL_SPAN]);

/* "with 0", "by signal 9", "no exit status is known" */
#define QL_ENDING 40
const char *ql_explain_end(const struct ql_run *run, char ret_end[static QL_ENDING]);

/* "it", or "run 00f3…" where there are several. */
#define QL_RUN_NAME 32
const char *ql_explain_run(const struct ql_move *move, char ret_name[static QL_RUN_NAME]);

#endif
