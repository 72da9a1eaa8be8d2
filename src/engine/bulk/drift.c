/*
 * What has changed since a preview: of its frozen set, how many are selected no more; and how many are
 * selected now that are not in it.
 */
#include "engine/bulk/private.h"

#include <string.h>

#include "base/owner.h"
#include "rules/selector.h"

static void read_part(struct bulk_drift *drift);

static void
over(struct bulk_drift *drift, const struct ql_err *err)
{
	ql_selector_done(&drift->selector);
	ql_bulk_chunk_done(&drift->chunk);
	drift->done(drift, err);
}

static void
on_count(struct ql_store_read *read, int status)
{
	struct bulk_drift *drift = QL_OWNER(read, struct bulk_drift, read);
	int64_t now = 0;
	if (status) {
		over(drift, &read->err);
		return;
	}
	for (int i = 0; i < QL_STATUS_COUNT; i++)
		now += read->counts[i];
	ql_store_read_done(read);
	drift->head->left = drift->head->total - drift->still;
	drift->head->joined = now > drift->still ? now - drift->still : 0;
	over(drift, NULL);
}

static void
count_now(struct bulk_drift *drift)
{
	drift->read = (struct ql_store_read){.kind = QL_READ_COUNT, .done = on_count};
	ql_bulk_filter(drift->engine, drift->head, &drift->selector, &drift->read.filter);
	ql_engine_read(drift->engine, &drift->read);
}

static void
on_named(struct ql_store_read *read, int status)
{
	struct bulk_drift *drift = QL_OWNER(read, struct bulk_drift, read);
	int64_t now = ql_engine_now(drift->engine);
	if (status) {
		over(drift, &read->err);
		return;
	}
	for (size_t i = 0; i < read->record_count; i++) {
		const struct ql_record *record = &read->records[i];
		bool settled = ql_status_settled((enum ql_status)record->state.status);
		drift->still += !settled && ql_selector_match(&drift->selector, record, now);
	}
	ql_store_read_done(read);
	ql_bulk_chunk_done(&drift->chunk);
	read_part(drift);
}

static void
on_part(struct ql_store_read *read, int status)
{
	struct bulk_drift *drift = QL_OWNER(read, struct bulk_drift, read);
	struct ql_err err = read->err;
	if (!status && !read->object_count)
		status = ql_fail(&err, QL_E_NOT_FOUND, "the preview's set is gone: make another");
	if (!status)
		status = ql_bulk_chunk_parse(read->objects[0].text, &drift->chunk, &err);
	ql_store_read_done(read);
	if (status) {
		over(drift, &err);
		return;
	}
	for (size_t i = 0; i < drift->chunk.count; i++)
		drift->ids[i] = drift->chunk.ids[i];
	drift->read = (struct ql_store_read){.kind = QL_READ_NAMED,
		.ids = drift->ids,
		.id_count = drift->chunk.count,
		.done = on_named};
	ql_engine_read(drift->engine, &drift->read);
}

static void
read_part(struct bulk_drift *drift)
{
	if (drift->part * QL_BULK_CHUNK >= drift->head->total) {
		count_now(drift);
		return;
	}
	ql_bulk_chunk_id(drift->head->id, drift->part++, drift->part_id);
	drift->read = (struct ql_store_read){.kind = QL_READ_OBJECTS,
		.filter = {.object = QL_OBJECT_CHUNK, .object_id = drift->part_id, .limit = 1},
		.done = on_part};
	ql_engine_read(drift->engine, &drift->read);
}

void
ql_bulk_drift(struct bulk_drift *drift)
{
	struct ql_err err;
	size_t at;
	if (ql_selector_parse(drift->head->selector, &drift->selector, &at, &err))
		over(drift, &err);
	else
		read_part(drift);
}
