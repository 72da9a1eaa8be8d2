#include "proof/proof.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proof/process.h"
#include "proof/scan.h"

#define PROCS_MAX (64 << 10) /* bytes of a cgroup.procs that are looked at */

static int32_t
bit(enum ql_check check)
{
	return 1 << check;
}

static void
settle(struct ql_proof *proof, enum ql_check check, bool passed)
{
	*(passed ? &proof->passed : &proof->failed) |= bit(check);
}

static void
name_one(struct ql_proof *proof, int32_t pid)
{
	char one[160];
	size_t len = strlen(proof->text);
	for (int i = 0; i < proof->left && i < QL_PROOF_NAMED; i++) {
		if (proof->pids[i] == pid)
			return;
	}
	if (proof->left++ >= QL_PROOF_NAMED)
		return;
	proof->pids[proof->left - 1] = pid;
	ql_process_describe(pid, one, sizeof(one));
	snprintf(proof->text + len, sizeof(proof->text) - len, "%s%s", len ? "; " : "", one);
}

void
ql_proof_boot_id(char ret_id[static QL_BOOT_ID])
{
	if (ql_process_file("/proc/sys/kernel/random/boot_id", ret_id, QL_BOOT_ID) <= 0)
		ret_id[0] = 0;
}

bool
ql_proof_is_other_boot(const char *boot_id)
{
	char now[QL_BOOT_ID];
	ql_proof_boot_id(now);
	return boot_id && *boot_id && *now && strcmp(now, boot_id) != 0;
}

static void
check_init(const struct ql_proof_subject *subject, struct ql_proof *proof)
{
	struct pollfd poller = {.fd = subject->pidfd, .events = POLLIN};
	bool dead;
	if (subject->pidfd >= 0)
		dead = poll(&poller, 1, 0) == 1;
	else if (subject->init_pid)
		dead = !ql_process_lives(subject->init_pid, subject->init_start);
	else
		return;
	settle(proof, QL_CHECK_PIDFD, dead);
	if (!dead)
		name_one(proof, subject->init_pid);
}

/* 1: populated, 0: not, or gone, -1: it can't be read. */
static int
is_populated(const char *cgroup, char *text, size_t size)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/cgroup.events", cgroup);
	if (ql_process_file(path, text, size) > 0)
		return strstr(text, "populated 1") != NULL;
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	int len = ql_process_file(path, text, size);
	if (len >= 0)
		return len > 0;
	return errno == ENOENT || errno == ENODEV ? 0 : -1;
}

static void
each_member(const char *cgroup, void (*found)(void *arg, int32_t pid), void *arg)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	char *text = malloc(PROCS_MAX);
	if (!text)
		return;
	int len = ql_process_file(path, text, PROCS_MAX);
	char *end = text;
	for (char *s = text; len > 0 && *s; s = *end ? end + 1 : end) {
		long pid = strtol(s, &end, 10);
		if (end == s)
			break;
		if (pid > 0)
			found(arg, (int32_t)pid);
	}
	free(text);
}

static void
name_member(void *arg, int32_t pid)
{
	name_one(arg, pid);
}

static void
check_cgroups(const struct ql_proof_subject *subject, struct ql_proof *proof)
{
	char text[256];
	int asked = 0;
	int populated = 0;
	for (const char *const *cgroup = subject->cgroups; cgroup && *cgroup; cgroup++) {
		int is = is_populated(*cgroup, text, sizeof(text));
		asked += is >= 0;
		if (is > 0 && !populated++)
			each_member(*cgroup, name_member, proof);
		if (is < 0)
			return;
	}
	if (asked)
		settle(proof, QL_CHECK_CGROUP, !populated);
}

static void
take_found(void *arg, enum ql_check check, int32_t pid)
{
	struct ql_proof *proof = arg;
	struct ql_process process;
	if (ql_process_read(pid, &process))
		return;
	if (strchr("ZX", process.state)) {
		proof->zombies++;
		return;
	}
	proof->failed |= bit(check);
	name_one(proof, pid);
}

