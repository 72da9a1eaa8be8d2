#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "base/str.h"
#include "proof/process.h"
#include "runtime/docker_run.h"

#define OWNER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define IN_FLIGHT_LOOK_MS 100

static void look(struct ql_docker_run *run);
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

static void
refuse(struct ql_docker_run *run, const char *what)
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

static void
absent(struct ql_docker_run *run)
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

static void
fail_start(struct ql_docker_run *run, const char *why)
{
	struct ql_err e;
	ql_str_copy(run->record.text, sizeof(run->record.text), why);
	run->record.phase = QL_DOCKER_FAILED;
	run->known = true;
	(void)!ql_docker_folder_save(run, &e);
	ql_docker_run_tell(run, QL_EVENT_FAILED_START);
}

/* ---- start ---- */

static void
unmap(struct ql_docker_run *run)
{
	if (run->mapping)
		munmap(run->mapping, run->mapped);
	run->mapping = NULL;
}

static void
held(struct ql_docker_run *run)
{
	struct ql_err e;
	run->record.phase = QL_DOCKER_HELD;
	run->known = true;
	run->news.facts.epoch = 0;
	if (ql_docker_folder_save(run, &e)) {
		ql_docker_act_answer(run, -1, &e);
		return;
	}
	ql_docker_run_tell(run, QL_EVENT_HELD);
	ql_docker_act_answer(run, 0, NULL);
}

static void
unpacked(struct ql_docker_call *call, int status)
{
	struct ql_docker_run *run = call->owner;
	unmap(run);
	if (!status) {
		held(run);
		return;
	}
	fail_start(run, call->err.text);
	ql_docker_act_answer(run, 0, NULL);
}

/* The archive as it is: whoever unpacks it, Docker, does so within the container. */
static int
map_checkpoint(struct ql_docker_run *run)
{
	struct stat st;
	int fd = open(run->record.checkpoint, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_size > 0) {
		run->mapped = (size_t)st.st_size;
		run->mapping = mmap(NULL, run->mapped, PROT_READ, MAP_PRIVATE, fd, 0);
	}
	close(fd);
	if (run->mapping == MAP_FAILED)
		run->mapping = NULL;
	return run->mapping ? 0 : -1;
}

static void
unpack(struct ql_docker_run *run)
{
	run->call.done = unpacked;
	if (map_checkpoint(run)) {
		fail_start(run, "The checkpoint that it starts from can't be read");
		ql_docker_act_answer(run, 0, NULL);
		return;
	}
	if (ql_docker_put(run->driver->docker, &run->call, run->mapping, run->mapped,
		    QL_DOCKER_SLOW_MS, "/containers/%s/archive?path=/quell/checkpoint",
		    run->record.id)) {
		struct ql_err e = run->call.err;
		unmap(run);
		ql_docker_act_answer(run, -1, &e);
	}
}

static void
made(struct ql_docker_run *run)
{
	if (run->record.checkpoint[0])
		unpack(run);
	else
		held(run);
}

/* No reply leaves it to be looked for; the name is taken already: by an earlier try of this one. */
static void
created(struct ql_docker_call *call, int status)
{
	struct ql_docker_run *run = call->owner;
	const char *id = json_string_value(json_object_get(call->json, "Id"));
	struct ql_err e = call->err;
	if (!status && ql_docker_is_id(id)) {
		ql_str_copy(run->record.id, sizeof(run->record.id), id);
		made(run);
	} else if (call->http && call->http != 409 && call->http < 500) {
		fail_start(run, e.text);
		ql_docker_act_answer(run, 0, NULL);
	} else {
		if (!e.code)
			ql_fail(&e, QL_E_UNAVAILABLE, "Docker named no container");
		run->known = false;
		ql_docker_act_answer(run, -1, &e);
	}
}

