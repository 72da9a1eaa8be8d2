#include "sweeper/fake.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/str.h"

struct fake {
	struct ql_finder finder; /* first */
	struct ql_fake_litter *litter;
	uv_timer_t soon;
	struct ql_find *find; /* under way, or NULL */
	struct ql_reap *reap; /* so is this */
};

/* ---- the world ---- */

void
ql_fake_litter_init(struct ql_fake_litter *litter)
{
	*litter = (struct ql_fake_litter){.shown = -1};
}

void
ql_fake_litter_done(struct ql_fake_litter *litter)
{
	struct ql_fake_leftover *one, *next;
	DL_FOREACH_SAFE (litter->all, one, next)
		free(one);
	litter->all = NULL;
}

struct ql_fake_leftover *
ql_fake_litter_add(struct ql_fake_litter *litter, const struct ql_trace *trace)
{
	struct ql_fake_leftover *one = calloc(1, sizeof(*one));
	if (!one)
		return NULL;
	one->trace = *trace;
	DL_APPEND(litter->all, one);
	return one;
}

/* ---- the driver ---- */

static int
look(struct ql_fake_litter *litter, struct ql_find *op)
{
	const struct ql_fake_leftover *one;
	int count = 0;
	litter->looks++;
	DL_FOREACH (litter->all, one) {
		if (one->gone)
			continue;
		bool fits = litter->shown < 0 || count++ < litter->shown;
		struct ql_trace *trace = fits ? ql_traces_add(op->traces) : NULL;
		if (trace)
			*trace = one->trace;
		op->traces->partial |= !fits;
	}
	return litter->blind ? ql_fail(&op->err, QL_E_UNAVAILABLE, "%s", litter->blind) : 0;
}

static struct ql_fake_leftover *
find_same(const struct ql_fake_litter *litter, const struct ql_trace *trace)
{
	struct ql_fake_leftover *one;
	DL_FOREACH (litter->all, one) {
		if (!one->gone && ql_trace_is(&one->trace, trace))
			break;
	}
	return one;
}

static int
end(const struct ql_fake_litter *litter, struct ql_reap *op)
{
	struct ql_fake_leftover *one = find_same(litter, op->trace);
	if (!one)
		return 0;
	if (one->trace.marks != op->trace->marks)
		return ql_fail(&op->err, QL_E_CONFLICT,
			"%s carries its marks no more: it was left alone", op->trace->name);
	one->hands++;
	if (one->immortal)
		return ql_fail(&op->err, QL_E_TIMEOUT, "%s is there yet", op->trace->name);
	one->gone = true;
	return 0;
}

static void
rang(uv_timer_t *timer)
{
	struct fake *fake = timer->data;
	struct ql_find *find = fake->find;
	struct ql_reap *reap = fake->reap;
	fake->find = NULL;
	fake->reap = NULL;
	if (find)
		find->done(find, look(fake->litter, find));
	else
		reap->done(reap, end(fake->litter, reap));
}

static void
begin(struct fake *fake, struct ql_find *find, struct ql_reap *reap)
{
	assert(!fake->find && !fake->reap);
	fake->find = find;
	fake->reap = reap;
	uv_timer_start(&fake->soon, rang, 0, 0);
}

static void
find(struct ql_finder *finder, struct ql_find *op)
{
	begin((struct fake *)finder, op, NULL);
}

static void
reap(struct ql_finder *finder, struct ql_reap *op)
{
	begin((struct fake *)finder, NULL, op);
}

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* By the loop's next turns. */
static void
free_fake(struct ql_finder *finder)
{
	struct fake *fake = (struct fake *)finder;
	assert(!fake->find && !fake->reap);
	uv_close((uv_handle_t *)&fake->soon, on_closed);
}

static const struct ql_finder_ops ops = {
	.name = "fake",
	.find = find,
	.reap = reap,
	.free = free_fake,
};

struct ql_finder *
ql_finder_fake(uv_loop_t *loop, struct ql_fake_litter *litter, const char *server)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	if (!fake)
		return NULL;
	fake->finder.ops = &ops;
	fake->finder.kinds = (1u << QL_ORPHAN_KINDS) - 1;
	ql_str_copy(fake->finder.server, sizeof(fake->finder.server), server);
	fake->litter = litter;
	uv_timer_init(loop, &fake->soon);
	fake->soon.data = fake;
	return &fake->finder;
}
