/*
 * A place that outlets tell: the fake's own, or an HTTP server of the test's on the same loop.
 * What it was told and how it answers look alike for both.
 */
#ifndef QL_TESTS_OUTLET_PLACE_H
#define QL_TESTS_OUTLET_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "outlet/fake.h"
#include "outlet/faulty.h"

#define PLACE_TOLD_MAX 256
#define PLACE_TIMEOUT_MS 20000 /* of one delivery: a busy machine's answer comes in time */
#define PLACE_SHORT_MS 200 /* of one that is to run into it */

struct place_told {
	char what[600]; /* "eval_id status error", the error as JSON */
	char head[1000]; /* of the request; HTTP only */
};

struct place {
	uv_loop_t loop;
	const char *kind; /* "fake", "faulty", "storage" */
	struct ql_outlet *outlet;
	int64_t timeout_ms; /* of one delivery */
	struct ql_outlet_faults faults; /* faulty only */
	enum ql_fake_mood mood;
	int http; /* what it answers with while it takes or refuses; 0 = as the mood says */
	bool hang_up; /* it breaks the connection instead of answering */

	struct ql_fake_place fake;
	uv_tcp_t server; /* storage only */
	bool listening;
	struct place_told told[PLACE_TOLD_MAX];
	size_t told_count;
};

void place_open(struct place *place, const char *kind, int64_t timeout_ms);
void place_set(struct place *place, enum ql_fake_mood mood);

/* What it was told so far, in order: number n, or NULL. */
const struct place_told *place_told(struct place *place, size_t n);

/* With the outlet, if that is still open. */
void place_close(struct place *place);

#endif
