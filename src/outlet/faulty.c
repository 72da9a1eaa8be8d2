#include "outlet/faulty.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/owner.h"

struct faulty {
	struct ql_couriers couriers; /* first */
	struct ql_outlet outlet;
	struct ql_outlet *inner;
};

/* One delivery. */
struct delivering {
	struct ql_courier courier; /* first */
	struct ql_delivery op; /* as the inner driver sees it */
	struct ql_delivery *outer;
};

static void
on_home(struct ql_courier *courier)
{
	struct delivering *delivering = (struct delivering *)courier;
	struct ql_delivery *outer = delivering->outer;
	outer->err = delivering->op.err;
	outer->retry = delivering->op.retry;
	outer->done(outer, courier->status);
}

static void
on_done(struct ql_delivery *op, int status)
{
	struct delivering *delivering = QL_OWNER(op, struct delivering, op);
	op->retry |= ql_courier_answer(&delivering->courier, status, &op->err);
}

static void
faulty_deliver(struct ql_outlet *outlet, struct ql_delivery *op)
{
	struct faulty *faulty = QL_OWNER(outlet, struct faulty, outlet);
	struct delivering *delivering = calloc(1, sizeof(*delivering));
	if (!delivering)
		abort();
	delivering->courier.home = on_home;
	delivering->outer = op;
	delivering->op = *op;
	delivering->op.done = on_done;
	ql_courier_go(&faulty->couriers, &delivering->courier);
	if (ql_courier_is_lost(&delivering->courier, &delivering->op.err))
		delivering->op.retry = true;
	else
		faulty->inner->deliver(faulty->inner, &delivering->op);
}

static void
faulty_close(struct ql_outlet *outlet, void (*closed)(void *arg), void *arg)
{
	struct faulty *faulty = QL_OWNER(outlet, struct faulty, outlet);
	ql_couriers_close(&faulty->couriers, closed, arg);
	faulty->inner->close(faulty->inner, ql_couriers_inner_closed, faulty);
}

int
ql_outlet_faulty_open(uv_loop_t *loop, struct ql_outlet *inner, struct ql_outlet_faults *faults,
	struct ql_outlet **ret_outlet, struct ql_err *e)
{
	struct faulty *faulty = calloc(1, sizeof(*faulty));
	if (!faulty)
		return ql_fail(e, QL_E_SYSTEM, "couldn't open the faulty outlet: out of memory");
	ql_couriers_init(&faulty->couriers, loop, faults);
	faulty->outlet = (struct ql_outlet){
		.name = "faulty", .deliver = faulty_deliver, .close = faulty_close};
	faulty->inner = inner;
	*ret_outlet = &faulty->outlet;
	return 0;
}
