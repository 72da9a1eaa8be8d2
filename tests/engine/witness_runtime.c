#include "engine/witness.h"

#include <stdlib.h>

struct witness {
	struct ql_runtime runtime; /* first */
	struct ql_runtime *inner;
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

static const struct ql_run *
durable_run(const struct book *book, uint64_t incarnation, const struct ql_state **ret_state)
{
	for (struct witnessed *eval = book->evals; eval; eval = eval->hh.next) {
		const struct ql_run *run = ql_state_run(&eval->state, incarnation);
		if (!run)
			continue;
		*ret_state = &eval->state;
		return run;
	}
	return NULL;
}

/* Is this act's decision durable? */
static bool
is_decided(const struct ql_state *state, const struct ql_run *run, enum ql_act_kind kind)
{
	switch (kind) {
	case QL_ACT_RELEASE:
		return run->released_at;
	case QL_ACT_NOTICE:
	case QL_ACT_TERMINATE:
		return state->cancel.requested_at;
	case QL_ACT_KILL:
		return run->killed_at;
	case QL_ACT_FORGET:
		return ql_status_settled((enum ql_status)state->status);
	default:
		return true;
	}
}

/* A start comes first: nothing that was decided later overtakes it. */
static void
check_order(struct book *book, const struct ql_runtime_op *op)
{
	struct named_run *named;
	HASH_FIND(hh, book->runs, &op->incarnation, sizeof(op->incarnation), named);
	if (named && op->kind == QL_ACT_START)
		book_complain(book, "the start of run %016llx was overtaken",
			(unsigned long long)op->incarnation);
	if (named)
		return;
	named = calloc(1, sizeof(*named));
	if (!named)
		abort();
	named->incarnation = op->incarnation;
	HASH_ADD(hh, book->runs, incarnation, sizeof(named->incarnation), named);
}

/* Its slot, and with it its uid, is nobody else's. */
static void
check_slot(struct book *book, const struct ql_runtime_op *op)
{
	for (struct witnessed *eval = book->evals; eval; eval = eval->hh.next) {
		const struct ql_run *runs = eval->state.runs;
		for (int i = 0; i < QL_RUNS; i++) {
			if (runs[i].incarnation != op->incarnation &&
				runs[i].slot == op->launch->slot &&
				ql_phase_takes_slot((enum ql_phase)runs[i].phase))
				book_complain(book, "slot %d of %s is given to run %016llx too",
					op->launch->slot, eval->eval_id,
					(unsigned long long)op->incarnation);
		}
	}
}

static void
check(struct book *book, const struct ql_runtime_op *op)
{
	const struct ql_state *state;
	const struct ql_run *run = durable_run(book, op->incarnation, &state);
	book->acts[op->kind]++;
	/* To look needs no decision. A run that has no place in the state can be killed and
	 * forgotten, and one of an attempt before. */
	bool known = run || op->kind == QL_ACT_INSPECT || op->kind == QL_ACT_KILL ||
		     op->kind == QL_ACT_FORGET;
	if (!known || (run && !is_decided(state, run, op->kind)))
		book_complain(book,
			"'%s' of run %016llx was released, and its decision isn't durable",
			ql_act_word(op->kind), (unsigned long long)op->incarnation);
}

static void
act_done(struct ql_runtime_op *op, int status)
{
	struct seen *seen = (struct seen *)op;
	struct witness *witness = seen->witness;
	struct ql_runtime_op *outer = seen->outer;
	HASH_DEL(witness->open, seen);
	outer->err = op->err;
	bool dead = witness->dead;
	free(seen);
	if (!dead)
		outer->done(outer, status);
}

static struct seen *
see(struct witness *witness, struct ql_runtime_op *op)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	if (!seen)
		abort();
	seen->op = *op;
	seen->op.done = act_done;
	seen->outer = op;
	seen->witness = witness;
	HASH_ADD_PTR(witness->open, outer, seen);
	return seen;
}

static void
witness_act(struct ql_runtime *runtime, struct ql_runtime_op *op)
{
	struct witness *witness = (struct witness *)runtime;
	if (witness->dead)
		return;
	check(witness->book, op);
	check_order(witness->book, op);
	if (op->kind == QL_ACT_START)
		check_slot(witness->book, op);
	witness->inner->ops->act(witness->inner, &see(witness, op)->op);
}

static void
witness_purge(struct ql_runtime *runtime, struct ql_runtime_op *op)
{
	struct witness *witness = (struct witness *)runtime;
	const struct ql_state *state;
	if (witness->dead)
		return;
	const struct ql_run *run = durable_run(witness->book, op->incarnation, &state);
	if (run && ql_phase_takes_slot((enum ql_phase)run->phase))
		book_complain(witness->book, "run %016llx is purged, and it has a record",
			(unsigned long long)op->incarnation);
	witness->inner->ops->purge(witness->inner, &see(witness, op)->op);
}

static void
witness_list(struct ql_runtime *runtime, struct ql_runtime_list *op)
{
	struct witness *witness = (struct witness *)runtime;
	if (!witness->dead)
		witness->inner->ops->list(witness->inner, op);
}

static const char *
witness_describe(struct ql_runtime *runtime)
{
	struct witness *witness = (struct witness *)runtime;
	return witness->inner->ops->describe(witness->inner);
}

static void
witness_health(const struct ql_runtime *runtime, struct ql_dependency *ret_health)
{
	const struct witness *witness = (const struct witness *)runtime;
	witness->inner->ops->health(witness->inner, ret_health);
}

static void
sighted(void *arg, const struct ql_sighting *sighting)
{
	struct witness *witness = arg;
	if (!witness->dead)
		witness->runtime.sink.sighted(witness->runtime.sink.arg, sighting);
}

static void
witness_close(struct ql_runtime *runtime, void (*closed)(void *arg), void *arg)
{
	struct witness *witness = (struct witness *)runtime;
	witness->closing = (struct passed_close){witness, closed, arg};
	witness->inner->ops->close(witness->inner, witness_closed, &witness->closing);
}

void
witness_runtime_die(struct ql_runtime *runtime, void (*closed)(void *arg), void *arg)
{
	struct witness *witness = (struct witness *)runtime;
	witness->dead = true;
	/* not freed: what the dead engine still prepares comes here, and goes nowhere */
	witness->inner->ops->close(witness->inner, closed, arg);
}

static const struct ql_runtime_ops ops = {
	.name = "witness",
	.act = witness_act,
	.list = witness_list,
	.purge = witness_purge,
	.describe = witness_describe,
	.health = witness_health,
	.close = witness_close,
};

struct ql_runtime *
witness_runtime(struct ql_runtime *inner, struct book *book)
{
	struct witness *witness = calloc(1, sizeof(*witness));
	if (!witness)
		abort();
	witness->runtime = (struct ql_runtime){.ops = &ops, .loop = inner->loop};
	witness->inner = inner;
	witness->book = book;
	inner->sink = (struct ql_runtime_sink){.sighted = sighted, .arg = witness};
	return &witness->runtime;
}
