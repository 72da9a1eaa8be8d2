/*
 * The state of one evaluation: flat, without pointers and without padding, so that it is copied
 * with = and compared with memcmp. Only ql_step changes it. The SQL columns are the fields of
 * the three .def tables, in their order.
 */
#ifndef QL_CORE_STATE_H
#define QL_CORE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/words.h"

#define X(type, field, means) type field;
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct ql_cancel {
#include "core/field_cancel.def"
};

struct ql_run {
#include "core/field_run.def"
};

#define QL_RUNS 4 /* of one attempt; a fifth is killed on sight and noted */

struct ql_state {
#include "core/field_eval.def"
	struct ql_cancel cancel;
	struct ql_run runs[QL_RUNS];
};

#pragma GCC diagnostic pop
#undef X

enum ql_run_flag {
	QL_RUN_CATCHES_TERM = 1 << 0, /* SIGTERM was in its SigCgt when it was sent */
	QL_RUN_SAID_STOPPED = 1 << 1, /* it removed its notice file, or exited with 75 */
	QL_RUN_OOM = 1 << 2, /* its memory limit killed it */
	QL_RUN_LOST = 1 << 3, /* its supervisor or host died: no exit status is known */
	QL_RUN_UNSTARTED = 1 << 4, /* its program never ran */
	QL_RUN_STUCK = 1 << 5, /* SIGKILL is delivered and the kernel keeps it */
	QL_RUN_REPORTED = 1 << 6, /* its exit was judged once; repeats change nothing */
	QL_RUN_UNDER_STOP = 1 << 7, /* a stop was in force when its end became known */
	QL_RUN_NOTICED = 1 << 8, /* its notice was taken over */
	QL_RUN_SIGNALLED = 1 << 9, /* its SIGTERM was taken over */
	QL_RUN_SALVAGING = 1 << 10, /* its salvage was asked for */
	QL_RUN_SALVAGED = 1 << 11, /* its salvage was answered */
	QL_RUN_FORGOTTEN = 1 << 12, /* the runtime dropped its record */
	QL_RUN_REVOKED = 1 << 13, /* its worker says that it was revoked, by whomever */
	QL_RUN_WARNED = 1 << 14, /* the worker that holds it knows that it must drop it */
	QL_RUN_REDELIVERED = 1 << 15, /* of REMOVED: a worker had had that message before */
	QL_RUN_WRITTEN = 1 << 16, /* its worker wrote SUCCESS or FAILURE, and no stop made it */
	QL_RUN_BOXES_ENDED = 1 << 17, /* of BOXED without a run: they were ended */
};

/* The run of that name, or NULL. */
const struct ql_run *ql_state_run(const struct ql_state *state, uint64_t incarnation);

/* Is any run of it known, over or not? */
bool ql_state_has_run(const struct ql_state *state);

/* How many slots of the local runner it takes: its runs that are neither gone nor absent. */
int ql_state_slots(const struct ql_state *state);

/* A cancellation is open: asked for, and the attempt not settled (unconfirmed included). */
bool ql_state_stopping(const struct ql_state *state);

/* A run of it is neither gone nor absent. */
bool ql_state_open(const struct ql_state *state);

/* Something of it may still be alive or unproven, or an act is open: it belongs in memory. */
bool ql_state_live(const struct ql_state *state);

/* Queued and unclaimed: it waits in the store alone. */
bool ql_state_waiting(const struct ql_state *state);

/* When ql_step wants a TIME event, in unix ms; 0 = never. */
int64_t ql_state_wake(const struct ql_state *state);

#endif
