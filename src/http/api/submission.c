/*
 * GET /api/eval/{id}/submission: what was submitted, to be submitted again. It is told to whoever may see the
 * evaluation, without its id and the trace that it belonged to; what stands in `env` to its owner alone, as
 * secrets do stand there.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "http/inside.h"
#include "http/look.h"
#include "http/route.h"
#include "rules/trace.h"

static void
drop_look(void *state)
{
	ql_look_done(state);
}

static bool
is_owner(const struct ql_request *req, const struct ql_record *record)
{
	return record->owner && !strcmp(record->owner, req->caller.owner);
}

static void
reply_none(struct ql_request *req, const char *why)
{
	struct ql_err e;
	ql_fail(&e, QL_E_NOT_FOUND, "what was submitted as %s is not here: %s", req->id, why);
	ql_reply_err(req, &e);
}

static void
reply_submission(struct ql_request *req, json_t *submission, bool withheld)
{
	char *text = json_dumps(submission, JSON_COMPACT);
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	ql_json_text(&json, "eval_id", req->id);
	ql_json_raw(&json, "submission", text ? text : "{}");
	ql_json_bool(&json, "env_withheld", withheld);
	ql_json_close(&json, '}');
	if (!text)
		json.buf.failed = true;
	free(text);
	ql_reply_json(req, MHD_HTTP_OK, &json);
}

static void
on_found(struct ql_look *look)
{
	struct ql_request *req = look->req;
	const struct ql_record *record = &look->record;
	if (record->state.adopted) {
		reply_none(req, "another producer sent it to the broker");
		return;
	}
	json_t *submission = record->payload ? json_loads(record->payload, 0, NULL) : NULL;
	if (!submission) {
		reply_none(req, "the store has it no more");
		return;
	}
	json_t *labels = json_object_get(submission, "labels");
	json_object_del(labels, QL_TRACE_LABEL);
	json_object_del(labels, QL_TRACE_STATE_LABEL);
	bool withheld = !is_owner(req, record) && !json_object_del(submission, "env");
	reply_submission(req, submission, withheld);
	json_decref(submission);
}

void
ql_serve_submission(struct ql_request *req)
{
	struct ql_look *look = ql_request_state(req, sizeof(*look), drop_look);
	if (!look)
		return;
	look->with_payload = true;
	ql_look(look, req, on_found);
}
