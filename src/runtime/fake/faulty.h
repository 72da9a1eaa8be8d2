/*
 * The faulty runtime: wraps another driver and hurts what passes between it and its caller, by a
 * seed, so that a world can be replayed by number. Whatever it does stays within the contract of
 * runtime.h: it only makes true what a network, a full disk or a dying supervisor could.
 */
#ifndef QL_RUNTIME_FAKE_FAULTY_H
#define QL_RUNTIME_FAKE_FAULTY_H

#include "runtime/runtime.h"

/* Chances are out of 1000, each drawn for itself; all zero hurts nothing. */
struct ql_runtime_faults {
	uint64_t seed; /* read at opening */
	uint32_t acts; /* bits 1 << enum ql_act_kind of those that are hurt; 0 = all */
	uint32_t sightings; /* bits 1 << enum ql_event_kind; 0 = all */
	int refuse; /* the act is answered -1 and never arrives */
	int lose_act; /* it never arrives, and is answered by its deadline */
	int lose_answer; /* it arrives, and is answered by its deadline */
	int double_act; /* it arrives twice */
	int delay_act; /* it arrives later, by up to delay_ms, past its deadline too */
	int delay_answer; /* its answer comes that much later */
	int lose_sighting;
	int double_sighting; /* the second one after a delay */
	int delay_sighting; /* so that sightings overtake each other */
	int64_t delay_ms;
	int64_t hurt; /* counted by the driver: how many faults really happened */
};

/* Only what a caller need not notice: acts and sightings doubled, answers late. */
#define QL_RUNTIME_DOUBLED_AND_LATE \
	((struct ql_runtime_faults){.seed = 7, \
		.double_act = 300, \
		.delay_answer = 300, \
		.double_sighting = 300, \
		.delay_ms = 3})

/* Wraps inner, which it owns from then on. faults stays the caller's and may change any time. */
int ql_runtime_faulty_open(struct ql_runtime *inner, struct ql_runtime_faults *faults,
	struct ql_runtime **ret_runtime, struct ql_err *e);

#endif
