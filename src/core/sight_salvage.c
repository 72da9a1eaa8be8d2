/* What was kept of a run. */
#include <inttypes.h>
#include <stddef.h>

#include "core/move.h"

static bool
is_salvaged(const struct ql_state *state)
{
	for (int i = 0; i < QL_RUNS; i++) {
		int32_t flags = state->runs[i].flags;
		if (flags & QL_RUN_SALVAGING && !(flags & QL_RUN_SALVAGED))
			return false;
	}
	return true;
}

enum ql_verdict
ql_hear_salvaged(struct ql_move *move)
{
	struct ql_state *next = move->next;
	struct ql_run *run = ql_move_run(move);
	if (!run || run->flags & QL_RUN_SALVAGED || !(run->flags & QL_RUN_SALVAGING))
		return ql_sight_ignore(
			move, "a salvage that was told before, or is not waited for");
	run->flags |= QL_RUN_SALVAGED;
	ql_sight_output(move);
	ql_say(move, "%" PRId64 " bytes of output are kept", next->output_bytes);
	if (move->event->checkpoint_bytes >= 0) {
		next->checkpoint_bytes = move->event->checkpoint_bytes;
		next->checkpoint_at = move->event->now;
		ql_say(move, " and %" PRId64 " of checkpoint", next->checkpoint_bytes);
	}
	if (is_salvaged(next))
		next->salvage_until = 0;
	return QL_VERDICT_DONE;
}
