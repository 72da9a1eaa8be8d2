/*
 * Performs what was decided, on the runtime, and feeds the answers back. An answer is a promise: it
 * becomes DELIVERED or UNREACHABLE and carries the act's epoch, so that a late one changes nothing.
 */
#include "engine/private.h"

#include <limits.h>
#include <stdlib.h>

#include "base/str.h"
#include "rules/keep.h"
#include "rules/submission.h"

struct act {
	struct ql_runtime_op op;
	struct ql_engine *engine;
	char *reason;

	/* START alone */
	struct ql_program program;
	struct ql_launch launch;
	char eval_id[QL_EVAL_ID];
	char keep_dir[PATH_MAX];
	char checkpoint[PATH_MAX];
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
	act_free(act);
	ql_engine_op_end(engine);
}

static void
submit(struct act *act)
{
	struct ql_runtime *runtime = act->engine->config.runtime;
	act->op.done = on_acted;
	act->op.timeout_ms = QL_ENGINE_ACT_MS;
	runtime->ops->act(runtime, &act->op);
}

/* On a pool thread: the folder for its output, and the checkpoint it goes on from. */
static void
prepare_start(uv_work_t *work)
{
	struct act *act = (struct act *)((char *)work - offsetof(struct act, work));
	const char *data_dir = act->engine->config.data_dir;
	int32_t attempt = act->launch.attempt;
	act->prepared = ql_keep_make(data_dir, act->eval_id, attempt, &act->err);
	if (!act->prepared && !ql_keep_checkpoint(data_dir, act->eval_id, attempt - 1,
				      act->checkpoint, sizeof(act->checkpoint)))
		act->launch.checkpoint = act->checkpoint;
}

/* Nothing was started: the claim is void, and the next one waits for a moment. */
static void
refuse_start(struct act *act)
{
	struct ql_engine *engine = act->engine;
	ql_engine_log(engine, "start of %s: %s", act->eval_id, act->err.text);
	struct ql_sighting absent = {.event = {
					     .kind = QL_EVENT_ABSENT,
					     .incarnation = act->op.incarnation,
				     }};
	ql_wake_set(engine, &engine->claim_pause, ql_engine_now(engine) + QL_ENGINE_RETRY_MS);
	ql_sighted(engine, &absent);
	act_free(act);
	ql_engine_op_end(engine);
}

static void
on_prepared(uv_work_t *work, int status)
{
	struct act *act = (struct act *)((char *)work - offsetof(struct act, work));
	(void)status;
	if (act->prepared)
		refuse_start(act);
	else
		submit(act);
}

static void
fill_launch(struct act *act, const struct ql_live *live, int32_t slot)
{
	const struct ql_program *program = &act->program;
	ql_str_copy(act->eval_id, sizeof(act->eval_id), live->record.eval_id);
	act->launch = (struct ql_launch){
		.eval_id = act->eval_id,
		.attempt = live->record.state.attempt,
		.slot = slot,
		.argv = (const char *const *)program->argv,
		.env = (const char *const *)program->env,
		.code = program->code,
		.code_len = program->code_len,
		.code_name = program->code_name,
		.image = program->image,
		.memory_mb = program->memory_mb,
		.pids = program->pids,
		.cpus = program->cpus,
		.keep_dir = act->keep_dir,
		.output_max = QL_KEEP_OUTPUT_MAX,
	};
	act->op.launch = &act->launch;
}

static void
start(struct act *act, struct ql_live *live, int32_t slot)
{
	struct ql_engine *engine = act->engine;
	struct ql_err *e = &act->err;
	const char *payload = live->record.payload;
	fill_launch(act, live, slot);
	act->prepared = -1;
	if (!payload)
		ql_fail(e, QL_E_INTERNAL, "its submission is not at hand");
	else if (!ql_program_parse(payload, &act->program, e))
		act->prepared = ql_keep_path(engine->config.data_dir, act->eval_id,
			act->launch.attempt, NULL, act->keep_dir, sizeof(act->keep_dir));
	if (act->prepared) {
		refuse_start(act);
		return;
	}
	free(live->record.payload);
	live->record.payload = NULL;
	fill_launch(act, live, slot);
	uv_queue_work(engine->config.loop, &act->work, prepare_start, on_prepared);
}

static int64_t
notice_deadline(const struct ql_state *state)
{
	return state->cancel.next_at ? state->cancel.next_at : state->run_until;
}

void
ql_act(struct ql_live *live, const struct ql_act *decided)
{
	struct ql_engine *engine = live->engine;
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
	ql_engine_op_begin(engine);
	if (decided->kind == QL_ACT_START) {
		start(act, live, decided->slot);
		return;
	}
	if (decided->kind == QL_ACT_NOTICE) {
		act->reason = ql_str_dup(live->record.reason);
		act->op.notice.reason = act->reason;
		act->op.notice.deadline = notice_deadline(&live->record.state);
	}
	submit(act);
}

static void
on_purged(struct ql_runtime_op *op, int status)
{
	struct act *act = (struct act *)((char *)op - offsetof(struct act, op));
	ql_engine_log(act->engine, "run %016llx has no record: %s",
		(unsigned long long)op->incarnation,
		status ? op->err.text : "nothing of it is left");
	struct ql_engine *engine = act->engine;
	act_free(act);
	ql_engine_op_end(engine);
}

void
ql_purge(struct ql_engine *engine, uint64_t incarnation)
{
	struct ql_runtime *runtime = engine->config.runtime;
	struct act *act = calloc(1, sizeof(*act));
	if (!act)
		return;
	act->engine = engine;
	act->op.incarnation = incarnation;
	act->op.timeout_ms = QL_ENGINE_ACT_MS;
	act->op.done = on_purged;
	ql_engine_op_begin(engine);
	runtime->ops->purge(runtime, &act->op);
}
