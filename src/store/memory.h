/*
 * The memory driver's own: all of it is touched by its one thread alone. A commit works on copies
 * of the entries that it changes, so that it can be dropped as a whole.
 */
#ifndef QL_STORE_MEMORY_H
#define QL_STORE_MEMORY_H

#include <uthash.h>

#include "store/driver.h"
#include "store/row.h"

struct ql_memory_cancel {
	int64_t id; /* in the order of the requests */
	int32_t attempt;
	struct ql_cancel cancel;
	char *actor;
	char *reason;
};

struct ql_memory_entry {
	struct ql_record record;
	int64_t past_bytes; /* output of earlier attempts */
	char *report;
	struct ql_row *rows;
	size_t row_count;
	struct ql_memory_cancel *cancels;
	size_t cancel_count;
	bool forgotten; /* staged only */
	bool disowned; /* and without a tombstone */
	UT_hash_handle hh;
};

struct ql_memory_tomb {
	char eval_id[QL_EVAL_ID];
	UT_hash_handle hh;
};

/* A refused stop or an Idempotency-Key; in a list, oldest first. */
struct ql_memory_note {
	struct ql_memory_note *next, *prev;
	enum ql_change_kind kind;
	char *name; /* REFUSAL: eval_id; REPLAY: key */
	char *owner;
	char *fingerprint;
	char *text; /* REPLAY: ids; REFUSAL: reason */
	char *actor;
	enum ql_mode mode;
	struct ql_row row;
};

struct ql_memory_letter {
	struct ql_letter letter;
	enum ql_outlet_kind outlet;
	UT_hash_handle hh; /* by number, and in their order */
};

struct ql_memory {
	struct ql_driver driver; /* first */
	struct ql_memory_entry *entries; /* by eval_id, in the order of seq */
	struct ql_memory_tomb *tombs;
	struct ql_memory_note *notes;
	struct ql_memory_letter *letters;
	int refusals;
	int64_t last_letter;
	int64_t last_seq;
	int64_t last_cancel;
	int64_t last_ms;
};

int ql_memory_commit(struct ql_memory *memory, struct ql_store_commit *op);
int ql_memory_read(struct ql_memory *memory, struct ql_store_read *op);

/* Frees all that is kept. */
void ql_memory_done(struct ql_memory *memory);

#endif
