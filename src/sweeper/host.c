#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

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

/* One place that can't be looked at keeps no other from being looked at. */
static int
find(struct ql_finder *finder, struct ql_traces *traces, struct ql_err *e)
{
	struct ql_host *host = (struct ql_host *)finder;
	int rc = 0;
	host->until = ql_host_now_ms() + QL_FIND_MS;
	rc |= ql_host_find_processes(host, traces, e);
	rc |= ql_host_find_cgroups(host, traces, e);
	rc |= ql_host_find_mounts(host, traces, e);
	rc |= ql_host_find_folders(host, traces, e);
	return rc;
}

static int
reap(struct ql_finder *finder, const struct ql_trace *trace, struct ql_err *e)
{
	struct ql_host *host = (struct ql_host *)finder;
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

static void
free_host(struct ql_finder *finder)
{
	free(finder);
}

static const struct ql_finder_ops host_ops = {.find = find, .reap = reap, .free = free_host};

struct ql_finder *
ql_finder_host(const struct ql_host_config *config)
{
	struct ql_host *host = calloc(1, sizeof(*host));
	if (!host)
		return NULL;
	host->finder.ops = &host_ops;
	ql_str_copy(host->finder.server, sizeof(host->finder.server), config->server);
	ql_str_copy(host->run_dir, sizeof(host->run_dir), config->run_dir ? config->run_dir : "");
	ql_str_copy(host->data_dir, sizeof(host->data_dir), config->data_dir);
	return &host->finder;
}
