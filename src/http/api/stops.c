/* POST /api/eval/{id}/cancel and /kill, and the answer that each outcome has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/owner.h"
#include "base/str.h"
#include "http/inside.h"
#include "http/look.h"
#include "http/route.h"
#include "http/api/stops.h"

struct stopping {
	struct ql_look look; /* first: a look is its stopping */
	struct ql_stop op;
	struct ql_err err; /* why it is refused: the cancellation's members are shown with it */
	ql_stopped_fn *reply;
};

static void
drop_stopping(void *state)
{
	struct stopping *stopping = state;
	ql_look_done(&stopping->look);
	ql_stop_done(&stopping->op);
}

/* ---- what is asked for ---- */

int
ql_param_escalate(struct ql_request *req, enum ql_mode mode, enum ql_rung *ret_top)
{
	const char *text = NULL;
	*ret_top = QL_RUNG_NONE;
	if (ql_param_text(req, "escalate", 16, &text))
		return -1;
	if (text && ql_mode_escalate(mode, text, ret_top))
		return ql_problem_field(&req->problem, "escalate",
			"'escalate' must be none, terminate or kill, not '%.32s'", text);
	return 0;
}

/* `Prefer: wait=N` among other preferences; one that can't be read is no preference. */
static void
parse_prefer(const char *prefer, int64_t *ret_ms)
{
	while (prefer && *prefer) {
		prefer += strspn(prefer, ",; \t");
		if (!strncasecmp(prefer, "wait=", 5)) {
			long seconds = strtol(prefer + 5, NULL, 10);
			seconds = seconds < 0 ? 0 : seconds;
			*ret_ms = (seconds < QL_HTTP_WAIT_MAX ? seconds : QL_HTTP_WAIT_MAX) * 1000;
			return;
		}
		prefer += strcspn(prefer, ",;");
	}
}

static int
parse_if_match(struct ql_request *req, int32_t *ret_attempt)
{
	static const char head[] = "\"attempt-";
	const char *text = ql_request_header(req, "If-Match");
	int64_t attempt = 0;
	if (!text || !strcmp(text, "*"))
		return 0;
	char digits[16];
	size_t len = strlen(text), skip = sizeof(head) - 1;
	bool framed = len > skip + 1 && !strncmp(text, head, skip) && text[len - 1] == '"' &&
		      !ql_str_copy(digits, sizeof(digits), text + skip);
	if (framed) {
		digits[len - skip - 1] = 0;
		framed = !ql_str_int(digits, 1, INT32_MAX, &attempt);
	}
	if (!framed)
		return ql_problem_field(&req->problem, "If-Match",
			"'If-Match' must be \"attempt-N\" (with its quotes) or *");
	*ret_attempt = (int32_t)attempt;
	return 0;
}

static int
parse_stop(struct ql_request *req, struct ql_stop *op)
{
	bool terminate = false;
	if (ql_param_bool(req, "terminate", &terminate) || ql_param_bool(req, "ahead", &op->ahead))
		return -1;
	if (terminate && op->mode == QL_MODE_CANCEL)
		op->mode = QL_MODE_TERMINATE;
	op->wait_ms = op->mode == QL_MODE_CANCEL ? 0 : 1000;
	parse_prefer(ql_request_header(req, "Prefer"), &op->wait_ms);
	return ql_param_seconds(req, "grace", QL_HTTP_GRACE_MAX, &op->grace_ms) ||
			       ql_param_seconds(req, "wait", QL_HTTP_WAIT_MAX, &op->wait_ms) ||
			       ql_param_text(req, "reason", QL_REASON_MAX, &op->reason) ||
			       ql_param_escalate(req, op->mode, &op->top) ||
			       parse_if_match(req, &op->attempt)
		       ? -1
		       : 0;
}

/* ---- the answer ---- */

static void
reply_refused(struct stopping *stopping)
{
	struct ql_look *look = &stopping->look;
	struct ql_problem problem = {.err = stopping->err};
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	ql_problem_render(&json, &problem);
	ql_render_cancellation_members(&json, &look->record, &look->steps);
	ql_json_close(&json, '}');
	ql_reply_problem_json(look->req, problem.err.code, &json);
}

static void
reply_stopped(struct ql_look *look)
{
	struct stopping *stopping = (struct stopping *)look;
	if (stopping->err.code)
		reply_refused(stopping);
	else
		stopping->reply(look);
}

