/* The routes: one const table. docs/openapi.yaml says what each takes and answers. */
#ifndef QL_HTTP_ROUTE_H
#define QL_HTTP_ROUTE_H

#include <stddef.h>

#include "http/request.h"

enum ql_route_flag {
	QL_ROUTE_OPEN = 1 << 0, /* needs no key */
	QL_ROUTE_BODY = 1 << 1, /* takes a JSON object */
	QL_ROUTE_NEEDED = 1 << 2, /* and can't do without one */
	QL_ROUTE_EVAL_KEY = 1 << 3, /* a key made for that evaluation will do */
	QL_ROUTE_QUIET = 1 << 4, /* only what is refused leaves a row in the audit */
	QL_ROUTE_ANY_ID = 1 << 5, /* its {id} may be an id of another kind */
};

/* The scope that it takes, as a flag. Without one: READ for GET, else ADMIN. */
#define QL_ROUTE_SCOPE(scope) (((unsigned)(scope) + 1) << 8)

struct ql_route {
	const char *method; /* GET stands for HEAD too */
	const char *pattern; /* "/api/eval/{id}/cancel" */
	void (*handle)(struct ql_request *req);
	unsigned flags;
	const char *const *query; /* what the query may name, NULL-terminated; NULL = nothing */
	const char *const *members; /* what the body may; NULL = the handler's business */
	const char *verb; /* what the audit calls it; NULL = it leaves no row */
};

extern const struct ql_route ql_routes[];
extern const size_t ql_route_count;

enum ql_scope ql_route_scope(const struct ql_route *route);

/*
 * The route of that method and path, with req->id. On failure the problem is NOT_FOUND, METHOD
 * (with `allow`), or INVALID for an id that can be none.
 */
int ql_route_find(struct ql_request *req, const char *method, const struct ql_route **ret_route);

/* The handlers, by file. */
void ql_serve_submit(struct ql_request *req); /* submit.c */
void ql_serve_batch(struct ql_request *req);
void ql_serve_evaluation(struct ql_request *req); /* evaluations.c */
void ql_serve_evaluations(struct ql_request *req);
void ql_serve_count(struct ql_request *req);
void ql_serve_timeline(struct ql_request *req);
void ql_serve_submission(struct ql_request *req); /* submission.c */
void ql_serve_doctor(struct ql_request *req); /* doctor.c */
void ql_serve_cancel(struct ql_request *req); /* stops.c */
void ql_serve_kill(struct ql_request *req);
void ql_serve_restore(struct ql_request *req); /* revise.c */
void ql_serve_resume(struct ql_request *req);
void ql_serve_delete(struct ql_request *req);
void ql_serve_output(struct ql_request *req); /* outputs.c */
void ql_serve_checkpoint(struct ql_request *req);
void ql_serve_task(struct ql_request *req); /* tasks.c */
void ql_serve_task_cancel(struct ql_request *req);
void ql_serve_cancellation(struct ql_request *req); /* cancellations.c */
void ql_serve_cancellations(struct ql_request *req);
void ql_serve_receipt(struct ql_request *req); /* receipts.c */
void ql_serve_signer(struct ql_request *req);
void ql_serve_bulk_create(struct ql_request *req); /* batches.c */
void ql_serve_bulk_cancel(struct ql_request *req);
void ql_serve_bulk_undo(struct ql_request *req);
void ql_serve_bulk(struct ql_request *req); /* batch_reads.c */
void ql_serve_bulks(struct ql_request *req);
void ql_serve_bulk_items(struct ql_request *req);
void ql_serve_events(struct ql_request *req); /* events.c */
void ql_serve_report(struct ql_request *req); /* reports.c */
void ql_serve_report_put(struct ql_request *req);
void ql_serve_policies(struct ql_request *req); /* policies.c */
void ql_serve_policy(struct ql_request *req);
void ql_serve_policy_create(struct ql_request *req);
void ql_serve_policy_delete(struct ql_request *req);
void ql_serve_policy_enable(struct ql_request *req);
void ql_serve_policy_disable(struct ql_request *req);
void ql_serve_policy_simulate(struct ql_request *req);
void ql_serve_policy_simulate_new(struct ql_request *req);
void ql_serve_session(struct ql_request *req); /* sessions.c */
void ql_serve_session_heartbeat(struct ql_request *req);
void ql_serve_session_end(struct ql_request *req);
void ql_serve_webhooks(struct ql_request *req); /* webhooks.c */
void ql_serve_webhook(struct ql_request *req);
void ql_serve_webhook_create(struct ql_request *req);
void ql_serve_webhook_delete(struct ql_request *req);
void ql_serve_webhook_enable(struct ql_request *req);
void ql_serve_webhook_disable(struct ql_request *req);
void ql_serve_webhook_rotate(struct ql_request *req);
void ql_serve_webhook_test(struct ql_request *req);
void ql_serve_keys(struct ql_request *req); /* keys.c */
void ql_serve_key_create(struct ql_request *req);
void ql_serve_key_revoke(struct ql_request *req);
void ql_serve_audit(struct ql_request *req); /* audit.c */
void ql_serve_abuse(struct ql_request *req); /* limits.c */
void ql_serve_orphans(struct ql_request *req); /* orphans.c */
void ql_serve_orphans_reap(struct ql_request *req);
void ql_serve_observe(struct ql_request *req); /* observe.c */
void ql_serve_healthz(struct ql_request *req); /* meta.c */
void ql_serve_readyz(struct ql_request *req);
void ql_serve_openapi(struct ql_request *req);
void ql_serve_web(struct ql_request *req); /* web.c */
void ql_serve_metrics(struct ql_request *req); /* metrics.c */

#endif
