/*
 * A place that posters post to: a receiver of the fake's, or an HTTP server of the test's on the same loop.
 * What it was sent and how it answers look alike for both.
 */
#ifndef QL_TESTS_POSTER_PLACE_H
#define QL_TESTS_POSTER_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../fetch/server.h"
#include "outlet/faulty.h"
#include "outlet/receiver.h"

#define POSTER_SENT_MAX 256
#define POSTER_TIMEOUT_MS 20000 /* of one post: a busy machine's answer comes in time */
#define POSTER_SHORT_MS 200 /* of one that is to run into it */

enum poster_mood {
	POSTER_ANSWERS,
	POSTER_AWAY,
	POSTER_SILENT,
	POSTER_HANGS_UP, /* HTTP only, and all below */
	POSTER_FLOODS,
	POSTER_REDIRECTS,
};

struct poster_sent {
	char id[40]; /* webhook-id */
	char signs[80]; /* webhook-signature */
	char body[600];
	char head[1000]; /* of the request; HTTP only */
};

struct poster_place {
	uv_loop_t loop;
	const char *kind; /* "fake", "faulty", "http", "public" */
	struct ql_poster *poster;
	char url[160]; /* where to post to */
	enum poster_mood mood;
	int http; /* what it answers with */
	int64_t retry_after_s; /* 0 = nothing is said of that */
	struct ql_outlet_faults faults; /* faulty only */

	struct ql_receivers receivers;
	struct ql_receiver receiver;
	struct server server;
	bool serving;
	struct poster_sent sent[POSTER_SENT_MAX];
	size_t sent_count;
};

void poster_place_open(struct poster_place *place, const char *kind, int64_t timeout_ms);
void poster_place_set(struct poster_place *place, enum poster_mood mood);
void poster_place_say(struct poster_place *place, int http, int64_t retry_after_s);

/* What it was sent so far, in order: number n, or NULL. */
const struct poster_sent *poster_place_sent(struct poster_place *place, size_t n);

/* With the poster, if that is still open. */
void poster_place_close(struct poster_place *place);

#endif
