/*
 * A growing run of bytes with an upper bound. The zeroed struct is an empty buffer without a
 * bound. A failed append leaves what was there; `failed` stays set, so that a chain of appends
 * needs one look at its end. Always NUL-terminated once something was appended.
 */
#ifndef QL_BASE_BUF_H
#define QL_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct ql_buf {
	char *data; /* owned; NULL while nothing was appended */
	size_t len; /* bytes, without the NUL */
	size_t cap;
	size_t limit; /* most bytes; 0 = no bound */
	bool failed; /* an append was refused: out of memory or over the bound */
};

int ql_buf_add(struct ql_buf *buf, const void *data, size_t len);
int ql_buf_adds(struct ql_buf *buf, const char *s);
int ql_buf_addf(struct ql_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drops the first len bytes. */
void ql_buf_consume(struct ql_buf *buf, size_t len);

/* The bytes, now the caller's to free; the buffer is empty again. */
char *ql_buf_take(struct ql_buf *buf);

void ql_buf_done(struct ql_buf *buf);

#define QL_CLEAN_BUF __attribute__((cleanup(ql_buf_done)))

#endif
