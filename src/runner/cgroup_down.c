/*
 * On v2 a leaf has the controllers that its parent hands down, and a folder in which processes
 * stand hands none down. Where systemd has lent us our folder (Delegate=yes), the processes in it are
 * the server and its supervisors: they are moved into a folder of their own below it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "proof/process.h"
#include "runner/cgroup.h"
#include "runner/file.h"

#define PASSES 16 /* over a folder in which processes start others */

/* 0, or -1 with errno: EBUSY where processes stand in the folder. */
static int
enable(const char *folder)
{
	static const char *const wanted[] = {"memory", "pids", "cpu"};
	QL_CLEAN_FD int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	QL_CLEAN_BUF struct ql_buf has = {.limit = 4096};
	if (dir < 0 || ql_file_read(dir, "cgroup.subtree_control", &has, NULL))
		return -1;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		char text[16];
		snprintf(text, sizeof(text), "+%s", wanted[i]);
		if (has.data && strstr(has.data, wanted[i]))
			continue;
		/* Another refusal: the controller isn't there. */
		if (ql_file_poke_at(dir, "cgroup.subtree_control", text) && errno == EBUSY)
			return -1;
	}
	return 0;
}

static bool
is_lent(const char *folder)
{
	static const char *const marks[] = {"trusted.delegate", "user.delegate"};
	char value[4];
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (getxattr(folder, marks[i], value, sizeof(value)) == 1 && value[0] == '1')
			return true;
	}
	return false;
}

/* 1: moved some, 0: there was none, -1: refused. */
static int
move_members(const char *folder, const char *below)
{
	char path[QL_RUNNER_CGROUP_PATH + 32];
	char members[16384];
	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	int len = ql_process_file(path, members, sizeof(members));
	if (len <= 0)
		return len;
	snprintf(path, sizeof(path), "%s/cgroup.procs", below);
	char *save;
	for (char *pid = strtok_r(members, "\n", &save); pid; pid = strtok_r(NULL, "\n", &save)) {
		if (ql_file_poke(path, pid) && errno != ESRCH)
			return -1;
	}
	return 1;
}

static int
vacate(const char *folder)
{
	char below[QL_RUNNER_CGROUP_PATH + 32];
	int moved = 1;
	snprintf(below, sizeof(below), "%s/" QL_CGROUP_SERVER, folder);
	if (mkdir(below, 0755) && errno != EEXIST)
		return -1;
	for (int i = 0; i < PASSES && moved > 0; i++)
		moved = move_members(folder, below);
	return moved ? -1 : 0;
}

void
ql_cgroup_hand_down(const char *folder)
{
	if (enable(folder) && errno == EBUSY && is_lent(folder) && vacate(folder) == 0)
		enable(folder);
}
