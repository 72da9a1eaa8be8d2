/*
 * The workers of a broker that its driver knows: durable, so that one which is started anew knows whom it has not
 * heard. A worker is forgotten when the driver says that it has nothing any more: it left idle, its process
 * is dead, or it was silent for as long as the driver waits (QL_BROKER_WORKER_KEEP_MS of a server that runs).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "engine/private.h"

#define ID 20

struct known_worker {
	UT_hash_handle hh;
	char *text; /* owned: the driver's words of it; NULL: it is forgotten once that is durable */
	bool unkept; /* that isn't durable yet, nor on its way */
	char id[ID]; /* made of its name, which may be longer than an id */
};

struct crew {
	struct ql_engine *engine;
	struct known_worker *all; /* by id */
	struct ql_write write;
	bool writing;
	struct wake again;
};

static void flush(struct crew *crew);

static void
free_worker(struct crew *crew, struct known_worker *worker)
{
	HASH_DEL(crew->all, worker);
	free(worker->text);
	free(worker);
}

static void
on_again(struct wake *wake)
{
	flush(QL_OWNER(wake, struct crew, again));
}

static void
on_written(struct ql_write *write, int status)
{
	struct crew *crew = QL_OWNER(write, struct crew, write);
	struct ql_engine *engine = crew->engine;
	struct known_worker *worker, *next;
	crew->writing = false;
	if (!status) {
		flush(crew);
		return;
	}
	HASH_ITER (hh, crew->all, worker, next)
		worker->unkept = true;
	if (!engine->closing)
		ql_wake_set(engine, &crew->again, ql_engine_now(engine) + QL_ENGINE_RETRY_MS);
}

static struct ql_change *
change_of(const struct known_worker *worker)
{
	return worker->text ? ql_change_put(QL_OBJECT_WORKER, worker->id, worker->text)
			    : ql_change_drop(QL_OBJECT_WORKER, worker->id);
}

static void
flush(struct crew *crew)
{
	struct known_worker *worker, *next;
	struct ql_change *changes = NULL;
	if (crew->writing || crew->engine->closing)
		return;
	HASH_ITER (hh, crew->all, worker, next) {
		struct ql_change *change = worker->unkept ? change_of(worker) : NULL;
		if (!change)
			continue;
		worker->unkept = false;
		change->next = changes;
		changes = change;
		if (!worker->text)
			free_worker(crew, worker);
	}
	if (!changes)
		return;
	crew->writing = true;
	crew->write = (struct ql_write){.changes = changes, .done = on_written};
	ql_engine_write(crew->engine, &crew->write);
}

static void
name(const char *node, char ret_id[static ID])
{
	snprintf(ret_id, ID, "%016" PRIx64, ql_str_hash(node));
}

static struct known_worker *
find(const struct crew *crew, const char *id)
{
	struct known_worker *worker;
	HASH_FIND_STR(crew->all, id, worker);
	return worker;
}

/* NULL: out of memory, or over the bound: it is known while this server runs. */
static struct known_worker *
add(struct crew *crew, const char *id)
{
	struct known_worker *worker = NULL;
	if (HASH_COUNT(crew->all) < QL_BROKER_WORKERS_MAX)
		worker = calloc(1, sizeof(*worker));
	if (!worker)
		return NULL;
	ql_str_copy(worker->id, sizeof(worker->id), id);
	HASH_ADD_STR(crew->all, id, worker);
	return worker;
}

void
ql_crew_known(void *arg, const char *node, const char *text)
{
	struct crew *crew = ((struct ql_engine *)arg)->crew;
	char id[ID];
	name(node, id);
	struct known_worker *worker = find(crew, id);
	if (!worker && text)
		worker = add(crew, id);
	bool same = worker && worker->text && text && !strcmp(worker->text, text);
	if (!worker || same || (!worker->text && !text))
		return;
	free(worker->text);
	worker->text = ql_str_dup(text);
	worker->unkept = true;
	flush(crew);
}

/* ---- at the start, and at the end ---- */

void
ql_crew_load(struct ql_engine *engine, const struct ql_object *object)
{
	struct ql_broker *broker = engine->config.broker;
	struct known_worker *worker = find(engine->crew, object->id);
	if (!worker && (worker = add(engine->crew, object->id)))
		worker->text = ql_str_dup(object->text);
	if (broker && broker->ops->expect)
		broker->ops->expect(broker, NULL, object->text);
}

int
ql_crew_open(struct ql_engine *engine, struct ql_err *e)
{
	struct crew *crew = calloc(1, sizeof(*crew));
	if (!crew)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for the broker's workers");
	crew->engine = engine;
	crew->again.fn = on_again;
	engine->crew = crew;
	return 0;
}

void
ql_crew_free(struct ql_engine *engine)
{
	struct crew *crew = engine->crew;
	struct known_worker *worker, *next;
	if (!crew)
		return;
	HASH_ITER (hh, crew->all, worker, next)
		free_worker(crew, worker);
	free(crew);
}
