/*
 * The fake poster: receivers in memory, each at a URL of its own, and a driver that tells them as the
 * real one tells theirs. The receivers outlive the driver, as a server's crash shows.
 */
#ifndef QL_OUTLET_RECEIVER_H
#define QL_OUTLET_RECEIVER_H

#include <stdbool.h>

#include "outlet/poster.h"

struct ql_received {
	struct ql_received *prev, *next;
	char *id; /* of the header webhook-id */
	char *signs; /* of webhook-signature */
	char *body;
};

/* What stands at one URL; another one is nobody: not reached. */
struct ql_receiver {
	struct ql_receiver *next;
	const char *url;
	int http; /* what it answers; 0 = it can't be reached */
	bool silent; /* it takes it and never answers */
	const char *poison; /* it answers 500 to what has this in its text; or NULL */
	int64_t answer_ms;
	int64_t retry_after_ms;
	struct ql_received *got; /* oldest first, refused ones too */
	size_t got_count;
	size_t under_way;
	size_t most_under_way;
};

struct ql_receivers {
	struct ql_receiver *all;
	int64_t timeout_ms; /* of one post; 0 = QL_POST_TIMEOUT_MS */
	struct ql_sending *sendings; /* under way */
};

int ql_poster_fake_open(uv_loop_t *loop, struct ql_receivers *receivers,
	struct ql_poster **ret_poster, struct ql_err *e);

/* For the crash: what is open is never answered, and what is asked from now on goes nowhere. */
void ql_poster_fake_die(struct ql_poster *poster);

void ql_receiver_done(struct ql_receiver *receiver);

#endif
