/*
 * Faulty containers: wraps another driver for others' containers and hurts what passes between it and
 * its caller, by a seed, so that a world can be replayed by number. Whatever it does stays within the
 * contract of containers.h: it only makes true what a network, a busy daemon or a dying one could.
 */
#ifndef QL_RUNTIME_FAKE_CONTAINERS_FAULTY_H
#define QL_RUNTIME_FAKE_CONTAINERS_FAULTY_H

#include "runtime/containers.h"

#define QL_CONTAINERS_COURIERS 8192 /* operations and hints on their way at once */

/* Chances are out of 1000, each drawn for itself; all zero hurts nothing. */
struct ql_containers_faults {
	uint64_t seed; /* read at opening */
	uint32_t acts; /* bits 1 << enum ql_containers_kind of those that are hurt; 0 = all */
	int refuse; /* the operation is answered -1 and never arrives */
	int lose_act; /* it never arrives, and is answered by its deadline */
	int lose_answer; /* it arrives, and is answered by its deadline */
	int double_act; /* it arrives twice and is answered twice: the first answer counts */
	int delay_act; /* it arrives later, by up to delay_ms, past its deadline too */
	int delay_answer; /* its answer comes that much later */
	/* the daemon dies with it at work: it arrived, what is open is answered -1, and so is what comes in delay_ms */
	int die;
	int lose_hint;
	int double_hint; /* the second one after a delay */
	int delay_hint;
	int64_t delay_ms;
	int64_t hurt; /* counted by the driver: how many faults really happened */
};

/* Only what a caller need not notice: operations and hints doubled, answers late. */
#define QL_CONTAINERS_DOUBLED_AND_LATE \
	((struct ql_containers_faults){.seed = 7, \
		.double_act = 300, \
		.delay_answer = 300, \
		.double_hint = 300, \
		.delay_hint = 300, \
		.delay_ms = 3})

/* Wraps inner, which it owns from then on. faults stays the caller's and may change any time. */
int ql_containers_faulty_open(struct ql_containers *inner, struct ql_containers_faults *faults,
	struct ql_containers **ret_containers, struct ql_err *e);

#endif
