/*
 * An attempt: somebody asks to submit, stop, delete, restore, resume or change a key. Each leaves a
 * row in the audit, refused ones too: that of a decision goes into the decision's own commit.
 *
 * Refusals and repeats decide nothing, and anybody can make any number of them. So of those that
 * are alike (who, what, outcome) the first of a minute has a row of its own and the others are
 * counted: one more row says how many there were. That bounds what a flood can write.
 */
#ifndef QL_RULES_ATTEMPT_H
#define QL_RULES_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/trace.h"

#define QL_ATTEMPT_SHOWN 256 /* bytes of a text of the caller's that a row repeats */
#define QL_ATTEMPT_REMOTE 64
#define QL_ATTEMPT_TRACE QL_TRACE_PARENT

/* What is known of an attempt before it is decided. The strings are the caller's. */
struct ql_attempt {
	const char *actor; /* NULL: nobody is known */
	const char *role; /* its word, or NULL */
	const char *key_id; /* of an API key, or NULL */
	const char *verb; /* "cancel" */
	const char *target; /* an eval_id, a key's id; or NULL */
	const char *reason; /* as given, or NULL */
	char remote[QL_ATTEMPT_REMOTE]; /* the client's address; "" = unknown */
	char trace[QL_ATTEMPT_TRACE]; /* "" = none */
	int64_t count; /* how many it stands for; 0 = itself */
	bool written; /* its row is durable, with the decision */
};

/*
 * The row's text: one JSON object. outcome is "accepted", "unchanged", or the name of the problem;
 * status that of HTTP. NULL when out of memory; the caller frees it.
 */
char *ql_attempt_text(const struct ql_attempt *attempt, const char *outcome, int status);

/* ---- the flood ---- */

#define QL_FLOOD_KINDS 256 /* of attempts that are told apart at once; all others are one more */
#define QL_FLOOD_MS 60000

struct ql_flood_kind {
	uint64_t hash; /* 0 = unused */
	int64_t since;
	int64_t count; /* beyond the first */
	int status;
	char actor[QL_ATTEMPT_SHOWN]; /* "" = nobody */
	char verb[32];
	char outcome[32];
	char remote[QL_ATTEMPT_REMOTE];
};

struct ql_flood {
	struct ql_flood_kind kinds[QL_FLOOD_KINDS];
	struct ql_flood_kind others; /* when there is no room for another kind */
};

/* Does it have a row of its own? Else it was counted. */
bool ql_flood_admits(struct ql_flood *flood, const struct ql_attempt *attempt, const char *outcome,
	int status, int64_t now);

/*
 * The text of the row for one kind whose minute is over (`all`: of any) and that counted some; NULL
 * when there is none. The caller frees it, and asks again.
 */
char *ql_flood_take(struct ql_flood *flood, int64_t now, bool all);

#endif
