/* The rules: loaded at the start, changed by whoever may, and shown. */
#include "engine/policing.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"

#define LOAD_PAGE 1000

/* ---- the set ---- */

static struct ruling *
find(const struct policing *policing, const char *name)
{
	struct ruling *ruling;
	HASH_FIND_STR(policing->rulings, name, ruling);
	return ruling;
}

static int
by_name(const struct ruling *one, const struct ruling *two)
{
	return strcmp(one->view.rule.name, two->view.rule.name);
}

static struct ruling *
add(struct policing *policing, const char *name)
{
	struct ruling *ruling = calloc(1, sizeof(*ruling));
	if (!ruling)
		return NULL;
	ruling->engine = policing->engine;
	ql_str_copy(ruling->view.rule.name, sizeof(ruling->view.rule.name), name);
	HASH_ADD_STR(policing->rulings, view.rule.name, ruling);
	HASH_SORT(policing->rulings, by_name);
	return ruling;
}

static void
take_out(struct policing *policing, struct ruling *ruling)
{
	HASH_DEL(policing->rulings, ruling);
	ql_round_end(ruling);
}

/* Takes the rule, which has the name that the ruling has already. */
static void
keep(struct ruling *ruling, struct ql_rule *rule)
{
	ql_rule_done(&ruling->view.rule);
	ruling->view.rule = *rule;
	*rule = (struct ql_rule){0};
	ruling->kept = true;
	ruling->shedding = (struct ql_shedding){0};
	ql_round_soon(ruling);
}

/* ---- reading them ---- */

int
ql_engine_rules_check(const struct ql_engine *engine, struct ql_err *e)
{
	if (engine->policing->loaded)
		return 0;
	return ql_fail(e, QL_E_UNAVAILABLE,
		"policies and sessions are not read from the store yet: try again in a moment");
}

int
ql_policing_check(const struct ql_engine *engine, struct ql_err *e)
{
	return ql_engine_check_open(engine, e) ? -1 : ql_engine_rules_check(engine, e);
}

static const struct ql_rule_view *
next_kept(const struct ruling *ruling)
{
	while (ruling && !ruling->kept)
		ruling = ruling->hh.next;
	return ruling ? &ruling->view : NULL;
}

const struct ql_rule_view *
ql_engine_rule(const struct ql_engine *engine, const char *name)
{
	const struct ruling *ruling = find(engine->policing, name);
	return ruling && ruling->kept ? &ruling->view : NULL;
}

const struct ql_rule_view *
ql_engine_rule_next(const struct ql_engine *engine, const struct ql_rule_view *view)
{
	return next_kept(view ? find(engine->policing, view->rule.name)->hh.next
			      : engine->policing->rulings);
}

/* ---- changing them ---- */

struct changing {
	struct ql_write write;
	struct later later;
	struct ql_engine *engine;
	struct ql_rule_write *op;
};

static void
finish(struct changing *changing)
{
	struct ql_engine *engine = changing->engine;
	struct ql_rule_write *op = changing->op;
	ql_rule_done(&op->rule);
	ql_changes_free(op->beside);
	op->beside = NULL;
	free(changing);
	op->done(op, op->err.code ? -1 : 0);
	ql_engine_op_end(engine);
}

static void
on_later(struct later *later)
{
	finish(QL_OWNER(later, struct changing, later));
}

static void
on_written(struct ql_write *write, int status)
{
	struct changing *changing = QL_OWNER(write, struct changing, write);
	struct ql_rule_write *op = changing->op;
	struct policing *policing = changing->engine->policing;
	struct ruling *ruling = find(policing, op->rule.name);
	ruling->changing = false;
	if (status)
		op->err = write->err;
	else if (!op->drops)
		keep(ruling, &op->rule);
	if (!ruling->kept || (op->drops && !status))
		take_out(policing, ruling);
	finish(changing);
}

