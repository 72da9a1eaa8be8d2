/*
 * A batch at work: part by part its items are asked for, a window of them at a time, and each part is
 * kept with what was said when all of it is known.
 */
#include "engine/bulk_private.h"

#include <stdlib.h>
#include <string.h>

#define OWNER(pointer, type, field) ((type *)(void *)((char *)(pointer)-offsetof(type, field)))
#define PARTS_MAX 3 /* in memory: one that ends, one that is asked for, the next one */

struct part {
	struct part *prev, *next;
	struct bulk *bulk;
	struct ql_bulk_chunk chunk;
	int64_t number;
	size_t drawn; /* items that were asked for, or need not be */
	size_t under_way;
	bool changed; /* since it was read */
	struct ql_write write;
};

struct item {
	struct part *part;
	size_t at;
	union {
		struct ql_stop stop;
		struct ql_revise revise;
	};
};

static void work(struct bulk *bulk);

/* ---- over ---- */

static void
bulk_free(struct bulk *bulk)
{
	struct part *part, *next;
	DL_FOREACH_SAFE (bulk->parts, part, next) {
		ql_bulk_chunk_done(&part->chunk);
		free(part);
	}
	ql_wake_clear(bulk->engine, &bulk->retry);
	DL_DELETE(bulk->engine->bulks, bulk);
	ql_bulk_done(&bulk->head);
	free(bulk);
}

struct farewell {
	struct ql_write write;
	struct ql_engine *engine;
	struct ql_bulk head;
};

/* What can't be kept now is found unfinished by the next start, which asks again and keeps it. */
static void
on_farewell(struct ql_write *write, int status)
{
	struct farewell *farewell = OWNER(write, struct farewell, write);
	if (status)
		ql_engine_log(farewell->engine, "the end of batch %s is not kept: %s",
			farewell->head.id, write->err.text);
	ql_bulk_done(&farewell->head);
	free(farewell);
}

static void
keep_end(struct bulk *bulk)
{
	struct ql_bulk *head = &bulk->head;
	struct farewell *farewell = calloc(1, sizeof(*farewell));
	bool whole = !head->said[QL_SAID_UNASKED];
	head->phase = whole ? QL_BULK_DONE : QL_BULK_STOPPED;
	head->finished_at = ql_engine_now(bulk->engine);
	if (!farewell || ql_bulk_copy(&farewell->head, head)) {
		free(farewell);
		return;
	}
	farewell->engine = bulk->engine;
	farewell->write =
		(struct ql_write){.changes = ql_bulk_keep_head(head), .done = on_farewell};
	ql_engine_write(bulk->engine, &farewell->write);
}

/* ---- a part is kept ---- */

static void
drop(struct part *part)
{
	DL_DELETE(part->bulk->parts, part);
	ql_bulk_chunk_done(&part->chunk);
	free(part);
}

static void
on_kept(struct ql_write *write, int status)
{
	struct part *part = OWNER(write, struct part, write);
	struct bulk *bulk = part->bulk;
	bulk->under_way--;
	if (status)
		ql_engine_log(bulk->engine, "part %lld of batch %s is not kept: %s",
			(long long)part->number, bulk->head.id, write->err.text);
	drop(part);
	work(bulk);
}

static void
keep(struct part *part)
{
	struct bulk *bulk = part->bulk;
	struct ql_change *changes = ql_bulk_keep_part(&bulk->head, part->number, &part->chunk);
	if (changes)
		changes->next = ql_bulk_keep_head(&bulk->head);
	part->write = (struct ql_write){.changes = changes, .done = on_kept};
	bulk->under_way++;
	ql_engine_write(bulk->engine, &part->write);
}

/* ---- an item ---- */

static enum ql_said
what_was_said(const struct item *item, int status)
{
	const struct ql_stop *stop = &item->stop;
	if (!status && stop->verdict == QL_VERDICT_ALREADY)
		return QL_SAID_ALREADY;
	if (!status && stop->verdict == QL_VERDICT_JOINED)
		return QL_SAID_JOINED;
	if (!status)
		return stop->record.state.cancel.outcome == QL_OUTCOME_REMOVED ? QL_SAID_REMOVED
									       : QL_SAID_STOPPING;
	if (stop->err.code == QL_E_NOT_FOUND)
		return QL_SAID_UNKNOWN;
	return stop->err.code == QL_E_FINISHED ? QL_SAID_FINISHED : QL_SAID_REFUSED;
}

