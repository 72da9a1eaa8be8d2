/*
 * Retention of the audit: its oldest rows go, by age and by size, and the place from which the rest
 * goes on is kept as a signed document, durable in the commit in which they go.
 */
#include "engine/private.h"

#include <stdlib.h>

#include "base/owner.h"
#include "rules/audit.h"

#define ANCHOR_ID "audit"

static void trim_again(struct ql_engine *engine, int64_t in_ms);

static void
on_trimmed(struct ql_write *op, int status)
{
	struct trim *trim = QL_OWNER(op, struct trim, write);
	if (status)
		ql_engine_log(trim->engine, "the audit is trimmed later: %s", op->err.text);
	trim_again(trim->engine, status ? QL_ENGINE_SWEEP_MS : QL_ENGINE_RETRY_MS);
}

static struct ql_change *
anchor_change(struct ql_engine *engine, const struct ql_chain *place)
{
	json_t *anchor =
		ql_audit_sign(engine->config.signer, "anchor", place, ql_engine_now(engine));
	char *text = anchor ? json_dumps(anchor, JSON_COMPACT) : NULL;
	struct ql_change *change = text ? ql_change_put(QL_OBJECT_ANCHOR, ANCHOR_ID, text) : NULL;
	free(text);
	json_decref(anchor);
	return change;
}

static void
trim_to(struct trim *trim, const struct ql_chain *place)
{
	struct ql_engine *engine = trim->engine;
	struct ql_change *change = anchor_change(engine, place);
	struct ql_change *rows = change ? ql_change_new(QL_CHANGE_AUDIT_TRIM) : NULL;
	if (!rows) {
		ql_changes_free(change);
		trim_again(engine, QL_ENGINE_SWEEP_MS);
		return;
	}
	rows->audit_seq = place->seq;
	change->next = rows;
	trim->write = (struct ql_write){.changes = change, .done = on_trimmed};
	ql_engine_log(engine, "forgets the audit up to row %lld (--audit-keep, --audit-keep-bytes)",
		(long long)place->seq);
	ql_engine_write(engine, &trim->write);
}

static void
on_read(struct ql_store_read *read, int status)
{
	struct trim *trim = QL_OWNER(read, struct trim, read);
	struct ql_engine *engine = trim->engine;
	bool old = !status && read->audit_count && !engine->closing;
	struct ql_chain place = old ? read->audits[0].chain : (struct ql_chain){0};
	ql_store_read_done(read);
	if (old)
		trim_to(trim, &place);
	else
		trim_again(engine, QL_ENGINE_SWEEP_MS);
	ql_engine_op_end(engine);
}

static void
on_wake(struct wake *wake)
{
	struct trim *trim = QL_OWNER(wake, struct trim, wake);
	struct ql_engine *engine = trim->engine;
	if (engine->closing)
		return;
	trim->read = (struct ql_store_read){.kind = QL_READ_AUDIT_OLD,
		.filter = {.until = ql_engine_now(engine) - engine->config.audit_keep_ms,
			.keep_bytes = engine->config.audit_keep_bytes,
			.limit = QL_ENGINE_TRIM_BATCH},
		.done = on_read};
	ql_engine_op_begin(engine);
	ql_engine_read(engine, &trim->read);
}

static void
trim_again(struct ql_engine *engine, int64_t in_ms)
{
	if (!engine->closing)
		ql_wake_set(engine, &engine->trim.wake, ql_engine_now(engine) + in_ms);
}

void
ql_trim_start(struct ql_engine *engine)
{
	if (!engine->config.signer)
		return;
	engine->trim.engine = engine;
	engine->trim.wake.fn = on_wake;
	trim_again(engine, 0);
}
