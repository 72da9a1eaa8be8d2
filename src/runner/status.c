#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "runner/file.h"
#include "runner/supervisor.h"

/*
 * In place: one write within one page, which no signal cuts. (A file made anew for each change costs
 * more than the run's processes, on a file system that is in use.)
 */
int
ql_status_write(struct ql_supervisor *sup, struct ql_err *e)
{
	struct ql_runner_status *status = &sup->status;
	status->magic = QL_RUNNER_MAGIC;
	status->end = QL_RUNNER_MAGIC;
	status->version = QL_RUNNER_VERSION;
	if (sup->status_fd < 0)
		sup->status_fd = openat(sup->dir, QL_RUNNER_STATUS,
			O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (sup->status_fd < 0 || ql_file_overwrite(sup->status_fd, status, sizeof(*status)))
		return ql_fail_sys(e, "write the run's status");
	return 0;
}

enum ql_status_found
ql_status_read(int dir, struct ql_runner_status *ret_status)
{
	struct ql_runner_status status;
	QL_CLEAN_FD int fd = openat(dir, QL_RUNNER_STATUS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? QL_STATUS_NONE : QL_STATUS_DAMAGED;
	if (read(fd, &status, sizeof(status)) != sizeof(status) ||
		status.magic != QL_RUNNER_MAGIC || status.end != QL_RUNNER_MAGIC ||
		status.version != QL_RUNNER_VERSION)
		return QL_STATUS_DAMAGED;
	status.text[sizeof(status.text) - 1] = 0;
	*ret_status = status;
	return QL_STATUS_READ;
}
