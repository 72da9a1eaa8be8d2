#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"
#include "runtime/docker/docker.h"
#include "runtime/docker/run.h"

/* A list under way. */
struct ql_docker_census {
	struct ql_docker_census *prev, *next;
	struct ql_docker_runtime *driver;
	struct ql_runtime_list *op;
	struct ql_docker_call call;
	uint64_t *incarnations;
	size_t count;
};

static struct ql_docker_runtime *
driver_of(struct ql_runtime *runtime)
{
	return (struct ql_docker_runtime *)runtime;
}

/* ---- acts ---- */

static void
submit(struct ql_runtime *runtime, struct ql_runtime_op *op, enum ql_act_kind kind)
{
	struct ql_docker_runtime *driver = driver_of(runtime);
	if (ql_desk_take(&driver->desk, op))
		return;
	struct ql_docker_run *run = ql_docker_run_find(driver, op->incarnation);
	if (!run)
		run = ql_docker_run_new(driver, op->incarnation);
	if (!run || ql_docker_ask_add(run, op, kind)) {
		ql_fail(&op->err, QL_E_LIMIT,
			"The runtime has %d runs in memory, its bound, or memory is out",
			QL_DOCKER_RUNS_MAX);
		ql_desk_answer(&driver->desk, op, -1);
		return;
	}
	ql_docker_act_next(run);
}

static void
act(struct ql_runtime *runtime, struct ql_runtime_op *op)
{
	submit(runtime, op, op->kind);
}

static void
purge(struct ql_runtime *runtime, struct ql_runtime_op *op)
{
	submit(runtime, op, QL_ACT_NONE);
}

/* The act goes on without its caller. */
static void
dropped(struct ql_desk *desk, struct ql_runtime_op *op)
{
	struct ql_docker_runtime *driver = QL_OWNER(desk, struct ql_docker_runtime, desk);
	struct ql_docker_run *run = ql_docker_run_find(driver, op->incarnation);
	struct ql_docker_ask *ask = run ? run->asks : NULL;
	for (; ask; ask = ask->next) {
		if (ask->op == op)
			ask->op = NULL;
	}
}

static void
told(struct ql_desk *desk, struct ql_news *news)
{
	struct ql_docker_run *run = (struct ql_docker_run *)news;
	(void)desk;
	if (run->is_doomed)
		ql_docker_run_free(run);
}

/* ---- list ---- */

static void
census_free(struct ql_docker_census *census)
{
	DL_DELETE(census->driver->lists, census);
	ql_docker_stop(&census->call);
	free(census->incarnations);
	free(census);
}

static void
finish(struct ql_docker_census *census, int status, const struct ql_err *why)
{
	struct ql_runtime_list *op = census->op;
	if (status) {
		op->err = *why;
	} else {
		op->incarnations = census->incarnations;
		op->count = census->count;
		census->incarnations = NULL;
	}
	ql_desk_answer_list(&census->driver->desk, op, status);
	census_free(census);
}

static bool
has(const struct ql_docker_census *census, uint64_t incarnation)
{
	for (size_t i = 0; i < census->count; i++) {
		if (census->incarnations[i] == incarnation)
			return true;
	}
	return false;
}

/* Those of which only the container is left. */
static int
add_containers(struct ql_docker_census *census, const json_t *list, struct ql_err *e)
{
	size_t most = census->count + json_array_size(list);
	uint64_t *more = realloc(census->incarnations, (most + 1) * sizeof(*more));
	const json_t *container;
	size_t i;
	if (!more)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for a list");
	census->incarnations = more;
	if (most > QL_RUNTIME_LIST_MAX)
		return ql_fail(e, QL_E_LIMIT, "There are more than %d runs", QL_RUNTIME_LIST_MAX);
	json_array_foreach (list, i, container) {
		const json_t *labels = json_object_get(container, "Labels");
		const char *name = json_string_value(json_object_get(labels, "quell.incarnation"));
		uint64_t incarnation;
		if (name && ql_run_parse(name, &incarnation) == 0 && !has(census, incarnation))
			more[census->count++] = incarnation;
	}
	return 0;
}

static void
listed(struct ql_docker_call *call, int status)
{
	struct ql_docker_census *census = call->owner;
	struct ql_err e = call->err;
	if (!status)
		status = add_containers(census, call->json, &e);
	finish(census, status, &e);
}

static void
list(struct ql_runtime *runtime, struct ql_runtime_list *op)
{
	struct ql_docker_runtime *driver = driver_of(runtime);
	if (ql_desk_take_list(&driver->desk, op))
		return;
	struct ql_docker_census *census = calloc(1, sizeof(*census));
	if (!census) {
		ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory for a list");
		ql_desk_answer_list(&driver->desk, op, -1);
		return;
	}
	char label[64];
	struct ql_err e;
	snprintf(label, sizeof(label), "quell.server=%s", driver->instance);
	census->driver = driver;
	census->op = op;
	census->call.owner = census;
	census->call.done = listed;
	op->driver = census;
	DL_APPEND(driver->lists, census);
	if (ql_docker_folder_list(driver, &census->incarnations, &census->count, &e)) {
		finish(census, -1, &e);
		return;
	}
	char *filters = ql_docker_escape(json_pack("{s:[s]}", "label", label));
	if (ql_docker_ask(driver->docker, &census->call, "GET", NULL, QL_DOCKER_CALL_MS,
		    "/containers/json?all=1&filters=%s", filters ? filters : "")) {
		e = census->call.err;
		finish(census, -1, &e);
	}
	free(filters);
}

