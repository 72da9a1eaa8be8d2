/*
 * A batch at work: part by part its items are asked for, a window of them at a time, and each part is
 * kept with what was said when all of it is known.
 */
#include "engine/bulk/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"

#define PARTS_MAX (3 + QL_BULK_LOOKED_FOR / QL_BULK_CHUNK) /* in memory, */
#define PARTS_AHEAD 2 /* of which not all is asked for: one that is, and the next one */

/* ---- over ---- */

static void
bulk_free(struct bulk *bulk)
{
	struct bulk_part *part, *next;
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
	struct farewell *farewell = QL_OWNER(write, struct farewell, write);
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
drop(struct bulk_part *part)
{
	DL_DELETE(part->bulk->parts, part);
	ql_bulk_chunk_done(&part->chunk);
	free(part);
}

static void
on_kept(struct ql_write *write, int status)
{
	struct bulk_part *part = QL_OWNER(write, struct bulk_part, write);
	struct bulk *bulk = part->bulk;
	bulk->under_way--;
	if (status)
		ql_engine_log(bulk->engine, "part %lld of batch %s is not kept: %s",
			(long long)part->number, bulk->head.id, write->err.text);
	if (status && !bulk->ending) {
		part->write = (struct ql_write){0};
		ql_bulk_rest(bulk);
	} else {
		drop(part);
	}
	ql_bulk_work(bulk);
}

static void
keep(struct bulk_part *part)
{
	struct bulk *bulk = part->bulk;
	struct ql_change *changes = ql_bulk_keep_part(&bulk->head, part->number, &part->chunk);
	if (changes)
		changes->next = ql_bulk_keep_head(&bulk->head);
	part->write = (struct ql_write){.changes = changes, .done = on_kept};
	bulk->under_way++;
	ql_engine_write(bulk->engine, &part->write);
}

/* ---- trouble, and no room ---- */

/* What was said stays; the rest is asked for again. */
static void
on_retry(struct wake *wake)
{
	struct bulk *bulk = QL_OWNER(wake, struct bulk, retry);
	struct bulk_part *part;
	bulk->troubled = false;
	DL_FOREACH (bulk->parts, part)
		part->drawn = part->put_off = 0;
	ql_bulk_work(bulk);
}

void
ql_bulk_rest(struct bulk *bulk)
{
	struct ql_engine *engine = bulk->engine;
	if (bulk->troubled)
		return;
	bulk->troubled = true;
	bulk->retry.fn = on_retry;
	ql_wake_set(engine, &bulk->retry, ql_engine_now(engine) + QL_BULK_RETRY_MS);
}

static void
on_room(struct later *later)
{
	struct bulk *bulk = QL_OWNER(later, struct bulk, room);
	bulk->room_told = false;
	bulk->under_way--;
	ql_bulk_work(bulk);
}

void
ql_bulks_room(struct ql_engine *engine)
{
	struct bulk *bulk;
	DL_FOREACH (engine->bulks, bulk) {
		if (bulk->room_told || (!bulk->again && !engine->config.broker))
			continue;
		bulk->room_told = true;
		bulk->under_way++;
		bulk->room.fn = on_room;
		ql_later(engine, &bulk->room);
	}
}

/* What all batches may have, shared. */
static size_t
share(const struct bulk *bulk, size_t most)
{
	const struct bulk *other;
	size_t running;
	DL_COUNT(bulk->engine->bulks, other, running);
	return most / running;
}

/* How many may be under way. */
static size_t
window(const struct bulk *bulk)
{
	const struct ql_engine *engine = bulk->engine;
	size_t most = share(bulk, engine->config.broker ? QL_BULK_WINDOW_BROKER : QL_BULK_WINDOW);
	size_t room = bulk->again ? ql_stop_room(engine, bulk->head.mode) : most;
	if (engine->removals >= QL_BULK_REMOVALS)
		return 0;
	return room < most ? room : most;
}

/* ---- parts ---- */

/* What was said before a crash counts, once. */
static void
count(struct bulk *bulk, const struct bulk_part *part)
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
	struct bulk *bulk = QL_OWNER(read, struct bulk, read);
	struct bulk_part *part = NULL;
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
		if (!bulk->again)
			count(bulk, part);
	} else if (!status && !read->object_count) {
		bulk->ending = true; /* somebody took it out of the store */
	} else {
		ql_engine_log(bulk->engine, "a part of batch %s can't be read: %s", bulk->head.id,
			err.text);
		ql_bulk_rest(bulk);
	}
	ql_store_read_done(read);
	ql_engine_op_end(bulk->engine);
	ql_bulk_work(bulk);
}

static bool
is_through(const struct bulk *bulk)
{
	return bulk->next_part * QL_BULK_CHUNK >= bulk->head.total;
}

static bool
is_room_for_part(const struct bulk *bulk)
{
	const struct bulk_part *part;
	int parts = 0, ahead = 0;
	DL_FOREACH (bulk->parts, part) {
		parts++;
		ahead += part->drawn < part->chunk.count;
	}
	return parts < PARTS_MAX && ahead < PARTS_AHEAD;
}

static void
read_part(struct bulk *bulk)
{
	if (bulk->reading || bulk->ending || bulk->troubled || is_through(bulk) ||
		!is_room_for_part(bulk) || !window(bulk))
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
draw(struct bulk_part *part)
{
	while (part->drawn < part->chunk.count) {
		size_t at = part->drawn++;
		if (part->asked[at] || ql_bulk_chunk_said(&part->chunk, at) != QL_SAID_UNASKED)
			continue;
		ql_bulk_item_ask(part, at);
		return true;
	}
	return false;
}

static void
draw_some(struct bulk *bulk)
{
	struct bulk_part *part = bulk->parts;
	size_t most = window(bulk), looked_for = share(bulk, QL_BULK_LOOKED_FOR);
	while (part && !bulk->ending && !bulk->troubled && bulk->looked_for < looked_for &&
		bulk->under_way - bulk->looked_for < most) {
		if (!draw(part))
			part = part->next;
	}
}

/* Nothing more will be said of it on this way through the set. */
static bool
is_known(const struct bulk_part *part)
{
	const struct bulk *bulk = part->bulk;
	if (part->under_way || part->write.done)
		return false;
	return bulk->ending || (!bulk->troubled && part->drawn == part->chunk.count);
}

/* What was put off is asked for on another way through. */
static bool
goes_again(struct bulk *bulk)
{
	if (!bulk->put_off || bulk->ending)
		return false;
	bulk->put_off = false;
	bulk->again = true;
	bulk->next_part = 0;
	return true;
}

static void
finish(struct bulk *bulk)
{
	if (!bulk->engine->stopping)
		keep_end(bulk);
	bulk_free(bulk);
}

void
ql_bulk_work(struct bulk *bulk)
{
	struct bulk_part *part, *next;
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
	if (bulk->under_way || (bulk->troubled && !bulk->ending))
		return;
	if (!bulk->ending && (bulk->parts || !is_through(bulk)))
		return;
	if (goes_again(bulk))
		read_part(bulk);
	else
		finish(bulk);
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
	ql_bulk_work(bulk);
	return 0;
}

void
ql_bulk_end(struct bulk *bulk)
{
	bulk->ending = true;
	ql_bulk_work(bulk);
}

void
ql_bulks_free(struct ql_engine *engine)
{
	struct bulk *bulk, *next;
	DL_FOREACH_SAFE (engine->bulks, bulk, next)
		bulk_free(bulk);
	free(engine->bulk_sweep);
}
