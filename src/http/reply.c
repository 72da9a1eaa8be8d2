#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/inside.h"

void
ql_reply_response(struct ql_request *req, unsigned status, struct MHD_Response *response)
{
	assert(!req->response && req->phase != QL_REQUEST_SENT);
	req->status = status;
	req->response = response;
	req->leave = NULL;
	ql_request_resume(req);
}

void
ql_reply_header(struct ql_request *req, const char *name, const char *value)
{
	MHD_add_response_header(req->response, name, value);
}

/* Where even the answer has no memory: a text that needs none. */
static void
reply_nothing(struct ql_request *req)
{
	static const char text[] = "{\"type\":\"urn:quell:problem:system\",\"title\":\"System\","
				   "\"status\":500,\"detail\":\"out of memory for the answer\"}";
	struct MHD_Response *response = MHD_create_response_from_buffer(
		sizeof(text) - 1, (void *)text, MHD_RESPMEM_PERSISTENT);
	if (!response)
		abort();
	ql_reply_response(req, 500, response);
	ql_reply_header(req, "Content-Type", "application/problem+json");
}

void
ql_reply_text(struct ql_request *req, unsigned status, const char *type, struct ql_buf *buf)
{
	struct MHD_Response *response = NULL;
	size_t len = buf->len;
	if (!buf->failed)
		response = MHD_create_response_from_buffer(len, buf->data, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		ql_buf_done(buf);
		reply_nothing(req);
		return;
	}
	ql_buf_take(buf); /* MHD frees it */
	req->size = len;
	ql_reply_response(req, status, response);
	ql_reply_header(req, "Content-Type", type);
}

void
ql_reply_json(struct ql_request *req, unsigned status, struct ql_json *json)
{
	ql_reply_text(req, status, "application/json", &json->buf);
}

void
ql_reply_problem_json(struct ql_request *req, enum ql_code code, struct ql_json *json)
{
	req->outcome = ql_code_name(code);
	ql_reply_text(req, (unsigned)ql_code_http(code), "application/problem+json", &json->buf);
	char seconds[24];
	snprintf(seconds, sizeof(seconds), "%lld", (long long)(req->retry_s ? req->retry_s : 1));
	if (ql_code_retry(code))
		ql_reply_header(req, "Retry-After", seconds);
	if (code == QL_E_UNAUTHORIZED)
		ql_reply_header(req, "WWW-Authenticate", "Bearer realm=\"quell\"");
}

void
ql_reply_problem(struct ql_request *req, const struct ql_problem *problem)
{
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	ql_problem_render(&json, problem);
	ql_json_close(&json, '}');
	ql_reply_problem_json(req, problem->err.code, &json);
	if (problem->allow[0])
		ql_reply_header(req, "Allow", problem->allow);
}

void
ql_reply_err(struct ql_request *req, const struct ql_err *e)
{
	struct ql_problem problem = {.err = *e};
	ql_reply_problem(req, &problem);
}

void
ql_reply_empty(struct ql_request *req, unsigned status)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
	if (response)
		ql_reply_response(req, status, response);
	else
		reply_nothing(req);
}
