#include "runtime/fake/containers_fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "base/keep.h"
#include "base/str.h"
#include "runtime/containers_op.h"

enum { KILLED = 137 };

struct ban {
	UT_hash_handle hh;
	char eval_id[129];
};

struct fake {
	struct ql_containers containers; /* first */
	struct ql_desk desk;
	struct ql_fake_containers *world;
	struct ban *bans;
	uv_idle_t hints;
	int parts; /* desk and hints */
	void (*closed)(void *arg);
	void *closed_arg;
};

/* ---- the world ---- */

struct ql_fake_containers *
ql_fake_containers_new(uv_loop_t *loop)
{
	struct ql_fake_containers *world = calloc(1, sizeof(*world));
	if (world)
		world->loop = loop;
	return world;
}

void
ql_fake_containers_free(struct ql_fake_containers *world)
{
	struct ql_fake_container *container, *next;
	DL_FOREACH_SAFE (world->all, container, next)
		free(container);
	free(world);
}

struct ql_fake_container *
ql_fake_container_add(struct ql_fake_containers *world, const char *eval_id)
{
	struct ql_fake_container *container = calloc(1, sizeof(*container));
	if (!container)
		return NULL;
	snprintf(container->id, sizeof(container->id), "%064llx", (long long)++world->count);
	ql_str_copy(container->eval_id, sizeof(container->eval_id), eval_id);
	DL_APPEND(world->all, container);
	return container;
}

static void
give_hints(uv_idle_t *idle)
{
	struct fake *fake = idle->data;
	struct ql_containers *containers = &fake->containers;
	struct ql_fake_container *container;
	uv_idle_stop(idle);
	DL_FOREACH (fake->world->all, container) {
		if (!container->news)
			continue;
		container->news = false;
		if (containers->changed)
			containers->changed(containers->changed_arg, container->eval_id);
	}
}

static void
hint(struct ql_fake_containers *world, struct ql_fake_container *container)
{
	struct fake *fake = (struct fake *)world->driver;
	container->news = fake;
	if (fake)
		uv_idle_start(&fake->hints, give_hints);
}

void
ql_fake_container_exit(
	struct ql_fake_containers *world, struct ql_fake_container *container, int exit_code)
{
	container->state = QL_FAKE_CONTAINER_EXITED;
	container->exit_code = exit_code;
	hint(world, container);
}

/* Whether it is dead then, or will never run. */
static bool
end(struct ql_fake_containers *world, struct ql_fake_container *container)
{
	if (container->state == QL_FAKE_CONTAINER_CREATED)
		container->state = QL_FAKE_CONTAINER_REMOVED;
	if (container->state != QL_FAKE_CONTAINER_RUNNING)
		return true;
	container->kills++;
	if (container->immortal)
		return false;
	ql_fake_container_exit(world, container, KILLED);
	return true;
}

static bool
sees(const struct ql_fake_containers *world)
{
	return !world->away && !world->blind;
}

int
ql_fake_container_start(struct ql_fake_containers *world, struct ql_fake_container *container)
{
	struct fake *fake = (struct fake *)world->driver;
	struct ban *ban = NULL;
	if (container->state == QL_FAKE_CONTAINER_REMOVED)
		return -1;
	container->state = QL_FAKE_CONTAINER_RUNNING;
	container->started_at = ++world->clock;
	hint(world, container);
	if (fake)
		HASH_FIND_STR(fake->bans, container->eval_id, ban);
	if (ban && sees(world))
		end(world, container);
	return 0;
}

/* ---- operations ---- */

static bool
is_of(const struct ql_fake_container *container, const char *eval_id)
{
	return container->state != QL_FAKE_CONTAINER_REMOVED &&
	       (!eval_id || strcmp(container->eval_id, eval_id) == 0);
}

