#include "runner/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "proof/process.h"
#include "runner/file.h"

#define CPU_PERIOD_US 100000
#define KILL_PASSES 64 /* over a v1 leaf whose processes fork on */

struct setting {
	enum ql_limit limit;
	bool v2;
	bool needed; /* without it the limit isn't enforced */
	const char *file;
	const char *fixed; /* what is written; NULL = the limit's number */
	const char *suffix; /* and this after the number, or NULL */
};

static const struct setting settings[] = {
	{QL_LIMIT_MEMORY, true, true, "memory.max"},
	{QL_LIMIT_MEMORY, true, false, "memory.swap.max", "0"},
	{QL_LIMIT_MEMORY, true, false, "memory.oom.group", "1"},
	{QL_LIMIT_PIDS, true, true, "pids.max"},
	{QL_LIMIT_CPU, true, true, "cpu.max", NULL, " 100000"},
	{QL_LIMIT_MEMORY, false, true, "memory.limit_in_bytes"},
	{QL_LIMIT_MEMORY, false, false, "memory.memsw.limit_in_bytes"},
	{QL_LIMIT_PIDS, false, true, "pids.max"},
	{QL_LIMIT_CPU, false, false, "cpu.cfs_period_us", "100000"},
	{QL_LIMIT_CPU, false, true, "cpu.cfs_quota_us"},
};

#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))

static int64_t
value_of(const struct ql_cgroup_limits *limits, enum ql_limit limit)
{
	switch (limit) {
	case QL_LIMIT_MEMORY:
		return limits->memory_bytes;
	case QL_LIMIT_PIDS:
		return limits->pids;
	default:
		return limits->cpu_milli * CPU_PERIOD_US / 1000;
	}
}

/* Files that a hierarchy hasn't got are just not there: the host's shape needs no other test. */
static unsigned
set_limits(int leaf, bool v2, const struct ql_cgroup_limits *limits)
{
	unsigned enforced = 0;
	char text[64];
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings[i];
		if (setting->v2 != v2)
			continue;
		if (setting->fixed)
			ql_str_copy(text, sizeof(text), setting->fixed);
		else
			snprintf(text, sizeof(text), "%lld%s",
				(long long)value_of(limits, setting->limit),
				setting->suffix ? setting->suffix : "");
		if (ql_file_poke_at(leaf, setting->file, text) == 0 && setting->needed)
			enforced |= 1u << setting->limit;
	}
	return enforced;
}

void
ql_cgroup_name(const struct ql_cgroup_host *host, const char *name, struct ql_cgroup *ret_group)
{
	*ret_group = (struct ql_cgroup){0};
	for (int i = 0; i < host->count; i++) {
		int at = ret_group->count;
		int n = snprintf(ret_group->paths[at], QL_RUNNER_CGROUP_PATH, "%s/%s",
			host->trees[i].folder, name);
		ret_group->v2[at] = host->trees[i].v2;
		ret_group->count += n < QL_RUNNER_CGROUP_PATH;
	}
}

static void
drop(struct ql_cgroup *group, int at)
{
	int after = group->count - at - 1;
	memmove(group->paths[at], group->paths[at + 1], (size_t)after * QL_RUNNER_CGROUP_PATH);
	memmove(&group->v2[at], &group->v2[at + 1], (size_t)after * sizeof(group->v2[0]));
	group->paths[--group->count][0] = 0;
}

void
ql_cgroup_make(struct ql_cgroup *group, const struct ql_cgroup_limits *limits)
{
	for (int i = 0; i < group->count;) {
		const char *path = group->paths[i];
		char parent[QL_RUNNER_CGROUP_PATH];
		ql_str_copy(parent, sizeof(parent), path);
		*strrchr(parent, '/') = 0;
		if (group->v2[i])
			ql_cgroup_hand_down(parent);
		QL_CLEAN_FD int leaf = -1;
		if (mkdir(path, 0700) == 0)
			leaf = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (leaf < 0) {
			drop(group, i);
			continue;
		}
		group->enforced |= set_limits(leaf, group->v2[i], limits);
		i++;
	}
}

static int
find_v2(const struct ql_cgroup *group)
{
	for (int i = 0; i < group->count; i++) {
		if (group->v2[i])
			return i;
	}
	return -1;
}

