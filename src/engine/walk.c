#include <stdio.h>

#include "base/owner.h"
#include "engine/policing.h"
#include "rules/selector.h"

bool
ql_walk_begin(struct walk *walk, const struct ql_rule *rule, int64_t past, int64_t room,
	struct ql_shedding *shedding)
{
	struct ql_engine *engine = walk->engine;
	walk->past = past;
	walk->cursor = 0;
	walk->looked = 0;
	walk->priority = ql_choice_by_priority(rule) ? 0 : -1;
	if (!ql_choice_begin(&walk->choice, rule, &engine->policing->facts, ql_engine_now(engine),
		    room, shedding))
		return false;
	walk->choice.past = past != 0;
	return true;
}

void
ql_walk_done(struct walk *walk)
{
	ql_selector_done(&walk->selector);
	ql_choice_done(&walk->choice);
	walk->choice = (struct ql_choice){0};
}

/* Whether there is a further page, or a further priority. */
static bool
go_on(struct walk *walk)
{
	if (walk->choice.room <= 0 || walk->choice.full)
		return false;
	walk->cursor = walk->read.next_cursor;
	if (walk->cursor)
		return true;
	if (walk->priority < 0 || walk->priority == QL_PRIORITY_MAX)
		return false;
	walk->priority++;
	return true;
}

static void
on_page(struct ql_store_read *read, int status)
{
	struct walk *walk = QL_OWNER(read, struct walk, read);
	struct ql_engine *engine = walk->engine;
	struct ql_err err = read->err;
	char why[QL_REASON_MAX];
	int64_t at;
	for (size_t i = 0; !status && i < read->record_count; i++) {
		walk->looked++;
		if (ql_choice_pick(&walk->choice, &read->records[i], &at, why))
			walk->pick(walk, &read->records[i], at, why);
	}
	bool more = !status && go_on(walk);
	ql_store_read_done(read);
	walk->page(walk, more, status ? &err : NULL);
	ql_engine_op_end(engine);
}

/* The terms of a pass over one priority. */
static int
make_terms(struct walk *walk, struct ql_err *e)
{
	char more[32] = "";
	ql_selector_done(&walk->selector);
	if (walk->priority >= 0)
		snprintf(more, sizeof(more), "priority=%d", walk->priority);
	return ql_rule_terms(walk->choice.rule, walk->past, more, &walk->selector, e);
}

/* A priority that the selector leaves out is passed over. */
static int
next_terms(struct walk *walk, struct ql_err *e)
{
	while (make_terms(walk, e)) {
		if (walk->priority < 0 || walk->priority == QL_PRIORITY_MAX)
			return -1;
		walk->priority++;
	}
	return 0;
}

void
ql_walk(struct walk *walk)
{
	struct ql_err err;
	if (next_terms(walk, &err)) {
		walk->page(walk, false, walk->priority < 0 ? &err : NULL);
		return;
	}
	walk->read = (struct ql_store_read){.kind = QL_READ_LIST,
		.filter = {.selector = &walk->selector,
			.now = walk->choice.now,
			.cursor = walk->cursor,
			.limit = QL_ROUND_PAGE},
		.done = on_page};
	ql_engine_op_begin(walk->engine);
	ql_engine_read(walk->engine, &walk->read);
}
