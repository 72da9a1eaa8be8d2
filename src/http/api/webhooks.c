/* Webhooks: /api/webhooks and below. A secret is shown by the answer that makes it, and never again. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "engine/hooks/hook.h"
#include "http/inside.h"
#include "http/route.h"

struct making {
	struct ql_hook_write write;
	struct ql_hook_test test;
	struct ql_request *req;
	unsigned status;
	char id[QL_RAND_ID];
	char secret[QL_HOOK_SECRET]; /* "" = it is not shown */
};

static void
drop_making(void *state)
{
	struct making *making = state;
	OPENSSL_cleanse(making->secret, sizeof(making->secret));
	ql_hook_done(&making->write.hook);
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

static void
put_events(struct ql_json *json, uint32_t events)
{
	ql_json_open(json, "events", '[');
	for (int event = 0; event < QL_HOOK_EVENT_COUNT; event++) {
		if (events >> event & 1)
			ql_json_text(json, NULL, ql_hook_event_word((enum ql_hook_event)event));
	}
	ql_json_close(json, ']');
}

static void
put_hook(struct ql_json *json, const struct ql_hook *hook)
{
	ql_json_text(json, "webhook_id", hook->id);
	ql_json_text(json, "name", hook->name[0] ? hook->name : NULL);
	ql_json_text(json, "url", hook->url);
	put_events(json, hook->events);
	ql_json_text(json, "selector", hook->selector);
	ql_json_text(json, "owner", hook->owner);
	ql_json_bool(json, "everybody", hook->everybody);
	ql_json_bool(json, "enabled", hook->enabled);
	ql_json_time(json, "disabled_at", hook->disabled_at);
	ql_json_text(json, "disabled_why", hook->disabled_why[0] ? hook->disabled_why : NULL);
	ql_json_time(json, "created_at", hook->created_at);
	ql_json_text(json, "created_by", hook->created_by);
}

static void
put_view(struct ql_json *json, const struct ql_hook_view *view, int64_t now)
{
	const struct ql_hook_tally *tally = &view->tally;
	bool fails = view->failures > 0;
	put_hook(json, &view->hook);
	ql_json_time(
		json, "old_secret_until", view->hook.old_until > now ? view->hook.old_until : 0);
	ql_json_text(json, "state", ql_hook_state(&view->hook, view->failures));
	ql_json_int(json, "backlog", view->backlog);
	ql_json_int(json, "failures", view->failures);
	ql_json_time(json, "next_try_at", fails && view->hook.enabled ? view->again_at : 0);
	ql_json_int(json, "delivered", tally->delivered);
	ql_json_int(json, "failed", tally->failed);
	ql_json_int(json, "given_up", tally->given_up);
	ql_json_int(json, "dropped", tally->dropped);
	ql_json_time(json, "last_delivered_at", tally->delivered_at);
	ql_json_time(json, "last_failed_at", tally->failed_at);
	ql_json_text(json, "last_error", tally->why[0] ? tally->why : NULL);
}

static void
put_object(struct ql_json *json, const struct ql_hook_view *view, int64_t now, const char *secret)
{
	ql_json_open(json, NULL, '{');
	if (secret[0])
		ql_json_text(json, "secret", secret);
	put_view(json, view, now);
	ql_json_close(json, '}');
}

static void
reply_view(struct ql_request *req, unsigned status, const struct ql_hook_view *view,
	const char *secret)
{
	struct ql_json json = {0};
	put_object(&json, view, ql_engine_now(req->server->config.engine), secret);
	ql_reply_json(req, status, &json);
	if (secret[0])
		ql_reply_header(req, "Cache-Control", "no-store");
}

/* ---- who may ---- */

static bool
may_see(const struct ql_request *req, const struct ql_hook *hook)
{
	return req->caller.all || (!hook->everybody && !strcmp(hook->owner, req->caller.owner));
}

/* NULL: answered. Another owner's is as unknown as none. */
static const struct ql_hook_view *
find(struct ql_request *req)
{
	const struct ql_hook_view *view = ql_engine_hook(req->server->config.engine, req->id);
	if (view && may_see(req, &view->hook))
		return view;
	ql_fail(&req->problem.err, QL_E_NOT_FOUND, "there is no webhook %.64s", req->id);
	ql_reply_problem(req, &req->problem);
	return NULL;
}

void
ql_serve_webhooks(struct ql_request *req)
{
	const struct ql_engine *engine = req->server->config.engine;
	const struct ql_hook_view *view = NULL;
	struct ql_json json = {0};
	ql_json_open(&json, NULL, '{');
	ql_json_open(&json, "webhooks", '[');
	while ((view = ql_engine_hook_next(engine, view))) {
		if (may_see(req, &view->hook))
			put_object(&json, view, ql_engine_now(engine), "");
	}
	ql_json_close(&json, ']');
	ql_json_close(&json, '}');
	ql_reply_json(req, MHD_HTTP_OK, &json);
}

void
ql_serve_webhook(struct ql_request *req)
{
	const struct ql_hook_view *view = find(req);
	if (view)
		reply_view(req, MHD_HTTP_OK, view, "");
}

/* ---- changes ---- */

static void
on_written(struct ql_hook_write *op, int status)
{
	struct making *making = QL_OWNER(op, struct making, write);
	struct ql_request *req = making->req;
	req->attempt.written = !status;
	const struct ql_hook_view *view = ql_engine_hook(req->server->config.engine, making->id);
	if (status)
		ql_reply_err(req, &op->err);
	else if (op->drops || !view) /* somebody was quicker to remove it */
		ql_reply_empty(req, MHD_HTTP_NO_CONTENT);
	else
		reply_view(req, making->status, view, making->secret);
}

/* The audit's row becomes durable with the change; it names the hook, and nothing that is secret. */
static void
write_hook(struct making *making)
{
	struct ql_request *req = making->req;
	struct ql_hook_write *op = &making->write;
	unsigned status = op->drops ? MHD_HTTP_NO_CONTENT : making->status;
	ql_str_copy(making->id, sizeof(making->id), op->hook.id);
	req->attempt.target = making->id;
	char *text = ql_attempt_text(&req->attempt, "accepted", (int)status);
	op->beside = text ? ql_change_audit(text) : NULL;
	op->done = on_written;
	free(text);
	if (!op->beside) {
		ql_fail(&req->problem.err, QL_E_SYSTEM, "out of memory for a webhook");
		ql_reply_problem(req, &req->problem);
		return;
	}
	ql_engine_hook_write(req->server->config.engine, op);
}

static int
ask(struct making *making)
{
	struct ql_request *req = making->req;
	struct ql_fault fault;
	const struct ql_hook_asker asker = {
		.actor = req->caller.actor,
		.owner = req->caller.owner,
		.all = req->caller.all,
		.private = req->server->config.webhook_private,
		.now = ql_engine_now(req->server->config.engine),
	};
	if (!ql_hook_ask(req->json, &asker, &making->write.hook, &fault, &req->problem.err))
		return ql_hook_secret(&making->write.hook, making->secret, &req->problem.err);
	return ql_problem_fault(&req->problem, &fault);
}

void
ql_serve_webhook_create(struct ql_request *req)
{
	struct making *making = begin(req);
	if (!making)
		return;
	making->status = MHD_HTTP_CREATED;
	if (ask(making))
		ql_reply_problem(req, &req->problem);
	else
		write_hook(making);
}

/* A copy of one that is there, to be changed; NULL: answered. */
static struct making *
take(struct ql_request *req)
{
	const struct ql_hook_view *view = find(req);
	struct making *making = view ? begin(req) : NULL;
	if (!making)
		return NULL;
	making->status = MHD_HTTP_OK;
	making->write.replaces = true;
	if (!ql_hook_copy(&making->write.hook, &view->hook, &req->problem.err))
		return making;
	ql_reply_problem(req, &req->problem);
	return NULL;
}

void
ql_serve_webhook_delete(struct ql_request *req)
{
	struct making *making = take(req);
	if (!making)
		return;
	making->write.drops = true;
	write_hook(making);
}

void
ql_serve_webhook_enable(struct ql_request *req)
{
	struct making *making = take(req);
	if (!making)
		return;
	making->write.hook.enabled = true;
	making->write.hook.ended = false;
	making->write.hook.disabled_at = 0;
	making->write.hook.disabled_why[0] = 0;
	write_hook(making);
}

void
ql_serve_webhook_disable(struct ql_request *req)
{
	struct making *making = take(req);
	if (!making)
		return;
	struct ql_hook *hook = &making->write.hook;
	if (hook->enabled) {
		hook->enabled = false;
		hook->disabled_at = ql_engine_now(req->server->config.engine);
		ql_str_copy(hook->disabled_why, sizeof(hook->disabled_why), "by ");
		ql_str_copy(
			hook->disabled_why + 3, sizeof(hook->disabled_why) - 3, req->caller.actor);
	}
	write_hook(making);
}

void
ql_serve_webhook_rotate(struct ql_request *req)
{
	int64_t keep_ms = QL_HOOK_KEEP_S * 1000;
	struct making *making = take(req);
	if (!making)
		return;
	if (ql_param_seconds(req, "keep_s", QL_HOOK_KEEP_MAX_S, &keep_ms)) {
		ql_reply_problem(req, &req->problem);
		return;
	}
	ql_hook_rotate(&making->write.hook, keep_ms, ql_engine_now(req->server->config.engine));
	if (ql_hook_secret(&making->write.hook, making->secret, &req->problem.err))
		ql_reply_problem(req, &req->problem);
	else
		write_hook(making);
}

/* ---- tests ---- */

static void
on_tested(struct ql_hook_test *op, int status)
{
	struct making *making = QL_OWNER(op, struct making, test);
	struct ql_json json = {0};
	if (status) {
		ql_reply_err(making->req, &op->err);
		return;
	}
	ql_json_open(&json, NULL, '{');
	ql_json_bool(&json, "delivered", op->delivered);
	ql_json_text(&json, "message_id", op->message_id);
	if (op->http)
		ql_json_int(&json, "http_status", op->http);
	else
		ql_json_null(&json, "http_status");
	ql_json_int(&json, "took_ms", op->took_ms);
	ql_json_text(&json, "error", op->why[0] ? op->why : NULL);
	ql_json_close(&json, '}');
	ql_reply_json(making->req, MHD_HTTP_OK, &json);
}

void
ql_serve_webhook_test(struct ql_request *req)
{
	struct making *making = find(req) ? begin(req) : NULL;
	if (!making)
		return;
	making->test = (struct ql_hook_test){.id = req->id, .done = on_tested};
	ql_engine_hook_test(req->server->config.engine, &making->test);
}
