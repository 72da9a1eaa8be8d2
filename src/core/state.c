#include "core/state.h"

#include <stddef.h>

const struct ql_run *
ql_state_run(const struct ql_state *state, uint64_t incarnation)
{
	for (int i = 0; incarnation && i < QL_RUNS; i++) {
		if (state->runs[i].incarnation == incarnation)
			return &state->runs[i];
	}
	return NULL;
}

int
ql_state_slots(const struct ql_state *state)
{
	int slots = 0;
	for (int i = 0; i < QL_RUNS; i++)
		slots += ql_phase_takes_slot((enum ql_phase)state->runs[i].phase) &&
			 state->runs[i].slot >= 0;
	return slots;
}

bool
ql_state_stopping(const struct ql_state *state)
{
	return state->cancel.requested_at && !ql_status_settled((enum ql_status)state->status);
}

bool
ql_state_open(const struct ql_state *state)
{
	for (int i = 0; i < QL_RUNS; i++) {
		if (ql_phase_takes_slot((enum ql_phase)state->runs[i].phase))
			return true;
	}
	return false;
}

bool
ql_state_live(const struct ql_state *state)
{
	enum ql_status status = (enum ql_status)state->status;
	return ql_state_open(state) || state->salvage_until || state->retry_at ||
	       (status != QL_STATUS_QUEUED && !ql_status_settled(status));
}

bool
ql_state_waiting(const struct ql_state *state)
{
	return state->status == QL_STATUS_QUEUED && !ql_state_live(state);
}

static void
earlier(int64_t *wake, int64_t at)
{
	if (at && (!*wake || at < *wake))
		*wake = at;
}

int64_t
ql_state_wake(const struct ql_state *state)
{
	int64_t wake = 0;
	if (state->status == QL_STATUS_QUEUED)
		earlier(&wake, state->queue_until);
	if (state->status == QL_STATUS_RUNNING || state->status == QL_STATUS_CANCELLING)
		earlier(&wake, state->run_until);
	earlier(&wake, state->cancel.next_at);
	earlier(&wake, state->salvage_until);
	earlier(&wake, state->retry_at);
	return wake;
}

bool
ql_state_has_run(const struct ql_state *state)
{
	for (int i = 0; i < QL_RUNS; i++) {
		if (state->runs[i].incarnation)
			return true;
	}
	return false;
}
