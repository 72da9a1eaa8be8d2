#include <stdlib.h>
#include <unistd.h>

#include "runtime/sandbox/launch.h"
#include "runtime/sandbox/sandbox.h"

struct job {
	uv_work_t work;
	struct ql_sandbox_run *run;
	struct ql_launch *launch; /* NULL: only reach it */
	struct ql_errand errand;
};

/* On a thread of the pool. */
static void
perform(uv_work_t *work)
{
	struct job *job = work->data;
	if (!job->launch) {
		ql_errand_reach(&job->errand);
		return;
	}
	const struct ql_sandbox *sandbox = job->run->sandbox;
	const struct ql_wire_place place = {
		.incarnation = job->run->incarnation,
		.instance = sandbox->instance,
		.uid = sandbox->uid_base ? sandbox->uid_base + job->launch->slot : 0,
	};
	job->errand.code = job->launch->code;
	job->errand.code_len = job->launch->code_len;
	if (!ql_wire_spec(&place, job->launch, &job->errand.spec, &job->errand.err))
		ql_errand_start(&job->errand);
}

static void
take_children_in(struct job *job)
{
	struct ql_sandbox *sandbox = job->run->sandbox;
	if (job->errand.child >= 0 && !sandbox->closing)
		ql_sandbox_mind(sandbox, job->errand.child);
	else if (job->errand.child >= 0)
		close(job->errand.child);
	if (job->errand.conn >= 0 && sandbox->closing)
		close(job->errand.conn);
}

static void
performed(uv_work_t *work, int status)
{
	struct job *job = work->data;
	struct ql_sandbox *sandbox = job->run->sandbox;
	(void)status; /* never cancelled */
	take_children_in(job);
	if (!sandbox->closing)
		ql_sandbox_reached(job->run, &job->errand);
	ql_errand_done(&job->errand);
	ql_launch_free(job->launch);
	free(job);
	ql_sandbox_part_closed(sandbox);
}

static struct job *
job_new(struct ql_sandbox_run *run, struct ql_launch *launch)
{
	struct ql_sandbox *sandbox = run->sandbox;
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		return NULL;
	job->work.data = job;
	job->run = run;
	job->launch = launch;
	job->errand = (struct ql_errand){
		.runs = sandbox->runs,
		.run_dir = sandbox->run_dir,
		.runner = sandbox->runner,
		.incarnation = run->incarnation,
		.conn = -1,
		.child = -1,
	};
	return job;
}

void
ql_sandbox_reach(struct ql_sandbox_run *run, struct ql_launch *launch)
{
	struct job *job = job_new(run, launch);
	run->state = QL_SANDBOX_REACHING;
	if (job && !uv_queue_work(run->sandbox->runtime.loop, &job->work, perform, performed)) {
		run->sandbox->open_parts++;
		return;
	}
	struct ql_errand failed = {.end = QL_ERRAND_FAILED, .conn = -1, .child = -1};
	ql_fail(&failed.err, QL_E_UNAVAILABLE, "Out of memory to reach a run");
	free(job);
	ql_launch_free(launch);
	ql_sandbox_reached(run, &failed);
}