static void
fill(struct ql_container *found, const struct ql_fake_container *container)
{
	bool running = container->state == QL_FAKE_CONTAINER_RUNNING;
	bool exited = container->state == QL_FAKE_CONTAINER_EXITED;
	*found = (struct ql_container){
		.running = running,
		.started_at = running || exited ? container->started_at : 0,
		.pid = running,
		.exit_code = exited ? container->exit_code : -1,
		.oom = exited && container->oom,
	};
	ql_str_copy(found->id, sizeof(found->id), container->id);
	ql_str_copy(found->image, sizeof(found->image), "fake:1");
	ql_str_copy(found->state, sizeof(found->state),
		running  ? "running"
		: exited ? "exited"
			 : "created");
	snprintf(found->name, sizeof(found->name), "eval-%.100s", container->eval_id);
	ql_str_copy(found->eval_id, sizeof(found->eval_id), container->eval_id);
}

static int
find(const struct fake *fake, struct ql_containers_op *op)
{
	const struct ql_fake_container *container;
	size_t count;
	DL_COUNT(fake->world->all, container, count);
	op->found = calloc(count + 1, sizeof(*op->found));
	if (!op->found)
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory to look");
	DL_FOREACH (fake->world->all, container) {
		if (is_of(container, op->eval_id))
			fill(&op->found[op->count++], container);
	}
	return 0;
}

/* 1: not all of them are dead; only its deadline answers it. */
static int
kill_all(const struct fake *fake, struct ql_containers_op *op)
{
	struct ql_fake_container *container;
	bool dead = true;
	DL_FOREACH (fake->world->all, container) {
		if (!is_of(container, op->eval_id))
			continue;
		container->followed |= op->keep_dir != NULL;
		dead &= end(fake->world, container);
	}
	op->unasked = fake->world->unasked;
	return dead ? find(fake, op) : 1;
}

static void
keep_words(struct ql_keep *keep, const struct ql_fake_container *container)
{
	if (container->out)
		ql_keep_add(keep, 1, container->out, strlen(container->out));
	if (container->err)
		ql_keep_add(keep, 2, container->err, strlen(container->err));
}

static int
salvage(const struct fake *fake, struct ql_containers_op *op)
{
	const struct ql_fake_container *container;
	struct ql_keep keep;
	DL_FOREACH (fake->world->all, container) {
		if (is_of(container, op->eval_id) && container->state == QL_FAKE_CONTAINER_RUNNING)
			return 1;
	}
	if (ql_keep_start(&keep, op->keep_dir, op->output_max, &op->err))
		return -1;
	DL_FOREACH (fake->world->all, container) {
		bool is_kept = container->followed && !strcmp(container->eval_id, op->eval_id);
		if (is_kept || is_of(container, op->eval_id))
			keep_words(&keep, container);
	}
	op->output_bytes = keep.bytes;
	op->output_truncated = keep.truncated;
	ql_keep_close(&keep);
	return 0;
}

static int
remove_all(const struct fake *fake, const struct ql_containers_op *op)
{
	struct ql_fake_container *container;
	int left = 0;
	DL_FOREACH (fake->world->all, container) {
		if (!is_of(container, op->eval_id))
			continue;
		if (container->state == QL_FAKE_CONTAINER_RUNNING)
			left = 1;
		else
			container->state = QL_FAKE_CONTAINER_REMOVED;
	}
	return left;
}

static int
end_one(const struct fake *fake, struct ql_containers_op *op)
{
	struct ql_fake_container *container;
	DL_FOREACH (fake->world->all, container) {
		if (is_of(container, op->eval_id) && !strcmp(container->id, op->container))
			break;
	}
	if (!container || container->state != QL_FAKE_CONTAINER_RUNNING)
		return 0;
	if (container->started_at != op->started_at)
		return ql_fail(&op->err, QL_E_CONFLICT, "%s was started anew", container->id);
	return end(fake->world, container) ? 0 : 1;
}

static int
perform(const struct fake *fake, struct ql_containers_op *op)
{
	if (!op->eval_id && op->kind != QL_CONTAINERS_FIND)
		return ql_fail(&op->err, QL_E_INVALID,
			"Only a look may be for the containers of all evaluations");
	if (op->eval_id && !ql_str_is_eval_id(op->eval_id))
		return ql_fail(
			&op->err, QL_E_INVALID, "No container can be found by that evaluation id");
	if (fake->world->away)
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "The fake's daemon is away");
	switch (op->kind) {
	case QL_CONTAINERS_FIND:
		return find(fake, op);
	case QL_CONTAINERS_KILL:
		return kill_all(fake, op);
	case QL_CONTAINERS_SALVAGE:
		return salvage(fake, op);
	case QL_CONTAINERS_END:
		return end_one(fake, op);
	default:
		return remove_all(fake, op);
	}
}

