/*
 * The members of a submission: each with its check, its bounds and its default, in one table. A
 * refusal names the member and its number.
 */
#ifndef QL_RULES_MEMBER_H
#define QL_RULES_MEMBER_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

struct ql_member;

/*
 * Checks one value against its row. Returns what goes into the payload (a new reference), or NULL
 * with e filled.
 */
typedef json_t *(
	ql_member_check_fn)(const struct ql_member *member, json_t *value, struct ql_err *e);

struct ql_member {
	const char *name;
	ql_member_check_fn *check;
	double min; /* of a number; of a text's bytes; of how many there may be in it */
	double max;
	double number; /* the default, 0 = none */
	const char *text; /* the default, NULL = none */
};

/* In the payload's order. */
const struct ql_member *ql_members(size_t *ret_count);

/* NULL when there is none of that name. */
const struct ql_member *ql_member_find(const char *name);

/* What it has when it isn't given: a new reference, or NULL for nothing. */
json_t *ql_member_default(const struct ql_member *member);

/* How many bytes of a caller's own words a refusal repeats. */
#define QL_MEMBER_SHOWN 48

/* The text as a refusal shows it: cut between characters, so that it stays UTF-8. */
const char *ql_member_show(const char *text, char ret_shown[static QL_MEMBER_SHOWN + 4]);

const char *ql_member_type(const json_t *value);

#endif
