#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "runner/file.h"
#include "runner/supervisor.h"
#include "runner/sys.h"

void
ql_conn_linger(struct ql_supervisor *sup)
{
	int64_t wait = sup->spec.linger_ms ? sup->spec.linger_ms : QL_RUNNER_LINGER_MS;
	sup->linger_at = ql_sys_now_ms() + wait;
}

static void
lose(struct ql_supervisor *sup)
{
	ql_loop_remove(&sup->loop, &sup->conn);
	ql_conn_linger(sup);
	ql_conn_listen(sup);
}

static void
conn_ready(void *arg, struct ql_source *source, uint32_t events)
{
	(void)events;
	struct ql_supervisor *sup = arg;
	struct ql_runner_ask ask;
	ssize_t n = recv(source->fd, &ask, sizeof(ask), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof(ask) || ask.magic != QL_RUNNER_MAGIC || ask.version != QL_RUNNER_VERSION)
		lose(sup);
	else
		ql_ask_handle(sup, &ask);
}

static void
listener_ready(void *arg, struct ql_source *source, uint32_t events)
{
	(void)events;
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		ql_conn_take(arg, fd);
}

/* Bound by a relative name: a socket's path has 108 bytes, a data folder's may have more. */
static int
open_listener(const struct ql_supervisor *sup)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = QL_RUNNER_SOCK};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlinkat(sup->dir, QL_RUNNER_SOCK, 0);
	if (fd < 0 || fchdir(sup->dir) || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
		listen(fd, 4) || chdir("/"))
		ql_fd_done(&fd);
	return fd;
}

/* Where there is no room for the socket now, there may be later. */
void
ql_conn_listen(struct ql_supervisor *sup)
{
	sup->listen_at = 0;
	if (sup->listener.fd >= 0)
		return;
	int fd = open_listener(sup);
	if (fd < 0 ||
		ql_loop_add(&sup->loop, &sup->listener, fd, EPOLLIN, listener_ready, sup, NULL))
		sup->listen_at = ql_sys_now_ms() + QL_RUNNER_WATCH_MS;
}

/* A server that doesn't read loses the connection; the next one gets the whole truth again. */
static void
send_tell(struct ql_supervisor *sup, struct ql_runner_tell *tell, const char *text)
{
	tell->magic = QL_RUNNER_MAGIC;
	tell->version = QL_RUNNER_VERSION;
	tell->incarnation = sup->status.incarnation;
	tell->truth = sup->status.truth;
	if (text)
		ql_str_copy(tell->text, sizeof(tell->text), text);
	if (sup->conn.fd < 0)
		return;
	if (send(sup->conn.fd, tell, sizeof(*tell), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		lose(sup);
}

void
ql_conn_tell(struct ql_supervisor *sup, enum ql_runner_tell_kind kind, const char *text)
{
	struct ql_runner_tell tell = {.kind = (uint16_t)kind};
	send_tell(sup, &tell, text);
}

void
ql_conn_answer(struct ql_supervisor *sup, const struct ql_runner_ask *ask,
	enum ql_runner_tell_kind kind, const char *text)
{
	struct ql_runner_tell tell = {
		.kind = (uint16_t)kind, .epoch = ask->epoch, .answers = ask->kind};
	send_tell(sup, &tell, text);
}

void
ql_conn_tell_truth(struct ql_supervisor *sup)
{
	const struct ql_runner_truth *truth = &sup->status.truth;
	const char *text = sup->status.text;
	bool ran = !(truth->flags & QL_RUNNER_UNSTARTED);
	sup->told_running = false;
	sup->told_exited = false;
	if (truth->phase == QL_RUNNER_STARTING)
		return;
	if (truth->phase == QL_RUNNER_FAILED) {
		ql_conn_tell(sup, QL_TELL_FAILED_START, text);
		return;
	}
	if (truth->phase == QL_RUNNER_HELD)
		ql_conn_tell(sup, QL_TELL_HELD, NULL);
	sup->told_running = truth->phase >= QL_RUNNER_RUNNING && ran;
	if (sup->told_running)
		ql_conn_tell(sup, QL_TELL_RUNNING, NULL);
	sup->told_exited = truth->phase >= QL_RUNNER_EXITED;
	if (sup->told_exited)
		ql_conn_tell(sup, QL_TELL_EXITED, NULL);
	if (truth->flags & QL_RUNNER_STUCK)
		ql_conn_tell(sup, QL_TELL_STUCK, text);
	if (truth->phase == QL_RUNNER_GONE)
		ql_conn_tell(sup, QL_TELL_GONE, NULL);
	if (truth->flags & QL_RUNNER_SALVAGED)
		ql_conn_tell(sup, QL_TELL_SALVAGED, NULL);
}

void
ql_conn_take(struct ql_supervisor *sup, int fd)
{
	ql_loop_remove(&sup->loop, &sup->conn);
	if (ql_loop_add(&sup->loop, &sup->conn, fd, EPOLLIN, conn_ready, sup, NULL))
		return;
	sup->linger_at = 0;
	ql_conn_tell_truth(sup);
}
