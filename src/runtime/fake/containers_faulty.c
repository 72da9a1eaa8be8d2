#include "runtime/fake/containers_faulty.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"
#include "runtime/containers_op.h"
#include "runtime/fake/transit.h"

struct faulty {
	struct ql_containers containers; /* first */
	struct ql_desk desk; /* answers the caller */
	struct ql_containers *inner;
	struct ql_containers_faults *faults;
	struct ql_transit transit; /* of couriers on their way */
	int64_t dead_until; /* of ql_alarm_ms() */
};

/* One operation or hint on its way: an operation first to the inner driver, then back with its answer. */
struct courier {
	struct ql_passenger passenger; /* first */
	struct faulty *faulty;
	enum { TO_INNER, AT_INNER, TO_CALLER, HINT } leg;
	bool silent; /* its answer is lost */
	struct ql_containers_op op; /* as the inner driver sees it */
	struct ql_containers_op *outer; /* NULL once the caller was answered */
	char *eval_id, *keep_dir, *container; /* the operation's, owned; the hint's */
	struct ql_container *found; /* a copy of its answer's, owned */
	int status;
};

static bool
strikes(struct faulty *faulty, int chance)
{
	return ql_transit_strikes(&faulty->transit, chance);
}

static bool
is_dead(const struct faulty *faulty)
{
	return ql_alarm_ms() < faulty->dead_until;
}

static void
courier_free(struct courier *courier)
{
	free(courier->eval_id);
	free(courier->keep_dir);
	free(courier->container);
	free(courier->found);
	ql_transit_free(&courier->passenger);
}

/* NULL: too many, or out of memory. op: NULL for a hint. */
static struct courier *
courier_new(struct faulty *faulty, const char *eval_id, const struct ql_containers_op *op)
{
	const char *keep_dir = op ? op->keep_dir : NULL, *container = op ? op->container : NULL;
	struct courier *courier = ql_transit_add(&faulty->transit, sizeof(*courier));
	if (!courier)
		return NULL;
	courier->faulty = faulty;
	courier->eval_id = ql_str_dup(eval_id);
	courier->keep_dir = ql_str_dup(keep_dir);
	courier->container = ql_str_dup(container);
	if (!courier->eval_id == !eval_id && !courier->keep_dir == !keep_dir &&
		!courier->container == !container)
		return courier;
	courier_free(courier);
	return NULL;
}

/* ---- answers ---- */

/* The caller's operation is answered: no other courier may answer it again. */
static void
forget_outer(struct faulty *faulty, const struct ql_containers_op *outer)
{
	struct ql_passenger *passenger;
	DL_FOREACH (faulty->transit.passengers, passenger) {
		struct courier *courier = (struct courier *)passenger;
		if (courier->outer == outer)
			courier->outer = NULL;
	}
}

static void
refuse(struct faulty *faulty, struct ql_containers_op *outer, const char *what)
{
	ql_fail(&outer->err, QL_E_UNAVAILABLE, "%s: ask again", what);
	forget_outer(faulty, outer);
	ql_desk_answer_ticket(&faulty->desk, &outer->ticket, -1);
}

static void
bring_home(struct courier *courier)
{
	struct ql_containers_op *outer = courier->outer;
	if (!outer || courier->silent)
		return;
	outer->err = courier->op.err;
	outer->found = courier->found;
	outer->count = courier->found ? courier->op.count : 0;
	outer->unasked = courier->op.unasked;
	outer->output_bytes = courier->op.output_bytes;
	outer->output_truncated = courier->op.output_truncated;
	courier->found = NULL;
	forget_outer(courier->faulty, outer);
	ql_desk_answer_ticket(&courier->faulty->desk, &outer->ticket, courier->status);
}

/* What was found goes with the inner operation, when this returns. */
static void
keep_found(struct courier *courier)
{
	const struct ql_containers_op *op = &courier->op;
	courier->found = op->count ? calloc(op->count, sizeof(*op->found)) : NULL;
	if (courier->found)
		memcpy(courier->found, op->found, op->count * sizeof(*op->found));
	else if (op->count)
		courier->status =
			ql_fail(&courier->op.err, QL_E_UNAVAILABLE, "Out of memory for an answer");
}

