/* Which containers there are of one evaluation, or of all: the daemon's list, compared by docker_match. */
#ifndef QL_RUNTIME_DOCKER_LIST_H
#define QL_RUNTIME_DOCKER_LIST_H

#include "runtime/docker/api.h"
#include "runtime/docker/match.h"
#include "runtime/docker/state.h"

#define QL_DOCKER_LIST_MAX 16384 /* containers in one list */

struct ql_docker_item {
	char id[QL_DOCKER_ID];
	char eval_id[QL_DOCKER_EVAL_ID];
	bool live; /* by the daemon's word it runs, or may do so without anybody's doing */
	bool created; /* it was never started */
};

struct ql_docker_listing {
	/* the owner's */
	struct ql_docker *docker;
	const struct ql_docker_match *match;
	const char *eval_id; /* NULL = all */
	bool live_only; /* no exited ones */
	void (*done)(struct ql_docker_listing *listing, int status);
	void *owner;

	struct ql_err err;
	struct ql_docker_item *items; /* freed by ql_docker_listing_done */
	size_t count;
	struct ql_docker_call call;
	bool by_name; /* the second of two passes, or the only one */
};

/* done is called once, from the loop. -1: it is not called, err says why. */
int ql_docker_listing_start(struct ql_docker_listing *listing);

/* Stops it if it is under way, and frees its items. */
void ql_docker_listing_done(struct ql_docker_listing *listing);

#endif