static int
check_name(const struct policing *policing, const struct ql_rule_write *op, struct ql_err *e)
{
	const struct ruling *ruling = find(policing, op->rule.name);
	const char *name = op->rule.name;
	if (ql_policing_check(policing->engine, e))
		return -1;
	if (ruling && ruling->changing)
		return ql_fail(e, QL_E_CONFLICT, "policy %s is being changed: try again", name);
	if (!ruling && (op->drops || op->replaces))
		return ql_fail(e, QL_E_NOT_FOUND, "there is no policy %s", name);
	if (ruling && !op->drops && !op->replaces)
		return ql_fail(e, QL_E_CONFLICT,
			"there is a policy %s already: remove it first, or take another name",
			name);
	if (ruling || HASH_COUNT(policing->rulings) < QL_RULES_MAX)
		return 0;
	return ql_fail(e, QL_E_LIMIT, "there are %d policies already, and no more are allowed",
		QL_RULES_MAX);
}

static struct ql_change *
change_of(const struct policing *policing, const struct ql_rule_write *op)
{
	const struct ruling *ruling = find(policing, op->rule.name);
	if (op->drops)
		return ql_change_drop(QL_OBJECT_POLICY, op->rule.name);
	char *text = ql_deeds_text(&op->rule, ruling ? &ruling->view : NULL);
	struct ql_change *change =
		text ? ql_change_put(QL_OBJECT_POLICY, op->rule.name, text) : NULL;
	free(text);
	return change;
}

static int
begin(struct changing *changing, struct ql_err *e)
{
	struct ql_rule_write *op = changing->op;
	struct policing *policing = changing->engine->policing;
	if (check_name(policing, op, e))
		return -1;
	struct ql_change *change = change_of(policing, op);
	struct ruling *ruling = find(policing, op->rule.name);
	if (change && !ruling)
		ruling = add(policing, op->rule.name);
	if (!change || !ruling) {
		ql_changes_free(change);
		return ql_fail(e, QL_E_SYSTEM, "out of memory for a policy: try again later");
	}
	ruling->changing = true;
	change->next = op->beside;
	op->beside = NULL;
	changing->write = (struct ql_write){.changes = change, .done = on_written};
	ql_engine_write(changing->engine, &changing->write);
	return 0;
}

void
ql_engine_rule_write(struct ql_engine *engine, struct ql_rule_write *op)
{
	struct changing *changing = calloc(1, sizeof(*changing));
	if (!changing)
		abort(); /* not even a refusal can be queued */
	op->err = (struct ql_err){0};
	changing->engine = engine;
	changing->op = op;
	ql_engine_op_begin(engine);
	if (!begin(changing, &op->err))
		return;
	changing->later.fn = on_later;
	ql_later(engine, &changing->later);
}

/* ---- at the start ---- */

static int
load_rule(struct policing *policing, const struct ql_object *object, struct ql_err *e)
{
	struct ql_rule rule;
	if (ql_rule_parse(object->text, &rule, e))
		return -1;
	struct ruling *ruling = add(policing, rule.name);
	if (!ruling) {
		ql_rule_done(&rule);
		return ql_fail(e, QL_E_SYSTEM, "out of memory");
	}
	ql_deeds_load(&ruling->view, object->text);
	keep(ruling, &rule);
	return 0;
}

