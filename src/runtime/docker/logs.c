#include "runtime/docker/logs.h"

#include <string.h>

#include "base/str.h"

enum { STDOUT = 1, STDERR = 2 };

static size_t
take_head(struct ql_docker_logs *logs, const char *data, size_t len)
{
	size_t want = sizeof(logs->head) - logs->head_len;
	size_t n = len < want ? len : want;
	memcpy(logs->head + logs->head_len, data, n);
	logs->head_len += n;
	const unsigned char *head = logs->head;
	if (logs->head_len == sizeof(logs->head))
		logs->left = (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 |
			     (size_t)head[7];
	return n;
}

static void
keep_bytes(struct ql_docker_logs *logs, uint32_t stream, const char *data, size_t len)
{
	size_t known = logs->skip < (int64_t)len ? (size_t)logs->skip : len;
	logs->skip -= (int64_t)known;
	logs->kept += (int64_t)(len - known);
	ql_keep_add(logs->keep, stream, data + known, len - known);
}

static size_t
take_bytes(struct ql_docker_logs *logs, const char *data, size_t len)
{
	size_t n = len < logs->left ? len : logs->left;
	keep_bytes(logs, logs->head[0] == STDERR ? STDERR : STDOUT, data, n);
	logs->left -= n;
	return n;
}

void
ql_docker_logs_take(struct ql_docker_logs *logs, const char *data, size_t len)
{
	if (logs->tty) {
		keep_bytes(logs, STDOUT, data, len);
		return;
	}
	while (len) {
		bool in_head = logs->head_len < sizeof(logs->head);
		size_t n = in_head ? take_head(logs, data, len) : take_bytes(logs, data, len);
		data += n;
		len -= n;
		if (logs->head_len == sizeof(logs->head) && !logs->left)
			logs->head_len = 0;
	}
}

/* Once something is missing, the rest isn't needed. */
static int
take(struct ql_fetch_request *request, const char *data, size_t len)
{
	struct ql_docker_logs *logs = ((struct ql_docker_call *)request)->owner;
	if (request->http == 200)
		ql_docker_logs_take(logs, data, len);
	return logs->keep->truncated ? -1 : 0;
}

static void
ended(struct ql_docker_call *call, int status)
{
	struct ql_docker_logs *logs = call->owner;
	logs->err = call->err;
	logs->done(logs, logs->keep->truncated ? 0 : status);
}

int
ql_docker_logs_start(struct ql_docker_logs *logs, const char *id, bool tty, bool follow)
{
	logs->tty = tty;
	logs->head_len = logs->left = 0;
	logs->call.request.piece = take;
	logs->call.done = ended;
	logs->call.owner = logs;
	int status = ql_docker_ask(logs->docker, &logs->call, "GET", NULL,
		follow ? 0 : QL_DOCKER_LOGS_MS, "/containers/%s/logs?stdout=1&stderr=1&follow=%d",
		id, follow);
	logs->err = logs->call.err;
	return status;
}
