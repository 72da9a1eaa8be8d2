#include "engine/witness.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct witness {
	struct ql_store store; /* first */
	struct ql_store *inner;
	struct book *book;
	bool dead; /* its engine is: a later one has a witness of its own */
};

struct seen_commit {
	struct ql_store_commit op; /* first */
	struct ql_store_commit *outer;
	struct witness *witness;
	bool cut;
};

struct seen_read {
	struct ql_store_read op; /* first */
	struct ql_store_read *outer;
	struct witness *witness;
};

void
witness_closed(void *arg)
{
	const struct passed_close closing = *(struct passed_close *)arg;
	free(closing.wrapper);
	closing.closed(closing.arg);
}

const struct witnessed *
book_find(const struct book *book, const char *eval_id)
{
	struct witnessed *eval;
	HASH_FIND_STR(book->evals, eval_id, eval);
	return eval;
}

void
book_complain(struct book *book, const char *fmt, ...)
{
	va_list ap;
	if (book->complaint[0])
		return;
	va_start(ap, fmt);
	vsnprintf(book->complaint, sizeof(book->complaint), fmt, ap);
	va_end(ap);
}

void
book_done(struct book *book)
{
	struct witnessed *eval, *next;
	HASH_ITER (hh, book->evals, eval, next) {
		HASH_DEL(book->evals, eval);
		free(eval);
	}
	struct named_run *run, *next_run;
	HASH_ITER (hh, book->runs, run, next_run) {
		HASH_DEL(book->runs, run);
		free(run);
	}
}

static struct witnessed *
book_add(struct book *book, const char *eval_id)
{
	struct witnessed *eval;
	HASH_FIND_STR(book->evals, eval_id, eval);
	if (eval)
		return eval;
	eval = calloc(1, sizeof(*eval));
	if (!eval)
		abort();
	ql_str_copy(eval->eval_id, sizeof(eval->eval_id), eval_id);
	HASH_ADD_STR(book->evals, eval_id, eval);
	return eval;
}

static void
note_state(struct book *book, const struct ql_record *record)
{
	struct witnessed *eval = book_add(book, record->eval_id);
	const struct ql_state *was = &eval->state, *is = &record->state;
	bool settled = ql_status_settled((enum ql_status)is->status);
	if (was->attempt != is->attempt)
		eval->settlements = 0;
	else if (ql_status_settled((enum ql_status)was->status) && was->status != is->status)
		book_complain(book, "%s: a settled status was overwritten", record->eval_id);
	eval->settlements += settled && (was->attempt != is->attempt || was->status != is->status);
	if (eval->settlements > 1)
		book_complain(book, "%s was settled twice", record->eval_id);
	eval->state = *is;
	if (is->attempt < 8)
		eval->at_end[is->attempt] = *is;
}

/* It never was. */
static void
book_drop(struct book *book, const char *eval_id)
{
	struct witnessed *eval;
	HASH_FIND_STR(book->evals, eval_id, eval);
	if (!eval)
		return;
	HASH_DEL(book->evals, eval);
	free(eval);
}

static void
note(struct book *book, const struct ql_change *change)
{
	if (book->log && change->at)
		fprintf(stderr, "# %lld %s: %s\n", (long long)change->at, change->record.eval_id,
			change->what);
	if (change->kind == QL_CHANGE_NEW || change->kind == QL_CHANGE_STATE)
		note_state(book, &change->record);
	else if (change->kind == QL_CHANGE_DISOWN)
		book_drop(book, change->record.eval_id);
	else if (change->kind == QL_CHANGE_FORGET)
		book_add(book, change->record.eval_id)->forgotten = true;
}

