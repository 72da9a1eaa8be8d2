/*
 * A commit of the memory driver's under way: what it changes, beside what is there. Each part stages what
 * a change wants, which can fail; then all that was staged is kept, which can't, or dropped.
 *
 *	memory_commit.c  the whole, and what becomes of an evaluation
 *	memory_entry.c	 an evaluation with its rows and cancellations, and its copy
 *	memory_note.c	 refused stops and Idempotency-Keys
 *	memory_letter.c  what outlets are to be told
 *	memory_object.c  documents
 *	memory_audit.c	 the audit
 */
#ifndef QL_STORE_MEMORY_STAGE_H
#define QL_STORE_MEMORY_STAGE_H

#include "store/memory.h"

struct ql_memory_span {
	enum ql_outlet_kind outlet;
	int64_t first, last;
};

struct stage {
	struct ql_memory *memory;
	struct ql_memory_entry *entries; /* copies and new ones */
	struct ql_memory_note *notes;
	struct ql_memory_letter *letters;
	struct ql_memory_span *delivered; /* letters */
	size_t delivered_count;
	struct ql_memory_object *objects;
	struct ql_memory_audit audit;
	int64_t last_letter;
	int64_t last_seq;
	int64_t last_cancel;
	int64_t last_ms;
};

/* Fails with that there is no memory. */
int ql_memory_full(struct ql_err *e);

/* A copy, of NULL too; -1 when out of memory. */
int ql_memory_dup(char **ret_text, const char *text);
/* The same in the place of *text, unless `with` is NULL. */
int ql_memory_replace(char **text, const char *with);

/* memory_entry.c */
void ql_memory_entry_free(struct ql_memory_entry *entry);
void ql_memory_entries_free(struct ql_memory_entry **entries);
int ql_memory_add_row(struct ql_memory_entry *entry, const struct ql_row *row);
struct ql_memory_cancel *
ql_memory_add_cancel(struct ql_memory_entry *entry, const struct ql_memory_cancel *cancel);
/* The copy that this commit changes; NULL and NOT_FOUND when there is no such evaluation. */
struct ql_memory_entry *
ql_memory_stage_entry(struct stage *stage, const char *eval_id, struct ql_err *e);
/* The evaluation as this commit leaves it so far, or NULL. */
const struct ql_memory_entry *ql_memory_look(const struct stage *stage, const char *eval_id);

/* memory_note.c */
int ql_memory_stage_refusal(struct stage *stage, const struct ql_change *change, struct ql_err *e);
int ql_memory_stage_replay(struct stage *stage, const struct ql_change *change, struct ql_err *e);
void ql_memory_keep_notes(struct ql_memory *memory, struct stage *stage);
void ql_memory_drop_notes(struct ql_memory_note **notes);
void ql_memory_drop_refusals(struct ql_memory *memory, const char *eval_id);
void ql_memory_trim_notes(struct ql_memory *memory); /* those that are too old or too many */

/* memory_letter.c */
int ql_memory_stage_letters(struct stage *stage, const struct ql_change *change, struct ql_err *e);
int
ql_memory_stage_delivered(struct stage *stage, const struct ql_change *change, struct ql_err *e);
void ql_memory_keep_letters(struct ql_memory *memory, struct stage *stage);
void ql_memory_drop_letters(struct ql_memory_letter **letters);

#endif
