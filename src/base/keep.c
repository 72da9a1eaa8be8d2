#include "base/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int
ql_keep_open(struct ql_keep *keep, int folder, struct ql_err *e)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
	keep->output = openat(folder, QL_KEEP_OUTPUT, flags, 0600);
	keep->index = openat(folder, QL_KEEP_INDEX, flags, 0600);
	if (keep->output >= 0 && keep->index >= 0)
		return 0;
	return ql_fail_sys(e, "make the output's files in the keep folder");
}

static int
open_path(struct ql_keep *keep, struct ql_err *e)
{
	int folder = open(keep->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return ql_fail_sys(e, "open the folder %s", keep->path);
	int status = ql_keep_open(keep, folder, e);
	close(folder);
	return status;
}

int
ql_keep_start(struct ql_keep *keep, const char *path, int64_t max, struct ql_err *e)
{
	*keep = (struct ql_keep){.path = path, .output = -1, .index = -1, .max = max};
	return access(path, F_OK) ? 0 : open_path(keep, e);
}

static int
make_path(struct ql_keep *keep)
{
	if (!keep->path || (mkdir(keep->path, 0700) && errno != EEXIST))
		return -1;
	return open_path(keep, NULL);
}

/* The bytes first: a reader goes by the index. */
static void
append(struct ql_keep *keep, uint32_t stream, const char *data, size_t len)
{
	int64_t room = keep->max - keep->bytes;
	size_t want = room < (int64_t)len ? (size_t)room : len;
	keep->truncated |= want < len;
	if (!want)
		return;
	if (keep->index < 0 && make_path(keep)) {
		keep->truncated = true;
		return;
	}
	ssize_t n = pwrite(keep->output, data, want, keep->bytes);
	keep->truncated |= n < (ssize_t)want;
	if (n <= 0)
		return;
	struct ql_keep_span span = {.len = (uint32_t)n, .stream = stream};
	off_t at = (off_t)(keep->spans * (int64_t)sizeof(span));
	if (pwrite(keep->index, &span, sizeof(span), at) != sizeof(span)) {
		keep->truncated = true;
		return;
	}
	keep->bytes += n;
	keep->spans++;
}

void
ql_keep_add(struct ql_keep *keep, uint32_t stream, const char *data, size_t len)
{
	/* Once something is missing, nothing that came after it is kept. */
	if (!keep->truncated && len)
		append(keep, stream, data, len);
}

void
ql_keep_close(struct ql_keep *keep)
{
	if (keep->output >= 0)
		close(keep->output);
	if (keep->index >= 0)
		close(keep->index);
	keep->output = keep->index = -1;
}
