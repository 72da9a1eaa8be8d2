#include "http/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "http/bounds.h"
#include "http/api/events.h"
#include "http/inside.h"
#include "http/api/outputs.h"

const struct ql_server_limits ql_server_limits_default = {
	.connections = QL_HTTP_CONNECTIONS,
	.waits = QL_HTTP_WAITS,
	.streams = QL_HTTP_STREAMS,
	.bodies = QL_HTTP_BODIES_MAX,
	.crowd_ms = QL_HTTP_CROWD_MS,
	.head_ms = QL_HTTP_HEAD_MS,
	.body_ms = QL_HTTP_BODY_MS,
	.send_ms = QL_HTTP_SEND_MS,
	.sweep_ms = QL_HTTP_SWEEP_MS,
	.stop_ms = QL_HTTP_STOP_MS,
	.beat_ms = QL_HTTP_BEAT_MS,
};

/* ---- MHD inside the loop ---- */

static bool finish_stop(struct ql_server *server);

static void on_again(uv_idle_t *again);

static void on_timer(uv_timer_t *timer);

/* MHD_get_timeout is asked after each run: 0 means that it wants to run again at once. */
static void
run(struct ql_server *server)
{
	MHD_UNSIGNED_LONG_LONG timeout;
	MHD_run(server->mhd);
	if (server->stopping && finish_stop(server))
		return;
	bool timed = MHD_get_timeout(server->mhd, &timeout) == MHD_YES;
	if (timed && !timeout)
		uv_idle_start(&server->again, on_again);
	else
		uv_idle_stop(&server->again);
	if (timed && timeout)
		uv_timer_start(&server->timer, on_timer, timeout, 0);
	else
		uv_timer_stop(&server->timer);
}

static void
on_again(uv_idle_t *again)
{
	run(again->data);
}

static void
on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	run(poll->data);
}

static void
on_sweep(uv_timer_t *sweep)
{
	struct ql_server *server = sweep->data;
	ql_conns_sweep(server);
	ql_events_beat(server->events);
	ql_outputs_sweep(server);
	ql_attempts_tell(server, false);
	ql_server_kick(server);
}

void
ql_server_kick(struct ql_server *server)
{
	uv_idle_start(&server->again, on_again);
}

/* ---- start ---- */

/* Escapes are undone by ql_target_parse, segment by segment. */
static size_t
keep_escapes(void *cls, struct MHD_Connection *mhd, char *text)
{
	(void)cls, (void)mhd;
	return strlen(text);
}

static int
start_mhd(struct ql_server *server, struct ql_err *e)
{
	int fd;
	const struct ql_server_limits *limits = &server->config.limits;
	unsigned idle = limits->send_ms > 1000 ? (unsigned)(limits->send_ms / 1000) : 1;
	if (ql_listen_open(&server->where, &fd, e))
		return -1;
	server->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		ql_request_serve, server, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_NOTIFY_CONNECTION, ql_conn_notify, server, MHD_OPTION_URI_LOG_CALLBACK,
		ql_request_begin, server, MHD_OPTION_NOTIFY_COMPLETED, ql_request_end, server,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_CONNECTION_LIMIT,
		limits->connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)QL_HTTP_HEAD_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, idle, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_END);
	if (server->mhd)
		return 0;
	close(fd);
	return ql_fail(e, QL_E_SYSTEM, "can't start the HTTP server on %s", server->config.listen);
}

/* The response to /healthz is always the same one. */
static int
make_healthy(struct ql_server *server, struct ql_err *e)
{
	static const char text[] = "{\"status\":\"ok\",\"version\":\"" QL_VERSION "\"}";
	server->healthy = MHD_create_response_from_buffer(
		sizeof(text) - 1, (void *)text, MHD_RESPMEM_PERSISTENT);
	if (!server->healthy)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for the HTTP server");
	MHD_add_response_header(server->healthy, "Content-Type", "application/json");
	return 0;
}

