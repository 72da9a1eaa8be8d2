/* Who asks, and may they: the key, its scopes, and what the audit will say of it. */
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "http/inside.h"
#include "http/route.h"

static void
write_remote(const struct ql_request *req, char ret_text[static QL_ATTEMPT_REMOTE])
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(req->conn->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info && info->client_addr)
		ql_address_text(info->client_addr, ret_text);
}

void
ql_request_trace(const struct ql_request *req, struct ql_trace_context *ret_trace)
{
	ql_trace_read(ql_request_header(req, "traceparent"), ql_request_header(req, "tracestate"),
		ret_trace);
}

static void
begin_attempt(struct ql_request *req)
{
	struct ql_attempt *attempt = &req->attempt;
	attempt->verb = req->route->verb;
	attempt->target = req->id;
	if (!attempt->verb)
		return;
	write_remote(req, attempt->remote);
	struct ql_trace_context trace;
	ql_request_trace(req, &trace);
	memcpy(attempt->trace, trace.parent, sizeof(attempt->trace));
	req->caller.attempt = attempt;
}

static void
name_caller(struct ql_request *req)
{
	const struct ql_principal *principal = &req->principal;
	req->caller.actor = principal->actor;
	req->caller.owner = principal->owner;
	req->caller.all = ql_principal_sees_all(principal);
	req->attempt.actor = principal->actor;
	req->attempt.role = ql_role_word(principal->role);
	req->attempt.key_id = principal->key_id;
}

static int
check_scope(struct ql_request *req)
{
	enum ql_scope scope = ql_route_scope(req->route);
	enum ql_role role = req->principal.role;
	if (req->principal.scopes >> scope & 1)
		return 0;
	req->problem.scope = ql_scope_word(scope);
	if (!(ql_role_scopes(role) >> scope & 1))
		return ql_fail(&req->problem.err, QL_E_FORBIDDEN,
			"this needs the role admin, and the key's is %s", ql_role_word(role));
	return ql_fail(&req->problem.err, QL_E_FORBIDDEN, "the key lacks the scope %s",
		ql_scope_word(scope));
}

int
ql_request_admit(struct ql_request *req)
{
	struct ql_server *server = req->server;
	const char *eval_id = req->route->flags & QL_ROUTE_EVAL_KEY ? req->id : NULL;
	begin_attempt(req);
	if (ql_auth_check(server->config.auth, ql_request_header(req, "Authorization"), eval_id,
		    ql_engine_now(server->config.engine), &req->principal, &req->problem.err))
		return -1;
	name_caller(req);
	return check_scope(req) || ql_request_limit(req) ? -1 : 0;
}
