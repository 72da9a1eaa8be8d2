#include "runner/output.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "runner/file.h"

static int
open_files(struct ql_output *output, struct ql_err *e)
{
	int folder = ql_shelf_need(output->shelf, e);
	return folder < 0 ? -1 : ql_keep_open(&output->keep, folder, e);
}

int
ql_output_open(struct ql_output *output, struct ql_shelf *shelf, int64_t max, struct ql_err *e)
{
	output->shelf = shelf;
	output->keep.max = max;
	return shelf->dir < 0 ? 0 : open_files(output, e);
}

static void
keep_bytes(struct ql_output *output, uint32_t stream, size_t len)
{
	struct ql_keep *keep = &output->keep;
	bool room = !keep->truncated && keep->bytes < keep->max;
	if (room && keep->index < 0 && open_files(output, NULL))
		keep->truncated = true;
	ql_keep_add(keep, stream, output->chunk, len);
}

int
ql_output_read(struct ql_output *output, int pipe, uint32_t stream)
{
	ssize_t n = read(pipe, output->chunk, sizeof(output->chunk));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -1 : 0;
	if (n == 0)
		return 0;
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
