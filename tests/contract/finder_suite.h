/*
 * What every finder must do, as plays against the seam. A driver's test names its place: how something is
 * left there, and how it is looked after without the driver. Nothing sleeps: the loop runs until what is
 * waited for was seen, or until FINDER_PATIENCE_MS are over, which fails the play.
 */
#ifndef QL_TESTS_CONTRACT_FINDER_SUITE_H
#define QL_TESTS_CONTRACT_FINDER_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "sweeper/finder.h"

#define FINDER_PATIENCE_MS 60000

struct finder_place {
	void *own; /* the place's */
	bool misses; /* a look may leave something out, and then says so */
	uint32_t kinds; /* bits 1 << enum ql_orphan_kind: what can be left there, */
	uint32_t changing; /* change its marks, */
	uint32_t clinging; /* be there whatever is done, */
	uint32_t foreign; /* be somebody else's, */
	uint32_t reborn; /* be another one under the name of the first */

	/* Once for all plays. */
	void (*setup)(struct finder_place *place, uv_loop_t *loop);
	void (*teardown)(struct finder_place *place);
	/* For each play: fresh, with nothing to be found. */
	struct ql_finder *(*open)(struct finder_place *place);
	/* Takes away what is there yet. */
	void (*close)(struct finder_place *place, struct ql_finder *finder);

	/* Something of that kind is left over, with the marks that it should be found with. */
	void (*leave)(struct finder_place *place, enum ql_orphan_kind kind, uint32_t *ret_marks);
	/* Of what was left last: is it there? It is used from now on; no hand can end it; so it can. */
	bool (*is_there)(struct finder_place *place, enum ql_orphan_kind kind);
	void (*change)(struct finder_place *place, enum ql_orphan_kind kind);
	void (*cling)(struct finder_place *place, enum ql_orphan_kind kind, bool on);
	/* The same, and another server's. */
	void (*leave_foreign)(struct finder_place *place, enum ql_orphan_kind kind);
};

/* The number of plays that failed. */
int finder_suite_run(struct finder_place *place);

#endif
