/* Batches of the fake engine: it keeps the last one that was made, and asks for none of its items. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "fake.h"
#include "rules/selector.h"

static void
add_item(struct ql_engine *engine, struct ql_bulk_ask *op, const char *eval_id)
{
	struct ql_record *record = fake_find(engine, eval_id);
	bool mine = record && (op->caller.all || !strcmp(record->owner, op->caller.owner));
	struct ql_bulk *bulk = &engine->bulk;
	ql_bulk_chunk_add(&engine->chunk, eval_id);
	bulk->total++;
	bulk->said[QL_SAID_UNASKED]++;
	if (!mine)
		return;
	enum ql_status status = (enum ql_status)record->state.status;
	struct ql_match *shown = &op->sample[op->sample_count++];
	bulk->would[ql_bulk_would(op->mode, status)]++;
	op->statuses[status]++;
	shown->status = (int32_t)status;
	ql_str_copy(shown->eval_id, sizeof(shown->eval_id), eval_id);
}

static int
make(struct ql_engine *engine, struct ql_bulk_ask *op)
{
	fake_bulk_done(engine);
	if (ql_bulk_chunk_init(&engine->chunk))
		abort();
	engine->bulk = (struct ql_bulk){.id = FAKE_BATCH,
		.phase = op->preview ? QL_BULK_PREVIEW : QL_BULK_RUNNING,
		.mode = op->mode,
		.top = op->top,
		.grace_ms = op->grace_ms,
		.all = op->caller.all,
		.actor = ql_str_dup(op->caller.actor),
		.owner = ql_str_dup(op->caller.owner),
		.reason = ql_str_dup(op->reason),
		.selector = ql_str_dup(op->selector_text),
		.created_at = 1000,
		.expires_at = op->preview ? 901000 : 0};
	for (size_t i = 0; i < op->id_count; i++)
		add_item(engine, op, op->ids[i]);
	for (size_t i = 0; op->selector && i < engine->record_count; i++) {
		const struct ql_record *record = &engine->records[i];
		if (ql_selector_match(op->selector, record, ql_engine_now(engine)))
			add_item(engine, op, record->eval_id);
	}
	if (engine->bulk.total <= op->max_matches)
		return 0;
	return ql_fail(&op->err, QL_E_INVALID, "it selects %lld evaluations",
		(long long)engine->bulk.total);
}

static int
change(struct ql_engine *engine, struct ql_bulk_ask *op)
{
	struct ql_bulk *bulk = &engine->bulk;
	if (strcmp(bulk->id, op->id) || (!op->caller.all && strcmp(bulk->owner, op->caller.owner)))
		return ql_fail(&op->err, QL_E_NOT_FOUND, "there is no batch %s", op->id);
	if (op->verb == QL_BULK_UNDO)
		ql_str_copy(bulk->undoes, sizeof(bulk->undoes), FAKE_BATCH);
	bulk->phase = op->verb == QL_BULK_CANCEL ? QL_BULK_STOPPED : QL_BULK_RUNNING;
	bulk->started_at = 2000;
	bulk->expires_at = 0;
	return 0;
}

static void
bulk_turn(struct ql_engine *engine, void *arg)
{
	struct ql_bulk_ask *op = arg;
	op->err = engine->fail;
	int status = op->err.code ? -1 : 0;
	if (!status)
		status = op->verb == QL_BULK_MAKE ? make(engine, op) : change(engine, op);
	if (!status && ql_bulk_copy(&op->bulk, &engine->bulk))
		abort();
	op->done(op, status);
}

void
ql_engine_bulk(struct ql_engine *engine, struct ql_bulk_ask *op)
{
	engine->asked_bulk = *op;
	engine->asked_bulks++;
	fake_later(engine, bulk_turn, op);
}

void
ql_bulk_ask_done(struct ql_bulk_ask *op)
{
	ql_bulk_done(&op->bulk);
}

void
fake_bulk_done(struct ql_engine *engine)
{
	ql_bulk_done(&engine->bulk);
	ql_bulk_chunk_done(&engine->chunk);
}

/* The head or the part, as text. */
void
fake_read_objects(struct ql_engine *engine, struct ql_store_read *op)
{
	struct ql_buf text = {0};
	bool heads = op->filter.object == QL_OBJECT_BATCH;
	const char *id = heads ? FAKE_BATCH : FAKE_BATCH "/00000";
	op->objects = calloc(1, sizeof(*op->objects));
	if (!engine->bulk.id[0] || (op->filter.object_id && strcmp(op->filter.object_id, id)))
		return;
	if (heads ? ql_bulk_print(&text, &engine->bulk)
		  : ql_bulk_chunk_print(&text, &engine->chunk))
		abort();
	op->objects[op->object_count++] =
		(struct ql_object){.id = ql_str_dup(id), .text = ql_buf_take(&text), .at = 1000};
}
