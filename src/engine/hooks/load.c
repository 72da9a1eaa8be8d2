/* The hooks of the store at the start: first they, then how they fared and what is to be told them. */
#include "engine/hooks/hooking.h"

#include "base/owner.h"
#include "base/str.h"

#define LOAD_PAGE 1000

static void
load_hook(struct hooking *hooking, const struct ql_object *object)
{
	struct ql_hook document;
	struct ql_err err;
	if (ql_hook_parse(object->id, object->text, &document, &err)) {
		ql_engine_log(hooking->engine, "%s: it is left out", err.text);
		return;
	}
	struct hook *hook = ql_hook_new(hooking, object->id);
	if (hook)
		ql_hook_take(hook, &document);
	ql_hook_done(&document);
}

static void
load_tally(struct hooking *hooking, const struct ql_object *object)
{
	struct hook *hook = ql_hook_find(hooking, object->id);
	if (hook)
		ql_hook_tally_parse(object->text, &hook->view.tally);
}

/* What is left of one that was dropped goes. */
static void
load_message(struct hooking *hooking, const struct ql_object *object)
{
	int64_t number;
	struct hook *hook = ql_hook_of_key(hooking, object->id, &number);
	if (hook)
		ql_hook_found(hook, number, object);
	else
		ql_hook_drop(hooking->engine, object->id);
}

static const struct {
	enum ql_object_kind kind;
	void (*load)(struct hooking *hooking, const struct ql_object *object);
} stages[] = {
	{QL_OBJECT_WEBHOOK, load_hook},
	{QL_OBJECT_HOOK_TALLY, load_tally},
	{QL_OBJECT_MESSAGE, load_message},
};

#define STAGES (sizeof(stages) / sizeof(*stages))
#define KNOWN 2 /* stages: the hooks themselves */

static void
begin_telling(struct hooking *hooking)
{
	struct hook *hook, *next;
	hooking->loaded = true;
	HASH_ITER (hh, hooking->hooks, hook, next)
		ql_hook_pump(hook);
	ql_outbox_go_on(hooking->engine, QL_OUTLET_WEBHOOKS);
}

static void load_page(struct hooking *hooking);

static void
take_page(struct hooking *hooking, const struct ql_store_read *read)
{
	size_t count = read->object_count;
	for (size_t i = 0; i < count; i++)
		stages[hooking->stage].load(hooking, &read->objects[i]);
	if (count)
		ql_str_copy(hooking->load_after, sizeof(hooking->load_after),
			read->objects[count - 1].id);
	if (count == LOAD_PAGE)
		return;
	hooking->stage++;
	hooking->load_after[0] = 0;
}

static void
on_loaded(struct ql_store_read *read, int status)
{
	struct hooking *hooking = QL_OWNER(read, struct hooking, load);
	struct ql_engine *engine = hooking->engine;
	if (status) {
		ql_engine_log(engine, "webhooks can't be read: %s", read->err.text);
		ql_wake_set(
			engine, &hooking->load_again, ql_engine_now(engine) + QL_ENGINE_RETRY_MS);
	} else {
		take_page(hooking, read);
	}
	ql_store_read_done(read);
	if (hooking->stage >= KNOWN && !hooking->known) {
		hooking->known = true;
		hooking->on_known(engine);
	}
	if (hooking->stage == STAGES)
		begin_telling(hooking);
	else if (!status)
		load_page(hooking);
	ql_engine_op_end(engine);
}

static void
load_page(struct hooking *hooking)
{
	struct ql_engine *engine = hooking->engine;
	if (engine->closing)
		return;
	hooking->load = (struct ql_store_read){.kind = QL_READ_OBJECTS,
		.filter = {.object = stages[hooking->stage].kind,
			.after = hooking->load_after,
			.limit = LOAD_PAGE},
		.done = on_loaded};
	ql_engine_op_begin(engine);
	ql_engine_read(engine, &hooking->load);
}

void
ql_hooks_load_again(struct wake *wake)
{
	load_page(QL_OWNER(wake, struct hooking, load_again));
}

void
ql_hooks_start(struct ql_engine *engine, void (*known)(struct ql_engine *engine))
{
	if (!engine->config.poster) {
		known(engine);
		return;
	}
	engine->hooking->on_known = known;
	load_page(engine->hooking);
}
