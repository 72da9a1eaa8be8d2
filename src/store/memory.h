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

/* A document; staged, in a list: also that one is dropped, without a text. */
struct ql_memory_object {
	struct ql_memory_object *next, *prev;
	enum ql_object_kind kind;
	struct ql_object object;
};

/* The audit. Staged: what is added to it, and up to where it is cut off. */
struct ql_memory_audit {
	struct ql_audit_row *rows;
	size_t count;
	struct ql_chain head; /* the last row; with the anchor it outlives the rows */
	struct ql_chain anchor;
	int64_t trim_seq;
};

struct ql_memory {
	struct ql_driver driver; /* first */
	struct ql_memory_entry *entries; /* by eval_id, in the order of seq */
	struct ql_memory_tomb *tombs;
	struct ql_memory_note *notes;
	struct ql_memory_letter *letters;
	struct ql_memory_object *objects;
	struct ql_memory_audit audit;
	int refusals;
	int64_t last_letter;
	int64_t last_seq;
	int64_t last_cancel;
	int64_t last_ms;
};

int ql_memory_commit(struct ql_memory *memory, struct ql_store_commit *op);
int ql_memory_read(struct ql_memory *memory, struct ql_store_read *op);

/*
 * Documents: a commit gathers what it changes in a list of its own, which is then kept (that can't
 * fail) or dropped.
 */
int ql_memory_stage_object(
	struct ql_memory_object **staged, const struct ql_change *change, struct ql_err *e);
void ql_memory_keep_objects(struct ql_memory_object **kept, struct ql_memory_object **staged);
void ql_memory_drop_objects(struct ql_memory_object **objects);
int ql_memory_read_objects(const struct ql_memory *memory, struct ql_store_read *op);

/* The audit: the same. A commit's begins with the head and the anchor of what is kept. */
int
ql_memory_stage_audit(struct ql_memory_audit *staged, struct ql_change *change, struct ql_err *e);
int ql_memory_keep_audit(
	struct ql_memory_audit *kept, struct ql_memory_audit *staged, struct ql_err *e);
void ql_memory_drop_audit(struct ql_memory_audit *audit);
int ql_memory_read_audit(const struct ql_memory *memory, struct ql_store_read *op);
int ql_memory_read_audit_old(const struct ql_memory *memory, struct ql_store_read *op);

/* Frees all that is kept. */
void ql_memory_done(struct ql_memory *memory);

#endif
