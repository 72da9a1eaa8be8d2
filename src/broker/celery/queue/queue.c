#include "broker/celery/queue/queue.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"
#include "broker/celery/queue/inside.h"

#define TOLD_IN_A_TURN 100 /* wants: the loop has other work too, and the next look goes on */

/* ---- answers ---- */

static void
tell(struct ql_queues *queues, struct ql_queue_op *op, int status)
{
	ql_alarm_clear(&queues->alarm, &op->due);
	op->want = NULL;
	op->surveying = false;
	op->done(op, status);
}

static void
fill(struct ql_queue_op *op, const struct ql_queue_want *want)
{
	op->listed = want->listed;
	op->removed = want->removed;
	op->told = want->told;
	op->marked = want->marked;
	op->unacked = want->unacked;
	op->position = want->position;
	op->bytes = want->bytes;
	op->len = want->len;
	ql_str_copy(op->queue, sizeof(op->queue), want->queue ? want->queue : "");
}

/* It may stand in a queue that was bound since their names were asked for: they are asked for again. */
static bool
is_doubtful(struct ql_queues *queues, const struct ql_queue_want *want)
{
	if (!queues->told_old || want->listed || want->removed || want->unacked)
		return false;
	queues->names_at = 0;
	return true;
}

static void
tell_want(struct ql_queues *queues, struct ql_queue_want *want)
{
	bool doubtful = is_doubtful(queues, want);
	while (want->ops) {
		struct ql_queue_op *op = want->ops;
		DL_DELETE(want->ops, op);
		if (queues->told_failed) {
			op->err = queues->told_err;
			tell(queues, op, -1);
		} else if (doubtful || want->put_off ||
			   (want->missed && ++op->tries < QL_QUEUE_TRIES)) {
			op->want = NULL;
			DL_APPEND(queues->pending, op);
		} else {
			fill(op, want);
			tell(queues, op, 0);
		}
	}
}

static void
want_free(struct ql_queue_want *want)
{
	free(want->bytes);
	free(want);
}

static void
tell_surveys(struct ql_queues *queues)
{
	while (queues->surveys) {
		struct ql_queue_op *op = queues->surveys;
		DL_DELETE(queues->surveys, op);
		if (queues->failed)
			op->err = queues->err;
		tell(queues, op, queues->failed ? -1 : 0);
	}
}

static void
tell_some(struct ql_queues *queues, int most)
{
	for (int i = 0; i < most && queues->told; i++) {
		struct ql_queue_want *want = queues->told;
		tell_want(queues, want);
		HASH_DEL(queues->told, want);
		want_free(want);
	}
}

static void
tell_all(struct ql_queues *queues)
{
	while (queues->told)
		tell_some(queues, TOLD_IN_A_TURN);
}

static void
tell_refused(struct ql_queues *queues)
{
	struct ql_queue_op *last = queues->refused ? queues->refused->prev : NULL;
	for (bool more = last != NULL; more;) {
		struct ql_queue_op *op = queues->refused;
		more = op != last;
		DL_DELETE(queues->refused, op);
		tell(queues, op, -1);
	}
}

/* ---- a look ---- */

/* What is told is told apart from the look, so that Redis need not wait for the next one. */
void
ql_queues_finish(struct ql_queues *queues)
{
	assert(!queues->flying && queues->looking);
	queues->looking = false; /* whoever is told may close the queues */
	tell_all(queues); /* of the look before: mostly that is over by now */
	queues->told = queues->wants;
	queues->told_failed = queues->failed;
	queues->told_old = queues->names_old;
	queues->told_err = queues->err;
	queues->wants = NULL;
	if (queues->surveys) {
		tell_all(queues);
		tell_surveys(queues);
	}
	ql_queues_rest(queues);
	ql_queues_reading_done(queues);
	uv_idle_start(&queues->idle, ql_queues_turn);
}

void
ql_queues_fail(struct ql_queues *queues, const struct ql_err *err)
{
	if (!queues->failed)
		queues->err = *err;
	queues->failed = true;
	if (!queues->flying && queues->looking)
		ql_queues_finish(queues);
}

