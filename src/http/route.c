#include "http/route.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "rules/submission.h"

/* What the queries, and the bodies of stops, may name. */
static const char *const wait_names[] = {"wait", NULL};
static const char *const list_names[] = {
	"selector", "status", "owner", "label", "limit", "cursor", NULL};
static const char *const select_names[] = {"selector", "status", "owner", "label", NULL};
static const char *const output_names[] = {"attempt", "stream", "offset", "follow", NULL};
static const char *const stop_names[] = {
	"terminate", "grace", "escalate", "reason", "wait", "confirm", NULL};
static const char *const task_stop_names[] = {
	"terminate", "grace", "escalate", "reason", "wait", "ahead", "confirm", NULL};
static const char *const stops_names[] = {
	"status", "mode", "actor", "since", "limit", "cursor", NULL};
static const char *const batch_members[] = {"evaluations", NULL};
static const char *const bulk_members[] = {"ids", "selector", "preview", "mode", "terminate",
	"grace", "escalate", "reason", "max_matches", "dry_run", "confirm", NULL};
static const char *const page_names[] = {"limit", "cursor", NULL};
static const char *const report_members[] = {
	"status", "output", "error", "result", "reported_status", NULL};
static const char *const key_members[] = {"owner", "name", "role", "scopes", "expires_in_s", NULL};
static const char *const audit_names[] = {
	"since", "actor", "verb", "order", "limit", "cursor", NULL};
static const char *const event_names[] = {"selector", "status", "owner", "label", "session", NULL};
static const char *const since_names[] = {"since", NULL};
static const char *const confirm_names[] = {"confirm", NULL};
static const char *const lease_names[] = {"lease_s", NULL};
static const char *const reap_names[] = {"dry_run", "limit", NULL};
static const char *const rotate_names[] = {"keep_s", NULL};
static const char *const no_members[] = {NULL};

#define BODY QL_ROUTE_BODY
#define NEEDED (QL_ROUTE_BODY | QL_ROUTE_NEEDED)
#define TASK QL_ROUTE_EVAL_KEY
#define SCOPE(scope) QL_ROUTE_SCOPE(QL_SCOPE_##scope)

