/*
 * Tells each outlet how attempts were settled, from its letters in the store: oldest first for
 * each evaluation, several evaluations at once, again until it has them. A letter is removed once
 * it is delivered, so one may be delivered again after a crash. Only so many are in memory; the
 * rest stays in the store. Nothing else waits for any of this.
 */
#include "engine/outboxing.h"

#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "rules/task.h"
#include "rules/trace.h"

/* ---- to the outlet ---- */

/* From now on the breaker alone says when. */
static void
drop_pauses(struct outbox *outbox)
{
	struct parcel *parcel;
	DL_FOREACH (outbox->parcels, parcel)
		parcel->again_at = 0;
}

static void
failed(struct outbox *outbox, struct parcel *parcel, int64_t now)
{
	bool was_closed = outbox->breaker.state == QL_BREAKER_CLOSED;
	int64_t pause = QL_ENGINE_OUTLET_PAUSE_MS;
	for (int i = 0; i < parcel->tries && pause < QL_ENGINE_OUTLET_PAUSE_MAX_MS; i++)
		pause *= 2;
	parcel->tries++;
	parcel->stage = STAGE_WAITING;
	parcel->again_at =
		now +
		(pause < QL_ENGINE_OUTLET_PAUSE_MAX_MS ? pause : QL_ENGINE_OUTLET_PAUSE_MAX_MS);
	ql_breaker_failure(&outbox->breaker, now, parcel->op.err.text);
	if (outbox->breaker.state == QL_BREAKER_CLOSED)
		return;
	drop_pauses(outbox);
	if (was_closed)
		ql_engine_log(outbox->engine, "%s: %s: %lld letters wait until it is back",
			ql_outlet_word(outbox->kind), parcel->op.err.text,
			(long long)outbox->backlog);
}

static void
arrived(struct outbox *outbox, struct parcel *parcel, int64_t now)
{
	parcel->stage = STAGE_DELIVERED;
	if (!outbox->delivered++ && outbox->remove_at < now)
		outbox->remove_at = now + QL_ENGINE_REMOVE_MS;
	if (parcel->then)
		parcel->then->after = NULL;
	else
		HASH_DEL(outbox->lasts, parcel);
	if (!ql_breaker_success(&outbox->breaker, now))
		return;
	drop_pauses(outbox);
	ql_engine_log(outbox->engine, "%s: is back, %lld letters wait",
		ql_outlet_word(outbox->kind), (long long)outbox->backlog);
}

static void
on_done(struct ql_delivery *op, int status)
{
	struct parcel *parcel = QL_OWNER(op, struct parcel, op);
	struct outbox *outbox = parcel->outbox;
	struct ql_engine *engine = outbox->engine;
	int64_t now = ql_engine_now(engine);
	outbox->under_way--;
	if (engine->shut) {
		parcel->stage = STAGE_WAITING; /* the next start delivers it */
		return;
	}
	if (status && op->retry) {
		failed(outbox, parcel, now);
	} else {
		if (status)
			ql_engine_log(engine, "%s: %s: it is not told again",
				ql_outlet_word(outbox->kind), op->err.text);
		arrived(outbox, parcel, now);
	}
	if (!outbox->turning)
		ql_later(engine, &outbox->turn);
	outbox->turning = true;
}

static void
deliver(struct outbox *outbox, struct parcel *parcel)
{
	const struct ql_letter *letter = &parcel->letter;
	parcel->stage = STAGE_UNDER_WAY;
	outbox->under_way++;
	ql_trace_of_labels(letter->labels, &parcel->trace);
	parcel->op = (struct ql_delivery){
		.number = letter->number,
		.eval_id = letter->eval_id,
		.task_id = letter->task_id,
		.error = letter->error,
		.traceparent = parcel->trace.parent[0] ? parcel->trace.parent : NULL,
		.tracestate = parcel->trace.state[0] ? parcel->trace.state : NULL,
		.attempt = letter->attempt,
		.status = (enum ql_status)letter->status,
		.finished_at = letter->finished_at,
		.done = on_done,
	};
	outbox->outlet->deliver(outbox->outlet, &parcel->op);
}

/*
 * The least tried one, so that a letter which the outlet never takes can't keep the others, or the
 * breaker, from it. NULL: there is none; ret_at: when there may be one.
 */