static bool
hurts(const struct faulty *faulty, enum ql_containers_kind kind)
{
	return !faulty->faults->acts || faulty->faults->acts & 1u << kind;
}

static void
give_hint(const struct faulty *faulty, const char *eval_id)
{
	if (faulty->containers.changed)
		faulty->containers.changed(faulty->containers.changed_arg, eval_id);
}

static void
move(struct courier *courier)
{
	struct faulty *faulty = courier->faulty;
	switch (courier->leg) {
	case TO_INNER:
		courier->leg = AT_INNER;
		faulty->inner->ops->act(faulty->inner, &courier->op);
		break;
	case AT_INNER:
		break;
	case TO_CALLER:
		bring_home(courier);
		courier_free(courier);
		break;
	case HINT:
		give_hint(faulty, courier->eval_id);
		courier_free(courier);
		break;
	}
}

static void
inner_done(struct ql_containers_op *op, int status)
{
	struct courier *courier = QL_OWNER(op, struct courier, op);
	struct faulty *faulty = courier->faulty;
	courier->status = status;
	courier->leg = TO_CALLER;
	keep_found(courier);
	bool late = hurts(faulty, op->kind) && strikes(faulty, faulty->faults->delay_answer);
	if (late && !faulty->transit.closing)
		ql_transit_send(&courier->passenger);
	else
		move(courier);
}

/* ---- operations ---- */

/* The caller was answered by its deadline: couriers go on, and their answers go nowhere. */
static void
dropped(struct ql_desk *desk, struct ql_ticket *ticket)
{
	forget_outer(QL_OWNER(desk, struct faulty, desk), ql_containers_op_of(ticket));
}

static struct courier *
courier_for(struct faulty *faulty, struct ql_containers_op *op)
{
	struct courier *courier = courier_new(faulty, op->eval_id, op);
	if (!courier)
		return NULL;
	courier->leg = TO_INNER;
	courier->outer = op;
	courier->op = (struct ql_containers_op){.kind = op->kind,
		.eval_id = courier->eval_id,
		.container = courier->container,
		.started_at = op->started_at,
		.keep_dir = courier->keep_dir,
		.output_max = op->output_max,
		.timeout_ms = op->timeout_ms,
		.done = inner_done};
	return courier;
}

/* What is open learns of its death; what it had taken over goes on in the world. */
static void
die(struct faulty *faulty)
{
	struct ql_passenger *passenger, *next;
	faulty->dead_until = ql_alarm_ms() + faulty->faults->delay_ms;
	DL_FOREACH_SAFE (faulty->transit.passengers, passenger, next) {
		struct courier *courier = (struct courier *)passenger;
		if (courier->outer)
			refuse(faulty, courier->outer, "The daemon died at work");
	}
}

static void
set_out(struct faulty *faulty, struct ql_containers_op *op,
	const struct ql_containers_faults *faults, struct courier *courier)
{
	courier->silent = strikes(faulty, faults->lose_answer);
	bool late = strikes(faulty, faults->delay_act);
	struct courier *twin = strikes(faulty, faults->double_act) ? courier_for(faulty, op) : NULL;
	if (twin)
		ql_transit_send(&twin->passenger);
	if (twin)
		twin->silent = courier->silent;
	if (late)
		ql_transit_send(&courier->passenger);
	else
		move(courier);
	if (strikes(faulty, faults->die))
		die(faulty);
}

static void
act(struct ql_containers *containers, struct ql_containers_op *op)
{
	struct faulty *faulty = (struct faulty *)containers;
	const struct ql_containers_faults none = {0};
	if (ql_containers_op_take(&faulty->desk, op))
		return;
	const struct ql_containers_faults *faults =
		hurts(faulty, op->kind) ? faulty->faults : &none;
	bool refused = strikes(faulty, faults->refuse) || is_dead(faulty);
	struct courier *courier = refused ? NULL : courier_for(faulty, op);
	if (!courier)
		refuse(faulty, op, "The daemon is away");
	else if (strikes(faulty, faults->lose_act))
		courier_free(courier);
	else
		set_out(faulty, op, faults, courier);
}

