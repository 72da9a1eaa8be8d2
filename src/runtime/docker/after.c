/* SALVAGE, FORGET and the purge: of a run that is proven dead. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/docker/act.h"

/* ---- salvage ---- */

static int
take_piece(struct ql_fetch_request *request, const char *data, size_t len)
{
	struct ql_docker_run *run = ((struct ql_docker_call *)request)->owner;
	if (request->http != 200)
		return 0;
	if (run->salvaged + (int64_t)len > QL_DOCKER_CHECKPOINT_MAX)
		return ql_fail(&request->err, QL_E_TOO_LARGE,
			"the checkpoint is over %d bytes, the bound", QL_DOCKER_CHECKPOINT_MAX);
	if (write(run->salvage, data, len) != (ssize_t)len)
		return ql_fail_sys(&request->err, "write the checkpoint");
	run->salvaged += (int64_t)len;
	return 0;
}

static void
say_salvaged(struct ql_docker_run *run)
{
	struct ql_err e;
	run->call.request.piece = NULL;
	(void)!ql_docker_folder_save(run, &e);
	ql_docker_run_tell(run, QL_EVENT_SALVAGED);
	ql_docker_act_answer(run, 0, NULL);
}

/* What could not be saved whole is no checkpoint: the one before it stays. */
static void
salvaged(struct ql_docker_call *call, int status)
{
	struct ql_docker_run *run = call->owner;
	char fresh[PATH_MAX + 32], path[PATH_MAX + 32];
	snprintf(path, sizeof(path), "%s/" QL_KEEP_CHECKPOINT, run->record.keep_dir);
	snprintf(fresh, sizeof(fresh), "%s/." QL_KEEP_CHECKPOINT, run->record.keep_dir);
	close(run->salvage);
	run->salvage = -1;
	if (!status && rename(fresh, path) == 0)
		run->record.checkpoint_bytes = run->salvaged;
	else
		unlink(fresh);
	say_salvaged(run);
}

void
ql_docker_act_salvage(struct ql_docker_run *run)
{
	struct ql_err e;
	char fresh[PATH_MAX + 32];
	if (run->record.phase != QL_DOCKER_GONE) {
		ql_docker_act_refuse(run, "lives: there is nothing to salvage yet");
		return;
	}
	if (ql_docker_folder_is_bare(run) || run->record.flags & QL_RUN_UNSTARTED) {
		say_salvaged(run);
		return;
	}
	snprintf(fresh, sizeof(fresh), "%s/." QL_KEEP_CHECKPOINT, run->record.keep_dir);
	run->salvaged = 0;
	mkdir(run->record.keep_dir, 0700); /* unless output has made it; else the next call fails */
	run->salvage = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (run->salvage < 0) {
		ql_fail_sys(&e, "make the checkpoint's file in %.100s", run->record.keep_dir);
		ql_docker_act_answer(run, -1, &e);
		return;
	}
	run->call.done = salvaged;
	run->call.request.piece = take_piece;
	if (ql_docker_ask(run->driver->docker, &run->call, "GET", NULL, QL_DOCKER_SLOW_MS,
		    "/containers/%s/archive?path=/quell/checkpoint/.", run->record.id))
		salvaged(&run->call, -1);
}

/* ---- forget ---- */

static void
removed(void *arg, int status)
{
	struct ql_docker_run *run = arg;
	struct ql_err e;
	if (status) {
		ql_fail(&e, QL_E_SYSTEM, "The folder of the run %s can't be removed", run->name);
		ql_docker_act_answer(run, -1, &e);
		return;
	}
	memset(&run->record, 0, sizeof(run->record));
	ql_docker_act_absent(run);
}

static void
container_removed(struct ql_docker_call *call, int status)
{
	struct ql_docker_run *run = call->owner;
	struct ql_err e = call->err;
	if (!status || e.code == QL_E_NOT_FOUND) {
		if (ql_docker_folder_remove(run, removed, run, &e) == 0)
			return;
	}
	ql_docker_act_answer(run, -1, &e);
}

/* Its death was proven, whatever Docker thinks: by force, so that it need not agree. */
void
ql_docker_act_forget(struct ql_docker_run *run)
{
	struct ql_err e;
	bool over = run->record.phase == QL_DOCKER_GONE || run->record.phase == QL_DOCKER_FAILED;
	if (!over) {
		ql_docker_act_refuse(run, "lives: it can't be forgotten");
		return;
	}
	run->call.done = container_removed;
	if (ql_docker_ask(run->driver->docker, &run->call, "DELETE", NULL, QL_DOCKER_SLOW_MS,
		    "/containers/quell-%s?force=1&v=1", run->name)) {
		e = run->call.err;
		ql_docker_act_answer(run, -1, &e);
	}
}

/* The proof of its death goes on with it. */
void
ql_docker_act_purge(struct ql_docker_run *run)
{
	struct ql_err e;
	bool over = run->record.phase == QL_DOCKER_GONE || run->record.phase == QL_DOCKER_FAILED;
	run->purging = true;
	if (over) {
		ql_docker_act_forget(run);
		return;
	}
	if (!run->ending && !run->end && ql_docker_act_begin_kill(run, &e))
		ql_docker_act_answer(run, -1, &e);
}