void
ql_queues_out_of_memory(struct ql_queues *queues)
{
	struct ql_err err;
	ql_fail(&err, QL_E_UNAVAILABLE, "Out of memory to look through the queues");
	ql_queues_fail(queues, &err);
}

bool
ql_queues_landed(struct ql_queues *queues, int status, const struct ql_err *err)
{
	queues->flying--;
	if (status || queues->failed) {
		ql_queues_fail(queues, err);
		return false;
	}
	return true;
}

static struct ql_queue_want *
want_of(struct ql_queues *queues, const char *task_id)
{
	size_t len = strlen(task_id);
	struct ql_queue_want *want;
	HASH_FIND(hh, queues->wants, task_id, len, want);
	if (want)
		return want;
	want = calloc(1, sizeof(*want) + len + 1);
	if (!want)
		return NULL;
	want->id_len = len;
	memcpy(want->id, task_id, len + 1);
	HASH_ADD_KEYPTR(hh, queues->wants, want->id, len, want);
	want->once = want->settles = true;
	queues->open++;
	return want;
}

void
ql_queues_want_over(struct ql_queues *queues, struct ql_queue_want *want)
{
	queues->open -= !want->over;
	want->over = true;
}

static void
refuse(struct ql_queues *queues, struct ql_queue_op *op)
{
	DL_APPEND(queues->refused, op);
	uv_idle_start(&queues->idle, ql_queues_turn);
}

static void
join(struct ql_queues *queues, struct ql_queue_op *op)
{
	if (op->verb == QL_QUEUE_SURVEY) {
		op->surveying = true;
		DL_APPEND(queues->surveys, op);
		return;
	}
	struct ql_queue_want *want = want_of(queues, op->task_id);
	if (!want) {
		ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory to look for a task's message");
		refuse(queues, op);
		return;
	}
	op->want = want;
	DL_APPEND(want->ops, op);
	if (op->verb == QL_QUEUE_REMOVE && !want->remove) {
		want->remove = true;
		queues->removals++;
	}
	want->once &= op->once || op->verb != QL_QUEUE_REMOVE;
	want->settles &= op->settles || op->verb != QL_QUEUE_REMOVE;
}

static void
begin(struct ql_queues *queues)
{
	queues->looking = true;
	queues->alone = ql_alarm_ms() >= queues->rested_at + QL_QUEUE_REST_MS;
	queues->failed = false;
	queues->removals = 0;
	queues->open = 0;
	queues->taking = 0;
	queues->held = 0;
	while (queues->pending) {
		struct ql_queue_op *op = queues->pending;
		DL_DELETE(queues->pending, op);
		join(queues, op);
	}
	ql_queues_discover(queues);
}

static bool
is_to_look(const struct ql_queues *queues)
{
	return (queues->pending || ql_queues_is_rested(queues)) && !queues->looking &&
	       !queues->closing;
}

void
ql_queues_turn(uv_idle_t *idle)
{
	struct ql_queues *queues = idle->data;
	tell_refused(queues);
	if (is_to_look(queues))
		begin(queues);
	tell_some(queues, TOLD_IN_A_TURN);
	if (queues->refused || queues->told || is_to_look(queues))
		return;
	uv_idle_stop(idle);
	if (queues->closing && !queues->looking)
		ql_queues_close_parts(queues);
}

void
ql_queue_look(struct ql_queues *queues, struct ql_queue_op *op)
{
	op->queues = queues;
	op->want = NULL;
	op->tries = 0;
	op->surveying = false;
	op->bytes = NULL;
	op->listed = op->removed = op->told = op->marked = op->unacked = false;
	if (queues->closing) {
		ql_fail(&op->err, QL_E_UNAVAILABLE, "The queues are being closed");
		refuse(queues, op);
	} else if (ql_alarm_set(&queues->alarm, &op->due, op->timeout_ms)) {
		ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory to look for a task's message");
		refuse(queues, op);
	} else {
		DL_APPEND(queues->pending, op);
		uv_idle_start(&queues->idle, ql_queues_turn);
	}
}

/* It is in one of these places. */
static void
take_out(struct ql_queues *queues, struct ql_queue_op *op)
{
	if (op->want)
		DL_DELETE(op->want->ops, op);
	else if (op->surveying)
		DL_DELETE(queues->surveys, op);
	else
		DL_DELETE(queues->pending, op);
	op->want = NULL;
}

