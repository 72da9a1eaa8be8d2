#include "engine/pages.h"

#include "base/owner.h"
#include "base/str.h"

#define PAGE 1000

static void
read_page(struct pages *pages)
{
	pages->read = (struct ql_store_read){.kind = QL_READ_OBJECTS,
		.filter = {.object = pages->kind, .after = pages->after, .limit = PAGE},
		.done = pages->read.done};
	ql_engine_read(pages->engine, &pages->read);
}

static void
on_again(struct wake *wake)
{
	struct pages *pages = QL_OWNER(wake, struct pages, again);
	if (pages->engine->closing)
		pages->over(pages);
	else
		read_page(pages);
}

static void
on_page(struct ql_store_read *read, int status)
{
	struct pages *pages = QL_OWNER(read, struct pages, read);
	struct ql_engine *engine = pages->engine;
	size_t count = read->object_count;
	for (size_t i = 0; i < count; i++)
		pages->each(engine, &read->objects[i]);
	if (count)
		ql_str_copy(pages->after, sizeof(pages->after), read->objects[count - 1].id);
	if (status) {
		ql_engine_log(engine, "the store can't be read, so nothing is started: %s",
			read->err.text);
		ql_wake_set(engine, &pages->again, ql_engine_now(engine) + QL_ENGINE_RETRY_MS);
	}
	ql_store_read_done(read);
	if (!status && count == PAGE && !engine->closing)
		read_page(pages);
	else if (!status)
		pages->over(pages);
}

void
ql_pages_read(struct pages *pages)
{
	pages->after[0] = 0;
	pages->again.fn = on_again;
	pages->read.done = on_page;
	read_page(pages);
}
