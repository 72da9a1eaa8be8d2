/* GET /api/orphans and POST /api/orphans/reap: what is there without a record, and its end. */
#include <stdio.h>

#include "http/inside.h"
#include "http/route.h"

struct sweep {
	struct ql_orphans op; /* first */
	struct ql_request *req;
	bool dry_run;
};

static void
drop_sweep(void *state)
{
	struct sweep *sweep = state;
	ql_orphans_done(&sweep->op);
}

static void
render_marks(struct ql_json *json, uint32_t marks)
{
	ql_json_open(json, "marks", '[');
	for (int mark = 0; mark < QL_MARK_COUNT; mark++) {
		if (marks >> mark & 1)
			ql_json_text(json, NULL, ql_orphan_mark_word((enum ql_orphan_mark)mark));
	}
	ql_json_close(json, ']');
}

static void
render_orphan(struct ql_json *json, const struct ql_orphan *orphan)
{
	static const char *const ends[] = {[QL_ORPHAN_KEPT] = NULL,
		[QL_ORPHAN_REAPED] = "reaped",
		[QL_ORPHAN_STUCK] = "stuck"};
	const struct ql_trace *trace = &orphan->trace;
	char run[17];
	snprintf(run, sizeof(run), "%016llx", (unsigned long long)trace->incarnation);
	ql_json_open(json, NULL, '{');
	ql_json_text(json, "kind", ql_orphan_kind_word(trace->kind));
	ql_json_text(json, "name", trace->name);
	ql_json_text(json, "run", trace->incarnation ? run : NULL);
	ql_json_text(json, "eval_id", trace->eval_id[0] ? trace->eval_id : NULL);
	if (trace->pid)
		ql_json_int(json, "pid", trace->pid);
	else
		ql_json_null(json, "pid");
	render_marks(json, trace->marks);
	ql_json_text(json, "verdict", ql_orphan_verdict_word(orphan->verdict));
	ql_json_bool(json, "reapable", orphan->verdict == QL_ORPHAN_RIPE);
	ql_json_time(json, "found_at", orphan->found_at);
	ql_json_text(json, "what", trace->text[0] ? trace->text : NULL);
	ql_json_text(json, "outcome", ends[orphan->end]);
	ql_json_text(json, "why", orphan->why[0] ? orphan->why : NULL);
	ql_json_close(json, '}');
}

static void
reply_orphans(const struct sweep *sweep)
{
	const struct ql_orphans *op = &sweep->op;
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	ql_json_text(&json, "server", op->server);
	ql_json_bool(&json, "dry_run", sweep->dry_run);
	ql_json_int(&json, "reaped", op->reaped);
	ql_json_int(&json, "stuck", op->stuck);
	ql_json_bool(&json, "partial", op->partial);
	ql_json_open(&json, "orphans", '[');
	for (size_t i = 0; i < op->count; i++)
		render_orphan(&json, &op->found[i]);
	ql_json_close(&json, ']');
	ql_json_close(&json, '}');
	ql_reply_json(sweep->req, MHD_HTTP_OK, &json);
}

static void
on_swept(struct ql_orphans *op, int status)
{
	struct sweep *sweep = (struct sweep *)op;
	sweep->req->attempt.written = op->reaped || op->stuck; /* each has a row of its own */
	if (status)
		ql_reply_err(sweep->req, &op->err);
	else
		reply_orphans(sweep);
}

static struct sweep *
begin(struct ql_request *req)
{
	struct sweep *sweep = ql_request_state(req, sizeof(*sweep), drop_sweep);
	if (!sweep)
		return NULL;
	sweep->req = req;
	sweep->dry_run = true;
	sweep->op = (struct ql_orphans){.done = on_swept};
	return sweep;
}

void
ql_serve_orphans(struct ql_request *req)
{
	struct sweep *sweep = begin(req);
	if (sweep)
		ql_engine_orphans(req->server->config.engine, &sweep->op);
}

void
ql_serve_orphans_reap(struct ql_request *req)
{
	struct sweep *sweep = begin(req);
	int64_t limit = QL_ORPHAN_REAPS;
	if (!sweep)
		return;
	if (ql_param_bool(req, "dry_run", &sweep->dry_run) ||
		ql_param_int(req, "limit", 1, QL_ORPHAN_REAPS, &limit)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	sweep->op.reap = !sweep->dry_run;
	sweep->op.limit = (int)limit;
	sweep->op.attempt = req->attempt;
	ql_engine_orphans(req->server->config.engine, &sweep->op);
}
