/*
 * A few threads with one queue of jobs, first come, first served. A job is a struct embedded in
 * its owner's: `run` is called on one of the threads, then `done` on the loop's, in the order in
 * which the jobs were finished. The loop stays alive while a job is open, and not longer.
 */
#ifndef QL_STORE_POOL_H
#define QL_STORE_POOL_H

#include <uv.h>

#include "base/err.h"

#define QL_POOL_THREADS 8

struct ql_job {
	struct ql_job *next;
	void (*run)(struct ql_job *job, int thread); /* thread: 0 .. threads - 1 */
	void (*done)(struct ql_job *job);
};

struct ql_pool;

int ql_pool_new(uv_loop_t *loop, int threads, struct ql_pool **ret_pool, struct ql_err *e);

/* On the loop's thread. */
void ql_pool_submit(struct ql_pool *pool, struct ql_job *job);

/*
 * Only when no job is open; also from within a job's done. Joins the threads at once; the memory
 * goes when the loop turns next.
 */
void ql_pool_free(struct ql_pool *pool);

#endif
