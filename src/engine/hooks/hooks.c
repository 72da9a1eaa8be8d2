/* The hooks: the set of them, changed by whoever may, and shown. */
#include "engine/hooks/hooking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"

/* ---- the set ---- */

struct hook *
ql_hook_find(const struct hooking *hooking, const char *id)
{
	struct hook *hook;
	HASH_FIND_STR(hooking->hooks, id, hook);
	return hook;
}

static int
by_id(const struct hook *one, const struct hook *two)
{
	return strcmp(one->view.hook.id, two->view.hook.id);
}

static void
on_wake(struct wake *wake)
{
	ql_hook_pump(QL_OWNER(wake, struct hook, wake));
}

struct hook *
ql_hook_new(struct hooking *hooking, const char *id)
{
	struct hook *hook = calloc(1, sizeof(*hook));
	if (!hook)
		return NULL;
	hook->hooking = hooking;
	hook->wake.fn = on_wake;
	ql_str_copy(hook->view.hook.id, sizeof(hook->view.hook.id), id);
	HASH_ADD_STR(hooking->hooks, view.hook.id, hook);
	HASH_SORT(hooking->hooks, by_id);
	return hook;
}

void
ql_hook_forget(struct hook *hook)
{
	ql_wake_clear(hook->hooking->engine, &hook->wake);
	HASH_DEL(hook->hooking->hooks, hook);
	ql_hook_messages_free(hook);
	ql_hook_done(&hook->view.hook);
	free(hook);
}

static void
disable(struct hook *hook, const char *why)
{
	struct ql_hook *one = &hook->view.hook;
	one->enabled = false;
	one->ended = true;
	one->disabled_at = ql_engine_now(hook->hooking->engine);
	ql_str_copy(one->disabled_why, sizeof(one->disabled_why), why);
}

void
ql_hook_take(struct hook *hook, struct ql_hook *document)
{
	struct ql_hook *one = &hook->view.hook;
	char why[QL_ERR_TEXT];
	bool tried_anew = document->enabled && !one->enabled;
	ql_str_copy(why, sizeof(why), one->disabled_why);
	ql_hook_done(one); /* the id too, which is the hash's key, and comes back at once */
	*one = *document;
	*document = (struct ql_hook){0};
	hook->kept = true;
	if (hook->ends)
		disable(hook, why);
	else if (tried_anew)
		ql_hook_hasten(hook);
}

/* ---- reading them ---- */

static const struct ql_hook_view *
next_kept(const struct hook *hook)
{
	while (hook && !hook->kept)
		hook = hook->hh.next;
	return hook ? &hook->view : NULL;
}

const struct ql_hook_view *
ql_engine_hook(const struct ql_engine *engine, const char *id)
{
	const struct hook *hook = ql_hook_find(engine->hooking, id);
	return hook && hook->kept ? &hook->view : NULL;
}

const struct ql_hook_view *
ql_engine_hook_next(const struct ql_engine *engine, const struct ql_hook_view *view)
{
	return next_kept(view ? ql_hook_find(engine->hooking, view->hook.id)->hh.next
			      : engine->hooking->hooks);
}

bool
ql_hooks_loaded(const struct ql_engine *engine)
{
	return engine->hooking->loaded;
}

/* Before they are known, everything may be wanted. */
bool
ql_hooks_may_want(const struct ql_engine *engine, enum ql_status status, const char *owner)
{
	const struct hook *hook = engine->hooking->hooks;
	int event = ql_hook_event_of(status);
	if (event < 0 || !engine->hooking->known)
		return event >= 0;
	for (; hook; hook = hook->hh.next) {
		if (hook->kept &&
			ql_hook_may_want(&hook->view.hook, (enum ql_hook_event)event, owner))
			return true;
	}
	return false;
}