void
ql_reply_cancellation(struct ql_look *look, unsigned status)
{
	struct ql_json json = {0};
	ql_look_put_cancellation(look, &json);
	ql_reply_json(look->req, status, &json);
	if (status != MHD_HTTP_ACCEPTED)
		return;
	char id[QL_TASK_ID], place[QL_TASK_ID + 32];
	ql_cancellation_id(look->record.eval_id, look->record.state.attempt, id);
	snprintf(place, sizeof(place), "/api/cancellations/%s", id);
	ql_reply_header(look->req, "Location", place);
}

static void
reply_by_outcome(struct ql_look *look)
{
	const struct ql_state *state = &look->record.state;
	bool open = state->cancel.outcome == QL_OUTCOME_NONE &&
		    !ql_status_settled((enum ql_status)state->status);
	ql_reply_cancellation(look, open ? MHD_HTTP_ACCEPTED : MHD_HTTP_OK);
}

/* Nothing was made durable for one that had finished: show what was asked for. */
static void
show_finished(struct stopping *stopping)
{
	struct ql_record *record = &stopping->look.record;
	const struct ql_stop *op = &stopping->op;
	if (record->state.cancel.requested_at)
		return;
	ql_str_copy(record->eval_id, sizeof(record->eval_id), op->eval_id);
	record->state.cancel = (struct ql_cancel){.mode = (int32_t)op->mode,
		.previous = record->state.status,
		.outcome = QL_OUTCOME_FINISHED_FIRST};
	free(record->actor);
	free(record->reason);
	record->actor = ql_str_dup(op->caller.actor);
	record->reason = ql_str_dup(op->reason);
}

static void
on_stopped(struct ql_stop *op, int status)
{
	struct stopping *stopping = QL_OWNER(op, struct stopping, op);
	struct ql_look *look = &stopping->look;
	struct ql_request *req = look->req;
	ql_request_unhold(req);
	if (status && op->err.code != QL_E_FINISHED) {
		ql_reply_err(req, &op->err);
		return;
	}
	if (!status)
		ql_limit_stopped(req, op->record.eval_id);
	look->record = op->record;
	op->record = (struct ql_record){0};
	if (status) {
		stopping->err = op->err;
		show_finished(stopping);
	} else if (look->record.state.cancel.outcome == QL_OUTCOME_FINISHED_FIRST) {
		ql_fail(&stopping->err, QL_E_FINISHED, "%s: %s", op->eval_id,
			ql_outcome_sentence(QL_OUTCOME_FINISHED_FIRST));
	}
	if (!status && op->only_step)
		ql_look_step(look, op->what, reply_stopped);
	else
		ql_look_steps(look, reply_stopped);
}

/* Where all waiting places are taken, a stop is still carried out; it is answered without a wait. */
static void
hold_if_free(struct ql_request *req, struct ql_stop *op)
{
	if (!op->wait_ms)
		return;
	if (req->server->waits >= req->server->config.limits.waits)
		op->wait_ms = 0;
	else
		ql_request_hold(req);
}

void
ql_stop_for(struct ql_request *req, const struct ql_stop *wanted, ql_stopped_fn *reply)
{
	struct stopping *stopping = ql_request_state(req, sizeof(*stopping), drop_stopping);
	if (!stopping)
		return;
	stopping->look.req = req;
	stopping->reply = reply;
	stopping->op = *wanted;
	req->attempt.verb = ql_mode_word(wanted->mode);
	stopping->op.caller = req->caller;
	stopping->op.eval_id = req->id;
	stopping->op.cause = QL_CAUSE_USER;
	stopping->op.done = on_stopped;
	hold_if_free(req, &stopping->op);
	ql_engine_stop(req->server->config.engine, &stopping->op);
}

void
ql_stop_asked(struct ql_request *req, struct ql_stop *wanted)
{
	wanted->grace_ms = -1;
	if (parse_stop(req, wanted) || ql_limit_stop(req))
		ql_reply_problem(req, &req->problem);
	else
		ql_stop_for(req, wanted, reply_by_outcome);
}

void
ql_serve_cancel(struct ql_request *req)
{
	struct ql_stop wanted = {.mode = QL_MODE_CANCEL};
	ql_stop_asked(req, &wanted);
}

void
ql_serve_kill(struct ql_request *req)
{
	struct ql_stop wanted = {.mode = QL_MODE_KILL};
	ql_stop_asked(req, &wanted);
}
