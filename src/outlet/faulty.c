#include "outlet/faulty.h"

#include <stddef.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/rand.h"

struct faulty {
	struct ql_outlet outlet; /* first */
	uv_loop_t *loop;
	struct ql_outlet *inner;
	struct ql_outlet_faults *faults;
	uint64_t random;
	struct courier *couriers; /* those whose answer is on its way */
	size_t open;
	bool closing;
	bool inner_closed;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* One delivery: to the inner driver, then back with its answer. */
struct courier {
	struct courier *prev, *next;
	struct faulty *faulty;
	struct ql_delivery op; /* as the inner driver sees it */
	struct ql_delivery *outer;
	uv_timer_t timer;
	int status;
};

static bool
strikes(struct faulty *faulty, int chance)
{
	bool hurt = ql_rand_strikes(&faulty->random, chance);
	faulty->faults->hurt += hurt;
	return hurt;
}

static void
end_if_idle(struct faulty *faulty)
{
	if (!faulty->inner_closed || faulty->open)
		return;
	void (*closed)(void *arg) = faulty->closed;
	void *arg = faulty->closed_arg;
	free(faulty);
	closed(arg);
}

static void
on_timer_closed(uv_handle_t *handle)
{
	struct courier *courier = handle->data;
	struct faulty *faulty = courier->faulty;
	free(courier);
	faulty->open--;
	end_if_idle(faulty);
}

static void
on_home(uv_timer_t *timer)
{
	struct courier *courier = timer->data;
	struct ql_delivery *outer = courier->outer;
	int status = courier->status;
	outer->err = courier->op.err;
	outer->retry = courier->op.retry;
	DL_DELETE(courier->faulty->couriers, courier);
	uv_close((uv_handle_t *)&courier->timer, on_timer_closed);
	outer->done(outer, status);
}

static void
go_home(struct courier *courier, int64_t in_ms)
{
	DL_APPEND(courier->faulty->couriers, courier);
	uv_timer_start(&courier->timer, on_home, (uint64_t)in_ms, 0);
}

static int
fail_to(struct courier *courier, const char *what)
{
	courier->op.retry = true;
	return ql_fail(&courier->op.err, QL_E_UNREACHABLE, "a fault was asked for: %s", what);
}

static void
on_done(struct ql_delivery *op, int status)
{
	struct courier *courier = (struct courier *)((char *)op - offsetof(struct courier, op));
	struct faulty *faulty = courier->faulty;
	const struct ql_outlet_faults *faults = faulty->faults;
	int64_t in_ms = 0;
	courier->status = status;
	if (!status && strikes(faulty, faults->lose_answer))
		courier->status = fail_to(courier, "the answer is lost");
	if (!faulty->closing && faults->delay_ms > 0 && strikes(faulty, faults->delay_answer))
		in_ms = ql_rand_delay(&faulty->random, faults->delay_ms);
	go_home(courier, in_ms);
}

static void
faulty_deliver(struct ql_outlet *outlet, struct ql_delivery *op)
{
	struct faulty *faulty = (struct faulty *)outlet;
	struct courier *courier = calloc(1, sizeof(*courier));
	if (!courier)
		abort();
	courier->faulty = faulty;
	courier->outer = op;
	courier->op = *op;
	courier->op.done = on_done;
	courier->timer.data = courier;
	uv_timer_init(faulty->loop, &courier->timer);
	faulty->open++;
	if (strikes(faulty, faulty->faults->refuse)) {
		courier->status = fail_to(courier, "it never arrived");
		go_home(courier, 0);
		return;
	}
	faulty->inner->deliver(faulty->inner, &courier->op);
}

static void
on_inner_closed(void *arg)
{
	struct faulty *faulty = arg;
	faulty->inner_closed = true;
	end_if_idle(faulty);
}

static void
faulty_close(struct ql_outlet *outlet, void (*closed)(void *arg), void *arg)
{
	struct faulty *faulty = (struct faulty *)outlet;
	struct courier *courier;
	faulty->closing = true;
	faulty->closed = closed;
	faulty->closed_arg = arg;
	DL_FOREACH (faulty->couriers, courier)
		uv_timer_start(&courier->timer, on_home, 0, 0);
	faulty->inner->close(faulty->inner, on_inner_closed, faulty);
}

int
ql_outlet_faulty_open(uv_loop_t *loop, struct ql_outlet *inner, struct ql_outlet_faults *faults,
	struct ql_outlet **ret_outlet, struct ql_err *e)
{
	struct faulty *faulty = calloc(1, sizeof(*faulty));
	if (!faulty)
		return ql_fail(e, QL_E_SYSTEM, "couldn't open the faulty outlet: out of memory");
	faulty->outlet = (struct ql_outlet){
		.name = "faulty", .deliver = faulty_deliver, .close = faulty_close};
	faulty->loop = loop;
	faulty->inner = inner;
	faulty->faults = faults;
	faulty->random = faults->seed * 2 + 1; /* never 0 */
	*ret_outlet = &faulty->outlet;
	return 0;
}
