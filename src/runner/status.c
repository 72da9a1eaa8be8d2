#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "runner/file.h"
#include "runner/supervisor.h"

int
ql_status_write(struct ql_supervisor *sup, struct ql_err *e)
{
	struct ql_runner_status *status = &sup->status;
	status->magic = QL_RUNNER_MAGIC;
	status->version = QL_RUNNER_VERSION;
	return ql_file_replace(sup->dir, QL_RUNNER_STATUS, status, sizeof(*status), e);
}

int
ql_status_read(int dir, struct ql_runner_status *ret_status, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf text = {.limit = sizeof(*ret_status)};
	if (ql_file_read(dir, QL_RUNNER_STATUS, &text, e))
		return -1;
	struct ql_runner_status status;
	if (text.len != sizeof(status))
		return ql_fail(e, QL_E_INVALID,
			"the run's status has %zu bytes, not %zu: it is of "
			"another version of Quell",
			text.len, sizeof(status));
	memcpy(&status, text.data, sizeof(status));
	if (status.magic != QL_RUNNER_MAGIC || status.version != QL_RUNNER_VERSION)
		return ql_fail(e, QL_E_INVALID, "the run's status is of another version of Quell");
	status.text[sizeof(status.text) - 1] = 0;
	*ret_status = status;
	return 0;
}