static int
check_launch(const struct ql_launch *launch, const char *image, struct ql_err *e)
{
	if (!launch->argv || !launch->argv[0])
		return ql_fail(e, QL_E_INVALID, "A run needs a command");
	if (launch->code && !launch->code_name)
		return ql_fail(e, QL_E_INVALID, "The program's text needs a name");
	if (!launch->keep_dir || launch->keep_dir[0] != '/' || strlen(launch->keep_dir) >= PATH_MAX)
		return ql_fail(e, QL_E_INVALID, "A run needs an absolute folder for its output");
	if (!image)
		return ql_fail(e, QL_E_INVALID,
			"Neither the evaluation nor --docker-image names an image to run it in");
	return 0;
}

static void
start(struct ql_docker_run *run, const struct ql_launch *launch)
{
	struct ql_docker_runtime *driver = run->driver;
	const char *image = launch->image ? launch->image : driver->image;
	struct ql_err e;
	run->record = (struct ql_docker_record){.phase = QL_DOCKER_MAKING,
		.exit_code = -1,
		.checkpoint_bytes = -1,
		.output_max = launch->output_max};
	ql_str_copy(run->record.boot_id, sizeof(run->record.boot_id), driver->boot_id);
	ql_str_copy(run->record.keep_dir, sizeof(run->record.keep_dir),
		launch->keep_dir ? launch->keep_dir : "");
	if (launch->checkpoint)
		ql_str_copy(
			run->record.checkpoint, sizeof(run->record.checkpoint), launch->checkpoint);
	if (check_launch(launch, image, &e) || ql_docker_folder_make(run, launch, &e)) {
		fail_start(run, e.text);
		ql_docker_act_answer(run, 0, NULL);
		return;
	}
	run->known = true;
	run->call.done = created;
	if (ql_docker_ask(driver->docker, &run->call, "POST",
		    ql_docker_create_body(run, launch, image), QL_DOCKER_SLOW_MS,
		    "/containers/create?name=quell-%s", run->name) == 0)
		return;
	e = run->call.err;
	run->known = false;
	ql_docker_act_answer(run, -1, &e);
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
	look(OWNER(later, struct ql_docker_run, later));
}

/* Made or not: a container whose maker was given up may yet appear. */
static void
not_there(struct ql_docker_run *run)
{
	bool making = run->record.phase == QL_DOCKER_MAKING;
	if (making && ql_docker_folder_age(run) * 1000 <= QL_DOCKER_IN_FLIGHT_MS) {
		run->later.ring = look_later;
		ql_docker_later(run->driver->docker, &run->later, IN_FLIGHT_LOOK_MS);
		return;
	}
	run->known = true;
	run->busy = false;
	if (!run->record.phase) {
		absent(run);
		return;
	}
	if (making)
		fail_start(run, "Its container was never made");
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

static void
look(struct ql_docker_run *run)
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
		look(run);
		return;
	}
	run->news.facts.epoch = ask->epoch;
	ql_docker_run_tell_truth(run);
	ql_docker_act_answer(run, 0, NULL);
}

static void
released(struct ql_docker_call *call, int status)
{
	struct ql_docker_run *run = call->owner;
	struct ql_err e = call->err;
	if (status && call->http != 400) {
		run->known = false; /* what it has come to is only known by a look */
		ql_docker_act_answer(run, -1, &e);
		return;
	}
	ql_docker_run_tell(run, QL_EVENT_RUNNING);
	if (!status) {
		look(run);
		return;
	}
	ql_docker_run_not_startable(run, e.text);
	ql_docker_act_answer(run, 0, NULL);
}

