/*
 * What the faulty drivers of this folder share: passengers on their way between the driver's caller and the one that
 * it wraps, each due at a time of its own, and the dice by which a seed decides whom a fault strikes.
 *
 * Order of calls: ql_transit_init -> ql_transit_add, ql_transit_send, ql_transit_free -> ql_transit_close, and
 * ql_transit_part_closed for each other part.
 */
#ifndef QL_RUNTIME_FAKE_TRANSIT_H
#define QL_RUNTIME_FAKE_TRANSIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/alarm.h"

/* The first member of whatever a driver sends; its memory is the driver's. */
struct ql_passenger {
	struct ql_passenger *prev, *next;
	struct ql_transit *transit;
	struct ql_heap_node due;
};

struct ql_transit {
	size_t max; /* passengers on their way at once */
	const int64_t *delay_ms; /* of the driver's faults, which may change any time */
	int64_t *hurt; /* counts the faults that struck */
	void (*arrived)(struct ql_passenger *passenger);
	void (*lost)(struct ql_passenger *passenger); /* on closing: frees it by ql_transit_free */

	struct ql_alarm alarm;
	struct ql_passenger *passengers;
	size_t count;
	uint64_t random;
	int open_parts;
	bool closing;
	void *driver;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* The fields above the gap are the caller's to fill, before. seed 0 counts as 1. -1 only when out of memory. */
int ql_transit_init(struct ql_transit *transit, uv_loop_t *loop, uint64_t seed);

/* Whether a fault of that chance out of 1000 strikes this time. */
bool ql_transit_strikes(struct ql_transit *transit, int chance);

/* Of size bytes, zeroed. NULL: too many are on their way, or out of memory. */
void *ql_transit_add(struct ql_transit *transit, size_t size);

/* It arrives after a delay of its own: never at once, so that nothing reaches anyone from within a call. */
void ql_transit_send(struct ql_passenger *passenger);

void ql_transit_free(struct ql_passenger *passenger);

/* Nothing arrives from here on. Once so many other parts have closed too, frees the driver, and calls closed. */
void ql_transit_close(
	struct ql_transit *transit, int others, void *driver, void (*closed)(void *arg), void *arg);

/* arg: the transit. */
void ql_transit_part_closed(void *arg);

#endif
