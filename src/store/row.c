#include "store/row.h"

#include <string.h>

enum ql_place
ql_row_place(const struct ql_state *state)
{
	if (ql_state_waiting(state))
		return QL_PLACE_WAITING;
	return ql_state_live(state) ? QL_PLACE_LIVE : QL_PLACE_DONE;
}

size_t
ql_row_limit(const struct ql_filter *filter)
{
	if (filter->limit < 1 || filter->limit > QL_STORE_SCAN_MAX)
		return QL_STORE_SCAN_MAX;
	return (size_t)filter->limit;
}

bool
ql_row_wants_payload(const struct ql_store_read *op)
{
	return op->filter.with_payload || op->kind == QL_READ_CLAIMABLE || op->kind == QL_READ_LIVE;
}

void
ql_row_show_cancel(struct ql_record *record, int32_t attempt, const struct ql_cancel *cancel)
{
	if (record->state.attempt != attempt)
		memset(record->state.runs, 0, sizeof(record->state.runs));
	record->state.attempt = attempt;
	record->state.cancel = *cancel;
}
