/* Where a task of the farm is. */
#include "broker/fake_inside.h"

#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"

static void
locate_done(struct ql_ticket *ticket)
{
	struct ql_locate *op = QL_OWNER(ticket, struct ql_locate, ticket);
	op->done(op, ticket->status);
}

static void
locate_run(struct ql_locate *op, const struct ql_farm_run *run)
{
	bool held = run->phase == QL_FARM_HELD;
	op->place = !held               ? QL_PLACE_ACTIVE
		    : run->program.hold ? QL_PLACE_SCHEDULED
					: QL_PLACE_RESERVED;
	ql_str_copy(op->node, sizeof(op->node), run->worker->node);
	op->since = run->begun_at;
}

static void
locate_message(struct ql_locate *op, const struct ql_farm *farm, const struct ql_farm_task *task)
{
	const struct ql_farm_message *message;
	int64_t before = 0;
	DL_FOREACH (farm->messages, message) {
		if (message->task == task)
			break;
		before++;
	}
	if (!message)
		return;
	op->place = QL_PLACE_QUEUED;
	op->position = before;
	ql_str_copy(op->queue, sizeof(op->queue), "celery");
}

static const char *
word_of_end(const struct ql_farm_run *run)
{
	if (run->flags & (QL_RUN_REVOKED | QL_RUN_SAID_STOPPED))
		return "REVOKED";
	return run->exit_code ? "FAILURE" : "SUCCESS";
}

static void
find(const struct ql_farm *farm, struct ql_locate *op)
{
	const struct ql_farm_task *task = ql_farm_task(farm, op->task_id);
	const struct ql_farm_run *run;
	op->complete = ql_farm_who_answers(farm) == ALL_ANSWER;
	if (!op->complete)
		ql_str_copy(op->note, sizeof(op->note), "a worker does not answer");
	if (!task)
		return;
	if (task->end) {
		op->place = QL_PLACE_FINISHED;
		ql_str_copy(op->state, sizeof(op->state), word_of_end(task->end));
	}
	locate_message(op, farm, task);
	DL_FOREACH (farm->runs, run) {
		if (run->task == task && ql_farm_run_is_alive(run) && !run->worker->away)
			locate_run(op, run);
	}
}

void
ql_fake_locate(struct ql_broker *broker, struct ql_locate *op)
{
	struct fake *fake = ql_fake_of(broker);
	int status = 0;
	op->place = QL_PLACE_UNKNOWN;
	if (ql_desk_take_ticket(&fake->desk, &op->ticket, &op->err, locate_done, op->timeout_ms))
		return;
	if (ql_fake_is_out(fake))
		status = ql_fail(&op->err, QL_E_UNAVAILABLE, "the broker is away: try again");
	else
		find(fake->farm, op);
	ql_desk_answer_ticket(&fake->desk, &op->ticket, status);
}
