#include "broker/celery/control/tombstone.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

size_t
ql_tombstones_count(const struct ql_tombstones *tombstones)
{
	return HASH_COUNT(tombstones->by_id);
}

struct ql_buried *
ql_tombstones_find(const struct ql_tombstones *tombstones, const char *task_id)
{
	struct ql_buried *buried;
	HASH_FIND_STR(tombstones->by_id, task_id, buried);
	return buried;
}

static bool
is_utf8(const char *text)
{
	json_t *value = json_string(text);
	json_decref(value);
	return value != NULL;
}

static int
set_eta(struct ql_tombstones *tombstones, struct ql_buried *buried, int64_t eta)
{
	if (eta > 0)
		return ql_heap_set(&tombstones->etas, &buried->eta, eta);
	ql_heap_remove(&tombstones->etas, &buried->eta);
	return 0;
}

/* Whoever was told so far is told again, with all others. */
static void
renew(struct ql_tombstones *tombstones, struct ql_buried *buried)
{
	buried->tentative = false;
	buried->told_at = 0;
	buried->turn = ++tombstones->turns;
	DL_DELETE(tombstones->order, buried);
	DL_APPEND(tombstones->order, buried);
}

int
ql_tombstones_lay(
	struct ql_tombstones *tombstones, const struct ql_tombstone *tombstone, struct ql_err *e)
{
	struct ql_buried *buried = ql_tombstones_find(tombstones, tombstone->task_id);
	size_t len = strlen(tombstone->task_id);
	if (buried && buried->tentative && !tombstone->tentative)
		renew(tombstones, buried);
	if (buried && !tombstone->eta)
		return 0;
	if (buried)
		return set_eta(tombstones, buried, tombstone->eta)
			       ? ql_fail(e, QL_E_SYSTEM, "out of memory for a tombstone")
			       : 0;
	if (!len || len > QL_TASK_ID_MAX || !is_utf8(tombstone->task_id))
		return ql_fail(e, QL_E_INVALID, "a task id has 1 to %d bytes, and is UTF-8",
			QL_TASK_ID_MAX);
	if (ql_tombstones_count(tombstones) >= QL_BROKER_TOMBSTONES_MAX)
		return ql_fail(e, QL_E_LIMIT,
			"%d tombstones are told to workers already, and no more: one goes when its "
			"task is settled",
			QL_BROKER_TOMBSTONES_MAX);
	buried = calloc(1, sizeof(*buried) + len + 1);
	if (!buried || set_eta(tombstones, buried, tombstone->eta)) {
		free(buried);
		return ql_fail(e, QL_E_SYSTEM, "out of memory for a tombstone");
	}
	memcpy(buried->task_id, tombstone->task_id, len);
	buried->tentative = tombstone->tentative;
	buried->turn = ++tombstones->turns;
	HASH_ADD_STR(tombstones->by_id, task_id, buried);
	DL_APPEND(tombstones->order, buried);
	return 0;
}

void
ql_tombstones_lift(struct ql_tombstones *tombstones, struct ql_buried *buried)
{
	ql_heap_remove(&tombstones->etas, &buried->eta);
	HASH_DEL(tombstones->by_id, buried);
	DL_DELETE(tombstones->order, buried);
	free(buried);
}

struct ql_buried *
ql_tombstones_since(const struct ql_tombstones *tombstones, uint64_t turn, size_t max)
{
	struct ql_buried *first = tombstones->order;
	struct ql_buried *buried = first ? first->prev : NULL;
	if (!buried || buried->turn < turn || !max)
		return NULL;
	while (--max && buried != first && buried->prev->turn >= turn)
		buried = buried->prev;
	return buried;
}

void
ql_tombstones_done(struct ql_tombstones *tombstones)
{
	struct ql_buried *buried, *next;
	HASH_CLEAR(hh, tombstones->by_id);
	DL_FOREACH_SAFE (tombstones->order, buried, next)
		free(buried);
	ql_heap_done(&tombstones->etas);
	*tombstones = (struct ql_tombstones){0};
}
