/* Whom a rule would stop, without stopping anybody. */
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "engine/policing.h"

struct trying {
	struct walk walk;
	struct ql_engine *engine;
	struct ql_trial *op;
	struct ql_store_read count;
	struct later later;
	struct spending_want spending;
	struct ql_shedding shedding;
};

static void
finish(struct trying *trying, const struct ql_err *err)
{
	struct ql_engine *engine = trying->engine;
	struct ql_trial *op = trying->op;
	if (err)
		op->err = *err;
	ql_walk_done(&trying->walk);
	engine->policing->trials--;
	free(trying);
	op->done(op, err ? -1 : 0);
	ql_engine_op_end(engine);
}

static void
on_later(struct later *later)
{
	struct trying *trying = QL_OWNER(later, struct trying, later);
	finish(trying, trying->op->err.code ? &trying->op->err : NULL);
}

/* An answer is never given from within the call. */
static void
finish_later(struct trying *trying)
{
	trying->later.fn = on_later;
	ql_later(trying->engine, &trying->later);
}

static void
on_pick(struct walk *walk, const struct ql_record *record, int64_t at, const char *why)
{
	struct ql_trial *op = QL_OWNER(walk, struct trying, walk)->op;
	op->picked++;
	if (op->sample_count == QL_TRIAL_SAMPLE)
		return;
	struct ql_trial_pick *pick = &op->sample[op->sample_count++];
	memcpy(pick->eval_id, record->eval_id, sizeof(pick->eval_id));
	ql_str_copy(pick->why, sizeof(pick->why), why);
	pick->at = at;
}

static void
on_page(struct walk *walk, bool more, const struct ql_err *err)
{
	struct trying *trying = QL_OWNER(walk, struct trying, walk);
	trying->op->looked = walk->looked;
	trying->op->whole = !more && !walk->choice.full;
	if (err || !more || walk->looked >= QL_TRIAL_RECORDS || trying->engine->stopping)
		finish(trying, err);
	else
		ql_walk(walk);
}

static void
begin(struct trying *trying)
{
	struct ql_trial *op = trying->op;
	enum ql_trigger trigger = op->rule.trigger;
	int64_t past = op->since ? ql_engine_now(trying->engine) - op->since : 0;
	op->only_now = trigger == QL_TRIGGER_OVERLOAD || trigger == QL_TRIGGER_BUDGET;
	op->whole = true;
	if (op->only_now)
		past = 0;
	if (!ql_walk_begin(&trying->walk, &op->rule, past, QL_TRIAL_RECORDS, &trying->shedding)) {
		finish(trying, NULL);
		return;
	}
	op->at_most = ql_rule_goes_one_by_one(&op->rule);
	if (op->at_most) /* nobody knows after which one it is enough */
		trying->walk.choice.room = QL_TRIAL_RECORDS;
	ql_walk(&trying->walk);
}

static void
on_spending(struct spending_want *want)
{
	begin(QL_OWNER(want, struct trying, spending));
}

static void
on_counted(struct ql_store_read *read, int status)
{
	struct trying *trying = QL_OWNER(read, struct trying, count);
	struct ql_err err = read->err;
	for (int i = 0; i < QL_STATUS_COUNT; i++)
		trying->op->live += ql_status_settled((enum ql_status)i) ? 0 : read->counts[i];
	ql_store_read_done(read);
	if (status)
		finish(trying, &err);
	else if (trying->op->rule.trigger == QL_TRIGGER_BUDGET)
		ql_spending_look(trying->engine->policing, &trying->spending);
	else
		begin(trying);
}

static int
check(struct ql_engine *engine, struct ql_err *e)
{
	if (ql_policing_check(engine, e))
		return -1;
	if (engine->policing->trials <= QL_TRIALS_MAX)
		return 0;
	return ql_fail(e, QL_E_LIMIT, "%d simulations are under way already: try again later",
		QL_TRIALS_MAX);
}

void
ql_engine_trial(struct ql_engine *engine, struct ql_trial *op)
{
	struct trying *trying = calloc(1, sizeof(*trying));
	if (!trying)
		abort(); /* not even a refusal can be queued */
	op->looked = op->picked = op->live = 0;
	op->sample_count = 0;
	op->at_most = false;
	op->err = (struct ql_err){0};
	trying->engine = engine;
	trying->op = op;
	trying->walk.engine = engine;
	trying->walk.pick = on_pick;
	trying->walk.page = on_page;
	trying->spending.ready = on_spending;
	ql_engine_op_begin(engine);
	engine->policing->trials++;
	if (check(engine, &op->err)) {
		finish_later(trying);
		return;
	}
	trying->count = (struct ql_store_read){.kind = QL_READ_COUNT, .done = on_counted};
	ql_engine_read(engine, &trying->count);
}
