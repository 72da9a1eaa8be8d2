/* GET /api/task/{task_id}, POST /api/task/{task_id}/cancel: tasks of a broker by their own id. */
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "http/inside.h"
#include "http/route.h"
#include "http/api/stops.h"
#include "rules/task.h"

#define LOCATE_MS 3000 /* workers answer within a second; a busy one late */

struct locating {
	struct ql_request *req;
	struct ql_locate op;
};

static const char *const places[] = {
	[QL_PLACE_UNKNOWN] = "unknown",
	[QL_PLACE_QUEUED] = "queued",
	[QL_PLACE_RESERVED] = "reserved",
	[QL_PLACE_SCHEDULED] = "scheduled",
	[QL_PLACE_ACTIVE] = "active",
	[QL_PLACE_FINISHED] = "finished",
};

static void
put_text(struct ql_json *json, const char *name, const char *text)
{
	ql_json_text(json, name, *text ? text : NULL);
}

static void
put_number(struct ql_json *json, const char *name, int64_t number, bool known)
{
	if (known)
		ql_json_int(json, name, number);
	else
		ql_json_null(json, name);
}

static void
reply_place(struct locating *locating)
{
	const struct ql_locate *op = &locating->op;
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	ql_json_text(&json, "task_id", op->task_id);
	ql_json_text(&json, "place", places[op->place]);
	put_text(&json, "state", op->state);
	put_text(&json, "queue", op->queue);
	put_number(&json, "position", op->position, op->place == QL_PLACE_QUEUED);
	put_text(&json, "worker", op->node);
	put_number(&json, "pid", op->pid, op->pid);
	ql_json_time(&json, "since", op->since);
	ql_json_time(&json, "eta", op->eta);
	ql_json_bool(&json, "complete", op->complete);
	put_text(&json, "note", op->note);
	ql_json_close(&json, '}');
	ql_reply_json(locating->req, MHD_HTTP_OK, &json);
}

static void
on_located(struct ql_locate *op, int status)
{
	struct locating *locating = QL_OWNER(op, struct locating, op);
	if (status)
		ql_reply_err(locating->req, &op->err);
	else
		reply_place(locating);
}

static void
drop_nothing(void *state)
{
	(void)state; /* it owns nothing, and is not dropped while its operation is open */
}

/* Who may see every owner's: a message tells no owner. */
static int
check_admin(struct ql_request *req)
{
	struct ql_err err;
	if (!req->server->config.broker)
		ql_fail(&err, QL_E_NOT_FOUND,
			"this server has no broker (--broker): it knows evaluations, not tasks");
	else if (!req->caller.all)
		ql_fail(&err, QL_E_NOT_FOUND, "there is no task %.255s", req->id);
	else
		return 0;
	ql_reply_err(req, &err);
	return -1;
}

void
ql_serve_task(struct ql_request *req)
{
	if (check_admin(req))
		return;
	struct locating *locating = ql_request_state(req, sizeof(*locating), drop_nothing);
	if (!locating)
		return;
	locating->req = req;
	locating->op =
		(struct ql_locate){.task_id = req->id, .timeout_ms = LOCATE_MS, .done = on_located};
	ql_engine_locate(req->server->config.engine, &locating->op);
}

void
ql_serve_task_cancel(struct ql_request *req)
{
	struct ql_stop wanted = {.mode = QL_MODE_CANCEL};
	struct ql_err err;
	const char *task_id = req->server->config.task_id;
	char *eval_id = ql_request_state(req, QL_EVAL_ID, drop_nothing);
	if (!eval_id)
		return;
	if (ql_task_eval_id(task_id ? task_id : QL_TASK_TEMPLATE, req->id, eval_id, &err)) {
		ql_reply_err(req, &err);
		return;
	}
	wanted.task_id = req->id;
	req->id = eval_id;
	ql_stop_asked(req, &wanted);
}
