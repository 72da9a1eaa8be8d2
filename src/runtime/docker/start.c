#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "runtime/docker/act.h"

void
ql_docker_act_fail_start(struct ql_docker_run *run, const char *why)
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
	ql_docker_act_fail_start(run, call->err.text);
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
		ql_docker_act_fail_start(run, "The checkpoint that it starts from can't be read");
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
		ql_docker_act_fail_start(run, e.text);
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

void
ql_docker_act_make(struct ql_docker_run *run, const struct ql_launch *launch)
{
	struct ql_docker_runtime *driver = run->driver;
	const char *image = launch->image ? launch->image : driver->image;
	run->known = true;
	run->call.done = created;
	if (ql_docker_ask(driver->docker, &run->call, "POST",
		    ql_docker_create_body(run, launch, image), QL_DOCKER_SLOW_MS,
		    "/containers/create?name=quell-%s", run->name) == 0)
		return;
	struct ql_err e = run->call.err;
	run->known = false;
	ql_docker_act_answer(run, -1, &e);
}

void
ql_docker_act_start(struct ql_docker_run *run, const struct ql_launch *launch)
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
		ql_docker_act_fail_start(run, e.text);
		ql_docker_act_answer(run, 0, NULL);
		return;
	}
	ql_docker_act_make(run, launch);
}

/* ---- release ---- */

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
		ql_docker_act_look(run);
		return;
	}
	ql_docker_run_not_startable(run, e.text);
	ql_docker_act_answer(run, 0, NULL);
}

void
ql_docker_act_release(struct ql_docker_run *run, const struct ql_docker_ask *ask)
{
	struct ql_err e;
	if (ask->looked) { /* after its start: that is told already */
		ql_docker_act_answer(run, 0, NULL);
		return;
	}
	if (ql_docker_run_has_ended(run) || run->ending || run->end) {
		ql_docker_act_refuse(run, "has ended, or is being ended: it can't be released");
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
