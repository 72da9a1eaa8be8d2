/* GET /api/batches, /api/batches/{batch_id} and its items; and how a batch is shown. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "engine/bulk/bulk.h"
#include "http/api/batches.h"
#include "http/bounds.h"
#include "http/inside.h"
#include "http/look.h"
#include "http/route.h"

/* ---- how it is shown ---- */

/* A rung's member in `would`: what it would have come to. */
static const char *
would_word(enum ql_rung rung)
{
	switch (rung) {
	case QL_RUNG_NONE:
		return "nothing";
	case QL_RUNG_REMOVE:
		return ql_outcome_word(QL_OUTCOME_REMOVED);
	case QL_RUNG_NOTICE:
		return "noticed";
	case QL_RUNG_TERMINATE:
		return ql_outcome_word(QL_OUTCOME_TERMINATED);
	case QL_RUNG_KILL:
		return ql_outcome_word(QL_OUTCOME_KILLED);
	default:
		return NULL; /* no stop begins with it */
	}
}

static void
put_would(struct ql_json *json, const struct ql_bulk *head)
{
	int64_t known = 0;
	ql_json_open(json, "would", '{');
	for (int rung = 0; rung < QL_RUNG_COUNT; rung++) {
		const char *word = would_word((enum ql_rung)rung);
		known += head->would[rung];
		if (word)
			ql_json_int(json, word, head->would[rung]);
	}
	/* an undo stops nobody: nothing was asked of what would happen */
	ql_json_int(json, "not_found", head->undoes[0] ? 0 : head->total - known);
	ql_json_close(json, '}');
}

static void
put_progress(struct ql_json *json, const struct ql_bulk *head)
{
	ql_json_open(json, "progress", '{');
	ql_json_int(json, "total", head->total);
	ql_json_int(json, "asked", head->total - head->said[QL_SAID_UNASKED]);
	for (int said = QL_SAID_UNASKED + 1; said < QL_SAID_COUNT; said++)
		ql_json_int(json, ql_said_word((enum ql_said)said), head->said[said]);
	ql_json_close(json, '}');
}

static void
put_drift(struct ql_json *json, const struct ql_bulk *head)
{
	ql_json_open(json, "drift", '{');
	ql_json_int(json, "left", head->left);
	ql_json_int(json, "joined", head->joined);
	ql_json_close(json, '}');
}

void
ql_render_batch_members(struct ql_json *json, const struct ql_bulk *head)
{
	bool restores = head->undoes[0];
	ql_json_text(json, "batch_id", head->id);
	ql_json_text(json, "phase", ql_bulk_phase_word(head->phase));
	ql_json_text(json, "mode", restores ? "restore" : ql_mode_word(head->mode));
	ql_json_text(json, "escalate", head->top ? ql_rung_word(head->top) : NULL);
	if (restores || head->grace_ms < 0)
		ql_json_null(json, "grace_ms");
	else
		ql_json_int(json, "grace_ms", head->grace_ms);
	ql_json_text(json, "selector", head->selector);
	ql_json_text(json, "actor", head->actor);
	ql_json_text(json, "owner", head->owner);
	ql_json_text(json, "reason", head->reason);
	ql_json_time(json, "created_at", head->created_at);
	ql_json_time(json, "started_at", head->started_at);
	ql_json_time(json, "finished_at", head->finished_at);
	ql_json_time(json, "expires_at", head->expires_at);
	ql_json_text(json, "undoes", restores ? head->undoes : NULL);
	ql_json_text(json, "undone_by", head->undone_by[0] ? head->undone_by : NULL);
	ql_json_int(json, "total", head->total);
	put_would(json, head);
	put_progress(json, head);
	put_drift(json, head);
}

/* ---- one ---- */

bool
ql_is_callers_batch(const struct ql_request *req, const struct ql_bulk *head)
{
	const struct ql_caller *caller = &req->caller;
	return caller->all || (caller->owner && head->owner && !strcmp(caller->owner, head->owner));
}

static void
on_head(struct ql_store_read *read, int status)
{
	struct ql_look_batch *look = QL_OWNER(read, struct ql_look_batch, read);
	struct ql_err err = read->err;
	bool there = !status && read->object_count;
	if (there)
		status = ql_bulk_parse(read->objects[0].text, &look->head, &err);
	ql_store_read_done(read);
	if (!status && (!there || !ql_is_callers_batch(look->req, &look->head)))
		status = ql_fail(&err, QL_E_NOT_FOUND, "there is no batch %.64s", look->id);
	if (status)
		ql_reply_err(look->req, &err);
	else
		look->found(look);
}