/* The one that asked for it may be this batch, before a crash. */
static enum ql_said
as_ours(const struct bulk *bulk, const struct item *item, enum ql_said said)
{
	const struct ql_record *record = &item->stop.record;
	const struct ql_cancel *cancel = &record->state.cancel;
	bool ours = cancel->requested_at >= bulk->head.started_at && record->actor &&
		    !strcmp(record->actor, bulk->head.actor);
	if (said == QL_SAID_ALREADY && ours && cancel->outcome == QL_OUTCOME_REMOVED)
		return QL_SAID_REMOVED;
	if ((said == QL_SAID_ALREADY || said == QL_SAID_JOINED) && ours)
		return QL_SAID_STOPPING;
	return said;
}

static bool
is_trouble(const struct ql_err *err)
{
	return err->code == QL_E_UNAVAILABLE || err->code == QL_E_DISK_FULL ||
	       err->code == QL_E_TIMEOUT;
}

static void
on_retry(struct wake *wake)
{
	struct bulk *bulk = OWNER(wake, struct bulk, retry);
	struct part *part;
	bulk->troubled = false;
	DL_FOREACH (bulk->parts, part)
		part->drawn = 0; /* what was said stays; the rest is asked for again */
	work(bulk);
}

static void
rest(struct bulk *bulk)
{
	struct ql_engine *engine = bulk->engine;
	if (bulk->troubled)
		return;
	bulk->troubled = true;
	bulk->retry.fn = on_retry;
	ql_wake_set(engine, &bulk->retry, ql_engine_now(engine) + QL_BULK_RETRY_MS);
}

static void
answered(struct item *item, enum ql_said said, const struct ql_err *err)
{
	struct part *part = item->part;
	struct bulk *bulk = part->bulk;
	part->under_way--;
	bulk->under_way--;
	if (err && is_trouble(err)) {
		rest(bulk);
	} else {
		part->changed = true;
		ql_bulk_chunk_say(&part->chunk, item->at, said);
		bulk->head.said[QL_SAID_UNASKED]--;
		bulk->head.said[said]++;
	}
	free(item);
	work(bulk);
}

static void
on_stopped(struct ql_stop *stop, int status)
{
	struct item *item = OWNER(stop, struct item, stop);
	struct ql_err err = stop->err;
	enum ql_said said = as_ours(item->part->bulk, item, what_was_said(item, status));
	ql_stop_done(stop);
	answered(item, said, status ? &err : NULL);
}

static void
on_restored(struct ql_revise *revise, int status)
{
	struct item *item = OWNER(revise, struct item, revise);
	struct ql_err err = revise->err;
	enum ql_said said = !status                      ? QL_SAID_RESTORED
			    : err.code == QL_E_NOT_FOUND ? QL_SAID_UNKNOWN
							 : QL_SAID_REFUSED;
	ql_revise_done(revise);
	answered(item, said, status ? &err : NULL);
}

static void
ask(struct part *part, size_t at)
{
	struct bulk *bulk = part->bulk;
	const struct ql_bulk *head = &bulk->head;
	struct ql_caller caller = {.actor = head->actor, .owner = head->owner, .all = head->all};
	struct item *item = calloc(1, sizeof(*item));
	if (!item) {
		rest(bulk);
		return;
	}
	item->part = part;
	item->at = at;
	part->under_way++;
	bulk->under_way++;
	if (head->undoes[0]) {
		item->revise = (struct ql_revise){.caller = caller,
			.eval_id = part->chunk.ids[at],
			.kind = QL_REVISE_RESTORE,
			.done = on_restored};
		ql_engine_revise(bulk->engine, &item->revise);
		return;
	}
	item->stop = (struct ql_stop){.caller = caller,
		.eval_id = part->chunk.ids[at],
		.mode = head->mode,
		.top = head->top,
		.cause = QL_CAUSE_USER,
		.grace_ms = head->grace_ms,
		.reason = head->reason,
		.done = on_stopped};
	ql_engine_stop(bulk->engine, &item->stop);
}

/* ---- parts ---- */

/* What was said before a crash counts, once. */
static void
count(struct bulk *bulk, const struct part *part)
{
	for (size_t i = 0; i < part->chunk.count; i++) {
		enum ql_said said = ql_bulk_chunk_said(&part->chunk, i);
		bulk->head.said[QL_SAID_UNASKED] -= said != QL_SAID_UNASKED;
		bulk->head.said[said] += said != QL_SAID_UNASKED;
	}
}

