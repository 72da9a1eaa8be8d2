#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "runtime/docker/run.h"
#include "runtime/sandbox/wire.h"

#define MAGIC 0x716b7231 /* "qkr1" */
#define CODE "code"
#define CANCEL "cancel"
#define CHECKPOINT "checkpoint"
#define NOTICE "notice"
#define RECORD "record"

struct removal {
	uv_work_t work;
	char path[PATH_MAX];
	struct ql_docker_runtime *driver;
	int status;
	void (*done)(void *arg, int status);
	void *arg;
};

static int
folder_path(const struct ql_docker_run *run, const char *file, char *ret_path, size_t size)
{
	int n = snprintf(ret_path, size, "%s/%s", run->name, file);
	return n > 0 && (size_t)n < size ? 0 : -1;
}

/* The server's umask lets nobody else read: what a program is to read is opened to it. */
static int
write_file(int dir, const char *path, const void *data, size_t len, mode_t mode)
{
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -1;
	ssize_t n = write(fd, data, len);
	if (n >= 0 && n != (ssize_t)len)
		errno = ENOSPC;
	int status = n != (ssize_t)len || fchmod(fd, mode) ? -1 : 0;
	int saved = errno;
	close(fd);
	errno = saved;
	return status;
}

/* One that the program may write into; as an ordinary user we can only open it for all. */
static int
share_folder(const struct ql_docker_run *run, const char *name)
{
	char path[64];
	int dir = run->driver->dir_fd;
	if (folder_path(run, name, path, sizeof(path)) || mkdirat(dir, path, 0700))
		return -1;
	return geteuid() ? fchmodat(dir, path, 0777, 0)
			 : fchownat(dir, path, QL_DOCKER_UID, QL_DOCKER_UID, 0);
}

int
ql_docker_folder_make(struct ql_docker_run *run, const struct ql_launch *launch, struct ql_err *e)
{
	char path[64];
	int dir = run->driver->dir_fd;
	if (mkdirat(dir, run->name, 0700) || share_folder(run, CANCEL) ||
		share_folder(run, CHECKPOINT))
		return ql_fail_sys(e, "make the folder %s/%s", run->driver->dir, run->name);
	folder_path(run, CODE, path, sizeof(path));
	if (launch->code && write_file(dir, path, launch->code, launch->code_len, 0444))
		return ql_fail_sys(e, "write the program's text");
	return ql_docker_folder_save(run, e);
}

int
ql_docker_folder_save(struct ql_docker_run *run, struct ql_err *e)
{
	char path[64], fresh[64];
	int dir = run->driver->dir_fd;
	run->record.magic = MAGIC;
	folder_path(run, RECORD, path, sizeof(path));
	folder_path(run, RECORD ".new", fresh, sizeof(fresh));
	if (write_file(dir, fresh, &run->record, sizeof(run->record), 0600) ||
		renameat(dir, fresh, dir, path))
		return ql_fail_sys(e, "write the record of the run %s", run->name);
	return 0;
}

int
ql_docker_folder_load(struct ql_docker_run *run, struct ql_err *e)
{
	char path[64];
	struct ql_docker_record record;
	folder_path(run, RECORD, path, sizeof(path));
	int fd = openat(run->driver->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return ql_fail(e, QL_E_NOT_FOUND, "There is no run %s", run->name);
	if (fd < 0)
		return ql_fail_sys(e, "open the record of the run %s", run->name);
	ssize_t n = read(fd, &record, sizeof(record));
	close(fd);
	if (n != sizeof(record) || record.magic != MAGIC)
		return ql_fail(e, QL_E_INTERNAL, "The record of the run %s is damaged", run->name);
	run->record = record;
	return 0;
}

/* ---- the notice ---- */

static int
cancel_folder(const struct ql_docker_run *run)
{
	char path[64];
	folder_path(run, CANCEL, path, sizeof(path));
	return openat(run->driver->dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

int
ql_docker_folder_notice(struct ql_docker_run *run, const struct ql_notice *notice, struct ql_err *e)
{
	struct ql_runner_ask ask;
	struct stat st;
	if (run->record.notice)
		return 0;
	ql_wire_ask(QL_ASK_NOTICE, run->incarnation, 0, notice, &ask);
	int dir = cancel_folder(run);
	if (dir < 0)
		return ql_fail_sys(e, "open the notice's folder");
	unlinkat(dir, "." NOTICE, 0);
	int status = write_file(dir, "." NOTICE, ask.text, ask.text_len, 0644) ||
		     fstatat(dir, "." NOTICE, &st, AT_SYMLINK_NOFOLLOW);
	if (!status) { /* known before it is seen: its removal is the program's word */
		run->record.notice = st.st_ino;
		status = ql_docker_folder_save(run, e) || renameat(dir, "." NOTICE, dir, NOTICE);
	}
	if (status)
		ql_fail_sys(e, "put the notice where the program looks for it");
	close(dir);
	return status ? -1 : 0;
}

bool
ql_docker_folder_noticed(const struct ql_docker_run *run)
{
	struct stat st;
	int dir = run->record.notice ? cancel_folder(run) : -1;
	if (dir < 0)
		return false;
	bool there = fstatat(dir, NOTICE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		     st.st_ino == run->record.notice;
	close(dir);
	return !there;
}

/* ---- looking ---- */

bool
ql_docker_folder_is_bare(const struct ql_docker_run *run)
{
	char path[64];
	folder_path(run, CHECKPOINT, path, sizeof(path));
	int fd = openat(run->driver->dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	bool bare = true;
	while (dir && bare && (entry = readdir(dir)))
		bare = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return bare;
}

int64_t
ql_docker_folder_age(const struct ql_docker_run *run)
{
	char path[64];
	struct stat st;
	struct timespec now;
	folder_path(run, RECORD, path, sizeof(path));
	if (fstatat(run->driver->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW))
		return INT64_MAX;
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec - st.st_mtim.tv_sec;
}

int
ql_docker_folder_list(const struct ql_docker_runtime *driver, uint64_t **ret_incarnations,
	size_t *ret_count, struct ql_err *e)
{
	return ql_errand_list(driver->dir_fd, ret_incarnations, ret_count, e);
}

/* ---- removing ---- */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path) && errno != ENOENT ? -1 : 0;
}

static void
work(uv_work_t *request)
{
	struct removal *removal = request->data;
	removal->status = nftw(removal->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (removal->status && access(removal->path, F_OK) && errno == ENOENT)
		removal->status = 0;
}

static void
worked(uv_work_t *request, int status)
{
	struct removal *removal = request->data;
	struct ql_docker_runtime *driver = removal->driver;
	(void)status;
	if (!driver->desk.closing)
		removal->done(removal->arg, removal->status ? -1 : 0);
	free(removal);
	ql_docker_runtime_part_closed(driver);
}

int
ql_docker_folder_remove(
	struct ql_docker_run *run, void (*done)(void *arg, int status), void *arg, struct ql_err *e)
{
	struct removal *removal = calloc(1, sizeof(*removal));
	if (!removal)
		return ql_fail(e, QL_E_UNAVAILABLE, "Out of memory to remove a run's folder");
	removal->work.data = removal;
	removal->driver = run->driver;
	removal->done = done;
	removal->arg = arg;
	snprintf(removal->path, sizeof(removal->path), "%s/%s", run->driver->dir, run->name);
	run->driver->parts++;
	uv_queue_work(run->driver->runtime.loop, &removal->work, work, worked);
	return 0;
}
