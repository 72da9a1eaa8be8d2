/* Retention: settled evaluations that are too old, or the oldest beyond the bytes that are kept. */
#include "engine/private.h"

#include <stdlib.h>
#include <string.h>

#include "rules/keep.h"

struct removal {
	uv_work_t work;
	struct ql_engine *engine;
	char eval_id[QL_EVAL_ID];
	int32_t attempts;
	int failed;
	struct ql_err err;
};

static void
remove_kept(uv_work_t *work)
{
	struct removal *removal = (struct removal *)work;
	for (int32_t attempt = 1; attempt <= removal->attempts; attempt++)
		removal->failed |= ql_keep_remove(
			removal->engine->config.data_dir, removal->eval_id, attempt, &removal->err);
}

static void
on_removed(uv_work_t *work, int status)
{
	struct removal *removal = (struct removal *)work;
	struct ql_engine *engine = removal->engine;
	(void)status;
	if (removal->failed)
		ql_engine_log(engine, "kept files of %s: %s", removal->eval_id, removal->err.text);
	free(removal);
	ql_engine_op_end(engine);
}

/* The files of a forgotten evaluation, once that is durable. */
void
ql_sweep_remove_kept(struct ql_engine *engine, const char *eval_id, int32_t attempts)
{
	struct removal *removal = calloc(1, sizeof(*removal));
	if (!removal)
		return;
	removal->engine = engine;
	removal->attempts = attempts;
	memcpy(removal->eval_id, eval_id, strlen(eval_id) + 1);
	ql_engine_op_begin(engine);
	uv_queue_work(engine->config.loop, &removal->work, remove_kept, on_removed);
}

static void
on_forgotten(struct decided *decided, const struct ql_err *err)
{
	struct ql_engine *engine = decided->arg;
	const struct ql_record *record = &decided->changes->record;
	if (!err)
		ql_sweep_remove_kept(engine, record->eval_id, record->state.attempt);
}

static void
forget(struct ql_engine *engine, const struct ql_record *record)
{
	if (ql_live_find(engine, record->eval_id))
		return; /* somebody is at it: next time */
	struct ql_change *change = ql_change_new(QL_CHANGE_FORGET);
	struct decided *decided = change ? ql_batch_add(engine, change) : NULL;
	if (!decided) {
		ql_changes_free(change);
		return;
	}
	memcpy(change->record.eval_id, record->eval_id, sizeof(record->eval_id));
	change->record.state = record->state;
	change->at = ql_engine_now(engine);
	decided->done = on_forgotten;
	decided->arg = engine;
}

static void
sweep_again(struct ql_engine *engine, int64_t in_ms)
{
	if (!engine->closing)
		ql_wake_set(engine, &engine->sweep, ql_engine_now(engine) + in_ms);
}

static void
on_sweepable(struct ql_store_read *read, int status)
{
	struct ql_engine *engine =
		(struct ql_engine *)((char *)read - offsetof(struct ql_engine, sweep_read));
	for (size_t i = 0; !status && i < read->record_count; i++)
		forget(engine, &read->records[i]);
	bool more = !status && read->record_count == QL_ENGINE_SWEEP_BATCH;
	if (read->record_count)
		ql_engine_log(engine, "forgets %zu evaluations (--keep, --keep-bytes)",
			read->record_count);
	ql_store_read_done(read);
	sweep_again(engine, more ? QL_ENGINE_RETRY_MS : QL_ENGINE_SWEEP_MS);
	ql_engine_op_end(engine);
}

static void
on_sweep(struct wake *wake)
{
	struct ql_engine *engine =
		(struct ql_engine *)((char *)wake - offsetof(struct ql_engine, sweep));
	int64_t now = ql_engine_now(engine);
	if (engine->closing)
		return;
	engine->sweep_read = (struct ql_store_read){.kind = QL_READ_SWEEPABLE,
		.filter = {.until = now - engine->config.keep_ms,
			.keep_bytes = engine->config.keep_bytes,
			.limit = QL_ENGINE_SWEEP_BATCH},
		.done = on_sweepable};
	ql_engine_op_begin(engine);
	ql_engine_read(engine, &engine->sweep_read);
}

void
ql_sweep_start(struct ql_engine *engine)
{
	engine->sweep.fn = on_sweep;
	sweep_again(engine, 0);
}
