#include "sweeper/finder.h"

#include <stdlib.h>
#include <string.h>

#define GROW 64

struct ql_trace *
ql_traces_add(struct ql_traces *traces)
{
	if (traces->count % GROW == 0 && traces->count < QL_FIND_MAX) {
		struct ql_trace *grown =
			reallocarray(traces->all, traces->count + GROW, sizeof(*grown));
		if (!grown) {
			traces->partial = true;
			return NULL;
		}
		traces->all = grown;
	}
	if (traces->count == QL_FIND_MAX) {
		traces->partial = true;
		return NULL;
	}
	struct ql_trace *trace = &traces->all[traces->count++];
	*trace = (struct ql_trace){.age_ms = -1};
	return trace;
}

void
ql_traces_done(struct ql_traces *traces)
{
	free(traces->all);
	*traces = (struct ql_traces){0};
}

bool
ql_finder_is_named(const struct ql_finder *finder, const char *server)
{
	if (!strcmp(finder->server, server))
		return true;
	for (size_t i = 0; i < finder->earlier_count; i++) {
		if (!strcmp(finder->earlier[i], server))
			return true;
	}
	return false;
}
