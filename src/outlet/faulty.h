/*
 * The faulty outlet and the faulty poster: each wraps another driver and hurts what passes between it and its
 * caller, by a seed. Whatever they do stays within the contracts of outlet.h and poster.h: they only make
 * true what a network or a dying server could.
 */
#ifndef QL_OUTLET_FAULTY_H
#define QL_OUTLET_FAULTY_H

#include "outlet/courier.h"
#include "outlet/outlet.h"
#include "outlet/poster.h"

/* Both wrap inner, which they own from then on. faults stays the caller's and may change any time. */
int ql_outlet_faulty_open(uv_loop_t *loop, struct ql_outlet *inner, struct ql_outlet_faults *faults,
	struct ql_outlet **ret_outlet, struct ql_err *e);
int ql_poster_faulty_open(uv_loop_t *loop, struct ql_poster *inner, struct ql_outlet_faults *faults,
	struct ql_poster **ret_poster, struct ql_err *e);

#endif
