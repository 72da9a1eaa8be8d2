/*
 * Many deadlines on one timer of the loop. A deadline is a heap node embedded in its owner; it
 * rings once, from the loop, and is clear then.
 */
#ifndef QL_RUNTIME_ALARM_H
#define QL_RUNTIME_ALARM_H

#include <stdint.h>
#include <uv.h>

#include "base/heap.h"

struct ql_alarm {
	uv_timer_t timer;
	struct ql_heap due;
	void (*rang)(struct ql_alarm *alarm, struct ql_heap_node *node);
	void (*closed)(struct ql_alarm *alarm);
};

int ql_alarm_init(struct ql_alarm *alarm, uv_loop_t *loop,
	void (*rang)(struct ql_alarm *alarm, struct ql_heap_node *node));

/* Rings in so many ms, whatever was set before. -1 only when out of memory. */
int ql_alarm_set(struct ql_alarm *alarm, struct ql_heap_node *node, int64_t in_ms);

void ql_alarm_clear(struct ql_alarm *alarm, struct ql_heap_node *node);

/* Rings no more; closed is called from the loop. */
void ql_alarm_close(struct ql_alarm *alarm, void (*closed)(struct ql_alarm *alarm));

/* Milliseconds of a clock that never jumps; of no meaning but their difference. */
int64_t ql_alarm_ms(void);

#endif
