#include "runner/shelf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "runner/file.h"

static int
open_folder(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int
look_above(const char *path, struct ql_err *e)
{
	char above[PATH_MAX];
	if (ql_str_copy(above, sizeof(above), path))
		return ql_fail(e, QL_E_INVALID, "the keep folder's path is too long");
	*(strrchr(above, '/') + 1) = 0;
	return access(above, W_OK | X_OK) ? ql_fail_sys(e, "make the keep folder %s", path) : 0;
}

int
ql_shelf_open(struct ql_shelf *shelf, const char *path, struct ql_err *e)
{
	shelf->path = path;
	shelf->dir = open_folder(path);
	if (shelf->dir >= 0)
		return 0;
	return errno == ENOENT ? look_above(path, e)
			       : ql_fail_sys(e, "open the keep folder %s", path);
}

int
ql_shelf_need(struct ql_shelf *shelf, struct ql_err *e)
{
	if (shelf->dir >= 0)
		return shelf->dir;
	if (!shelf->path)
		return ql_fail(e, QL_E_INVALID, "the run has no keep folder");
	if (mkdir(shelf->path, 0700) && errno != EEXIST)
		return ql_fail_sys(e, "make the keep folder %s", shelf->path);
	shelf->dir = open_folder(shelf->path);
	return shelf->dir < 0 ? ql_fail_sys(e, "open the keep folder %s", shelf->path) : shelf->dir;
}
