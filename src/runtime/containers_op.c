#include "runtime/containers_op.h"

#include <stdlib.h>

#include "base/owner.h"
#include "base/str.h"

struct ql_containers_op *
ql_containers_op_of(struct ql_ticket *ticket)
{
	return QL_OWNER(ticket, struct ql_containers_op, ticket);
}

/* What was found is out of the operation first, which done may free. */
static void
done(struct ql_ticket *ticket)
{
	struct ql_containers_op *op = ql_containers_op_of(ticket);
	struct ql_container *found = op->found;
	op->done(op, ticket->status);
	free(found);
}

static int
check(struct ql_containers_op *op)
{
	if (!op->eval_id && op->kind != QL_CONTAINERS_FIND)
		return ql_fail(&op->err, QL_E_INVALID,
			"Only a look may be for the containers of all evaluations");
	if (op->kind == QL_CONTAINERS_END && (!op->container || !op->started_at))
		return ql_fail(&op->err, QL_E_INVALID,
			"One container is named by its id and the time of its start");
	if (op->eval_id && !ql_str_is_eval_id(op->eval_id))
		return ql_fail(
			&op->err, QL_E_INVALID, "No container can be found by that evaluation id");
	return 0;
}

int
ql_containers_op_take(struct ql_desk *desk, struct ql_containers_op *op)
{
	op->found = NULL;
	op->count = 0;
	op->unasked = 0;
	op->output_bytes = 0;
	op->output_truncated = false;
	op->driver = NULL;
	if (ql_desk_take_ticket(desk, &op->ticket, &op->err, done, op->timeout_ms))
		return -1;
	if (check(op) == 0)
		return 0;
	ql_desk_answer_ticket(desk, &op->ticket, -1);
	return -1;
}
