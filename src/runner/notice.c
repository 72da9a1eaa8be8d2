#include "runner/notice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rand.h"
#include "runner/file.h"
#include "runner/plan.h"
#include "runner/proto.h"

static const char *
file_name(void)
{
	return strrchr(QL_SANDBOX_NOTICE, '/') + 1;
}

int
ql_notice_init(struct ql_notice_file *notice, int dir, struct ql_err *e)
{
	struct stat st;
	notice->dir = dir;
	notice->file = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	if (notice->file < 0 || fchmod(notice->file, 0644) ||
		fallocate(notice->file, 0, 0, QL_RUNNER_NOTICE) || fstat(notice->file, &st))
		return ql_fail_sys(e, "prepare the notice file");
	notice->inode = st.st_ino;
	return 0;
}

/* Where the program has put something under the name, the two change places. */
static int
put_in_place_of(struct ql_notice_file *notice, const char *source)
{
	char name[64];
	snprintf(name, sizeof(name), ".notice-%016llx", (unsigned long long)ql_rand_u64());
	if (linkat(AT_FDCWD, source, notice->dir, name, AT_SYMLINK_FOLLOW))
		return -1;
	int r = renameat2(notice->dir, name, notice->dir, file_name(), RENAME_EXCHANGE);
	if (r && errno == ENOENT) /* it was taken away meanwhile */
		r = renameat(notice->dir, name, notice->dir, file_name());
	return r;
}

static int
put_in_place(struct ql_notice_file *notice)
{
	char source[32];
	snprintf(source, sizeof(source), "/proc/self/fd/%d", notice->file);
	if (linkat(AT_FDCWD, source, notice->dir, file_name(), AT_SYMLINK_FOLLOW) == 0)
		return 0;
	return errno == EEXIST ? put_in_place_of(notice, source) : -1;
}

int
ql_notice_give(struct ql_notice_file *notice, const char *text, size_t len, struct ql_err *e)
{
	if (pwrite(notice->file, text, len, 0) != (ssize_t)len ||
		ftruncate(notice->file, (off_t)len))
		return ql_fail_sys(e, "write the notice");
	if (notice->given)
		return 0;
	if (put_in_place(notice))
		return ql_fail_sys(e, "put the notice where the program looks for it");
	notice->given = true;
	return 0;
}

bool
ql_notice_was_removed(const struct ql_notice_file *notice)
{
	struct stat st;
	if (!notice->given)
		return false;
	return fstatat(notice->dir, file_name(), &st, AT_SYMLINK_NOFOLLOW) ||
	       st.st_ino != notice->inode;
}

void
ql_notice_done(struct ql_notice_file *notice)
{
	ql_fd_done(&notice->dir);
	ql_fd_done(&notice->file);
}