static struct parcel *
next_due(struct outbox *outbox, int64_t now, int64_t *ret_at)
{
	struct parcel *parcel, *best = NULL;
	*ret_at = 0;
	if (outbox->under_way + outbox->delivered + outbox->removing == outbox->count)
		return NULL; /* none waits: each answer asks */
	DL_FOREACH (outbox->parcels, parcel) {
		if (parcel->stage != STAGE_WAITING || parcel->after)
			continue;
		bool due = parcel->again_at <= now;
		if (due && !parcel->tries)
			return parcel;
		if (due && (!best || parcel->tries < best->tries))
			best = parcel;
		else if (!due && (!*ret_at || parcel->again_at < *ret_at))
			*ret_at = parcel->again_at;
	}
	return best;
}

/* -> when to look again; 0 = not before something happens */
static int64_t
deliver_some(struct outbox *outbox, int64_t now)
{
	int64_t at;
	while (outbox->under_way < outbox->most) {
		struct parcel *parcel = next_due(outbox, now, &at);
		if (!parcel)
			return at;
		if (!ql_breaker_allows(&outbox->breaker, now))
			return ql_breaker_next(&outbox->breaker);
		deliver(outbox, parcel);
	}
	return 0;
}

/* ---- all of it ---- */

static int64_t
earliest(int64_t one, int64_t two)
{
	if (!one || !two)
		return one ? one : two;
	return one < two ? one : two;
}

void
ql_outbox_pump(struct outbox *outbox)
{
	struct ql_engine *engine = outbox->engine;
	int64_t now = ql_engine_now(engine);
	if (outbox->kind == QL_OUTLET_WEBHOOKS && !ql_hooks_loaded(engine))
		return; /* it is not known yet whom to tell */
	ql_parcels_remove(outbox, now);
	if (engine->closing)
		return; /* what is under way comes to its end, or is delivered by the next start */
	ql_parcels_read(outbox, now);
	int64_t at = deliver_some(outbox, now);
	if (outbox->delivered && !outbox->removing)
		at = earliest(at, outbox->remove_at);
	if (outbox->more && outbox->read_at > now)
		at = earliest(at, outbox->read_at);
	ql_wake_set(engine, &outbox->wake, at);
}

static void
on_wake(struct wake *wake)
{
	ql_outbox_pump(QL_OWNER(wake, struct outbox, wake));
}

static void
on_turn(struct later *later)
{
	struct outbox *outbox = QL_OWNER(later, struct outbox, turn);
	outbox->turning = false;
	ql_outbox_pump(outbox);
}

int
ql_outbox_open(struct ql_engine *engine, struct ql_err *e)
{
	for (int kind = 0; kind < QL_OUTLET_COUNT; kind++) {
		if (!engine->config.outlets[kind])
			continue;
		struct outbox *outbox = calloc(1, sizeof(*outbox));
		if (!outbox)
			return ql_fail(e, QL_E_UNAVAILABLE, "the outbox: out of memory");
		outbox->engine = engine;
		outbox->outlet = engine->config.outlets[kind];
		outbox->most =
			outbox->outlet->most ? outbox->outlet->most : QL_ENGINE_DELIVERIES_MAX;
		outbox->kind = (enum ql_outlet_kind)kind;
		outbox->wake.fn = on_wake;
		outbox->turn.fn = on_turn;
		outbox->breaker = (struct ql_breaker){
			.threshold = QL_ENGINE_OUTLET_FAILURES,
			.pause_ms = QL_ENGINE_OUTLET_PAUSE_MS,
			.pause_max_ms = QL_ENGINE_OUTLET_PAUSE_MAX_MS,
		};
		outbox->backlog = engine->config.store->facts.backlog[kind];
		engine->outboxes[kind] = outbox;
	}
	return 0;
}

void
ql_outbox_start(struct ql_engine *engine)
{
	const int64_t *backlog = engine->config.store->facts.backlog;
	for (int kind = 0; kind < QL_OUTLET_COUNT; kind++) {
		struct outbox *outbox = engine->outboxes[kind];
		const char *word = ql_outlet_word((enum ql_outlet_kind)kind);
		if (backlog[kind])
			ql_engine_log(engine, "%s: %lld letters wait%s", word,
				(long long)backlog[kind],
				outbox ? "" : ", and no such outlet is set up: they are kept");
		if (!outbox)
			continue;
		outbox->more = true;
		ql_outbox_pump(outbox);
	}
}

