#include "outlet/fake.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/str.h"
#include "outlet/fake_life.h"

struct fake {
	struct ql_outlet outlet; /* first */
	struct ql_fake_life life;
	struct ql_fake_place *place;
};

struct ql_fake_delivery {
	struct ql_fake_errand errand; /* first */
	struct ql_fake_delivery *prev, *next;
	struct fake *fake;
	struct ql_delivery *op; /* NULL once answered */
	enum ql_fake_mood mood; /* of the place when it arrived */
};

/* ---- the place ---- */

static void
tell(struct ql_fake_place *place, const struct ql_delivery *op)
{
	struct ql_fake_told *told = calloc(1, sizeof(*told));
	if (!told)
		abort();
	ql_str_copy(told->eval_id, sizeof(told->eval_id), op->eval_id);
	ql_str_copy(told->task_id, sizeof(told->task_id), op->task_id);
	told->error = ql_str_dup(op->error);
	told->attempt = op->attempt;
	told->status = op->status;
	told->finished_at = op->finished_at;
	DL_APPEND(place->told, told);
	place->told_count++;
}

const struct ql_fake_told *
ql_fake_place_last(const struct ql_fake_place *place, const char *eval_id)
{
	const struct ql_fake_told *told, *last = NULL;
	DL_FOREACH (place->told, told) {
		if (!strcmp(told->eval_id, eval_id))
			last = told;
	}
	return last;
}

void
ql_fake_place_done(struct ql_fake_place *place)
{
	struct ql_fake_told *told, *next;
	DL_FOREACH_SAFE (place->told, told, next) {
		DL_DELETE(place->told, told);
		free(told->error);
		free(told);
	}
	place->told_count = 0;
}

/* ---- the driver ---- */

static int
judge(const struct ql_fake_delivery *delivery)
{
	struct ql_delivery *op = delivery->op;
	op->retry = delivery->mood != QL_FAKE_REFUSES;
	if (delivery->fake->life.closing)
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "the outlet is closed");
	switch (delivery->mood) {
	case QL_FAKE_TAKES:
		return 0;
	case QL_FAKE_AWAY:
		return ql_fail(&op->err, QL_E_UNREACHABLE, "the place is away");
	case QL_FAKE_REFUSES:
		return ql_fail(&op->err, QL_E_INVALID, "the place refuses %s", op->eval_id);
	case QL_FAKE_SILENT:
		return ql_fail(&op->err, QL_E_UNREACHABLE, "the place said nothing in time");
	}
	return -1;
}

static void
drop(struct ql_fake_delivery *delivery)
{
	struct ql_fake_place *place = delivery->fake->place;
	DL_DELETE(place->deliveries, delivery);
	place->under_way--;
	ql_fake_errand_drop(&delivery->errand);
}

static void
answer(struct ql_fake_errand *errand)
{
	struct ql_fake_delivery *delivery = (struct ql_fake_delivery *)errand;
	struct ql_delivery *op = delivery->op;
	int status = judge(delivery);
	drop(delivery);
	op->done(op, status);
}

static void
note_arrival(struct ql_fake_place *place, const struct ql_delivery *op)
{
	const struct ql_fake_delivery *other;
	DL_FOREACH (place->deliveries, other)
		place->overlapped |= !strcmp(other->op->eval_id, op->eval_id);
	place->asked++;
	place->under_way++;
	if (place->under_way > place->most_under_way)
		place->most_under_way = place->under_way;
}

static enum ql_fake_mood
mood_for(const struct ql_fake_place *place, const struct ql_delivery *op)
{
	bool poison = place->poison && !strcmp(place->poison, op->eval_id);
	return poison ? QL_FAKE_AWAY : place->mood;
}

static int64_t
answer_in(const struct ql_fake_delivery *delivery)
{
	const struct ql_fake_place *place = delivery->fake->place;
	int64_t timeout_ms = place->timeout_ms ? place->timeout_ms : QL_OUTLET_TIMEOUT_MS;
	return delivery->mood == QL_FAKE_SILENT ? timeout_ms : place->answer_ms;
}

static void
fake_deliver(struct ql_outlet *outlet, struct ql_delivery *op)
{
	struct fake *fake = (struct fake *)outlet;
	struct ql_fake_place *place = fake->place;
	if (fake->life.dead)
		return;
	struct ql_fake_delivery *delivery = calloc(1, sizeof(*delivery));
	if (!delivery)
		abort();
	delivery->fake = fake;
	delivery->op = op;
	delivery->mood = mood_for(place, op);
	note_arrival(place, op);
	if (delivery->mood == QL_FAKE_TAKES || delivery->mood == QL_FAKE_SILENT)
		tell(place, op);
	DL_APPEND(place->deliveries, delivery);
	delivery->errand.answer = answer;
	ql_fake_errand_start(&fake->life, &delivery->errand, answer_in(delivery));
}

static void
drop_own(struct fake *fake)
{
	struct ql_fake_delivery *delivery, *next;
	DL_FOREACH_SAFE (fake->place->deliveries, delivery, next) {
		if (delivery->fake == fake)
			drop(delivery);
	}
}

void
ql_outlet_fake_die(struct ql_outlet *outlet)
{
	struct fake *fake = (struct fake *)outlet;
	drop_own(fake);
	ql_fake_life_die(&fake->life);
}

static void
fake_close(struct ql_outlet *outlet, void (*closed)(void *arg), void *arg)
{
	struct fake *fake = (struct fake *)outlet;
	struct ql_fake_delivery *delivery;
	DL_FOREACH (fake->place->deliveries, delivery) {
		if (delivery->fake == fake)
			ql_fake_errand_hasten(&delivery->errand);
	}
	ql_fake_life_close(&fake->life, closed, arg);
}

int
ql_outlet_fake_open(uv_loop_t *loop, struct ql_fake_place *place, struct ql_outlet **ret_outlet,
	struct ql_err *e)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	if (!fake)
		return ql_fail(e, QL_E_SYSTEM, "couldn't open the fake outlet: out of memory");
	fake->outlet =
		(struct ql_outlet){.name = "fake", .deliver = fake_deliver, .close = fake_close};
	ql_fake_life_begin(&fake->life, loop, fake);
	fake->place = place;
	*ret_outlet = &fake->outlet;
	return 0;
}
