/* Retention: settled evaluations that are too old, or the oldest beyond the bytes that are kept. */
#include "engine/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
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
ql_forget_kept(struct ql_engine *engine, const char *eval_id, int32_t attempts)
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

int
ql_forget(struct ql_live *live, struct ql_attempt *attempt,
	void (*done)(struct decided *decided, const struct ql_err *err), void *arg,
	struct ql_err *e)
{
	const struct ql_state *state = &live->record.state;
	const char *eval_id = live->record.eval_id;
	enum ql_status status = (enum ql_status)state->status;
	if (!ql_status_settled(status) || ql_state_live(state))
		return ql_fail(e, QL_E_CONFLICT,
			"%s is %s and not over yet: cancel it first, or wait", eval_id,
			ql_status_word(status));
	if (live->uncommitted)
		return ql_fail(e, QL_E_CONFLICT, "%s is being changed: try again", eval_id);
	struct ql_change *change = ql_change_new(QL_CHANGE_FORGET);
	int64_t now = ql_engine_now(live->engine);
	int made = change ? ql_attempt_add(change, attempt, 204, now) : -1;
	struct decided *decided = made ? NULL : ql_batch_add_to(live, change, true);
	if (!decided) {
		ql_changes_free(change);
		return ql_fail(e, QL_E_UNAVAILABLE, "out of memory: try again later");
	}
	memcpy(change->record.eval_id, eval_id, sizeof(change->record.eval_id));
	change->at = now;
	decided->attempt = attempt;
	decided->done = done;
	decided->arg = arg;
	live->stale = true; /* whoever asks next finds that it is gone */
	return 0;
}

/* ---- the sweep ---- */

static void
forget(struct scan *scan, struct ql_live *live, const struct ql_err *err)
{
	struct ql_err ignored; /* somebody is at it: next time */
	if (!err && !scan->engine->closing)
		(void)ql_forget(live, NULL, NULL, NULL, &ignored);
}

static void
sweep_again(struct ql_engine *engine, int64_t in_ms)
{
	if (!engine->closing)
		ql_wake_set(engine, &engine->sweep, ql_engine_now(engine) + in_ms);
}

static void
on_sweep_over(struct scan *scan, const struct ql_err *err)
{
	struct ql_engine *engine = scan->engine;
	bool more = !err && scan->at == QL_ENGINE_SWEEP_BATCH;
	if (scan->at)
		ql_engine_log(engine, "forgets %zu evaluations (--keep, --keep-bytes)", scan->at);
	sweep_again(engine, more ? QL_ENGINE_RETRY_MS : QL_ENGINE_SWEEP_MS);
}

static void
on_sweep(struct wake *wake)
{
	struct ql_engine *engine = QL_OWNER(wake, struct ql_engine, sweep);
	if (engine->closing)
		return;
	engine->sweeps.each = forget;
	engine->sweeps.over = on_sweep_over;
	engine->sweeps.read = (struct ql_store_read){.kind = QL_READ_SWEEPABLE,
		.filter = {.until = ql_engine_now(engine) - engine->config.keep_ms,
			.keep_bytes = engine->config.keep_bytes,
			.limit = QL_ENGINE_SWEEP_BATCH}};
	ql_scan(engine, &engine->sweeps);
}

void
ql_sweep_start(struct ql_engine *engine)
{
	engine->sweep.fn = on_sweep;
	sweep_again(engine, 0);
}
