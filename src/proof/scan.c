#include "proof/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proof/process.h"

/* 1: it is in that PID namespace, 0: it isn't, -1: it may not be asked. */
static int
is_in(int32_t pid, uint64_t inode)
{
	char path[64];
	char link[64];
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	ssize_t n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return errno == EACCES || errno == EPERM ? -1 : 0;
	link[n] = 0;
	const char *number = strchr(link, '[');
	return number && strtoull(number + 1, NULL, 10) == inode;
}

/* Does "NAME=value" stand in its environment? */
static bool
is_marked(struct ql_scan *scan, int32_t pid, const char *mark)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	int len = ql_process_file(path, scan->text, sizeof(scan->text));
	for (const char *s = scan->text; len > 0 && s < scan->text + len; s += strlen(s) + 1) {
		if (strcmp(s, mark) == 0)
			return true;
	}
	return false;
}

/* Its three arguments are those of a supervisor that starts this run: one of its forks. */
static bool
is_fork(struct ql_scan *scan, int32_t pid, const char *folder)
{
	char path[64];
	const char *strings[3] = {NULL};
	int count = 0;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	int len = ql_process_file(path, scan->text, sizeof(scan->text));
	for (const char *s = scan->text; len > 0 && s < scan->text + len; s += strlen(s) + 1) {
		if (count == 3)
			return false;
		strings[count++] = s;
	}
	return count == 3 && !strcmp(strings[1], "start") && !strcmp(strings[2], folder);
}

static uid_t
owner_of(int proc, const char *name)
{
	struct stat st;
	return fstatat(proc, name, &st, 0) ? (uid_t)-1 : st.st_uid;
}

/* By which check the process belongs to the run; -1 when by none. */
static int
match(struct ql_scan *scan, int proc, const char *name, int32_t pid)
{
	const struct ql_proof_subject *subject = scan->subject;
	int hit = scan->pidns ? is_in(pid, scan->pidns) : 0;
	if (hit > 0)
		return QL_CHECK_PIDNS;
	if (subject->folder && is_fork(scan, pid, subject->folder))
		return QL_CHECK_MARKS;
	if (owner_of(proc, name) != subject->uid)
		return -1;
	if (subject->mark && is_marked(scan, pid, subject->mark))
		return QL_CHECK_MARKS;
	scan->hidden |= hit < 0;
	return -1;
}

void
ql_scan_init(struct ql_scan *scan, const struct ql_proof_subject *subject)
{
	bool alive = subject->init_pid && ql_process_lives(subject->init_pid, subject->init_start);
	bool counts = subject->init_pid ? alive : subject->pinned;
	scan->subject = subject;
	scan->pidns = counts ? subject->pidns : 0;
	scan->hidden = false;
}

int
ql_scan_proc(struct ql_scan *scan)
{
	if (!scan->pidns && !scan->subject->mark && !scan->subject->folder)
		return 0;
	DIR *proc = opendir("/proc");
	if (!proc)
		return -1;
	int32_t self = getpid();
	const struct dirent *entry;
	while ((entry = readdir(proc))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		if (*end || pid <= 0 || pid == self)
			continue;
		int check = match(scan, dirfd(proc), entry->d_name, (int32_t)pid);
		if (check >= 0)
			scan->found(scan->arg, (enum ql_check)check, (int32_t)pid);
	}
	closedir(proc);
	return 0;
}
