/*
 * A set is frozen: page by page of what the selector matches, or id by id, into parts. The head comes
 * last, so that a crash before leaves parts that nobody reads, which the next start drops.
 */
#include "engine/bulk/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"

#define LIVE \
	(1u << QL_STATUS_QUEUED | 1u << QL_STATUS_RUNNING | 1u << QL_STATUS_CANCELLING | \
		1u << QL_STATUS_UNCONFIRMED)

void
ql_bulk_filter(const struct ql_engine *engine, const struct ql_bulk *head,
	const struct ql_selector *selector, struct ql_filter *ret_filter)
{
	*ret_filter = (struct ql_filter){
		.owner = head->all ? NULL : head->owner,
		.selector = selector,
		.statuses = LIVE,
		.now = ql_engine_now(engine),
		.limit = QL_BULK_PAGE,
	};
}

struct ql_change *
ql_bulk_keep_head(const struct ql_bulk *head)
{
	QL_CLEAN_BUF struct ql_buf text = {0};
	if (ql_bulk_print(&text, head))
		return NULL;
	return ql_change_put(QL_OBJECT_BATCH, head->id, text.data);
}

struct ql_change *
ql_bulk_keep_part(const struct ql_bulk *head, int64_t number, const struct ql_bulk_chunk *chunk)
{
	QL_CLEAN_BUF struct ql_buf text = {0};
	char id[QL_BULK_CHUNK_ID];
	ql_bulk_chunk_id(head->id, number, id);
	if (ql_bulk_chunk_print(&text, chunk))
		return NULL;
	return ql_change_put(QL_OBJECT_CHUNK, id, text.data);
}

/* ---- ends ---- */

static void
over(struct bulk_freeze *freeze, const struct ql_err *err)
{
	ql_changes_free(freeze->changes);
	freeze->changes = NULL;
	ql_bulk_chunk_done(&freeze->chunk);
	freeze->done(freeze, err);
}

static void
out_of_memory(struct bulk_freeze *freeze)
{
	struct ql_err err;
	ql_fail(&err, QL_E_UNAVAILABLE, "out of memory for a batch: try again later");
	over(freeze, &err);
}

static void
on_written(struct ql_write *write, int status)
{
	struct bulk_freeze *freeze = QL_OWNER(write, struct bulk_freeze, write);
	ql_bulk_attempt_kept(freeze->op, status);
	over(freeze, status ? &write->err : NULL);
}

/* ---- parts ---- */

static int
add_change(struct bulk_freeze *freeze, struct ql_change *change)
{
	if (!change)
		return -1;
	LL_APPEND(freeze->changes, change);
	return 0;
}

/* -1: out of memory. */
static int
end_part(struct bulk_freeze *freeze)
{
	if (!freeze->chunk.count)
		return 0;
	int status =
		add_change(freeze, ql_bulk_keep_part(freeze->head, freeze->parts, &freeze->chunk));
	freeze->parts++;
	freeze->chunk.count = 0;
	memset(freeze->chunk.said, 0, QL_BULK_CHUNK + 1);
	return status;
}

static int
add_item(struct bulk_freeze *freeze, const char *eval_id, enum ql_status status)
{
	struct ql_bulk *head = freeze->head;
	struct ql_bulk_ask *op = freeze->op;
	head->total++;
	head->said[QL_SAID_UNASKED]++;
	if (status < QL_STATUS_COUNT) {
		head->would[ql_bulk_would(head->mode, status)]++;
		op->statuses[status]++;
	}
	if (status < QL_STATUS_COUNT && op->sample_count < QL_BULK_SAMPLE) {
		struct ql_match *shown = &op->sample[op->sample_count++];
		*shown = (struct ql_match){.status = (int32_t)status};
		memcpy(shown->eval_id, eval_id, strlen(eval_id) + 1);
	}
	ql_bulk_chunk_add(&freeze->chunk, eval_id);
	return freeze->chunk.count == QL_BULK_CHUNK ? end_part(freeze) : 0;
}

static void
keep_all(struct bulk_freeze *freeze)
{
	if (end_part(freeze) || add_change(freeze, ql_bulk_keep_head(freeze->head)) ||
		ql_bulk_add_attempt(freeze->op, freeze->changes)) {
		out_of_memory(freeze);
		return;
	}
	freeze->write = (struct ql_write){.changes = freeze->changes, .done = on_written};
	freeze->changes = NULL;
	ql_engine_write(freeze->engine, &freeze->write);
}

/* ---- from a selector ---- */

static void on_matches(struct ql_store_read *read, int status);

static void
read_page(struct bulk_freeze *freeze)
{
	freeze->read = (struct ql_store_read){
		.kind = QL_READ_MATCHES, .filter = freeze->filter, .done = on_matches};
	ql_engine_read(freeze->engine, &freeze->read);
}

