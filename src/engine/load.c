/*
 * What a turn of the loop wants from the store is read at its end, many at once: a read costs a
 * change of threads and a transaction, each far more than the evaluation itself. What one thread
 * answers before another is handed out behind what was asked for before it: beside a broker the
 * messages of those that are stopped together are looked for in that order.
 */
#include "engine/private.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"

struct load {
	struct load *prev, *next; /* those under way, as they were asked for */
	struct ql_store_read read;
	bool answered;
	int status;
	struct ql_live *lives[QL_ENGINE_LOAD_MAX];
	const char *ids[QL_ENGINE_LOAD_MAX]; /* theirs */
};

/* The read has those that exist, in the order of the ids. */
static void
hand_out(struct load *load)
{
	struct ql_store_read *read = &load->read;
	size_t at = 0;
	for (size_t i = 0; i < read->id_count; i++) {
		struct ql_record *record = at < read->record_count ? &read->records[at] : NULL;
		if (record && strcmp(record->eval_id, load->ids[i]) != 0)
			record = NULL;
		at += record != NULL;
		ql_live_loaded(load->lives[i], record, load->status ? &read->err : NULL);
	}
	ql_store_read_done(read);
	free(load);
}

static void
on_read(struct ql_store_read *read, int status)
{
	struct load *load = QL_OWNER(read, struct load, read);
	struct ql_engine *engine = load->lives[0]->engine;
	load->answered = true;
	load->status = status;
	while ((load = engine->loading) && load->answered) {
		DL_DELETE(engine->loading, load);
		hand_out(load);
	}
}

static struct ql_live *
take(struct ql_engine *engine)
{
	struct ql_live *live = engine->loads;
	engine->loads = live->next_load;
	live->next_load = NULL;
	return live;
}

static void
read_some(struct ql_engine *engine)
{
	struct load *load = calloc(1, sizeof(*load));
	struct ql_err err;
	if (!load) {
		ql_fail(&err, QL_E_UNAVAILABLE, "out of memory: try again later");
		ql_live_loaded(take(engine), NULL, &err);
		return;
	}
	load->read =
		(struct ql_store_read){.kind = QL_READ_NAMED, .ids = load->ids, .done = on_read};
	while (engine->loads && load->read.id_count < QL_ENGINE_LOAD_MAX) {
		struct ql_live *live = take(engine);
		load->lives[load->read.id_count] = live;
		load->ids[load->read.id_count++] = live->record.eval_id;
	}
	DL_APPEND(engine->loading, load);
	ql_engine_read(engine, &load->read);
}

void
ql_load_flush(struct ql_engine *engine)
{
	while (engine->loads)
		read_some(engine);
}

void
ql_load(struct ql_live *live)
{
	struct ql_engine *engine = live->engine;
	if (engine->loads)
		engine->last_load->next_load = live;
	else
		engine->loads = live;
	engine->last_load = live;
	ql_turn_soon(engine);
}
