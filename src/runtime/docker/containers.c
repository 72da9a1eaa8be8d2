#include <stdlib.h>

#include "base/owner.h"
#include "base/str.h"
#include "runtime/containers_op.h"
#include "runtime/docker/docker.h"
#include "runtime/docker/containers.h"
#include "runtime/docker/trail.h"

static struct ql_docker_containers *
driver_of(struct ql_containers *containers)
{
	return (struct ql_docker_containers *)containers;
}

/* ---- operations ---- */

static void
dropped(struct ql_desk *desk, struct ql_ticket *ticket)
{
	struct ql_docker_containers *driver = QL_OWNER(desk, struct ql_docker_containers, desk);
	struct ql_containers_op *op = ql_containers_op_of(ticket);
	if (op->kind == QL_CONTAINERS_KILL)
		ql_docker_hunt_leave(driver, op);
	else if (op->kind == QL_CONTAINERS_END)
		ql_docker_one_leave(op);
	else
		ql_docker_job_leave(op);
}

void
ql_docker_answer(struct ql_docker_containers *driver, struct ql_containers_op *op, int status)
{
	ql_desk_answer_ticket(&driver->desk, &op->ticket, status);
}

static void
act(struct ql_containers *containers, struct ql_containers_op *op)
{
	struct ql_docker_containers *driver = driver_of(containers);
	if (ql_containers_op_take(&driver->desk, op))
		return;
	if (op->kind == QL_CONTAINERS_KILL)
		ql_docker_hunt(driver, op->eval_id, op);
	else if (op->kind == QL_CONTAINERS_END)
		ql_docker_end_one(driver, op);
	else
		ql_docker_job(driver, op);
}

static void
ban(struct ql_containers *containers, const char *eval_id, bool on)
{
	ql_docker_ban(driver_of(containers), eval_id, on);
}

static int64_t
cpu_us(const struct ql_containers *containers, const char *eval_id, int64_t since)
{
	return ql_docker_bill_cpu_us(
		(const struct ql_docker_containers *)containers, eval_id, since);
}

static size_t
health(const struct ql_containers *containers, struct ql_dependency *ret, size_t size)
{
	const struct ql_docker_containers *driver = (const struct ql_docker_containers *)containers;
	if (!size)
		return 0;
	ret->name = "docker";
	ql_docker_pulse_show(&driver->pulse, ret);
	ret->backlog = (int64_t)HASH_COUNT(driver->hunts);
	if (driver->bans_refused && !ret->detail[0])
		ql_str_copy(ret->detail, sizeof(ret->detail),
			"more than 1000000 evaluations are banned: containers of the last ones "
			"may come back");
	return 1;
}

/* ---- open and close ---- */

void
ql_docker_part_closed(void *arg)
{
	struct ql_docker_containers *driver = arg;
	if (--driver->parts)
		return;
	void (*closed)(void *arg) = driver->closed;
	void *closed_arg = driver->closed_arg;
	free(driver);
	closed(closed_arg);
}

static void
desk_closed(void *arg)
{
	struct ql_docker_containers *driver = arg;
	ql_docker_close(driver->docker, ql_docker_part_closed, driver);
	ql_docker_part_closed(driver);
}

/* The desk answers what is open and has each let go of; what nobody waits for is stopped here. */
static void
close_driver(struct ql_containers *containers, void (*closed)(void *arg), void *arg)
{
	struct ql_docker_containers *driver = driver_of(containers);
	driver->closed = closed;
	driver->closed_arg = arg;
	ql_docker_ban_stop(driver);
	ql_docker_pulse_stop(&driver->pulse);
	ql_desk_close(&driver->desk, desk_closed, driver);
	ql_docker_hunt_stop_all(driver);
	ql_docker_trails_stop_all(driver);
	ql_docker_bills_stop(driver);
}

static const struct ql_containers_ops ops = {
	.name = "docker",
	.act = act,
	.ban = ban,
	.cpu_us = cpu_us,
	.health = health,
	.close = close_driver,
};

int
ql_containers_docker_open(uv_loop_t *loop, const struct ql_docker_config *config,
	struct ql_containers **ret_containers, struct ql_err *e)
{
	struct ql_docker_containers *driver = calloc(1, sizeof(*driver));
	if (!driver)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for the Docker driver");
	if (ql_docker_match_init(&driver->match, config->label, config->name, e) ||
		ql_docker_open(loop, &config->address, &driver->docker, e)) {
		free(driver);
		return -1;
	}
	(void)!ql_desk_init(&driver->desk, loop, NULL, e); /* it only fills structs */
	driver->desk.dropped_ticket = dropped;
	driver->containers.ops = &ops;
	driver->containers.loop = loop;
	driver->parts = 2;
	ql_docker_ban_start(driver);
	driver->pulse.docker = driver->docker;
	ql_docker_pulse_start(&driver->pulse);
	*ret_containers = &driver->containers;
	return 0;
}
