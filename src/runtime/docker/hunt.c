#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"
#include "runtime/docker/containers.h"
#include "runtime/docker/trail.h"

/* ---- how it ends ---- */

static void
fill(struct ql_container *found, const struct ql_docker_end *end)
{
	const struct ql_docker_state *state = &end->state;
	bool told = !state->running && !state->created;
	*found = (struct ql_container){
		.running = !end->over,
		.started_at = state->started_at,
		.pid = end->process ? end->process->pid : 0,
		.exit_code = told ? state->exit_code : -1, /* Docker learns of it after us */
		.oom = state->oom,
	};
	ql_str_copy(found->id, sizeof(found->id), state->id);
	ql_str_copy(found->name, sizeof(found->name), state->name);
	ql_str_copy(found->image, sizeof(found->image), state->image);
	ql_str_copy(found->state, sizeof(found->state), state->word);
	ql_str_copy(found->eval_id, sizeof(found->eval_id), end->eval_id);
}

/* What there was, also where it is not all dead. */
static int
report(const struct ql_docker_hunt *hunt, struct ql_containers_op *op)
{
	const struct ql_docker_end *end;
	size_t count;
	DL_COUNT(hunt->ends, end, count);
	if (!count)
		return 0;
	op->found = calloc(count, sizeof(*op->found));
	if (!op->found)
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory for an answer");
	DL_FOREACH (hunt->ends, end) {
		fill(&op->found[op->count++], end);
		op->unasked |= end->unasked;
	}
	return 0;
}

/* From the driver's books; its ends are stopped. */
static void
hunt_free(struct ql_docker_hunt *hunt)
{
	struct ql_docker_containers *driver = hunt->driver;
	struct ql_docker_end *end, *next;
	DL_FOREACH_SAFE (hunt->ends, end, next)
		ql_docker_end_free(end);
	ql_docker_listing_done(&hunt->listing);
	ql_docker_never(driver->docker, &hunt->limit);
	HASH_DEL(driver->hunts, hunt);
	if (hunt->active)
		driver->hunting--;
	else
		DL_DELETE(driver->queue, hunt);
	free(hunt->keep_dir);
	free(hunt);
}

static void
finish(struct ql_docker_hunt *hunt, int status, const struct ql_err *why)
{
	while (hunt->ops) {
		struct ql_containers_op *op = hunt->ops;
		hunt->ops = op->driver;
		if (status)
			op->err = *why;
		int reported = report(hunt, op);
		ql_docker_answer(hunt->driver, op, status ? status : reported);
	}
	hunt_free(hunt);
}

/* ---- how it goes ---- */

static int
go(struct ql_docker_hunt *hunt)
{
	hunt->again = false;
	return ql_docker_listing_start(&hunt->listing);
}

/* A hunt that can't even ask is over at once: the next in the queue may be tried. */
static void
start_queued(struct ql_docker_containers *driver)
{
	while (driver->queue && driver->hunting < QL_DOCKER_HUNTS) {
		struct ql_docker_hunt *hunt = driver->queue;
		DL_DELETE(driver->queue, hunt);
		hunt->active = true;
		driver->hunting++;
		if (go(hunt))
			finish(hunt, -1, &hunt->listing.err);
	}
}

static void
go_on(struct ql_docker_hunt *hunt)
{
	struct ql_docker_containers *driver = hunt->driver;
	if (hunt->open)
		return;
	if (go(hunt))
		finish(hunt, -1, &hunt->listing.err);
	start_queued(driver);
}

static void
ended(struct ql_docker_end *end)
{
	struct ql_docker_hunt *hunt = end->owner;
	ql_docker_bill_end(hunt->driver, end);
	hunt->open--;
	go_on(hunt);
}

/* Its logs are asked for before its signal goes out. Without them it is killed all the same. */
static void
found(struct ql_docker_end *end)
{
	struct ql_docker_hunt *hunt = end->owner;
	struct ql_containers *containers = &hunt->driver->containers;
	if (containers->changed)
		containers->changed(containers->changed_arg, hunt->eval_id);
	struct ql_err e;
	struct ql_docker_trail *trail =
		hunt->keep_dir ? ql_docker_trail(hunt->driver, hunt->keep_dir, hunt->output_max, &e)
			       : NULL;
	if (trail)
		(void)!ql_docker_trail_follow(trail, end->state.id, end->state.tty, &e);
}

static struct ql_docker_end *
find_end(const struct ql_docker_hunt *hunt, const char *id)
{
	struct ql_docker_end *end;
	DL_FOREACH (hunt->ends, end) {
		if (strcmp(end->state.id, id) == 0)
			return end;
	}
	return NULL;
}

static int
start_end(struct ql_docker_hunt *hunt, const struct ql_docker_item *item)
{
	struct ql_docker_end *end = calloc(1, sizeof(*end));
	if (!end)
		return ql_fail(
			&hunt->listing.err, QL_E_UNAVAILABLE, "Out of memory to end a container");
	end->docker = hunt->driver->docker;
	end->found = found;
	end->ended = ended;
	end->owner = hunt;
	end->parts = &hunt->driver->parts;
	end->part_closed = ql_docker_part_closed;
	end->parts_owner = hunt->driver;
	ql_str_copy(end->eval_id, sizeof(end->eval_id), item->eval_id);
	DL_APPEND(hunt->ends, end);
	hunt->open++;
	ql_docker_end_start(end, item->id);
	return 0;
}

