/*
 * SHA-256, and the chain that ties the rows of the audit together: each row's hash covers the one
 * before it, so that a row that was changed, taken out or put in breaks all that follow. The store
 * makes the chain, whoever has the rows can make it again; both do it here.
 */
#ifndef QL_BASE_DIGEST_H
#define QL_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QL_DIGEST 32 /* bytes */
#define QL_DIGEST_TEXT (2 * QL_DIGEST + 1) /* in hex, with the NUL */

struct ql_digest_part {
	const void *data;
	size_t len;
};

/* Of the parts, one after the other. */
int ql_digest(const struct ql_digest_part *parts, size_t count,
	unsigned char ret_digest[static QL_DIGEST], struct ql_err *e);

void
ql_digest_write(const unsigned char digest[static QL_DIGEST], char ret_text[static QL_DIGEST_TEXT]);

/* From hex, both cases; -1 when the text is none. */
int ql_digest_read(const char *text, unsigned char ret_digest[static QL_DIGEST]);

/* Where a chain stands: its last row. Zeroed = before the first one. */
struct ql_chain {
	int64_t seq; /* rows are numbered from 1, without a gap */
	unsigned char hash[QL_DIGEST];
};

/*
 * Goes on to the next row: hash = SHA-256(hash before || seq || at || text), the numbers as 8
 * bytes, most significant first; at is in unix milliseconds.
 */
int ql_chain_add(struct ql_chain *chain, int64_t at, const char *text, struct ql_err *e);

#endif