static void
act(struct ql_containers *containers, struct ql_containers_op *op)
{
	struct fake *fake = (struct fake *)containers;
	if (ql_containers_op_take(&fake->desk, op))
		return;
	int status = perform(fake, op);
	if (status <= 0)
		ql_desk_answer_ticket(&fake->desk, &op->ticket, status);
}

/* ---- bans, health ---- */

static void
lift(struct fake *fake, struct ban *ban)
{
	HASH_DEL(fake->bans, ban);
	free(ban);
}

static void
ban_one(struct ql_containers *containers, const char *eval_id, bool on)
{
	struct fake *fake = (struct fake *)containers;
	struct ql_fake_container *container;
	struct ban *ban;
	HASH_FIND_STR(fake->bans, eval_id, ban);
	if (!on && ban)
		lift(fake, ban);
	if (!on || ban)
		return;
	ban = calloc(1, sizeof(*ban));
	if (!ban)
		return;
	ql_str_copy(ban->eval_id, sizeof(ban->eval_id), eval_id);
	HASH_ADD_STR(fake->bans, eval_id, ban);
	DL_FOREACH (fake->world->all, container) {
		if (is_of(container, eval_id) && sees(fake->world))
			end(fake->world, container);
	}
}

static int64_t
cpu_us(const struct ql_containers *containers, const char *eval_id, int64_t since)
{
	const struct fake *fake = (const struct fake *)containers;
	const struct ql_fake_container *container;
	int64_t sum = 0;
	DL_FOREACH (fake->world->all, container) {
		bool is = !strcmp(container->eval_id, eval_id) && container->started_at >= since;
		if (is && container->cpu_us < 0)
			return -1;
		sum += is ? container->cpu_us : 0;
	}
	return sum;
}

static size_t
health(const struct ql_containers *containers, struct ql_dependency *ret, size_t size)
{
	const struct fake *fake = (const struct fake *)containers;
	if (!size)
		return 0;
	*ret = (struct ql_dependency){.name = "docker"};
	ret->state = fake->world->away ? QL_BREAKER_OPEN : QL_BREAKER_CLOSED;
	ql_str_copy(ret->detail, sizeof(ret->detail),
		fake->world->away ? "The fake's daemon is away" : "");
	return 1;
}

/* ---- open and close ---- */

static void
part_closed(struct fake *fake)
{
	if (--fake->parts)
		return;
	void (*closed)(void *arg) = fake->closed;
	void *arg = fake->closed_arg;
	free(fake);
	closed(arg);
}

static void
desk_closed(void *arg)
{
	part_closed(arg);
}

static void
hints_closed(uv_handle_t *handle)
{
	part_closed(handle->data);
}

static void
close_driver(struct ql_containers *containers, void (*closed)(void *arg), void *arg)
{
	struct fake *fake = (struct fake *)containers;
	struct ban *ban, *next;
	fake->closed = closed;
	fake->closed_arg = arg;
	fake->world->driver = NULL;
	HASH_ITER (hh, fake->bans, ban, next)
		lift(fake, ban);
	ql_desk_close(&fake->desk, desk_closed, fake);
	uv_close((uv_handle_t *)&fake->hints, hints_closed);
}

static const struct ql_containers_ops ops = {
	.name = "fake",
	.act = act,
	.ban = ban_one,
	.cpu_us = cpu_us,
	.health = health,
	.close = close_driver,
};

int
ql_containers_fake_open(
	struct ql_fake_containers *world, struct ql_containers **ret_containers, struct ql_err *e)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	if (!fake || ql_desk_init(&fake->desk, world->loop, NULL, e)) {
		free(fake);
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for a driver");
	}
	uv_idle_init(world->loop, &fake->hints);
	fake->hints.data = fake;
	fake->parts = 2;
	fake->world = world;
	fake->containers.ops = &ops;
	fake->containers.loop = world->loop;
	world->driver = &fake->containers;
	*ret_containers = &fake->containers;
	return 0;
}
