#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "runner/plan.h"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * QL_REPORT_FDS)];
};

int
ql_report_send(int sock, const struct ql_report *report, const int *fds, int count)
{
	union control control = {0};
	struct iovec iov = {.iov_base = (void *)report, .iov_len = sizeof(*report)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	if (count) {
		size_t len = sizeof(int) * (size_t)count;
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(len);
		struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(len);
		memcpy(CMSG_DATA(header), fds, len);
	}
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == sizeof(*report) ? 0 : -1;
}

int
ql_report_receive(int sock, struct ql_report *ret_report, int ret_fds[QL_REPORT_FDS])
{
	union control control = {0};
	struct iovec iov = {.iov_base = ret_report, .iov_len = sizeof(*ret_report)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	for (int i = 0; i < QL_REPORT_FDS; i++)
		ret_fds[i] = -1;
	ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n <= 0)
		return (int)n;
	const struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
	ret_report->text[sizeof(ret_report->text) - 1] = 0;
	return 1;
}

void
ql_report_failure(const struct ql_plan *plan, const struct ql_err *e)
{
	struct ql_report report = {.kind = QL_REPORT_FAILED};
	ql_str_copy(report.text, sizeof(report.text), e->text);
	ql_report_send(plan->report, &report, NULL, 0);
	_exit(1);
}

void
ql_die_with_supervisor(const struct ql_plan *plan)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct pollfd life = {.fd = plan->life};
	if (poll(&life, 1, 0) != 0 && life.revents & POLLHUP)
		_exit(1);
}
