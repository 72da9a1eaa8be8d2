/*
 * A store that fails on demand. Each operation goes through the inner store, so that its answer
 * comes when and where a real one would.
 */
#include <assert.h>
#include <stdlib.h>

#include "store/store.h"

struct faulty {
	struct ql_store store; /* first */
	struct ql_store *inner;
	const struct ql_store_faults *faults;
	int commits; /* submitted so far */
	struct ql_change *hidden; /* those of the commit that fails before */
};

static struct faulty *
faulty_of(struct ql_store *store)
{
	return (struct faulty *)store;
}

static bool
hits(const struct faulty *faulty, int first)
{
	int count = faulty->faults->fail_count > 0 ? faulty->faults->fail_count : 1;
	return first > 0 && faulty->commits >= first && faulty->commits - first < count;
}

static void
commit_passed(struct ql_store_commit *op, int status)
{
	op->done = op->outer_done;
	op->done(op, status);
}

static void
commit_failed_before(struct ql_store_commit *op, int status)
{
	(void)status;
	struct faulty *faulty = faulty_of(op->outer);
	op->changes = faulty->hidden;
	op->done = op->outer_done;
	op->done(op, ql_fail(&op->err, QL_E_DISK_FULL,
			     "couldn't commit: a fault was asked for before it became durable"));
}

static void
commit_failed_after(struct ql_store_commit *op, int status)
{
	op->done = op->outer_done;
	if (status == 0)
		status = ql_fail(&op->err, QL_E_UNAVAILABLE,
			"couldn't commit: a fault was asked for after it became durable");
	op->done(op, status);
}

static void
faulty_commit(struct ql_store *store, struct ql_store_commit *op)
{
	struct faulty *faulty = faulty_of(store);
	faulty->commits++;
	op->outer = store;
	op->outer_done = op->done;
	op->done = commit_passed;
	if (hits(faulty, faulty->faults->fail_before)) {
		faulty->hidden = op->changes;
		op->changes = NULL;
		op->done = commit_failed_before;
	} else if (hits(faulty, faulty->faults->fail_after)) {
		op->done = commit_failed_after;
	}
	faulty->inner->ops->commit(faulty->inner, op);
}

static void
read_failed(struct ql_store_read *op, int status)
{
	(void)status;
	ql_store_read_done(op);
	op->done = op->outer_done;
	op->done(op, ql_fail(&op->err, QL_E_UNAVAILABLE, "couldn't read: a fault was asked for"));
}

static void
faulty_read(struct ql_store *store, struct ql_store_read *op)
{
	struct faulty *faulty = faulty_of(store);
	if (faulty->faults->fail_reads) {
		op->outer = store;
		op->outer_done = op->done;
		op->done = read_failed;
	}
	faulty->inner->ops->read(faulty->inner, op);
}

static int
faulty_keep_clock(struct ql_store *store, const struct ql_clock *clock, struct ql_err *e)
{
	struct ql_store *inner = faulty_of(store)->inner;
	return inner->ops->keep_clock(inner, clock, e);
}

static void
faulty_close(struct ql_store *store)
{
	struct ql_store *inner = faulty_of(store)->inner;
	inner->ops->close(inner);
	free(store);
}

static const struct ql_store_ops faulty_ops = {
	.name = "faulty",
	.commit = faulty_commit,
	.read = faulty_read,
	.keep_clock = faulty_keep_clock,
	.close = faulty_close,
};

int
ql_store_faulty_open(struct ql_store *inner, const struct ql_store_faults *faults,
	struct ql_store **ret_store, struct ql_err *e)
{
	struct faulty *faulty = calloc(1, sizeof(*faulty));
	if (!faulty)
		return ql_fail(e, QL_E_SYSTEM, "couldn't open the faulty store: no memory");
	faulty->store = (struct ql_store){
		.ops = &faulty_ops,
		.loop = inner->loop,
		.facts = inner->facts,
	};
	faulty->inner = inner;
	faulty->faults = faults;
	*ret_store = &faulty->store;
	return 0;
}
