/*
 * One stream to one Redis server (or sentinel), from its connect to its close: bytes out, whole
 * replies in. It knows no commands. The protocol is hiredis' reader; the socket is libuv's own
 * stream, not hiredis' async context: that of 0.14 aborts the process when a peer sends a reply
 * that nobody asked for, hands no PING's answer out on a connection with subscriptions, and has
 * a dead server reported by nobody.
 *
 * Order of calls: ql_redis_link_open -> up -> reply, drained, any number -> lost, or
 * ql_redis_link_drop by the owner -> gone. Every callback comes from the loop, never from within
 * a call of the owner's; the owner may drop the link in any of them. It has no deadlines: they are
 * the owner's.
 */
#ifndef QL_BROKER_CELERY_REDIS_LINK_H
#define QL_BROKER_CELERY_REDIS_LINK_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/err.h"

#define QL_REDIS_LINK_REPLY_MAX (256 << 20) /* bytes of one reply; more ends the connection */

struct ql_redis_link;

struct ql_redis_link_ops {
	void (*up)(void *arg);
	void (*reply)(void *arg, const redisReply *reply); /* valid within the call */
	void (*drained)(void *arg); /* nothing that was written is left here */
	void (*lost)(void *arg, const struct ql_err *err); /* once; only gone comes after it */
	void (*gone)(void *arg); /* after a drop or a loss: its memory and handles are free */
};

/* port 0: host is the path of a unix socket. Addresses of one name are tried in turn. */
int
ql_redis_link_open(uv_loop_t *loop, const char *host, int port, const struct ql_redis_link_ops *ops,
	void *arg, struct ql_redis_link **ret_link, struct ql_err *e);

/* Gathers bytes (copied); they go out with the next flush. -1: out of memory. */
int ql_redis_link_write(struct ql_redis_link *link, const char *bytes, size_t len);

/* -1: the connection is of no use any more; drop it. lost is not called for it. */
int ql_redis_link_flush(struct ql_redis_link *link, struct ql_err *e);

/* Bytes that the kernel has not taken yet. */
size_t ql_redis_link_backlog(const struct ql_redis_link *link);

/* The owner hears nothing of it any more but gone. */
void ql_redis_link_drop(struct ql_redis_link *link);

#endif
