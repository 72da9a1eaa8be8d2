/* Where a task is: what all places say of it, in the words of a place. */
#include "broker/celery/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"

#define NOTED 256 /* of what is known of a worker, in a note */

struct locating {
	struct ql_quest look;
	struct ql_celery *celery;
	struct ql_locate *op; /* NULL once it was answered by its deadline */
	char *task_id;
};

static void
locate_done(struct ql_ticket *ticket)
{
	struct ql_locate *op = QL_OWNER(ticket, struct ql_locate, ticket);
	op->done(op, ticket->status);
}

static const struct copy *
best_copy(const struct ql_quest *look)
{
	const struct copy *best = NULL;
	for (size_t i = 0; i < look->copy_count; i++) {
		if (!best || look->copies[i].place == QL_PLACE_ACTIVE)
			best = &look->copies[i];
	}
	return best;
}

static void
fill_worker(struct ql_locate *op, const struct ql_celery *celery)
{
	const char *node = *op->node || !op->worker_before ? op->node : op->worker_before;
	const struct ql_worker *worker = ql_workers_find(ql_control_workers(celery->control), node);
	if (!worker)
		return;
	op->silent = worker->state != QL_WORKER_HERE || worker->deaf;
	ql_worker_show(worker, ql_alarm_ms(), op->worker, sizeof(op->worker));
	if (op->place == QL_PLACE_QUEUED || op->place == QL_PLACE_FINISHED ||
		worker->pool == QL_POOL_UNKNOWN ||
		ql_worker_can_terminate(worker, &op->no_terminate))
		return;
	if (!celery->config.containers)
		op->no_kill = op->no_terminate;
}

/*
 * One that its worker lists no more since it was told to terminate it, and whose process is there yet, or is not
 * known: then it has no node.
 */
static const struct delivery *
left_of(const struct ql_quest *look)
{
	const struct delivery *delivery;
	DL_FOREACH (ql_deliveries_of(look->celery, look->task_id), delivery) {
		if (delivery->let_go && !delivery->told_gone)
			break;
	}
	return delivery;
}

/* Not every worker answers, and he that has it may be one of these, as a solo one at work is. */
static bool
is_unheard(const struct ql_quest *look)
{
	return ql_quest_is_begun(look) && !look->workers_answered;
}

static void
fill_unheard(struct ql_locate *op, const struct ql_quest *look)
{
	op->place = QL_PLACE_ACTIVE;
	op->unheard = true;
	op->pid = look->result.pid;
	ql_str_copy(op->node, sizeof(op->node), look->result.worker);
}

/* In the place of which question it did not answer. */
static void
note_unheard(struct ql_locate *op)
{
	snprintf(op->note, sizeof(op->note), "that worker began it, and does not answer: %.*s",
		NOTED, *op->worker ? op->worker : "nothing else was ever heard of it");
}

static void
fill_place(struct ql_locate *op, const struct ql_quest *look)
{
	const struct copy *copy = best_copy(look);
	const struct delivery *left = copy ? NULL : left_of(look);
	if (look->has_result)
		ql_str_copy(op->state, sizeof(op->state), look->result.state);
	if (copy) {
		op->place = copy->place;
		op->pid = copy->pid;
		op->since = copy->since;
		op->eta = copy->eta;
		ql_str_copy(op->node, sizeof(op->node), copy->node);
	} else if (left && left->node[0]) {
		op->place = QL_PLACE_ACTIVE;
		op->pid = left->pid;
		op->since = left->since;
		ql_str_copy(op->node, sizeof(op->node), left->node);
	} else if (look->find.listed) {
		op->place = QL_PLACE_QUEUED;
		op->position = look->find.position;
		ql_str_copy(op->queue, sizeof(op->queue), look->find.queue);
	} else if (is_unheard(look)) {
		fill_unheard(op, look);
	} else if (look->find.unacked && !look->expired) {
		op->place = QL_PLACE_RESERVED;
		ql_str_copy(op->note, sizeof(op->note),
			"a worker took it and has not acknowledged it; none that is known says "
			"that it has it");
	} else if (ql_quest_is_finished(look) ||
		   (look->has_result && !strcmp(look->result.state, "REVOKED"))) {
		op->place = QL_PLACE_FINISHED;
		op->since = look->result.done_at;
		if (left)
			ql_str_copy(op->note, sizeof(op->note),
				"it was terminated before it was seen which process ran it: "
				"whether that one swallowed SIGTERM is not known");
	}
	op->marked = look->expired;
	op->complete = ql_quest_is_complete(look) && !look->silent;
	if (!op->complete)
		ql_str_copy(op->note, sizeof(op->note), look->err.text);
}

static void
on_located(struct ql_quest *look)
{
	struct locating *locating = QL_OWNER(look, struct locating, look);
	struct ql_locate *op = locating->op;
	if (op) {
		fill_place(op, look);
		fill_worker(op, locating->celery);
		if (op->unheard)
			note_unheard(op);
		ql_desk_answer_ticket(&locating->celery->desk, &op->ticket, 0);
	}
	ql_quest_done(look);
	free(locating->task_id);
	free(locating);
}

void
ql_celery_locate_dropped(struct ql_desk *desk, struct ql_ticket *ticket)
{
	struct ql_locate *op = QL_OWNER(ticket, struct ql_locate, ticket);
	struct locating *locating = op->driver;
	(void)desk;
	if (locating)
		locating->op = NULL;
}

void
ql_celery_locate(struct ql_broker *broker, struct ql_locate *op)
{
	struct ql_celery *celery = celery_of(broker);
	struct locating *locating = calloc(1, sizeof(*locating));
	op->driver = NULL;
	op->place = QL_PLACE_UNKNOWN;
	if (ql_desk_take_ticket(
		    &celery->desk, &op->ticket, &op->err, locate_done, op->timeout_ms) ||
		!locating) {
		free(locating);
		return; /* without memory it is answered at its deadline */
	}
	locating->celery = celery;
	locating->op = op;
	locating->task_id = ql_str_dup(op->task_id);
	locating->look.task_id = locating->task_id;
	locating->look.done = on_located;
	op->driver = locating;
	ql_quest(celery, &locating->look);
}
