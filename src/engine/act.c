/*
 * Performs what was decided, on the runtime, and feeds the answers back. An answer is a promise: it
 * becomes DELIVERED or UNREACHABLE and carries the act's epoch, so that a late one changes nothing.
 * But for a start, closing doesn't wait for them: the runtime answers what is open when it closes.
 */
#include "engine/private.h"

#include <limits.h>
#include <stdlib.h>

#include "base/str.h"
#include "rules/keep.h"
#include "rules/submission.h"

struct act {
	struct act *prev, *next; /* among the starts being prepared, or behind one of them */
	struct ql_runtime_op op;
	struct ql_engine *engine;
	char *reason;

	/* START alone */
	struct act *behind; /* acts on the same run, in order: none overtakes its start */
	struct ql_program program;
	struct ql_launch launch;
	char eval_id[QL_EVAL_ID];
	char keep_dir[PATH_MAX];
	char checkpoint[PATH_MAX];
	struct ql_store_read read; /* its payload */
	uv_work_t work;
	struct ql_err err;
	int prepared;
};

static void
act_free(struct act *act)
{
	ql_program_done(&act->program);
	free(act->reason);
	free(act);
}

static void
feed_answer(struct ql_engine *engine, const struct ql_runtime_op *op, int status)
{
	struct ql_sighting answer = {
		.event = {
			.kind = status ? QL_EVENT_UNREACHABLE : QL_EVENT_DELIVERED,
			.incarnation = op->incarnation,
			.epoch = op->epoch,
			.answers = op->kind,
		}};
	if (ql_live_of_run(engine, op->incarnation))
		ql_sighted(engine, &answer);
}

static void
on_acted(struct ql_runtime_op *op, int status)
{
	struct act *act = (struct act *)((char *)op - offsetof(struct act, op));
	struct ql_engine *engine = act->engine;
	if (status)
		ql_engine_log(engine, "%s of run %016llx: %s", ql_act_word(op->kind),
			(unsigned long long)op->incarnation, op->err.text);
	feed_answer(engine, op, status);
	bool started = op->kind == QL_ACT_START;
	act_free(act);
	if (started)
		ql_engine_op_end(engine);
}

static void
submit(struct act *act)
{
	struct ql_runtime *runtime = act->engine->config.runtime;
	act->op.done = on_acted;
	act->op.timeout_ms = QL_ENGINE_ACT_MS;
	if (runtime)
		runtime->ops->act(runtime, &act->op);
	else
		on_acted(&act->op, ql_fail(&act->op.err, QL_E_UNAVAILABLE,
					   "this server has no runtime (--workers 0)"));
}

/* ---- a start: its payload, its folder, its checkpoint, then the runtime ---- */

/* On a pool thread. */
static int
prepare(struct act *act)
{
	const char *data_dir = act->engine->config.data_dir;
	int32_t attempt = act->launch.attempt;
	struct ql_err *e = &act->err;
	const struct ql_record *record = act->read.records;
	if (!act->read.record_count || !record->payload)
		return ql_fail(e, QL_E_INTERNAL, "its submission is not in the store");
	if (ql_program_parse(record->payload, &act->program, e))
		return -1;
	if (ql_keep_path(
		    data_dir, act->eval_id, attempt, NULL, act->keep_dir, sizeof(act->keep_dir)))
		return ql_fail(e, QL_E_INVALID, "the path of its outputs is too long");
	if (ql_keep_make(data_dir, act->eval_id, attempt, e))
		return -1;
	if (!ql_keep_checkpoint(
		    data_dir, act->eval_id, attempt - 1, act->checkpoint, sizeof(act->checkpoint)))
		act->launch.checkpoint = act->checkpoint;
	return 0;
}

static void
on_pool(uv_work_t *work)
{
	struct act *act = (struct act *)((char *)work - offsetof(struct act, work));
	act->prepared = prepare(act);
}

static void
fill_launch(struct act *act)
{
	struct ql_launch *launch = &act->launch;
	const struct ql_program *program = &act->program;
	launch->argv = (const char *const *)program->argv;
	launch->env = (const char *const *)program->env;
	launch->code = program->code;
	launch->code_len = program->code_len;
	launch->code_name = program->code_name;
	launch->image = program->image;
	launch->memory_mb = program->memory_mb;
	launch->pids = program->pids;
	launch->cpus = program->cpus;
	launch->keep_dir = act->keep_dir;
	launch->output_max = QL_KEEP_OUTPUT_MAX;
	act->op.launch = launch;
}

/*
 * A start is decided once, by the claim, and the runtime was not asked for it: there is no such
 * run. Where trying again may help, the claim is void and the next one waits for a moment; else
 * the evaluation has failed.
 */
