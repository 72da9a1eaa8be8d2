#include "rules/keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* FNV-1a, folded to one byte: the folder's two digits. */
static unsigned
shard(const char *eval_id)
{
	uint32_t hash = 2166136261u;
	for (const char *c = eval_id; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	return (hash ^ hash >> 8 ^ hash >> 16 ^ hash >> 24) & 0xff;
}

int
ql_keep_path(const char *data_dir, const char *eval_id, int32_t attempt, const char *name,
	char *ret_path, size_t size)
{
	int n = snprintf(ret_path, size, "%s/kept/%02x/%s~%d%s%s", data_dir, shard(eval_id),
		eval_id, attempt, name ? "/" : "", name ? name : "");
	return n > 0 && (size_t)n < size ? 0 : -1;
}

static int
folder(const char *data_dir, const char *eval_id, int32_t attempt, char path[static PATH_MAX],
	struct ql_err *e)
{
	if (ql_keep_path(data_dir, eval_id, attempt, NULL, path, PATH_MAX))
		return ql_fail(e, QL_E_INVALID, "the data folder's path is too long: %s", data_dir);
	return 0;
}

int
ql_keep_make(const char *data_dir, const char *eval_id, int32_t attempt, struct ql_err *e)
{
	char path[PATH_MAX];
	if (folder(data_dir, eval_id, attempt, path, e))
		return -1;
	/* kept, then kept/hh */
	char *end = path + strlen(data_dir);
	while ((end = strchr(end + 1, '/'))) {
		*end = 0;
		if (mkdir(path, 0700) && errno != EEXIST)
			return ql_fail_sys(e, "cannot make the folder %s", path);
		*end = '/';
	}
	return 0;
}

int
ql_keep_checkpoint(
	const char *data_dir, const char *eval_id, int32_t attempt, char *ret_path, size_t size)
{
	for (; attempt > 0; attempt--) {
		if (ql_keep_path(data_dir, eval_id, attempt, QL_KEEP_CHECKPOINT, ret_path, size))
			return -1;
		if (access(ret_path, F_OK) == 0)
			return 0;
	}
	return -1;
}

static int
remove_files(DIR *dir, const char *path, struct ql_err *e)
{
	const struct dirent *entry;
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0) && errno != ENOENT)
			return ql_fail_sys(e, "cannot remove %.100s in %s", entry->d_name, path);
	}
	return 0;
}

int
ql_keep_remove(const char *data_dir, const char *eval_id, int32_t attempt, struct ql_err *e)
{
	char path[PATH_MAX];
	if (folder(data_dir, eval_id, attempt, path, e))
		return -1;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : ql_fail_sys(e, "cannot open the folder %s", path);
	DIR *dir = fdopendir(fd);
	if (!dir) {
		int rc = ql_fail_sys(e, "cannot read the folder %s", path);
		close(fd);
		return rc;
	}
	int rc = remove_files(dir, path, e);
	closedir(dir);
	if (rc == 0 && rmdir(path) && errno != ENOENT)
		rc = ql_fail_sys(e, "cannot remove the folder %s", path);
	return rc;
}
