/*
 * What the faulty drivers of this folder share: couriers, one for each thing that is told. A courier goes to
 * the inner driver and comes back with its answer, if it gets there at all; what happens to it on its way is
 * drawn from a seed.
 *
 * Order of calls: ql_courier_go -> the inner driver, unless it is lost -> ql_courier_answer -> home, once.
 */
#ifndef QL_OUTLET_COURIER_H
#define QL_OUTLET_COURIER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"

/* Chances are out of 1000, each drawn for itself; all zero hurts nothing. */
struct ql_outlet_faults {
	uint64_t seed; /* read at opening */
	int refuse; /* it never arrives, and another try may help */
	int lose_answer; /* it arrives, and is answered as if it had not */
	int delay_answer; /* its answer comes later, by up to delay_ms */
	int64_t delay_ms;
	int64_t hurt; /* counted by the driver: how many faults really happened */
};

struct ql_courier {
	struct ql_courier *prev, *next; /* of those whose answer is on its way */
	struct ql_couriers *couriers;
	uv_timer_t timer;
	int status;
	/* It is back: its caller is to be answered with status. The memory goes later, by itself. */
	void (*home)(struct ql_courier *courier);
};

/* All of one driver: the first member of whatever was allocated for it, which is freed with them. */
struct ql_couriers {
	uv_loop_t *loop;
	struct ql_outlet_faults *faults;
	uint64_t random;
	struct ql_courier *returning;
	size_t open;
	bool closing;
	bool inner_closed;
	void (*closed)(void *arg);
	void *closed_arg;
};

void
ql_couriers_init(struct ql_couriers *couriers, uv_loop_t *loop, struct ql_outlet_faults *faults);

/* courier, the first member of its allocation, is taken over. */
void ql_courier_go(struct ql_couriers *couriers, struct ql_courier *courier);

/* It never arrives: true once err says so and it is on its way home. */
bool ql_courier_is_lost(struct ql_courier *courier, struct ql_err *err);

/* What the inner driver said; err is overwritten where that is lost: true then. */
bool ql_courier_answer(struct ql_courier *courier, int status, struct ql_err *err);

/* Sends all of them home at once. The inner driver is closed by the caller, with ql_couriers_inner_closed. */
void ql_couriers_close(struct ql_couriers *couriers, void (*closed)(void *arg), void *arg);
void ql_couriers_inner_closed(void *couriers);

#endif