void
ql_look_batch(struct ql_look_batch *look, struct ql_request *req, const char *id,
	void (*found)(struct ql_look_batch *look))
{
	look->req = req;
	look->id = id;
	look->found = found;
	look->read = (struct ql_store_read){.kind = QL_READ_OBJECTS,
		.filter = {.object = QL_OBJECT_BATCH, .object_id = id, .limit = 1},
		.done = on_head};
	ql_engine_read(req->server->config.engine, &look->read);
}

void
ql_look_batch_done(struct ql_look_batch *look)
{
	ql_store_read_done(&look->read);
	ql_bulk_done(&look->head);
}

static void
drop_look(void *state)
{
	ql_look_batch_done(state);
}

static void
reply_one(struct ql_look_batch *look)
{
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	ql_render_batch_members(&json, &look->head);
	ql_json_close(&json, '}');
	ql_reply_json(look->req, MHD_HTTP_OK, &json);
}

void
ql_serve_bulk(struct ql_request *req)
{
	struct ql_look_batch *look = ql_request_state(req, sizeof(*look), drop_look);
	if (look)
		ql_look_batch(look, req, req->id, reply_one);
}

/* ---- the list ---- */

struct listing {
	struct ql_store_read read; /* first */
	struct ql_request *req;
	int64_t limit;
	const char *cursor; /* the last one that was shown, or NULL */
};

static void
drop_listing(void *state)
{
	struct listing *listing = state;
	ql_store_read_done(&listing->read);
}

/* Newest first, which is the read's other way round. Returns the id to go on below, or NULL. */
static const char *
put_heads(struct ql_json *json, const struct listing *listing)
{
	const struct ql_store_read *read = &listing->read;
	const char *last = NULL;
	int64_t shown = 0;
	for (size_t i = read->object_count; i-- > 0;) {
		const struct ql_object *object = &read->objects[i];
		struct ql_bulk head;
		struct ql_err e;
		if (listing->cursor && strcmp(object->id, listing->cursor) >= 0)
			continue;
		if (ql_bulk_parse(object->text, &head, &e))
			continue;
		bool mine = ql_is_callers_batch(listing->req, &head);
		if (mine && shown == listing->limit) {
			ql_bulk_done(&head);
			return last;
		}
		if (mine) {
			ql_json_open(json, NULL, '{');
			ql_render_batch_members(json, &head);
			ql_json_close(json, '}');
			last = object->id;
			shown++;
		}
		ql_bulk_done(&head);
	}
	return NULL;
}

static void
on_heads(struct ql_store_read *read, int status)
{
	struct listing *listing = (struct listing *)read;
	struct ql_json json = {0};
	if (status) {
		ql_reply_err(listing->req, &read->err);
		return;
	}
	ql_json_open(&json, NULL, '{');
	ql_json_open(&json, "batches", '[');
	const char *next = put_heads(&json, listing);
	ql_json_close(&json, ']');
	ql_json_text(&json, "next_cursor", next);
	ql_json_close(&json, '}');
	ql_reply_json(listing->req, MHD_HTTP_OK, &json);
}

