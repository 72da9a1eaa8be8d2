#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#include "base/str.h"
#include "http/inside.h"
#include "http/route.h"

const char *
ql_request_header(const struct ql_request *req, const char *name)
{
	return MHD_lookup_connection_value(req->conn->mhd, MHD_HEADER_KIND, name);
}

static void
set_phase(struct ql_request *req, enum ql_request_phase phase, int64_t limit_ms)
{
	struct ql_conn *conn = req->conn;
	req->phase = phase;
	conn->since = (int64_t)uv_now(req->server->config.loop);
	conn->deadline = limit_ms ? conn->since + limit_ms : 0;
}

/* ---- what a handler has of its own ---- */

struct held_state {
	struct held_state *next;
	void (*drop)(void *state);
	max_align_t state[];
};

void *
ql_request_state(struct ql_request *req, size_t size, void (*drop)(void *state))
{
	struct held_state *held = calloc(1, sizeof(*held) + size);
	if (!held) {
		struct ql_err e;
		ql_fail(&e, QL_E_SYSTEM, "out of memory for the request");
		ql_reply_err(req, &e);
		return NULL;
	}
	held->drop = drop;
	LL_PREPEND(req->states, held);
	req->state = held->state;
	return held->state;
}

static void
drop_states(struct ql_request *req)
{
	struct held_state *held, *next;
	LL_FOREACH_SAFE(req->states, held, next)
	{
		held->drop(held->state);
		free(held);
	}
}

/* ---- begin and end ---- */

void *
ql_request_begin(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	struct ql_server *server = cls;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct ql_conn *conn = info->socket_context;
	if (!conn)
		return NULL; /* there was no memory for it: MHD closes it at the first call */
	assert_conn(conn);
	struct ql_request *req = &conn->request;
	req->magic = QL_REQUEST_MAGIC;
	req->server = server;
	req->conn = conn;
	req->phase = QL_REQUEST_HEAD;
	const char *field;
	if (ql_target_parse(uri, &req->target, &field, &req->problem.err) && field)
		ql_str_copy(req->problem.field, sizeof(req->problem.field), field);
	return req;
}

void
ql_request_end(
	void *cls, struct MHD_Connection *mhd, void **ctx, enum MHD_RequestTerminationCode why)
{
	(void)mhd, (void)why;
	struct ql_server *server = cls;
	struct ql_request *req = *ctx;
	*ctx = NULL;
	if (!req)
		return;
	assert_request(req);
	drop_states(req);
	ql_request_unhold(req);
	if (req->response)
		MHD_destroy_response(req->response);
	server->body_bytes -= req->body.len;
	json_decref(req->json);
	ql_buf_done(&req->body);
	ql_target_done(&req->target);
	set_phase(req, QL_REQUEST_NONE, server->config.limits.head_ms);
	memset((char *)req + offsetof(struct ql_request, route), 0,
		sizeof(*req) - offsetof(struct ql_request, route));
}

/* ---- what is known when the headers are ---- */

static int
check_origin(struct ql_request *req)
{
	const struct ql_listen *where = &req->server->where;
	const char *host = ql_request_header(req, "Host");
	const char *origin = ql_request_header(req, "Origin");
	if (req->target.authority)
		host = req->target.authority;
	if (!host || !ql_listen_has_host(where, host))
		return ql_fail(&req->problem.err, QL_E_FORBIDDEN,
			"the Host '%.100s' is not this server's; ask for %s", host ? host : "",
			req->server->url);
	if (!origin || ql_listen_has_origin(where, origin))
		return 0;
	return ql_fail(&req->problem.err, QL_E_FORBIDDEN,
		"a page of the Origin '%.100s' may not ask here", origin);
}

static bool
is_listed(const char *const *names, const char *name)
{
	for (; names && *names; names++) {
		if (!strcmp(*names, name))
			return true;
	}
	return false;
}

static int
check_query(struct ql_request *req)
{
	for (size_t i = 0; i < req->target.param_count; i++) {
		const char *name = req->target.params[i].name;
		if (!is_listed(req->route->query, name))
			return ql_problem_field(&req->problem, name,
				"the query has '%.64s', which %s does not take", name,
				req->route->pattern);
	}
	return 0;
}

