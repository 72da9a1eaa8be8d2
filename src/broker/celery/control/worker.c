#include "broker/celery/control/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct ql_worker *
ql_workers_find(const struct ql_workers *workers, const char *node)
{
	struct ql_worker *worker;
	HASH_FIND_STR(workers->by_node, node, worker);
	return worker;
}

static void
set_state(struct ql_workers *workers, struct ql_worker *worker, enum ql_worker_state state)
{
	workers->here -= worker->state == QL_WORKER_HERE;
	workers->here += state == QL_WORKER_HERE;
	worker->state = state;
}

static struct ql_worker *
add(struct ql_workers *workers, const char *node)
{
	if (HASH_COUNT(workers->by_node) >= QL_BROKER_WORKERS_MAX)
		return NULL;
	struct ql_worker *worker = calloc(1, sizeof(*worker));
	if (!worker || ql_str_copy(worker->node, sizeof(worker->node), node)) {
		free(worker);
		return NULL;
	}
	worker->state = QL_WORKER_LEFT;
	worker->pace_ms = QL_WORKER_PACE_MS;
	worker->active = worker->begun = -1;
	HASH_ADD_STR(workers->by_node, node, worker);
	return worker;
}

struct ql_worker *
ql_workers_heard(struct ql_workers *workers, const char *node, int64_t now)
{
	struct ql_worker *worker = ql_workers_find(workers, node);
	if (!worker)
		worker = add(workers, node);
	if (!worker)
		return NULL;
	worker->heard_at = now;
	set_state(workers, worker, QL_WORKER_HERE);
	return worker;
}

void
ql_workers_expect(struct ql_workers *workers, const char *node, int64_t now)
{
	struct ql_worker *worker = ql_workers_find(workers, node) ? NULL : add(workers, node);
	if (!worker)
		return;
	worker->state = QL_WORKER_SILENT;
	worker->heard_at = now;
}

/* Under its name another process: what was known of the one before says nothing of it. */
static void
take_pid(struct ql_worker *worker, int64_t pid)
{
	if (worker->pid == pid)
		return;
	worker->pid = pid;
	worker->pool = QL_POOL_UNKNOWN;
	worker->process = (struct ql_hand_process){0};
}

struct ql_worker *
ql_workers_beat(struct ql_workers *workers, const struct ql_beat *beat, int64_t now)
{
	struct ql_worker *worker = ql_workers_heard(workers, beat->node, now);
	if (!worker)
		return NULL;
	take_pid(worker, beat->pid);
	memcpy(worker->version, beat->version, sizeof(worker->version));
	worker->beats = true;
	worker->active = beat->active;
	worker->begun = beat->begun;
	worker->pace_ms = beat->pace_ms ? beat->pace_ms : QL_WORKER_PACE_MS;
	if (beat->offline)
		set_state(workers, worker, QL_WORKER_LEFT);
	return worker;
}

/* Newer ones say "celery.concurrency.prefork:TaskPool"; of the others each kind has members of its own. */
static enum ql_pool
kind_of(const json_t *pool, int64_t main_pid)
{
	static const struct {
		const char *word;
		enum ql_pool pool;
	} kinds[] = {{".prefork:", QL_POOL_PREFORK}, {".thread:", QL_POOL_THREADS},
		{".solo:", QL_POOL_SOLO}, {".gevent:", QL_POOL_GEVENT},
		{".eventlet:", QL_POOL_EVENTLET}};
	const char *said = json_string_value(json_object_get(pool, "implementation"));
	const json_t *processes = json_object_get(pool, "processes");
	for (size_t i = 0; said && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strstr(said, kinds[i].word))
			return kinds[i].pool;
	if (said || !json_is_object(pool))
		return QL_POOL_UNKNOWN;
	if (json_object_get(pool, "threads"))
		return QL_POOL_THREADS;
	if (json_object_get(pool, "free-threads"))
		return QL_POOL_EVENTLET;
	if (!processes)
		return QL_POOL_GEVENT;
	if (json_array_size(processes) == 1 &&
		json_integer_value(json_array_get(processes, 0)) == main_pid)
		return QL_POOL_SOLO;
	return QL_POOL_PREFORK;
}

void
ql_worker_learn(struct ql_worker *worker, const json_t *stats)
{
	int64_t pid = (int64_t)json_integer_value(json_object_get(stats, "pid"));
	if (!pid)
		return;
	take_pid(worker, pid);
	worker->pool = kind_of(json_object_get(stats, "pool"), pid);
}

void
ql_worker_read_report(struct ql_worker *worker, const json_t *reply)
{
	static const char before[] = "celery:";
	const char *text = json_string_value(json_object_get(reply, "ok"));
	const char *at = text ? strstr(text, before) : NULL;
	if (!at || *worker->version)
		return;
	at += sizeof(before) - 1;
	size_t len = strcspn(at, " \n");
	if (len < sizeof(worker->version))
		memcpy(worker->version, at, len);
}

static int64_t
patience(const struct ql_worker *worker)
{
	if (!worker->beats)
		return QL_WORKER_PROBED_MS;
	bool dead = worker->process.pid && !ql_hand_lives(&worker->process);
	return (dead ? QL_WORKER_BEATS_DEAD : QL_WORKER_BEATS) * worker->pace_ms;
}