static bool
is_told(const struct ql_engine *engine, enum ql_outlet_kind kind, const struct ql_record *record,
	enum ql_status status)
{
	if (!ql_letter_fits(kind, status))
		return false;
	switch (kind) {
	case QL_OUTLET_STORAGE: /* another producer's, named by its own id, is unknown there */
		return strncmp(record->eval_id, QL_TASK_FOREIGN, strlen(QL_TASK_FOREIGN)) != 0;
	case QL_OUTLET_RESULTS: /* else its worker wrote how it ended */
		return status == QL_STATUS_CANCELLED;
	case QL_OUTLET_WEBHOOKS:
		return ql_hooks_may_want(engine, status, record->owner);
	case QL_OUTLET_COUNT:
		break;
	}
	return false;
}

uint32_t
ql_outbox_whom(const struct ql_engine *engine, const struct ql_record *record,
	const struct ql_state *was, const struct ql_state *is)
{
	uint32_t outlets = 0;
	bool spent = is->status == QL_STATUS_UNCONFIRMED && was && was->status != is->status;
	if (!spent && !ql_settles(was, is))
		return 0;
	for (int kind = 0; kind < QL_OUTLET_COUNT; kind++) {
		if (engine->outboxes[kind] && is_told(engine, (enum ql_outlet_kind)kind, record,
						      (enum ql_status)is->status))
			outlets |= 1u << kind;
	}
	return outlets;
}

void
ql_outbox_posted(struct ql_engine *engine, uint32_t outlets)
{
	for (int kind = 0; kind < QL_OUTLET_COUNT; kind++) {
		struct outbox *outbox = engine->outboxes[kind];
		if (!(outlets >> kind & 1))
			continue;
		outbox->backlog++;
		outbox->more = true;
		if (!engine->closing && !engine->recovery)
			ql_wake_set(engine, &outbox->wake, ql_engine_now(engine));
	}
}

void
ql_outbox_go_on(struct ql_engine *engine, enum ql_outlet_kind kind)
{
	ql_outbox_pump(engine->outboxes[kind]);
}

void
ql_outbox_doubt(struct ql_engine *engine)
{
	for (int kind = 0; kind < QL_OUTLET_COUNT; kind++) {
		struct outbox *outbox = engine->outboxes[kind];
		if (!outbox || engine->closing)
			continue;
		outbox->doubt = outbox->more = true;
		outbox->read_at = ql_engine_now(engine) + QL_ENGINE_RETRY_MS;
		ql_wake_set(engine, &outbox->wake, outbox->read_at);
	}
}

void
ql_outbox_stop(struct ql_engine *engine)
{
	for (int kind = 0; kind < QL_OUTLET_COUNT; kind++) {
		struct outbox *outbox = engine->outboxes[kind];
		if (!outbox)
			continue;
		ql_wake_clear(engine, &outbox->wake);
		ql_outbox_pump(outbox);
	}
}

size_t
ql_outbox_health(const struct ql_engine *engine, struct ql_dependency *ret)
{
	size_t count = 0;
	for (int kind = 0; kind < QL_OUTLET_COUNT; kind++) {
		const struct outbox *outbox = engine->outboxes[kind];
		if (!outbox)
			continue;
		struct ql_dependency *dependency = &ret[count];
		ql_breaker_show(&outbox->breaker, dependency);
		dependency->name = ql_outlet_word(outbox->kind);
		dependency->backlog = outbox->backlog;
		count += kind != QL_OUTLET_WEBHOOKS || ql_hooks_health(engine, dependency);
	}
	return count;
}

void
ql_outbox_free(struct ql_engine *engine)
{
	for (int kind = 0; kind < QL_OUTLET_COUNT; kind++) {
		struct outbox *outbox = engine->outboxes[kind];
		if (outbox)
			HASH_CLEAR(hh, outbox->lasts);
		while (outbox && outbox->parcels)
			ql_parcel_free(outbox->parcels);
		free(outbox);
	}
}
