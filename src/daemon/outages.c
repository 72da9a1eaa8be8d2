#include "daemon/outages.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct ql_outage *
find(struct ql_outages *outages, const char *name)
{
	size_t at = 0;
	while (at < outages->count && strcmp(outages->known[at].name, name) != 0)
		at++;
	assert(at < sizeof(outages->known) / sizeof(*outages->known)); /* as many as there are */
	if (at == outages->count)
		outages->known[outages->count++].name = name;
	return &outages->known[at];
}

void
ql_outages_note(struct ql_outages *outages, const struct ql_dependency *dependency, int64_t now)
{
	char line[QL_ERR_TEXT + 64];
	struct ql_outage *outage = find(outages, dependency->name);
	if (!outage->since && dependency->state == QL_BREAKER_OPEN) {
		outage->since = dependency->since ? dependency->since : now;
		snprintf(line, sizeof(line), "%s: away: %s", dependency->name, dependency->detail);
		outages->log(line);
	} else if (outage->since && dependency->state == QL_BREAKER_CLOSED) {
		snprintf(line, sizeof(line), "%s: is back, after %.1f s", dependency->name,
			(double)(now - outage->since) / 1000);
		outage->since = 0;
		outages->log(line);
	}
}

/* The outbox tells of those with what waits for them. */
static bool
is_outlet(const struct ql_dependency *dependency)
{
	for (int i = 0; i < QL_OUTLET_COUNT; i++) {
		if (!strcmp(dependency->name, ql_outlet_word((enum ql_outlet_kind)i)))
			return true;
	}
	return false;
}

static void
look(uv_timer_t *timer)
{
	struct ql_outages *outages = timer->data;
	int64_t now = ql_engine_now(outages->engine);
	struct ql_health health;
	ql_engine_health(outages->engine, &health);
	if (health.runtime_name)
		ql_outages_note(outages, &health.runtime, now);
	for (size_t i = 0; i < health.dependency_count; i++) {
		if (!is_outlet(&health.dependencies[i]))
			ql_outages_note(outages, &health.dependencies[i], now);
	}
}

void
ql_outages_start(struct ql_outages *outages, uv_loop_t *loop, const struct ql_engine *engine,
	void (*log)(const char *line))
{
	outages->engine = engine;
	outages->log = log;
	uv_timer_init(loop, &outages->timer);
	outages->timer.data = outages;
	uv_timer_start(&outages->timer, look, QL_OUTAGES_MS, QL_OUTAGES_MS);
}

void
ql_outages_stop(struct ql_outages *outages)
{
	uv_close((uv_handle_t *)&outages->timer, NULL);
}
