/* What is durable besides evaluations: documents, and the rows of the audit. */
#include "engine/private.h"

#include <stdlib.h>

#include "base/owner.h"
#include "base/str.h"

struct writing {
	struct later later;
	struct ql_engine *engine;
	struct ql_write *op;
};

static void
finish(struct writing *writing, const struct ql_err *err)
{
	struct ql_engine *engine = writing->engine;
	struct ql_write *op = writing->op;
	free(writing);
	op->done(op, err ? -1 : 0);
	ql_engine_op_end(engine);
}

static void
on_later(struct later *later)
{
	struct writing *writing = QL_OWNER(later, struct writing, later);
	finish(writing, &writing->op->err);
}

static void
on_durable(struct decided *decided, const struct ql_err *err)
{
	struct writing *writing = decided->arg;
	if (err)
		writing->op->err = *err;
	finish(writing, err);
}

static size_t
prepare(struct ql_change *changes, int64_t now)
{
	size_t count = 0;
	for (struct ql_change *change = changes; change; change = change->next, count++)
		change->at = change->at ? change->at : now;
	return count;
}

static int
add(struct ql_engine *engine, struct writing *writing)
{
	struct ql_write *op = writing->op;
	size_t count = prepare(op->changes, ql_engine_now(engine));
	if (engine->shut)
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "the server is stopping");
	if (ql_batch_full(engine, count))
		return ql_fail(&op->err, QL_E_UNAVAILABLE,
			"%d changes wait for the store already: try again", QL_ENGINE_GATHER_MAX);
	struct decided *decided = ql_batch_add(engine, op->changes);
	if (!decided)
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "out of memory: try again later");
	op->changes = NULL; /* the batch's */
	decided->done = on_durable;
	decided->arg = writing;
	return 0;
}

void
ql_engine_write(struct ql_engine *engine, struct ql_write *op)
{
	struct writing *writing = calloc(1, sizeof(*writing));
	if (!writing)
		abort(); /* not even a refusal can be queued */
	op->engine_private = writing;
	writing->engine = engine;
	writing->op = op;
	ql_engine_op_begin(engine);
	if (!add(engine, writing))
		return;
	ql_changes_free(op->changes);
	op->changes = NULL;
	writing->later.fn = on_later;
	ql_later(engine, &writing->later);
}

int
ql_attempt_add(struct ql_change *changes, const struct ql_attempt *attempt, int status, int64_t at)
{
	if (!attempt)
		return 0;
	char *text = ql_attempt_text(attempt, "accepted", status);
	struct ql_change *change = text ? ql_change_new(QL_CHANGE_AUDIT) : NULL;
	if (!change) {
		free(text);
		return -1;
	}
	change->text = text;
	change->at = at;
	while (changes->next)
		changes = changes->next;
	changes->next = change;
	return 0;
}