static void
dropped_list(struct ql_desk *desk, struct ql_runtime_list *op)
{
	(void)desk;
	if (op->driver)
		census_free(op->driver);
}

/* ---- open and close ---- */

static const char *
describe(struct ql_runtime *runtime)
{
	(void)runtime;
	return "memory, pids and cpu limits are Docker's; a checkpoint is bounded when it is saved";
}

static void
health(const struct ql_runtime *runtime, struct ql_dependency *ret_health)
{
	const struct ql_docker_runtime *driver = (const struct ql_docker_runtime *)runtime;
	ql_docker_pulse_show(&driver->pulse, ret_health);
}

static void
driver_free(struct ql_docker_runtime *driver)
{
	if (driver->dir_fd >= 0)
		close(driver->dir_fd);
	free(driver->dir);
	free(driver->image);
	free(driver);
}

void
ql_docker_runtime_part_closed(void *arg)
{
	struct ql_docker_runtime *driver = arg;
	if (--driver->parts)
		return;
	void (*closed)(void *arg) = driver->closed;
	void *closed_arg = driver->closed_arg;
	driver_free(driver);
	closed(closed_arg);
}

static void
desk_closed(void *arg)
{
	struct ql_docker_runtime *driver = arg;
	struct ql_docker_run *run, *next;
	HASH_ITER (hh, driver->runs, run, next)
		ql_docker_run_free(run);
	DL_FOREACH_SAFE (driver->doomed, run, next)
		ql_docker_run_free(run);
	ql_docker_close(driver->docker, ql_docker_runtime_part_closed, driver);
	ql_docker_runtime_part_closed(driver);
}

static void
close_driver(struct ql_runtime *runtime, void (*closed)(void *arg), void *arg)
{
	struct ql_docker_runtime *driver = driver_of(runtime);
	driver->closed = closed;
	driver->closed_arg = arg;
	ql_docker_pulse_stop(&driver->pulse);
	ql_desk_close(&driver->desk, desk_closed, driver);
}

/* On another host's daemon there is no process to look at. */
static int
docker_names(struct ql_runtime *runtime, uint64_t incarnation, struct ql_run_names *ret_names,
	struct ql_err *e)
{
	struct ql_docker_runtime *driver = (struct ql_docker_runtime *)runtime;
	const struct ql_docker_run *run = ql_docker_run_find(driver, incarnation);
	const struct ql_docker_process *process = run ? run->process : NULL;
	if (!process)
		return ql_fail(
			e, QL_E_NOT_FOUND, "its container's process was not found on this host");
	ql_docker_process_names(process, ret_names);
	ql_str_copy(ret_names->boot_id, sizeof(ret_names->boot_id), driver->boot_id);
	return 0;
}

static const struct ql_runtime_ops ops = {
	.name = "docker",
	.act = act,
	.list = list,
	.purge = purge,
	.names = docker_names,
	.describe = describe,
	.health = health,
	.close = close_driver,
};

static int
open_folder(struct ql_docker_runtime *driver, const char *dir, struct ql_err *e)
{
	driver->dir = ql_str_dup(dir);
	driver->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!driver->dir || driver->dir_fd < 0)
		return ql_fail_sys(e, "open the folder %s", dir);
	return ql_run_instance(driver->dir_fd, driver->instance, e);
}

int
ql_runtime_docker_open(uv_loop_t *loop, const struct ql_docker_runtime_config *config,
	struct ql_runtime **ret_runtime, struct ql_err *e)
{
	struct ql_docker_runtime *driver = calloc(1, sizeof(*driver));
	if (!driver)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for the Docker driver");
	struct ql_docker_address address = config->address;
	address.connections = QL_DOCKER_CONNECTIONS;
	driver->image = ql_str_dup(config->image);
	ql_proof_boot_id(driver->boot_id);
	if (open_folder(driver, config->run_dir, e) ||
		ql_docker_open(loop, &address, &driver->docker, e)) {
		driver_free(driver);
		return -1;
	}
	driver->runtime.ops = &ops;
	driver->runtime.loop = loop;
	(void)!ql_desk_init(&driver->desk, loop, &driver->runtime.sink, e); /* fills structs */
	driver->desk.dropped = dropped;
	driver->desk.dropped_list = dropped_list;
	driver->desk.told = told;
	driver->parts = 2;
	driver->pulse.docker = driver->docker;
	ql_docker_pulse_start(&driver->pulse);
	*ret_runtime = &driver->runtime;
	return 0;
}
