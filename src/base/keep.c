#include "base/keep.h"

#include <fcntl.h>
#include <unistd.h>

int
ql_keep_open(struct ql_keep *keep, int folder, int64_t max, struct ql_err *e)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
	*keep = (struct ql_keep){.max = max};
	keep->output = openat(folder, QL_KEEP_OUTPUT, flags, 0600);
	keep->index = openat(folder, QL_KEEP_INDEX, flags, 0600);
	if (keep->output >= 0 && keep->index >= 0)
		return 0;
	ql_fail_sys(e, "make the output's files in the keep folder");
	ql_keep_close(keep);
	return -1;
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