static void
refuse_start(struct act *act)
{
	struct ql_engine *engine = act->engine;
	bool again = ql_code_retry(act->err.code);
	struct ql_sighting sighting = {
		.event = {.kind = again ? QL_EVENT_ABSENT : QL_EVENT_FAILED_START,
			.incarnation = act->op.incarnation},
		.text = act->err.text,
	};
	ql_engine_log(engine, "start of %s: %s", act->eval_id, act->err.text);
	if (again)
		ql_wake_set(
			engine, &engine->claim_pause, ql_engine_now(engine) + QL_ENGINE_RETRY_MS);
	ql_sighted(engine, &sighting);
	act_free(act);
	ql_engine_op_end(engine);
}

static void
start_prepared(struct act *act)
{
	struct act *behind = act->behind;
	ql_store_read_done(&act->read);
	DL_DELETE(act->engine->starting, act);
	if (act->prepared) {
		refuse_start(act);
	} else {
		fill_launch(act);
		submit(act);
	}
	while (behind) {
		struct act *next = behind;
		DL_DELETE(behind, next);
		submit(next);
	}
}

static void
on_prepared(uv_work_t *work, int status)
{
	(void)status; /* it is never cancelled */
	start_prepared((struct act *)((char *)work - offsetof(struct act, work)));
}

static void
on_payload(struct ql_store_read *read, int status)
{
	struct act *act = (struct act *)((char *)read - offsetof(struct act, read));
	if (status) {
		act->err = read->err;
		act->prepared = -1;
		start_prepared(act);
		return;
	}
	uv_queue_work(act->engine->config.loop, &act->work, on_pool, on_prepared);
}

static void
start(struct act *act, struct ql_live *live, int32_t slot)
{
	struct ql_engine *engine = act->engine;
	ql_str_copy(act->eval_id, sizeof(act->eval_id), live->record.eval_id);
	act->launch = (struct ql_launch){
		.eval_id = act->eval_id,
		.attempt = live->durable.attempt,
		.slot = slot,
	};
	ql_engine_op_begin(engine);
	DL_APPEND(engine->starting, act);
	act->read = (struct ql_store_read){.kind = QL_READ_GET,
		.filter = {.eval_id = act->eval_id, .with_payload = true},
		.done = on_payload};
	ql_engine_read(engine, &act->read);
}

static struct act *
starting(struct ql_engine *engine, uint64_t incarnation)
{
	struct act *act;
	DL_FOREACH (engine->starting, act) {
		if (act->op.incarnation == incarnation)
			return act;
	}
	return NULL;
}

/* ---- any act ---- */

static int64_t
notice_deadline(const struct ql_state *state)
{
	return state->cancel.next_at ? state->cancel.next_at : state->run_until;
}

void
ql_act(struct ql_live *live, const struct ql_act *decided)
{
	struct ql_engine *engine = live->engine;
	struct act *first = starting(engine, decided->incarnation);
	struct act *act = calloc(1, sizeof(*act));
	if (!act) {
		ql_engine_log(engine, "out of memory: %s of %s is asked again later",
			ql_act_word(decided->kind), live->record.eval_id);
		return;
	}
	act->engine = engine;
	act->op.kind = decided->kind;
	act->op.incarnation = decided->incarnation;
	act->op.epoch = decided->epoch;
	if (decided->kind == QL_ACT_NOTICE) {
		act->reason = ql_str_dup(live->record.reason);
		act->op.notice.reason = act->reason;
		act->op.notice.deadline = notice_deadline(&live->record.state);
	}
	if (decided->kind == QL_ACT_START)
		start(act, live, decided->slot);
	else if (first)
		DL_APPEND(first->behind, act);
	else
		submit(act);
}

static void
on_purged(struct ql_runtime_op *op, int status)
{
	struct act *act = (struct act *)((char *)op - offsetof(struct act, op));
	ql_engine_log(act->engine, "run %016llx has no record: %s",
		(unsigned long long)op->incarnation,
		status ? op->err.text : "nothing of it is left");
	act_free(act);
}

void
ql_purge(struct ql_engine *engine, uint64_t incarnation)
{
	struct ql_runtime *runtime = engine->config.runtime;
	struct act *act = calloc(1, sizeof(*act));
	if (!runtime || !act) {
		free(act);
		return;
	}
	act->engine = engine;
	act->op.incarnation = incarnation;
	act->op.timeout_ms = QL_ENGINE_ACT_MS;
	act->op.done = on_purged;
	runtime->ops->purge(runtime, &act->op);
}
