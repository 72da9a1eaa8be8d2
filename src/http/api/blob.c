#include "http/api/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static int
open_file(const char *path, int *ret_fd, struct ql_err *e)
{
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_fd >= 0)
		return 0;
	if (errno == ENOENT || errno == ENOTDIR)
		return ql_fail(e, QL_E_NOT_FOUND, "%s is not there", path);
	return ql_fail_sys(e, "can't open %s", path);
}

static int
open_kept(const char *data_dir, const char *eval_id, int32_t attempt, const char *name, int *ret_fd,
	struct ql_err *e)
{
	char path[PATH_MAX];
	if (ql_keep_path(data_dir, eval_id, attempt, name, path, sizeof(path)))
		return ql_fail(
			e, QL_E_INTERNAL, "the path of %s in %s is too long", name, data_dir);
	return open_file(path, ret_fd, e);
}

int
ql_blob_open_output(struct ql_blob *blob, const char *data_dir, const char *eval_id,
	int32_t attempt, uint32_t stream, int64_t offset, struct ql_err *e)
{
	*blob = (struct ql_blob){.fd = -1, .index = -1, .stream = stream};
	if (stream)
		blob->skip = offset;
	else
		blob->place = offset;
	if (open_kept(data_dir, eval_id, attempt, QL_KEEP_OUTPUT, &blob->fd, e))
		return -1;
	if (!stream || !open_kept(data_dir, eval_id, attempt, QL_KEEP_INDEX, &blob->index, e))
		return 0;
	ql_blob_close(blob);
	return -1;
}

int
ql_blob_open_checkpoint(struct ql_blob *blob, const char *data_dir, const char *eval_id,
	int32_t attempt, struct ql_err *e)
{
	char path[PATH_MAX];
	*blob = (struct ql_blob){.fd = -1, .index = -1};
	if (ql_keep_checkpoint(data_dir, eval_id, attempt, path, sizeof(path)))
		return ql_fail(e, QL_E_NOT_FOUND, "%s has no checkpoint", eval_id);
	return open_file(path, &blob->fd, e);
}

void
ql_blob_close(struct ql_blob *blob)
{
	if (blob->fd >= 0)
		close(blob->fd);
	if (blob->index >= 0)
		close(blob->index);
	blob->fd = blob->index = -1;
}

static ssize_t
read_at(int fd, void *buf, size_t max, int64_t place, struct ql_err *e)
{
	ssize_t n;
	do
		n = pread(fd, buf, max, place);
	while (n < 0 && errno == EINTR);
	return n < 0 ? ql_fail_sys(e, "can't read what was kept") : n;
}

/* The next whole span. 1, or 0 when there is none yet, or -1. */
static int
next_span(struct ql_blob *blob, struct ql_keep_span *ret_span, struct ql_err *e)
{
	if (blob->span_at == blob->span_count) {
		ssize_t n = read_at(
			blob->index, blob->spans, sizeof(blob->spans), blob->index_place, e);
		if (n < 0)
			return -1;
		blob->span_count = (size_t)n / sizeof(blob->spans[0]);
		blob->span_at = 0;
		blob->index_place += (int64_t)(blob->span_count * sizeof(blob->spans[0]));
	}
	if (blob->span_at == blob->span_count)
		return 0;
	*ret_span = blob->spans[blob->span_at++];
	return 1;
}

/* Goes to bytes of the stream: 1, or 0 when there are none yet, or -1. */
static int
find_bytes(struct ql_blob *blob, struct ql_err *e)
{
	while (!blob->left) {
		struct ql_keep_span span;
		int found = next_span(blob, &span, e);
		if (found != 1)
			return found;
		bool wanted = span.stream == blob->stream && blob->skip < span.len;
		if (!wanted) {
			blob->place += span.len;
			blob->skip -= span.stream == blob->stream ? span.len : 0;
			continue;
		}
		blob->place += blob->skip;
		blob->left = span.len - (uint32_t)blob->skip;
		blob->skip = 0;
	}
	return 1;
}

/* An index may name bytes that are not written yet; they count when they are. */
static int64_t
stream_size(struct ql_blob *blob, int64_t file_size, struct ql_err *e)
{
	struct ql_keep_span span;
	int64_t size = 0, place = 0;
	int found;
	while ((found = next_span(blob, &span, e)) == 1 && place < file_size) {
		int64_t there = file_size - place < span.len ? file_size - place : span.len;
		place += span.len;
		size += span.stream == blob->stream ? there : 0;
	}
	blob->index_place = 0;
	blob->span_at = blob->span_count = 0;
	return found < 0 ? -1 : size;
}

int64_t
ql_blob_size(struct ql_blob *blob, struct ql_err *e)
{
	struct stat st;
	if (fstat(blob->fd, &st))
		return ql_fail_sys(e, "can't look at what was kept");
	return blob->index < 0 ? st.st_size : stream_size(blob, st.st_size, e);
}

static ssize_t
read_stream(struct ql_blob *blob, char *buf, size_t max, struct ql_err *e)
{
	size_t len = 0;
	while (len < max) {
		int found = find_bytes(blob, e);
		if (found < 0)
			return -1;
		if (!found)
			break;
		size_t want = blob->left < max - len ? blob->left : max - len;
		ssize_t n = read_at(blob->fd, buf + len, want, blob->place, e);
		if (n < 0)
			return -1;
		if (!n)
			break;
		len += (size_t)n;
		blob->place += n;
		blob->left -= (uint32_t)n;
	}
	return (ssize_t)len;
}

ssize_t
ql_blob_read(struct ql_blob *blob, char *buf, size_t max, struct ql_err *e)
{
	if (blob->index >= 0)
		return read_stream(blob, buf, max, e);
	ssize_t n = read_at(blob->fd, buf, max, blob->place, e);
	if (n > 0)
		blob->place += n;
	return n;
}
