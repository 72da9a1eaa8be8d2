/*
 * Who of those that the server depends on is away: a line in the log when one goes, with the reason, and one
 * when it is back. What comes and goes between two looks is not told.
 */
#ifndef QL_DAEMON_OUTAGES_H
#define QL_DAEMON_OUTAGES_H

#include <uv.h>

#include "engine/engine.h"

#define QL_OUTAGES_MS 500 /* between two looks */

struct ql_outages {
	uv_timer_t timer;
	const struct ql_engine *engine; /* borrowed */
	void (*log)(const char *line);
	size_t count;
	struct ql_outage {
		const char *name; /* static text */
		int64_t since; /* unix ms; 0 = it is there */
	} known[QL_HEALTH_DEPENDENCIES + 1]; /* and the runtime */
};

/* The loop stays alive by it until it is stopped. */
void ql_outages_start(struct ql_outages *outages, uv_loop_t *loop, const struct ql_engine *engine,
	void (*log)(const char *line));
void ql_outages_stop(struct ql_outages *outages);

/* One look, at what is told of one of them. One that is being tried again is not back. */
void
ql_outages_note(struct ql_outages *outages, const struct ql_dependency *dependency, int64_t now);

#endif