static void
commit_done(struct ql_store_commit *op, int status)
{
	struct seen_commit *seen = (struct seen_commit *)op;
	struct witness *witness = seen->witness;
	struct book *book = witness->book;
	book->open--;
	if (!status && op->changes)
		book->commits++;
	for (struct ql_change *change = op->changes; !status && change; change = change->next)
		note(book, change);
	if (seen->cut)
		witness->dead = book->dead = true;
	if (!witness->dead) {
		seen->outer->err = op->err;
		seen->outer->done(seen->outer, status);
	}
	free(seen);
}

static void
note_size(struct book *book, const struct ql_change *change)
{
	int decisions = 0;
	for (; change; change = change->next)
		decisions += change->kind == QL_CHANGE_STATE;
	book->largest = decisions > book->largest ? decisions : book->largest;
}

static void
witness_commit(struct ql_store *store, struct ql_store_commit *op)
{
	struct witness *witness = (struct witness *)store;
	struct book *book = witness->book;
	if (witness->dead)
		return;
	book->asked++;
	note_size(book, op->changes);
	if (book->asked == book->cut_before) {
		witness->dead = book->dead = true;
		return;
	}
	struct seen_commit *seen = calloc(1, sizeof(*seen));
	if (!seen)
		abort();
	seen->op = (struct ql_store_commit){.changes = op->changes, .done = commit_done};
	seen->outer = op;
	seen->witness = witness;
	seen->cut = book->asked == book->cut_after;
	book->open++;
	witness->inner->ops->commit(witness->inner, &seen->op);
}

static void
read_done(struct ql_store_read *op, int status)
{
	struct seen_read *seen = (struct seen_read *)op;
	struct ql_store_read *outer = seen->outer;
	seen->witness->book->open--;
	if (seen->witness->dead) {
		ql_store_read_done(op);
		free(seen);
		return;
	}
	outer->err = op->err;
	outer->records = op->records;
	outer->record_count = op->record_count;
	outer->rows = op->rows;
	outer->row_count = op->row_count;
	outer->matches = op->matches;
	outer->match_count = op->match_count;
	memcpy(outer->counts, op->counts, sizeof(outer->counts));
	outer->newest = op->newest;
	outer->letters = op->letters;
	outer->letter_count = op->letter_count;
	outer->objects = op->objects;
	outer->object_count = op->object_count;
	outer->audits = op->audits;
	outer->audit_count = op->audit_count;
	outer->anchor = op->anchor;
	outer->taken = op->taken;
	outer->next_cursor = op->next_cursor;
	outer->next_at = op->next_at;
	outer->fingerprint = op->fingerprint;
	outer->text = op->text;
	free(seen);
	outer->done(outer, status);
}

static void
witness_read(struct ql_store *store, struct ql_store_read *op)
{
	struct witness *witness = (struct witness *)store;
	if (witness->dead)
		return;
	struct seen_read *seen = calloc(1, sizeof(*seen));
	if (!seen)
		abort();
	seen->op = (struct ql_store_read){.kind = op->kind,
		.filter = op->filter,
		.ids = op->ids,
		.id_count = op->id_count,
		.done = read_done};
	seen->outer = op;
	seen->witness = witness;
	witness->book->open++;
	witness->inner->ops->read(witness->inner, &seen->op);
}

static int
witness_keep_clock(struct ql_store *store, const struct ql_clock *clock, struct ql_err *e)
{
	struct ql_store *inner = ((struct witness *)store)->inner;
	return inner->ops->keep_clock(inner, clock, e);
}

static void
witness_close(struct ql_store *store)
{
	free(store);
}

static const struct ql_store_ops ops = {
	.name = "witness",
	.commit = witness_commit,
	.read = witness_read,
	.keep_clock = witness_keep_clock,
	.close = witness_close,
};

struct ql_store *
witness_store(struct ql_store *inner, struct book *book)
{
	struct witness *witness = calloc(1, sizeof(*witness));
	if (!witness)
		abort();
	witness->store = (struct ql_store){.ops = &ops, .loop = inner->loop, .facts = inner->facts};
	witness->inner = inner;
	witness->book = book;
	return &witness->store;
}
