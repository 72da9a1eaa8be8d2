#include "runtime/sandbox/sandbox.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"
#include "runtime/sandbox/launch.h"

#define SANDBOX_OF(ptr, member) (QL_OWNER((ptr), struct ql_sandbox, member))

/* ---- acts ---- */

static struct ql_sandbox_run *
run_for(struct ql_sandbox *sandbox, struct ql_runtime_op *op)
{
	struct ql_sandbox_run *run = ql_sandbox_run_find(sandbox, op->incarnation);
	if (run)
		return run;
	if (sandbox->run_count >= QL_SANDBOX_RUNS_MAX) {
		ql_fail(&op->err, QL_E_LIMIT, "The sandbox holds %d runs, its bound",
			QL_SANDBOX_RUNS_MAX);
		return NULL;
	}
	run = ql_sandbox_run_new(sandbox, op->incarnation);
	if (!run)
		ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory for a run");
	return run;
}

static int
start(struct ql_sandbox_run *run, struct ql_runtime_op *op)
{
	struct ql_launch *launch = ql_launch_copy(op->launch);
	if (!launch || ql_sandbox_ask(run, op, op->kind)) {
		ql_launch_free(launch);
		return ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory for a run");
	}
	run->is_starting = true;
	ql_sandbox_reach(run, launch);
	return 0;
}

static int
ask(struct ql_sandbox *sandbox, struct ql_runtime_op *op, enum ql_act_kind kind)
{
	if (kind != QL_ACT_NONE && !ql_wire_ask_kind(kind))
		return ql_fail(
			&op->err, QL_E_INTERNAL, "A runtime has no act '%s'", ql_act_word(kind));
	struct ql_sandbox_run *run = run_for(sandbox, op);
	if (!run)
		return -1;
	bool is_new = run->state == QL_SANDBOX_IDLE && !run->is_known;
	int status;
	if (kind == QL_ACT_START && is_new)
		status = start(run, op);
	else if (ql_sandbox_ask(run, op, kind))
		status = ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory for an act");
	else
		status = (ql_sandbox_go_on(run), 0);
	if (status && is_new)
		ql_sandbox_run_free(run);
	return status;
}

static void
submit(struct ql_sandbox *sandbox, struct ql_runtime_op *op, enum ql_act_kind kind)
{
	if (ql_desk_take(&sandbox->desk, op))
		return;
	op->driver = NULL;
	if (ask(sandbox, op, kind))
		ql_desk_answer(&sandbox->desk, op, -1);
}

static void
sandbox_act(struct ql_runtime *runtime, struct ql_runtime_op *op)
{
	struct ql_sandbox *sandbox = (struct ql_sandbox *)runtime;
	submit(sandbox, op, op->kind);
}

static void
sandbox_purge(struct ql_runtime *runtime, struct ql_runtime_op *op)
{
	submit((struct ql_sandbox *)runtime, op, QL_ACT_NONE);
}

static const char *
sandbox_describe(struct ql_runtime *runtime)
{
	static const char label[] = "sandbox: "; /* who reads the line knows whose it is */
	const char *limits = ((struct ql_sandbox *)runtime)->limits;
	return strncmp(limits, label, strlen(label)) ? limits : limits + strlen(label);
}

/* ---- callbacks ---- */

static void
dropped(struct ql_desk *desk, struct ql_runtime_op *op)
{
	(void)desk;
	ql_sandbox_ask_free(op->driver);
}

static void
told(struct ql_desk *desk, struct ql_news *news)
{
	struct ql_sandbox_run *run = (struct ql_sandbox_run *)news;
	(void)desk;
	if (run->state == QL_SANDBOX_DOOMED)
		ql_sandbox_run_free(run);
}

static void
retry(struct ql_alarm *alarm, struct ql_heap_node *node)
{
	(void)alarm;
	ql_sandbox_reach(QL_OWNER(node, struct ql_sandbox_run, retry), NULL);
}

/* ---- open and close ---- */

static void
sandbox_free(struct ql_sandbox *sandbox)
{
	if (sandbox->runs >= 0)
		close(sandbox->runs);
	free(sandbox->run_dir);
	free(sandbox->runner);
	free(sandbox);
}

