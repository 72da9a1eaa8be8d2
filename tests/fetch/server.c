#include "server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <utlist.h>
#include <cmocka.h>

struct saying {
	uv_write_t write;
	char *bytes;
};

static void
peer_closed(uv_handle_t *handle)
{
	struct peer *peer = handle->data;
	peer->server->handles--;
	DL_DELETE(peer->server->peers, peer);
	ql_buf_done(&peer->in);
	free(peer);
}

static bool
leave(struct peer *peer)
{
	if (peer->gone)
		return false;
	peer->gone = true;
	return true;
}

void
peer_close(struct peer *peer)
{
	if (leave(peer))
		uv_close(&peer->wire.handle, peer_closed);
}

void
peer_reset(struct peer *peer)
{
	if (peer->server->path[0])
		peer_close(peer);
	else if (leave(peer))
		assert_int_equal(uv_tcp_close_reset(&peer->wire.tcp, peer_closed), 0);
}

static void
said(uv_write_t *write, int status)
{
	struct saying *saying = (struct saying *)write;
	struct peer *peer = write->data;
	free(saying->bytes);
	free(saying);
	if (!status && peer->endless && !peer->gone)
		peer_say(peer, "4000\r\n", 6);
}

void
peer_say(struct peer *peer, const char *bytes, size_t len)
{
	struct saying *saying = calloc(1, sizeof(*saying));
	size_t more = peer->endless ? 0x4000 + 2 : 0;
	assert_non_null(saying);
	saying->bytes = calloc(1, len + more);
	assert_non_null(saying->bytes);
	memcpy(saying->bytes, bytes, len);
	if (more)
		memcpy(saying->bytes + len + more - 2, "\r\n", 2);
	saying->write.data = peer;
	uv_buf_t buf = uv_buf_init(saying->bytes, (unsigned)(len + more));
	assert_int_equal(uv_write(&saying->write, &peer->wire.stream, &buf, 1, said), 0);
}

void
peer_flood(struct peer *peer)
{
	const char *head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
	peer_say(peer, head, strlen(head));
	peer->endless = true;
	peer_say(peer, "4000\r\n", 6);
}

void
peer_answer(struct peer *peer, int status, const char *body)
{
	struct ql_buf out = {0};
	bool empty = status == 204 || status == 304;
	if (peer->gone)
		return;
	ql_buf_addf(&out, "HTTP/1.1 %d Said\r\n", status);
	if (!empty)
		ql_buf_addf(&out, "Content-Length: %zu\r\n", strlen(body));
	ql_buf_addf(&out, "\r\n%s", empty ? "" : body);
	peer->server->unanswered--;
	peer_say(peer, out.data, out.len);
	ql_buf_done(&out);
}

static size_t
body_length(const char *head)
{
	const char *line = strcasestr(head, "\r\nContent-Length:");
	return line ? strtoul(line + strlen("\r\nContent-Length:"), NULL, 10) : 0;
}

/* 1: there is a whole request. */
static int
parse(struct peer *peer)
{
	char *end = peer->in.data ? strstr(peer->in.data, "\r\n\r\n") : NULL;
	if (!end)
		return 0;
	peer->head = peer->in.data;
	peer->body = end + 4;
	peer->body_len = body_length(peer->in.data);
	if (peer->in.len < (size_t)(peer->body - peer->in.data) + peer->body_len)
		return 0;
	assert_int_equal(sscanf(peer->in.data, "%15s %1023s", peer->method, peer->path), 2);
	return 1;
}

static void
read_some(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	struct peer *peer = stream->data;
	struct server *server = peer->server;
	if (len > 0)
		assert_int_equal(ql_buf_add(&peer->in, buf->base, (size_t)len), 0);
	free(buf->base);
	if (len < 0) {
		peer_close(peer);
		return;
	}
	while (!peer->gone && parse(peer)) {
		size_t whole = (size_t)(peer->body - peer->in.data) + peer->body_len;
		server->served++;
		if (++server->unanswered > server->most)
			server->most = server->unanswered;
		server->serve(server, peer);
		ql_buf_consume(&peer->in, whole);
	}
}

static void
give_room(uv_handle_t *handle, size_t size, uv_buf_t *ret_buf)
{
	(void)handle;
	*ret_buf = uv_buf_init(malloc(size), (unsigned)size);
}

static int
init_wire(struct server *server, uv_stream_t *stream)
{
	if (server->path[0])
		return uv_pipe_init(server->loop, (uv_pipe_t *)stream, 0);
	return uv_tcp_init(server->loop, (uv_tcp_t *)stream);
}

static void
accept_one(uv_stream_t *listener, int status)
{
	struct server *server = listener->data;
	struct peer *peer = calloc(1, sizeof(*peer));
	assert_int_equal(status, 0);
	assert_non_null(peer);
	assert_int_equal(init_wire(server, &peer->wire.stream), 0);
	peer->server = server;
	peer->wire.handle.data = peer;
	server->handles++;
	server->accepted++;
	DL_APPEND(server->peers, peer);
	assert_int_equal(uv_accept(listener, &peer->wire.stream), 0);
	assert_int_equal(uv_read_start(&peer->wire.stream, give_room, read_some), 0);
}

static void
bind_port(struct server *server)
{
	struct sockaddr_in address;
	int len = sizeof(address);
	uv_ip4_addr("127.0.0.1", 0, &address);
	assert_int_equal(uv_tcp_bind(&server->wire.tcp, (struct sockaddr *)&address, 0), 0);
	uv_tcp_getsockname(&server->wire.tcp, (struct sockaddr *)&address, &len);
	snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%d", ntohs(address.sin_port));
}

void
server_open(struct server *server, uv_loop_t *loop, const char *path,
	void (*serve)(struct server *server, struct peer *peer))
{
	*server = (struct server){.loop = loop, .serve = serve, .handles = 1};
	snprintf(server->path, sizeof(server->path), "%s", path ? path : "");
	assert_int_equal(init_wire(server, &server->wire.stream), 0);
	server->wire.handle.data = server;
	snprintf(server->url, sizeof(server->url), "http://unix");
	if (path)
		assert_int_equal(uv_pipe_bind(&server->wire.pipe, path), 0);
	else
		bind_port(server);
	assert_int_equal(uv_listen(&server->wire.stream, 64, accept_one), 0);
}

static void
closed(uv_handle_t *handle)
{
	struct server *server = handle->data;
	server->handles--;
}

void
server_close(struct server *server)
{
	struct peer *peer, *next;
	DL_FOREACH_SAFE (server->peers, peer, next)
		peer_close(peer);
	if (!uv_is_closing(&server->wire.handle))
		uv_close(&server->wire.handle, closed);
}