static void
start_handles(struct ql_server *server)
{
	uv_loop_t *loop = server->config.loop;
	int fd = MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	int64_t sweep_ms = server->config.limits.sweep_ms;
	uv_poll_init(loop, &server->poll, fd);
	uv_timer_init(loop, &server->timer);
	uv_timer_init(loop, &server->sweep);
	uv_idle_init(loop, &server->again);
	server->poll.data = server->timer.data = server->sweep.data = server->again.data = server;
	server->open_handles = 4;
	uv_poll_start(&server->poll, UV_READABLE, on_poll);
	uv_timer_start(&server->sweep, on_sweep, (uint64_t)sweep_ms, (uint64_t)sweep_ms);
}

static void
write_url(struct ql_server *server)
{
	const char *name = server->where.name;
	bool colon = strchr(name, ':');
	snprintf(server->url, sizeof(server->url), "http://%s%s%s:%d", colon ? "[" : "", name,
		colon ? "]" : "", server->where.port);
}

static int
start(struct ql_server *server, struct ql_err *e)
{
	const char *text = server->config.listen;
	if (ql_listen_parse(text, &server->where, e))
		return -1;
	if (server->config.auth->none && !server->where.loopback)
		return ql_fail(e, QL_E_USAGE,
			"can't listen on %s without keys: whoever reaches it could run code here; "
			"listen on loopback (127.0.0.1), or leave --auth at keys",
			text);
	if (make_healthy(server, e) || ql_events_new(server, &server->events, e) ||
		start_mhd(server, e))
		return -1;
	write_url(server);
	start_handles(server);
	return 0;
}

int
ql_server_start(
	const struct ql_server_config *config, struct ql_server **ret_server, struct ql_err *e)
{
	struct ql_server *server = calloc(1, sizeof(*server));
	if (!server)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for the HTTP server");
	server->magic = QL_SERVER_MAGIC;
	server->config = *config;
	server->flood = calloc(1, sizeof(*server->flood));
	if (!server->flood) {
		ql_server_free(server);
		return ql_fail(e, QL_E_SYSTEM, "out of memory for the HTTP server");
	}
	if (start(server, e)) {
		ql_server_free(server);
		return -1;
	}
	*ret_server = server;
	return 0;
}

const char *
ql_server_url(const struct ql_server *server)
{
	return server->url;
}

/* ---- stop ---- */

static void
on_closed(uv_handle_t *handle)
{
	struct ql_server *server = handle->data;
	if (--server->open_handles)
		return;
	server->stopped(server->stopped_arg);
}

/* True once everything is on its way out; server->mhd is gone then. */
static bool
finish_stop(struct ql_server *server)
{
	bool late = (int64_t)uv_now(server->config.loop) >= server->stop_deadline;
	struct ql_conn *conn;
	DL_FOREACH (server->conns, conn) {
		if (conn->request.suspended)
			return false; /* an operation is open: MHD_stop_daemon would abort */
		if (!late && conn->request.phase != QL_REQUEST_NONE)
			return false;
	}
	ql_attempts_tell(server, true);
	if (server->writes)
		return false; /* their answers come to the server */
	uv_close((uv_handle_t *)&server->poll, on_closed);
	uv_close((uv_handle_t *)&server->timer, on_closed);
	uv_close((uv_handle_t *)&server->sweep, on_closed);
	uv_close((uv_handle_t *)&server->again, on_closed);
	MHD_stop_daemon(server->mhd);
	server->mhd = NULL;
	return true;
}

void
ql_server_stop(struct ql_server *server, void (*stopped)(void *arg), void *arg)
{
	struct ql_conn *conn;
	server->stopping = true;
	server->stopped = stopped;
	server->stopped_arg = arg;
	server->stop_deadline =
		(int64_t)uv_now(server->config.loop) + server->config.limits.stop_ms;
	int fd = MHD_quiesce_daemon(server->mhd);
	if (fd >= 0)
		close(fd);
	DL_FOREACH (server->conns, conn) {
		if (conn->request.phase >= QL_REQUEST_WORK && !conn->request.left)
			ql_request_leave(&conn->request);
	}
	ql_server_kick(server);
}

void
ql_server_free(struct ql_server *server)
{
	if (!server)
		return;
	ql_events_free(server->events);
	if (server->healthy)
		MHD_destroy_response(server->healthy);
	server->magic = 0;
	free(server->flood);
	free(server->report);
	free(server);
}