const struct ql_route ql_routes[] = {
	{"GET", "/", ql_serve_web, QL_ROUTE_OPEN},
	{"GET", "/healthz", ql_serve_healthz, QL_ROUTE_OPEN},
	{"GET", "/readyz", ql_serve_readyz, QL_ROUTE_OPEN},
	{"GET", "/openapi.json", ql_serve_openapi},
	{"GET", "/metrics", ql_serve_metrics},
	{"POST", "/api/eval", ql_serve_submit, NEEDED | SCOPE(SUBMIT), .verb = "submit"},
	{"POST", "/api/eval-batch", ql_serve_batch, NEEDED | SCOPE(SUBMIT), NULL, batch_members,
		"submit"},
	{"GET", "/api/eval/{id}", ql_serve_evaluation, 0, wait_names},
	{"DELETE", "/api/eval/{id}", ql_serve_delete, SCOPE(DELETE), .verb = "delete"},
	{"GET", "/api/evaluations", ql_serve_evaluations, 0, list_names},
	{"GET", "/api/evaluations/count", ql_serve_count, 0, select_names},
	{"GET", "/api/eval/{id}/output", ql_serve_output, 0, output_names},
	{"GET", "/api/eval/{id}/timeline", ql_serve_timeline},
	{"GET", "/api/eval/{id}/submission", ql_serve_submission},
	{"GET", "/api/eval/{id}/doctor", ql_serve_doctor, QL_ROUTE_ANY_ID},
	{"GET", "/api/eval/{id}/checkpoint", ql_serve_checkpoint},
	{"POST", "/api/eval/{id}/cancel", ql_serve_cancel, BODY | SCOPE(CANCEL), stop_names,
		stop_names, "cancel"},
	{"POST", "/api/eval/{id}/kill", ql_serve_kill, BODY | SCOPE(KILL), stop_names, stop_names,
		"kill"},
	{"POST", "/api/eval/{id}/restore", ql_serve_restore, BODY | SCOPE(CANCEL), NULL, no_members,
		"restore"},
	{"POST", "/api/eval/{id}/resume", ql_serve_resume, BODY | SCOPE(SUBMIT), NULL, no_members,
		"resume"},
	{"GET", "/api/task/{task_id}", ql_serve_task},
	{"POST", "/api/task/{task_id}/cancel", ql_serve_task_cancel, BODY | SCOPE(CANCEL),
		task_stop_names, task_stop_names, "cancel"},
	{"GET", "/api/cancellations", ql_serve_cancellations, 0, stops_names},
	{"GET", "/api/cancellations/{cid}", ql_serve_cancellation},
	{"GET", "/api/cancellations/{cid}/receipt", ql_serve_receipt},
	{"POST", "/api/batches", ql_serve_bulk_create, NEEDED | SCOPE(CANCEL), NULL, bulk_members,
		"batch"},
	{"GET", "/api/batches", ql_serve_bulks, 0, page_names},
	{"GET", "/api/batches/{batch_id}", ql_serve_bulk},
	{"GET", "/api/batches/{batch_id}/items", ql_serve_bulk_items, 0, page_names},
	{"POST", "/api/batches/{batch_id}/cancel", ql_serve_bulk_cancel, BODY | SCOPE(CANCEL), NULL,
		no_members, "batch-stop"},
	{"POST", "/api/batches/{batch_id}/undo", ql_serve_bulk_undo, BODY | SCOPE(CANCEL), NULL,
		no_members, "batch-undo"},
	{"GET", "/api/signer", ql_serve_signer},
	{"GET", "/api/events", ql_serve_events, 0, event_names},
	{"GET", "/api/policies", ql_serve_policies},
	{"POST", "/api/policies", ql_serve_policy_create, NEEDED | SCOPE(ADMIN),
		.verb = "policy-create"},
	{"POST", "/api/policies/simulate", ql_serve_policy_simulate_new, NEEDED | SCOPE(READ),
		since_names},
	{"GET", "/api/policies/{name}", ql_serve_policy},
	{"DELETE", "/api/policies/{name}", ql_serve_policy_delete, SCOPE(ADMIN),
		.verb = "policy-delete"},
	{"POST", "/api/policies/{name}/enable", ql_serve_policy_enable, BODY | SCOPE(ADMIN),
		confirm_names, confirm_names, "policy-enable"},
	{"POST", "/api/policies/{name}/disable", ql_serve_policy_disable, BODY | SCOPE(ADMIN), NULL,
		no_members, "policy-disable"},
	{"POST", "/api/policies/{name}/simulate", ql_serve_policy_simulate, BODY | SCOPE(READ),
		since_names, no_members},
	{"GET", "/api/sessions/{session}", ql_serve_session},
	{"POST", "/api/sessions/{session}/heartbeat", ql_serve_session_heartbeat,
		BODY | SCOPE(SUBMIT), lease_names, lease_names},
	{"POST", "/api/sessions/{session}/end", ql_serve_session_end, BODY | SCOPE(CANCEL), NULL,
		no_members, "session-end"},
	{"GET", "/api/webhooks", ql_serve_webhooks},
	{"POST", "/api/webhooks", ql_serve_webhook_create, NEEDED | SCOPE(SUBMIT),
		.verb = "webhook-create"},
	{"GET", "/api/webhooks/{webhook_id}", ql_serve_webhook},
	{"DELETE", "/api/webhooks/{webhook_id}", ql_serve_webhook_delete, SCOPE(SUBMIT),
		.verb = "webhook-delete"},
	{"POST", "/api/webhooks/{webhook_id}/test", ql_serve_webhook_test, BODY | SCOPE(SUBMIT),
		NULL, no_members, "webhook-test"},
	{"POST", "/api/webhooks/{webhook_id}/rotate", ql_serve_webhook_rotate, BODY | SCOPE(SUBMIT),
		rotate_names, rotate_names, "webhook-rotate"},
	{"POST", "/api/webhooks/{webhook_id}/enable", ql_serve_webhook_enable, BODY | SCOPE(SUBMIT),
		NULL, no_members, "webhook-enable"},
	{"POST", "/api/webhooks/{webhook_id}/disable", ql_serve_webhook_disable,
		BODY | SCOPE(SUBMIT), NULL, no_members, "webhook-disable"},
	{"GET", "/api/keys", ql_serve_keys, SCOPE(ADMIN)},
	{"POST", "/api/keys", ql_serve_key_create, NEEDED | SCOPE(ADMIN), NULL, key_members,
		"key-create"},
	{"DELETE", "/api/keys/{key_id}", ql_serve_key_revoke, SCOPE(ADMIN), .verb = "key-revoke"},
	{"GET", "/api/audit", ql_serve_audit, SCOPE(ADMIN), audit_names},
	{"GET", "/api/abuse", ql_serve_abuse, SCOPE(ADMIN)},
	{"GET", "/api/orphans", ql_serve_orphans, SCOPE(ADMIN)},
	{"POST", "/api/orphans/reap", ql_serve_orphans_reap, BODY | SCOPE(ADMIN), reap_names,
		reap_names, "orphan-reap"},
	{"GET", "/api/observe", ql_serve_observe},
	{"GET", "/evaluations/{id}", ql_serve_report, TASK},
	{"PUT", "/evaluations/{id}", ql_serve_report_put,
		NEEDED | TASK | QL_ROUTE_QUIET | SCOPE(SUBMIT), NULL, report_members, "report"},
};