/* 1: it has to be waited for. */
static int
take_item(struct ql_docker_hunt *hunt, const struct ql_docker_item *item)
{
	struct ql_docker_end *end = find_end(hunt, item->id);
	if (!end)
		return start_end(hunt, item) ? -1 : 1;
	if (!item->live || ql_docker_end_check(end) == 0)
		return 0;
	hunt->open++;
	return 1;
}

/* What doesn't fit is in the next list again. */
static void
listed(struct ql_docker_listing *listing, int status)
{
	struct ql_docker_hunt *hunt = listing->owner;
	struct ql_docker_containers *driver = hunt->driver;
	for (size_t i = 0; !status && i < listing->count && hunt->open < QL_CONTAINERS_MAX; i++) {
		if (take_item(hunt, &listing->items[i]) < 0)
			status = -1;
	}
	if (status)
		finish(hunt, -1, &listing->err);
	else if (!hunt->open && hunt->again)
		go_on(hunt);
	else if (!hunt->open)
		finish(hunt, 0, NULL);
	start_queued(driver);
}

/* ---- its callers ---- */

static void
too_long(struct ql_docker_later *later)
{
	struct ql_docker_hunt *hunt = QL_OWNER(later, struct ql_docker_hunt, limit);
	struct ql_docker_containers *driver = hunt->driver;
	hunt_free(hunt);
	start_queued(driver);
}

static struct ql_docker_hunt *
find_hunt(struct ql_docker_containers *driver, const char *eval_id)
{
	struct ql_docker_hunt *hunt;
	HASH_FIND_STR(driver->hunts, eval_id, hunt);
	return hunt;
}

static struct ql_docker_hunt *
new_hunt(struct ql_docker_containers *driver, const char *eval_id)
{
	struct ql_docker_hunt *hunt = calloc(1, sizeof(*hunt));
	if (!hunt)
		return NULL;
	hunt->driver = driver;
	ql_str_copy(hunt->eval_id, sizeof(hunt->eval_id), eval_id);
	hunt->listing.docker = driver->docker;
	hunt->listing.match = &driver->match;
	hunt->listing.eval_id = hunt->eval_id;
	hunt->listing.done = listed;
	hunt->listing.owner = hunt;
	hunt->limit.ring = too_long;
	HASH_ADD_STR(driver->hunts, eval_id, hunt);
	DL_APPEND(driver->queue, hunt);
	return hunt;
}

void
ql_docker_hunt(
	struct ql_docker_containers *driver, const char *eval_id, struct ql_containers_op *op)
{
	struct ql_docker_hunt *hunt = find_hunt(driver, eval_id);
	bool is_new = !hunt;
	if (is_new)
		hunt = new_hunt(driver, eval_id);
	if (!hunt && op) {
		ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory to end a container");
		ql_docker_answer(driver, op, -1);
	}
	if (!hunt)
		return;
	hunt->again = true;
	if (op) {
		op->driver = hunt->ops;
		hunt->ops = op;
		if (op->keep_dir && !hunt->keep_dir)
			hunt->keep_dir = ql_str_dup(op->keep_dir);
		hunt->output_max = op->output_max;
		ql_docker_never(driver->docker, &hunt->limit);
	} else if (is_new) {
		ql_docker_later(driver->docker, &hunt->limit, QL_DOCKER_HUNT_MS);
	}
	start_queued(driver);
}

void
ql_docker_hunt_hint(struct ql_docker_containers *driver, const char *eval_id)
{
	struct ql_docker_hunt *hunt = find_hunt(driver, eval_id);
	if (hunt)
		hunt->again = true;
}

void
ql_docker_hunt_unban(struct ql_docker_containers *driver, const char *eval_id)
{
	struct ql_docker_hunt *hunt = find_hunt(driver, eval_id);
	if (hunt && !hunt->ops) {
		hunt_free(hunt);
		start_queued(driver);
	}
}

static void
say_what_is_left(const struct ql_docker_hunt *hunt, struct ql_containers_op *op)
{
	const struct ql_docker_end *end;
	DL_FOREACH (hunt->ends, end) {
		if (end->over || !end->why.code)
			continue;
		op->err = end->why;
		ql_err_prefix(
			&op->err, "The container %.12s is not proven dead in time", end->state.id);
		return;
	}
}

static void
unlink_op(struct ql_docker_hunt *hunt, struct ql_containers_op *op)
{
	struct ql_containers_op *before = hunt->ops;
	if (before == op) {
		hunt->ops = op->driver;
		return;
	}
	while (before && before->driver != op)
		before = before->driver;
	if (before)
		before->driver = op->driver;
}

void
ql_docker_hunt_leave(struct ql_docker_containers *driver, struct ql_containers_op *op)
{
	struct ql_docker_hunt *hunt = find_hunt(driver, op->eval_id);
	if (!hunt)
		return;
	unlink_op(hunt, op);
	say_what_is_left(hunt, op);
	(void)!report(hunt, op);
	if (hunt->ops)
		return;
	hunt_free(hunt);
	if (!driver->desk.closing)
		start_queued(driver);
}

void
ql_docker_hunt_stop_all(struct ql_docker_containers *driver)
{
	struct ql_docker_hunt *hunt, *next;
	HASH_ITER (hh, driver->hunts, hunt, next)
		hunt_free(hunt);
}
