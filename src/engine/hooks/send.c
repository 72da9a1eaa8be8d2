/* One message on its way, and what its answer means; and tests, which are answered at once. */
#include "engine/hooks/hooking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"

static void
why_not(const struct ql_post *op, int status, char ret_why[static QL_ERR_TEXT])
{
	if (status)
		ql_str_copy(ret_why, QL_ERR_TEXT, op->err.text);
	else
		snprintf(ret_why, QL_ERR_TEXT, "it answered with %d", op->http);
}

static void
count(struct hook *hook, const char *outcome)
{
	ql_meter_add(hook->hooking->engine->config.meter, QL_METRIC_HOOK_MESSAGES,
		QL_LABELS(outcome), 1);
	ql_hook_counted(hook);
}

/* ---- what an answer means ---- */

static void
taken(struct message *message, int64_t now)
{
	struct hook *hook = message->hook;
	struct ql_hook_view *view = &hook->view;
	if (view->failures >= QL_HOOK_FAILURES)
		ql_engine_log(hook->hooking->engine,
			"webhook %s: takes what it is sent again, %lld messages wait",
			view->hook.id, (long long)view->backlog);
	view->tally.delivered++;
	view->tally.delivered_at = now;
	count(hook, "delivered");
	if (view->failures)
		ql_hook_hasten(hook);
	ql_hook_over(message);
}

static int64_t
pause_after(const struct hook *hook, const struct message *message, int failures)
{
	const struct ql_hook_patience *patience = &hook->hooking->engine->config.hook_patience;
	int64_t asked = message->post.retry_after_ms;
	int64_t pause = ql_hook_pause(patience, failures, ql_rand_u64());
	if (asked > QL_HOOK_RETRY_AFTER_MAX_MS)
		asked = QL_HOOK_RETRY_AFTER_MAX_MS;
	return asked > pause ? asked : pause;
}

static void
refused(struct message *message, int status, int64_t now)
{
	struct hook *hook = message->hook;
	struct ql_hook_view *view = &hook->view;
	why_not(&message->post, status, view->tally.why);
	view->tally.failed++;
	view->tally.failed_at = now;
	count(hook, "failed");
	message->stage = MESSAGE_WAITING;
	message->again_at = now + pause_after(hook, message, ++message->tries);
	view->again_at = now + pause_after(hook, message, ++view->failures);
	if (view->failures == QL_HOOK_FAILURES)
		ql_engine_log(hook->hooking->engine,
			"webhook %s: does not take what it is sent, %lld messages wait: see "
			"`quell webhook show %s`",
			view->hook.id, (long long)view->backlog, view->hook.id);
}

static void
on_posted(struct ql_post *op, int status)
{
	struct message *message = QL_OWNER(op, struct message, post);
	struct hook *hook = message->hook;
	struct ql_engine *engine = hook->hooking->engine;
	int64_t now = ql_engine_now(engine);
	hook->under_way--;
	ql_hook_headers_done(&message->headers);
	free(message->url);
	message->url = NULL;
	if (engine->shut) {
		message->stage = MESSAGE_WAITING; /* the next start delivers it */
		return;
	}
	switch (status ? QL_HOOK_AGAIN : ql_hook_judge(op->http)) {
	case QL_HOOK_TAKEN:
		taken(message, now);
		break;
	case QL_HOOK_AGAIN:
		refused(message, status, now);
		break;
	case QL_HOOK_GONE:
		refused(message, status, now);
		ql_hook_end(hook, "its receiver answered with 410: it is gone");
		break;
	}
	ql_hook_pump(hook);
}

/* ---- sending ---- */

static int
prepare(struct message *message, int64_t now, struct ql_err *e)
{
	const struct ql_hook *hook = &message->hook->view.hook;
	char id[QL_HOOK_MESSAGE_ID];
	if (ql_hook_message_id(hook, message->number, message->text, id, e) ||
		ql_hook_headers_make(hook, id, message->text, now, &message->headers, e))
		return -1;
	message->url = ql_str_dup(hook->url);
	return message->url ? 0 : ql_fail(e, QL_E_SYSTEM, "out of memory");
}

