/*
 * HTTP requests to others, on the loop: libcurl's multi interface behind libuv. Over TCP, TLS or a
 * unix socket; HTTP/1.1 with connections kept. Bodies come whole (bounded) or piece by piece.
 *
 * A request is a struct embedded in its caller's: `done` is called exactly once, on the loop's
 * thread, never from within the call, at the latest at its deadline. ql_fetch_stop takes one back
 * (done is not called any more). All of it may be called from within done and piece. No proxy is
 * asked and no redirect followed: a request goes where its caller says.
 */
#ifndef QL_FETCH_FETCH_H
#define QL_FETCH_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/heap.h"

#define QL_FETCH_BODY_MAX (16 << 20) /* of an answer that is kept whole */
#define QL_FETCH_OPEN_MAX 4096 /* requests under way or waiting, of one client */
#define QL_FETCH_CONNECTIONS 16 /* at once, where the config names no number */
#define QL_FETCH_CONNECT_MS 10000 /* to reach a server, for those without a deadline */
#define QL_FETCH_SILENCE_S 30 /* over TCP: a peer is asked after it whether it is there yet */

struct ql_fetch_config {
	const char *unix_path; /* or NULL */
	const char *ca_file, *cert_file, *key_file; /* PEM, or NULL */
	int connections; /* at once; more requests wait in order. 0 = QL_FETCH_CONNECTIONS */
	bool fresh; /* no connection is kept for another request */
	/*
	 * Only https:// and public addresses will do. The address is looked at when it is connected
	 * to, so that no name that leads elsewhere by then gets around it.
	 */
	bool public_only;
};

struct ql_fetch_request {
	/* the caller's until done */
	const char *method; /* "GET", … */
	const char *url; /* "http://host:port/path"; the host is of no meaning over a unix socket */
	const char *const *headers; /* "Name: value", NULL-terminated, or NULL */
	const char *body; /* or NULL */
	size_t body_len;
	int64_t timeout_ms; /* to the end of the answer; 0 = none, for streams */
	/*
	 * Each piece as it comes, not kept then; -1 ends it, and may say why in err. NULL: the
	 * answer is kept in `answer`.
	 */
	int (*piece)(struct ql_fetch_request *request, const char *data, size_t len);

	/* 0: an answer came, whatever its http status. -1: none did, err says why */
	void (*done)(struct ql_fetch_request *request, int status);
	struct ql_err err;
	int http; /* status code; set before the first piece */
	int64_t retry_after_ms; /* what the answer says of it; 0 = nothing */
	struct ql_buf answer; /* the client's: for done to read, gone after it */

	/* the client's own, until done */
	struct ql_fetch_request *prev, *next;
	struct ql_heap_node due;
	struct ql_transfer *transfer;
	int status;
};

struct ql_fetch;

int ql_fetch_open(uv_loop_t *loop, const struct ql_fetch_config *config,
	struct ql_fetch **ret_fetch, struct ql_err *e);
void ql_fetch(struct ql_fetch *fetch, struct ql_fetch_request *request);
void ql_fetch_stop(struct ql_fetch *fetch, struct ql_fetch_request *request);

/* What is open is done with -1; then closed, and fetch is free. */
void ql_fetch_close(struct ql_fetch *fetch, void (*closed)(void *arg), void *arg);

#endif
