/*
 * A request's target: path and query, split, percent-decoded, checked. Owns no socket: text in,
 * slices out. A decoded part is valid UTF-8 without NUL bytes; a slash that was written as %2F
 * stays inside its segment.
 */
#ifndef QL_HTTP_TARGET_H
#define QL_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "http/bounds.h"

#define QL_TARGET_ROOM 256

struct ql_param {
	const char *name;
	const char *value; /* "" where there was no '=' */
};

struct ql_target {
	char *heap; /* owned; NULL while the text fits into room */
	char room[QL_TARGET_ROOM];
	const char *authority; /* of an absolute target (http://host/path), or NULL */
	const char *segments[QL_HTTP_SEGMENTS];
	size_t segment_count; /* above QL_HTTP_SEGMENTS = too many: no route has as many */
	struct ql_param params[QL_HTTP_PARAMS];
	size_t param_count;
};

/*
 * Into an uninitialised struct, which is not to be moved afterwards. On failure e says what is
 * wrong, and the struct is still to be given to ql_target_done. A name given twice is refused;
 * then *ret_field is that name, else NULL.
 */
int ql_target_parse(
	const char *text, struct ql_target *ret_target, const char **ret_field, struct ql_err *e);

void ql_target_done(struct ql_target *target);

/* The value, or NULL. */
const char *ql_target_param(const struct ql_target *target, const char *name);

#endif
