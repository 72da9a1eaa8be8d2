/*
 * The fake outlet: a place in memory that is told how attempts were settled, and a driver that
 * tells it as the real ones tell theirs. For tests of whatever stands above the seam. The place
 * outlives the driver: a server's crash is a driver dead and another one opened on the same place.
 */
#ifndef QL_OUTLET_FAKE_H
#define QL_OUTLET_FAKE_H

#include "core/record.h"
#include "outlet/outlet.h"

/* One thing that the place was told, in the order of arrival. */
struct ql_fake_told {
	struct ql_fake_told *prev, *next;
	char eval_id[QL_EVAL_ID];
	char task_id[QL_TASK_ID];
	char *error; /* or NULL */
	int32_t attempt;
	enum ql_status status;
	int64_t finished_at;
};

struct ql_fake_place {
	enum ql_fake_mood {
		QL_FAKE_TAKES,
		QL_FAKE_AWAY, /* cannot be reached */
		QL_FAKE_REFUSES, /* for good */
		QL_FAKE_SILENT, /* takes it and never answers */
	} mood;
	const char *poison; /* it cannot take this evaluation's, whatever its mood; or NULL */
	int64_t answer_ms; /* how long an answer takes */
	int64_t timeout_ms; /* and the longest that is waited for it; 0 = QL_OUTLET_TIMEOUT_MS */

	struct ql_fake_told *told; /* oldest first */
	size_t told_count;
	size_t asked; /* deliveries that were begun */
	size_t under_way;
	size_t most_under_way;
	bool overlapped; /* two of one evaluation were under way at once */
	struct ql_fake_delivery *deliveries;
};

int ql_outlet_fake_open(uv_loop_t *loop, struct ql_fake_place *place, struct ql_outlet **ret_outlet,
	struct ql_err *e);

/* For the crash: what is open is never answered, and what is asked from now on goes nowhere. */
void ql_outlet_fake_die(struct ql_outlet *outlet);

/* The last thing it was told of that evaluation, or NULL. */
const struct ql_fake_told *
ql_fake_place_last(const struct ql_fake_place *place, const char *eval_id);

void ql_fake_place_done(struct ql_fake_place *place);

#endif
