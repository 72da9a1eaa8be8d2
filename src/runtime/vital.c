/* What the processes of a run are doing, read from /proc and their cgroup. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proof/process.h"
#include "proof/proof.h"
#include "runtime/runtime.h"

#define FREEZER "/sys/fs/cgroup/freezer" /* where every distribution mounts it */

static bool
has(const struct ql_vitals *vitals, int32_t pid)
{
	for (size_t i = 0; i < vitals->count; i++) {
		if (vitals->all[i].pid == pid)
			return true;
	}
	return false;
}

/* On v1 any freezer may hold it, under whatever path: its own list of cgroups says which. */
static bool
is_in_freezer(int32_t pid)
{
	char path[QL_NAMES_PATH + 64];
	char text[4096];
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	char *folder =
		ql_process_file(path, text, sizeof(text)) > 0 ? strstr(text, ":freezer:") : NULL;
	if (!folder)
		return false;
	folder += strlen(":freezer:");
	folder[strcspn(folder, "\n")] = 0;
	snprintf(path, sizeof(path), FREEZER "%s/freezer.state", folder);
	return ql_process_file(path, text, sizeof(text)) > 0 && !strncmp(text, "FR", 2);
}

static void
add(void *arg, int32_t pid)
{
	struct ql_vitals *vitals = arg;
	struct ql_process process, parent;
	struct ql_process_masks masks = {0};
	if (has(vitals, pid) || ql_process_read(pid, &process))
		return;
	if (vitals->count == QL_VITALS_MAX) {
		vitals->more++;
		return;
	}
	struct ql_vital *vital = &vitals->all[vitals->count++];
	(void)ql_process_masks(pid, &masks); /* a zombie has none */
	*vital = (struct ql_vital){.pid = pid,
		.ppid = process.ppid,
		.state = process.state,
		.frozen = is_in_freezer(pid),
		.tracer = masks.tracer,
		.pending = masks.pending,
		.blocked = masks.blocked,
		.ignored = masks.ignored,
		.caught = masks.caught};
	ql_str_copy(vital->name, sizeof(vital->name), process.name);
	ql_process_wchan(pid, vital->wchan, sizeof(vital->wchan));
	if (!ql_process_read(process.ppid, &parent))
		ql_str_copy(vital->parent, sizeof(vital->parent), parent.name);
}

/* No cgroup and no namespace shows them any more: they are found by their parents. */
static void
add_zombies(struct ql_vitals *vitals)
{
	DIR *proc = opendir("/proc");
	struct ql_process process;
	const struct dirent *entry;
	while (proc && (entry = readdir(proc))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		if (*end || pid <= 0 || ql_process_read((int32_t)pid, &process))
			continue;
		if (process.state == 'Z' && has(vitals, process.ppid))
			add(vitals, (int32_t)pid);
	}
	if (proc)
		closedir(proc);
}

static bool
is_frozen(const struct ql_run_names *names)
{
	char path[QL_NAMES_PATH + 32];
	char text[256];
	for (int i = 0; i < QL_NAMES_CGROUPS && names->cgroups[i][0]; i++) {
		snprintf(path, sizeof(path), "%s/cgroup.events", names->cgroups[i]);
		if (ql_process_file(path, text, sizeof(text)) > 0 && strstr(text, "frozen 1"))
			return true;
	}
	return false;
}

void
ql_vitals_read(const struct ql_run_names *names, struct ql_vitals *ret_vitals)
{
	struct ql_process init;
	const char *cgroups[QL_NAMES_CGROUPS + 1] = {NULL};
	for (int i = 0; i < QL_NAMES_CGROUPS && names->cgroups[i][0]; i++)
		cgroups[i] = names->cgroups[i];
	struct ql_proof_subject subject = {.boot_id = names->boot_id,
		.pidfd = -1,
		.init_pid = names->init_pid,
		.init_start = names->init_start,
		.pidns = names->pidns,
		.cgroups = cgroups};
	ret_vitals->asked = true;
	if (names->init_pid && !ql_proof_is_other_boot(names->boot_id) &&
		!ql_process_read(names->init_pid, &init) && init.start == names->init_start)
		add(ret_vitals, names->init_pid); /* its zombie too */
	if (ret_vitals->count)
		ret_vitals->all[0].init = names->has_init;
	ql_proof_each(&subject, add, ret_vitals);
	add_zombies(ret_vitals);
	ret_vitals->frozen = is_frozen(names);
}

/* The number behind the name; 0 = there is none. */
static int64_t
read_number(const char *folder, const char *file, const char *name)
{
	char path[QL_NAMES_PATH + 32];
	char text[1024];
	snprintf(path, sizeof(path), "%s/%s", folder, file);
	const char *found =
		ql_process_file(path, text, sizeof(text)) > 0 ? strstr(text, name) : NULL;
	return found ? strtoll(found + strlen(name), NULL, 10) : 0;
}

/* v2 has cpu.stat in every cgroup; v1 has cpuacct's in one of them. */
int64_t
ql_run_cpu_us(const struct ql_run_names *names)
{
	int64_t most = 0;
	for (int i = 0; i < QL_NAMES_CGROUPS && names->cgroups[i][0]; i++) {
		int64_t v2 = read_number(names->cgroups[i], "cpu.stat", "usage_usec ");
		int64_t v1 = read_number(names->cgroups[i], "cpuacct.usage", "") / 1000;
		int64_t us = v2 > v1 ? v2 : v1;
		most = us > most ? us : most;
	}
	return most;
}