static void
on_read(struct ql_store_read *read, int status)
{
	struct bulk *bulk = OWNER(read, struct bulk, read);
	struct part *part = NULL;
	struct ql_err err = read->err;
	bulk->under_way--;
	bulk->reading = false;
	if (!status && read->object_count && (part = calloc(1, sizeof(*part))) &&
		ql_bulk_chunk_parse(read->objects[0].text, &part->chunk, &err)) {
		free(part);
		part = NULL;
	}
	if (part) {
		part->bulk = bulk;
		part->number = bulk->next_part++;
		DL_APPEND(bulk->parts, part);
		count(bulk, part);
	} else if (!status && !read->object_count) {
		bulk->ending = true; /* somebody took it out of the store */
	} else {
		ql_engine_log(bulk->engine, "a part of batch %s can't be read: %s", bulk->head.id,
			err.text);
		rest(bulk);
	}
	ql_store_read_done(read);
	ql_engine_op_end(bulk->engine);
	work(bulk);
}

static void
read_part(struct bulk *bulk)
{
	struct part *part;
	int parts;
	DL_COUNT(bulk->parts, part, parts);
	bool all = bulk->next_part * QL_BULK_CHUNK >= bulk->head.total;
	if (bulk->reading || bulk->ending || bulk->troubled || all || parts >= PARTS_MAX)
		return;
	ql_bulk_chunk_id(bulk->head.id, bulk->next_part, bulk->part_id);
	bulk->read = (struct ql_store_read){.kind = QL_READ_OBJECTS,
		.filter = {.object = QL_OBJECT_CHUNK, .object_id = bulk->part_id, .limit = 1},
		.done = on_read};
	bulk->reading = true;
	bulk->under_way++;
	ql_engine_op_begin(bulk->engine);
	ql_engine_read(bulk->engine, &bulk->read);
}

/* false: all of it was asked for. */
static bool
draw(struct part *part)
{
	while (part->drawn < part->chunk.count) {
		size_t at = part->drawn++;
		if (ql_bulk_chunk_said(&part->chunk, at) != QL_SAID_UNASKED)
			continue;
		ask(part, at);
		return true;
	}
	return false;
}

static void
draw_some(struct bulk *bulk)
{
	struct part *part = bulk->parts;
	while (part && !bulk->ending && !bulk->troubled && bulk->under_way < QL_BULK_WINDOW) {
		if (!draw(part))
			part = part->next;
	}
}

static bool
is_known(const struct part *part)
{
	return !part->under_way && !part->write.done &&
	       (part->bulk->ending || !memchr(part->chunk.said, '-', part->chunk.count));
}

static void
work(struct bulk *bulk)
{
	struct part *part, *next;
	bulk->ending = bulk->ending || bulk->engine->stopping;
	read_part(bulk);
	draw_some(bulk);
	DL_FOREACH_SAFE (bulk->parts, part, next) {
		if (!is_known(part))
			continue;
		if (part->changed)
			keep(part);
		else
			drop(part);
	}
	bool all = bulk->next_part * QL_BULK_CHUNK >= bulk->head.total;
	if (bulk->under_way || (bulk->troubled && !bulk->ending) || !(all || bulk->ending))
		return;
	if (!bulk->engine->stopping)
		keep_end(bulk);
	bulk_free(bulk);
}

/* ---- begin and end ---- */

int
ql_bulk_begin(struct ql_engine *engine, struct ql_bulk *head, struct ql_err *e)
{
	struct bulk *bulk = calloc(1, sizeof(*bulk));
	if (!bulk)
		return ql_fail(e, QL_E_UNAVAILABLE, "out of memory for a batch: try again later");
	bulk->engine = engine;
	bulk->head = *head;
	*head = (struct ql_bulk){0};
	memset(bulk->head.said, 0, sizeof(bulk->head.said));
	bulk->head.said[QL_SAID_UNASKED] = bulk->head.total;
	DL_APPEND(engine->bulks, bulk);
	work(bulk);
	return 0;
}

void
ql_bulk_end(struct bulk *bulk)
{
	bulk->ending = true;
	work(bulk);
}

void
ql_bulks_free(struct ql_engine *engine)
{
	struct bulk *bulk, *next;
	DL_FOREACH_SAFE (engine->bulks, bulk, next)
		bulk_free(bulk);
	free(engine->bulk_sweep);
}
