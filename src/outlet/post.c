#include "outlet/post.h"

#include <stdlib.h>

#include "fetch/fetch.h"

struct poster {
	struct ql_poster poster; /* first */
	struct ql_fetch *fetch;
	int64_t timeout_ms;
	void (*closed)(void *arg);
	void *closed_arg;
};

struct sending {
	struct ql_fetch_request request; /* first */
	struct ql_post *op;
	size_t read; /* bytes of the answer */
};

/* An answer that doesn't end is cut: its status is known by then. */
static int
on_piece(struct ql_fetch_request *request, const char *data, size_t len)
{
	struct sending *sending = (struct sending *)request;
	(void)data;
	sending->read += len;
	return sending->read > QL_POST_ANSWER_MAX ? -1 : 0;
}

static void
on_done(struct ql_fetch_request *request, int status)
{
	struct sending *sending = (struct sending *)request;
	struct ql_post *op = sending->op;
	bool cut = sending->read > QL_POST_ANSWER_MAX;
	op->http = request->http;
	op->retry_after_ms = request->retry_after_ms;
	op->err = request->err;
	free(sending);
	op->done(op, status && !cut ? -1 : 0);
}

static void
post(struct ql_poster *outer, struct ql_post *op)
{
	struct poster *poster = (struct poster *)outer;
	struct sending *sending = calloc(1, sizeof(*sending));
	if (!sending)
		abort(); /* not even a failure can be queued */
	sending->op = op;
	sending->request = (struct ql_fetch_request){
		.method = "POST",
		.url = op->url,
		.headers = op->headers,
		.body = op->body,
		.body_len = op->body_len,
		.timeout_ms = poster->timeout_ms,
		.piece = on_piece,
		.done = on_done,
	};
	ql_fetch(poster->fetch, &sending->request);
}

static void
on_closed(void *arg)
{
	struct poster *poster = arg;
	void (*closed)(void *arg) = poster->closed;
	void *closed_arg = poster->closed_arg;
	free(poster);
	closed(closed_arg);
}

static void
poster_close(struct ql_poster *outer, void (*closed)(void *arg), void *arg)
{
	struct poster *poster = (struct poster *)outer;
	poster->closed = closed;
	poster->closed_arg = arg;
	ql_fetch_close(poster->fetch, on_closed, poster);
}

int
ql_poster_open(uv_loop_t *loop, const struct ql_poster_config *config,
	struct ql_poster **ret_poster, struct ql_err *e)
{
	struct ql_fetch_config fetch = {
		.connections = QL_POST_CONNECTIONS, .fresh = true, .public_only = !config->private};
	struct poster *poster = calloc(1, sizeof(*poster));
	if (!poster)
		return ql_fail(e, QL_E_SYSTEM, "webhooks: out of memory");
	poster->poster = (struct ql_poster){.name = "http", .post = post, .close = poster_close};
	poster->timeout_ms = config->timeout_ms ? config->timeout_ms : QL_POST_TIMEOUT_MS;
	if (ql_fetch_open(loop, &fetch, &poster->fetch, e)) {
		free(poster);
		return -1;
	}
	*ret_poster = &poster->poster;
	return 0;
}
