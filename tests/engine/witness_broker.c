#include <stdlib.h>

#include "engine/witness.h"

struct witness {
	struct ql_broker broker; /* first */
	struct ql_broker *inner;
	struct book *book;
	bool dead;
	struct seen *open; /* by the engine's operation */
	struct passed_close closing;
};

struct seen {
	struct ql_runtime_op op; /* first; as the inner driver sees it */
	struct ql_runtime_op *outer;
	struct witness *witness;
	UT_hash_handle hh;
};

/* Is this act's decision durable? */
static bool
is_decided(const struct ql_state *state, const struct ql_runtime_op *op)
{
	const struct ql_run *run = ql_state_run(state, op->incarnation);
	switch (op->kind) {
	case QL_ACT_ENQUEUE:
		return state->attempt >= op->attempt;
	case QL_ACT_REMOVE:
	case QL_ACT_NOTICE:
	case QL_ACT_TERMINATE:
		return state->cancel.requested_at;
	case QL_ACT_KILL:
		return !run || run->killed_at;
	case QL_ACT_INSPECT:
		return op->boxes != QL_BOXES_END || state->cancel.mode == QL_MODE_KILL ||
		       state->cancel.rung == QL_RUNG_KILL;
	default:
		return true;
	}
}

static void
check(struct book *book, const struct ql_runtime_op *op)
{
	const struct witnessed *eval = book_find(book, op->eval_id);
	book->acts[op->kind]++;
	if (!eval || !is_decided(&eval->state, op))
		book_complain(book, "'%s' of %s was released, and its decision isn't durable",
			ql_act_word(op->kind), op->eval_id);
}

static void
act_done(struct ql_runtime_op *op, int status)
{
	struct seen *seen = (struct seen *)op;
	struct witness *witness = seen->witness;
	struct ql_runtime_op *outer = seen->outer;
	HASH_DEL(witness->open, seen);
	bool dead = witness->dead;
	if (!dead)
		outer->err = op->err;
	free(seen);
	if (!dead)
		outer->done(outer, status);
}

static void
witness_act(struct ql_broker *broker, struct ql_runtime_op *op)
{
	struct witness *witness = (struct witness *)broker;
	if (witness->dead)
		return;
	check(witness->book, op);
	if (op->kind == QL_ACT_TERMINATE && !op->place)
		book_complain(witness->book,
			"a signal to a run of %s, and where that is isn't kept", op->eval_id);
	struct seen *seen = calloc(1, sizeof(*seen));
	if (!seen)
		abort();
	seen->op = *op;
	seen->op.done = act_done;
	seen->outer = op;
	seen->witness = witness;
	HASH_ADD_PTR(witness->open, outer, seen);
	witness->inner->ops->act(witness->inner, &seen->op);
}

static void
witness_locate(struct ql_broker *broker, struct ql_locate *op)
{
	struct witness *witness = (struct witness *)broker;
	if (!witness->dead)
		witness->inner->ops->locate(witness->inner, op);
}

static int
witness_bury(struct ql_broker *broker, const struct ql_tombstone *tombstone, struct ql_err *e)
{
	struct witness *witness = (struct witness *)broker;
	return witness->dead ? 0 : witness->inner->ops->bury(witness->inner, tombstone, e);
}

static void
witness_lift(struct ql_broker *broker, const char *task_id)
{
	struct witness *witness = (struct witness *)broker;
	if (!witness->dead)
		witness->inner->ops->lift(witness->inner, task_id);
}

static void
witness_remember(struct ql_broker *broker, int64_t now)
{
	struct witness *witness = (struct witness *)broker;
	if (!witness->dead)
		witness->inner->ops->remember(witness->inner, now);
}

static size_t
witness_health(const struct ql_broker *broker, struct ql_dependency *ret, size_t size)
{
	const struct witness *witness = (const struct witness *)broker;
	return witness->inner->ops->health(witness->inner, ret, size);
}

static int64_t
witness_cpu_us(struct ql_broker *broker, uint64_t incarnation)
{
	struct witness *witness = (struct witness *)broker;
	return witness->inner->ops->cpu_us(witness->inner, incarnation);
}

static const char *
witness_container(struct ql_broker *broker, const char *task_id)
{
	struct ql_broker *inner = ((struct witness *)broker)->inner;
	return inner->ops->container ? inner->ops->container(inner, task_id) : NULL;
}

static void
sighted(void *arg, const struct ql_sighting *sighting)
{
	struct witness *witness = arg;
	if (!witness->dead)
		witness->broker.sink.sighted(witness->broker.sink.arg, sighting);
}

static void
back(void *arg)
{
	struct witness *witness = arg;
	if (!witness->dead && witness->broker.back)
		witness->broker.back(witness->broker.back_arg);
}

static void
forgot(void *arg, int64_t since)
{
	struct witness *witness = arg;
	if (!witness->dead && witness->broker.forgot)
		witness->broker.forgot(witness->broker.back_arg, since);
}

static void
known(void *arg, const char *node, const char *text)
{
	struct witness *witness = arg;
	if (!witness->dead && witness->broker.known)
		witness->broker.known(witness->broker.back_arg, node, text);
}

static void
witness_expect(struct ql_broker *broker, const char *node, const char *text)
{
	struct witness *witness = (struct witness *)broker;
	if (!witness->dead && witness->inner->ops->expect)
		witness->inner->ops->expect(witness->inner, node, text);
}

static void
witness_close(struct ql_broker *broker, void (*closed)(void *arg), void *arg)
{
	struct witness *witness = (struct witness *)broker;
	witness->closing = (struct passed_close){witness, closed, arg};
	witness->inner->ops->close(witness->inner, witness_closed, &witness->closing);
}

void
witness_broker_die(struct ql_broker *broker, void (*closed)(void *arg), void *arg)
{
	struct witness *witness = (struct witness *)broker;
	witness->dead = true;
	/* not freed: what the dead engine still prepares comes here, and goes nowhere */
	witness->inner->ops->close(witness->inner, closed, arg);
}

static const struct ql_broker_ops ops = {
	.name = "witness",
	.act = witness_act,
	.locate = witness_locate,
	.bury = witness_bury,
	.lift = witness_lift,
	.cpu_us = witness_cpu_us,
	.remember = witness_remember,
	.expect = witness_expect,
	.container = witness_container,
	.health = witness_health,
	.close = witness_close,
};

struct ql_broker *
witness_broker(struct ql_broker *inner, struct book *book)
{
	struct witness *witness = calloc(1, sizeof(*witness));
	if (!witness)
		abort();
	witness->broker = (struct ql_broker){.ops = &ops, .loop = inner->loop};
	witness->inner = inner;
	witness->book = book;
	inner->sink = (struct ql_runtime_sink){.sighted = sighted, .arg = witness};
	inner->back = back;
	inner->forgot = forgot;
	inner->known = known;
	inner->back_arg = witness;
	return &witness->broker;
}
