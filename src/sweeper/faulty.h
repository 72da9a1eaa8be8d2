/*
 * The faulty finder: wraps another driver and hurts what passes between it and its caller, by a seed.
 * Whatever it does stays within the contract of finder.h: it only makes true what a full table, a
 * place that cannot be read, a slow host or a crash after the hand could.
 */
#ifndef QL_SWEEPER_FAULTY_H
#define QL_SWEEPER_FAULTY_H

#include <uv.h>

#include "sweeper/finder.h"

/* Chances are out of 1000, each drawn for itself; all zero hurts nothing. */
struct ql_finder_faults {
	uint64_t seed; /* read at opening */
	int miss; /* of each trace: it is left out, and the look says that it is not whole */
	int blind; /* a look says that a place could not be looked at, and leaves out what came last */
	int refuse; /* a reap never arrives */
	int lose_answer; /* it arrives, and is answered as if it had not */
	int delay; /* an answer comes later, by up to delay_ms */
	int64_t delay_ms;
	int64_t hurt; /* counted by the driver: how many faults really happened */
};

/* Wraps inner, which it owns from then on. faults stays the caller's and may change any time. NULL when out of memory. */
struct ql_finder *
ql_finder_faulty(uv_loop_t *loop, struct ql_finder *inner, struct ql_finder_faults *faults);

#endif
