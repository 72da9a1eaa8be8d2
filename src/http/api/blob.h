/*
 * Reads what is kept of an attempt (rules/keep.h): its output, one stream of it, or its checkpoint.
 * All calls block; they are for a thread of the pool. An output may grow while it is read.
 */
#ifndef QL_HTTP_API_BLOB_H
#define QL_HTTP_API_BLOB_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "rules/keep.h"

#define QL_BLOB_SPANS 512

/* A blob that isn't open has fd -1; ql_blob_close makes it so. */
struct ql_blob {
	int fd;
	int index; /* -1 = the file as it is, not one stream of it */
	uint32_t stream;
	int64_t place; /* in the file: of the next byte, or of the current span's */
	/* one stream of it: */
	int64_t index_place;
	int64_t skip; /* bytes of the stream that are not wanted */
	uint32_t left; /* of the current span */
	struct ql_keep_span spans[QL_BLOB_SPANS];
	size_t span_count;
	size_t span_at;
};

/* stream 0 = both, from byte `offset` on. 0 = open; -1 with QL_E_NOT_FOUND: there is none yet. */
int ql_blob_open_output(struct ql_blob *blob, const char *data_dir, const char *eval_id,
	int32_t attempt, uint32_t stream, int64_t offset, struct ql_err *e);

/* The newest checkpoint of that attempt or one before. */
int ql_blob_open_checkpoint(struct ql_blob *blob, const char *data_dir, const char *eval_id,
	int32_t attempt, struct ql_err *e);

/* How many bytes there are now, from byte 0 on; before the first read. -1 when it can't be read. */
int64_t ql_blob_size(struct ql_blob *blob, struct ql_err *e);

/* 0 = nothing more there now, -1 when it can't be read. */
ssize_t ql_blob_read(struct ql_blob *blob, char *buf, size_t max, struct ql_err *e);

void ql_blob_close(struct ql_blob *blob);

#endif
