/*
 * What a start needs before the runtime is asked for it: its payload, a folder for what is kept of it, the
 * checkpoint of the attempt before. What is sent to a broker needs its payload alone; a worker's run
 * that is killed or salvaged a folder for what its containers wrote. What is sent goes out in the order
 * in which it was asked for, whichever payload is read first: so it stands in its queue.
 */
#include "engine/acting.h"

#include <limits.h>
#include <stdlib.h>

#include "base/owner.h"
#include "base/str.h"
#include "rules/keep.h"
#include "rules/submission.h"

struct prepared {
	struct ql_program program;
	struct ql_launch launch;
	char keep_dir[PATH_MAX];
	char checkpoint[PATH_MAX];
	struct ql_store_read read; /* its payload */
	uv_work_t work;
	struct acting *act;
	bool message; /* the payload is another producer's message */
	bool ready; /* to be sent, once all that was asked for before it is */
	struct ql_err err;
	int status;
};

void
ql_prepared_free(struct prepared *prepared)
{
	ql_program_done(&prepared->program);
	ql_store_read_done(&prepared->read);
	free(prepared);
}

/* Where what is kept of this attempt goes. */
static int
make_folder(struct prepared *prepared)
{
	const char *data_dir = prepared->act->engine->config.data_dir;
	const char *eval_id = prepared->act->eval_id;
	int32_t attempt = prepared->act->op.attempt;
	if (ql_keep_path(data_dir, eval_id, attempt, NULL, prepared->keep_dir,
		    sizeof(prepared->keep_dir)))
		return ql_fail(&prepared->err, QL_E_INVALID, "the path of its outputs is too long");
	return ql_keep_make(data_dir, eval_id, attempt, &prepared->err);
}

/* And what the one before has kept. */
static int
prepare_folder(struct prepared *prepared)
{
	const char *data_dir = prepared->act->engine->config.data_dir;
	const char *eval_id = prepared->act->eval_id;
	struct ql_launch *launch = &prepared->launch;
	if (make_folder(prepared))
		return -1;
	if (!ql_keep_checkpoint(data_dir, eval_id, launch->attempt - 1, prepared->checkpoint,
		    sizeof(prepared->checkpoint)))
		launch->checkpoint = prepared->checkpoint;
	launch->keep_dir = prepared->keep_dir;
	return 0;
}

static void
fill_launch(struct prepared *prepared)
{
	struct ql_launch *launch = &prepared->launch;
	const struct ql_program *program = &prepared->program;
	launch->argv = (const char *const *)program->argv;
	launch->env = (const char *const *)program->env;
	launch->code = program->code;
	launch->code_len = program->code_len;
	launch->code_name = program->code_name;
	launch->language = program->language;
	launch->queue = program->queue;
	launch->priority = program->priority;
	launch->image = program->image;
	launch->memory_mb = program->memory_mb;
	launch->pids = program->pids;
	launch->cpus = program->cpus;
	launch->output_max = QL_KEEP_OUTPUT_MAX;
	prepared->act->op.launch = launch;
}

/* On a pool thread. */
static int
prepare(struct prepared *prepared)
{
	struct acting *act = prepared->act;
	const struct ql_record *record = prepared->read.records;
	bool send = act->op.kind == QL_ACT_ENQUEUE;
	if (!send && act->op.kind != QL_ACT_START)
		return make_folder(prepared);
	if (!prepared->read.record_count || !record->payload)
		return ql_fail(&prepared->err, QL_E_INTERNAL, "its submission is not in the store");
	if (prepared->message) {
		act->op.message = record->payload;
		return 0;
	}
	if (ql_program_parse(record->payload, send, &prepared->program, &prepared->err))
		return -1;
	if (!send && prepare_folder(prepared))
		return -1;
	fill_launch(prepared);
	return 0;
}

static void
on_pool(uv_work_t *work)
{
	struct prepared *prepared = QL_OWNER(work, struct prepared, work);
	prepared->status = prepare(prepared);
}

/*
 * A start is decided once, by the claim, and the runtime was not asked for it: there is no such
 * run. Where trying again may help, the claim is void and the next one waits for a moment; else
 * the evaluation has failed. What could not be sent is sent again by the decider.
 */