/* A rule is asked as soon as it is there, so what rules look at is loaded before. */
static const struct kind {
	enum ql_object_kind object;
	int (*load)(struct policing *policing, const struct ql_object *object, struct ql_err *e);
} kinds[] = {
	{QL_OBJECT_SPENDING, ql_spending_load},
	{QL_OBJECT_SESSION, ql_session_load},
	{QL_OBJECT_POLICY, load_rule},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void
load_one(struct policing *policing, const struct ql_object *object)
{
	struct ql_err err;
	if (kinds[policing->loading].load(policing, object, &err))
		ql_engine_log(policing->engine, "%s %s is left out: %s",
			ql_object_word(kinds[policing->loading].object), object->id, err.text);
}

static void
on_all_loaded(struct policing *policing)
{
	policing->loaded = true;
	ql_session_loaded(policing);
	ql_spending_loaded(policing);
}

static void load_page(struct policing *policing);

static void
on_loaded(struct ql_store_read *read, int status)
{
	struct policing *policing = QL_OWNER(read, struct policing, load);
	struct ql_engine *engine = policing->engine;
	size_t count = read->object_count;
	if (status) {
		ql_engine_log(engine, "policies can't be read: %s", read->err.text);
		ql_wake_set(
			engine, &policing->load_again, ql_engine_now(engine) + QL_ENGINE_RETRY_MS);
	}
	for (size_t i = 0; !status && i < count; i++)
		load_one(policing, &read->objects[i]);
	if (!status && count)
		ql_str_copy(policing->load_after, sizeof(policing->load_after),
			read->objects[count - 1].id);
	ql_store_read_done(read);
	if (!status && count < LOAD_PAGE) {
		policing->loading++;
		policing->load_after[0] = 0;
	}
	if (policing->loading == KINDS)
		on_all_loaded(policing);
	else if (!status)
		load_page(policing);
	ql_engine_op_end(engine);
}

static void
load_page(struct policing *policing)
{
	if (policing->engine->closing)
		return;
	policing->load = (struct ql_store_read){.kind = QL_READ_OBJECTS,
		.filter = {.object = kinds[policing->loading].object,
			.after = policing->load_after,
			.limit = LOAD_PAGE},
		.done = on_loaded};
	ql_engine_op_begin(policing->engine);
	ql_engine_read(policing->engine, &policing->load);
}

static void
on_load_again(struct wake *wake)
{
	load_page(QL_OWNER(wake, struct policing, load_again));
}

static double
level(void *arg, enum ql_measure measure)
{
	const struct policing *policing = arg;
	const struct ql_engine_config *config = &policing->engine->config;
	if (measure == QL_MEASURE_QUEUE_DEPTH)
		return (double)policing->engine->queued;
	return config->measure ? config->measure(config->measure_arg, measure) : -1;
}

static int64_t
used(void *arg, const char *owner, int64_t window_ms)
{
	const struct policing *policing = arg;
	return ql_ledger_used(policing->ledger, owner, ql_engine_now(policing->engine), window_ms);
}

static int64_t
most_used(void *arg, int64_t window_ms)
{
	const struct policing *policing = arg;
	return ql_ledger_most(policing->ledger, ql_engine_now(policing->engine), window_ms);
}

int
ql_policing_open(struct ql_engine *engine, struct ql_err *e)
{
	struct policing *policing = calloc(1, sizeof(*policing));
	if (!policing)
		return ql_fail(e, QL_E_UNAVAILABLE, "the engine: out of memory");
	policing->engine = engine;
	policing->ledger = ql_ledger_new(ql_engine_now(engine));
	if (!policing->ledger) {
		free(policing);
		return ql_fail(e, QL_E_UNAVAILABLE, "the engine: out of memory");
	}
	ql_ledger_oldest(ql_engine_now(engine), policing->load_after);
	policing->load_again.fn = on_load_again;
	policing->facts = (struct ql_facts){
		.level = level,
		.session_over = ql_session_over,
		.any_session_over = ql_session_any_over,
		.used = used,
		.most_used = most_used,
		.arg = policing,
	};
	engine->policing = policing;
	return 0;
}

void
ql_policing_start(struct ql_engine *engine)
{
	load_page(engine->policing);
}

void
ql_policing_close(struct ql_engine *engine)
{
	struct policing *policing = engine->policing;
	struct ruling *ruling, *next;
	HASH_ITER (hh, policing->rulings, ruling, next)
		ql_wake_clear(engine, &ruling->wake);
	ql_wake_clear(engine, &policing->load_again);
	ql_wake_clear(engine, &policing->spending_sweep);
	ql_session_close(policing);
}

void
ql_policing_free(struct ql_engine *engine)
{
	struct policing *policing = engine->policing;
	struct ruling *ruling, *next;
	if (!policing)
		return;
	ql_policing_close(engine);
	HASH_ITER (hh, policing->rulings, ruling, next)
		take_out(policing, ruling);
	ql_sessions_free(policing);
	ql_ledger_free(policing->ledger);
	free(policing);
}
