/*
 * The audit as it is exported, JSON lines, and the check of what was exported.
 *
 *	{"anchor":{"seq","hash","at","key","signature"}}	where rows were deleted before
 *	{"seq","at","hash","row":{…}}				the rows, oldest first
 *	{"head":{"seq","hash","at","key","signature"}}		where the chain stands
 *
 * A row's hash covers the one before it (base/digest.h); its text is `row` as compact JSON with its
 * members in their order. Anchor and head are signed by the server, so that neither the beginning
 * nor the end of the chain can be cut off, nor all of it be made anew.
 */
#ifndef QL_RULES_AUDIT_H
#define QL_RULES_AUDIT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/sign.h"

#define QL_AUDIT_LINE (64 << 10) /* bytes of a line that is checked */

/* A signed place of the chain: {"seq","hash","at","key","signature"}; NULL when out of memory. */
json_t *ql_audit_sign(
	const struct ql_signer *signer, const char *what, const struct ql_chain *place, int64_t at);

/* An exported row, a new reference; NULL when out of memory. A text that is no JSON object stands as it is. */
json_t *ql_audit_row(const struct ql_chain *chain, int64_t at, const char *text);

/* ---- the check: zeroed -> ql_audit_check for each line -> ql_audit_check_end ---- */

struct ql_audit_check {
	/* the caller's, before the first line: whose signature is trusted; NULL = whoever's it is */
	const unsigned char *key;

	struct ql_chain chain; /* the last place that holds */
	int64_t lines;
	int64_t rows;
	int64_t first; /* seq of the first row; 0 = none yet */
	bool anchored; /* begins at the beginning, or at a signed anchor */
	bool headed; /* ends at a signed head */
	unsigned char signed_by[QL_SIGN_KEY]; /* once anything was signed */
	bool is_signed;
};

/* -1: QL_E_INVALID, and the sentence says which line and row is broken, and how. */
int ql_audit_check(struct ql_audit_check *check, const char *line, size_t len, struct ql_err *e);

/* Is it whole? -1 when there was nothing, or rows lack at the end. */
int ql_audit_check_end(const struct ql_audit_check *check, struct ql_err *e);

#endif