static void
release(struct ql_docker_run *run, const struct ql_docker_ask *ask)
{
	struct ql_err e;
	if (ask->looked) { /* after its start: that is told already */
		ql_docker_act_answer(run, 0, NULL);
		return;
	}
	if (ql_docker_run_has_ended(run) || run->ending || run->end) {
		refuse(run, "has ended, or is being ended: it can't be released");
		return;
	}
	if (run->record.phase == QL_DOCKER_RELEASED) {
		ql_docker_act_answer(run, 0, NULL);
		return;
	}
	run->record.phase = QL_DOCKER_RELEASED;
	run->call.done = released;
	if (ql_docker_folder_save(run, &e)) {
		run->record.phase = QL_DOCKER_HELD;
		ql_docker_act_answer(run, -1, &e);
		return;
	}
	if (ql_docker_ask(run->driver->docker, &run->call, "POST", NULL, QL_DOCKER_SLOW_MS,
		    "/containers/%s/start", run->record.id) == 0)
		return;
	e = run->call.err;
	run->record.phase = QL_DOCKER_HELD;
	ql_docker_act_answer(run, -1, &e);
}

static int
mark_sent(struct ql_docker_run *run, enum ql_rung rung, struct ql_err *e)
{
	if (run->record.sent < (int32_t)rung)
		run->record.sent = (int32_t)rung;
	return ql_docker_folder_save(run, e);
}

static void
notice(struct ql_docker_run *run, const struct ql_docker_ask *ask)
{
	struct ql_err e = {0};
	if (ql_docker_run_has_ended(run) || run->ending) {
		refuse(run, "has ended: it can't be noticed");
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

static void
terminate(struct ql_docker_run *run)
{
	struct ql_err e;
	if (ql_docker_run_has_ended(run) || run->ending) {
		refuse(run, "has ended: it can't be terminated");
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

static int
begin_kill(struct ql_docker_run *run, struct ql_err *e)
{
	if (ql_docker_run_has_ended(run) || run->ending)
		return 0;
	return mark_sent(run, QL_RUNG_KILL, e) ? -1 : ql_docker_run_kill(run, e);
}

static void
kill_run(struct ql_docker_run *run)
{
	struct ql_err e = {0};
	int status = begin_kill(run, &e);
	ql_docker_act_answer(run, status, &e);
}

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

static void
salvage(struct ql_docker_run *run)
{
	struct ql_err e;
	char fresh[PATH_MAX + 32];
	if (run->record.phase != QL_DOCKER_GONE) {
		refuse(run, "lives: there is nothing to salvage yet");
		return;
	}
	if (ql_docker_folder_is_bare(run) || run->record.flags & QL_RUN_UNSTARTED) {
		say_salvaged(run);
		return;
	}
	snprintf(fresh, sizeof(fresh), "%s/." QL_KEEP_CHECKPOINT, run->record.keep_dir);
	run->salvaged = 0;
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
	absent(run);
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
static void
forget(struct ql_docker_run *run)
{
	struct ql_err e;
	bool over = run->record.phase == QL_DOCKER_GONE || run->record.phase == QL_DOCKER_FAILED;
	if (!over) {
		refuse(run, "lives: it can't be forgotten");
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
static void
purge(struct ql_docker_run *run)
{
	struct ql_err e;
	bool over = run->record.phase == QL_DOCKER_GONE || run->record.phase == QL_DOCKER_FAILED;
	run->purging = true;
	if (over) {
		forget(run);
		return;
	}
	if (!run->ending && !run->end && begin_kill(run, &e))
		ql_docker_act_answer(run, -1, &e);
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
		release(run, ask);
		break;
	case QL_ACT_NOTICE:
		notice(run, ask);
		break;
	case QL_ACT_TERMINATE:
		terminate(run);
		break;
	case QL_ACT_KILL:
		kill_run(run);
		break;
	case QL_ACT_SALVAGE:
		salvage(run);
		break;
	case QL_ACT_FORGET:
		forget(run);
		break;
	default:
		purge(run);
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
		start(run, ask->op->launch);
		return;
	}
	bool live = !ql_docker_run_has_ended(run) || run->record.phase == QL_DOCKER_EXITED;
	if (!status && live && ql_proof_is_other_boot(run->record.boot_id))
		outlived(run);
	if (status || (live && run->record.phase != QL_DOCKER_GONE)) {
		look(run);
		return;
	}
	run->known = true;
	run->busy = false;
}
