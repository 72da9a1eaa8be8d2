#include "runtime/docker/act.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"

#define IN_FLIGHT_LOOK_MS 100

static void reach(struct ql_docker_run *run, const struct ql_docker_ask *ask);
static void act(struct ql_docker_run *run, struct ql_docker_ask *ask);

/* ---- asks ---- */

int
ql_docker_ask_add(struct ql_docker_run *run, struct ql_runtime_op *op, enum ql_act_kind kind)
{
	struct ql_docker_ask *ask = calloc(1, sizeof(*ask));
	if (!ask)
		return -1;
	ask->op = op;
	ask->kind = kind;
	ask->epoch = op->epoch;
	DL_APPEND(run->asks, ask);
	return 0;
}

static void
answer(struct ql_docker_run *run, struct ql_docker_ask *ask, int status, const struct ql_err *why)
{
	DL_DELETE(run->asks, ask);
	if (ask->op && status)
		ask->op->err = *why;
	if (ask->op)
		ql_desk_answer(&run->driver->desk, ask->op, status);
	free(ask);
}

void
ql_docker_act_answer(struct ql_docker_run *run, int status, const struct ql_err *why)
{
	run->busy = false;
	if (run->asks)
		answer(run, run->asks, status, why);
	ql_docker_act_next(run);
}

/* Each as it came; acts that are done at once don't nest. */
void
ql_docker_act_next(struct ql_docker_run *run)
{
	if (run->acting)
		return;
	run->acting = true;
	while (!run->busy && run->asks && !run->is_doomed) {
		run->busy = true;
		if (run->known)
			act(run, run->asks);
		else
			reach(run, run->asks);
	}
	run->acting = false;
}

void
ql_docker_act_gone(struct ql_docker_run *run)
{
	if (run->asks && run->asks->kind == QL_ACT_NONE)
		run->busy = false;
	ql_docker_act_next(run);
}

void
ql_docker_act_answer_all(struct ql_docker_run *run, const struct ql_err *why)
{
	run->busy = false;
	while (run->asks)
		answer(run, run->asks, -1, why);
}

void
ql_docker_act_refuse(struct ql_docker_run *run, const char *what)
{
	struct ql_err e;
	ql_fail(&e, QL_E_CONFLICT, "The run %s %s", run->name, what);
	ql_docker_act_answer(run, -1, &e);
}

/* ---- a run that isn't there ---- */

static bool
leaves_nothing(enum ql_act_kind kind)
{
	return kind == QL_ACT_FORGET || kind == QL_ACT_NONE;
}

void
ql_docker_act_absent(struct ql_docker_run *run)
{
	struct ql_err e;
	ql_fail(&e, QL_E_NOT_FOUND, "There is no run %s", run->name);
	run->busy = false;
	while (run->asks) {
		struct ql_docker_ask *ask = run->asks;
		if (ask->kind == QL_ACT_INSPECT)
			ql_docker_run_tell(run, QL_EVENT_ABSENT);
		bool fine = ask->kind == QL_ACT_INSPECT || leaves_nothing(ask->kind);
		answer(run, ask, fine ? 0 : -1, &e);
	}
	ql_docker_run_doom(run);
}

/* ---- looking ---- */

static void
adopt_state(struct ql_docker_run *run)
{
	bool was_known = run->known;
	run->known = true;
	ql_str_copy(run->record.id, sizeof(run->record.id), run->state.id);
	if (ql_docker_run_has_ended(run) || run->end)
		return;
	if (run->state.created) {
		run->record.phase = QL_DOCKER_HELD;
		return;
	}
	run->record.phase = QL_DOCKER_RELEASED;
	if (!run->state.running)
		ql_docker_run_write_up(run);
	else if (!was_known || !run->process)
		ql_docker_run_follow(run);
}

static void
look_later(struct ql_docker_later *later)
{
	ql_docker_act_look(QL_OWNER(later, struct ql_docker_run, later));
}

/* The daemon was away when it was to be made: it is made now, or when its start is asked for again. */
static void
make_late(struct ql_docker_run *run, const struct ql_docker_ask *ask)
{
	struct ql_err e;
	if (ask->kind == QL_ACT_START && ask->op) {
		ql_docker_act_make(run, ask->op->launch);
		return;
	}
	run->known = false;
	ql_fail(&e, QL_E_UNAVAILABLE, "The container of the run %s is not made yet", run->name);
	ql_docker_act_answer(run, -1, &e);
}

