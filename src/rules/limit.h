/*
 * How much one principal may ask: a token bucket for each verb, and the storm brake on single stops.
 * What each did that looks like abuse is counted beside it (rules/abuse.h). In memory alone: a restart
 * fills all buckets.
 *
 * A request that is let in may cost more than there is, as a batch whose size is known only later:
 * the bucket then owes, and lets nothing in until that is paid.
 *
 * An admin's buckets are QL_LIMIT_WIDE times as wide, as is its storm brake: none is without one.
 *
 * Order of calls: ql_limits_parse -> ql_limiter_new -> ql_limit_take … -> ql_limiter_free. Times in unix ms.
 */
#ifndef QL_RULES_LIMIT_H
#define QL_RULES_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "rules/abuse.h"

#define QL_LIMIT_PRINCIPALS 4096 /* kept; beyond it the one that asked longest ago is forgotten */
#define QL_LIMIT_WIDE 10
#define QL_LIMIT_RATE_MAX 1000000
#define QL_STORM_STOPS 500 /* single stops of one principal in that window, unconfirmed */
#define QL_STORM_MS 60000
#define QL_LIMIT_NAME 160 /* bytes of a principal's name, with its NUL */

enum ql_limit_verb {
#define X(verb, word, per_s, burst, what) QL_LIMIT_##verb,
#include "rules/limit.def"
#undef X
	QL_LIMIT_COUNT
};

const char *ql_limit_word(enum ql_limit_verb verb);

struct ql_limit_rate {
	int64_t per_s;
	int64_t burst; /* 0 = there is no limit */
};

struct ql_limits {
	struct ql_limit_rate rates[QL_LIMIT_COUNT];
	int64_t storm; /* 0 = there is no brake */
};

/*
 * "on" is what limit.def says, "off" nothing; else "on" with changes: "submit=100/500,kill=off,storm=50":
 * 100 a second and 500 at once; at most 50 single stops a minute.
 */
int ql_limits_parse(const char *text, struct ql_limits *ret_limits, struct ql_err *e);

/* ---- who asks ---- */

struct ql_limiter;

/* NULL when out of memory. */
struct ql_limiter *ql_limiter_new(const struct ql_limits *limits);
void ql_limiter_free(struct ql_limiter *limiter);

/* What a bucket says; all zero where there is no limit. */
struct ql_limit_state {
	int64_t quota; /* at once */
	int64_t window_s; /* in which an empty bucket fills */
	int64_t left;
	int64_t reset_s; /* until it is full */
	int64_t retry_s; /* refused: until it lets one in */
};

/*
 * Takes `cost` out of the bucket. -1 with LIMIT when it is empty: nothing is taken then. wide: an
 * admin's. Out of memory for a new principal lets it in.
 */
int ql_limit_take(struct ql_limiter *limiter, const char *name, bool wide, enum ql_limit_verb verb,
	int64_t cost, int64_t now, struct ql_limit_state *ret_state, struct ql_err *e);

/* What turned out to be asked besides: taken in any case. */
void ql_limit_charge(
	struct ql_limiter *limiter, const char *name, enum ql_limit_verb verb, int64_t cost);

/* What the brake lets pass unconfirmed; 0 = there is none. */
int64_t ql_limit_storm_most(const struct ql_limiter *limiter, bool wide);

/*
 * One single stop. -1 with STORM when there were too many and nobody confirmed: a confirmation lifts
 * the brake until the window ends. ret_retry_s: until then; ret_limit: how many it takes.
 */
int ql_limit_storm(struct ql_limiter *limiter, const char *name, bool wide, bool confirmed,
	int64_t now, int64_t *ret_limit, int64_t *ret_retry_s, struct ql_err *e);

/* What that principal did; NULL when out of memory. Valid until the next call of any of these. */
struct ql_abuse *ql_limit_abuse(struct ql_limiter *limiter, const char *name);

/* Each principal of whom something is to be told, the one that asked last first. */
struct ql_limit_shown {
	const char *name;
	const int64_t *refused; /* QL_LIMIT_COUNT of them */
	const struct ql_abuse *abuse;
	int64_t last_at;
};
typedef void ql_limit_fn(const struct ql_limit_shown *shown, void *arg);
void ql_limit_each(const struct ql_limiter *limiter, ql_limit_fn *fn, void *arg);
size_t ql_limit_principals(const struct ql_limiter *limiter);

#endif