bool
ql_hooks_health(const struct ql_engine *engine, struct ql_dependency *dependency)
{
	const struct ql_hook_view *view = NULL;
	int count = 0, failing = 0;
	while ((view = ql_engine_hook_next(engine, view))) {
		bool fails = view->hook.enabled && view->failures >= QL_HOOK_FAILURES;
		count++;
		failing += fails || view->hook.ended;
		dependency->backlog += view->backlog;
	}
	if (failing && !dependency->detail[0])
		snprintf(dependency->detail, sizeof(dependency->detail),
			"%d of %d webhooks don't take what they are sent", failing, count);
	return count || dependency->backlog;
}

/* ---- changing them ---- */

struct changing {
	struct ql_write write;
	struct later later;
	struct ql_engine *engine;
	struct ql_hook_write *op;
	struct hook *hook;
};

static void
finish(struct changing *changing)
{
	struct ql_engine *engine = changing->engine;
	struct ql_hook_write *op = changing->op;
	ql_hook_done(&op->hook);
	ql_changes_free(op->beside);
	op->beside = NULL;
	free(changing);
	op->done(op, op->err.code ? -1 : 0);
	ql_engine_op_end(engine);
}

static void
on_later(struct later *later)
{
	finish(QL_OWNER(later, struct changing, later));
}

static void
on_written(struct ql_write *write, int status)
{
	struct changing *changing = QL_OWNER(write, struct changing, write);
	struct ql_hook_write *op = changing->op;
	struct hook *hook = changing->hook;
	hook->changing = false;
	if (status)
		op->err = write->err;
	else if (!op->drops)
		ql_hook_take(hook, &op->hook);
	if (!hook->kept || (op->drops && !status)) {
		hook->kept = false;
		hook->gone = true;
		hook->more = op->drops;
	}
	finish(changing);
	ql_hook_pump(hook);
}

static int
check_room(const struct hooking *hooking, const char *owner, struct ql_err *e)
{
	const struct hook *hook = hooking->hooks;
	int own = 0;
	if (HASH_COUNT(hooking->hooks) >= QL_HOOKS_MAX)
		return ql_fail(e, QL_E_LIMIT,
			"there are %d webhooks already, and no more are allowed", QL_HOOKS_MAX);
	for (; hook; hook = hook->hh.next)
		own += !hook->gone && !strcmp(hook->view.hook.owner, owner);
	if (own < QL_HOOKS_OWNER_MAX)
		return 0;
	return ql_fail(e, QL_E_LIMIT,
		"%s has %d webhooks already, and no more are allowed: remove one first", owner,
		QL_HOOKS_OWNER_MAX);
}

static int
check(const struct ql_engine *engine, const struct ql_hook_write *op, struct ql_err *e)
{
	const struct hook *hook = ql_hook_find(engine->hooking, op->hook.id);
	if (ql_engine_check_open(engine, e))
		return -1;
	if (!engine->config.poster)
		return ql_fail(e, QL_E_UNAVAILABLE, "this server tells no webhooks");
	if (hook && hook->changing)
		return ql_fail(
			e, QL_E_CONFLICT, "webhook %s is being changed: try again", op->hook.id);
	if (!op->drops && !op->replaces)
		return check_room(engine->hooking, op->hook.owner, e);
	if (hook && hook->kept)
		return 0;
	return ql_fail(e, QL_E_NOT_FOUND, "there is no webhook %s", op->hook.id);
}

static struct ql_change *
put_change(const struct ql_hook *hook)
{
	char *text = ql_hook_text(hook);
	struct ql_change *change = text ? ql_change_put(QL_OBJECT_WEBHOOK, hook->id, text) : NULL;
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	return change;
}

static struct ql_change *
change_of(const struct ql_hook_write *op)
{
	if (!op->drops)
		return put_change(&op->hook);
	struct ql_change *change = ql_change_drop(QL_OBJECT_WEBHOOK, op->hook.id);
	if (change)
		change->next = ql_change_drop(QL_OBJECT_HOOK_TALLY, op->hook.id);
	return change;
}

