/*
 * What is kept of an attempt, in a folder of its own: written by quell-runner, read by the server.
 *	output		the bytes of both streams in the order in which they were read
 *	index		one struct ql_keep_span for each run of bytes of one stream
 *	checkpoint.tar	the last saved checkpoint
 */
#ifndef QL_BASE_KEEP_H
#define QL_BASE_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QL_KEEP_OUTPUT "output"
#define QL_KEEP_INDEX "index"
#define QL_KEEP_CHECKPOINT "checkpoint.tar"
#define QL_KEEP_OUTPUT_MAX (10 << 20) /* bytes of output kept of an attempt */

/* Written in order; `output` is their concatenation. Consecutive ones may be of one stream. */
struct ql_keep_span {
	uint32_t len;
	uint32_t stream; /* 1 = stdout, 2 = stderr */
};

/* The writer of output and index: up to a bound, or until the disk takes no more. */
struct ql_keep {
	const char
		*path; /* the folder, the caller's; made with the first byte. NULL: never by us */
	int output; /* owned, as is index; -1 = not open */
	int index;
	int64_t bytes; /* kept so far */
	int64_t spans;
	int64_t max;
	bool truncated; /* something is missing at the end */
};

/*
 * The folder and its files come with the first byte; files that are there already are emptied
 * now. The folder above it exists.
 */
int ql_keep_start(struct ql_keep *keep, const char *path, int64_t max, struct ql_err *e);

/* Makes both files in that folder now, empty. */
int ql_keep_open(struct ql_keep *keep, int folder, struct ql_err *e);

/* Blocks as writing a file does. What isn't kept is counted as truncated. */
void ql_keep_add(struct ql_keep *keep, uint32_t stream, const char *data, size_t len);

void ql_keep_close(struct ql_keep *keep);

#endif
