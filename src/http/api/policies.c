/* Policies: /api/policies and below. Whoever makes or enables one hears first whom it would stop. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/owner.h"
#include "base/str.h"
#include "engine/policy.h"
#include "http/inside.h"
#include "http/route.h"

#define SINCE_MS (7 * 86400000LL) /* where no time is named */
#define SINCE_MAX_MS (365 * 86400000LL)

struct making {
	struct ql_trial trial;
	struct ql_rule_write write;
	struct ql_request *req;
	bool confirm;
	bool replaces; /* it is there already, and to be enabled */
	unsigned status;
};

static void
drop_making(void *state)
{
	struct making *making = state;
	ql_rule_done(&making->trial.rule);
	ql_rule_done(&making->write.rule);
	ql_changes_free(making->write.beside);
}

static struct making *
begin(struct ql_request *req)
{
	struct making *making = ql_request_state(req, sizeof(*making), drop_making);
	if (making)
		making->req = req;
	return making;
}

/* ---- what is shown ---- */

static json_t *
time_json(int64_t at)
{
	char text[QL_TIME_TEXT];
	ql_time_text(at, text);
	return json_string(text);
}

static json_t *
view_json(const struct ql_rule_view *view)
{
	json_t *json = ql_rule_json(&view->rule);
	json_t *last = view->last_at
			       ? json_pack("{s:s, s:o, s:s}", "eval_id", view->last_eval_id, "at",
					 time_json(view->last_at), "why", view->last_why)
			       : json_null();
	json_object_set_new(json, "stops", json_integer(view->stops));
	json_object_set_new(json, "last", last);
	json_object_set_new(
		json, "trouble", view->trouble[0] ? json_string(view->trouble) : json_null());
	return json;
}

/* Takes the value. */
static void
put_json(struct ql_json *json, const char *name, json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
	if (text)
		ql_json_raw(json, name, text);
	else
		json->buf.failed = true;
	json_decref(value);
	free(text);
}

static void
reply_view(struct ql_request *req, unsigned status, const struct ql_rule_view *view)
{
	struct ql_json json = {0};
	put_json(&json, NULL, view_json(view));
	ql_reply_json(req, status, &json);
}

static void
reply_unknown(struct ql_request *req)
{
	ql_fail(&req->problem.err, QL_E_NOT_FOUND, "there is no policy %.128s", req->id);
	ql_reply_problem(req, &req->problem);
}

/* Policies are about everybody's evaluations. */
static bool
may_read(struct ql_request *req)
{
	if (req->caller.all &&
		!ql_engine_rules_check(req->server->config.engine, &req->problem.err))
		return true;
	if (!req->caller.all)
		ql_fail(&req->problem.err, QL_E_FORBIDDEN,
			"policies are for operators and admins to see, and the key's role is %s",
			ql_role_word(req->principal.role));
	ql_reply_problem(req, &req->problem);
	return false;
}

void
ql_serve_policies(struct ql_request *req)
{
	const struct ql_engine *engine = req->server->config.engine;
	const struct ql_rule_view *view = NULL;
	struct ql_json json = {0};
	if (!may_read(req))
		return;
	ql_json_open(&json, NULL, '{');
	ql_json_open(&json, "policies", '[');
	while ((view = ql_engine_rule_next(engine, view)))
		put_json(&json, NULL, view_json(view));
	ql_json_close(&json, ']');
	ql_json_close(&json, '}');
	ql_reply_json(req, MHD_HTTP_OK, &json);
}

void
ql_serve_policy(struct ql_request *req)
{
	const struct ql_rule_view *view;
	if (!may_read(req))
		return;
	view = ql_engine_rule(req->server->config.engine, req->id);
	if (view)
		reply_view(req, MHD_HTTP_OK, view);
	else
		reply_unknown(req);
}

/* ---- changes ---- */

