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

/* 1: it is that namespace, 0: it isn't, -1: it may not be asked. */
static int
is_namespace(int32_t pid, const char *kind, uint64_t inode)
{
	char path[64];
	char link[64];
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
	ssize_t n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return errno == EACCES || errno == EPERM ? -1 : 0;
	link[n] = 0;
	const char *number = strchr(link, '[');
	return number && strtoull(number + 1, NULL, 10) == inode;
}

/* Is `wanted` one of the NUL-terminated strings of /proc/PID/<file>? */
static bool
has_string(struct ql_scan *scan, int32_t pid, const char *file, const char *wanted)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	int len = ql_process_file(path, scan->text, sizeof(scan->text));
	for (const char *s = scan->text; len > 0 && s < scan->text + len; s += strlen(s) + 1) {
		if (strcmp(s, wanted) == 0)
			return true;
	}
	return false;
}

int
ql_scan_match(struct ql_scan *scan, int32_t pid)
{
	const struct ql_proof_subject *subject = scan->subject;
	int hit = subject->pidns ? is_namespace(pid, "pid", subject->pidns) : 0;
	if (hit > 0)
		return QL_CHECK_PIDNS;
	if (subject->mntns && is_namespace(pid, "mnt", subject->mntns) > 0)
		return QL_CHECK_MOUNTS;
	if (subject->argument && has_string(scan, pid, "cmdline", subject->argument))
		return QL_CHECK_MARKS;
	char path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st) || st.st_uid != subject->uid)
		return -1;
	if (subject->mark && has_string(scan, pid, "environ", subject->mark))
		return QL_CHECK_MARKS;
	scan->hidden |= hit < 0;
	return -1;
}

int
ql_scan_proc(struct ql_scan *scan)
{
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
		int check = ql_scan_match(scan, (int32_t)pid);
		if (check >= 0)
			scan->found(scan->arg, (enum ql_check)check, (int32_t)pid);
	}
	closedir(proc);
	return 0;
}
