/*
 * By which names this server's runs go, in this life and in earlier ones: its cgroups bear them. The folder
 * of runs is made anew when a server starts without live runs, and the name comes from it: what an
 * earlier life left behind is this server's own only as long as it remembers how it was called.
 */
#include "engine/orphans/orphans.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"

#define PAGE 1024 /* names that are read at once */

static void
on_kept(struct ql_write *write, int status)
{
	struct sweeping *sweeping = QL_OWNER(write, struct sweeping, naming);
	if (status)
		ql_engine_log(sweeping->engine, "the name of this server's runs is not kept: %s",
			write->err.text);
}

/* Its commit comes before that of the first run which bears it. */
void
ql_orphans_keep_name(struct sweeping *sweeping)
{
	const struct ql_finder *finder = sweeping->engine->config.finder;
	if (!finder || !sweeping->engine->config.runtime)
		return;
	struct ql_change *change = ql_change_put(QL_OBJECT_NAME, finder->server, "{}");
	if (!change)
		return; /* a leftover of this life is not sure in the next */
	sweeping->naming = (struct ql_write){.changes = change, .done = on_kept};
	ql_engine_write(sweeping->engine, &sweeping->naming);
}

/* They are dropped by a later start. */
static void
on_forgotten(struct ql_write *write, int status)
{
	(void)write;
	(void)status;
}

static int
newest_first(const void *one, const void *other)
{
	int64_t a = ((const struct ql_object *)one)->at, b = ((const struct ql_object *)other)->at;
	return (a < b) - (a > b);
}

/* What is beyond the bound is forgotten: those that were used longest ago. */
static void
forget(struct sweeping *sweeping, const struct ql_object *objects, size_t count)
{
	struct ql_change *changes = NULL;
	for (size_t i = 0; i < count; i++) {
		struct ql_change *change = ql_change_drop(QL_OBJECT_NAME, objects[i].id);
		if (!change)
			break;
		change->next = changes;
		changes = change;
	}
	if (!changes)
		return;
	sweeping->forgetting = (struct ql_write){.changes = changes, .done = on_forgotten};
	ql_engine_write(sweeping->engine, &sweeping->forgetting);
}

static void
on_read(struct ql_store_read *read, int status)
{
	struct sweeping *sweeping = QL_OWNER(read, struct sweeping, read);
	struct ql_finder *finder = sweeping->engine->config.finder;
	size_t kept = 0;
	if (status)
		ql_engine_log(sweeping->engine, "names of earlier lives are not known: %s",
			read->err.text);
	if (read->object_count)
		qsort(read->objects, read->object_count, sizeof(*read->objects), newest_first);
	for (; kept < read->object_count && finder->earlier_count < QL_ORPHAN_EARLIER; kept++) {
		if (strcmp(read->objects[kept].id, finder->server) != 0)
			ql_str_copy(finder->earlier[finder->earlier_count++], QL_ORPHAN_SERVER,
				read->objects[kept].id);
	}
	forget(sweeping, read->objects + kept, read->object_count - kept);
	ql_store_read_done(read);
	sweeping->read = (struct ql_store_read){0};
	sweeping->named = !status;
	ql_orphans_look(sweeping);
}

void
ql_orphans_learn_names(struct sweeping *sweeping)
{
	struct ql_engine *engine = sweeping->engine;
	if (sweeping->named || !engine->config.finder) {
		ql_orphans_look(sweeping);
		return;
	}
	sweeping->read = (struct ql_store_read){.kind = QL_READ_OBJECTS,
		.filter = {.object = QL_OBJECT_NAME, .limit = PAGE},
		.done = on_read};
	ql_engine_read(engine, &sweeping->read);
}
