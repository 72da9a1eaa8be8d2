#include "runtime/fake/faulty.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"
#include "runtime/desk.h"
#include "runtime/fake/transit.h"
#include "runtime/sandbox/launch.h"

#define QL_FAULTY_COURIERS 65536 /* acts and sightings on their way at once */

struct faulty {
	struct ql_runtime runtime;
	struct ql_desk desk; /* answers the caller; its own news are not used */
	struct ql_runtime *inner;
	struct ql_runtime_faults *faults;
	struct ql_transit transit; /* of couriers on their way */
};

/* One act or sighting on its way: an act first to the inner driver, then back with its answer. */
struct courier {
	struct ql_passenger passenger; /* first */
	struct faulty *faulty;
	enum { TO_INNER, AT_INNER, TO_CALLER, SIGHTING } leg;
	bool purge;
	bool silent; /* its answer is lost, or it is the double of another */
	struct ql_runtime_op op; /* as the inner driver sees it */
	struct ql_runtime_op *outer; /* NULL once the caller was answered */
	struct ql_launch *launch;
	char *reason, *eval_id, *task_id, *message, *place; /* the operation's, owned */
	int status;
	struct ql_sighting *sighting; /* owned, with its texts */
};

static bool
strikes(struct faulty *faulty, int chance)
{
	return ql_transit_strikes(&faulty->transit, chance);
}

static struct courier *
courier_new(struct faulty *faulty)
{
	struct courier *courier = ql_transit_add(&faulty->transit, sizeof(*courier));
	if (courier)
		courier->faulty = faulty;
	return courier;
}

static void
courier_free(struct courier *courier)
{
	ql_launch_free(courier->launch);
	free(courier->reason);
	free(courier->eval_id);
	free(courier->task_id);
	free(courier->place);
	free(courier->message);
	ql_sighting_free(courier->sighting);
	ql_transit_free(&courier->passenger);
}

/* ---- acts ---- */

static bool
hurts_act(const struct faulty *faulty, enum ql_act_kind kind)
{
	return !faulty->faults->acts || faulty->faults->acts & 1u << kind;
}

static void
move(struct courier *courier)
{
	struct faulty *faulty = courier->faulty;
	switch (courier->leg) {
	case TO_INNER:
		courier->leg = AT_INNER;
		if (courier->purge)
			faulty->inner->ops->purge(faulty->inner, &courier->op);
		else
			faulty->inner->ops->act(faulty->inner, &courier->op);
		break;
	case AT_INNER:
		break;
	case TO_CALLER:
		if (courier->outer && !courier->silent) {
			courier->outer->err = courier->op.err;
			ql_desk_answer(&faulty->desk, courier->outer, courier->status);
		}
		courier_free(courier);
		break;
	case SIGHTING:
		faulty->runtime.sink.sighted(faulty->runtime.sink.arg, courier->sighting);
		courier_free(courier);
		break;
	}
}

static void
inner_done(struct ql_runtime_op *op, int status)
{
	struct courier *courier = QL_OWNER(op, struct courier, op);
	struct faulty *faulty = courier->faulty;
	courier->status = status;
	courier->leg = TO_CALLER;
	bool late = hurts_act(faulty, op->kind) && strikes(faulty, faulty->faults->delay_answer);
	if (late && !faulty->transit.closing)
		ql_transit_send(&courier->passenger);
	else
		move(courier);
}

/* The caller was answered by its deadline: the courier goes on, and its answer goes nowhere. */
static void
dropped(struct ql_desk *desk, struct ql_runtime_op *op)
{
	struct faulty *faulty = QL_OWNER(desk, struct faulty, desk);
	struct ql_passenger *passenger;
	DL_FOREACH (faulty->transit.passengers, passenger) {
		struct courier *courier = (struct courier *)passenger;
		if (courier->outer == op)
			courier->outer = NULL;
	}
}

static int
copy_texts(struct courier *courier, const struct ql_runtime_op *op)
{
	courier->launch = op->launch ? ql_launch_copy(op->launch) : NULL;
	courier->reason = ql_str_dup(op->notice.reason);
	courier->eval_id = ql_str_dup(op->eval_id);
	courier->task_id = ql_str_dup(op->task_id);
	courier->message = ql_str_dup(op->message);
	courier->place = ql_str_dup(op->place);
	courier->op.launch = courier->launch;
	courier->op.notice.reason = courier->reason;
	courier->op.eval_id = courier->eval_id;
	courier->op.task_id = courier->task_id;
	courier->op.message = courier->message;
	courier->op.place = courier->place;
	bool all = !courier->launch == !op->launch && !courier->reason == !op->notice.reason &&
		   !courier->eval_id == !op->eval_id && !courier->task_id == !op->task_id &&
		   !courier->message == !op->message && !courier->place == !op->place;
	return all ? 0 : -1;
}

static struct courier *
courier_for(struct faulty *faulty, struct ql_runtime_op *op, bool purge)
{
	struct courier *courier = courier_new(faulty);
	if (!courier)
		return NULL;
	courier->leg = TO_INNER;
	courier->purge = purge;
	courier->outer = op;
	courier->op = (struct ql_runtime_op){.kind = op->kind,
		.incarnation = op->incarnation,
		.epoch = op->epoch,
		.timeout_ms = op->timeout_ms,
		.notice = op->notice,
		.attempt = op->attempt,
		.grace_ms = op->grace_ms,
		.twin = op->twin,
		.reached = op->reached,
		.done = inner_done};
	if (copy_texts(courier, op)) {
		courier_free(courier);
		return NULL;
	}
	return courier;
}

