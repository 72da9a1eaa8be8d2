#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <utlist.h>

#include "http/inside.h"
#include "http/bounds.h"

static void
open_conn(struct ql_server *server, struct MHD_Connection *mhd, void **ret_conn)
{
	struct ql_conn *conn = calloc(1, sizeof(*conn));
	if (!conn)
		return; /* ql_request_begin sees it */
	conn->magic = QL_CONN_MAGIC;
	conn->server = server;
	conn->mhd = mhd;
	conn->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	conn->since = (int64_t)uv_now(server->config.loop);
	conn->deadline = conn->since + server->config.limits.head_ms;
	DL_APPEND(server->conns, conn);
	server->conn_count++;
	*ret_conn = conn;
}

void
ql_conn_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
	enum MHD_ConnectionNotificationCode code)
{
	struct ql_server *server = cls;
	struct ql_conn *conn = *socket_context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		open_conn(server, mhd, socket_context);
		return;
	}
	if (!conn)
		return;
	assert_conn(conn);
	DL_DELETE(server->conns, conn);
	server->conn_count--;
	conn->magic = 0;
	free(conn);
}

/* Has the client closed its side? MHD doesn't watch a suspended connection. */
static bool
has_left(const struct ql_conn *conn)
{
	char byte;
	ssize_t n = recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return !n || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static bool
is_late(const struct ql_conn *conn, int64_t now)
{
	const struct ql_server *server = conn->server;
	bool crowded = server->conn_count >= server->config.limits.connections &&
		       conn->request.phase == QL_REQUEST_NONE &&
		       now - conn->since >= server->config.limits.crowd_ms;
	return crowded || (conn->deadline && now >= conn->deadline);
}

/* By then it may not ask any more, nor go on with what it asked for. */
static bool
has_expired(const struct ql_conn *conn)
{
	const struct ql_request *req = &conn->request;
	int64_t until = req->principal.expires_at;
	return req->phase >= QL_REQUEST_WORK && until &&
	       ql_engine_now(conn->server->config.engine) >= until;
}

/* MHD takes the shutdown for the client's own end, and closes. */
void
ql_conns_sweep(struct ql_server *server)
{
	int64_t now = (int64_t)uv_now(server->config.loop);
	struct ql_conn *conn;
	DL_FOREACH (server->conns, conn) {
		if (is_late(conn, now))
			shutdown(conn->fd, SHUT_RDWR);
		if (conn->request.left)
			continue;
		if (has_expired(conn) || (conn->request.suspended && has_left(conn)))
			ql_request_leave(&conn->request);
	}
}