static bool
is_mounted(const char *mount, bool *ret_found)
{
	char line[4096];
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	if (!mounts)
		return false;
	*ret_found = false;
	while (!*ret_found && fgets(line, sizeof(line), mounts))
		*ret_found = strstr(line, mount) != NULL;
	fclose(mounts);
	return true;
}

static void
check_processes(const struct ql_proof_subject *subject, struct ql_proof *proof)
{
	struct ql_scan *scan = malloc(sizeof(*scan));
	if (!scan)
		return;
	ql_scan_init(scan, subject);
	scan->found = take_found;
	scan->arg = proof;
	if (ql_scan_proc(scan) == 0) {
		if (subject->pidns && !scan->hidden)
			proof->passed |= bit(QL_CHECK_PIDNS) & ~proof->failed;
		if (subject->mark || subject->folder)
			proof->passed |= bit(QL_CHECK_MARKS) & ~proof->failed;
	}
	free(scan);
}

void
ql_prove(const struct ql_proof_subject *subject, struct ql_proof *ret_proof)
{
	*ret_proof = (struct ql_proof){0};
	int32_t all = bit(QL_CHECK_PIDFD) | bit(QL_CHECK_CGROUP) | bit(QL_CHECK_PIDNS) |
		      bit(QL_CHECK_MARKS) | bit(QL_CHECK_MOUNTS);
	if (ql_proof_is_other_boot(subject->boot_id)) {
		ret_proof->passed = all;
		return;
	}
	check_init(subject, ret_proof);
	check_cgroups(subject, ret_proof);
	check_processes(subject, ret_proof);
	bool found;
	if (subject->mount && is_mounted(subject->mount, &found)) {
		settle(ret_proof, QL_CHECK_MOUNTS, !found);
		if (found && !ret_proof->left)
			snprintf(ret_proof->text, sizeof(ret_proof->text), "a mount of it");
	}
	ret_proof->unasked = all & ~ret_proof->passed & ~ret_proof->failed;
	size_t len = strlen(ret_proof->text);
	if (ret_proof->left > QL_PROOF_NAMED)
		snprintf(ret_proof->text + len, sizeof(ret_proof->text) - len, "; and %d more",
			ret_proof->left - QL_PROOF_NAMED);
}

bool
ql_proof_holds(const struct ql_proof *proof)
{
	return !proof->failed &&
	       (proof->passed & (bit(QL_CHECK_PIDFD) | bit(QL_CHECK_CGROUP) | bit(QL_CHECK_PIDNS)));
}

struct each {
	void (*found)(void *arg, int32_t pid);
	void *arg;
};

static void
pass_on(void *arg, enum ql_check check, int32_t pid)
{
	const struct each *each = arg;
	if (check != QL_CHECK_MARKS)
		each->found(each->arg, pid);
}

void
ql_proof_each(
	const struct ql_proof_subject *subject, void (*found)(void *arg, int32_t pid), void *arg)
{
	struct each each = {.found = found, .arg = arg};
	if (ql_proof_is_other_boot(subject->boot_id))
		return;
	if (subject->init_pid && ql_process_lives(subject->init_pid, subject->init_start))
		found(arg, subject->init_pid);
	for (const char *const *cgroup = subject->cgroups; cgroup && *cgroup; cgroup++)
		each_member(*cgroup, found, arg);
	struct ql_scan *scan = malloc(sizeof(*scan));
	if (!scan)
		return;
	ql_scan_init(scan, subject);
	scan->found = pass_on;
	scan->arg = &each;
	ql_scan_proc(scan);
	free(scan);
}

struct seek {
	int32_t pid;
	bool found;
};

static void
compare(void *arg, int32_t pid)
{
	struct seek *seek = arg;
	seek->found |= seek->pid == pid;
}

bool
ql_proof_matches(const struct ql_proof_subject *subject, int32_t pid)
{
	struct seek seek = {.pid = pid};
	ql_proof_each(subject, compare, &seek);
	return seek.found;
}