void
ql_hook_send(struct message *message)
{
	struct hook *hook = message->hook;
	struct ql_engine *engine = hook->hooking->engine;
	int64_t now = ql_engine_now(engine);
	struct ql_err err;
	if (prepare(message, now, &err)) {
		ql_hook_headers_done(&message->headers);
		message->again_at = now + QL_ENGINE_RETRY_MS;
		ql_engine_log(engine, "webhook %s: %s", hook->view.hook.id, err.text);
		return;
	}
	message->stage = MESSAGE_UNDER_WAY;
	hook->under_way++;
	message->post = (struct ql_post){
		.url = message->url,
		.headers = message->headers.all,
		.body = message->text,
		.body_len = strlen(message->text),
		.done = on_posted,
	};
	engine->config.poster->post(engine->config.poster, &message->post);
}

/* ---- tests ---- */

struct testing {
	struct ql_post post;
	struct later later;
	struct hook *hook; /* or NULL */
	struct ql_engine *engine;
	struct ql_hook_test *op;
	struct ql_hook_headers headers;
	char *text;
	char *url;
	uint64_t begun_ns;
};

static void
finish(struct testing *testing)
{
	struct ql_engine *engine = testing->engine;
	struct ql_hook_test *op = testing->op;
	struct hook *hook = testing->hook;
	ql_hook_headers_done(&testing->headers);
	free(testing->text);
	free(testing->url);
	free(testing);
	op->done(op, op->err.code ? -1 : 0);
	if (hook) {
		hook->testing = false;
		ql_hook_pump(hook); /* it may have waited for this alone */
	}
	ql_engine_op_end(engine);
}

static void
on_later(struct later *later)
{
	finish(QL_OWNER(later, struct testing, later));
}

static void
on_tested(struct ql_post *post, int status)
{
	struct testing *testing = QL_OWNER(post, struct testing, post);
	struct ql_hook_test *op = testing->op;
	op->delivered = !status && ql_hook_judge(post->http) == QL_HOOK_TAKEN;
	op->http = status ? 0 : post->http;
	op->took_ms = (int64_t)((uv_hrtime() - testing->begun_ns) / 1000000);
	if (!op->delivered)
		why_not(post, status, op->why);
	finish(testing);
}

static int
begin_test(struct testing *testing, struct ql_err *e)
{
	struct ql_engine *engine = testing->engine;
	struct ql_hook_test *op = testing->op;
	struct hook *hook = ql_hook_find(engine->hooking, op->id);
	int64_t now = ql_engine_now(engine);
	char id[QL_RAND_ID];
	if (!hook || !hook->kept)
		return ql_fail(e, QL_E_NOT_FOUND, "there is no webhook %.64s", op->id);
	if (hook->testing)
		return ql_fail(e, QL_E_CONFLICT, "webhook %s is being tested: wait for that answer",
			op->id);
	ql_rand_id(now, id);
	snprintf(op->message_id, sizeof(op->message_id), "msg_%s", id);
	testing->text = ql_hook_ping(&hook->view.hook, now);
	testing->url = ql_str_dup(hook->view.hook.url);
	if (!testing->text || !testing->url)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for a webhook's test");
	if (ql_hook_headers_make(
		    &hook->view.hook, op->message_id, testing->text, now, &testing->headers, e))
		return -1;
	hook->testing = true;
	testing->hook = hook;
	return 0;
}

void
ql_engine_hook_test(struct ql_engine *engine, struct ql_hook_test *op)
{
	struct testing *testing = calloc(1, sizeof(*testing));
	if (!testing)
		abort(); /* not even a refusal can be queued */
	op->err = (struct ql_err){0};
	testing->engine = engine;
	testing->op = op;
	testing->begun_ns = uv_hrtime();
	ql_engine_op_begin(engine);
	if (ql_engine_check_open(engine, &op->err) || begin_test(testing, &op->err)) {
		testing->later.fn = on_later;
		ql_later(engine, &testing->later);
		return;
	}
	testing->post = (struct ql_post){
		.url = testing->url,
		.headers = testing->headers.all,
		.body = testing->text,
		.body_len = strlen(testing->text),
		.done = on_tested,
	};
	engine->config.poster->post(engine->config.poster, &testing->post);
}
