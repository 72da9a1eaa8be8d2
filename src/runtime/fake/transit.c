#include "runtime/fake/transit.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/rand.h"

static void
rang(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	struct ql_transit *transit = QL_OWNER(alarm, struct ql_transit, alarm);
	transit->arrived(QL_OWNER(node, struct ql_passenger, due));
}

int
ql_transit_init(struct ql_transit *transit, uv_loop_t *loop, uint64_t seed)
{
	transit->random = seed ? seed : 1;
	return ql_alarm_init(&transit->alarm, loop, rang);
}

bool
ql_transit_strikes(struct ql_transit *transit, int chance)
{
	bool struck = ql_rand_strikes(&transit->random, chance);
	*transit->hurt += struck;
	return struck;
}

void *
ql_transit_add(struct ql_transit *transit, size_t size)
{
	struct ql_passenger *passenger = transit->count < transit->max ? calloc(1, size) : NULL;
	if (!passenger)
		return NULL;
	passenger->transit = transit;
	transit->count++;
	DL_APPEND(transit->passengers, passenger);
	return passenger;
}

void
ql_transit_send(struct ql_passenger *passenger)
{
	struct ql_transit *transit = passenger->transit;
	int64_t delay_ms = ql_rand_delay(&transit->random, *transit->delay_ms);
	if (ql_alarm_set(&transit->alarm, &passenger->due, delay_ms))
		abort(); /* a faulty world without memory has nothing to tell */
}

void
ql_transit_free(struct ql_passenger *passenger)
{
	struct ql_transit *transit = passenger->transit;
	DL_DELETE(transit->passengers, passenger);
	ql_alarm_clear(&transit->alarm, &passenger->due);
	transit->count--;
	free(passenger);
}

/* ---- close ---- */

void
ql_transit_part_closed(void *arg)
{
	struct ql_transit *transit = arg;
	struct ql_passenger *passenger, *next;
	if (--transit->open_parts)
		return;
	DL_FOREACH_SAFE (transit->passengers, passenger, next)
		transit->lost(passenger);
	void (*closed)(void *arg) = transit->closed;
	void *closed_arg = transit->closed_arg;
	free(transit->driver);
	closed(closed_arg);
}

static void
alarm_closed(struct ql_alarm *alarm)
{
	ql_transit_part_closed(QL_OWNER(alarm, struct ql_transit, alarm));
}

void
ql_transit_close(
	struct ql_transit *transit, int others, void *driver, void (*closed)(void *arg), void *arg)
{
	transit->closing = true;
	transit->driver = driver;
	transit->closed = closed;
	transit->closed_arg = arg;
	transit->open_parts = 1 + others;
	ql_alarm_close(&transit->alarm, alarm_closed);
}
