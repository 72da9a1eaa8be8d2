/* The outbox's letters: read out of the store while there is room for them, and removed from it once delivered. */
#include "engine/outboxing.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"

void
ql_parcel_free(struct parcel *parcel)
{
	struct outbox *outbox = parcel->outbox;
	DL_DELETE(outbox->parcels, parcel);
	outbox->count--;
	ql_letter_done(&parcel->letter);
	free(parcel);
}

/* ---- from the store ---- */

static void
queue_up(struct outbox *outbox, struct parcel *parcel)
{
	struct parcel *last;
	HASH_FIND_STR(outbox->lasts, parcel->letter.eval_id, last);
	if (last) {
		HASH_DEL(outbox->lasts, last);
		last->then = parcel;
		parcel->after = last;
	}
	HASH_ADD_KEYPTR(
		hh, outbox->lasts, parcel->letter.eval_id, strlen(parcel->letter.eval_id), parcel);
}

/* Takes the letter. */
static int
add_parcel(struct outbox *outbox, struct ql_letter *letter)
{
	struct parcel *parcel = calloc(1, sizeof(*parcel));
	if (!parcel)
		return -1;
	parcel->outbox = outbox;
	parcel->letter = *letter;
	*letter = (struct ql_letter){0};
	queue_up(outbox, parcel);
	DL_APPEND(outbox->parcels, parcel);
	outbox->count++;
	outbox->cursor = parcel->letter.number;
	return 0;
}

/* Exact again, where all that there is was read and nothing of what failed is open any more. */
static void
count_again(struct outbox *outbox)
{
	struct ql_engine *engine = outbox->engine;
	struct ql_live *live, *next;
	bool open = outbox->more || ql_batch_under_way(engine);
	HASH_ITER (hh, engine->lives, live, next)
		open |= live->stale;
	outbox->doubt = open;
	if (!open) {
		outbox->backlog = (int64_t)outbox->count;
		return;
	}
	outbox->more = true;
	outbox->read_at = ql_engine_now(engine) + QL_ENGINE_RETRY_MS;
}

static void
on_read(struct ql_store_read *read, int status)
{
	struct outbox *outbox = QL_OWNER(read, struct outbox, read);
	struct ql_engine *engine = outbox->engine;
	bool cut = status || read->letter_count == (size_t)read->filter.limit;
	outbox->reading = false;
	for (size_t i = 0; !status && i < read->letter_count; i++)
		status = add_parcel(outbox, &read->letters[i]);
	if (status)
		outbox->read_at = ql_engine_now(engine) + QL_ENGINE_RETRY_MS;
	outbox->more |= cut || status;
	if (outbox->doubt)
		count_again(outbox);
	ql_store_read_done(read);
	ql_outbox_pump(outbox);
	ql_engine_op_end(engine);
}

void
ql_parcels_read(struct outbox *outbox, int64_t now)
{
	struct ql_engine *engine = outbox->engine;
	if (outbox->reading || !outbox->more || outbox->count > QL_ENGINE_LETTERS_MAX / 2 ||
		now < outbox->read_at)
		return;
	outbox->reading = true;
	outbox->more = false;
	outbox->read = (struct ql_store_read){.kind = QL_READ_OUTBOX,
		.filter = {.outlet = outbox->kind,
			.cursor = outbox->cursor,
			.limit = (int32_t)(QL_ENGINE_LETTERS_MAX - outbox->count)},
		.done = on_read};
	ql_engine_op_begin(engine);
	ql_engine_read(engine, &outbox->read);
}

/* ---- out of the store ---- */

/* Those of the commit that failed are delivered and still there. */
static void
take_back(struct outbox *outbox)
{
	struct parcel *parcel;
	DL_FOREACH (outbox->parcels, parcel) {
		if (parcel->stage == STAGE_REMOVING)
			parcel->stage = STAGE_DELIVERED;
	}
	outbox->delivered += outbox->removing;
	outbox->removing = 0;
	outbox->remove_at = ql_engine_now(outbox->engine) + QL_ENGINE_RETRY_MS;
}

static void
on_removed(struct decided *decided, const struct ql_err *err)
{
	struct outbox *outbox = decided->arg;
	struct parcel *parcel, *next;
	if (err) {
		take_back(outbox);
		if (!outbox->engine->closing)
			ql_outbox_pump(outbox);
		return;
	}
	outbox->backlog -= (int64_t)outbox->removing;
	outbox->removing = 0;
	DL_FOREACH_SAFE (outbox->parcels, parcel, next) {
		if (parcel->stage == STAGE_REMOVING)
			ql_parcel_free(parcel);
	}
	ql_outbox_pump(outbox);
}

/* One change for those that follow each other: all of the outlet's letters up to its cursor are in memory, or gone. */
static struct ql_change *
removals(struct outbox *outbox)
{
	struct ql_change *changes = NULL, *change = NULL;
	struct parcel *parcel;
	DL_FOREACH (outbox->parcels, parcel) {
		if (parcel->stage != STAGE_DELIVERED) {
			change = NULL;
			continue;
		}
		if (!change) {
			change = ql_change_new(QL_CHANGE_DELIVERED);
			if (!change)
				break;
			change->outlet = outbox->kind;
			change->letter = parcel->letter.number;
			LL_PREPEND(changes, change);
		}
		change->letter_last = parcel->letter.number;
		parcel->stage = STAGE_REMOVING;
		outbox->delivered--;
		outbox->removing++;
	}
	return changes;
}

void
ql_parcels_remove(struct outbox *outbox, int64_t now)
{
	struct ql_engine *engine = outbox->engine;
	bool many = engine->store_ok && outbox->delivered >= QL_ENGINE_LETTERS_MAX / 4;
	bool soon = engine->closing || many || now >= outbox->remove_at;
	if (!outbox->delivered || outbox->removing || !soon)
		return;
	outbox->remove_at = now + QL_ENGINE_REMOVE_MS;
	struct ql_change *changes = removals(outbox);
	struct decided *decided = changes ? ql_batch_add(engine, changes) : NULL;
	if (decided) {
		decided->done = on_removed;
		decided->arg = outbox;
		return;
	}
	ql_changes_free(changes);
	take_back(outbox);
}
