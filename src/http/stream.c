#include "http/stream.h"

#include "http/inside.h"

struct stream {
	struct ql_request *req;
	ql_stream_fn *pull;
};

static void
drop_stream(void *state)
{
	struct stream *stream = state;
	stream->req->server->streams--;
}

static ssize_t
on_pull(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct stream *stream = cls;
	(void)pos;
	assert_request(stream->req);
	ssize_t n = stream->pull(stream->req, buf, max);
	if (n > 0)
		return n;
	if (n == QL_STREAM_BROKEN)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n == QL_STREAM_END)
		return MHD_CONTENT_READER_END_OF_STREAM;
	ql_request_suspend(stream->req);
	return 0;
}

static int
refuse(struct ql_request *req)
{
	size_t most = req->server->config.limits.streams;
	req->problem.limit = (int64_t)most;
	ql_fail(&req->problem.err, QL_E_LIMIT, "%zu streams are open already, which is the most",
		most);
	ql_reply_problem(req, &req->problem);
	return -1;
}

int
ql_reply_stream(struct ql_request *req, const char *type, int64_t size, ql_stream_fn *pull,
	void (*leave)(struct ql_request *req))
{
	struct ql_server *server = req->server;
	if (server->streams >= server->config.limits.streams)
		return refuse(req);
	void *state = req->state;
	struct stream *stream = ql_request_state(req, sizeof(*stream), drop_stream);
	if (!stream)
		return -1;
	req->state = state; /* the handler's stays on top */
	*stream = (struct stream){.req = req, .pull = pull};
	server->streams++;
	struct MHD_Response *response =
		req->head ? MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT)
			  : MHD_create_response_from_callback(
				    size < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)size, QL_HTTP_BLOCK,
				    on_pull, stream, NULL);
	if (!response) {
		struct ql_err e;
		ql_fail(&e, QL_E_SYSTEM, "out of memory for the answer");
		ql_reply_err(req, &e);
		return -1;
	}
	req->streaming = true;
	ql_reply_response(req, MHD_HTTP_OK, response);
	ql_reply_header(req, "Content-Type", type);
	ql_reply_header(req, "Cache-Control", "no-store");
	req->leave = leave;
	return 0;
}

void
ql_stream_wake(struct ql_request *req)
{
	/* Before the answer is given to MHD a resume would call the handler's place again. */
	if (req->phase == QL_REQUEST_SENT)
		ql_request_resume(req);
}
