#include "cli/timeline.h"

#include "cli/grid.h"
#include "cli/print.h"

static const struct ql_grid_column columns[] = {
	{"AT", .whole = true},
	{"ATTEMPT", .whole = true},
	{"STATUS", .whole = true, .status = true},
	{"WHAT", .whole = true}, /* the sentence is what one came for: it is wrapped, not cut */
	{NULL},
};

void
ql_timeline_print(const json_t *answer, size_t last)
{
	const json_t *steps = json_object_get(answer, "steps");
	size_t count = json_array_size(steps);
	struct ql_grid grid;
	ql_grid_init(&grid, columns);
	for (size_t i = last && count > last ? count - last : 0; i < count; i++) {
		const json_t *step = json_array_get(steps, i);
		char attempt[24];
		snprintf(attempt, sizeof(attempt), "%lld",
			(long long)json_integer_value(json_object_get(step, "attempt")));
		ql_grid_add(&grid, ql_member_text(step, "at", "?"));
		ql_grid_add(&grid, attempt);
		ql_grid_add(&grid, ql_member_text(step, "status", "?"));
		ql_grid_add(&grid, ql_member_text(step, "what", ""));
	}
	ql_grid_print(&grid, true);
}
