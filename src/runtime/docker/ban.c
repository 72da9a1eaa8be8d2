/* Bans: containers that show up later are ended on sight, by the events, and by a sweep for what those miss. */
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "runtime/docker/containers.h"

struct ql_docker_ban {
	UT_hash_handle hh;
	char eval_id[QL_DOCKER_EVAL_ID];
};

static bool
is_banned(const struct ql_docker_containers *driver, const char *eval_id)
{
	struct ql_docker_ban *ban;
	HASH_FIND_STR(driver->bans, eval_id, ban);
	return ban;
}

/* ---- the sweep ---- */

static void
sweep_in(struct ql_docker_containers *driver, int64_t in_ms)
{
	if (driver->bans || driver->unmet)
		ql_docker_later(driver->docker, &driver->sweep_later, in_ms);
	else
		ql_docker_never(driver->docker, &driver->sweep_later);
}

static void
swept(struct ql_docker_listing *listing, int status)
{
	struct ql_docker_containers *driver = listing->owner;
	for (size_t i = 0; !status && i < listing->count; i++) {
		const struct ql_docker_item *item = &listing->items[i];
		if (is_banned(driver, item->eval_id))
			ql_docker_hunt(driver, item->eval_id, NULL);
		else if (driver->unmet && item->live && !item->created)
			ql_docker_bill_meet(driver, item->eval_id, item->id, 0);
	}
	driver->unmet &= status != 0;
	ql_docker_listing_done(listing);
	sweep_in(driver, driver->sweep_is_soon ? QL_DOCKER_SWEEP_SOON_MS : QL_DOCKER_SWEEP_MS);
}

static void
sweep(struct ql_docker_later *later)
{
	struct ql_docker_containers *driver =
		QL_OWNER(later, struct ql_docker_containers, sweep_later);
	driver->sweep_is_soon = false;
	if (ql_docker_listing_start(&driver->sweep))
		sweep_in(driver, QL_DOCKER_SWEEP_MS);
}

/* What came up before the ban, or while the events were not heard. */
static void
sweep_soon(struct ql_docker_containers *driver)
{
	if ((!driver->bans && !driver->unmet) || driver->sweep_is_soon)
		return;
	driver->sweep_is_soon = true;
	if (!driver->sweep.call.docker)
		sweep_in(driver, QL_DOCKER_SWEEP_SOON_MS);
}

/* ---- events ---- */

static bool
is_start(const char *action)
{
	return strcmp(action, "create") == 0 || strcmp(action, "start") == 0;
}

static bool
is_end(const char *action)
{
	return strcmp(action, "die") == 0 || strcmp(action, "died") == 0 ||
	       strcmp(action, "destroy") == 0 || strcmp(action, "remove") == 0;
}

static void
happened(void *owner, const char *action, const char *id, const json_t *attributes, int64_t at)
{
	struct ql_docker_containers *driver = owner;
	struct ql_containers *containers = &driver->containers;
	char eval_id[QL_DOCKER_EVAL_ID];
	const char *name = ql_docker_name(json_object_get(attributes, "name"));
	if ((!is_start(action) && !is_end(action)) ||
		ql_docker_match_owner(&driver->match, attributes, name, eval_id))
		return;
	if (is_start(action))
		ql_docker_hunt_hint(driver, eval_id);
	if (is_start(action) && is_banned(driver, eval_id))
		ql_docker_hunt(driver, eval_id, NULL);
	else if (strcmp(action, "start") == 0)
		ql_docker_bill_meet(driver, eval_id, id, at);
	if (containers->changed)
		containers->changed(containers->changed_arg, eval_id);
}

static void
opened(void *owner)
{
	struct ql_docker_containers *driver = owner;
	driver->unmet = true;
	sweep_soon(driver);
}

/* ---- its callers ---- */

static void
add(struct ql_docker_containers *driver, const char *eval_id)
{
	struct ql_docker_ban *ban = NULL;
	if (HASH_COUNT(driver->bans) < QL_DOCKER_BANS_MAX)
		ban = calloc(1, sizeof(*ban));
	if (!ban || ql_str_copy(ban->eval_id, sizeof(ban->eval_id), eval_id)) {
		driver->bans_refused++;
		free(ban);
		return;
	}
	HASH_ADD_STR(driver->bans, eval_id, ban);
	sweep_soon(driver);
}

static void
lift(struct ql_docker_containers *driver, struct ql_docker_ban *ban)
{
	HASH_DEL(driver->bans, ban);
	free(ban);
}

void
ql_docker_ban(struct ql_docker_containers *driver, const char *eval_id, bool on)
{
	struct ql_docker_ban *ban;
	HASH_FIND_STR(driver->bans, eval_id, ban);
	if (on && !ban)
		add(driver, eval_id);
	if (!on && ban) {
		lift(driver, ban);
		ql_docker_hunt_unban(driver, eval_id);
	}
}

void
ql_docker_ban_start(struct ql_docker_containers *driver)
{
	driver->sweep.docker = driver->docker;
	driver->sweep.match = &driver->match;
	driver->sweep.live_only = true;
	driver->sweep.done = swept;
	driver->sweep.owner = driver;
	driver->sweep_later.ring = sweep;
	driver->events.docker = driver->docker;
	/* a container that is found by its name carries no label to filter by */
	driver->events.label = driver->match.by_name ? NULL : driver->match.label;
	driver->events.happened = happened;
	driver->events.opened = opened;
	driver->events.owner = driver;
	ql_docker_events_start(&driver->events);
}

void
ql_docker_ban_stop(struct ql_docker_containers *driver)
{
	struct ql_docker_ban *ban, *next;
	ql_docker_events_stop(&driver->events);
	ql_docker_listing_done(&driver->sweep);
	ql_docker_never(driver->docker, &driver->sweep_later);
	HASH_ITER (hh, driver->bans, ban, next)
		lift(driver, ban);
}
