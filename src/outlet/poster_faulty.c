#include <stddef.h>
#include <stdlib.h>

#include "base/owner.h"
#include "outlet/faulty.h"

struct faulty {
	struct ql_couriers couriers; /* first */
	struct ql_poster poster;
	struct ql_poster *inner;
};

/* One post. */
struct posting {
	struct ql_courier courier; /* first */
	struct ql_post op; /* as the inner driver sees it */
	struct ql_post *outer;
};

static void
on_home(struct ql_courier *courier)
{
	struct posting *posting = (struct posting *)courier;
	struct ql_post *outer = posting->outer;
	outer->http = posting->op.http;
	outer->retry_after_ms = posting->op.retry_after_ms;
	outer->err = posting->op.err;
	outer->done(outer, courier->status);
}

/* What was not heard can't be read. */
static void
on_done(struct ql_post *op, int status)
{
	struct posting *posting = QL_OWNER(op, struct posting, op);
	if (!ql_courier_answer(&posting->courier, status, &op->err))
		return;
	op->http = 0;
	op->retry_after_ms = 0;
}

static void
faulty_post(struct ql_poster *poster, struct ql_post *op)
{
	struct faulty *faulty = QL_OWNER(poster, struct faulty, poster);
	struct posting *posting = calloc(1, sizeof(*posting));
	if (!posting)
		abort();
	posting->courier.home = on_home;
	posting->outer = op;
	posting->op = *op;
	posting->op.done = on_done;
	ql_courier_go(&faulty->couriers, &posting->courier);
	if (!ql_courier_is_lost(&posting->courier, &posting->op.err))
		faulty->inner->post(faulty->inner, &posting->op);
}

static void
faulty_close(struct ql_poster *poster, void (*closed)(void *arg), void *arg)
{
	struct faulty *faulty = QL_OWNER(poster, struct faulty, poster);
	ql_couriers_close(&faulty->couriers, closed, arg);
	faulty->inner->close(faulty->inner, ql_couriers_inner_closed, faulty);
}

int
ql_poster_faulty_open(uv_loop_t *loop, struct ql_poster *inner, struct ql_outlet_faults *faults,
	struct ql_poster **ret_poster, struct ql_err *e)
{
	struct faulty *faulty = calloc(1, sizeof(*faulty));
	if (!faulty)
		return ql_fail(e, QL_E_SYSTEM, "couldn't open the faulty poster: out of memory");
	ql_couriers_init(&faulty->couriers, loop, faults);
	faulty->poster =
		(struct ql_poster){.name = "faulty", .post = faulty_post, .close = faulty_close};
	faulty->inner = inner;
	*ret_poster = &faulty->poster;
	return 0;
}
