/* What both drivers must agree on about a stored evaluation. */
#ifndef QL_STORE_ROW_H
#define QL_STORE_ROW_H

#include "store/limits.h"
#include "store/store.h"

/* An evaluation is in exactly one of these places; each has its own index. */
enum ql_place {
	QL_PLACE_WAITING, /* queued and unclaimed */
	QL_PLACE_LIVE, /* the engine holds it in memory */
	QL_PLACE_DONE, /* settled, and nothing is open */
};

enum ql_place ql_row_place(const struct ql_state *state);

/* The limit of a read, within the store's bound. */
size_t ql_row_limit(const struct ql_filter *filter);

/* Does this read's record carry the submission? */
bool ql_row_wants_payload(const struct ql_store_read *op);

/* Is its document within the store's bounds? Else QL_E_INTERNAL. */
int ql_row_check_text(const struct ql_change *change, struct ql_err *e);

/* Puts another attempt's cancellation in the place of the current one. */
void ql_row_show_cancel(struct ql_record *record, int32_t attempt, const struct ql_cancel *cancel);

#endif
