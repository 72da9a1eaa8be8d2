/* The operations that don't kill: one container after the other, as a list named them. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"
#include "runtime/docker/containers.h"
#include "runtime/docker/trail.h"

#define AGAIN_MS 20 /* Docker learns of a death after us: before it is asked again */

struct ql_docker_job {
	struct ql_docker_job *prev, *next;
	struct ql_docker_containers *driver;
	struct ql_containers_op *op;
	struct ql_docker_listing listing;
	size_t at; /* the container that it is about */
	struct ql_docker_call call;
	struct ql_docker_later later;
	struct ql_err why; /* what it waits for */
};

static void next(struct ql_docker_job *job);

static void
job_free(struct ql_docker_job *job)
{
	DL_DELETE(job->driver->jobs, job);
	ql_docker_listing_done(&job->listing);
	ql_docker_stop(&job->call);
	ql_docker_never(job->driver->docker, &job->later);
	free(job);
}

static void
finish(struct ql_docker_job *job, int status, const struct ql_err *why)
{
	struct ql_containers_op *op = job->op;
	if (status)
		op->err = *why;
	ql_docker_answer(job->driver, op, status);
	job_free(job);
}

static const struct ql_docker_item *
item_of(const struct ql_docker_job *job)
{
	return &job->listing.items[job->at];
}

static void
go_on(struct ql_docker_job *job)
{
	job->at++;
	next(job);
}

static void
again(struct ql_docker_later *later)
{
	next(QL_OWNER(later, struct ql_docker_job, later));
}

static void
wait_a_bit(struct ql_docker_job *job, const struct ql_err *why)
{
	job->why = *why;
	job->later.ring = again;
	ql_docker_later(job->driver->docker, &job->later, AGAIN_MS);
}

/* ---- find ---- */

static void
add_found(struct ql_docker_job *job, const struct ql_docker_state *state)
{
	struct ql_containers_op *op = job->op;
	struct ql_container *found = &op->found[op->count++];
	*found = (struct ql_container){
		.running = state->running,
		.started_at = state->started_at,
		.exit_code = state->running || state->created ? -1 : state->exit_code,
		.oom = state->oom,
	};
	ql_str_copy(found->id, sizeof(found->id), state->id);
	ql_str_copy(found->name, sizeof(found->name), state->name);
	ql_str_copy(found->image, sizeof(found->image), state->image);
	ql_str_copy(found->state, sizeof(found->state), state->word);
	ql_str_copy(found->eval_id, sizeof(found->eval_id), item_of(job)->eval_id);
	/* by its pid it is known only where that is this host's */
	struct ql_docker_process *process =
		state->pid ? ql_docker_process_find(state->id, state->pid) : NULL;
	if (process) {
		found->pid = process->pid;
		ql_docker_process_free(process, NULL, NULL);
	}
}

/* ---- salvage ---- */

static void
salvage(struct ql_docker_job *job, const struct ql_docker_state *state)
{
	const struct ql_containers_op *op = job->op;
	struct ql_err e;
	struct ql_docker_trail *trail;
	if (state->created) {
		go_on(job);
		return;
	}
	if (state->running) {
		ql_fail(&e, QL_E_CONFLICT, "The container %.12s runs yet", state->id);
		wait_a_bit(job, &e);
		return;
	}
	trail = ql_docker_trail(job->driver, op->keep_dir, op->output_max, &e);
	if (!trail || ql_docker_trail_finish(trail, state->id, state->tty, &e))
		finish(job, -1, &e);
	else
		go_on(job);
}

/* Those that are on their way are waited for. */
static void
gather(struct ql_docker_job *job)
{
	struct ql_containers_op *op = job->op;
	struct ql_err e;
	struct ql_docker_trail *trail = ql_docker_trail_find(job->driver, op->keep_dir);
	int state = trail ? ql_docker_trail_state(trail, &e) : 0;
	if (trail) {
		op->output_bytes = ql_docker_trail_keep(trail)->bytes;
		op->output_truncated = ql_docker_trail_keep(trail)->truncated;
	}
	if (state > 0)
		wait_a_bit(job, &e);
	else
		finish(job, state, &e);
}