/* Made or not: a container whose maker was given up may yet appear. */
static void
not_there(struct ql_docker_run *run)
{
	bool making = run->record.phase == QL_DOCKER_MAKING;
	bool starts =
		run->asks && (run->asks->kind == QL_ACT_START || run->asks->kind == QL_ACT_INSPECT);
	if (making && ql_docker_folder_age(run) * 1000 <= QL_DOCKER_IN_FLIGHT_MS) {
		run->later.ring = look_later;
		ql_docker_later(run->driver->docker, &run->later, IN_FLIGHT_LOOK_MS);
		return;
	}
	if (making && starts) {
		make_late(run, run->asks);
		return;
	}
	run->known = true;
	run->busy = false;
	if (!run->record.phase) {
		ql_docker_act_absent(run);
		return;
	}
	if (making)
		ql_docker_act_fail_start(run, "Its container was never made");
	else if (!ql_docker_run_has_ended(run))
		ql_docker_run_write_up(run);
	ql_docker_act_next(run);
}

static void
looked(struct ql_docker_call *call, int status)
{
	struct ql_docker_run *run = call->owner;
	struct ql_err e = call->err;
	if (status && e.code == QL_E_NOT_FOUND) {
		if (run->asks)
			run->asks->looked = true;
		not_there(run);
		return;
	}
	if (!status && ql_docker_state_read(call->json, &run->state))
		status = ql_fail(&e, QL_E_UNAVAILABLE, "What Docker said of a container is none");
	run->busy = false;
	if (status && run->known) {
		ql_docker_act_answer(run, -1, &e);
		return;
	}
	if (status) {
		ql_docker_act_answer_all(run, &e);
		ql_docker_run_doom(run);
		return;
	}
	if (run->asks)
		run->asks->looked = true;
	adopt_state(run);
	ql_docker_act_next(run);
}

void
ql_docker_act_look(struct ql_docker_run *run)
{
	run->busy = true;
	run->call.done = looked;
	if (ql_docker_ask(run->driver->docker, &run->call, "GET", NULL, QL_DOCKER_CALL_MS,
		    "/containers/quell-%s/json", run->name) == 0)
		return;
	struct ql_err e = run->call.err;
	if (run->known) {
		ql_docker_act_answer(run, -1, &e);
		return;
	}
	ql_docker_act_answer_all(run, &e);
	ql_docker_run_doom(run);
}

/* ---- the acts ---- */

static void
inspect(struct ql_docker_run *run, struct ql_docker_ask *ask)
{
	bool over = ql_docker_run_has_ended(run);
	if (!over && !ask->looked && !run->ending) {
		ql_docker_act_look(run);
		return;
	}
	run->news.facts.epoch = ask->epoch;
	ql_docker_run_tell_truth(run);
	ql_docker_act_answer(run, 0, NULL);
}

static void
act(struct ql_docker_run *run, struct ql_docker_ask *ask)
{
	switch (ask->kind) {
	case QL_ACT_START:
		ql_docker_run_tell_truth(run);
		ql_docker_act_answer(run, 0, NULL);
		break;
	case QL_ACT_INSPECT:
		inspect(run, ask);
		break;
	case QL_ACT_RELEASE:
		ql_docker_act_release(run, ask);
		break;
	case QL_ACT_NOTICE:
		ql_docker_act_notice(run, ask);
		break;
	case QL_ACT_TERMINATE:
		ql_docker_act_terminate(run);
		break;
	case QL_ACT_KILL:
		ql_docker_act_kill(run);
		break;
	case QL_ACT_SALVAGE:
		ql_docker_act_salvage(run);
		break;
	case QL_ACT_FORGET:
		ql_docker_act_forget(run);
		break;
	default:
		ql_docker_act_purge(run);
		break;
	}
}

/* ---- the first of them ---- */

/* Its host died with it: nothing of it can be left but its files. */
static void
outlived(struct ql_docker_run *run)
{
	struct ql_err e;
	run->record.flags |= QL_RUN_LOST;
	run->record.phase = QL_DOCKER_GONE;
	ql_str_copy(run->record.text, sizeof(run->record.text), "Its host was started anew");
	(void)!ql_docker_folder_save(run, &e);
}

static void
reach(struct ql_docker_run *run, const struct ql_docker_ask *ask)
{
	struct ql_err e;
	int status = ql_docker_folder_load(run, &e);
	if (status && e.code != QL_E_NOT_FOUND) {
		ql_docker_act_answer_all(run, &e);
		ql_docker_run_doom(run);
		return;
	}
	if (status && ask->kind == QL_ACT_START && ask->op) {
		ql_docker_act_start(run, ask->op->launch);
		return;
	}
	bool live = !ql_docker_run_has_ended(run) || run->record.phase == QL_DOCKER_EXITED;
	if (!status && live && ql_proof_is_other_boot(run->record.boot_id))
		outlived(run);
	if (status || (live && run->record.phase != QL_DOCKER_GONE)) {
		ql_docker_act_look(run);
		return;
	}
	run->known = true;
	run->busy = false;
}
