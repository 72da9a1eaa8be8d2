#include "runtime/desk.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"

enum {
	NOTHING =
		31 /* a bit of ql_news.bits that is no sighting: it only brings the run to `told` */
};
_Static_assert((int)QL_EVENT_COUNT <= (int)NOTHING, "each kind of event has a bit of its own");

static void deliver(uv_idle_t *idle);

/* An idle handle keeps the loop from blocking, so what is ready goes out in its next turn. */
static void
wake(struct ql_desk *desk)
{
	if (!uv_is_active((uv_handle_t *)&desk->idle))
		uv_idle_start(&desk->idle, deliver);
}

static void
answer(struct ql_desk *desk, struct ql_ticket *ticket, int status)
{
	if (ticket->answered)
		return;
	ql_alarm_clear(&desk->deadlines, &ticket->due);
	DL_DELETE(desk->open, ticket);
	ticket->answered = true;
	ticket->status = status;
	DL_APPEND(desk->answered, ticket);
	wake(desk);
}

static void
done_op(struct ql_ticket *ticket)
{
	struct ql_runtime_op *op = QL_OWNER(ticket, struct ql_runtime_op, ticket);
	op->done(op, ticket->status);
}

static void
done_list(struct ql_ticket *ticket)
{
	struct ql_runtime_list *op = QL_OWNER(ticket, struct ql_runtime_list, ticket);
	op->done(op, ticket->status);
}

/* Deadline or close: the driver lets go of it first. */
static void
answer_by_desk(struct ql_desk *desk, struct ql_ticket *ticket)
{
	if (ticket->done == done_op && desk->dropped)
		desk->dropped(desk, QL_OWNER(ticket, struct ql_runtime_op, ticket));
	else if (ticket->done == done_list && desk->dropped_list)
		desk->dropped_list(desk, QL_OWNER(ticket, struct ql_runtime_list, ticket));
	else if (desk->dropped_ticket)
		desk->dropped_ticket(desk, ticket);
	answer(desk, ticket, -1);
}

static void
passed(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	struct ql_desk *desk = QL_OWNER(alarm, struct ql_desk, deadlines);
	struct ql_ticket *ticket = QL_OWNER(node, struct ql_ticket, due);
	ql_fail(ticket->err, QL_E_TIMEOUT, "No answer came in time: nothing is known, ask again");
	answer_by_desk(desk, ticket);
}

static int
refusal(struct ql_desk *desk, struct ql_ticket *ticket, int64_t timeout_ms)
{
	if (desk->closing)
		return ql_fail(ticket->err, QL_E_UNAVAILABLE, "The runtime is being closed");
	if (desk->count > desk->max)
		return ql_fail(ticket->err, QL_E_LIMIT,
			"The runtime has %zu operations open, its bound: ask again later",
			desk->max);
	if (ql_alarm_set(&desk->deadlines, &ticket->due, timeout_ms))
		return ql_fail(ticket->err, QL_E_UNAVAILABLE, "Out of memory for an operation");
	return 0;
}

static int
take(struct ql_desk *desk, struct ql_ticket *ticket, int64_t timeout_ms)
{
	desk->count++;
	DL_APPEND(desk->open, ticket);
	if (refusal(desk, ticket, timeout_ms)) {
		answer(desk, ticket, -1);
		return -1;
	}
	return 0;
}

int
ql_desk_take(struct ql_desk *desk, struct ql_runtime_op *op)
{
	op->err = (struct ql_err){0};
	op->ticket = (struct ql_ticket){.done = done_op, .err = &op->err};
	return take(desk, &op->ticket, op->timeout_ms);
}

int
ql_desk_take_list(struct ql_desk *desk, struct ql_runtime_list *op)
{
	op->err = (struct ql_err){0};
	op->incarnations = NULL;
	op->count = 0;
	op->ticket = (struct ql_ticket){.done = done_list, .err = &op->err};
	return take(desk, &op->ticket, QL_RUNTIME_LIST_MS);
}

int
ql_desk_take_ticket(struct ql_desk *desk, struct ql_ticket *ticket, struct ql_err *err,
	void (*done)(struct ql_ticket *ticket), int64_t timeout_ms)
{
	*err = (struct ql_err){0};
	*ticket = (struct ql_ticket){.done = done, .err = err};
	return take(desk, ticket, timeout_ms);
}

void
ql_desk_answer(struct ql_desk *desk, struct ql_runtime_op *op, int status)
{
	answer(desk, &op->ticket, status);
}

void
ql_desk_answer_list(struct ql_desk *desk, struct ql_runtime_list *op, int status)
{
	answer(desk, &op->ticket, status);
}

void
ql_desk_answer_ticket(struct ql_desk *desk, struct ql_ticket *ticket, int status)
{
	answer(desk, ticket, status);
}

void
ql_desk_tell(struct ql_desk *desk, struct ql_news *news, enum ql_event_kind kind)
{
	if (desk->closing)
		return;
	if (!news->bits)
		DL_APPEND(desk->news, news);
	news->bits |= 1u << kind;
	wake(desk);
}

static uint32_t
take_back(struct ql_desk *desk, struct ql_news *news)
{
	uint32_t bits = news->bits;
	if (bits)
		DL_DELETE(desk->news, news);
	news->bits = 0;
	return bits;
}

void
ql_desk_hush(struct ql_desk *desk, struct ql_news *news)
{
	take_back(desk, news);
	ql_desk_tell(desk, news, (enum ql_event_kind)NOTHING);
}

