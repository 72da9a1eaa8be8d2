#include "store/driver.h"

#include <stddef.h>

#include "base/owner.h"

static struct ql_store_commit *
commit_of(struct ql_job *job)
{
	return QL_OWNER(job, struct ql_store_commit, job);
}

static struct ql_store_read *
read_of(struct ql_job *job)
{
	return QL_OWNER(job, struct ql_store_read, job);
}

static void
run_commit(struct ql_job *job, int thread)
{
	(void)thread;
	struct ql_store_commit *op = commit_of(job);
	struct ql_driver *driver = (struct ql_driver *)op->store;
	op->status = driver->commit(driver, op);
}

static void
commit_ran(struct ql_job *job)
{
	struct ql_store_commit *op = commit_of(job);
	op->done(op, op->status);
}

void
ql_driver_commit(struct ql_store *store, struct ql_store_commit *op)
{
	op->store = store;
	op->err = (struct ql_err){0};
	op->job = (struct ql_job){.run = run_commit, .done = commit_ran};
	ql_pool_submit(((struct ql_driver *)store)->writing, &op->job);
}

static void
run_read(struct ql_job *job, int thread)
{
	struct ql_store_read *op = read_of(job);
	struct ql_driver *driver = (struct ql_driver *)op->store;
	op->status = driver->read(driver, op, thread);
	if (op->status)
		ql_store_read_done(op);
}

static void
read_ran(struct ql_job *job)
{
	struct ql_store_read *op = read_of(job);
	op->done(op, op->status);
}

void
ql_driver_read(struct ql_store *store, struct ql_store_read *op)
{
	op->store = store;
	op->err = (struct ql_err){0};
	op->job = (struct ql_job){.run = run_read, .done = read_ran};
	ql_store_read_done(op);
	ql_pool_submit(((struct ql_driver *)store)->reading, &op->job);
}

void
ql_driver_stop(struct ql_driver *driver)
{
	if (driver->reading != driver->writing)
		ql_pool_free(driver->reading);
	ql_pool_free(driver->writing);
}
