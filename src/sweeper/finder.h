/*
 * The finder: what lies about on a host that may be an orphan (rules/orphan.h), and the hand that
 * ends one. A seam with a real driver (host.h). It knows no records: whose a trace is, and whether
 * it may be ended, others decide.
 *
 * Both calls block, are made on a thread other than the loop's, one at a time, and come back
 * within their bound.
 */
#ifndef QL_SWEEPER_FINDER_H
#define QL_SWEEPER_FINDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "rules/orphan.h"

/* Bounds. */
#define QL_FIND_MAX 4096 /* traces of one look */
#define QL_FIND_FOLDERS 2000 /* kept folders of one look; the next one goes on from there */
#define QL_FIND_MS 5000 /* for one look */
#define QL_REAP_MS 2000 /* for the end of one thing */

struct ql_traces {
	struct ql_trace *all; /* owned */
	size_t count;
	bool partial; /* a bound was reached: what is missing may be there yet */
};

struct ql_finder;

struct ql_finder_ops {
	/* Appends what it finds. -1: a place could not be looked at; what others said stands. */
	int (*find)(struct ql_finder *finder, struct ql_traces *traces, struct ql_err *e);

	/*
	 * Looks again whether it is still the same thing with two marks, ends it, and proves that it is
	 * gone. 0 only then, also where it had gone by itself; -1: it is there yet, or not proven gone.
	 */
	int (*reap)(struct ql_finder *finder, const struct ql_trace *trace, struct ql_err *e);

	void (*free)(struct ql_finder *finder);
};

struct ql_finder {
	const struct ql_finder_ops *ops;
	char server[QL_ORPHAN_SERVER]; /* by which this server's things are named */
};

/* A zeroed place for one more, or NULL: over the bound, or out of memory. */
struct ql_trace *ql_traces_add(struct ql_traces *traces);
void ql_traces_done(struct ql_traces *traces);

#endif
