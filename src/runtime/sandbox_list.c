#include <stdlib.h>
#include <utlist.h>

#include "runtime/sandbox.h"

struct ql_sandbox_listing {
	struct ql_sandbox_listing *prev, *next;
	uv_work_t work;
	struct ql_sandbox *sandbox;
	struct ql_runtime_list *op; /* NULL once the desk answered it */
	uint64_t *incarnations;
	size_t count;
	int status;
	struct ql_err err;
};

static void
perform(uv_work_t *work)
{
	struct ql_sandbox_listing *listing = work->data;
	listing->status = ql_errand_list(
		listing->sandbox->runs, &listing->incarnations, &listing->count, &listing->err);
}

static bool
has(const struct ql_sandbox_listing *listing, uint64_t incarnation)
{
	for (size_t i = 0; i < listing->count; i++) {
		if (listing->incarnations[i] == incarnation)
			return true;
	}
	return false;
}

/* A run that is being made may have no folder yet. */
static int
add_starting(struct ql_sandbox_listing *listing)
{
	struct ql_sandbox *sandbox = listing->sandbox;
	size_t most = listing->count + HASH_COUNT(sandbox->by_name);
	uint64_t *more = realloc(listing->incarnations, (most + 1) * sizeof(*more));
	if (!more)
		return ql_fail(&listing->err, QL_E_UNAVAILABLE, "Out of memory for a list");
	listing->incarnations = more;
	for (struct ql_sandbox_run *run = sandbox->by_name; run; run = run->hh.next) {
		if (run->is_starting && !has(listing, run->incarnation))
			more[listing->count++] = run->incarnation;
	}
	return 0;
}

static void
answer(struct ql_sandbox_listing *listing)
{
	struct ql_runtime_list *op = listing->op;
	if (!listing->status)
		listing->status = add_starting(listing);
	if (listing->status) {
		op->err = listing->err;
	} else {
		op->incarnations = listing->incarnations;
		op->count = listing->count;
		listing->incarnations = NULL;
	}
	ql_desk_answer_list(&listing->sandbox->desk, op, listing->status);
}

static void
performed(uv_work_t *work, int status)
{
	struct ql_sandbox_listing *listing = work->data;
	struct ql_sandbox *sandbox = listing->sandbox;
	(void)status; /* never cancelled */
	if (listing->op)
		answer(listing);
	DL_DELETE(sandbox->listings, listing);
	free(listing->incarnations);
	free(listing);
	ql_sandbox_part_closed(sandbox);
}

static struct ql_sandbox_listing *
listing_new(struct ql_sandbox *sandbox, struct ql_runtime_list *op)
{
	struct ql_sandbox_listing *listing = calloc(1, sizeof(*listing));
	if (!listing)
		return NULL;
	listing->work.data = listing;
	listing->sandbox = sandbox;
	listing->op = op;
	return listing;
}

void
ql_sandbox_list(struct ql_runtime *runtime, struct ql_runtime_list *op)
{
	struct ql_sandbox *sandbox = (struct ql_sandbox *)runtime;
	if (ql_desk_take_list(&sandbox->desk, op))
		return;
	struct ql_sandbox_listing *listing = listing_new(sandbox, op);
	if (!listing || uv_queue_work(runtime->loop, &listing->work, perform, performed)) {
		free(listing);
		ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory for a list");
		ql_desk_answer_list(&sandbox->desk, op, -1);
		return;
	}
	sandbox->open_parts++;
	DL_APPEND(sandbox->listings, listing);
}

void
ql_sandbox_list_dropped(struct ql_desk *desk, struct ql_runtime_list *op)
{
	struct ql_sandbox *sandbox =
		(struct ql_sandbox *)(void *)((char *)desk - offsetof(struct ql_sandbox, desk));
	struct ql_sandbox_listing *listing;
	DL_FOREACH (sandbox->listings, listing) {
		if (listing->op == op)
			listing->op = NULL;
	}
}
