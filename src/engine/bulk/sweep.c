/*
 * After a start, and now and then: batches that were at work go on; previews that nobody executed, the
 * oldest that are over, and parts without a head go.
 */
#include "engine/bulk/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"

#define SWEEP_MS 60000
#define HEADS_MAX (2 * QL_BULK_KEPT)

struct bulk_sweep {
	struct ql_engine *engine;
	struct wake wake;
	struct ql_store_read read;
	struct ql_write write;
	bool began; /* those at work went on */
};

static void
again(struct bulk_sweep *sweep)
{
	struct ql_engine *engine = sweep->engine;
	if (!engine->closing)
		ql_wake_set(engine, &sweep->wake, ql_engine_now(engine) + SWEEP_MS);
}

static void
on_dropped(struct ql_write *write, int status)
{
	struct bulk_sweep *sweep = QL_OWNER(write, struct bulk_sweep, write);
	if (status)
		ql_engine_log(sweep->engine, "old batches are not dropped: %s", write->err.text);
	again(sweep);
}

static void
drop(struct ql_change **changes, const struct ql_bulk *head)
{
	char id[QL_BULK_CHUNK_ID];
	struct ql_change *change = ql_change_drop(QL_OBJECT_BATCH, head->id);
	if (change)
		LL_APPEND(*changes, change);
	for (int64_t part = 0; part * QL_BULK_CHUNK < head->total; part++) {
		ql_bulk_chunk_id(head->id, part, id);
		if ((change = ql_change_drop(QL_OBJECT_CHUNK, id)))
			LL_APPEND(*changes, change);
	}
}

static void
go_on(struct bulk_sweep *sweep, struct ql_bulk *head)
{
	struct ql_err err;
	ql_engine_log(sweep->engine, "batch %s goes on", head->id);
	if (ql_bulk_begin(sweep->engine, head, &err))
		ql_engine_log(
			sweep->engine, "batch %s waits for the next start: %s", head->id, err.text);
}

/* The heads come oldest first; `over` of them may be too many. */
static bool
is_old(const struct bulk_sweep *sweep, const struct ql_bulk *head, size_t surplus)
{
	bool expired = head->expires_at && head->expires_at <= ql_engine_now(sweep->engine);
	if (head->phase == QL_BULK_PREVIEW)
		return expired;
	return surplus && ql_bulk_phase_ends(head->phase);
}

static void
on_heads(struct ql_store_read *read, int status)
{
	struct bulk_sweep *sweep = QL_OWNER(read, struct bulk_sweep, read);
	struct ql_engine *engine = sweep->engine;
	struct ql_change *changes = NULL;
	size_t kept = read->object_count;
	struct ql_err err;
	for (size_t i = 0; !status && i < read->object_count; i++) {
		struct ql_bulk head;
		if (ql_bulk_parse(read->objects[i].text, &head, &err)) {
			ql_engine_log(engine, "%s", err.text);
			continue;
		}
		size_t surplus = kept > QL_BULK_KEPT ? kept - QL_BULK_KEPT : 0;
		if (is_old(sweep, &head, surplus)) {
			drop(&changes, &head);
			kept--;
		} else if (head.phase == QL_BULK_RUNNING && !sweep->began) {
			go_on(sweep, &head);
		}
		ql_bulk_done(&head);
	}
	sweep->began = sweep->began || !status;
	ql_store_read_done(read);
	ql_engine_op_end(engine);
	if (!changes) {
		again(sweep);
		return;
	}
	sweep->write = (struct ql_write){.changes = changes, .done = on_dropped};
	ql_engine_write(engine, &sweep->write);
}

static void
on_wake(struct wake *wake)
{
	struct bulk_sweep *sweep = QL_OWNER(wake, struct bulk_sweep, wake);
	sweep->read = (struct ql_store_read){.kind = QL_READ_OBJECTS,
		.filter = {.object = QL_OBJECT_BATCH, .limit = HEADS_MAX},
		.done = on_heads};
	ql_engine_op_begin(sweep->engine);
	ql_engine_read(sweep->engine, &sweep->read);
}

void
ql_bulks_start(struct ql_engine *engine)
{
	struct bulk_sweep *sweep = calloc(1, sizeof(*sweep));
	if (!sweep) {
		ql_engine_log(engine, "out of memory: batches go on at the next start");
		return;
	}
	sweep->engine = engine;
	sweep->wake.fn = on_wake;
	engine->bulk_sweep = sweep;
	on_wake(&sweep->wake);
}

void
ql_bulks_stop(struct ql_engine *engine)
{
	if (engine->bulk_sweep)
		ql_wake_clear(engine, &engine->bulk_sweep->wake);
}
