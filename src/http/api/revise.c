/* Restore, resume and delete. */
#include <stddef.h>
#include <stdlib.h>

#include "base/owner.h"
#include "http/inside.h"
#include "http/look.h"
#include "http/route.h"

struct revising {
	struct ql_look look; /* first: a look is its revising */
	struct ql_revise op;
	unsigned status;
};

static void
drop_revising(void *state)
{
	struct revising *revising = state;
	ql_look_done(&revising->look);
	ql_revise_done(&revising->op);
}

static void
reply_revised(struct ql_look *look)
{
	struct revising *revising = (struct revising *)look;
	struct ql_json json = {0};
	ql_render_evaluation(&json, NULL, &look->record, &look->steps);
	ql_reply_json(look->req, revising->status, &json);
}

static void
on_revised(struct ql_revise *op, int status)
{
	struct revising *revising = QL_OWNER(op, struct revising, op);
	struct ql_look *look = &revising->look;
	if (status) {
		ql_reply_err(look->req, &op->err);
		return;
	}
	if (op->kind == QL_REVISE_DELETE) {
		ql_reply_empty(look->req, MHD_HTTP_NO_CONTENT);
		return;
	}
	look->record = op->record;
	op->record = (struct ql_record){0};
	ql_look_steps(look, reply_revised);
}

static void
revise(struct ql_request *req, enum ql_revise_kind kind, unsigned status)
{
	struct revising *revising = ql_request_state(req, sizeof(*revising), drop_revising);
	if (!revising)
		return;
	revising->look.req = req;
	revising->status = status;
	revising->op = (struct ql_revise){
		.caller = req->caller, .eval_id = req->id, .kind = kind, .done = on_revised};
	ql_engine_revise(req->server->config.engine, &revising->op);
}

void
ql_serve_restore(struct ql_request *req)
{
	revise(req, QL_REVISE_RESTORE, MHD_HTTP_OK);
}

void
ql_serve_resume(struct ql_request *req)
{
	revise(req, QL_REVISE_RESUME, MHD_HTTP_CREATED);
}

void
ql_serve_delete(struct ql_request *req)
{
	revise(req, QL_REVISE_DELETE, MHD_HTTP_NO_CONTENT);
}
