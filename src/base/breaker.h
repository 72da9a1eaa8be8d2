/*
 * A circuit breaker: whether something outside is asked at all. Closed it counts failures in a row;
 * at `threshold` it opens, and nothing is asked until a pause has passed; then one probe goes
 * through (half open), which closes it or opens it again for twice as long, up to the longest
 * pause. Pure: the caller brings the time (unix ms). One breaker for each dependency.
 */
#ifndef QL_BASE_BREAKER_H
#define QL_BASE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum ql_breaker_state { QL_BREAKER_CLOSED, QL_BREAKER_OPEN, QL_BREAKER_HALF_OPEN };

struct ql_breaker {
	int32_t threshold; /* failures in a row that open it */
	int64_t pause_ms; /* the first pause */
	int64_t pause_max_ms;
	/* the breaker's own; zero at first */
	enum ql_breaker_state state;
	int32_t failures; /* in a row */
	int32_t opened; /* times in a row: the pause doubles with each */
	int64_t since; /* of the last change of state; 0 = there was none */
	int64_t probe_at; /* open: when the next probe may go */
	char why[QL_ERR_TEXT]; /* the last failure's sentence, while it is not closed */
};

/* May it be asked now? In half open only the first caller may, until its success or failure is told. */
bool ql_breaker_allows(struct ql_breaker *breaker, int64_t now);

/* Both return whether the state changed. */
bool ql_breaker_success(struct ql_breaker *breaker, int64_t now);
bool ql_breaker_failure(struct ql_breaker *breaker, int64_t now, const char *why);

/* When ql_breaker_allows may say yes again; 0 = now. */
int64_t ql_breaker_next(const struct ql_breaker *breaker);

/* What /readyz and doctor show of something that Quell depends on. */
struct ql_dependency {
	const char *name; /* "broker", "results", "docker", "storage"; static text */
	enum ql_breaker_state state;
	int64_t since; /* unix ms of the last change; 0 = there was none */
	int64_t backlog; /* what waits for it; -1 = nothing ever does */
	char detail[QL_ERR_TEXT]; /* why it is away, or "" */
};

/* "ok" "away" "probing" */
const char *ql_breaker_word(enum ql_breaker_state state);
#define QL_BREAKER_STATES 3

void ql_breaker_show(const struct ql_breaker *breaker, struct ql_dependency *ret);

#endif
