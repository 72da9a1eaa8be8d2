#include "broker/celery/redis/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "broker/celery/redis/replies.h"

#define READ_BYTES 65536
#define PROBE_IDLE_S 15 /* TCP's own keep-alive, for middle boxes */

struct ql_redis_link {
	const struct ql_redis_link_ops *ops;
	void *arg;
	uv_loop_t *loop;
	char *host;
	int port;
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} at;
	uv_getaddrinfo_t resolve;
	uv_connect_t connect;
	uv_write_t write;
	struct addrinfo *addresses; /* owned; NULL for a numeric address */
	const struct addrinfo *next; /* to try after this one */
	struct ql_buf out; /* gathers while a write is under way */
	char *writing; /* what libuv writes; owned */
	size_t writing_len;
	struct ql_replies replies; /* the one that is read, or handed out */
	redisReader *reader;
	size_t since_reply; /* bytes read since the last whole reply */
	int status; /* why the last attempt to connect failed */
	bool resolving;
	bool dropped;
	char in[READ_BYTES];
};

static void
all_gone(struct ql_redis_link *link)
{
	void (*gone)(void *arg) = link->ops->gone;
	void *arg = link->arg;
	if (link->addresses)
		uv_freeaddrinfo(link->addresses);
	if (link->reader)
		redisReaderFree(link->reader);
	ql_replies_done(&link->replies);
	ql_buf_done(&link->out);
	free(link->writing);
	free(link->host);
	free(link);
	gone(arg);
}

static void
handle_closed(uv_handle_t *handle)
{
	all_gone(handle->data);
}

void
ql_redis_link_drop(struct ql_redis_link *link)
{
	if (link->dropped)
		return;
	link->dropped = true;
	if (link->resolving)
		uv_cancel((uv_req_t *)&link->resolve); /* its callback comes in either case */
	else if (!uv_is_closing(&link->at.handle))
		uv_close(&link->at.handle, handle_closed);
}

static const char *
show(const struct ql_redis_link *link, char *ret_text, size_t size)
{
	if (link->port)
		snprintf(ret_text, size, "%s:%d", link->host, link->port);
	else
		ql_str_copy(ret_text, size, link->host);
	return ret_text;
}

/* The connection was there and goes. */
static void
lose(struct ql_redis_link *link, const char *why)
{
	char at[128];
	struct ql_err err;
	ql_fail(&err, QL_E_UNAVAILABLE, "The connection to Redis at %s is lost: %s",
		show(link, at, sizeof(at)), why);
	ql_redis_link_drop(link);
	link->ops->lost(link->arg, &err);
}

/* It never was: libuv holds nothing of the link any more. */
static void
give_up(struct ql_redis_link *link)
{
	char at[128];
	struct ql_err err;
	ql_fail(&err, QL_E_UNAVAILABLE,
		"Redis at %s could not be reached: %s; see that it runs there and that the address "
		"is right",
		show(link, at, sizeof(at)), uv_strerror(link->status));
	link->dropped = true;
	link->ops->lost(link->arg, &err);
	all_gone(link);
}

/* ---- bytes in ---- */

static void
make_room(uv_handle_t *handle, size_t size, uv_buf_t *ret_buf)
{
	struct ql_redis_link *link = handle->data;
	(void)size;
	*ret_buf = uv_buf_init(link->in, sizeof(link->in));
}

static void
hand_out(struct ql_redis_link *link)
{
	void *reply = NULL;
	while (!link->dropped) {
		if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
			lose(link, link->reader->errstr);
			return;
		}
		if (!reply)
			return;
		link->since_reply = 0;
		link->ops->reply(link->arg, reply);
		ql_replies_drop(&link->replies);
	}
}

static void
heard(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct ql_redis_link *link = stream->data;
	if (link->dropped || !n)
		return;
	if (n < 0) {
		lose(link, n == UV_EOF ? "it closed the connection" : uv_strerror((int)n));
		return;
	}
	link->since_reply += (size_t)n;
	if (link->since_reply > QL_REDIS_LINK_REPLY_MAX) {
		lose(link, "its reply is over the bound of 256 MiB");
		return;
	}
	if (redisReaderFeed(link->reader, buf->base, (size_t)n) != REDIS_OK) {
		lose(link, "out of memory for its reply");
		return;
	}
	hand_out(link);
}

/* ---- bytes out ---- */

static void
written(uv_write_t *write, int status)
{
	struct ql_redis_link *link = write->data;
	struct ql_err err;
	free(link->writing);
	link->writing = NULL;
	link->writing_len = 0;
	if (link->dropped)
		return;
	if (status)
		lose(link, uv_strerror(status));
	else if (ql_redis_link_flush(link, &err))
		lose(link, err.text);
	else if (!link->writing)
		link->ops->drained(link->arg);
}

int
ql_redis_link_write(struct ql_redis_link *link, const char *bytes, size_t len)
{
	return ql_buf_add(&link->out, bytes, len);
}

