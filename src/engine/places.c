/*
 * Where the runs of a broker's tasks are, in its driver's own words: durable with the sighting that told it, and so
 * before any signal is asked for. A driver that was opened since is given them with each act on the run, to
 * prove of the same process what the one before it did not come to. Kept while the run is open.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "engine/private.h"

#define ID 20

struct place {
	UT_hash_handle hh;
	uint64_t incarnation;
	char *text; /* owned */
};

static void
name(uint64_t incarnation, char ret_id[static ID])
{
	snprintf(ret_id, ID, "%016" PRIx64, incarnation);
}

static struct place *
find(const struct ql_engine *engine, uint64_t incarnation)
{
	struct place *place;
	HASH_FIND(hh, engine->places, &incarnation, sizeof(incarnation), place);
	return place;
}

const char *
ql_place_of(const struct ql_engine *engine, uint64_t incarnation)
{
	const struct place *place = incarnation ? find(engine, incarnation) : NULL;
	return place ? place->text : NULL;
}

static void
remove_place(struct ql_engine *engine, struct place *place)
{
	HASH_DEL(engine->places, place);
	free(place->text);
	free(place);
}

static void
put(struct ql_engine *engine, uint64_t incarnation, const char *text)
{
	struct place *place = find(engine, incarnation);
	char *copy = ql_str_dup(text);
	if (!copy)
		return; /* the next sighting tells it again */
	if (!place && !(place = calloc(1, sizeof(*place)))) {
		free(copy);
		return;
	}
	if (!place->incarnation) {
		place->incarnation = incarnation;
		HASH_ADD(hh, engine->places, incarnation, sizeof(incarnation), place);
	}
	free(place->text);
	place->text = copy;
}

static void
append(struct ql_engine *engine, struct ql_change *changes, struct ql_change *change)
{
	if (!change) {
		ql_engine_log(engine, "out of memory: where a run is isn't kept");
		return;
	}
	change->at = ql_engine_now(engine);
	change->next = changes->next;
	changes->next = change;
}

static bool
is_open(const struct ql_state *state, uint64_t incarnation)
{
	const struct ql_run *run = ql_state_run(state, incarnation);
	return run && ql_phase_takes_slot((enum ql_phase)run->phase);
}

/* Acts that were decided before go out with it yet. */
static void
drop(struct ql_engine *engine, uint64_t incarnation, struct ql_change *changes)
{
	char id[ID];
	if (!find(engine, incarnation))
		return;
	name(incarnation, id);
	append(engine, changes, ql_change_drop(QL_OBJECT_PLACE, id));
}

void
ql_places_dropped(struct ql_engine *engine, const struct ql_change *change)
{
	struct place *place = change->object == QL_OBJECT_PLACE
				      ? find(engine, strtoull(change->object_id, NULL, 16))
				      : NULL;
	if (place)
		remove_place(engine, place);
}

static bool
is_news(const struct ql_engine *engine, const struct ql_sighting *sighting)
{
	const struct place *known = sighting ? find(engine, sighting->event.incarnation) : NULL;
	return sighting && sighting->place && (!known || strcmp(known->text, sighting->place) != 0);
}

static struct ql_change *
keep(struct ql_engine *engine, const struct ql_sighting *sighting)
{
	char id[ID];
	name(sighting->event.incarnation, id);
	put(engine, sighting->event.incarnation, sighting->place);
	return ql_change_put(QL_OBJECT_PLACE, id, sighting->place);
}

void
ql_places_follow(struct ql_engine *engine, const struct ql_state *was, const struct ql_state *is,
	const struct ql_sighting *sighting, struct ql_change *changes)
{
	for (int i = 0; i < QL_RUNS; i++) {
		uint64_t incarnation = was->runs[i].incarnation;
		if (is_open(was, incarnation) && !is_open(is, incarnation))
			drop(engine, incarnation, changes);
	}
	if (sighting && sighting->place && is_open(is, sighting->event.incarnation))
		append(engine, changes, keep(engine, sighting));
}

void
ql_places_learn(struct ql_live *live, const struct ql_sighting *sighting)
{
	struct ql_engine *engine = live->engine;
	if (!is_news(engine, sighting) ||
		!is_open(&live->record.state, sighting->event.incarnation))
		return;
	struct ql_change *change = keep(engine, sighting);
	if (!change)
		return;
	change->at = ql_engine_now(engine);
	if (!ql_batch_add_to(live, change, true))
		ql_changes_free(change);
}

/* ---- at the start ---- */

void
ql_places_load(struct ql_engine *engine, const struct ql_object *object)
{
	uint64_t incarnation = strtoull(object->id, NULL, 16);
	if (incarnation)
		put(engine, incarnation, object->text);
}

static void
on_swept(struct ql_write *write, int status)
{
	(void)status; /* they are dropped by a later start */
	free(write);
}

void
ql_places_sweep(struct ql_engine *engine)
{
	struct place *place, *next;
	struct ql_write *write = calloc(1, sizeof(*write));
	if (!write)
		return;
	HASH_ITER (hh, engine->places, place, next) {
		const struct ql_live *live = ql_live_of_run(engine, place->incarnation);
		char id[ID];
		if (live && is_open(&live->record.state, place->incarnation))
			continue;
		name(place->incarnation, id);
		struct ql_change *change = ql_change_drop(QL_OBJECT_PLACE, id);
		if (!change)
			break;
		change->next = write->changes;
		write->changes = change;
	}
	write->done = on_swept;
	if (write->changes)
		ql_engine_write(engine, write);
	else
		free(write);
}

void
ql_places_free(struct ql_engine *engine)
{
	struct place *place, *next;
	HASH_ITER (hh, engine->places, place, next)
		remove_place(engine, place);
}
