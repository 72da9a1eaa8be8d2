/*
 * The faulty outlet: wraps another driver and hurts what passes between it and its caller, by a
 * seed. Whatever it does stays within the contract of outlet.h: it only makes true what a network
 * or a dying server could.
 */
#ifndef QL_OUTLET_FAULTY_H
#define QL_OUTLET_FAULTY_H

#include "outlet/outlet.h"

/* Chances are out of 1000, each drawn for itself; all zero hurts nothing. */
struct ql_outlet_faults {
	uint64_t seed; /* read at opening */
	int refuse; /* it never arrives, and another try may help */
	int lose_answer; /* it arrives, and is answered as if it had not */
	int delay_answer; /* its answer comes later, by up to delay_ms */
	int64_t delay_ms;
	int64_t hurt; /* counted by the driver: how many faults really happened */
};

/* Wraps inner, which it owns from then on. faults stays the caller's and may change any time. */
int ql_outlet_faulty_open(uv_loop_t *loop, struct ql_outlet *inner, struct ql_outlet_faults *faults,
	struct ql_outlet **ret_outlet, struct ql_err *e);

#endif
