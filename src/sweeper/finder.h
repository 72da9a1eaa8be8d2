/*
 * The finder: what lies about that may be an orphan (rules/orphan.h), and the hand that ends one. A
 * seam with real drivers (host.h for this host; the Celery driver for its workers and their
 * containers), a fake and a faulty one under one contract suite. It knows no records: whose a trace
 * is, and whether it may be ended, others decide.
 *
 * An operation is a struct embedded in its caller's. One at a time of a finder; done is called once,
 * on the loop's thread, never from within the call, and within the bound of its kind.
 */
#ifndef QL_SWEEPER_FINDER_H
#define QL_SWEEPER_FINDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "rules/orphan.h"

/* Bounds. Those of time are each finder's own share of a sweep. */
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

struct ql_find {
	struct ql_traces *traces; /* the caller's until done: what is found is appended */
	/* -1: a place could not be looked at, and err says which; what others said stands */
	void (*done)(struct ql_find *op, int status);
	struct ql_err err;
	void *driver; /* the driver's own, until done */
};

struct ql_reap {
	const struct ql_trace *trace; /* the caller's until done */
	/*
	 * 0: nothing of it is there any more, by a look made after the hand; also where it had gone by
	 * itself. -1: it is there yet, not proven gone, or not the same any more and left alone
	 */
	void (*done)(struct ql_reap *op, int status);
	struct ql_err err;
	void *driver; /* the driver's own, until done */
};

struct ql_finder_ops {
	const char *name; /* "host", "celery", "fake" */
	void (*find)(struct ql_finder *finder, struct ql_find *op);
	/* Looks first whether it is still the same thing with its marks; then ends it. */
	void (*reap)(struct ql_finder *finder, struct ql_reap *op);
	/* With nothing under way. */
	void (*free)(struct ql_finder *finder);
};

struct ql_finder {
	const struct ql_finder_ops *ops;
	uint32_t kinds; /* bits 1 << enum ql_orphan_kind: what it finds, and has a hand on */
	char server[QL_ORPHAN_SERVER]; /* by which this server's things are named */
	/* and were, in earlier lives; filled in before the first look */
	char earlier[QL_ORPHAN_EARLIER][QL_ORPHAN_SERVER];
	size_t earlier_count;
};

/* Is it this server's name, or was it? */
bool ql_finder_is_named(const struct ql_finder *finder, const char *server);

/* A zeroed place for one more, or NULL: over the bound, or out of memory. */
struct ql_trace *ql_traces_add(struct ql_traces *traces);
void ql_traces_done(struct ql_traces *traces);

#endif
