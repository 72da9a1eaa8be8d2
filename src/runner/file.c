#include "runner/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void
ql_fd_done(int *fd)
{
	int was = errno;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = was;
}

int
ql_file_read(int dir, const char *name, struct ql_buf *ret_text, struct ql_err *e)
{
	QL_CLEAN_FD int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return ql_fail_sys(e, "open %s", name);
	char piece[8192];
	ssize_t n;
	while ((n = read(fd, piece, sizeof(piece))) > 0) {
		if (ql_buf_add(ret_text, piece, (size_t)n))
			return ql_fail(e, QL_E_TOO_LARGE, "%s has more than the %zu bytes allowed",
				name, ret_text->limit);
	}
	return n < 0 ? ql_fail_sys(e, "read %s", name) : 0;
}

int
ql_file_poke_at(int dir, const char *name, const char *text)
{
	QL_CLEAN_FD int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	return write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

int
ql_file_poke(const char *path, const char *text)
{
	return ql_file_poke_at(AT_FDCWD, path, text);
}

int
ql_file_write(int fd, const void *data, size_t len)
{
	const char *next = data;
	while (len > 0) {
		ssize_t n = write(fd, next, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		next += n;
		len -= (size_t)n;
	}
	return 0;
}

int
ql_file_overwrite(int fd, const void *data, size_t len)
{
	return pwrite(fd, data, len, 0) == (ssize_t)len ? 0 : -1;
}
