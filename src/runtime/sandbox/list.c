#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/owner.h"
#include "base/str.h"
#include "runtime/sandbox/sandbox.h"

struct ql_sandbox_listing {
	struct ql_sandbox_listing *prev, *next;
	uv_work_t work;
	struct ql_sandbox *sandbox;
	struct ql_runtime_list *op; /* NULL once the desk answered it */
	uint64_t *incarnations;
	size_t count;
	int status;
	struct ql_err err;
};

static void
perform(uv_work_t *work)
{
	struct ql_sandbox_listing *listing = work->data;
	listing->status = ql_errand_list(
		listing->sandbox->runs, &listing->incarnations, &listing->count, &listing->err);
}

static bool
has(const struct ql_sandbox_listing *listing, uint64_t incarnation)
{
	for (size_t i = 0; i < listing->count; i++) {
		if (listing->incarnations[i] == incarnation)
			return true;
	}
	return false;
}

/* A run that is being made may have no folder yet. */
static int
add_starting(struct ql_sandbox_listing *listing)
{
	struct ql_sandbox *sandbox = listing->sandbox;
	size_t most = listing->count + HASH_COUNT(sandbox->by_name);
	uint64_t *more = realloc(listing->incarnations, (most + 1) * sizeof(*more));
	if (!more)
		return ql_fail(&listing->err, QL_E_UNAVAILABLE, "Out of memory for a list");
	listing->incarnations = more;
	for (struct ql_sandbox_run *run = sandbox->by_name; run; run = run->hh.next) {
		if (run->is_starting && !has(listing, run->incarnation))
			more[listing->count++] = run->incarnation;
	}
	return 0;
}

static void
answer(struct ql_sandbox_listing *listing)
{
	struct ql_runtime_list *op = listing->op;
	if (!listing->status)
		listing->status = add_starting(listing);
	if (listing->status) {
		op->err = listing->err;
	} else {
		op->incarnations = listing->incarnations;
		op->count = listing->count;
		listing->incarnations = NULL;
	}
	ql_desk_answer_list(&listing->sandbox->desk, op, listing->status);
}

static void
performed(uv_work_t *work, int status)
{
	struct ql_sandbox_listing *listing = work->data;
	struct ql_sandbox *sandbox = listing->sandbox;
	(void)status; /* never cancelled */
	if (listing->op)
		answer(listing);
	DL_DELETE(sandbox->listings, listing);
	free(listing->incarnations);
	free(listing);
	ql_sandbox_part_closed(sandbox);
}

static struct ql_sandbox_listing *
listing_new(struct ql_sandbox *sandbox, struct ql_runtime_list *op)
{
	struct ql_sandbox_listing *listing = calloc(1, sizeof(*listing));
	if (!listing)
		return NULL;
	listing->work.data = listing;
	listing->sandbox = sandbox;
	listing->op = op;
	return listing;
}

void
ql_sandbox_list(struct ql_runtime *runtime, struct ql_runtime_list *op)
{
	struct ql_sandbox *sandbox = (struct ql_sandbox *)runtime;
	if (ql_desk_take_list(&sandbox->desk, op))
		return;
	struct ql_sandbox_listing *listing = listing_new(sandbox, op);
	if (!listing || uv_queue_work(runtime->loop, &listing->work, perform, performed)) {
		free(listing);
		ql_fail(&op->err, QL_E_UNAVAILABLE, "Out of memory for a list");
		ql_desk_answer_list(&sandbox->desk, op, -1);
		return;
	}
	sandbox->open_parts++;
	DL_APPEND(sandbox->listings, listing);
}

void
ql_sandbox_list_dropped(struct ql_desk *desk, struct ql_runtime_list *op)
{
	struct ql_sandbox *sandbox = QL_OWNER(desk, struct ql_sandbox, desk);
	struct ql_sandbox_listing *listing;
	DL_FOREACH (sandbox->listings, listing) {
		if (listing->op == op)
			listing->op = NULL;
	}
}

/* ---- where a run is ---- */

static int
read_status(int runs, const char *name, struct ql_runner_status *ret_status)
{
	char path[QL_RUN_NAME + sizeof("/" QL_RUNNER_STATUS)];
	snprintf(path, sizeof(path), "%s/%s", name, QL_RUNNER_STATUS);
	int fd = openat(runs, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, ret_status, sizeof(*ret_status));
	if (fd >= 0)
		close(fd);
	bool whole = n == sizeof(*ret_status) && ret_status->magic == QL_RUNNER_MAGIC &&
		     ret_status->version == QL_RUNNER_VERSION && ret_status->end == QL_RUNNER_MAGIC;
	return whole ? 0 : -1;
}

int
ql_sandbox_names(struct ql_runtime *runtime, uint64_t incarnation, struct ql_run_names *ret_names,
	struct ql_err *e)
{
	const struct ql_sandbox *sandbox = (const struct ql_sandbox *)runtime;
	char name[QL_RUN_NAME];
	struct ql_runner_status status;
	ql_run_name(incarnation, name);
	if (read_status(sandbox->runs, name, &status))
		return ql_fail(
			e, QL_E_NOT_FOUND, "its supervisor has written nothing of run %s", name);
	*ret_names = (struct ql_run_names){.init_pid = status.init_pid,
		.init_start = status.init_start,
		.pidns = status.truth.pidns,
		.has_init = true};
	status.boot_id[sizeof(status.boot_id) - 1] = 0;
	ql_str_copy(ret_names->boot_id, sizeof(ret_names->boot_id), status.boot_id);
	for (int i = 0; i < QL_RUNNER_CGROUPS && i < QL_NAMES_CGROUPS; i++) {
		status.cgroups[i][QL_RUNNER_CGROUP_PATH - 1] = 0;
		ql_str_copy(ret_names->cgroups[i], QL_NAMES_PATH, status.cgroups[i]);
	}
	return 0;
}
