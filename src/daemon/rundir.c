#include "daemon/rundir.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static bool
is_in_memory(const char *path)
{
	struct statfs fs;
	return !statfs(path, &fs) && fs.f_type == TMPFS_MAGIC;
}

/* A name that others can't have taken: nobody but root makes folders that belong to root. */
static bool
is_ours(const char *path)
{
	struct stat st;
	return !lstat(path, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & 077) == 0;
}

static bool
is_folder(const char *path)
{
	struct stat st;
	return !lstat(path, &st) && S_ISDIR(st.st_mode);
}

/* Where the link points, if that is still there. */
static bool
read_link(const char *path, char ret_target[static PATH_MAX])
{
	ssize_t n = readlink(path, ret_target, PATH_MAX - 1);
	if (n < 0)
		return false;
	ret_target[n] = 0;
	return is_ours(ret_target);
}

static int
make_in_memory(const char *path, struct ql_err *e)
{
	char target[] = "/run/quell-XXXXXX";
	char other[] = "/dev/shm/quell-XXXXXX";
	char *made = is_in_memory("/run") ? mkdtemp(target) : NULL;
	if (!made && is_in_memory("/dev/shm"))
		made = mkdtemp(other);
	if (!made)
		return -1;
	if ((unlink(path) && errno != ENOENT) || symlink(made, path)) {
		ql_fail_sys(e, "the link %s can't be made", path);
		rmdir(made);
		return -1;
	}
	return 0;
}

int
ql_rundir_open(const struct ql_data *data, char ret_path[static PATH_MAX], struct ql_err *e)
{
	char target[PATH_MAX];
	if (ql_data_path(data, "run", ret_path, PATH_MAX, e))
		return -1;
	if (read_link(ret_path, target) || is_folder(ret_path))
		return 0;
	if (geteuid() == 0 && !make_in_memory(ret_path, e))
		return 0;
	if ((unlink(ret_path) && errno != ENOENT) || mkdir(ret_path, 0700))
		return ql_fail_sys(e, "%s can't be made", ret_path);
	return 0;
}

void
ql_rundir_close(const struct ql_data *data)
{
	char path[PATH_MAX];
	char target[PATH_MAX];
	if (ql_data_path(data, "run", path, sizeof(path), NULL) || !read_link(path, target))
		return;
	if (!rmdir(target) && unlink(path))
		return; /* a link to nowhere: the next start replaces it */
}
