/* Rules and sessions of the fake engine: what is written is shown, and nothing is stopped. */
#include "fake.h"

#include <string.h>

#include "base/str.h"

static struct ql_rule_view *
find(struct ql_engine *engine, const char *name)
{
	for (size_t i = 0; i < engine->rule_count; i++) {
		if (!strcmp(engine->rules[i].rule.name, name))
			return &engine->rules[i];
	}
	return NULL;
}

int
ql_engine_rules_check(const struct ql_engine *engine, struct ql_err *e)
{
	(void)engine, (void)e;
	return 0;
}

const struct ql_rule_view *
ql_engine_rule(const struct ql_engine *engine, const char *name)
{
	return find((struct ql_engine *)engine, name);
}

const struct ql_rule_view *
ql_engine_rule_next(const struct ql_engine *engine, const struct ql_rule_view *view)
{
	size_t next = view ? (size_t)(view - engine->rules) + 1 : 0;
	return next < engine->rule_count ? &engine->rules[next] : NULL;
}

static void
drop(struct ql_engine *engine, struct ql_rule_view *view)
{
	ql_rule_done(&view->rule);
	*view = engine->rules[--engine->rule_count];
}

static void
change(struct ql_engine *engine, struct ql_rule_write *op)
{
	struct ql_rule_view *view = find(engine, op->rule.name);
	if (view && !op->drops && !op->replaces) {
		ql_fail(&op->err, QL_E_CONFLICT, "there is a policy %s already", op->rule.name);
		return;
	}
	if (view)
		drop(engine, view);
	if (op->drops || engine->rule_count == FAKE_RULES)
		return;
	engine->rules[engine->rule_count] = (struct ql_rule_view){0};
	ql_rule_copy(&engine->rules[engine->rule_count++].rule, &op->rule, NULL);
}

static void
write_turn(struct ql_engine *engine, void *arg)
{
	struct ql_rule_write *op = arg;
	op->err = engine->fail;
	if (!op->err.code)
		change(engine, op);
	ql_changes_free(op->beside);
	op->beside = NULL;
	op->done(op, op->err.code ? -1 : 0);
}

void
ql_engine_rule_write(struct ql_engine *engine, struct ql_rule_write *op)
{
	fake_later(engine, write_turn, op);
}

static void
trial_turn(struct ql_engine *engine, void *arg)
{
	struct ql_trial *op = arg;
	op->err = engine->fail;
	op->whole = true;
	op->picked = engine->trial_picked;
	op->live = engine->trial_live;
	op->sample_count = op->picked ? 1 : 0;
	if (op->picked) {
		ql_str_copy(op->sample[0].eval_id, sizeof(op->sample[0].eval_id), "e1");
		ql_str_copy(op->sample[0].why, sizeof(op->sample[0].why), "it is late");
		op->sample[0].at = 1000;
	}
	op->done(op, op->err.code ? -1 : 0);
}

void
ql_engine_trial(struct ql_engine *engine, struct ql_trial *op)
{
	fake_later(engine, trial_turn, op);
}

static void
session_turn(struct ql_engine *engine, void *arg)
{
	struct ql_session_write *op = arg;
	op->err = engine->fail;
	if (!op->err.code && engine->session.over_at && !op->ends)
		ql_fail(&op->err, QL_E_CONFLICT, "session %s was ended", op->session);
	if (!op->err.code)
		engine->session = (struct ql_lease){
			.lease_ms = op->lease_ms,
			.until = 5000,
			.over_at = op->ends ? 4000 : 0,
		};
	op->lease = engine->session;
	ql_changes_free(op->beside);
	op->beside = NULL;
	op->done(op, op->err.code ? -1 : 0);
}

void
ql_engine_session_write(struct ql_engine *engine, struct ql_session_write *op)
{
	fake_later(engine, session_turn, op);
}

bool
ql_engine_session(const struct ql_engine *engine, const char *owner, const char *session,
	struct ql_lease *ret_lease)
{
	(void)owner;
	(void)session;
	*ret_lease = engine->session;
	return engine->session.until != 0;
}

int
ql_engine_session_hold(
	struct ql_engine *engine, const char *owner, const char *session, struct ql_err *e)
{
	(void)owner;
	if (!engine->session.until)
		return ql_fail(e, QL_E_NOT_FOUND, "there is no session %s", session);
	engine->holds++;
	return 0;
}

void
ql_engine_session_release(struct ql_engine *engine, const char *owner, const char *session)
{
	(void)owner;
	(void)session;
	engine->holds--;
}

void
fake_policies_free(struct ql_engine *engine)
{
	while (engine->rule_count)
		drop(engine, engine->rules);
}
