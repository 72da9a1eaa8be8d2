/*
 * An outlet: a place outside that is told how each attempt was settled, from the durable outbox:
 * the storage service, Celery's result backend. One seam, real drivers, a fake and a faulty one.
 *
 * A delivery is idempotent: it may come again after a crash. Of one evaluation only one is under
 * way at a time, oldest first. `done` as for the runtime's operations: once, on the loop's thread,
 * never from within the call, at the latest at its deadline.
 */
#ifndef QL_OUTLET_OUTLET_H
#define QL_OUTLET_OUTLET_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "core/words.h"

#define QL_OUTLET_TIMEOUT_MS 10000

struct ql_delivery {
	/* the caller's until done */
	int64_t number; /* of its letter: never used twice */
	const char *eval_id;
	const char *task_id;
	const char *error; /* the sentence, or NULL */
	const char *traceparent; /* whose trace it belongs to, as of W3C; or NULL */
	const char *tracestate; /* or NULL */
	int32_t attempt;
	enum ql_status status; /* settled */
	int64_t finished_at; /* unix ms */

	/* 0: it has it. -1: err; retry says whether another try may help (else it is dropped and logged) */
	void (*done)(struct ql_delivery *op, int status);
	struct ql_err err;
	bool retry;
	void *driver; /* the outlet's own, until done */
};

struct ql_outlet {
	const char *name; /* "storage", "results" */
	size_t most; /* deliveries that it takes at once; 0 = as many as any outlet does */
	void (*deliver)(struct ql_outlet *outlet, struct ql_delivery *op);
	/* Answers what is open with -1, then calls closed; the outlet is free then. */
	void (*close)(struct ql_outlet *outlet, void (*closed)(void *arg), void *arg);
};

#endif
