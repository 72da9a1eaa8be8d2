/*
 * Rounds: a rule is asked whom it stops, page by page; each of a page is stopped, and the next page is
 * read when all of them are answered. A round takes no more than a twentieth of the time.
 */
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "engine/policing.h"

#define SHARE 20 /* of the time, one part is for the rounds of a rule */
#define LATECOMER_MS 30000 /* what came in with no news of it is looked for that often */

struct item {
	struct ql_stop stop;
	struct ruling *ruling;
	char eval_id[QL_EVAL_ID];
	char actor[QL_EVAL_ID + 8];
	char why[QL_REASON_MAX];
	char owner[]; /* whose it is: a policy finds nothing else under that id */
};

static void next_page(struct ruling *ruling);

static void
note(struct ruling *ruling, const struct item *item)
{
	struct ql_rule_view *view = &ruling->view;
	view->stops++;
	view->last_at = ql_engine_now(ruling->engine);
	memcpy(view->last_eval_id, item->eval_id, sizeof(item->eval_id));
	memcpy(view->last_why, item->why, sizeof(item->why));
	ruling->stopped++;
}

/* What has finished meanwhile, or is stopped already, is no trouble. */
static bool
is_trouble(const struct ql_err *err)
{
	return err->code == QL_E_UNAVAILABLE || err->code == QL_E_DISK_FULL ||
	       err->code == QL_E_TIMEOUT || err->code == QL_E_LIMIT;
}

static void
on_stopped(struct ql_stop *stop, int status)
{
	struct item *item = QL_OWNER(stop, struct item, stop);
	struct ruling *ruling = item->ruling;
	if (!status && stop->verdict == QL_VERDICT_DONE)
		note(ruling, item);
	else if (status && is_trouble(&stop->err))
		ql_str_copy(ruling->view.trouble, sizeof(ruling->view.trouble), stop->err.text);
	ql_stop_done(stop);
	free(item);
	ruling->stopping--;
	next_page(ruling);
}

static void
on_pick(struct walk *walk, const struct ql_record *record, int64_t at, const char *why)
{
	struct ruling *ruling = QL_OWNER(walk, struct ruling, walk);
	const struct ql_rule *rule = &ruling->asked;
	size_t len = strlen(record->owner);
	struct item *item = calloc(1, sizeof(*item) + len + 1);
	(void)at;
	if (!item)
		return; /* the next round finds it again */
	item->ruling = ruling;
	memcpy(item->owner, record->owner, len);
	memcpy(item->eval_id, record->eval_id, sizeof(item->eval_id));
	ql_str_copy(item->why, sizeof(item->why), why);
	ql_str_copy(item->actor, sizeof(item->actor), "policy:");
	ql_str_copy(item->actor + 7, sizeof(item->actor) - 7, rule->name);
	item->stop = (struct ql_stop){
		.caller = {.actor = item->actor, .owner = item->owner},
		.eval_id = item->eval_id,
		.in_bulk = true,
		.attempt = record->state.attempt,
		.mode = rule->mode,
		.cause = QL_CAUSE_POLICY,
		.top = rule->top,
		.grace_ms = rule->grace_s < 0 ? -1 : (int64_t)(rule->grace_s * 1000),
		.reason = item->why,
		.done = on_stopped,
	};
	ruling->stopping++;
	ql_engine_stop(ruling->engine, &item->stop);
}

/* ---- the end of a round ---- */

static void
over(struct ruling *ruling)
{
	struct ql_engine *engine = ruling->engine;
	int64_t took = (int64_t)((uv_hrtime() - ruling->begun_ns) / 1000000);
	int64_t every = ql_rule_every(&ruling->asked);
	ql_walk_done(&ruling->walk);
	ql_rule_done(&ruling->asked);
	ruling->busy = false;
	ruling->view.rounds++;
	if (!ruling->more && !ruling->view.trouble[0])
		ruling->seen = ruling->seen_now;
	if (ruling->stopped)
		ql_engine_log(engine, "policy %s asked for %zu stops: %s", ruling->view.rule.name,
			ruling->stopped, ruling->view.last_why);
	if (ruling->gone) {
		free(ruling);
		return;
	}
	if (ruling->stopped)
		ql_deeds_tell(ruling);
	int64_t in = took * SHARE > every ? took * SHARE : every;
	if (ruling->view.rule.enabled && !engine->closing)
		ql_wake_set(engine, &ruling->wake, ql_engine_now(engine) + in);
}

