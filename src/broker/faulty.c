#include "broker/faulty.h"

#include <stdlib.h>

#include "base/owner.h"

/* caller -> broker -> hurting -> sound, which stands for inner among runtimes -> inner */
struct faulty {
	struct ql_broker broker; /* first */
	struct ql_broker *inner;
	struct ql_runtime sound;
	struct ql_runtime *hurting;
	void (*closed)(void *arg);
	void *closed_arg;
};

static struct faulty *
faulty_of(const struct ql_broker *broker)
{
	return (struct faulty *)(void *)broker;
}

/* ---- inner, as the wrapper of runtimes sees it ---- */

static void
sound_act(struct ql_runtime *runtime, struct ql_runtime_op *op)
{
	struct ql_broker *inner = QL_OWNER(runtime, struct faulty, sound)->inner;
	inner->ops->act(inner, op);
}

static void
sound_close(struct ql_runtime *runtime, void (*closed)(void *arg), void *arg)
{
	struct ql_broker *inner = QL_OWNER(runtime, struct faulty, sound)->inner;
	inner->ops->close(inner, closed, arg);
}

/* The others are never asked of it. */
static const struct ql_runtime_ops sound_ops = {.act = sound_act, .close = sound_close};

static void
inner_sighted(void *arg, const struct ql_sighting *sighting)
{
	struct faulty *faulty = arg;
	faulty->sound.sink.sighted(faulty->sound.sink.arg, sighting);
}

static void
hurting_sighted(void *arg, const struct ql_sighting *sighting)
{
	struct faulty *faulty = arg;
	faulty->broker.sink.sighted(faulty->broker.sink.arg, sighting);
}

static void
inner_back(void *arg)
{
	struct faulty *faulty = arg;
	if (faulty->broker.back)
		faulty->broker.back(faulty->broker.back_arg);
}

static void
inner_forgot(void *arg, int64_t since)
{
	struct faulty *faulty = arg;
	if (faulty->broker.forgot)
		faulty->broker.forgot(faulty->broker.back_arg, since);
}

static void
inner_known(void *arg, const char *node, const char *text)
{
	struct faulty *faulty = arg;
	if (faulty->broker.known)
		faulty->broker.known(faulty->broker.back_arg, node, text);
}

/* ---- as its caller sees it ---- */

static void
faulty_act(struct ql_broker *broker, struct ql_runtime_op *op)
{
	struct ql_runtime *hurting = faulty_of(broker)->hurting;
	hurting->ops->act(hurting, op);
}

static void
faulty_locate(struct ql_broker *broker, struct ql_locate *op)
{
	struct ql_broker *inner = faulty_of(broker)->inner;
	inner->ops->locate(inner, op);
}

static int
faulty_bury(struct ql_broker *broker, const struct ql_tombstone *tombstone, struct ql_err *e)
{
	struct ql_broker *inner = faulty_of(broker)->inner;
	return inner->ops->bury(inner, tombstone, e);
}

static void
faulty_lift(struct ql_broker *broker, const char *task_id)
{
	struct ql_broker *inner = faulty_of(broker)->inner;
	inner->ops->lift(inner, task_id);
}

static void
faulty_remember(struct ql_broker *broker, int64_t now)
{
	struct ql_broker *inner = faulty_of(broker)->inner;
	inner->ops->remember(inner, now);
}

static void
faulty_expect(struct ql_broker *broker, const char *node, const char *text)
{
	struct ql_broker *inner = faulty_of(broker)->inner;
	if (inner->ops->expect)
		inner->ops->expect(inner, node, text);
}

static size_t
faulty_health(const struct ql_broker *broker, struct ql_dependency *ret, size_t size)
{
	const struct ql_broker *inner = faulty_of(broker)->inner;
	return inner->ops->health(inner, ret, size);
}

static const char *
faulty_container(struct ql_broker *broker, const char *task_id)
{
	struct ql_broker *inner = faulty_of(broker)->inner;
	return inner->ops->container ? inner->ops->container(inner, task_id) : NULL;
}

static int64_t
faulty_cpu_us(struct ql_broker *broker, uint64_t incarnation)
{
	struct ql_broker *inner = faulty_of(broker)->inner;
	return inner->ops->cpu_us(inner, incarnation);
}

static void
all_closed(void *arg)
{
	struct faulty *faulty = arg;
	void (*closed)(void *arg) = faulty->closed;
	void *closed_arg = faulty->closed_arg;
	free(faulty);
	closed(closed_arg);
}

static void
faulty_close(struct ql_broker *broker, void (*closed)(void *arg), void *arg)
{
	struct faulty *faulty = faulty_of(broker);
	faulty->closed = closed;
	faulty->closed_arg = arg;
	faulty->hurting->ops->close(faulty->hurting, all_closed, faulty);
}

static const struct ql_broker_ops ops = {
	.name = "faulty",
	.act = faulty_act,
	.locate = faulty_locate,
	.bury = faulty_bury,
	.lift = faulty_lift,
	.cpu_us = faulty_cpu_us,
	.remember = faulty_remember,
	.expect = faulty_expect,
	.container = faulty_container,
	.health = faulty_health,
	.close = faulty_close,
};

int
ql_broker_faulty_open(struct ql_broker *inner, struct ql_runtime_faults *faults,
	struct ql_broker **ret_broker, struct ql_err *e)
{
	struct faulty *faulty = calloc(1, sizeof(*faulty));
	if (!faulty)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for the faulty broker");
	faulty->broker = (struct ql_broker){.ops = &ops,
		.loop = inner->loop,
		.results = inner->results,
		.finder = inner->finder};
	faulty->inner = inner;
	faulty->sound = (struct ql_runtime){.ops = &sound_ops, .loop = inner->loop};
	if (ql_runtime_faulty_open(&faulty->sound, faults, &faulty->hurting, e)) {
		free(faulty);
		return -1;
	}
	faulty->hurting->sink = (struct ql_runtime_sink){.sighted = hurting_sighted, .arg = faulty};
	inner->sink = (struct ql_runtime_sink){.sighted = inner_sighted, .arg = faulty};
	inner->back = inner_back;
	inner->forgot = inner_forgot;
	inner->known = inner_known;
	inner->back_arg = faulty;
	*ret_broker = &faulty->broker;
	return 0;
}
