/*
 * The fake finder: a world of leftovers in memory, and a driver that finds and ends them. For tests of
 * whatever stands above the seam. The world outlives the driver, and remembers all that ever was in it.
 */
#ifndef QL_SWEEPER_FAKE_H
#define QL_SWEEPER_FAKE_H

#include <uv.h>

#include "sweeper/finder.h"

struct ql_fake_leftover {
	struct ql_fake_leftover *prev, *next;
	struct ql_trace trace; /* as it is found; the test's, to be changed any time */
	int hands; /* how often something was done to it */

	/* the test's, to be set any time */
	bool gone;
	bool immortal; /* whatever is done has no effect */
};

struct ql_fake_litter {
	struct ql_fake_leftover *all; /* oldest first */
	int looks;

	/* the test's, to be set any time */
	int shown; /* so many of them fit into one look; -1 = all */
	const char *blind; /* a place cannot be looked at, and this is why; NULL = it can */
};

void ql_fake_litter_init(struct ql_fake_litter *litter);
void ql_fake_litter_done(struct ql_fake_litter *litter);

/* A copy of the trace, which lies there from now on; the world's. NULL when out of memory. */
struct ql_fake_leftover *
ql_fake_litter_add(struct ql_fake_litter *litter, const struct ql_trace *trace);

/* The litter stays the caller's. It is freed by the turns of the loop that follow. NULL when out of memory. */
struct ql_finder *
ql_finder_fake(uv_loop_t *loop, struct ql_fake_litter *litter, const char *server);

#endif