static void
next_page(struct ruling *ruling)
{
	if (!ruling->paged || ruling->stopping)
		return;
	ruling->paged = false;
	if (ruling->more && !ruling->gone && !ruling->engine->stopping)
		ql_walk(&ruling->walk);
	else
		over(ruling);
}

static void
on_page(struct walk *walk, bool more, const struct ql_err *err)
{
	struct ruling *ruling = QL_OWNER(walk, struct ruling, walk);
	if (err)
		ql_str_copy(ruling->view.trouble, sizeof(ruling->view.trouble), err->text);
	ruling->more = more;
	ruling->paged = true;
	next_page(ruling);
}

/* ---- its beginning ---- */

/* Of a rule that looks at what is submitted, nothing can have changed before something was. */
static bool
is_settled(const struct ruling *ruling)
{
	enum ql_trigger trigger = ruling->view.rule.trigger;
	const struct ql_engine *engine = ruling->engine;
	return (trigger == QL_TRIGGER_SUPERSEDED || trigger == QL_TRIGGER_SESSION_ENDED) &&
	       ruling->seen == engine->submitted && ql_engine_now(engine) < ruling->again_at;
}

/* What the last one frees is not seen before it is gone. */
static bool
is_leaving(const struct ruling *ruling)
{
	const struct ql_rule_view *view = &ruling->view;
	int64_t since = ql_engine_now(ruling->engine) - view->last_at;
	if (!ql_rule_goes_one_by_one(&view->rule) || !view->last_at || since > QL_ROUND_LEAVE_MS)
		return false;
	const struct ql_live *live = ql_live_find(ruling->engine, view->last_eval_id);
	return live && live->loaded && live->durable.status == QL_STATUS_CANCELLING;
}

static void
rest(struct ruling *ruling)
{
	struct ql_engine *engine = ruling->engine;
	ql_wake_set(
		engine, &ruling->wake, ql_engine_now(engine) + ql_rule_every(&ruling->view.rule));
}

static void
walk(struct ruling *ruling)
{
	if (!ruling->engine->stopping &&
		ql_walk_begin(&ruling->walk, &ruling->asked, 0, QL_ROUND_STOPS, &ruling->shedding))
		ql_walk(&ruling->walk);
	else
		over(ruling);
}

static void
on_spending(struct spending_want *want)
{
	walk(QL_OWNER(want, struct ruling, spending));
}

static void
on_wake(struct wake *wake)
{
	struct ruling *ruling = QL_OWNER(wake, struct ruling, wake);
	struct ql_engine *engine = ruling->engine;
	if (engine->stopping || ruling->busy || !ruling->view.rule.enabled)
		return;
	if (is_settled(ruling) || is_leaving(ruling) ||
		ql_rule_copy(&ruling->asked, &ruling->view.rule, NULL)) {
		rest(ruling);
		return;
	}
	ruling->busy = true;
	ruling->more = false;
	ruling->paged = false;
	ruling->stopped = 0;
	ruling->begun_ns = uv_hrtime();
	ruling->seen_now = engine->submitted;
	ruling->again_at = ql_engine_now(engine) + LATECOMER_MS;
	ruling->view.trouble[0] = 0;
	ruling->walk.engine = engine;
	ruling->walk.pick = on_pick;
	ruling->walk.page = on_page;
	ruling->spending.ready = on_spending;
	if (ruling->asked.trigger == QL_TRIGGER_BUDGET)
		ql_spending_look(engine->policing, &ruling->spending);
	else
		walk(ruling);
}

void
ql_round_soon(struct ruling *ruling)
{
	ruling->seen = -1;
	ruling->wake.fn = on_wake;
	if (ruling->view.rule.enabled && !ruling->busy)
		ql_wake_set(ruling->engine, &ruling->wake, ql_engine_now(ruling->engine));
}

void
ql_rounds_soon(struct policing *policing, enum ql_trigger trigger)
{
	struct ruling *ruling, *next;
	HASH_ITER (hh, policing->rulings, ruling, next) {
		if (ruling->kept && ruling->view.rule.trigger == trigger)
			ql_round_soon(ruling);
	}
}

/* It leaves the set of rules; what is under way ends first. */
void
ql_round_end(struct ruling *ruling)
{
	ql_wake_clear(ruling->engine, &ruling->wake);
	ql_rule_done(&ruling->view.rule);
	ruling->gone = true;
	if (!ruling->busy)
		free(ruling);
}
