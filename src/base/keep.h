/*
 * What is kept of an attempt, in a folder of its own: written by quell-runner, read by the server.
 *	output		the bytes of both streams in the order in which they were read
 *	index		one struct ql_keep_span for each run of bytes of one stream
 *	checkpoint.tar	the last saved checkpoint
 */
#ifndef QL_BASE_KEEP_H
#define QL_BASE_KEEP_H

#include <stdint.h>

#define QL_KEEP_OUTPUT "output"
#define QL_KEEP_INDEX "index"
#define QL_KEEP_CHECKPOINT "checkpoint.tar"

/* Written in order; `output` is their concatenation. Consecutive ones may be of one stream. */
struct ql_keep_span {
	uint32_t len;
	uint32_t stream; /* 1 = stdout, 2 = stderr */
};

#endif