static void
refuse(struct acting *act)
{
	struct ql_engine *engine = act->engine;
	const struct ql_err *err = &act->prepared->err;
	bool again = ql_code_retry(err->code);
	struct ql_sighting sighting = {
		.event = {.kind = again ? QL_EVENT_ABSENT : QL_EVENT_FAILED_START,
			.incarnation = act->op.incarnation},
		.text = err->text,
	};
	ql_engine_log(engine, "%s of %s: %s", ql_act_word(act->op.kind), act->eval_id, err->text);
	if (again)
		ql_wake_set(
			engine, &engine->claim_pause, ql_engine_now(engine) + QL_ENGINE_RETRY_MS);
	if (act->op.kind == QL_ACT_START)
		ql_sighted(engine, &sighting);
	ql_acting_free(act);
	ql_engine_op_end(engine);
}

static struct acting **
line_of(const struct acting *act)
{
	struct ql_engine *engine = act->engine;
	return act->op.kind == QL_ACT_ENQUEUE ? &engine->sending : &engine->preparing;
}

static void
go_on(struct acting *act)
{
	struct acting *behind = act->behind;
	DL_DELETE(*line_of(act), act);
	act->behind = NULL;
	bool keeps = act->op.kind == QL_ACT_KILL || act->op.kind == QL_ACT_SALVAGE;
	if (keeps && !act->prepared->status)
		act->op.keep_dir = act->prepared->keep_dir;
	if (act->prepared->status && act->op.kind != QL_ACT_KILL)
		refuse(act);
	else
		ql_acting_submit(act);
	while (behind) {
		struct acting *next = behind;
		DL_DELETE(behind, next);
		ql_acting_go(next);
	}
}

static void
prepared_over(struct acting *act)
{
	struct ql_engine *engine = act->engine;
	if (act->op.kind != QL_ACT_ENQUEUE) {
		go_on(act);
		return;
	}
	act->prepared->ready = true;
	while (engine->sending && engine->sending->prepared->ready)
		go_on(engine->sending);
}

static void
on_prepared(uv_work_t *work, int status)
{
	struct prepared *prepared = QL_OWNER(work, struct prepared, work);
	(void)status; /* it is never cancelled */
	prepared_over(prepared->act);
}

static void
on_payload(struct ql_store_read *read, int status)
{
	struct prepared *prepared = QL_OWNER(read, struct prepared, read);
	if (status) {
		prepared->err = read->err;
		prepared->status = -1;
		prepared_over(prepared->act);
		return;
	}
	uv_queue_work(prepared->act->engine->config.loop, &prepared->work, on_pool, on_prepared);
}

void
ql_prepare(struct acting *act, const struct ql_live *live, int32_t slot)
{
	struct ql_engine *engine = act->engine;
	struct prepared *prepared = calloc(1, sizeof(*prepared));
	if (!prepared) {
		ql_engine_log(engine, "out of memory: %s of %s is asked again later",
			ql_act_word(act->op.kind), act->eval_id);
		ql_acting_free(act);
		return;
	}
	act->prepared = prepared;
	prepared->act = act;
	prepared->message = live->record.state.adopted;
	prepared->launch = (struct ql_launch){
		.eval_id = act->eval_id, .attempt = act->op.attempt, .slot = slot};
	ql_engine_op_begin(engine);
	DL_APPEND(*line_of(act), act);
	prepared->read = (struct ql_store_read){.kind = QL_READ_GET,
		.filter = {.eval_id = act->eval_id, .with_payload = true},
		.done = on_payload};
	ql_engine_read(engine, &prepared->read);
}

void
ql_prepare_keep(struct acting *act)
{
	struct ql_engine *engine = act->engine;
	struct prepared *prepared = calloc(1, sizeof(*prepared));
	if (!prepared) {
		ql_acting_submit(act);
		return;
	}
	act->prepared = prepared;
	prepared->act = act;
	ql_engine_op_begin(engine);
	DL_APPEND(*line_of(act), act);
	uv_queue_work(engine->config.loop, &prepared->work, on_pool, on_prepared);
}

static bool
is_behind(const struct acting *act, const struct acting *first)
{
	if (first->op.incarnation != act->op.incarnation)
		return false;
	return act->op.incarnation || !strcmp(first->eval_id, act->eval_id);
}

bool
ql_prepare_behind(struct acting *act)
{
	struct acting *const lines[] = {act->engine->preparing, act->engine->sending};
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct acting *first;
		DL_FOREACH (lines[i], first) {
			if (!is_behind(act, first))
				continue;
			DL_APPEND(first->behind, act);
			return true;
		}
	}
	return false;
}
