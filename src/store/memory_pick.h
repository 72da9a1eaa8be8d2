/* The inside of the memory driver's reads: the evaluations that one means. */
#ifndef QL_STORE_MEMORY_PICK_H
#define QL_STORE_MEMORY_PICK_H

#include "store/memory.h"

/* What a scan found: an evaluation, and one of its cancellations where that was asked for. */
struct pick {
	const struct ql_memory_entry *entry;
	const struct ql_memory_cancel *cancel;
};

struct picks {
	struct pick *items;
	size_t count;
	size_t cap;
	bool failed;
};

/* Both add to what is there; items are the caller's to free. */
void ql_memory_pick_named(
	struct picks *picks, const struct ql_memory *memory, const struct ql_store_read *op);

void
ql_memory_pick_all(struct picks *picks, const struct ql_memory *memory, struct ql_store_read *op);

#endif