static void
on_page_kept(struct ql_write *write, int status)
{
	struct bulk_freeze *freeze = QL_OWNER(write, struct bulk_freeze, write);
	if (status)
		over(freeze, &write->err);
	else
		read_page(freeze);
}

/* Page by page, so that no commit is a large one. */
static void
keep_page(struct bulk_freeze *freeze)
{
	freeze->write = (struct ql_write){.changes = freeze->changes, .done = on_page_kept};
	freeze->changes = NULL;
	ql_engine_write(freeze->engine, &freeze->write);
}

static void
on_matches(struct ql_store_read *read, int status)
{
	struct bulk_freeze *freeze = QL_OWNER(read, struct bulk_freeze, read);
	bool failed = false;
	if (status) {
		over(freeze, &read->err);
		return;
	}
	for (size_t i = 0; i < read->match_count && !failed; i++)
		failed = add_item(
			freeze, read->matches[i].eval_id, (enum ql_status)read->matches[i].status);
	freeze->filter.cursor = read->next_cursor;
	ql_store_read_done(read);
	if (failed)
		out_of_memory(freeze);
	else if (freeze->filter.cursor)
		keep_page(freeze);
	else
		keep_all(freeze);
}

int
ql_bulk_check_confirmed(struct ql_bulk_ask *op, int64_t count, struct ql_err *e)
{
	if (op->preview || op->confirmed || !op->free_matches || count <= op->free_matches)
		return 0;
	op->would_stop = count;
	return ql_fail(e, QL_E_CONFLICT,
		"it would stop %lld evaluations, and more than %lld at one request want a "
		"confirmation: nothing was done; look with \"dry_run\": true and execute that, "
		"or say \"confirm\": true",
		(long long)count, (long long)op->free_matches);
}

static void
on_count(struct ql_store_read *read, int status)
{
	struct bulk_freeze *freeze = QL_OWNER(read, struct bulk_freeze, read);
	struct ql_err err;
	int64_t count = 0, most = freeze->op->max_matches;
	if (status) {
		over(freeze, &read->err);
		return;
	}
	for (int i = 0; i < QL_STATUS_COUNT; i++)
		count += read->counts[i];
	freeze->head->upto = read->newest;
	ql_store_read_done(read);
	if (count > most) {
		ql_fail(&err, QL_E_INVALID,
			"it selects %lld evaluations, and max_matches is %lld: nothing was done",
			(long long)count, (long long)most);
		over(freeze, &err);
		return;
	}
	if (ql_bulk_check_confirmed(freeze->op, count, &err)) {
		over(freeze, &err);
		return;
	}
	freeze->filter.upto = freeze->head->upto;
	read_page(freeze);
}

/* ---- from ids ---- */

static void read_ids(struct bulk_freeze *freeze);

static bool
may_meet(const struct ql_bulk *head, const struct ql_record *record)
{
	return head->all || (head->owner && record->owner && !strcmp(head->owner, record->owner));
}

/* The read has those that exist, in the order of the ids. */
static void
on_named(struct ql_store_read *read, int status)
{
	struct bulk_freeze *freeze = QL_OWNER(read, struct bulk_freeze, read);
	size_t at = 0;
	bool failed = false;
	if (status) {
		over(freeze, &read->err);
		return;
	}
	for (size_t i = 0; i < read->id_count && !failed; i++) {
		const struct ql_record *record =
			at < read->record_count ? &read->records[at] : NULL;
		bool there = record && !strcmp(record->eval_id, read->ids[i]);
		at += there;
		bool mine = there && may_meet(freeze->head, record);
		failed = add_item(freeze, read->ids[i],
			mine ? (enum ql_status)record->state.status : QL_STATUS_COUNT);
	}
	freeze->at += read->id_count;
	ql_store_read_done(read);
	if (failed)
		out_of_memory(freeze);
	else
		read_ids(freeze);
}

static void
read_ids(struct bulk_freeze *freeze)
{
	const struct ql_bulk_ask *op = freeze->op;
	size_t left = op->id_count - freeze->at;
	if (!left) {
		keep_all(freeze);
		return;
	}
	freeze->read = (struct ql_store_read){.kind = QL_READ_NAMED,
		.ids = op->ids + freeze->at,
		.id_count = left < QL_BULK_CHUNK ? left : QL_BULK_CHUNK,
		.done = on_named};
	ql_engine_read(freeze->engine, &freeze->read);
}

void
ql_bulk_freeze(struct bulk_freeze *freeze)
{
	if (ql_bulk_chunk_init(&freeze->chunk)) {
		out_of_memory(freeze);
		return;
	}
	if (!freeze->op->selector) {
		read_ids(freeze);
		return;
	}
	ql_bulk_filter(freeze->engine, freeze->head, freeze->op->selector, &freeze->filter);
	freeze->read = (struct ql_store_read){
		.kind = QL_READ_COUNT, .filter = freeze->filter, .done = on_count};
	ql_engine_read(freeze->engine, &freeze->read);
}
