/* What the processes of an evaluation's runs are doing: looked at on a thread, as /proc may take its time. */
#include "engine/private.h"

#include <stdlib.h>

#include "base/str.h"

struct examining {
	uv_work_t work;
	struct ql_engine *engine;
	struct ql_examine *op;
	struct ql_run_names names[QL_RUNS];
};

static void
look(uv_work_t *work)
{
	struct examining *examining = work->data;
	struct ql_examine *op = examining->op;
	for (size_t i = 0; i < op->count; i++) {
		if (!op->vitals[i].why[0])
			ql_vitals_read(&examining->names[i], &op->vitals[i]);
	}
}

static void
on_looked(uv_work_t *work, int status)
{
	struct examining *examining = work->data;
	struct ql_examine *op = examining->op;
	struct ql_engine *engine = examining->engine;
	(void)status;
	free(examining);
	op->done(op);
	ql_engine_op_end(engine);
}

static void
name_run(struct examining *examining, const struct ql_run *run)
{
	struct ql_runtime *runtime = examining->engine->config.runtime;
	struct ql_vitals *vitals = &examining->op->vitals[examining->op->count];
	struct ql_err err;
	*vitals = (struct ql_vitals){.incarnation = run->incarnation};
	if (run->slot < 0)
		ql_str_copy(vitals->why, sizeof(vitals->why),
			"a worker of the broker has it: its processes are not looked at from here");
	else if (!runtime || !runtime->ops->names)
		ql_str_copy(vitals->why, sizeof(vitals->why),
			"this server's runtime can't be looked into");
	else if (runtime->ops->names(
			 runtime, run->incarnation, &examining->names[examining->op->count], &err))
		ql_str_copy(vitals->why, sizeof(vitals->why), err.text);
	examining->op->count++;
}

void
ql_engine_examine(struct ql_engine *engine, struct ql_examine *op)
{
	struct examining *examining = calloc(1, sizeof(*examining));
	if (!examining)
		abort(); /* not even an answer can be made */
	op->count = 0;
	examining->engine = engine;
	examining->op = op;
	examining->work.data = examining;
	for (int i = 0; i < QL_RUNS; i++) {
		if (ql_phase_takes_slot((enum ql_phase)op->state->runs[i].phase))
			name_run(examining, &op->state->runs[i]);
	}
	ql_engine_op_begin(engine);
	uv_queue_work(engine->config.loop, &examining->work, look, on_looked);
}
