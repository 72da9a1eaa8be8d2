/*
 * How late the event loop is: a timer that is due twice a second, and by how much it is missed.
 * Whatever else is due waits as long.
 */
#ifndef QL_DAEMON_LAG_H
#define QL_DAEMON_LAG_H

#include <uv.h>

#include "rules/meter.h"

#define QL_LAG_MS 500

struct ql_lag {
	uv_timer_t timer;
	struct ql_meter *meter; /* borrowed */
	uint64_t due_ns;
};

/* The loop stays alive by it until it is stopped. */
void ql_lag_start(struct ql_lag *lag, uv_loop_t *loop, struct ql_meter *meter);
void ql_lag_stop(struct ql_lag *lag);

#endif