void
ql_serve_bulks(struct ql_request *req)
{
	struct listing *listing = ql_request_state(req, sizeof(*listing), drop_listing);
	if (!listing)
		return;
	listing->req = req;
	listing->limit = QL_HTTP_LIST_SIZE;
	if (ql_param_int(req, "limit", 1, QL_HTTP_LIST_MAX, &listing->limit) ||
		ql_param_text(req, "cursor", QL_RAND_ID, &listing->cursor)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	listing->read = (struct ql_store_read){.kind = QL_READ_OBJECTS,
		.filter = {.object = QL_OBJECT_BATCH, .limit = 2 * QL_BULK_KEPT},
		.done = on_heads};
	ql_engine_read(req->server->config.engine, &listing->read);
}

/* ---- items ---- */

struct items {
	struct ql_look_batch look; /* first */
	struct ql_store_read read;
	struct ql_bulk_chunk chunk;
	const char *ids[QL_HTTP_LIST_MAX];
	char part_id[QL_BULK_CHUNK_ID];
	int64_t from; /* the place of the first one */
	int64_t limit;
	size_t count; /* of this page */
};

static void
drop_items(void *state)
{
	struct items *items = state;
	ql_look_batch_done(&items->look);
	ql_store_read_done(&items->read);
	ql_bulk_chunk_done(&items->chunk);
}

static struct items *
items_of(struct ql_store_read *read)
{
	return QL_OWNER(read, struct items, read);
}

/* record NULL: there is none, or it isn't the caller's. */
static void
put_item(struct ql_json *json, const struct items *items, size_t i, const struct ql_record *record)
{
	size_t at = (size_t)(items->from % QL_BULK_CHUNK) + i;
	const struct ql_state *state = record ? &record->state : NULL;
	enum ql_outcome outcome = state ? (enum ql_outcome)state->cancel.outcome : QL_OUTCOME_NONE;
	ql_json_open(json, NULL, '{');
	ql_json_text(json, "eval_id", items->ids[i]);
	ql_json_text(json, "said", ql_said_word(ql_bulk_chunk_said(&items->chunk, at)));
	ql_json_text(json, "status", state ? ql_status_word((enum ql_status)state->status) : NULL);
	ql_json_text(json, "outcome", outcome ? ql_outcome_word(outcome) : NULL);
	ql_json_close(json, '}');
}

static void
reply_items(struct items *items)
{
	struct ql_json json = {0};
	size_t at = 0;
	char cursor[24];
	int64_t next = items->from + (int64_t)items->count;
	bool more = next < items->look.head.total;
	ql_json_open(&json, NULL, '{');
	ql_json_open(&json, "items", '[');
	for (size_t i = 0; i < items->count; i++) {
		const struct ql_record *record =
			at < items->read.record_count ? &items->read.records[at] : NULL;
		bool there = record && !strcmp(record->eval_id, items->ids[i]);
		at += there;
		bool mine = there && ql_is_callers(items->look.req, record);
		put_item(&json, items, i, mine ? record : NULL);
	}
	ql_json_close(&json, ']');
	snprintf(cursor, sizeof(cursor), "%lld", (long long)next);
	ql_json_text(&json, "next_cursor", more ? cursor : NULL);
	ql_json_close(&json, '}');
	ql_reply_json(items->look.req, MHD_HTTP_OK, &json);
}

static void
on_named(struct ql_store_read *read, int status)
{
	struct items *items = items_of(read);
	if (status)
		ql_reply_err(items->look.req, &read->err);
	else
		reply_items(items);
}

/* A page ends with its part at the latest. */
static void
on_part(struct ql_store_read *read, int status)
{
	struct items *items = items_of(read);
	struct ql_request *req = items->look.req;
	struct ql_err err = read->err;
	size_t at = (size_t)(items->from % QL_BULK_CHUNK);
	if (!status && !read->object_count)
		status = ql_fail(
			&err, QL_E_NOT_FOUND, "the set of batch %s is gone", items->look.head.id);
	if (!status)
		status = ql_bulk_chunk_parse(read->objects[0].text, &items->chunk, &err);
	ql_store_read_done(read);
	if (status) {
		ql_reply_err(req, &err);
		return;
	}
	while (at < items->chunk.count && items->count < (size_t)items->limit)
		items->ids[items->count++] = items->chunk.ids[at++];
	items->read = (struct ql_store_read){.kind = QL_READ_NAMED,
		.ids = items->ids,
		.id_count = items->count,
		.done = on_named};
	ql_engine_read(req->server->config.engine, &items->read);
}

static void
read_part(struct ql_look_batch *look)
{
	struct items *items = (struct items *)look;
	if (items->from >= look->head.total) {
		reply_items(items);
		return;
	}
	ql_bulk_chunk_id(look->head.id, items->from / QL_BULK_CHUNK, items->part_id);
	items->read = (struct ql_store_read){.kind = QL_READ_OBJECTS,
		.filter = {.object = QL_OBJECT_CHUNK, .object_id = items->part_id, .limit = 1},
		.done = on_part};
	ql_engine_read(look->req->server->config.engine, &items->read);
}

void
ql_serve_bulk_items(struct ql_request *req)
{
	struct items *items = ql_request_state(req, sizeof(*items), drop_items);
	if (!items)
		return;
	items->limit = QL_HTTP_LIST_SIZE;
	if (ql_param_int(req, "limit", 1, QL_HTTP_LIST_MAX, &items->limit) ||
		ql_param_int(req, "cursor", 1, QL_BULK_MAX, &items->from)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	ql_look_batch(&items->look, req, req->id, read_part);
}
