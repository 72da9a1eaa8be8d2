#include "runtime/alarm.h"

int64_t
ql_alarm_ms(void)
{
	return (int64_t)(uv_hrtime() / 1000000);
}

static void turn(uv_timer_t *timer);

static void
arm(struct ql_alarm *alarm)
{
	const struct ql_heap_node *node = ql_heap_top(&alarm->due);
	if (!node) {
		uv_timer_stop(&alarm->timer);
		return;
	}
	int64_t in = node->at - ql_alarm_ms();
	uv_update_time(alarm->timer.loop);
	uv_timer_start(&alarm->timer, turn, in > 0 ? (uint64_t)in : 0, 0);
}

/* A callback may close the alarm: then nothing rings after it. */
static void
turn(uv_timer_t *timer)
{
	struct ql_alarm *alarm = timer->data;
	int64_t now = ql_alarm_ms();
	struct ql_heap_node *node;
	while (!alarm->closed && (node = ql_heap_top(&alarm->due)) && node->at <= now) {
		ql_heap_remove(&alarm->due, node);
		alarm->rang(alarm, node);
	}
	if (!alarm->closed)
		arm(alarm);
}

int
ql_alarm_init(struct ql_alarm *alarm, uv_loop_t *loop,
	void (*rang)(struct ql_alarm *alarm, struct ql_heap_node *node))
{
	*alarm = (struct ql_alarm){.rang = rang};
	if (uv_timer_init(loop, &alarm->timer))
		return -1;
	alarm->timer.data = alarm;
	return 0;
}

int
ql_alarm_set(struct ql_alarm *alarm, struct ql_heap_node *node, int64_t in_ms)
{
	if (ql_heap_set(&alarm->due, node, ql_alarm_ms() + in_ms))
		return -1;
	if (!alarm->closed && ql_heap_top(&alarm->due) == node)
		arm(alarm);
	return 0;
}

/* The timer may ring once in vain for it; that is cheaper than setting it anew each time. */
void
ql_alarm_clear(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	if (!alarm->due.len)
		return;
	ql_heap_remove(&alarm->due, node);
	if (!alarm->due.len && !alarm->closed)
		uv_timer_stop(&alarm->timer);
}

static void
timer_closed(uv_handle_t *handle)
{
	struct ql_alarm *alarm = handle->data;
	ql_heap_done(&alarm->due);
	alarm->closed(alarm);
}

void
ql_alarm_close(struct ql_alarm *alarm, void (*closed)(struct ql_alarm *alarm))
{
	alarm->closed = closed;
	uv_close((uv_handle_t *)&alarm->timer, timer_closed);
}
