#include "runner/output.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/keep.h"
#include "runner/file.h"

static int
open_files(struct ql_output *output, struct ql_err *e)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
	int keep = ql_shelf_need(output->shelf, e);
	if (keep < 0)
		return -1;
	output->data = openat(keep, QL_KEEP_OUTPUT, flags, 0600);
	output->index = openat(keep, QL_KEEP_INDEX, flags, 0600);
	if (output->data < 0 || output->index < 0)
		return ql_fail_sys(e, "make the output's files in the keep folder");
	return 0;
}

int
ql_output_open(struct ql_output *output, struct ql_shelf *shelf, int64_t max, struct ql_err *e)
{
	output->shelf = shelf;
	output->max = max;
	return shelf->dir < 0 ? 0 : open_files(output, e);
}

/* The bytes first: a reader goes by the index. */
static void
keep_bytes(struct ql_output *output, uint32_t stream, size_t len)
{
	int64_t room = output->max - output->bytes;
	size_t want = room < (int64_t)len ? (size_t)room : len;
	output->truncated |= want < len;
	if (!want)
		return;
	if (output->index < 0 && open_files(output, NULL)) {
		output->truncated = true;
		return;
	}
	ssize_t n = pwrite(output->data, output->chunk, want, output->bytes);
	output->truncated |= n < (ssize_t)want;
	if (n <= 0)
		return;
	struct ql_keep_span span = {.len = (uint32_t)n, .stream = stream};
	off_t at = (off_t)(output->spans * (int64_t)sizeof(span));
	if (pwrite(output->index, &span, sizeof(span), at) != sizeof(span)) {
		output->truncated = true;
		return;
	}
	output->bytes += n;
	output->spans++;
}

int
ql_output_read(struct ql_output *output, int pipe, uint32_t stream)
{
	ssize_t n = read(pipe, output->chunk, sizeof(output->chunk));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -1 : 0;
	if (n == 0)
		return 0;
	/* Once something is missing, nothing that came after it is kept. */
	if (!output->truncated)
		keep_bytes(output, stream, (size_t)n);
	return 1;
}

int64_t
ql_output_measure(int keep)
{
	struct ql_keep_span spans[512];
	int64_t bytes = 0;
	ssize_t n;
	QL_CLEAN_FD int index = openat(keep, QL_KEEP_INDEX, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	while (index >= 0 && (n = read(index, spans, sizeof(spans))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(spans[0]); i++)
			bytes += spans[i].len;
	}
	return bytes;
}
