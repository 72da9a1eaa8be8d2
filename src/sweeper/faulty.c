#include "sweeper/faulty.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/rand.h"

struct faulty {
	struct ql_finder finder; /* first */
	struct ql_finder *inner;
	struct ql_finder_faults *faults;
	uint64_t random;
	uv_timer_t timer;

	/* as the inner driver sees it, and whose it is; one of the two is under way at most */
	struct ql_find find;
	struct ql_find *outer_find;
	size_t before; /* traces that were there before the look */
	struct ql_reap reap;
	struct ql_reap *outer_reap;
	int status;
};

static bool
strikes(struct faulty *faulty, int chance)
{
	bool hurt = chance > 0 && (int)(ql_rand_draw(&faulty->random) >> 33) % 1000 < chance;
	faulty->faults->hurt += hurt;
	return hurt;
}

/* ---- the way home ---- */

static void
on_home(uv_timer_t *timer)
{
	struct faulty *faulty = timer->data;
	struct ql_find *find = faulty->outer_find;
	struct ql_reap *reap = faulty->outer_reap;
	faulty->outer_find = NULL;
	faulty->outer_reap = NULL;
	if (find) {
		find->err = faulty->find.err;
		find->done(find, faulty->status);
	} else {
		reap->err = faulty->reap.err;
		reap->done(reap, faulty->status);
	}
}

static void
go_home(struct faulty *faulty, int status)
{
	const struct ql_finder_faults *faults = faulty->faults;
	int64_t in_ms = 0;
	if (faults->delay_ms > 0 && strikes(faulty, faults->delay))
		in_ms = 1 + (int64_t)(ql_rand_draw(&faulty->random) >> 1) % faults->delay_ms;
	faulty->status = status;
	uv_timer_start(&faulty->timer, on_home, (uint64_t)in_ms, 0);
}

/* ---- looks ---- */

static void
leave_out(struct faulty *faulty)
{
	struct ql_traces *traces = faulty->find.traces;
	for (size_t i = traces->count; i > faulty->before; i--) {
		if (!strikes(faulty, faulty->faults->miss))
			continue;
		memmove(&traces->all[i - 1], &traces->all[i],
			(traces->count - i) * sizeof(*traces->all));
		traces->count--;
		traces->partial = true;
	}
}

static void
on_found(struct ql_find *op, int status)
{
	struct faulty *faulty = QL_OWNER(op, struct faulty, find);
	struct ql_traces *traces = op->traces;
	leave_out(faulty);
	if (!status && strikes(faulty, faulty->faults->blind)) {
		traces->count -= (traces->count - faulty->before + 1) / 2;
		status = ql_fail(
			&op->err, QL_E_UNAVAILABLE, "a fault was asked for: a place can't be read");
	}
	go_home(faulty, status);
}

static void
find(struct ql_finder *finder, struct ql_find *op)
{
	struct faulty *faulty = (struct faulty *)finder;
	assert(!faulty->outer_find && !faulty->outer_reap);
	faulty->outer_find = op;
	faulty->before = op->traces->count;
	faulty->find = (struct ql_find){.traces = op->traces, .done = on_found};
	/* names may have come since it was opened */
	memcpy(faulty->inner->earlier, finder->earlier, sizeof(finder->earlier));
	faulty->inner->earlier_count = finder->earlier_count;
	faulty->inner->ops->find(faulty->inner, &faulty->find);
}

/* ---- reaps ---- */

static void
on_reaped(struct ql_reap *op, int status)
{
	struct faulty *faulty = QL_OWNER(op, struct faulty, reap);
	if (!status && strikes(faulty, faulty->faults->lose_answer))
		status = ql_fail(&op->err, QL_E_TIMEOUT, "a fault was asked for: no answer");
	go_home(faulty, status);
}

static void
reap(struct ql_finder *finder, struct ql_reap *op)
{
	struct faulty *faulty = (struct faulty *)finder;
	assert(!faulty->outer_find && !faulty->outer_reap);
	faulty->outer_reap = op;
	faulty->reap = (struct ql_reap){.trace = op->trace, .done = on_reaped};
	if (strikes(faulty, faulty->faults->refuse))
		go_home(faulty, ql_fail(&faulty->reap.err, QL_E_UNREACHABLE,
					"a fault was asked for: it never arrived"));
	else
		faulty->inner->ops->reap(faulty->inner, &faulty->reap);
}

/* ---- open and free ---- */

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void
free_faulty(struct ql_finder *finder)
{
	struct faulty *faulty = (struct faulty *)finder;
	assert(!faulty->outer_find && !faulty->outer_reap);
	faulty->inner->ops->free(faulty->inner);
	uv_close((uv_handle_t *)&faulty->timer, on_closed);
}

static const struct ql_finder_ops ops = {
	.name = "faulty",
	.find = find,
	.reap = reap,
	.free = free_faulty,
};

struct ql_finder *
ql_finder_faulty(uv_loop_t *loop, struct ql_finder *inner, struct ql_finder_faults *faults)
{
	struct faulty *faulty = calloc(1, sizeof(*faulty));
	if (!faulty)
		return NULL;
	faulty->finder.ops = &ops;
	faulty->finder.kinds = inner->kinds;
	memcpy(faulty->finder.server, inner->server, sizeof(inner->server));
	faulty->inner = inner;
	faulty->faults = faults;
	faulty->random = faults->seed * 2 + 1; /* never 0 */
	uv_timer_init(loop, &faulty->timer);
	faulty->timer.data = faulty;
	return &faulty->finder;
}