static int
check_looks(struct ql_request *req)
{
	if (!req->server->config.observes || !strcmp(req->route->method, "GET"))
		return 0;
	return ql_fail(&req->problem.err, QL_E_FORBIDDEN,
		"this server only looks (--observe): it stops, submits and changes nothing; start "
		"it without --observe for that");
}

static int
check_head(struct ql_request *req, const char *method)
{
	if (req->problem.err.code)
		return -1;
	if (check_origin(req) || ql_route_find(req, method, &req->route))
		return -1;
	if (!(req->route->flags & QL_ROUTE_OPEN) && ql_request_admit(req))
		return -1;
	return check_looks(req) || check_query(req) ? -1 : 0;
}

static int
too_large(struct ql_request *req)
{
	req->problem.limit = QL_HTTP_BODY_MAX;
	return ql_fail(&req->problem.err, QL_E_TOO_LARGE,
		"the body is larger than %d bytes, which is " QL_HTTP_BODY_NAME, QL_HTTP_BODY_MAX);
}

static int
check_length(struct ql_request *req, const char *length)
{
	int64_t bytes;
	if (!length || !ql_str_int(length, 0, QL_HTTP_BODY_MAX, &bytes))
		return 0;
	return too_large(req);
}

/* MHD answers in a first call by closing; a client that sends its body then sees no answer. */
static bool
answers_now(const struct ql_request *req, const char *length)
{
	const char *expect = ql_request_header(req, "Expect");
	int64_t bytes;
	return (expect && !strcasecmp(expect, "100-continue")) ||
	       (length && ql_str_int(length, 0, QL_HTTP_DRAIN_MAX, &bytes));
}

static enum MHD_Result
take_head(struct ql_request *req, const char *method)
{
	set_phase(req, QL_REQUEST_BODY, req->server->config.limits.body_ms);
	req->head = !strcmp(method, "HEAD");
	const char *length = ql_request_header(req, "Content-Length");
	if (!check_head(req, method) && !check_length(req, length))
		return MHD_YES;
	if (!answers_now(req, length))
		return MHD_YES;
	ql_reply_problem(req, &req->problem);
	return ql_request_answer(req);
}

/* ---- the body ---- */

static bool
is_json_type(const char *type)
{
	static const char json[] = "application/json";
	size_t len = sizeof(json) - 1;
	return type && !strncasecmp(type, json, len) && (!type[len] || strchr("; \t", type[len]));
}

static int
check_body(struct ql_request *req, size_t more)
{
	struct ql_err *e = &req->problem.err;
	if (!(req->route->flags & QL_ROUTE_BODY))
		return ql_problem_field(&req->problem, "body", "%s %s takes no body",
			req->route->method, req->route->pattern);
	if (!is_json_type(ql_request_header(req, "Content-Type")))
		return ql_fail(e, QL_E_MEDIA_TYPE,
			"a body must be JSON; say so with the header 'Content-Type: "
			"application/json'");
	if (req->body.len + more > QL_HTTP_BODY_MAX)
		return too_large(req);
	size_t most = req->server->config.limits.bodies;
	if (req->server->body_bytes + more > most)
		return ql_fail(e, QL_E_UNAVAILABLE,
			"the bodies being received have more than %zu bytes together", most);
	return 0;
}

static void
drop_body(struct ql_request *req)
{
	req->server->body_bytes -= req->body.len;
	ql_buf_done(&req->body);
}

/* A refused body is read and dropped, so that its sender comes to read the answer. */
static enum MHD_Result
take_body(struct ql_request *req, const char *data, size_t len)
{
	req->received += len;
	if (req->problem.err.code)
		return req->received > QL_HTTP_DRAIN_MAX ? MHD_NO : MHD_YES;
	if (check_body(req, len)) {
		drop_body(req);
		return MHD_YES;
	}
	if (ql_buf_add(&req->body, data, len)) {
		drop_body(req);
		ql_fail(&req->problem.err, QL_E_SYSTEM, "out of memory for the body");
		return MHD_YES;
	}
	req->server->body_bytes += len;
	return MHD_YES;
}

static int
check_members(struct ql_request *req)
{
	const char *name;
	json_t *value;
	if (!req->route->members)
		return 0;
	json_object_foreach (req->json, name, value) {
		if (!is_listed(req->route->members, name))
			return ql_problem_field(&req->problem, name,
				"the body has '%.64s', which %s does not take", name,
				req->route->pattern);
	}
	return 0;
}