const size_t ql_route_count = sizeof(ql_routes) / sizeof(ql_routes[0]);

static bool
matches(const char *pattern, const struct ql_target *target, const char **ret_id)
{
	size_t n = 0;
	const char *id = NULL;
	for (const char *at = pattern; *at; n++) {
		size_t len = strcspn(++at, "/");
		if (n >= target->segment_count)
			return false;
		const char *segment = target->segments[n];
		if (*at == '{')
			id = segment;
		else if (strlen(segment) != len || memcmp(segment, at, len) != 0)
			return false;
		at += len;
	}
	*ret_id = id;
	return n == target->segment_count;
}

enum ql_scope
ql_route_scope(const struct ql_route *route)
{
	unsigned scope = route->flags >> 8;
	if (scope)
		return (enum ql_scope)(scope - 1);
	return strcmp(route->method, "GET") ? QL_SCOPE_ADMIN : QL_SCOPE_READ;
}

static bool
is_method(const struct ql_route *route, const char *method)
{
	return !strcmp(route->method, strcmp(method, "HEAD") ? method : "GET");
}

static void
add_allow(struct ql_problem *problem, const char *method)
{
	size_t len = strlen(problem->allow);
	const char *more = strcmp(method, "GET") ? method : "GET, HEAD";
	snprintf(problem->allow + len, sizeof(problem->allow) - len, "%s%s", len ? ", " : "", more);
}

static int
check_session(struct ql_request *req)
{
	if (*req->id && strlen(req->id) <= QL_TEXT_MAX)
		return 0;
	req->problem.limit = QL_TEXT_MAX;
	return ql_problem_field(
		&req->problem, "session", "a session has 1 to %d bytes", QL_TEXT_MAX);
}

/* A cancellation's id is looked up as it is; here only what can't be one is refused. */
static int
check_id(struct ql_request *req, const struct ql_route *route)
{
	if (strstr(route->pattern, "{cid}")) {
		if (!strchr(req->id, '/') && strlen(req->id) < QL_TASK_ID)
			return 0;
		return ql_problem_field(&req->problem, "cancellation_id",
			"a cancellation's id has no slash, and less than %d characters",
			QL_TASK_ID);
	}
	if (route->flags & QL_ROUTE_ANY_ID || strstr(route->pattern, "{task_id}")) {
		if (*req->id && strlen(req->id) < QL_TASK_ID)
			return 0;
		req->problem.limit = QL_TASK_ID - 1;
		return ql_problem_field(
			&req->problem, "task_id", "an id has 1 to %d bytes", QL_TASK_ID - 1);
	}
	if (strstr(route->pattern, "{key_id}") || strstr(route->pattern, "{batch_id}") ||
		strstr(route->pattern, "{name}") || strstr(route->pattern, "{webhook_id}"))
		return 0; /* none is unknown */
	if (strstr(route->pattern, "{session}"))
		return check_session(req);
	if (ql_str_is_eval_id(req->id))
		return 0;
	req->problem.limit = QL_EVAL_ID - 1;
	return ql_problem_field(&req->problem, "eval_id",
		"'%.140s' can't be an eval_id: it has 1 to %d characters of A-Z a-z 0-9 . _ : - "
		"and begins with a letter or digit",
		req->id, QL_EVAL_ID - 1);
}

int
ql_route_find(struct ql_request *req, const char *method, const struct ql_route **ret_route)
{
	for (size_t i = 0; i < ql_route_count; i++) {
		if (!matches(ql_routes[i].pattern, &req->target, &req->id))
			continue;
		if (is_method(&ql_routes[i], method)) {
			*ret_route = &ql_routes[i];
			return req->id ? check_id(req, *ret_route) : 0;
		}
		add_allow(&req->problem, ql_routes[i].method);
	}
	if (req->problem.allow[0])
		return ql_fail(&req->problem.err, QL_E_METHOD, "this path takes %s, not %.32s",
			req->problem.allow, method);
	return ql_fail(&req->problem.err, QL_E_NOT_FOUND,
		"there is no such path; /openapi.json names them all");
}
