/* Webhooks of the fake engine: what is written is shown, and nobody is told anything. */
#include "fake.h"

#include <string.h>

#include "base/str.h"

static struct ql_hook_view *
find(struct ql_engine *engine, const char *id)
{
	for (size_t i = 0; i < engine->hook_count; i++) {
		if (!strcmp(engine->hooks[i].hook.id, id))
			return &engine->hooks[i];
	}
	return NULL;
}

const struct ql_hook_view *
ql_engine_hook(const struct ql_engine *engine, const char *id)
{
	return find((struct ql_engine *)engine, id);
}

const struct ql_hook_view *
ql_engine_hook_next(const struct ql_engine *engine, const struct ql_hook_view *view)
{
	size_t next = view ? (size_t)(view - engine->hooks) + 1 : 0;
	return next < engine->hook_count ? &engine->hooks[next] : NULL;
}

static void
drop(struct ql_engine *engine, struct ql_hook_view *view)
{
	ql_hook_done(&view->hook);
	*view = engine->hooks[--engine->hook_count];
}

static void
change(struct ql_engine *engine, struct ql_hook_write *op)
{
	struct ql_hook_view *view = find(engine, op->hook.id);
	if (view)
		drop(engine, view);
	if (op->drops || engine->hook_count == FAKE_HOOKS)
		return;
	view = &engine->hooks[engine->hook_count++];
	*view = (struct ql_hook_view){
		.hook = op->hook, .backlog = 3, .failures = 4, .again_at = 9000};
	view->tally = (struct ql_hook_tally){.delivered = 7, .failed = 4, .failed_at = 8000};
	ql_str_copy(view->tally.why, sizeof(view->tally.why), "it answered with 500");
	op->hook = (struct ql_hook){0};
}

static void
write_turn(struct ql_engine *engine, void *arg)
{
	struct ql_hook_write *op = arg;
	op->err = engine->fail;
	if (!op->err.code)
		change(engine, op);
	ql_hook_done(&op->hook);
	ql_changes_free(op->beside);
	op->beside = NULL;
	op->done(op, op->err.code ? -1 : 0);
}

void
ql_engine_hook_write(struct ql_engine *engine, struct ql_hook_write *op)
{
	fake_later(engine, write_turn, op);
}

static void
test_turn(struct ql_engine *engine, void *arg)
{
	struct ql_hook_test *op = arg;
	op->err = engine->fail;
	op->http = engine->hook_http;
	op->delivered = op->http == 200;
	op->took_ms = 12;
	ql_str_copy(op->message_id, sizeof(op->message_id), "msg_1");
	if (!op->delivered)
		ql_str_copy(op->why, sizeof(op->why), "nobody answers");
	op->done(op, op->err.code ? -1 : 0);
}

void
ql_engine_hook_test(struct ql_engine *engine, struct ql_hook_test *op)
{
	fake_later(engine, test_turn, op);
}

void
fake_hooks_free(struct ql_engine *engine)
{
	while (engine->hook_count)
		drop(engine, engine->hooks);
}