static void
on_written(struct ql_rule_write *op, int status)
{
	struct making *making = QL_OWNER(op, struct making, write);
	struct ql_request *req = making->req;
	req->attempt.written = !status;
	const struct ql_rule_view *view =
		ql_engine_rule(req->server->config.engine, making->trial.rule.name);
	if (status)
		ql_reply_err(req, &op->err);
	else if (op->drops || !view) /* somebody was quicker to remove it */
		ql_reply_empty(req, MHD_HTTP_NO_CONTENT);
	else
		reply_view(req, making->status, view);
}

/* The audit's row becomes durable with the change. */
static void
write_rule(struct making *making)
{
	struct ql_request *req = making->req;
	struct ql_rule_write *op = &making->write;
	unsigned status = op->drops ? MHD_HTTP_NO_CONTENT : making->status;
	req->attempt.target = making->trial.rule.name;
	char *text = ql_attempt_text(&req->attempt, "accepted", (int)status);
	op->beside = text ? ql_change_audit(text) : NULL;
	op->done = on_written;
	free(text);
	if (!op->beside)
		ql_fail(&req->problem.err, QL_E_SYSTEM, "out of memory for a policy");
	if (!op->beside ||
		(!op->drops && ql_rule_copy(&op->rule, &making->trial.rule, &req->problem.err))) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	ql_str_copy(op->rule.name, sizeof(op->rule.name), making->trial.rule.name);
	ql_engine_rule_write(req->server->config.engine, op);
}

static void
reply_unconfirmed(struct making *making)
{
	struct ql_request *req = making->req;
	const struct ql_trial *trial = &making->trial;
	struct ql_problem problem = {0};
	struct ql_json json = {0};
	ql_fail(&problem.err, QL_E_CONFLICT,
		"policy %s would stop %s%lld of the %lld evaluations that live, more than half: "
		"simulate it to see which, and say \"confirm\": true if that is meant",
		trial->rule.name, trial->at_most ? "up to " : "", (long long)trial->picked,
		(long long)trial->live);
	ql_json_open(&json, NULL, '{');
	ql_problem_render(&json, &problem);
	ql_json_int(&json, "would_stop", trial->picked);
	ql_json_int(&json, "live", trial->live);
	ql_json_close(&json, '}');
	ql_reply_problem_json(req, QL_E_CONFLICT, &json);
}

static void
on_tried_first(struct ql_trial *trial, int status)
{
	struct making *making = QL_OWNER(trial, struct making, trial);
	if (status)
		ql_reply_err(making->req, &trial->err);
	else if (trial->picked * 2 > trial->live && !making->confirm)
		reply_unconfirmed(making);
	else
		write_rule(making);
}

/* One that does nothing yet needs no look. */
static void
try_first(struct making *making)
{
	making->trial.done = on_tried_first;
	if (making->trial.rule.enabled)
		ql_engine_trial(making->req->server->config.engine, &making->trial);
	else
		write_rule(making);
}

static int
ask(struct making *making)
{
	struct ql_request *req = making->req;
	struct ql_fault fault;
	if (!ql_rule_ask(req->json, req->caller.actor, ql_engine_now(req->server->config.engine),
		    &making->trial.rule, &making->confirm, &fault, &req->problem.err))
		return 0;
	return ql_problem_fault(&req->problem, &fault);
}

void
ql_serve_policy_create(struct ql_request *req)
{
	struct making *making = begin(req);
	if (!making)
		return;
	making->status = MHD_HTTP_CREATED;
	if (ask(making))
		ql_reply_problem(req, &req->problem);
	else if (ql_engine_rule(req->server->config.engine, making->trial.rule.name))
		write_rule(making); /* which refuses it */
	else
		try_first(making);
}

/* Of one that is there; NULL: answered. */
static struct making *
take(struct ql_request *req)
{
	if (ql_engine_rules_check(req->server->config.engine, &req->problem.err)) {
		ql_reply_problem(req, &req->problem);
		return NULL;
	}
	const struct ql_rule_view *view = ql_engine_rule(req->server->config.engine, req->id);
	if (!view) {
		reply_unknown(req);
		return NULL;
	}
	struct making *making = begin(req);
	if (!making)
		return NULL;
	making->status = MHD_HTTP_OK;
	making->write.replaces = true;
	if (!ql_rule_copy(&making->trial.rule, &view->rule, &req->problem.err) &&
		!ql_param_bool(req, "confirm", &making->confirm))
		return making;
	ql_reply_problem(req, &req->problem);
	return NULL;
}

