#include "runtime/docker/trail.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"
#include "runtime/docker/logs.h"

/* Of one container. */
struct strand {
	struct strand *prev, *next;
	char id[QL_CONTAINER_ID];
	struct ql_docker_trail *trail;
	struct ql_docker_logs logs;
	bool open;
	bool following; /* what is open, or was last */
	bool ended; /* the container */
	struct ql_err err; /* what is missing; code 0 = nothing */
};

struct ql_docker_trail {
	UT_hash_handle hh;
	struct ql_docker_containers *driver;
	char *folder; /* owned */
	struct ql_keep keep;
	struct strand *strands;
	struct ql_docker_later limit;
};

static void
trail_free(struct ql_docker_trail *trail)
{
	struct ql_docker_containers *driver = trail->driver;
	struct strand *strand, *next;
	DL_FOREACH_SAFE (trail->strands, strand, next) {
		ql_docker_stop(&strand->logs.call);
		free(strand);
	}
	ql_docker_never(driver->docker, &trail->limit);
	ql_keep_close(&trail->keep);
	HASH_DEL(driver->trails, trail);
	free(trail->folder);
	free(trail);
}

static void
too_old(struct ql_docker_later *later)
{
	trail_free(QL_OWNER(later, struct ql_docker_trail, limit));
}

static struct ql_docker_trail *
trail_new(struct ql_docker_containers *driver, const char *keep_dir, int64_t output_max,
	struct ql_err *e)
{
	struct ql_docker_trail *trail = calloc(1, sizeof(*trail));
	if (!trail || !(trail->folder = ql_str_dup(keep_dir))) {
		free(trail);
		ql_fail(e, QL_E_UNAVAILABLE, "Out of memory to keep a container's logs");
		return NULL;
	}
	trail->driver = driver;
	trail->limit.ring = too_old;
	HASH_ADD_KEYPTR(hh, driver->trails, trail->folder, strlen(trail->folder), trail);
	if (ql_keep_start(&trail->keep, trail->folder, output_max, e) == 0)
		return trail;
	trail_free(trail);
	return NULL;
}

struct ql_docker_trail *
ql_docker_trail_find(struct ql_docker_containers *driver, const char *keep_dir)
{
	struct ql_docker_trail *trail;
	HASH_FIND_STR(driver->trails, keep_dir, trail);
	return trail;
}

struct ql_docker_trail *
ql_docker_trail(struct ql_docker_containers *driver, const char *keep_dir, int64_t output_max,
	struct ql_err *e)
{
	struct ql_docker_trail *trail = ql_docker_trail_find(driver, keep_dir);
	if (!trail && HASH_COUNT(driver->trails) >= QL_DOCKER_TRAILS_MAX) {
		ql_fail(e, QL_E_LIMIT, "The logs of %d evaluations are kept already, the bound",
			QL_DOCKER_TRAILS_MAX);
		return NULL;
	}
	if (!trail)
		trail = trail_new(driver, keep_dir, output_max, e);
	if (trail)
		ql_docker_later(driver->docker, &trail->limit, QL_DOCKER_TRAIL_MS);
	return trail;
}

static struct strand *
strand_of(struct ql_docker_trail *trail, const char *id, struct ql_err *e)
{
	struct strand *strand;
	DL_FOREACH (trail->strands, strand) {
		if (strcmp(strand->id, id) == 0)
			return strand;
	}
	strand = calloc(1, sizeof(*strand));
	if (!strand) {
		ql_fail(e, QL_E_UNAVAILABLE, "Out of memory to keep a container's logs");
		return NULL;
	}
	strand->trail = trail;
	ql_str_copy(strand->id, sizeof(strand->id), id);
	ql_fail(&strand->err, QL_E_UNAVAILABLE, "it was not asked for");
	DL_APPEND(trail->strands, strand);
	return strand;
}

static void read_all(struct ql_docker_logs *logs, int status);

/* From where it was left. */
static int
read_log(struct strand *strand, bool tty, bool follow, struct ql_err *e)
{
	int64_t known = strand->logs.kept;
	strand->logs = (struct ql_docker_logs){.docker = strand->trail->driver->docker,
		.keep = &strand->trail->keep,
		.skip = known,
		.kept = known,
		.done = read_all};
	if (ql_docker_logs_start(&strand->logs, strand->id, tty, follow)) {
		*e = strand->err = strand->logs.err;
		return -1;
	}
	strand->open = true;
	strand->following = follow;
	strand->err.code = QL_E_OK;
	return 0;
}

/* One that was removed meanwhile, or is being removed, has no more to say. */
static void
read_all(struct ql_docker_logs *logs, int status)
{
	struct strand *strand = QL_OWNER(logs, struct strand, logs);
	struct ql_err e;
	bool removed = logs->err.code == QL_E_NOT_FOUND || logs->err.code == QL_E_CONFLICT;
	strand->open = false;
	if (removed)
		return;
	if (strand->following && strand->ended)
		(void)!read_log(strand, logs->tty, false, &e);
	else if (status)
		strand->err = logs->err;
}

int
ql_docker_trail_follow(struct ql_docker_trail *trail, const char *id, bool tty, struct ql_err *e)
{
	struct strand *strand = strand_of(trail, id, e);
	if (!strand)
		return -1;
	if (strand->open || !strand->err.code)
		return 0;
	return read_log(strand, tty, true, e);
}

/* A stream that is followed may end without the last of it: Docker 20.10 was seen to. */
int
ql_docker_trail_finish(struct ql_docker_trail *trail, const char *id, bool tty, struct ql_err *e)
{
	struct strand *strand = strand_of(trail, id, e);
	if (!strand)
		return -1;
	bool whole = strand->ended && !strand->err.code;
	strand->ended = true;
	if (strand->open || whole)
		return 0;
	return read_log(strand, tty, false, e);
}

int
ql_docker_trail_state(const struct ql_docker_trail *trail, struct ql_err *e)
{
	const struct strand *strand;
	int state = 0;
	DL_FOREACH (trail->strands, strand) {
		if (strand->err.code) {
			*e = strand->err;
			return -1;
		}
		if (!strand->open)
			continue;
		ql_fail(e, QL_E_UNAVAILABLE, "the logs of the container %.12s come yet",
			strand->id);
		state = 1;
	}
	return state;
}

const struct ql_keep *
ql_docker_trail_keep(const struct ql_docker_trail *trail)
{
	return &trail->keep;
}

void
ql_docker_trails_stop_all(struct ql_docker_containers *driver)
{
	struct ql_docker_trail *trail, *next;
	HASH_ITER (hh, driver->trails, trail, next)
		trail_free(trail);
}