static int
open_v2(const struct ql_cgroup *group, const char *file, int flags)
{
	char path[QL_RUNNER_CGROUP_PATH + 32];
	int at = find_v2(group);
	if (at < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/%s", group->paths[at], file);
	return open(path, flags | O_CLOEXEC);
}

int
ql_cgroup_open_v2(const struct ql_cgroup *group)
{
	return open_v2(group, ".", O_PATH | O_DIRECTORY);
}

int
ql_cgroup_open_events(const struct ql_cgroup *group)
{
	return open_v2(group, "cgroup.events", O_RDONLY);
}

int
ql_cgroup_open_v1(
	const struct ql_cgroup *group, int ret_fds[QL_RUNNER_CGROUPS + 1], struct ql_err *e)
{
	char path[QL_RUNNER_CGROUP_PATH + 32];
	int count = 0;
	for (int i = 0; i < group->count; i++) {
		if (group->v2[i])
			continue;
		snprintf(path, sizeof(path), "%s/tasks", group->paths[i]);
		ret_fds[count] = open(path, O_WRONLY | O_CLOEXEC);
		if (ret_fds[count++] < 0)
			return ql_fail_sys(e, "open %s", path);
	}
	ret_fds[count] = -1;
	return 0;
}

int
ql_cgroup_enter(const int *fds, struct ql_err *e)
{
	for (; *fds >= 0; fds++) {
		if (write(*fds, "0", 1) < 0)
			return ql_fail_sys(e, "enter the run's cgroup");
	}
	return 0;
}

struct pass {
	const char *path;
	int killed;
};

/* The pid may have changed hands since the list was read: look again once it is held. */
static void
kill_member(struct pass *pass, int32_t pid)
{
	const char *leaf = strrchr(pass->path, '/');
	char path[64];
	char text[4096];
	QL_CLEAN_FD int pidfd = pidfd_open(pid, 0);
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	if (pidfd < 0 || ql_process_file(path, text, sizeof(text)) <= 0 || !strstr(text, leaf))
		return;
	pass->killed += pidfd_send_signal(pidfd, SIGKILL, NULL, 0) == 0;
}

static void
kill_v1(const char *leaf)
{
	char path[QL_RUNNER_CGROUP_PATH + 32];
	char text[16384];
	struct pass pass = {.path = leaf, .killed = 1};
	snprintf(path, sizeof(path), "%s/pids.max", leaf);
	ql_file_poke(path, "0");
	snprintf(path, sizeof(path), "%s/cgroup.procs", leaf);
	for (int i = 0; i < KILL_PASSES && pass.killed; i++) {
		pass.killed = 0;
		if (ql_process_file(path, text, sizeof(text)) <= 0)
			return;
		char *end;
		for (char *s = text; *s; s = *end ? end + 1 : end) {
			long pid = strtol(s, &end, 10);
			if (end == s)
				break;
			kill_member(&pass, (int32_t)pid);
		}
	}
}

void
ql_cgroup_kill(const struct ql_cgroup *group)
{
	char path[QL_RUNNER_CGROUP_PATH + 32];
	int at = find_v2(group);
	if (at >= 0) {
		snprintf(path, sizeof(path), "%s/cgroup.kill", group->paths[at]);
		if (ql_file_poke(path, "1") == 0)
			return;
	}
	for (int i = 0; i < group->count; i++)
		kill_v1(group->paths[i]);
}

/* The number after `key` in a file of the leaf; -1 when there is none. */
static int64_t
read_count(const char *folder, const char *file, const char *key)
{
	char path[QL_RUNNER_CGROUP_PATH + 32];
	char text[1024];
	snprintf(path, sizeof(path), "%s/%s", folder, file);
	if (ql_process_file(path, text, sizeof(text)) <= 0)
		return -1;
	const char *at = strstr(text, key);
	return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

static bool
counts_oom(const char *folder, const char *file)
{
	return read_count(folder, file, "oom_kill ") > 0;
}

bool
ql_cgroup_had_oom(const struct ql_cgroup *group)
{
	bool had = false;
	for (int i = 0; i < group->count; i++)
		had |= counts_oom(
			group->paths[i], group->v2[i] ? "memory.events" : "memory.oom_control");
	return had;
}

/* v2 counts it in every cgroup, with or without its cpu controller. */
int64_t
ql_cgroup_cpu_us(const struct ql_cgroup *group)
{
	int64_t most = 0;
	for (int i = 0; i < group->count; i++) {
		const char *path = group->paths[i];
		int64_t us = group->v2[i] ? read_count(path, "cpu.stat", "usage_usec ")
					  : read_count(path, "cpuacct.usage", "") / 1000;
		most = us > most ? us : most;
	}
	return most;
}

int
ql_cgroup_remove(struct ql_cgroup *group, struct ql_err *e)
{
	int left = 0;
	for (int i = 0; i < group->count; i++) {
		if (rmdir(group->paths[i]) == 0 || errno == ENOENT)
			continue;
		ql_fail_sys(e, "remove cgroup %s", group->paths[i]);
		left++;
	}
	return left ? -1 : 0;
}

void
ql_cgroup_load(struct ql_cgroup *ret_group, const char (*paths)[QL_RUNNER_CGROUP_PATH])
{
	*ret_group = (struct ql_cgroup){0};
	for (int i = 0; i < QL_RUNNER_CGROUPS && paths[i][0]; i++) {
		char events[QL_RUNNER_CGROUP_PATH + 32];
		snprintf(events, sizeof(events), "%s/cgroup.events", paths[i]);
		ql_str_copy(ret_group->paths[i], QL_RUNNER_CGROUP_PATH, paths[i]);
		ret_group->v2[i] = access(events, F_OK) == 0;
		ret_group->count++;
	}
}
