/*
 * The tombstones that workers are told of: by id, in the order in which they were laid, and by the time before
 * which they have to be told again. One takes about 160 bytes with an id of 36. Pure.
 */
#ifndef QL_BROKER_CELERY_CONTROL_TOMBSTONE_H
#define QL_BROKER_CELERY_CONTROL_TOMBSTONE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "base/err.h"
#include "base/heap.h"
#include "broker/broker.h"

struct ql_buried {
	UT_hash_handle hh;
	struct ql_buried *prev, *next;
	struct ql_heap_node eta; /* in the heap while its eta is known and to come; unix ms */
	uint64_t turn; /* the number of its laying, from 1 */
	int64_t told_at; /* unix ms of the last broadcast with it; 0 = none yet */
	bool tentative;
	char task_id[];
};

struct ql_tombstones {
	struct ql_buried *by_id;
	struct ql_buried *order; /* the first that was laid; its prev is the last */
	struct ql_heap etas;
	uint64_t turns; /* the last that was given */
};

/* One that is there already gets the new eta, if any; a tentative one that is so no more is laid anew. -1: no memory, over the bound, or an id that is none. */
int ql_tombstones_lay(
	struct ql_tombstones *tombstones, const struct ql_tombstone *tombstone, struct ql_err *e);

struct ql_buried *ql_tombstones_find(const struct ql_tombstones *tombstones, const char *task_id);

void ql_tombstones_lift(struct ql_tombstones *tombstones, struct ql_buried *buried);

/* The earliest of the last `max` that was laid in this turn or later, or NULL. The next ones follow by ->next. */
struct ql_buried *
ql_tombstones_since(const struct ql_tombstones *tombstones, uint64_t turn, size_t max);

size_t ql_tombstones_count(const struct ql_tombstones *tombstones);

void ql_tombstones_done(struct ql_tombstones *tombstones);

#endif