static void
rang(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	struct ql_queues *queues = QL_OWNER(alarm, struct ql_queues, alarm);
	struct ql_queue_op *op = QL_OWNER(node, struct ql_queue_op, due);
	take_out(queues, op);
	ql_fail(&op->err, QL_E_TIMEOUT,
		"The queues were not looked through in %lld ms: what came of it is not known",
		(long long)op->timeout_ms);
	op->done(op, -1);
}

/* ---- from open to closed ---- */

static void
part_gone(struct ql_queues *queues)
{
	if (--queues->parts)
		return;
	void (*closed)(void *arg) = queues->closed;
	void *arg = queues->closed_arg;
	ql_queues_lists_done(queues);
	ql_queues_names_done(queues);
	free(queues->binding_match);
	free(queues->unacked);
	free(queues);
	if (closed)
		closed(arg);
}

static void
alarm_closed(struct ql_alarm *alarm)
{
	part_gone(QL_OWNER(alarm, struct ql_queues, alarm));
}

static void
handle_closed(uv_handle_t *handle)
{
	part_gone(handle->data);
}

void
ql_queues_close_parts(struct ql_queues *queues)
{
	uv_close((uv_handle_t *)&queues->idle, handle_closed);
	uv_close((uv_handle_t *)&queues->rest, handle_closed);
	ql_alarm_close(&queues->alarm, alarm_closed);
}

static int
take_names(struct ql_queues *queues, const struct ql_queues_config *config)
{
	for (size_t i = 0; i < config->name_count; i++) {
		if (ql_queues_name(queues, config->names[i], strlen(config->names[i])))
			return -1;
	}
	return 0;
}

int
ql_queues_open(uv_loop_t *loop, const struct ql_queues_config *config,
	struct ql_queues **ret_queues, struct ql_err *e)
{
	struct ql_queues *queues = calloc(1, sizeof(*queues));
	if (!queues)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for the queues");
	assert(config->steps.count);
	queues->steps = config->steps;
	queues->loop = loop;
	queues->redis = config->redis;
	queues->separator = config->separator ? config->separator : "\x06\x16";
	queues->prefix = config->prefix ? config->prefix : "";
	queues->revoked = config->revoked;
	queues->revoked_arg = config->arg;
	queues->parts = 3;
	uv_idle_init(loop, &queues->idle);
	queues->idle.data = queues;
	uv_timer_init(loop, &queues->rest);
	queues->rest.data = queues;
	ql_alarm_init(&queues->alarm, loop, rang); /* a timer's init never fails */
	if (asprintf(&queues->binding_match, "%s_kombu.binding.*", queues->prefix) < 0)
		queues->binding_match = NULL;
	queues->unacked = ql_queue_key(queues, "unacked", "");
	if (!queues->binding_match || !queues->unacked || take_names(queues, config)) {
		ql_queues_close_parts(queues);
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for the queues");
	}
	*ret_queues = queues;
	return 0;
}

static void
give_up(struct ql_queues *queues, struct ql_queue_op **ops)
{
	while (*ops) {
		struct ql_queue_op *op = *ops;
		DL_DELETE(*ops, op);
		op->want = NULL;
		op->surveying = false;
		ql_alarm_clear(&queues->alarm, &op->due);
		ql_fail(&op->err, QL_E_UNAVAILABLE, "The queues are being closed");
		refuse(queues, op);
	}
}

void
ql_queues_close(struct ql_queues *queues, void (*closed)(void *arg), void *arg)
{
	struct ql_err err;
	assert(!queues->closing);
	ql_fail(&err, QL_E_UNAVAILABLE, "The queues are being closed");
	queues->closing = true;
	queues->closed = closed;
	queues->closed_arg = arg;
	give_up(queues, &queues->pending);
	give_up(queues, &queues->surveys);
	for (struct ql_queue_want *want = queues->wants; want; want = want->hh.next)
		give_up(queues, &want->ops);
	for (struct ql_queue_want *want = queues->told; want; want = want->hh.next)
		give_up(queues, &want->ops);
	if (queues->looking)
		ql_queues_fail(queues, &err);
	uv_idle_start(&queues->idle, ql_queues_turn);
}
