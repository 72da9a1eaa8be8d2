#include "daemon/lag.h"

static void on_due(uv_timer_t *timer);

static void
arm(struct ql_lag *lag)
{
	uv_update_time(lag->timer.loop);
	lag->due_ns = uv_hrtime() + QL_LAG_MS * 1000000ULL;
	uv_timer_start(&lag->timer, on_due, QL_LAG_MS, 0);
}

/* The loop counts whole milliseconds: it may be one early. */
static void
on_due(uv_timer_t *timer)
{
	struct ql_lag *lag = timer->data;
	uint64_t now = uv_hrtime();
	ql_meter_observe(lag->meter, QL_METRIC_LAG, QL_NO_LABELS,
		now > lag->due_ns ? (double)(now - lag->due_ns) / 1e9 : 0);
	arm(lag);
}

void
ql_lag_start(struct ql_lag *lag, uv_loop_t *loop, struct ql_meter *meter)
{
	lag->meter = meter;
	uv_timer_init(loop, &lag->timer);
	lag->timer.data = lag;
	arm(lag);
}

void
ql_lag_stop(struct ql_lag *lag)
{
	uv_close((uv_handle_t *)&lag->timer, NULL);
}