static void
forward(struct faulty *faulty, struct ql_runtime_op *op, bool purge)
{
	if (ql_desk_take(&faulty->desk, op))
		return;
	const struct ql_runtime_faults none = {0};
	const struct ql_runtime_faults *faults =
		hurts_act(faulty, op->kind) ? faulty->faults : &none;
	bool refused = strikes(faulty, faults->refuse);
	struct courier *courier = refused ? NULL : courier_for(faulty, op, purge);
	if (!courier) {
		ql_fail(&op->err, QL_E_UNAVAILABLE, "The runtime refused the act: ask again");
		ql_desk_answer(&faulty->desk, op, -1);
		return;
	}
	if (strikes(faulty, faults->lose_act)) {
		courier_free(courier);
		return;
	}
	courier->silent = strikes(faulty, faults->lose_answer);
	bool late = strikes(faulty, faults->delay_act);
	struct courier *twin =
		strikes(faulty, faults->double_act) ? courier_for(faulty, op, purge) : NULL;
	if (twin) {
		twin->silent = true;
		ql_transit_send(&twin->passenger);
	}
	if (late)
		ql_transit_send(&courier->passenger);
	else
		move(courier);
}

static void
faulty_act(struct ql_runtime *runtime, struct ql_runtime_op *op)
{
	forward((struct faulty *)runtime, op, false);
}

static void
faulty_purge(struct ql_runtime *runtime, struct ql_runtime_op *op)
{
	forward((struct faulty *)runtime, op, true);
}

static void
faulty_list(struct ql_runtime *runtime, struct ql_runtime_list *op)
{
	struct faulty *faulty = (struct faulty *)runtime;
	faulty->inner->ops->list(faulty->inner, op);
}

static const char *
faulty_describe(struct ql_runtime *runtime)
{
	struct faulty *faulty = (struct faulty *)runtime;
	return faulty->inner->ops->describe(faulty->inner);
}

static void
faulty_health(const struct ql_runtime *runtime, struct ql_dependency *ret_health)
{
	const struct faulty *faulty = (const struct faulty *)runtime;
	if (faulty->inner->ops->health)
		faulty->inner->ops->health(faulty->inner, ret_health);
}

/* ---- sightings ---- */

static void
sight_later(struct faulty *faulty, const struct ql_sighting *sighting)
{
	struct courier *courier = courier_new(faulty);
	if (!courier)
		return; /* one more lost */
	courier->leg = SIGHTING;
	courier->sighting = ql_sighting_copy(sighting);
	if (!courier->sighting) {
		courier_free(courier);
		return;
	}
	ql_transit_send(&courier->passenger);
}

static void
inner_sighted(void *arg, const struct ql_sighting *sighting)
{
	struct faulty *faulty = arg;
	const struct ql_runtime_faults *faults = faulty->faults;
	if (faulty->transit.closing)
		return;
	bool hurts = !faults->sightings || faults->sightings & 1u << sighting->event.kind;
	if (hurts && strikes(faulty, faults->lose_sighting))
		return;
	if (hurts && strikes(faulty, faults->double_sighting))
		sight_later(faulty, sighting);
	if (hurts && strikes(faulty, faults->delay_sighting))
		sight_later(faulty, sighting);
	else
		faulty->runtime.sink.sighted(faulty->runtime.sink.arg, sighting);
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
faulty_close(struct ql_runtime *runtime, void (*closed)(void *arg), void *arg)
{
	struct faulty *faulty = (struct faulty *)runtime;
	ql_transit_close(&faulty->transit, 2, faulty, closed, arg);
	ql_desk_close(&faulty->desk, ql_transit_part_closed, &faulty->transit);
	faulty->inner->ops->close(faulty->inner, ql_transit_part_closed, &faulty->transit);
}

static const struct ql_runtime_ops ops = {
	.name = "faulty",
	.act = faulty_act,
	.list = faulty_list,
	.purge = faulty_purge,
	.describe = faulty_describe,
	.health = faulty_health,
	.close = faulty_close,
};

int
ql_runtime_faulty_open(struct ql_runtime *inner, struct ql_runtime_faults *faults,
	struct ql_runtime **ret_runtime, struct ql_err *e)
{
	struct faulty *faulty = calloc(1, sizeof(*faulty));
	if (!faulty)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for the faulty runtime");
	faulty->transit = (struct ql_transit){.max = QL_FAULTY_COURIERS,
		.delay_ms = &faults->delay_ms,
		.hurt = &faults->hurt,
		.arrived = arrived,
		.lost = lost};
	if (ql_desk_init(&faulty->desk, inner->loop, &faulty->runtime.sink, e) ||
		ql_transit_init(&faulty->transit, inner->loop, faults->seed)) {
		free(faulty);
		return -1;
	}
	faulty->desk.dropped = dropped;
	faulty->desk.max = QL_FAULTY_COURIERS;
	faulty->runtime.ops = &ops;
	faulty->runtime.loop = inner->loop;
	faulty->inner = inner;
	faulty->faults = faults;
	inner->sink = (struct ql_runtime_sink){.sighted = inner_sighted, .arg = faulty};
	*ret_runtime = &faulty->runtime;
	return 0;
}
