#include "cli/transfer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "cli/session.h"

int
ql_transfer_init(struct ql_transfer *transfer, CURLM *multi, int fd, struct ql_err *e)
{
	*transfer = (struct ql_transfer){.multi = multi, .fd = fd};
	transfer->answer.limit = QL_CLIENT_BODY_MAX;
	transfer->curl = curl_easy_init();
	return transfer->curl ? 0 : ql_fail(e, QL_E_SYSTEM, "out of memory");
}

void
ql_transfer_done(struct ql_transfer *transfer)
{
	if (transfer->active)
		ql_transfer_stop(transfer);
	curl_easy_cleanup(transfer->curl);
	ql_buf_done(&transfer->answer);
	ql_buf_done(&transfer->pending);
	*transfer = (struct ql_transfer){.fd = -1};
}

long
ql_transfer_status(const struct ql_transfer *transfer)
{
	long status = 0;
	curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t
take(char *data, size_t size, size_t count, void *arg)
{
	struct ql_transfer *transfer = arg;
	size_t len = size * count;
	if (transfer->fd < 0 || ql_transfer_status(transfer) != 200)
		return ql_buf_add(&transfer->answer, data, len) ? 0 : len;
	if (transfer->pending.len) {
		transfer->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (ql_buf_add(&transfer->pending, data, len))
		return 0;
	transfer->offset += (int64_t)len;
	return len;
}

int
ql_transfer_start(struct ql_transfer *transfer, const struct ql_client *client,
	const struct ql_call *call, struct ql_err *e)
{
	if (ql_ask_init(&transfer->request, client, transfer->curl, call, e))
		return -1;
	ql_buf_done(&transfer->answer);
	curl_easy_setopt(transfer->curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(transfer->curl, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(transfer->curl, CURLOPT_PRIVATE, transfer);
	transfer->active = true;
	transfer->paused = false;
	if (curl_multi_add_handle(transfer->multi, transfer->curl) == CURLM_OK)
		return 0;
	ql_transfer_stop(transfer);
	return ql_fail(e, QL_E_SYSTEM, "curl took no more requests");
}

void
ql_transfer_stop(struct ql_transfer *transfer)
{
	curl_multi_remove_handle(transfer->multi, transfer->curl);
	ql_ask_done(&transfer->request);
	transfer->active = false;
}

static int
write_piece(struct ql_transfer *transfer, struct ql_err *e)
{
	struct ql_buf *pending = &transfer->pending;
	size_t len = pending->len < QL_SESSION_PIECE ? pending->len : QL_SESSION_PIECE;
	ssize_t n = write(transfer->fd, pending->data, len);
	if (n >= 0)
		ql_buf_consume(pending, (size_t)n);
	else if (errno != EAGAIN && errno != EINTR)
		return ql_fail_sys(e, "cannot write to standard %s",
			transfer->fd == STDOUT_FILENO ? "output" : "error");
	return 0;
}

int
ql_transfer_pump(struct ql_transfer *transfer, struct ql_err *e)
{
	for (;;) {
		short wanted = transfer->pending.len ? POLLOUT : 0;
		struct pollfd fd = {.fd = transfer->fd, .events = wanted};
		poll(&fd, 1, 0);
		if (fd.revents & (POLLERR | POLLHUP | POLLNVAL))
			return ql_fail(e, QL_E_SYSTEM, "standard %s was closed",
				transfer->fd == STDOUT_FILENO ? "output" : "error");
		if (!wanted || !(fd.revents & POLLOUT))
			break;
		if (write_piece(transfer, e))
			return -1;
	}
	if (!transfer->pending.len && transfer->paused && transfer->active) {
		transfer->paused = false;
		curl_easy_pause(transfer->curl, CURLPAUSE_CONT);
	}
	return 0;
}
