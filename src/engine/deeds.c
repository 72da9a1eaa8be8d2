/*
 * What each rule did: durable beside it, in one write after each round that stopped something. A server that
 * dies in the middle of a round forgets that round's.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/policing.h"

#define DEEDS "did" /* in the rule's document; what is shown of a rule is made without it */

static json_t *
deeds_json(const struct ql_rule_view *view)
{
	return json_pack("{s:I, s:I, s:s, s:s}", "stops", (json_int_t)view->stops, "last_at",
		(json_int_t)view->last_at, "last_eval_id", view->last_eval_id, "last_why",
		view->last_why);
}

char *
ql_deeds_text(const struct ql_rule *rule, const struct ql_rule_view *view)
{
	json_t *json = ql_rule_json(rule);
	json_t *deeds = view && view->stops ? deeds_json(view) : NULL;
	bool lost = view && view->stops && !deeds;
	if (deeds)
		lost |= json_object_set_new(json, DEEDS, deeds) != 0;
	char *text = json && !lost ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text;
}

/* Of one that stopped nothing there are none. */
void
ql_deeds_load(struct ql_rule_view *view, const char *text)
{
	json_t *json = json_loads(text, 0, NULL);
	json_t *deeds = json_object_get(json, DEEDS);
	json_int_t stops, at;
	const char *eval_id, *why;
	if (deeds && !json_unpack(deeds, "{s:I, s:I, s:s, s:s}", "stops", &stops, "last_at", &at,
			     "last_eval_id", &eval_id, "last_why", &why)) {
		view->stops = stops;
		view->last_at = at;
		ql_str_copy(view->last_eval_id, sizeof(view->last_eval_id), eval_id);
		ql_str_copy(view->last_why, sizeof(view->last_why), why);
	}
	json_decref(json);
}

/* ---- after a round ---- */

struct telling {
	struct ql_write write; /* first */
	struct ql_engine *engine;
	char name[QL_EVAL_ID];
};

/* What was not kept is kept with the next round's. */
static void
on_told(struct ql_write *write, int status)
{
	struct telling *telling = (struct telling *)write;
	struct ql_engine *engine = telling->engine;
	if (status)
		ql_engine_log(engine, "what policy %s stopped isn't kept: %s", telling->name,
			write->err.text);
	free(telling);
	ql_engine_op_end(engine);
}

void
ql_deeds_tell(struct ruling *ruling)
{
	const struct ql_rule_view *view = &ruling->view;
	if (ruling->changing) /* it goes with the change, or with the next round */
		return;
	char *text = ql_deeds_text(&view->rule, view);
	struct telling *telling = calloc(1, sizeof(*telling));
	struct ql_change *change =
		text ? ql_change_put(QL_OBJECT_POLICY, view->rule.name, text) : NULL;
	free(text);
	if (!telling || !change) {
		free(telling);
		ql_changes_free(change);
		return;
	}
	telling->engine = ruling->engine;
	ql_str_copy(telling->name, sizeof(telling->name), view->rule.name);
	telling->write = (struct ql_write){.changes = change, .done = on_told};
	ql_engine_op_begin(ruling->engine);
	ql_engine_write(ruling->engine, &telling->write);
}