static int
begin(struct changing *changing, struct ql_err *e)
{
	struct ql_hook_write *op = changing->op;
	struct hooking *hooking = changing->engine->hooking;
	if (check(changing->engine, op, e))
		return -1;
	struct ql_change *change = change_of(op), *last = change;
	struct hook *hook = ql_hook_find(hooking, op->hook.id);
	if (change && !hook)
		hook = ql_hook_new(hooking, op->hook.id);
	if (!change || !hook) {
		ql_changes_free(change);
		return ql_fail(e, QL_E_SYSTEM, "out of memory for a webhook: try again later");
	}
	if (!hook->kept)
		ql_str_copy(hook->view.hook.owner, sizeof(hook->view.hook.owner), op->hook.owner);
	hook->changing = true;
	changing->hook = hook;
	while (last->next)
		last = last->next;
	last->next = op->beside;
	op->beside = NULL;
	changing->write = (struct ql_write){.changes = change, .done = on_written};
	ql_engine_write(changing->engine, &changing->write);
	return 0;
}

void
ql_engine_hook_write(struct ql_engine *engine, struct ql_hook_write *op)
{
	struct changing *changing = calloc(1, sizeof(*changing));
	if (!changing)
		abort(); /* not even a refusal can be queued */
	op->err = (struct ql_err){0};
	changing->engine = engine;
	changing->op = op;
	ql_engine_op_begin(engine);
	if (!begin(changing, &op->err))
		return;
	changing->later.fn = on_later;
	ql_later(engine, &changing->later);
}

/* ---- one that says that it is gone ---- */

struct ending {
	struct ql_write write;
	struct hook *hook;
};

static void
on_ended(struct ql_write *write, int status)
{
	struct ending *ending = QL_OWNER(write, struct ending, write);
	struct hook *hook = ending->hook;
	hook->changing = false;
	hook->ends = false;
	if (status) /* it is told nothing while this server runs, and says so again to the next */
		ql_engine_log(hook->hooking->engine,
			"webhook %s: that it is disabled is not kept: %s", hook->view.hook.id,
			write->err.text);
	free(ending);
	ql_hook_pump(hook);
}

void
ql_hook_end(struct hook *hook, const char *why)
{
	struct ql_engine *engine = hook->hooking->engine;
	if (!hook->kept || !hook->view.hook.enabled)
		return;
	disable(hook, why);
	ql_engine_log(engine, "webhook %s: disabled: %s", hook->view.hook.id, why);
	if (hook->changing) { /* which then says so too */
		hook->ends = true;
		return;
	}
	struct ending *ending = calloc(1, sizeof(*ending));
	struct ql_change *change = ending ? put_change(&hook->view.hook) : NULL;
	if (!change) {
		free(ending);
		return;
	}
	hook->changing = true;
	ending->hook = hook;
	ending->write = (struct ql_write){.changes = change, .done = on_ended};
	ql_engine_write(engine, &ending->write);
}

/* ---- its life ---- */

int
ql_hooks_open(struct ql_engine *engine, struct ql_err *e)
{
	struct hooking *hooking = calloc(1, sizeof(*hooking));
	if (!hooking)
		return ql_fail(e, QL_E_UNAVAILABLE, "the engine: out of memory");
	hooking->engine = engine;
	hooking->load_again.fn = ql_hooks_load_again;
	engine->hooking = hooking;
	if (!engine->config.hook_patience.first_ms)
		engine->config.hook_patience = ql_hook_patience_default;
	if (engine->config.poster)
		ql_hook_intake_open(hooking);
	return 0;
}

void
ql_hooks_stop(struct ql_engine *engine)
{
	struct hooking *hooking = engine->hooking;
	struct hook *hook, *next;
	ql_wake_clear(engine, &hooking->load_again);
	HASH_ITER (hh, hooking->hooks, hook, next) {
		ql_wake_clear(engine, &hook->wake);
		ql_hook_pump(hook);
	}
}

void
ql_hooks_free(struct ql_engine *engine)
{
	struct hooking *hooking = engine->hooking;
	if (!hooking)
		return;
	while (hooking->hooks)
		ql_hook_forget(hooking->hooks);
	free(hooking);
}
