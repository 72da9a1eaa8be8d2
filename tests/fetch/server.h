/*
 * A small HTTP server on the test's own loop, over a unix socket or a free port of the loopback.
 * The test says what each request gets, down to the bytes, and when; so nothing has to be waited
 * for by the clock.
 */
#ifndef QL_TESTS_FETCH_SERVER_H
#define QL_TESTS_FETCH_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/buf.h"

struct server;

/* One connection, with the request that was read from it last. */
struct peer {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} wire;
	struct server *server;
	struct ql_buf in;
	char method[16];
	char path[1024];
	const char *head; /* of the request, whole */
	const char *body;
	size_t body_len;
	struct peer *prev, *next;
	bool gone; /* the client has left, or the server closed it */
	bool endless; /* a new piece is sent as soon as the last one was taken */
};

struct server {
	uv_loop_t *loop;
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} wire;
	char url[128]; /* without a slash at its end */
	char path[108]; /* of the unix socket; "" = over TCP */
	struct peer *peers;
	int accepted; /* connections, ever */
	int served; /* requests, ever */
	int most; /* requests without an answer at once, the most there were */
	int unanswered;
	int handles; /* not closed yet */
	void (*serve)(struct server *server, struct peer *peer);
	void *own; /* the test's */
};

/* path NULL: over TCP. */
void server_open(struct server *server, uv_loop_t *loop, const char *path,
	void (*serve)(struct server *server, struct peer *peer));

/* Closes it with all its connections; its handles are closed when the loop has turned. */
void server_close(struct server *server);

/* A whole answer, with its length. */
void peer_answer(struct peer *peer, int status, const char *body);

/* Bytes as they are. */
void peer_say(struct peer *peer, const char *bytes, size_t len);

/* Hangs up; a reset when there is no clean way to end it. */
void peer_close(struct peer *peer);
void peer_reset(struct peer *peer);

/* An answer without an end, as fast as the client takes it. */
void peer_flood(struct peer *peer);

#endif
