/*
 * The faulty broker: wraps another driver and hurts what passes between it and its caller, by a seed.
 * Acts and sightings of a broker are of the runtime's kind, and so are their faults.
 */
#ifndef QL_BROKER_FAULTY_H
#define QL_BROKER_FAULTY_H

#include "broker/broker.h"
#include "runtime/fake/faulty.h"

/* Wraps inner, which it owns from then on. faults stays the caller's and may change any time. */
int ql_broker_faulty_open(struct ql_broker *inner, struct ql_runtime_faults *faults,
	struct ql_broker **ret_broker, struct ql_err *e);

#endif