/* The order of a run's life. STUCK is not told any more once the run is gone. */
static const enum ql_event_kind telling[] = {QL_EVENT_HELD, QL_EVENT_RUNNING, QL_EVENT_EXITED,
	QL_EVENT_STUCK, QL_EVENT_LOST, QL_EVENT_GONE, QL_EVENT_SALVAGED, QL_EVENT_FAILED_START,
	QL_EVENT_ABSENT};

static void
sighting_of(const struct ql_news *news, enum ql_event_kind kind, struct ql_sighting *ret_sighting)
{
	const struct ql_event *facts = &news->facts;
	struct ql_event event = {.kind = kind, .incarnation = facts->incarnation, .exit_code = -1};
	if (kind == QL_EVENT_HELD)
		event.epoch = facts->epoch;
	bool exited = kind == QL_EVENT_EXITED;
	bool salvaged = kind == QL_EVENT_SALVAGED;
	if (exited) {
		event.exit_code = facts->exit_code;
		event.exit_signal = facts->exit_signal;
		event.sent = facts->sent;
	}
	if (exited || kind == QL_EVENT_LOST)
		event.flags = facts->flags;
	if (exited || salvaged) {
		event.output_bytes = facts->output_bytes;
		event.output_truncated = facts->output_truncated;
	}
	if (kind == QL_EVENT_GONE || kind == QL_EVENT_LOST) {
		event.unasked = facts->unasked;
		event.passed = facts->passed;
	}
	event.checkpoint_bytes = salvaged ? facts->checkpoint_bytes : -1;
	bool says = kind == QL_EVENT_STUCK || kind == QL_EVENT_LOST ||
		    kind == QL_EVENT_FAILED_START || kind == QL_EVENT_ABSENT;
	*ret_sighting = (struct ql_sighting){
		.event = event,
		.text = says && news->text[0] ? news->text : NULL,
		.container = news->container[0] ? news->container : NULL,
		.cpu_us = kind == QL_EVENT_GONE ? news->cpu_us : 0,
		.cpu_burnt_us = kind == QL_EVENT_GONE ? news->cpu_burnt_us : 0,
	};
}

/* The sink may act on the very run that is told of; a close from within it ends the telling. */
static void
tell_one(struct ql_desk *desk, struct ql_news *news)
{
	uint32_t bits = take_back(desk, news);
	if (bits & 1u << QL_EVENT_GONE)
		bits &= ~(1u << QL_EVENT_STUCK);
	for (size_t i = 0; i < sizeof(telling) / sizeof(*telling) && !desk->closing; i++) {
		if (!(bits & 1u << telling[i]))
			continue;
		struct ql_sighting sighting;
		sighting_of(news, telling[i], &sighting);
		desk->sink->sighted(desk->sink->arg, &sighting);
	}
	if (desk->told && !news->bits && !desk->closing)
		desk->told(desk, news);
}

/* Only what was ready when the turn began: what callbacks add goes out in the next one. */
static void
deliver_answers(struct ql_desk *desk)
{
	struct ql_ticket *ticket;
	size_t count;
	DL_COUNT(desk->answered, ticket, count);
	for (; count && desk->answered; count--) {
		ticket = desk->answered;
		DL_DELETE(desk->answered, ticket);
		desk->count--;
		ticket->done(ticket);
	}
}

static void
deliver_news(struct ql_desk *desk)
{
	struct ql_news *news;
	size_t count;
	DL_COUNT(desk->news, news, count);
	for (; count && desk->news; count--)
		tell_one(desk, desk->news);
}

static void
part_closed(struct ql_desk *desk)
{
	if (!--desk->open_parts)
		desk->closed(desk->closed_arg);
}

static void
deadlines_closed(struct ql_alarm *alarm)
{
	part_closed(QL_OWNER(alarm, struct ql_desk, deadlines));
}

static void
idle_closed(uv_handle_t *handle)
{
	part_closed(handle->data);
}

static void
deliver(uv_idle_t *idle)
{
	struct ql_desk *desk = idle->data;
	deliver_answers(desk);
	deliver_news(desk);
	if (desk->answered || desk->news)
		return;
	uv_idle_stop(idle);
	if (!desk->closed || uv_is_closing((uv_handle_t *)idle))
		return;
	ql_alarm_close(&desk->deadlines, deadlines_closed);
	uv_close((uv_handle_t *)&desk->idle, idle_closed);
}

int
ql_desk_init(
	struct ql_desk *desk, uv_loop_t *loop, const struct ql_runtime_sink *sink, struct ql_err *e)
{
	*desk = (struct ql_desk){.sink = sink, .open_parts = 2, .max = QL_RUNTIME_OPS_MAX};
	if (ql_alarm_init(&desk->deadlines, loop, passed) || uv_idle_init(loop, &desk->idle))
		return ql_fail(e, QL_E_UNAVAILABLE, "The event loop takes no more handles");
	desk->idle.data = desk;
	return 0;
}

void
ql_desk_close(struct ql_desk *desk, void (*closed)(void *arg), void *arg)
{
	assert(!desk->closing);
	desk->closing = true;
	desk->closed = closed;
	desk->closed_arg = arg;
	struct ql_news *news, *next_news;
	DL_FOREACH_SAFE (desk->news, news, next_news)
		take_back(desk, news);
	struct ql_ticket *ticket, *next;
	DL_FOREACH_SAFE (desk->open, ticket, next) {
		ql_fail(ticket->err, QL_E_UNAVAILABLE,
			"The runtime was closed before it answered: nothing is known");
		answer_by_desk(desk, ticket);
	}
	wake(desk);
}
