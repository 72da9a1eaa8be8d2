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

static int
check_object_id(const struct ql_change *change, struct ql_err *e)
{
	size_t len = change->object_id ? strlen(change->object_id) : 0;
	if (len && len <= QL_STORE_OBJECT_ID)
		return 0;
	return ql_fail(e, QL_E_INTERNAL,
		"couldn't commit: the id of a %s has %zu bytes, and needs 1 to %d",
		ql_object_word(change->object), len, QL_STORE_OBJECT_ID);
}

int
ql_row_check_text(const struct ql_change *change, struct ql_err *e)
{
	bool audit = change->kind == QL_CHANGE_AUDIT;
	if (!audit && check_object_id(change, e))
		return -1;
	if (change->kind == QL_CHANGE_DROP_OBJECT)
		return 0;
	size_t most = audit ? QL_STORE_AUDIT_BYTES : QL_STORE_OBJECT_BYTES;
	size_t len = change->text ? strlen(change->text) : 0;
	if (len && len <= most)
		return 0;
	return ql_fail(e, QL_E_INTERNAL,
		"couldn't commit: the text of a %s has %zu bytes, and needs 1 to %zu",
		audit ? "row of the audit" : ql_object_word(change->object), len, most);
}

void
ql_row_show_cancel(struct ql_record *record, int32_t attempt, const struct ql_cancel *cancel)
{
	if (record->state.attempt != attempt)
		memset(record->state.runs, 0, sizeof(record->state.runs));
	record->state.attempt = attempt;
	record->state.cancel = *cancel;
}
