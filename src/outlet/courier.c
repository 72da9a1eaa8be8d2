#include "outlet/courier.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/rand.h"

void
ql_couriers_init(struct ql_couriers *couriers, uv_loop_t *loop, struct ql_outlet_faults *faults)
{
	*couriers = (struct ql_couriers){
		.loop = loop, .faults = faults, .random = faults->seed * 2 + 1}; /* never 0 */
}

static bool
strikes(struct ql_couriers *couriers, int chance)
{
	bool hurt = ql_rand_strikes(&couriers->random, chance);
	couriers->faults->hurt += hurt;
	return hurt;
}

static void
end_if_idle(struct ql_couriers *couriers)
{
	if (!couriers->inner_closed || couriers->open)
		return;
	void (*closed)(void *arg) = couriers->closed;
	void *arg = couriers->closed_arg;
	free(couriers);
	closed(arg);
}

static void
on_timer_closed(uv_handle_t *handle)
{
	struct ql_courier *courier = handle->data;
	struct ql_couriers *couriers = courier->couriers;
	free(courier);
	couriers->open--;
	end_if_idle(couriers);
}

static void
on_home(uv_timer_t *timer)
{
	struct ql_courier *courier = timer->data;
	DL_DELETE(courier->couriers->returning, courier);
	uv_close((uv_handle_t *)&courier->timer, on_timer_closed);
	courier->home(courier);
}

static void
go_home(struct ql_courier *courier, int status, int64_t in_ms)
{
	courier->status = status;
	DL_APPEND(courier->couriers->returning, courier);
	uv_timer_start(&courier->timer, on_home, (uint64_t)in_ms, 0);
}

void
ql_courier_go(struct ql_couriers *couriers, struct ql_courier *courier)
{
	courier->couriers = couriers;
	courier->timer.data = courier;
	uv_timer_init(couriers->loop, &courier->timer);
	couriers->open++;
}

bool
ql_courier_is_lost(struct ql_courier *courier, struct ql_err *err)
{
	struct ql_couriers *couriers = courier->couriers;
	if (!strikes(couriers, couriers->faults->refuse))
		return false;
	go_home(courier, ql_fail(err, QL_E_UNREACHABLE, "a fault was asked for: it never arrived"),
		0);
	return true;
}

bool
ql_courier_answer(struct ql_courier *courier, int status, struct ql_err *err)
{
	struct ql_couriers *couriers = courier->couriers;
	const struct ql_outlet_faults *faults = couriers->faults;
	bool lost = !status && strikes(couriers, faults->lose_answer);
	int64_t in_ms = 0;
	if (lost)
		status =
			ql_fail(err, QL_E_UNREACHABLE, "a fault was asked for: the answer is lost");
	if (!couriers->closing && faults->delay_ms > 0 && strikes(couriers, faults->delay_answer))
		in_ms = ql_rand_delay(&couriers->random, faults->delay_ms);
	go_home(courier, status, in_ms);
	return lost;
}

void
ql_couriers_inner_closed(void *arg)
{
	struct ql_couriers *couriers = arg;
	couriers->inner_closed = true;
	end_if_idle(couriers);
}

void
ql_couriers_close(struct ql_couriers *couriers, void (*closed)(void *arg), void *arg)
{
	struct ql_courier *courier;
	couriers->closing = true;
	couriers->closed = closed;
	couriers->closed_arg = arg;
	DL_FOREACH (couriers->returning, courier)
		uv_timer_start(&courier->timer, on_home, 0, 0);
}