void
ql_serve_policy_enable(struct ql_request *req)
{
	struct making *making = take(req);
	if (!making)
		return;
	making->trial.rule.enabled = true;
	try_first(making);
}

void
ql_serve_policy_disable(struct ql_request *req)
{
	struct making *making = take(req);
	if (!making)
		return;
	making->trial.rule.enabled = false;
	write_rule(making);
}

void
ql_serve_policy_delete(struct ql_request *req)
{
	struct making *making = take(req);
	if (!making)
		return;
	making->write.drops = true;
	write_rule(making);
}

/* ---- simulations ---- */

static void
put_samples(struct ql_json *json, const struct ql_trial *trial)
{
	ql_json_open(json, "sample", '[');
	for (size_t i = 0; i < trial->sample_count; i++) {
		ql_json_open(json, NULL, '{');
		ql_json_text(json, "eval_id", trial->sample[i].eval_id);
		ql_json_time(json, "at", trial->sample[i].at);
		ql_json_text(json, "why", trial->sample[i].why);
		ql_json_close(json, '}');
	}
	ql_json_close(json, ']');
}

/* What the number isn't. */
static const char *
note_of(const struct ql_trial *trial)
{
	if (trial->at_most)
		return "how full the host was is not kept: this is of now; it stops one after the "
		       "other until the low mark is reached: these at most";
	if (trial->only_now && trial->since)
		return "how full the host was, and what runs used, is not kept: this is of now";
	return NULL;
}

static void
on_tried(struct ql_trial *trial, int status)
{
	struct making *making = QL_OWNER(trial, struct making, trial);
	struct ql_json json = {0};
	if (status) {
		ql_reply_err(making->req, &trial->err);
		return;
	}
	ql_json_open(&json, NULL, '{');
	ql_json_text(&json, "policy", trial->rule.name);
	ql_json_time(&json, "since", trial->only_now ? 0 : trial->since);
	ql_json_int(&json, "would_stop", trial->picked);
	ql_json_int(&json, "looked_at", trial->looked);
	ql_json_bool(&json, "whole", trial->whole);
	ql_json_int(&json, "live", trial->live);
	put_samples(&json, trial);
	ql_json_text(&json, "note", note_of(trial));
	ql_json_close(&json, '}');
	ql_reply_json(making->req, MHD_HTTP_OK, &json);
}

/* `since`: a time, a span before now such as 7d, or now. */
static int
read_since(struct ql_request *req, int64_t *ret_since)
{
	int64_t now = ql_engine_now(req->server->config.engine), span;
	const char *text = ql_target_param(&req->target, "since");
	*ret_since = now - SINCE_MS;
	if (!text)
		return 0;
	*ret_since = 0;
	if (!strcmp(text, "now"))
		return 0;
	if (!ql_str_duration(text, &span))
		*ret_since = now - span;
	else if (ql_time_parse(text, ret_since))
		*ret_since = 0;
	if (*ret_since < now && *ret_since >= now - SINCE_MAX_MS)
		return 0;
	return ql_problem_field(&req->problem, "since",
		"'since' must be now, a span such as 7d, or a time as 2026-01-02T03:04:05.678Z, "
		"within the last 365 days");
}

static void
simulate(struct making *making)
{
	struct ql_request *req = making->req;
	if (read_since(req, &making->trial.since)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	making->trial.done = on_tried;
	ql_engine_trial(req->server->config.engine, &making->trial);
}

void
ql_serve_policy_simulate(struct ql_request *req)
{
	struct making *making = may_read(req) ? take(req) : NULL;
	if (making)
		simulate(making);
}

void
ql_serve_policy_simulate_new(struct ql_request *req)
{
	struct making *making = may_read(req) ? begin(req) : NULL;
	if (!making)
		return;
	if (ask(making))
		ql_reply_problem(req, &req->problem);
	else
		simulate(making);
}
