/* The end of one container alone: the very one that somebody saw, and not what was started anew since. */
#include <stdlib.h>

#include "runtime/docker/containers.h"

struct ql_docker_one {
	struct ql_docker_containers *driver;
	struct ql_containers_op *op;
	struct ql_docker_call look;
	struct ql_docker_end *end; /* NULL until it was seen to be the one that is meant */
};

static void
one_free(struct ql_docker_one *one)
{
	ql_docker_stop(&one->look);
	if (one->end)
		ql_docker_end_free(one->end);
	free(one);
}

static void
finish(struct ql_docker_one *one, int status)
{
	struct ql_containers_op *op = one->op;
	if (one->end)
		op->unasked = one->end->unasked;
	ql_docker_answer(one->driver, op, status);
	one_free(one);
}

static void
ended(struct ql_docker_end *end)
{
	finish(end->owner, 0);
}

static void
begin_end(struct ql_docker_one *one)
{
	struct ql_docker_containers *driver = one->driver;
	struct ql_docker_end *end = calloc(1, sizeof(*end));
	if (!end) {
		ql_fail(&one->op->err, QL_E_UNAVAILABLE, "Out of memory to end a container");
		finish(one, -1);
		return;
	}
	end->docker = driver->docker;
	end->ended = ended;
	end->owner = one;
	end->parts = &driver->parts;
	end->part_closed = ql_docker_part_closed;
	end->parts_owner = driver;
	one->end = end;
	ql_docker_end_start(end, one->op->container);
}

static void
looked(struct ql_docker_call *call, int status)
{
	struct ql_docker_one *one = call->owner;
	struct ql_containers_op *op = one->op;
	struct ql_docker_state state;
	if (status && call->err.code == QL_E_NOT_FOUND) {
		finish(one, 0);
		return;
	}
	if (status)
		op->err = call->err;
	else if (ql_docker_state_read(call->json, &state))
		status = ql_fail(
			&op->err, QL_E_UNAVAILABLE, "What Docker said of a container is none");
	else if (state.started_at != op->started_at)
		status = ql_fail(&op->err, QL_E_CONFLICT,
			"The container %.12s was started anew since: it was left alone", state.id);
	if (status)
		finish(one, -1);
	else
		begin_end(one);
}

void
ql_docker_end_one(struct ql_docker_containers *driver, struct ql_containers_op *op)
{
	struct ql_docker_one *one = calloc(1, sizeof(*one));
	if (!one) {
		ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory to end a container");
		ql_docker_answer(driver, op, -1);
		return;
	}
	one->driver = driver;
	one->op = op;
	one->look.owner = one;
	one->look.done = looked;
	op->driver = one;
	if (!ql_docker_ask(driver->docker, &one->look, "GET", NULL, QL_DOCKER_CALL_MS,
		    "/containers/%s/json", op->container))
		return;
	op->err = one->look.err;
	finish(one, -1);
}

void
ql_docker_one_leave(struct ql_containers_op *op)
{
	struct ql_docker_one *one = op->driver;
	if (!one)
		return;
	if (one->end && one->end->why.code) {
		op->err = one->end->why;
		ql_err_prefix(
			&op->err, "The container %.12s is not proven dead in time", op->container);
	}
	one_free(one);
}
