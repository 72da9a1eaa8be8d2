/* Sessions: leased, ended, shown. Each caller's own. */
#include <stdlib.h>

#include "engine/policy.h"
#include "http/inside.h"
#include "http/route.h"

#define LEASE_MS 60000 /* where none is named */

struct leasing {
	struct ql_session_write op; /* first */
	struct ql_request *req;
};

static void
drop_leasing(void *state)
{
	struct leasing *leasing = state;
	ql_changes_free(leasing->op.beside);
}

static void
reply_lease(struct ql_request *req, const struct ql_lease *lease)
{
	struct ql_json json = {0};
	bool lost = lease->over_at && lease->lost;
	ql_json_open(&json, NULL, '{');
	ql_json_text(&json, "session", req->id);
	ql_json_text(&json, "owner", req->caller.owner);
	ql_json_text(&json, "state", lost ? "lost" : lease->over_at ? "ended" : "leased");
	ql_json_int(&json, "lease_s", lease->lease_ms / 1000);
	ql_json_time(&json, "until", lease->over_at ? 0 : lease->until);
	ql_json_time(&json, "over_at", lease->over_at);
	ql_json_close(&json, '}');
	ql_reply_json(req, MHD_HTTP_OK, &json);
}

static void
on_written(struct ql_session_write *op, int status)
{
	struct leasing *leasing = (struct leasing *)op;
	struct ql_request *req = leasing->req;
	req->attempt.written = !status;
	if (status)
		ql_reply_err(req, &op->err);
	else
		reply_lease(req, &op->lease);
}

static struct leasing *
begin(struct ql_request *req)
{
	struct leasing *leasing = ql_request_state(req, sizeof(*leasing), drop_leasing);
	if (!leasing)
		return NULL;
	leasing->req = req;
	leasing->op = (struct ql_session_write){.caller = req->caller,
		.session = req->id,
		.lease_ms = LEASE_MS,
		.done = on_written};
	return leasing;
}

void
ql_serve_session(struct ql_request *req)
{
	struct ql_lease lease;
	const struct ql_engine *engine = req->server->config.engine;
	bool known = !ql_engine_rules_check(engine, &req->problem.err);
	if (known && ql_engine_session(engine, req->caller.owner, req->id, &lease)) {
		reply_lease(req, &lease);
		return;
	}
	if (known)
		ql_fail(&req->problem.err, QL_E_NOT_FOUND,
			"nobody leased or ended a session %.128s of yours", req->id);
	ql_reply_problem(req, &req->problem);
}

void
ql_serve_session_heartbeat(struct ql_request *req)
{
	struct leasing *leasing = begin(req);
	if (!leasing)
		return;
	if (ql_param_seconds(
		    req, "lease_s", QL_SESSION_LEASE_MAX_MS / 1000, &leasing->op.lease_ms)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	if (leasing->op.lease_ms < 1000) {
		req->problem.limit = 1;
		ql_problem_field(&req->problem, "lease_s", "'lease_s' must be 1 or more");
		ql_reply_problem(req, &req->problem);
		return;
	}
	ql_engine_session_write(req->server->config.engine, &leasing->op);
}

void
ql_serve_session_end(struct ql_request *req)
{
	struct leasing *leasing = begin(req);
	if (!leasing)
		return;
	req->attempt.target = req->id;
	char *text = ql_attempt_text(&req->attempt, "accepted", MHD_HTTP_OK);
	leasing->op.beside = text ? ql_change_audit(text) : NULL;
	leasing->op.ends = true;
	free(text);
	ql_engine_session_write(req->server->config.engine, &leasing->op);
}
