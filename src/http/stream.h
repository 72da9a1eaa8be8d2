/*
 * Answers that come piece by piece. MHD asks `pull` for bytes while its socket takes them; when
 * there are none now, the connection is suspended until ql_stream_wake.
 */
#ifndef QL_HTTP_STREAM_H
#define QL_HTTP_STREAM_H

#include <stdint.h>
#include <sys/types.h>

#include "http/request.h"

#define QL_STREAM_END (-1)
#define QL_STREAM_BROKEN (-2) /* fewer bytes came than were promised: the connection is cut */

/* How many bytes it wrote (at most max), 0 = none now, or one of the above. */
typedef ssize_t(ql_stream_fn)(struct ql_request *req, char *buf, size_t max);

/*
 * Answers 200 with that type. size: how many bytes will come, -1 = until QL_STREAM_END. Counts
 * among the server's streams until the request ends: -1 and answered with 429 when those are all
 * taken. `leave` is called when the client has left or the server stops; it has to make pull end.
 */
int ql_reply_stream(struct ql_request *req, const char *type, int64_t size, ql_stream_fn *pull,
	void (*leave)(struct ql_request *req));

/* There is something to pull. */
void ql_stream_wake(struct ql_request *req);

#endif
