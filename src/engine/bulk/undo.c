/*
 * The set of an undo: what the batch that is taken back took out of the queue, in parts of their own. That is
 * read from its set and, where only a broker took it out, from the records.
 */
#include "engine/bulk/private.h"

#include <string.h>

#include "base/owner.h"

static void read_part(struct bulk_undo *undo);

static void
over(struct bulk_undo *undo, const struct ql_err *err)
{
	ql_bulk_chunk_done(&undo->chunk);
	ql_bulk_chunk_done(&undo->old_chunk);
	undo->done(undo, err);
}

static void
out_of_memory(struct bulk_undo *undo)
{
	struct ql_err err;
	ql_fail(&err, QL_E_UNAVAILABLE, "out of memory for a batch: try again later");
	over(undo, &err);
}

/* ---- the new set ---- */

static int
end_part(struct bulk_undo *undo)
{
	struct ql_bulk_chunk *chunk = &undo->chunk;
	if (!chunk->count)
		return 0;
	struct ql_change *change = ql_bulk_keep_part(undo->head, undo->parts++, chunk);
	chunk->count = 0;
	memset(chunk->said, 0, QL_BULK_CHUNK + 1);
	if (!change)
		return -1;
	LL_APPEND(undo->changes, change);
	return 0;
}

/*
 * Beside a broker a stop is under way first, and has taken the message out of the queue a moment later. Where it has not
 * yet, of what never began, that is waited for.
 */
static bool
was_removed(const struct bulk_undo *undo, enum ql_said said, const struct ql_record *record)
{
	if (said != QL_SAID_STOPPING || !record)
		return said == QL_SAID_REMOVED;
	const struct ql_state *state = &record->state;
	const struct ql_cancel *cancel = &state->cancel;
	bool ours = cancel->requested_at >= undo->old->started_at && record->actor &&
		    !strcmp(record->actor, undo->old->actor);
	if (!ours || ql_state_stopping(state))
		return ours && !state->started_at;
	return cancel->outcome == QL_OUTCOME_REMOVED || cancel->outcome == QL_OUTCOME_DISCARDED;
}

/* The records are in the order of the ids, as far as they exist. */
static int
take_over(struct bulk_undo *undo, const struct ql_record *records, size_t count)
{
	const struct ql_bulk_chunk *old = &undo->old_chunk;
	for (size_t i = 0, at = 0; i < old->count; i++) {
		bool there = at < count && !strcmp(records[at].eval_id, old->ids[i]);
		const struct ql_record *record = there ? &records[at++] : NULL;
		if (!was_removed(undo, ql_bulk_chunk_said(old, i), record))
			continue;
		ql_bulk_chunk_add(&undo->chunk, old->ids[i]);
		undo->head->total++;
		if (undo->chunk.count == QL_BULK_CHUNK && end_part(undo))
			return -1;
	}
	return 0;
}

/* ---- the old one, part by part ---- */

static void
on_records(struct ql_store_read *read, int status)
{
	struct bulk_undo *undo = QL_OWNER(read, struct bulk_undo, read);
	if (status) {
		over(undo, &read->err);
		return;
	}
	bool full = take_over(undo, read->records, read->record_count) != 0;
	ql_store_read_done(read);
	ql_bulk_chunk_done(&undo->old_chunk);
	if (full)
		out_of_memory(undo);
	else
		read_part(undo);
}

static void
on_part(struct ql_store_read *read, int status)
{
	struct bulk_undo *undo = QL_OWNER(read, struct bulk_undo, read);
	struct ql_bulk_chunk *old = &undo->old_chunk;
	struct ql_err err = read->err;
	if (!status && !read->object_count)
		status =
			ql_fail(&err, QL_E_NOT_FOUND, "the set of batch %s is gone", undo->old->id);
	if (!status)
		status = ql_bulk_chunk_parse(read->objects[0].text, old, &err);
	ql_store_read_done(read);
	if (status) {
		over(undo, &err);
		return;
	}
	for (size_t i = 0; i < old->count; i++)
		undo->ids[i] = old->ids[i];
	undo->read = (struct ql_store_read){.kind = QL_READ_NAMED,
		.ids = undo->ids,
		.id_count = old->count,
		.done = on_records};
	ql_engine_read(undo->engine, &undo->read);
}

static void
read_part(struct bulk_undo *undo)
{
	if (undo->part * QL_BULK_CHUNK >= undo->old->total) {
		undo->head->said[QL_SAID_UNASKED] = undo->head->total;
		if (end_part(undo))
			out_of_memory(undo);
		else
			over(undo, NULL);
		return;
	}
	ql_bulk_chunk_id(undo->old->id, undo->part++, undo->part_id);
	undo->read = (struct ql_store_read){.kind = QL_READ_OBJECTS,
		.filter = {.object = QL_OBJECT_CHUNK, .object_id = undo->part_id, .limit = 1},
		.done = on_part};
	ql_engine_read(undo->engine, &undo->read);
}

void
ql_bulk_undo(struct bulk_undo *undo)
{
	if (ql_bulk_chunk_init(&undo->chunk))
		out_of_memory(undo);
	else
		read_part(undo);
}