void
ql_sandbox_part_closed(struct ql_sandbox *sandbox)
{
	if (--sandbox->open_parts)
		return;
	struct ql_sandbox_run *run, *next;
	HASH_ITER (hh, sandbox->by_name, run, next)
		ql_sandbox_run_free(run);
	while (sandbox->doomed)
		ql_sandbox_run_free(sandbox->doomed);
	void (*closed)(void *arg) = sandbox->closed;
	void *closed_arg = sandbox->closed_arg;
	sandbox_free(sandbox);
	closed(closed_arg);
}

static void
desk_closed(void *arg)
{
	ql_sandbox_part_closed(arg);
}

static void
retries_closed(struct ql_alarm *alarm)
{
	ql_sandbox_part_closed(SANDBOX_OF(alarm, retries));
}

static void
sandbox_close(struct ql_runtime *runtime, void (*closed)(void *arg), void *arg)
{
	struct ql_sandbox *sandbox = (struct ql_sandbox *)runtime;
	sandbox->closing = true;
	sandbox->closed = closed;
	sandbox->closed_arg = arg;
	struct ql_sandbox_run *run, *next;
	HASH_ITER (hh, sandbox->by_name, run, next)
		ql_sandbox_unlink(run);
	ql_sandbox_leave_children(sandbox);
	ql_desk_close(&sandbox->desk, desk_closed, sandbox);
	ql_alarm_close(&sandbox->retries, retries_closed);
}

static const struct ql_runtime_ops ops = {
	.name = "sandbox",
	.act = sandbox_act,
	.list = ql_sandbox_list,
	.purge = sandbox_purge,
	.names = ql_sandbox_names,
	.describe = sandbox_describe,
	.close = sandbox_close,
};

static int
open_run_dir(struct ql_sandbox *sandbox, const struct ql_sandbox_config *config, struct ql_err *e)
{
	char longest[PATH_MAX];
	sandbox->run_dir = ql_str_dup(config->run_dir);
	if (sandbox->run_dir)
		sandbox->runs = open(sandbox->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sandbox->runs < 0)
		return ql_fail_sys(e, "The run folder %s can't be opened", config->run_dir);
	if (snprintf(longest, sizeof(longest), "%s/%016x/%s", sandbox->run_dir, 0,
		    QL_RUNNER_STATUS) >= (int)sizeof(longest))
		return ql_fail(e, QL_E_INVALID, "The path of the run folder is too long");
	return ql_run_instance(sandbox->runs, sandbox->instance, e);
}

static int
open_runner(struct ql_sandbox *sandbox, const struct ql_sandbox_config *config, struct ql_err *e)
{
	sandbox->runner = realpath(config->runner, NULL);
	if (!sandbox->runner)
		return ql_fail_sys(e, "There is no quell-runner at %s", config->runner);
	return ql_child_probe(sandbox->runner, sandbox->limits, e);
}

static int
open_parts(struct ql_sandbox *sandbox, uv_loop_t *loop, struct ql_err *e)
{
	if (ql_desk_init(&sandbox->desk, loop, &sandbox->runtime.sink, e))
		return -1;
	if (ql_alarm_init(&sandbox->retries, loop, retry))
		return ql_fail(e, QL_E_UNAVAILABLE, "The event loop takes no more handles");
	sandbox->desk.dropped = dropped;
	sandbox->desk.dropped_list = ql_sandbox_list_dropped;
	sandbox->desk.told = told;
	sandbox->open_parts = 2;
	return 0;
}

int
ql_runtime_sandbox_open(uv_loop_t *loop, const struct ql_sandbox_config *config,
	struct ql_runtime **ret_runtime, struct ql_err *e)
{
	struct ql_sandbox *sandbox = calloc(1, sizeof(*sandbox));
	if (!sandbox)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory for the sandbox runtime");
	sandbox->runs = -1;
	if (open_run_dir(sandbox, config, e) || open_runner(sandbox, config, e) ||
		open_parts(sandbox, loop, e)) {
		sandbox_free(sandbox);
		return -1;
	}
	sandbox->runtime.ops = &ops;
	sandbox->runtime.loop = loop;
	sandbox->uid_base = config->uid_base;
	*ret_runtime = &sandbox->runtime;
	return 0;
}
