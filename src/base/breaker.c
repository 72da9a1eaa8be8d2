#include "base/breaker.h"

#include "base/str.h"

static bool
turn(struct ql_breaker *breaker, enum ql_breaker_state state, int64_t now)
{
	if (breaker->state == state)
		return false;
	breaker->state = state;
	breaker->since = now;
	return true;
}

bool
ql_breaker_allows(struct ql_breaker *breaker, int64_t now)
{
	if (breaker->state == QL_BREAKER_CLOSED)
		return true;
	if (breaker->state == QL_BREAKER_HALF_OPEN || now < breaker->probe_at)
		return false;
	return turn(breaker, QL_BREAKER_HALF_OPEN, now);
}

bool
ql_breaker_success(struct ql_breaker *breaker, int64_t now)
{
	breaker->failures = 0;
	breaker->opened = 0;
	breaker->probe_at = 0;
	breaker->why[0] = 0;
	return turn(breaker, QL_BREAKER_CLOSED, now);
}

static int64_t
pause_ms(const struct ql_breaker *breaker)
{
	int64_t pause = breaker->pause_ms;
	for (int32_t i = 1; i < breaker->opened && pause < breaker->pause_max_ms; i++)
		pause *= 2;
	return pause < breaker->pause_max_ms ? pause : breaker->pause_max_ms;
}

bool
ql_breaker_failure(struct ql_breaker *breaker, int64_t now, const char *why)
{
	bool probe = breaker->state == QL_BREAKER_HALF_OPEN;
	breaker->failures++;
	if (breaker->state == QL_BREAKER_OPEN)
		return false; /* asked before it opened */
	if (!probe && breaker->failures < breaker->threshold)
		return false;
	breaker->opened++;
	breaker->probe_at = now + pause_ms(breaker);
	ql_str_copy(breaker->why, sizeof(breaker->why), why ? why : "");
	return turn(breaker, QL_BREAKER_OPEN, now);
}

int64_t
ql_breaker_next(const struct ql_breaker *breaker)
{
	return breaker->state == QL_BREAKER_OPEN ? breaker->probe_at : 0;
}

const char *
ql_breaker_word(enum ql_breaker_state state)
{
	static const char *const words[QL_BREAKER_STATES] = {
		[QL_BREAKER_CLOSED] = "ok",
		[QL_BREAKER_OPEN] = "away",
		[QL_BREAKER_HALF_OPEN] = "probing",
	};
	return words[state];
}

void
ql_breaker_show(const struct ql_breaker *breaker, struct ql_dependency *ret)
{
	ret->state = breaker->state;
	ret->since = breaker->since;
	ret->backlog = -1;
	ql_str_copy(ret->detail, sizeof(ret->detail), breaker->why);
}
