/*
 * The decider: pure, no I/O, no clock, no memory of its own.
 *
 *	ql_step(state, policy, event) -> next state, acts, one sentence «why -> what»
 *
 * The caller makes `next` durable together with its sentence, then performs the acts in their
 * order, then feeds what comes back as the next event. A decision whose verdict makes no row
 * leaves next equal to state. Each act names a run and carries the epoch; an answer of another
 * epoch is ignored. Feeding a stored state a TIME event repairs a crash between any two of these.
 *
 * Which signal wins against which exit stands in one table, race.c; docs/promise.md is its prose.
 */
#ifndef QL_CORE_STEP_H
#define QL_CORE_STEP_H

#include "core/state.h"

/* How long each means is given. All in ms; the defaults stand in ql_policy_default. */
struct ql_policy {
	int64_t retry_ms; /* an unanswered act is asked again, and looked after, by turns */
	int64_t start_ms; /* from a held start asked to HELD; then it is given up as failed */
	int64_t prove_ms; /* from SIGKILL to `unconfirmed` */
	int64_t salvage_ms; /* for partial output and checkpoint */
	int64_t watch_ms; /* between looks at a run that is unconfirmed */
	int64_t second_look_ms; /* a task is nowhere when two looks say so, this far apart */
	bool remote_broker; /* tasks are messages elsewhere: enqueue, remove, redelivery */
};

extern const struct ql_policy ql_policy_default;

struct ql_event {
	enum ql_event_kind kind;
	int64_t now; /* unix ms; never below an earlier event's */

	/* requests */
	int32_t attempt; /* CANCEL: only this one; sightings: whose run it is; 0 = not said */
	enum ql_mode mode; /* CANCEL */
	enum ql_rung top; /* CANCEL: `escalate`; NONE = the mode's own */
	enum ql_cause cause; /* CANCEL */
	int64_t grace_ms; /* SUBMIT, ADOPT; CANCEL: -1 = the evaluation's own */
	int64_t timeout_ms; /* SUBMIT */
	int64_t queue_ttl_ms; /* SUBMIT: 0 = none */
	int64_t absent_at; /* ADOPT: when a look at it ended in «nowhere», a short while ago; 0 = never */
	int64_t ahead_ms; /* ADOPT: how long an id not yet seen keeps its tombstone; 0 = not at all */
	int32_t slot; /* CLAIM */

	/* answers and sightings; CLAIM names the incarnation to come */
	uint64_t incarnation;
	/* answers: of the act they answer; HELD, ABSENT, EXITED, BOXED: of the INSPECT they answer, or 0 */
	int32_t epoch;
	enum ql_act_kind answers; /* answers: which act */
	int32_t exit_code; /* EXITED: -1 = none */
	int32_t exit_signal; /* EXITED: 0 = none */
	enum ql_rung sent; /* EXITED: the strongest sent before the exit */
	int32_t flags; /* EXITED, REMOVED, BOXED: bits of enum ql_run_flag */
	/* GONE, LOST; of ABSENT, EXITED, BOXED the look that they answer: bits of enum ql_check that could not be asked */
	int32_t unasked;
	int32_t passed; /* GONE, LOST: those that said that nothing is left */
	int64_t output_bytes; /* EXITED, SALVAGED: 0 = not known */
	int32_t output_truncated; /* EXITED, SALVAGED */
	int64_t checkpoint_bytes; /* SALVAGED: -1 = none was left by the program */
};

/* What is done about a task's containers that no run of it accounts for: of a worker that died unseen, say. */
enum ql_boxes {
	QL_BOXES_LEAVE,
	QL_BOXES_FIND, /* those that run are told of, instead of «nowhere» */
	QL_BOXES_END, /* they are ended, and proven dead, before anything else is told */
};

struct ql_act {
	enum ql_act_kind kind;
	int32_t epoch;
	uint64_t incarnation; /* whom; 0 for the broker's acts, which name the task */
	int32_t slot; /* START */
	enum ql_boxes boxes; /* REMOVE, INSPECT of the task */
};

#define QL_ACTS 16 /* three for each run, and one more for each */
#define QL_WHY 480

struct ql_decision {
	struct ql_state next;
	enum ql_verdict verdict;
	int act_count;
	struct ql_act acts[QL_ACTS];
	char why[QL_WHY]; /* «why -> what»: the audit row, the timeline, the CLI's answer */
};

void ql_step(const struct ql_state *state, const struct ql_policy *policy,
	const struct ql_event *event, struct ql_decision *ret_decision);

#endif
