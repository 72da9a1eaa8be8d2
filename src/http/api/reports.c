/*
 * GET and PUT /evaluations/{id}: the storage service that task code talks to. What it reports is
 * kept beside the evaluation and settles nothing; "status": "cancelled" asks for a cancel.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "http/inside.h"
#include "http/look.h"
#include "http/route.h"
#include "http/api/stops.h"

#define STATUS_MAX 64 /* bytes of a reported status */

struct reporting {
	struct ql_look look; /* first: a look is its reporting */
	struct ql_store_read read;
	struct ql_report op;
	json_t *report; /* owned: what is kept; an object */
	char *text; /* owned: the same */
	char reason[QL_REASON_MAX + 1];
	bool cancels;
};

static void
drop_reporting(void *state)
{
	struct reporting *reporting = state;
	ql_look_done(&reporting->look);
	ql_store_read_done(&reporting->read);
	json_decref(reporting->report);
	free(reporting->text);
}

static const char *
reported(const struct reporting *reporting, const char *name)
{
	return json_string_value(json_object_get(reporting->report, name));
}

/* ---- reading ---- */

static void
reply_report(struct ql_look *look)
{
	struct reporting *reporting = (struct reporting *)look;
	struct ql_record shown = look->record;
	struct ql_json json = {0};
	const json_t *result = json_object_get(reporting->report, "result");
	char *text = result ? json_dumps(result, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	if (reported(reporting, "error"))
		shown.error = (char *)reported(reporting, "error");
	ql_json_open(&json, NULL, '{');
	ql_render_evaluation_members(&json, &shown, &look->steps);
	ql_json_text(&json, "output", reported(reporting, "output"));
	ql_json_raw(&json, "result", text ? text : "null");
	ql_json_text(&json, "reported_status", reported(reporting, "reported_status"));
	ql_json_close(&json, '}');
	free(text);
	ql_reply_json(look->req, MHD_HTTP_OK, &json);
}

static void
read_report(struct reporting *reporting, void (*done)(struct ql_store_read *op, int status))
{
	struct ql_request *req = reporting->look.req;
	reporting->read = (struct ql_store_read){
		.kind = QL_READ_REPORT, .filter = {.eval_id = req->id}, .done = done};
	ql_engine_read(req->server->config.engine, &reporting->read);
}

/* Takes what was kept into reporting->report. */
static int
take_kept(struct ql_store_read *read, int status, struct reporting **ret_reporting)
{
	struct reporting *reporting = QL_OWNER(read, struct reporting, read);
	*ret_reporting = reporting;
	if (status) {
		ql_reply_err(reporting->look.req, &read->err);
		return -1;
	}
	reporting->report =
		read->text ? json_loads(read->text, JSON_ALLOW_NUL, NULL) : json_object();
	if (reporting->report)
		return 0;
	struct ql_err e;
	ql_fail(&e, QL_E_INTERNAL, "what was reported of %s can't be read",
		reporting->look.req->id);
	ql_reply_err(reporting->look.req, &e);
	return -1;
}

static void
on_report(struct ql_store_read *read, int status)
{
	struct reporting *reporting;
	if (!take_kept(read, status, &reporting))
		ql_look_steps(&reporting->look, reply_report);
}

static void
on_found(struct ql_look *look)
{
	read_report((struct reporting *)look, on_report);
}

void
ql_serve_report(struct ql_request *req)
{
	struct reporting *reporting = ql_request_state(req, sizeof(*reporting), drop_reporting);
	if (reporting)
		ql_look(&reporting->look, req, on_found);
}

/* ---- writing ---- */

static void
reply_accepted(struct ql_look *look)
{
	ql_reply_cancellation(look, MHD_HTTP_ACCEPTED);
}

static void
on_kept(struct ql_report *op, int status)
{
	struct reporting *reporting = QL_OWNER(op, struct reporting, op);
	struct ql_request *req = reporting->look.req;
	if (status) {
		ql_reply_err(req, &op->err);
		return;
	}
	if (!reporting->cancels) {
		ql_look_steps(&reporting->look, reply_report);
		return;
	}
	struct ql_stop wanted = {.mode = QL_MODE_CANCEL,
		.grace_ms = -1,
		.reason = reporting->reason[0] ? reporting->reason : NULL};
	ql_stop_for(req, &wanted, reply_accepted);
}

/* Members that are named replace what was kept; the others stay. */
static void
merge(struct reporting *reporting)
{
	json_t *report = reporting->report, *value;
	const char *name;
	json_object_foreach (reporting->look.req->json, name, value) {
		bool status = !strcmp(name, "status");
		if (status && json_object_get(reporting->look.req->json, "reported_status"))
			continue;
		json_object_set(report, status ? "reported_status" : name, value);
	}
}

static void
on_kept_before(struct ql_store_read *read, int status)
{
	struct reporting *reporting;
	if (take_kept(read, status, &reporting))
		return;
	struct ql_request *req = reporting->look.req;
	merge(reporting);
	reporting->text = json_dumps(reporting->report, JSON_COMPACT);
	if (!reporting->text) {
		struct ql_err e;
		ql_fail(&e, QL_E_SYSTEM, "out of memory for the report");
		ql_reply_err(req, &e);
		return;
	}
	reporting->op = (struct ql_report){.caller = req->caller,
		.eval_id = req->id,
		.report = reporting->text,
		.done = on_kept};
	ql_engine_report(req->server->config.engine, &reporting->op);
}

static void
on_found_to_write(struct ql_look *look)
{
	read_report((struct reporting *)look, on_kept_before);
}

static int
check_text(struct ql_request *req, const char *name, size_t max)
{
	const char *text = NULL;
	return ql_param_text(req, name, max, &text);
}

/* The reason of a cancel that is asked for this way: the reported error, cut between characters. */
static void
take_reason(struct reporting *reporting)
{
	const json_t *json = reporting->look.req->json;
	const char *error = json_string_value(json_object_get(json, "error"));
	if (!error || !ql_str_copy(reporting->reason, sizeof(reporting->reason), error))
		return;
	size_t len = strlen(reporting->reason);
	while (len && !ql_str_is_utf8(reporting->reason, len))
		reporting->reason[--len] = 0;
}

void
ql_serve_report_put(struct ql_request *req)
{
	const char *status = NULL;
	if (check_text(req, "output", QL_HTTP_BODY_MAX) ||
		check_text(req, "error", QL_HTTP_BODY_MAX) ||
		check_text(req, "reported_status", STATUS_MAX) ||
		ql_param_text(req, "status", STATUS_MAX, &status)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	struct reporting *reporting = ql_request_state(req, sizeof(*reporting), drop_reporting);
	if (!reporting)
		return;
	reporting->look.req = req;
	reporting->cancels = status && !strcmp(status, ql_status_word(QL_STATUS_CANCELLED));
	take_reason(reporting);
	ql_look(&reporting->look, req, on_found_to_write);
}
