#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "runtime/sandbox/sandbox.h"

struct ql_sandbox_link {
	uv_poll_t poll;
	struct ql_sandbox *sandbox;
	struct ql_sandbox_run *run; /* NULL once it was let go of */
	int fd;
	bool wants_room; /* a send found the socket full */
};

struct ql_sandbox_child {
	struct ql_sandbox_child *prev, *next;
	uv_poll_t poll;
	struct ql_sandbox *sandbox;
	int pidfd;
};

static void ready(uv_poll_t *poll, int status, int events);

static void
watch(struct ql_sandbox_link *link)
{
	int events = UV_READABLE | (link->wants_room ? UV_WRITABLE : 0);
	uv_poll_start(&link->poll, events, ready);
}

/* 1: a message. 0: nothing there now. -1: the end, or nonsense. */
static int
receive(struct ql_sandbox_link *link, struct ql_runner_tell *ret_tell, struct ql_err *e)
{
	char bytes[sizeof(*ret_tell) + 1]; /* one more, so that a longer message is seen as such */
	ssize_t n = recv(link->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && errno != ECONNRESET)
		return ql_fail_sys(e, "The supervisor's connection failed");
	if (n <= 0)
		return ql_fail(e, QL_E_UNAVAILABLE, "The supervisor hung up");
	return ql_wire_tell(bytes, (size_t)n, link->run->incarnation, ret_tell, e) ? -1 : 1;
}

/* A message may make the run let go of its link: then nothing more is read. */
static void
read_some(struct ql_sandbox_link *link)
{
	for (int i = 0; i < QL_SANDBOX_READS && link->run; i++) {
		struct ql_sandbox_run *run = link->run;
		struct ql_runner_tell tell;
		struct ql_err e;
		int n = receive(link, &tell, &e);
		if (n == 0)
			return;
		if (n > 0) {
			ql_sandbox_told(run, &tell);
			continue;
		}
		ql_sandbox_unlink(run);
		ql_sandbox_hung_up(run, &e);
	}
}

/*
 * libuv watches no more after an error. What was not read by then is not lost: the next connection
 * is told everything again.
 */
static void
broke(struct ql_sandbox_link *link)
{
	struct ql_sandbox_run *run = link->run;
	struct ql_err e;
	if (!run)
		return;
	ql_fail(&e, QL_E_UNAVAILABLE, "The supervisor's connection broke");
	ql_sandbox_unlink(run);
	ql_sandbox_hung_up(run, &e);
}

static void
ready(uv_poll_t *poll, int status, int events)
{
	struct ql_sandbox_link *link = poll->data;
	if (status || events & UV_READABLE)
		read_some(link);
	if (status)
		broke(link);
	if (!link->run || !(events & UV_WRITABLE))
		return;
	link->wants_room = false;
	watch(link);
	ql_sandbox_go_on(link->run);
}

static void
link_closed(uv_handle_t *handle)
{
	struct ql_sandbox_link *link = handle->data;
	struct ql_sandbox *sandbox = link->sandbox;
	free(link);
	ql_sandbox_part_closed(sandbox);
}

int
ql_sandbox_link(struct ql_sandbox_run *run, int conn, struct ql_err *e)
{
	struct ql_sandbox_link *link = calloc(1, sizeof(*link));
	if (!link || uv_poll_init(run->sandbox->runtime.loop, &link->poll, conn)) {
		free(link);
		close(conn);
		return ql_fail(e, QL_E_UNAVAILABLE, "The event loop takes no more connections");
	}
	link->poll.data = link;
	link->sandbox = run->sandbox;
	link->sandbox->open_parts++;
	link->run = run;
	link->fd = conn;
	run->link = link;
	watch(link);
	return 0;
}

int
ql_sandbox_send(struct ql_sandbox_run *run, const struct ql_runner_ask *ask)
{
	struct ql_sandbox_link *link = run->link;
	if (link->wants_room)
		return 0;
	ssize_t n = send(link->fd, ask, sizeof(*ask), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == (ssize_t)sizeof(*ask))
		return 1;
	if (n >= 0 || (errno != EAGAIN && errno != EINTR && errno != ENOBUFS))
		return -1;
	link->wants_room = true;
	watch(link);
	return 0;
}

void
ql_sandbox_unlink(struct ql_sandbox_run *run)
{
	struct ql_sandbox_link *link = run->link;
	if (!link)
		return;
	run->link = NULL;
	link->run = NULL;
	uv_close((uv_handle_t *)&link->poll, link_closed);
	close(link->fd);
}

/* ---- children ---- */

static void
child_closed(uv_handle_t *handle)
{
	struct ql_sandbox_child *child = handle->data;
	struct ql_sandbox *sandbox = child->sandbox;
	free(child);
	ql_sandbox_part_closed(sandbox);
}

static void
let_go(struct ql_sandbox_child *child)
{
	DL_DELETE(child->sandbox->children, child);
	uv_close((uv_handle_t *)&child->poll, child_closed);
}

static void
child_ended(uv_poll_t *poll, int status, int events)
{
	struct ql_sandbox_child *child = poll->data;
	(void)status;
	(void)events;
	let_go(child);
	ql_child_reap(child->pidfd);
}

/* Without memory for it, the child stays a zombie until the server ends: nothing is wrong by it. */
void
ql_sandbox_mind(struct ql_sandbox *sandbox, int pidfd)
{
	struct ql_sandbox_child *child = calloc(1, sizeof(*child));
	if (!child || uv_poll_init(sandbox->runtime.loop, &child->poll, pidfd)) {
		free(child);
		close(pidfd);
		return;
	}
	child->poll.data = child;
	child->sandbox = sandbox;
	child->pidfd = pidfd;
	sandbox->open_parts++;
	DL_APPEND(sandbox->children, child);
	uv_poll_start(&child->poll, UV_READABLE, child_ended);
}

void
ql_sandbox_leave_children(struct ql_sandbox *sandbox)
{
	struct ql_sandbox_child *child, *next;
	DL_FOREACH_SAFE (sandbox->children, child, next) {
		let_go(child);
		close(child->pidfd);
	}
}
