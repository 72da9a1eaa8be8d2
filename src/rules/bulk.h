/*
 * A batch: many evaluations stopped, or restored, at one request. What is durable of it: its head,
 * and its set, frozen when it was made, in chunks of ids with what became of each. Both are JSON
 * that only this file reads and writes. Of the many that a stop meets it keeps what was decided when
 * each was asked for; how a stop under way ended, its evaluation says.
 */
#ifndef QL_RULES_BULK_H
#define QL_RULES_BULK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rand.h"
#include "core/record.h"

#define QL_BULK_CHUNK 1000 /* items of one chunk */
#define QL_BULK_MAX 1000000 /* items of one batch */
#define QL_BULK_IDS_MAX 100000 /* ids that one request may name */
#define QL_BULK_SAMPLE 20 /* items that a preview shows */
#define QL_BULK_PREVIEW_MS (15 * 60000LL) /* a preview that nobody executes goes after this */
#define QL_BULK_UNDO_MS (24 * 3600000LL) /* an undo comes within this */
#define QL_BULK_CHUNK_ID (QL_RAND_ID + 8)

#define PHASE(phase, word, ends, means) QL_BULK_##phase,
#define SAID(said, letter, word, means)
enum ql_bulk_phase {
#include "rules/bulk.def"
	QL_BULK_PHASE_COUNT
};
#undef PHASE
#undef SAID

#define PHASE(phase, word, ends, means)
#define SAID(said, letter, word, means) QL_SAID_##said,
enum ql_said {
#include "rules/bulk.def"
	QL_SAID_COUNT
};
#undef PHASE
#undef SAID

const char *ql_bulk_phase_word(enum ql_bulk_phase phase);
bool ql_bulk_phase_ends(enum ql_bulk_phase phase);
const char *ql_said_word(enum ql_said said);

struct ql_bulk {
	char id[QL_RAND_ID];
	char undoes[QL_RAND_ID]; /* the batch whose removals it takes back; "" = it stops */
	char undone_by[QL_RAND_ID]; /* and the other way round */
	enum ql_bulk_phase phase;
	enum ql_mode mode;
	enum ql_rung top; /* NONE = the mode's own */
	int64_t grace_ms; /* -1 = each evaluation's own */
	char *actor; /* owned, as are the texts below */
	char *owner; /* whose evaluations it may meet */
	bool all; /* of every owner */
	char *reason; /* or NULL */
	char *selector; /* its text, or NULL where ids were named */
	int64_t created_at;
	int64_t started_at; /* 0 = not yet */
	int64_t finished_at;
	int64_t expires_at; /* of a preview; 0 = never */
	int64_t upto; /* the newest evaluation when its set was frozen */
	int64_t total; /* items */
	int64_t said[QL_SAID_COUNT]; /* how many of each */
	int64_t would
		[QL_RUNG_COUNT]; /* when it was frozen: which rung would be first; NONE = nothing */
	int64_t left; /* since the preview: in the set, and selected no more */
	int64_t joined; /* and selected now, and not in the set */
};

void ql_bulk_done(struct ql_bulk *bulk);

/* Texts are copied; -1 when out of memory (ret is empty then). */
int ql_bulk_copy(struct ql_bulk *ret, const struct ql_bulk *bulk);

int ql_bulk_print(struct ql_buf *buf, const struct ql_bulk *bulk);
/* -1 with QL_E_INTERNAL for a text that ql_bulk_print didn't write. */
int ql_bulk_parse(const char *text, struct ql_bulk *ret_bulk, struct ql_err *e);

/* What the first rung of a stop with that mode would be for one with that status; NONE = it is over. */
enum ql_rung ql_bulk_would(enum ql_mode mode, enum ql_status status);

/* Part of a set. */
struct ql_bulk_chunk {
	char (*ids)[QL_EVAL_ID]; /* owned */
	char *said; /* a letter for each, and a NUL; owned */
	size_t count;
};

/* "ID/00042" */
void ql_bulk_chunk_id(const char *bulk_id, int64_t number, char ret_id[static QL_BULK_CHUNK_ID]);

/* An empty one with room for QL_BULK_CHUNK; -1 when out of memory. */
int ql_bulk_chunk_init(struct ql_bulk_chunk *ret_chunk);
void ql_bulk_chunk_done(struct ql_bulk_chunk *chunk);
void ql_bulk_chunk_add(struct ql_bulk_chunk *chunk, const char *eval_id);

enum ql_said ql_bulk_chunk_said(const struct ql_bulk_chunk *chunk, size_t at);
void ql_bulk_chunk_say(struct ql_bulk_chunk *chunk, size_t at, enum ql_said said);

int ql_bulk_chunk_print(struct ql_buf *buf, const struct ql_bulk_chunk *chunk);
int ql_bulk_chunk_parse(const char *text, struct ql_bulk_chunk *ret_chunk, struct ql_err *e);

#endif
