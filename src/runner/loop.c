#include "runner/loop.h"

#include <limits.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "runner/file.h"
#include "runner/sys.h"

int
ql_loop_init(struct ql_loop *loop, struct ql_err *e)
{
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll < 0 ? ql_fail_sys(e, "make an epoll") : 0;
}

int
ql_loop_add(struct ql_loop *loop, struct ql_source *source, int fd, uint32_t events,
	ql_ready_fn ready, void *arg, struct ql_err *e)
{
	struct epoll_event event = {.events = events, .data.ptr = source};
	source->fd = fd;
	source->ready = ready;
	source->arg = arg;
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
		return 0;
	ql_fail_sys(e, "watch a descriptor");
	ql_fd_done(&source->fd);
	return -1;
}

void
ql_loop_remove(struct ql_loop *loop, struct ql_source *source)
{
	if (source->fd < 0)
		return;
	/* Closing alone would not do: another process may hold the same open file. */
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	ql_fd_done(&source->fd);
}

void
ql_loop_turn(struct ql_loop *loop, int64_t deadline)
{
	struct epoll_event event;
	int timeout = -1;
	if (deadline) {
		int64_t left = deadline - ql_sys_now_ms();
		timeout = left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
	}
	if (epoll_wait(loop->epoll, &event, 1, timeout) != 1)
		return;
	struct ql_source *source = event.data.ptr;
	source->ready(source->arg, source, event.events);
}