/* ---- of one container ---- */

static void
inspected(struct ql_docker_call *call, int status)
{
	struct ql_docker_job *job = call->owner;
	struct ql_docker_state state;
	if (status && call->err.code == QL_E_NOT_FOUND) {
		go_on(job);
		return;
	}
	if (!status)
		status = ql_docker_state_read(call->json, &state);
	if (status && !call->err.code)
		ql_fail(&call->err, QL_E_UNAVAILABLE, "What Docker said of a container is none");
	if (status) {
		finish(job, -1, &call->err);
	} else if (job->op->kind == QL_CONTAINERS_FIND) {
		add_found(job, &state);
		go_on(job);
	} else {
		salvage(job, &state);
	}
}

/* One that Docker takes for running yet is asked for again: it may be behind. */
static void
removed(struct ql_docker_call *call, int status)
{
	struct ql_docker_job *job = call->owner;
	if (!status || call->err.code == QL_E_NOT_FOUND)
		go_on(job);
	else if (call->err.code == QL_E_CONFLICT || call->http == 500)
		wait_a_bit(job, &call->err);
	else
		finish(job, -1, &call->err);
}

static void
ask(struct ql_docker_job *job)
{
	struct ql_docker *docker = job->driver->docker;
	const char *id = item_of(job)->id;
	bool remove = job->op->kind == QL_CONTAINERS_REMOVE;
	job->call.owner = job;
	job->call.done = remove ? removed : inspected;
	int status = remove ? ql_docker_ask(docker, &job->call, "DELETE", NULL, QL_DOCKER_SLOW_MS,
				      "/containers/%s?v=1", id)
			    : ql_docker_ask(docker, &job->call, "GET", NULL, QL_DOCKER_CALL_MS,
				      "/containers/%s/json", id);
	if (status)
		finish(job, -1, &job->call.err);
}

static void
next(struct ql_docker_job *job)
{
	if (job->at < job->listing.count)
		ask(job);
	else if (job->op->kind == QL_CONTAINERS_SALVAGE)
		gather(job);
	else
		finish(job, 0, NULL);
}

static void
listed(struct ql_docker_listing *listing, int status)
{
	struct ql_docker_job *job = listing->owner;
	struct ql_containers_op *op = job->op;
	if (!status && op->kind == QL_CONTAINERS_FIND && listing->count) {
		op->found = calloc(listing->count, sizeof(*op->found));
		if (!op->found)
			status = ql_fail(&listing->err, QL_E_UNAVAILABLE, "Out of memory to look");
	}
	if (status)
		finish(job, -1, &listing->err);
	else
		next(job);
}

/* ---- its callers ---- */

void
ql_docker_job(struct ql_docker_containers *driver, struct ql_containers_op *op)
{
	struct ql_docker_job *job = calloc(1, sizeof(*job));
	if (!job) {
		ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory for an operation");
		ql_docker_answer(driver, op, -1);
		return;
	}
	op->driver = job;
	job->driver = driver;
	job->op = op;
	job->listing.docker = driver->docker;
	job->listing.match = &driver->match;
	job->listing.eval_id = op->eval_id;
	job->listing.done = listed;
	job->listing.owner = job;
	DL_APPEND(driver->jobs, job);
	if (ql_docker_listing_start(&job->listing))
		finish(job, -1, &job->listing.err);
}

void
ql_docker_job_leave(struct ql_containers_op *op)
{
	struct ql_docker_job *job = op->driver;
	if (!job)
		return;
	if (job->why.code) {
		op->err = job->why;
		ql_err_prefix(&op->err, "Waited in vain");
	}
	job_free(job);
}