static int
parse_body(struct ql_request *req)
{
	json_error_t error;
	if (!req->body.len && !(req->route->flags & QL_ROUTE_NEEDED))
		return 0;
	if (!req->body.len)
		return ql_fail(&req->problem.err, QL_E_SYNTAX,
			"the body is empty; %s %s needs a JSON object", req->route->method,
			req->route->pattern);
	req->json = json_loadb(req->body.data, req->body.len,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (!req->json) {
		req->problem.line = error.line;
		req->problem.column = error.column;
		req->problem.position = error.position;
		return ql_fail(&req->problem.err, QL_E_SYNTAX,
			"the body is not JSON: line %d, column %d (byte %d): %s", error.line,
			error.column, error.position, error.text);
	}
	if (!json_is_object(req->json))
		return ql_problem_field(&req->problem, "body", "the body must be a JSON object");
	return check_members(req);
}

/* ---- the answer ---- */

enum MHD_Result
ql_request_answer(struct ql_request *req)
{
	const struct ql_server_limits *limits = &req->server->config.limits;
	int64_t send_ms = limits->send_ms + (int64_t)req->size / QL_HTTP_SEND_RATE;
	set_phase(req, QL_REQUEST_SENT, req->streaming ? 0 : send_ms);
	ql_attempt_end(req);
	ql_limit_end(req);
	bool shared = req->response == req->server->healthy;
	if (req->server->stopping && !shared)
		MHD_add_response_header(req->response, "Connection", "close");
	enum MHD_Result done = MHD_queue_response(req->conn->mhd, req->status, req->response);
	if (!shared)
		MHD_destroy_response(req->response);
	req->response = NULL;
	return done;
}

static int
check_still_serving(struct ql_request *req)
{
	if (!req->server->stopping)
		return 0;
	return ql_fail(&req->problem.err, QL_E_UNAVAILABLE, "the server is stopping");
}

static enum MHD_Result
work(struct ql_request *req)
{
	set_phase(req, QL_REQUEST_WORK, 0);
	if (req->problem.err.code || check_still_serving(req) || parse_body(req)) {
		ql_reply_problem(req, &req->problem);
	} else {
		ql_attempt_reason(req);
		req->route->handle(req);
	}
	if (req->response)
		return ql_request_answer(req);
	ql_request_suspend(req);
	return MHD_YES;
}

enum MHD_Result
ql_request_serve(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
	const char *version, const char *data, size_t *data_size, void **ctx)
{
	(void)cls, (void)mhd, (void)url, (void)version;
	struct ql_request *req = *ctx;
	if (!req)
		return MHD_NO;
	assert_request(req);
	if (req->phase == QL_REQUEST_HEAD)
		return take_head(req, method);
	if (req->phase == QL_REQUEST_BODY && *data_size) {
		size_t len = *data_size;
		*data_size = 0;
		return take_body(req, data, len);
	}
	if (req->phase == QL_REQUEST_BODY)
		return work(req);
	if (req->phase == QL_REQUEST_WORK && req->response)
		return ql_request_answer(req);
	return MHD_NO;
}

void
ql_request_suspend(struct ql_request *req)
{
	MHD_suspend_connection(req->conn->mhd);
	req->suspended = true;
}

void
ql_request_resume(struct ql_request *req)
{
	if (!req->suspended)
		return;
	req->suspended = false;
	MHD_resume_connection(req->conn->mhd);
	ql_server_kick(req->server);
}

/* ---- those that wait ---- */

int
ql_request_hold(struct ql_request *req)
{
	size_t most = req->server->config.limits.waits;
	if (req->server->waits >= most) {
		req->problem.limit = (int64_t)most;
		ql_fail(&req->problem.err, QL_E_LIMIT,
			"%zu requests wait already, which is the most; ask without wait", most);
		ql_reply_problem(req, &req->problem);
		return -1;
	}
	req->server->waits++;
	req->held = true;
	return 0;
}

void
ql_request_unhold(struct ql_request *req)
{
	req->server->waits -= req->held;
	req->held = false;
}

void
ql_request_leave(struct ql_request *req)
{
	void (*leave)(struct ql_request *) = req->leave;
	req->left = true;
	req->leave = NULL;
	if (leave)
		leave(req);
}
