/*
 * One request under way in a curl multi handle, and where its answer goes: into a buffer, or, for
 * a stream of output, piece by piece to a descriptor.
 */
#ifndef QL_CLI_TRANSFER_H
#define QL_CLI_TRANSFER_H

#include <stdbool.h>

#include "cli/client.h"

struct ql_transfer {
	CURL *curl; /* owned */
	CURLM *multi; /* borrowed; it is in there while active */
	struct ql_ask request;
	bool active;
	struct ql_buf answer; /* JSON, or the problem of a stream */

	/* streams alone */
	int fd; /* -1 = not a stream */
	struct ql_buf
		pending; /* taken from the server, not yet written; at most one of curl's pieces */
	bool paused; /* curl waits until pending is empty */
	int64_t offset; /* bytes taken so far, over all requests */
};

int ql_transfer_init(struct ql_transfer *transfer, CURLM *multi, int fd, struct ql_err *e);
void ql_transfer_done(struct ql_transfer *transfer);

/* Not while it is active. */
int ql_transfer_start(struct ql_transfer *transfer, const struct ql_client *client,
	const struct ql_call *call, struct ql_err *e);

/* Takes it out of the multi handle, finished or not. What was pending stays. */
void ql_transfer_stop(struct ql_transfer *transfer);

/* The status of its last answer; 0 = there was none. */
long ql_transfer_status(const struct ql_transfer *transfer);

/*
 * Writes what is pending as far as the descriptor takes it without waiting, then lets curl go on.
 * -1 with e when it was closed or a write failed.
 */
int ql_transfer_pump(struct ql_transfer *transfer, struct ql_err *e);

#endif
