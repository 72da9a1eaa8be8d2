/*
 * A poster: sends webhooks what they are told. One seam, a real driver, a fake and a faulty one. It only
 * carries: what is sent, and what an answer means, is its caller's business.
 *
 * `done` is called once, on the loop's thread, never from within the call, at the latest after
 * QL_POST_TIMEOUT_MS, or what the driver was opened with.
 */
#ifndef QL_OUTLET_POSTER_H
#define QL_OUTLET_POSTER_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"

#define QL_POST_TIMEOUT_MS 15000
#define QL_POST_ANSWER_MAX 65536 /* bytes of an answer that are read; nobody looks at them */
#define QL_POST_CONNECTIONS 256 /* at once */

struct ql_post {
	/* the caller's until done */
	const char *url;
	const char *const *headers; /* "name: value", NULL-terminated */
	const char *body;
	size_t body_len;

	/* 0: an answer came, http says which. -1: none did, err says why */
	void (*done)(struct ql_post *op, int status);
	int http;
	int64_t retry_after_ms; /* what it asks for; 0 = nothing */
	struct ql_err err;
	void *driver; /* the poster's own, until done */
};

struct ql_poster {
	const char *name;
	void (*post)(struct ql_poster *poster, struct ql_post *op);
	/* Answers what is open with -1, then calls closed; the poster is free then. */
	void (*close)(struct ql_poster *poster, void (*closed)(void *arg), void *arg);
};

#endif
