#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/owner.h"
#include "base/str.h"
#include "sweeper/inside.h"

int64_t
ql_host_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

bool
ql_host_is_late(const struct ql_host *host)
{
	return ql_host_now_ms() >= host->until;
}

bool
ql_host_has_run(const struct ql_host *host, uint64_t incarnation)
{
	char path[PATH_MAX + 32];
	if (!host->run_dir[0])
		return false;
	snprintf(path, sizeof(path), "%s/%016" PRIx64, host->run_dir, incarnation);
	return access(path, F_OK) == 0;
}

int64_t
ql_host_age_ms(const struct stat *st)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - st->st_ctim.tv_sec) * 1000LL +
	       (now.tv_nsec - st->st_ctim.tv_nsec) / 1000000;
}

/* ---- on a thread of the loop's pool ---- */

/* One place that can't be looked at keeps no other from being looked at. */
static int
look(struct ql_host *host, struct ql_traces *traces, struct ql_err *e)
{
	int rc = 0;
	host->until = ql_host_now_ms() + QL_FIND_MS;
	rc |= ql_host_find_processes(host, traces, e);
	rc |= ql_host_find_cgroups(host, traces, e);
	rc |= ql_host_find_mounts(host, traces, e);
	rc |= ql_host_find_folders(host, traces, e);
	return rc;
}

static int
end(struct ql_host *host, const struct ql_trace *trace, struct ql_err *e)
{
	switch (trace->kind) {
	case QL_ORPHAN_PROCESS:
		return ql_host_reap_process(host, trace, e);
	case QL_ORPHAN_CGROUP:
		return ql_host_reap_cgroup(host, trace, e);
	case QL_ORPHAN_MOUNT:
		return ql_host_reap_mount(host, trace, e);
	case QL_ORPHAN_FOLDER:
		return ql_host_reap_folder(host, trace, e);
	default:
		return ql_fail(e, QL_E_INVALID, "%s: this host's finder has no hand on a %s",
			trace->name, ql_orphan_kind_word(trace->kind));
	}
}

static struct ql_host *
host_of(uv_work_t *work)
{
	return QL_OWNER(work, struct ql_host, work);
}

static void
find_now(uv_work_t *work)
{
	struct ql_host *host = host_of(work);
	host->status = look(host, host->find->traces, &host->find->err);
}

static void
on_found(uv_work_t *work, int status)
{
	struct ql_host *host = host_of(work);
	struct ql_find *op = host->find;
	(void)status; /* nothing cancels it */
	host->find = NULL;
	op->done(op, host->status);
}

static void
find(struct ql_finder *finder, struct ql_find *op)
{
	struct ql_host *host = (struct ql_host *)finder;
	assert(!host->find && !host->reap);
	host->find = op;
	uv_queue_work(host->loop, &host->work, find_now, on_found);
}

static void
reap_now(uv_work_t *work)
{
	struct ql_host *host = host_of(work);
	host->status = end(host, host->reap->trace, &host->reap->err);
}

static void
on_reaped(uv_work_t *work, int status)
{
	struct ql_host *host = host_of(work);
	struct ql_reap *op = host->reap;
	(void)status;
	host->reap = NULL;
	op->done(op, host->status);
}

static void
reap(struct ql_finder *finder, struct ql_reap *op)
{
	struct ql_host *host = (struct ql_host *)finder;
	assert(!host->find && !host->reap);
	host->reap = op;
	uv_queue_work(host->loop, &host->work, reap_now, on_reaped);
}

static void
free_host(struct ql_finder *finder)
{
	free(finder);
}

static const struct ql_finder_ops host_ops = {
	.name = "host",
	.find = find,
	.reap = reap,
	.free = free_host,
};

struct ql_finder *
ql_finder_host(uv_loop_t *loop, const struct ql_host_config *config)
{
	struct ql_host *host = calloc(1, sizeof(*host));
	if (!host)
		return NULL;
	host->finder.ops = &host_ops;
	host->finder.kinds = 1u << QL_ORPHAN_PROCESS | 1u << QL_ORPHAN_CGROUP |
			     1u << QL_ORPHAN_MOUNT | 1u << QL_ORPHAN_FOLDER;
	host->loop = loop;
	ql_str_copy(host->finder.server, sizeof(host->finder.server), config->server);
	ql_str_copy(host->run_dir, sizeof(host->run_dir), config->run_dir ? config->run_dir : "");
	ql_str_copy(host->data_dir, sizeof(host->data_dir), config->data_dir);
	return &host->finder;
}