void
ql_workers_sweep(struct ql_workers *workers, int64_t now, const struct ql_worker_fates *whom)
{
	struct ql_worker *worker, *next;
	HASH_ITER (hh, workers->by_node, worker, next) {
		int64_t since = now - worker->heard_at;
		bool away = worker->state != QL_WORKER_HERE && since > QL_BROKER_WORKER_KEEP_MS;
		if (away && !ql_hand_lives(&worker->process)) {
			HASH_DEL(workers->by_node, worker);
			whom->dropped(whom->arg, worker);
			free(worker);
		} else if (worker->state == QL_WORKER_HERE && since > patience(worker)) {
			set_state(workers, worker, QL_WORKER_SILENT);
			whom->silent(whom->arg, worker);
		}
	}
}

void
ql_workers_done(struct ql_workers *workers)
{
	struct ql_worker *worker, *next;
	HASH_ITER (hh, workers->by_node, worker, next) {
		HASH_DEL(workers->by_node, worker);
		free(worker);
	}
	*workers = (struct ql_workers){0};
}

const char *
ql_worker_host(const struct ql_worker *worker)
{
	const char *at = strchr(worker->node, '@');
	return at ? at + 1 : worker->node;
}

int
ql_worker_version(const struct ql_worker *worker)
{
	int major, minor, patch = 0;
	if (sscanf(worker->version, "%3d.%3d.%3d", &major, &minor, &patch) < 2)
		return 0;
	bool sane = major >= 0 && minor >= 0 && minor < 100 && patch >= 0 && patch < 100;
	return sane ? major * 10000 + minor * 100 + patch : 0;
}

const char *
ql_pool_name(enum ql_pool pool)
{
	static const char *const names[] = {[QL_POOL_UNKNOWN] = "unknown",
		[QL_POOL_PREFORK] = "prefork",
		[QL_POOL_THREADS] = "threads",
		[QL_POOL_SOLO] = "solo",
		[QL_POOL_GEVENT] = "gevent",
		[QL_POOL_EVENTLET] = "eventlet"};
	return names[pool];
}

bool
ql_worker_can_terminate(const struct ql_worker *worker, const char **ret_why)
{
	static const char *const why[] = {
		[QL_POOL_UNKNOWN] = "its worker has not said of which kind its pool is",
		[QL_POOL_THREADS] =
			"a thread can't be ended from outside: use a prefork pool, or let the "
			"task look whether it was aborted",
		[QL_POOL_SOLO] =
			"a solo worker hears nothing while a task runs: use a prefork pool, or "
			"let the task look whether it was aborted",
		[QL_POOL_GEVENT] =
			"a gevent pool ends tasks from Celery 5.5 on: update it, or let the task "
			"look whether it was aborted",
		[QL_POOL_EVENTLET] =
			"an eventlet pool ends tasks from Celery 5.2 on: update it, or let the "
			"task look whether it was aborted",
	};
	int version = ql_worker_version(worker);
	bool can = worker->pool == QL_POOL_PREFORK ||
		   (worker->pool == QL_POOL_GEVENT && version >= 50500) ||
		   (worker->pool == QL_POOL_EVENTLET && version >= 50200);
	*ret_why = can ? NULL : why[worker->pool];
	return can;
}

/* What it ran when it was heard last: ", with 1 task at its last heartbeat". */
static void
show_load(const struct ql_worker *worker, char *ret_text, size_t size)
{
	if (worker->active >= 0)
		snprintf(ret_text, size, ", with %lld task%s at its last heartbeat",
			(long long)worker->active, worker->active == 1 ? "" : "s");
	else
		*ret_text = 0;
}

static void
show_state(const struct ql_worker *worker, int64_t now, char *ret_text, size_t size)
{
	static const char *const works[QL_POOL_EVENTLET + 1] = {
		[QL_POOL_UNKNOWN] = ", or at work if its pool is solo",
		[QL_POOL_SOLO] = ", or at work: a solo pool says nothing then",
	};
	const char *work = works[worker->pool] ? works[worker->pool] : "";
	char load[64];
	long long seconds = (long long)(now - worker->heard_at) / 1000;
	show_load(worker, load, sizeof(load));
	if (worker->state == QL_WORKER_LEFT)
		snprintf(ret_text, size, "left %lld s ago%s", seconds, load);
	else if (worker->state == QL_WORKER_SILENT)
		snprintf(ret_text, size,
			"silent for %lld s%s: gone, frozen or cut off from the broker%s", seconds,
			load, work);
	else if (worker->deaf)
		snprintf(ret_text, size,
			"heard %lld s ago%s, but did not answer when asked: "
			"frozen or cut off from the broker%s",
			seconds, load, work);
	else
		snprintf(ret_text, size, "heard %lld s ago%s", seconds, load);
}

void
ql_worker_show(const struct ql_worker *worker, int64_t now, char *ret_text, size_t size)
{
	char state[192];
	show_state(worker, now, state, sizeof(state));
	snprintf(ret_text, size, "%s: Celery %s, %s pool, pid %lld, %s", worker->node,
		*worker->version ? worker->version : "of unknown version",
		ql_pool_name(worker->pool), (long long)worker->pid, state);
}
