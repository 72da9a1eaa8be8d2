#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "proof/process.h"
#include "runner/cgroup.h"
#include "runner/file.h"
#include "sweeper/inside.h"

#define PATH (QL_RUNNER_CGROUP_PATH * 2)

/* Processes below it, how deep ever they stand; -1 when it can't be told. */
static int
has_members(const char *path, int depth)
{
	char file[PATH + 32];
	char some[64];
	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	int len = ql_process_file(file, some, sizeof(some));
	if (len)
		return len < 0 ? -1 : 1;
	DIR *dir = depth ? opendir(path) : NULL;
	if (!dir)
		return -1;
	int found = 0;
	const struct dirent *entry;
	while (!found && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		int n = snprintf(file, PATH, "%s/%s", path, entry->d_name);
		found = n < PATH ? has_members(file, depth - 1) : -1;
	}
	closedir(dir);
	return found;
}

static void
consider(struct ql_host *host, struct ql_traces *traces, const char *folder, const char *name)
{
	char server[QL_ORPHAN_SERVER];
	uint64_t run;
	struct stat st;
	char path[PATH];
	if (ql_orphan_leaf(name, server, &run) || !ql_finder_is_named(&host->finder, server) ||
		snprintf(path, sizeof(path), "%s/%s", folder, name) >= PATH || stat(path, &st))
		return;
	struct ql_trace *trace = ql_traces_add(traces);
	if (!trace)
		return;
	trace->kind = QL_ORPHAN_CGROUP;
	trace->incarnation = run;
	trace->age_ms = ql_host_age_ms(&st);
	trace->marks = 1u << QL_MARK_NAME;
	if (has_members(path, QL_HOST_NESTED) == 0)
		trace->marks |= 1u << QL_MARK_EMPTY;
	else
		ql_str_copy(trace->text, sizeof(trace->text), "processes stand in it");
	ql_str_copy(trace->name, sizeof(trace->name), path);
}

int
ql_host_find_cgroups(struct ql_host *host, struct ql_traces *traces, struct ql_err *e)
{
	(void)e; /* a hierarchy that can't be read holds no cgroup that we could have made */
	struct ql_cgroup_host place;
	ql_cgroup_find(NULL, &place);
	for (int i = 0; i < place.count; i++) {
		DIR *dir = opendir(place.trees[i].folder);
		const struct dirent *entry;
		while (dir && (entry = readdir(dir)) && !ql_host_is_late(host))
			consider(host, traces, place.trees[i].folder, entry->d_name);
		if (dir)
			closedir(dir);
	}
	traces->partial |= ql_host_is_late(host);
	return 0;
}

/* The kernel refuses where a process stands in it. */
static int
remove_tree(const char *path, int depth)
{
	char below[PATH];
	if (rmdir(path) == 0 || errno == ENOENT)
		return 0;
	DIR *dir = depth ? opendir(path) : NULL;
	if (!dir)
		return -1;
	int rc = 0;
	const struct dirent *entry;
	while (!rc && (entry = readdir(dir))) {
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			rc = snprintf(below, PATH, "%s/%s", path, entry->d_name) < PATH
				     ? remove_tree(below, depth - 1)
				     : -1;
	}
	closedir(dir);
	return rc || (rmdir(path) && errno != ENOENT) ? -1 : 0;
}

int
ql_host_reap_cgroup(struct ql_host *host, const struct ql_trace *trace, struct ql_err *e)
{
	(void)host;
	if (has_members(trace->name, QL_HOST_NESTED) == 1)
		return ql_fail(e, QL_E_CONFLICT, "processes stand in %s now: it was left alone",
			trace->name);
	if (remove_tree(trace->name, QL_HOST_NESTED) || access(trace->name, F_OK) == 0)
		return ql_fail_sys(e, "%s can't be removed", trace->name);
	return 0;
}