int
ql_redis_link_flush(struct ql_redis_link *link, struct ql_err *e)
{
	if (link->writing || !link->out.len)
		return 0;
	link->writing_len = link->out.len;
	link->writing = ql_buf_take(&link->out);
	/* libuv counts in unsigned int; the owner's bound on what waits is far below that */
	uv_buf_t buf = uv_buf_init(link->writing, (unsigned)link->writing_len);
	link->write.data = link;
	int status = uv_write(&link->write, &link->at.stream, &buf, 1, written);
	if (!status)
		return 0;
	free(link->writing);
	link->writing = NULL;
	char at[128];
	return ql_fail(e, QL_E_UNAVAILABLE, "Writing to Redis at %s failed: %s",
		show(link, at, sizeof(at)), uv_strerror(status));
}

size_t
ql_redis_link_backlog(const struct ql_redis_link *link)
{
	return link->writing_len + link->out.len;
}

/* ---- the way to it ---- */

static void try_address(struct ql_redis_link *link, const struct sockaddr *address);

static void
attempt_closed(uv_handle_t *handle)
{
	struct ql_redis_link *link = handle->data;
	if (link->dropped) {
		all_gone(link);
	} else if (link->next) {
		const struct sockaddr *address = link->next->ai_addr;
		link->next = link->next->ai_next;
		try_address(link, address);
	} else {
		give_up(link);
	}
}

static void
attempt_failed(struct ql_redis_link *link, int status)
{
	link->status = status;
	uv_close(&link->at.handle, attempt_closed);
}

static void
connected(uv_connect_t *connect, int status)
{
	struct ql_redis_link *link = connect->data;
	if (link->dropped)
		return;
	if (!status)
		status = uv_read_start(&link->at.stream, make_room, heard);
	if (status) {
		attempt_failed(link, status);
		return;
	}
	if (link->port) {
		uv_tcp_nodelay(&link->at.tcp, 1);
		uv_tcp_keepalive(&link->at.tcp, 1, PROBE_IDLE_S);
	}
	link->ops->up(link->arg);
}

/* From here on the handle is what keeps the link. */
static void
try_address(struct ql_redis_link *link, const struct sockaddr *address)
{
	uv_tcp_init(link->loop, &link->at.tcp); /* makes no socket yet: it cannot fail */
	link->at.handle.data = link;
	link->connect.data = link;
	int status = uv_tcp_connect(&link->connect, &link->at.tcp, address, connected);
	if (status)
		attempt_failed(link, status);
}

static void
resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *addresses)
{
	struct ql_redis_link *link = resolve->data;
	link->resolving = false;
	link->addresses = addresses;
	if (link->dropped) {
		all_gone(link);
	} else if (status) {
		link->status = status;
		give_up(link);
	} else {
		link->next = addresses->ai_next;
		try_address(link, addresses->ai_addr);
	}
}

/* A numeric address needs no thread of the pool, which others may hold up. */
static int
find(struct ql_redis_link *link)
{
	struct sockaddr_storage numeric;
	if (!uv_ip4_addr(link->host, link->port, (struct sockaddr_in *)&numeric) ||
		!uv_ip6_addr(link->host, link->port, (struct sockaddr_in6 *)&numeric)) {
		try_address(link, (const struct sockaddr *)&numeric);
		return 0;
	}
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	char port[16];
	snprintf(port, sizeof(port), "%d", link->port);
	link->resolve.data = link;
	link->resolving = true;
	return uv_getaddrinfo(link->loop, &link->resolve, resolved, link->host, port, &hints);
}

static int
start(struct ql_redis_link *link)
{
	if (link->port)
		return find(link);
	int status = uv_pipe_init(link->loop, &link->at.pipe, 0);
	if (status)
		return status;
	link->at.handle.data = link;
	link->connect.data = link;
	uv_pipe_connect(&link->connect, &link->at.pipe, link->host, connected);
	return 0;
}

int
ql_redis_link_open(uv_loop_t *loop, const char *host, int port, const struct ql_redis_link_ops *ops,
	void *arg, struct ql_redis_link **ret_link, struct ql_err *e)
{
	struct ql_redis_link *link = calloc(1, sizeof(*link));
	int status = UV_ENOMEM;
	if (link) {
		link->ops = ops;
		link->arg = arg;
		link->loop = loop;
		link->port = port;
		link->host = strdup(host);
		link->reader = ql_replies_reader(&link->replies);
		status = link->host && link->reader ? start(link) : UV_ENOMEM;
	}
	if (!status) {
		*ret_link = link;
		return 0;
	}
	if (link && link->reader)
		redisReaderFree(link->reader);
	if (link)
		free(link->host);
	free(link);
	return ql_fail(e, QL_E_UNAVAILABLE, "Redis at %s could not be asked: %s", host,
		uv_strerror(status));
}
