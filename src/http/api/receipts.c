/* GET /api/cancellations/{cid}/receipt: what was seen of a stop, signed; and whose signature that is. */
#include "rules/receipt.h"

#include "base/check.h"
#include "http/inside.h"
#include "http/look.h"
#include "http/route.h"

static void
put_checks(struct ql_json *json, const struct ql_cancel *cancel)
{
	ql_json_open(json, "checks", '[');
	for (int check = 0; check < QL_CHECK_COUNT; check++) {
		bool passed = cancel->passed >> check & 1;
		bool unasked = cancel->unasked >> check & 1;
		if (!passed && !unasked)
			continue;
		ql_json_open(json, NULL, '{');
		ql_json_text(json, "check", ql_check_word((enum ql_check)check));
		ql_json_text(json, "looks_at", ql_check_sentence((enum ql_check)check));
		ql_json_text(json, "said", unasked ? NULL : "nothing is left");
		ql_json_close(json, '}');
	}
	ql_json_close(json, ']');
}

static void
put_statement(struct ql_json *json, const struct ql_look *look)
{
	const struct ql_record *record = &look->record;
	ql_json_open(json, NULL, '{');
	ql_json_int(json, "version", 1);
	ql_json_time(json, "issued_at", ql_engine_now(look->req->server->config.engine));
	ql_json_text(json, "owner", record->owner);
	ql_render_cancellation(json, "cancellation", record, &look->steps);
	put_checks(json, &record->state.cancel);
	ql_json_close(json, '}');
}

static void
reply_sealed(struct ql_request *req, const struct ql_buf *statement)
{
	struct ql_buf envelope = {0};
	struct ql_err e;
	const struct ql_signer *signer = req->server->config.signer;
	if (!ql_receipt_seal(statement->data, statement->len, signer, &envelope, &e)) {
		ql_reply_text(req, MHD_HTTP_OK, "application/json", &envelope);
		return;
	}
	ql_buf_done(&envelope);
	ql_reply_err(req, &e);
}

static void
reply_receipt(struct ql_look *look)
{
	struct ql_err e;
	struct ql_json json = {0};
	if (!look->record.state.cancel.settled_at) {
		ql_fail(&e, QL_E_CONFLICT,
			"the stop %s is under way: its receipt comes when it is settled",
			look->req->id);
		ql_reply_err(look->req, &e);
		return;
	}
	put_statement(&json, look);
	reply_sealed(look->req, &json.buf);
	ql_buf_done(&json.buf);
}

void
ql_serve_receipt(struct ql_request *req)
{
	ql_look_cancellation(req, reply_receipt);
}

void
ql_serve_signer(struct ql_request *req)
{
	struct ql_buf pem = {0};
	struct ql_err e;
	if (!ql_sign_key_pem(ql_signer_public(req->server->config.signer), &pem, &e)) {
		ql_reply_text(req, MHD_HTTP_OK, "application/x-pem-file", &pem);
		return;
	}
	ql_buf_done(&pem);
	ql_reply_err(req, &e);
}