/* Nothing answers a ban, so nothing may lose it: whoever bans keeps looking until it holds. */
static void
ban(struct ql_containers *containers, const char *eval_id, bool on)
{
	struct ql_containers *inner = ((struct faulty *)containers)->inner;
	inner->ops->ban(inner, eval_id, on);
}

static int64_t
cpu_us(const struct ql_containers *containers, const char *eval_id, int64_t since)
{
	const struct ql_containers *inner = ((const struct faulty *)containers)->inner;
	return inner->ops->cpu_us(inner, eval_id, since);
}

static size_t
health(const struct ql_containers *containers, struct ql_dependency *ret, size_t size)
{
	const struct faulty *faulty = (const struct faulty *)containers;
	size_t count = faulty->inner->ops->health(faulty->inner, ret, size);
	if (!count || !is_dead(faulty))
		return count;
	ret->state = QL_BREAKER_OPEN;
	ql_str_copy(ret->detail, sizeof(ret->detail), "The daemon is dead, for a moment");
	return count;
}

/* ---- hints ---- */

static void
hint_later(struct faulty *faulty, const char *eval_id)
{
	struct courier *courier = courier_new(faulty, eval_id, NULL);
	if (!courier)
		return; /* one more lost */
	courier->leg = HINT;
	ql_transit_send(&courier->passenger);
}

static void
inner_changed(void *arg, const char *eval_id)
{
	struct faulty *faulty = arg;
	const struct ql_containers_faults *faults = faulty->faults;
	if (faulty->transit.closing || is_dead(faulty) || strikes(faulty, faults->lose_hint))
		return;
	if (strikes(faulty, faults->double_hint))
		hint_later(faulty, eval_id);
	if (strikes(faulty, faults->delay_hint))
		hint_later(faulty, eval_id);
	else
		give_hint(faulty, eval_id);
}

/* ---- open and close ---- */

static void
arrived(struct ql_passenger *passenger)
{
	move((struct courier *)passenger);
}

static void
lost(struct ql_passenger *passenger)
{
	courier_free((struct courier *)passenger);
}

static void
close_driver(struct ql_containers *containers, void (*closed)(void *arg), void *arg)
{
	struct faulty *faulty = (struct faulty *)containers;
	ql_transit_close(&faulty->transit, 2, faulty, closed, arg);
	ql_desk_close(&faulty->desk, ql_transit_part_closed, &faulty->transit);
	faulty->inner->ops->close(faulty->inner, ql_transit_part_closed, &faulty->transit);
}

static const struct ql_containers_ops ops = {
	.name = "faulty",
	.act = act,
	.ban = ban,
	.cpu_us = cpu_us,
	.health = health,
	.close = close_driver,
};

int
ql_containers_faulty_open(struct ql_containers *inner, struct ql_containers_faults *faults,
	struct ql_containers **ret_containers, struct ql_err *e)
{
	struct faulty *faulty = calloc(1, sizeof(*faulty));
	if (!faulty)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for faulty containers");
	faulty->transit = (struct ql_transit){.max = QL_CONTAINERS_COURIERS,
		.delay_ms = &faults->delay_ms,
		.hurt = &faults->hurt,
		.arrived = arrived,
		.lost = lost};
	if (ql_desk_init(&faulty->desk, inner->loop, NULL, e) ||
		ql_transit_init(&faulty->transit, inner->loop, faults->seed)) {
		free(faulty);
		return -1;
	}
	faulty->desk.dropped_ticket = dropped;
	faulty->containers.ops = &ops;
	faulty->containers.loop = inner->loop;
	faulty->inner = inner;
	faulty->faults = faults;
	inner->changed = inner_changed;
	inner->changed_arg = faulty;
	*ret_containers = &faulty->containers;
	return 0;
}
