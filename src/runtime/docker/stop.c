/* NOTICE, TERMINATE, KILL: what is sent is on disk before it is sent. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "proof/process.h"
#include "runtime/docker/act.h"

static int
mark_sent(struct ql_docker_run *run, enum ql_rung rung, struct ql_err *e)
{
	ql_docker_run_asked(run);
	if (run->record.sent < (int32_t)rung)
		run->record.sent = (int32_t)rung;
	return ql_docker_folder_save(run, e);
}

void
ql_docker_act_notice(struct ql_docker_run *run, const struct ql_docker_ask *ask)
{
	struct ql_err e = {0};
	if (ql_docker_run_has_ended(run) || run->ending) {
		ql_docker_act_refuse(run, "has ended: it can't be noticed");
		return;
	}
	int status = mark_sent(run, QL_RUNG_NOTICE, &e);
	if (!status && ask->op)
		status = ql_docker_folder_notice(run, &ask->op->notice, &e);
	ql_docker_act_answer(run, status, &e);
}

/* Of the program, which is the first child of the container's first process. */
static bool
catches_term(const struct ql_docker_run *run)
{
	char path[64], text[64];
	uint64_t pending, caught;
	if (!run->process)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", run->process->pid,
		run->process->pid);
	int len = ql_process_file(path, text, sizeof(text));
	int32_t child = len > 0 ? (int32_t)strtol(text, NULL, 10) : 0;
	if (!child || ql_process_signals(child, &pending, &caught))
		return false;
	return caught & 1ULL << (SIGTERM - 1);
}

/* A stopped program takes no signal before it goes on. */
static void
continued(struct ql_docker_call *call, int status)
{
	(void)status;
	ql_docker_act_answer(call->owner, 0, NULL);
}

static void
terminated(struct ql_docker_call *call, int status)
{
	struct ql_docker_run *run = call->owner;
	struct ql_err e = call->err;
	if (status) {
		ql_docker_act_answer(run, -1, &e);
		return;
	}
	run->call.done = continued;
	if (ql_docker_ask(run->driver->docker, &run->call, "POST", NULL, QL_DOCKER_CALL_MS,
		    "/containers/%s/kill?signal=CONT", run->record.id))
		ql_docker_act_answer(run, 0, NULL);
}

void
ql_docker_act_terminate(struct ql_docker_run *run)
{
	struct ql_err e;
	if (ql_docker_run_has_ended(run) || run->ending) {
		ql_docker_act_refuse(run, "has ended: it can't be terminated");
		return;
	}
	if (run->record.sent < QL_RUNG_TERMINATE && catches_term(run))
		run->record.flags |= QL_RUN_CATCHES_TERM;
	int status = mark_sent(run, QL_RUNG_TERMINATE, &e);
	if (status || run->record.phase == QL_DOCKER_HELD) {
		if (!status) /* what was never started takes no signal */
			status = ql_docker_run_kill(run, &e);
		ql_docker_act_answer(run, status, &e);
		return;
	}
	run->call.done = terminated;
	if (ql_docker_ask(run->driver->docker, &run->call, "POST", NULL, QL_DOCKER_CALL_MS,
		    "/containers/%s/kill?signal=TERM", run->record.id)) {
		e = run->call.err;
		ql_docker_act_answer(run, -1, &e);
	}
}

int
ql_docker_act_begin_kill(struct ql_docker_run *run, struct ql_err *e)
{
	if (ql_docker_run_has_ended(run) || run->ending)
		return 0;
	return mark_sent(run, QL_RUNG_KILL, e) ? -1 : ql_docker_run_kill(run, e);
}

void
ql_docker_act_kill(struct ql_docker_run *run)
{
	struct ql_err e = {0};
	int status = ql_docker_act_begin_kill(run, &e);
	ql_docker_act_answer(run, status, &e);
}
