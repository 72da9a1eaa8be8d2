/* The inside of a commit of the sqlite driver: what one change writes beside its evaluation's own row. */
#ifndef QL_STORE_SQLITE_PARTS_H
#define QL_STORE_SQLITE_PARTS_H

#include "store/sqlite.h"

/* Where an evaluation is, and where its chains begin; 0 = there is none yet. */
struct head {
	int64_t seq;
	int64_t last_row;
	int64_t last_cancel;
	int32_t attempt;
	int32_t status;
	int32_t cancel_attempt; /* of last_cancel */
	int32_t place;
	int64_t past_bytes; /* of its earlier attempts' output */
	int64_t output_bytes;
	int64_t checkpoint_bytes;
	bool has_runs;
};

/* What a commit adds to the counters of the table `meta`. */
struct tally {
	int64_t queued;
	int64_t kept_bytes;
	int64_t audit_bytes;
	int64_t audit_head; /* the last of its rows; 0 = it has none */
	int64_t forgotten; /* the highest seq of what goes */
	int64_t last_seq; /* the highest that there ever was; 0 = not looked for yet */
};

int ql_commit_run_seq(struct ql_db *db, enum ql_sql id, int64_t seq, struct ql_err *e);

int ql_commit_run_text(
	struct ql_db *db, enum ql_sql id, int64_t seq, const char *text, struct ql_err *e);

void ql_commit_bind_link(sqlite3_stmt *stmt, int at, int64_t id);

int ql_commit_write_link(struct ql_db *db, const struct head *head, struct ql_err *e);

int
ql_commit_write_runs(struct ql_db *db, int64_t seq, const struct ql_state *state, struct ql_err *e);

/* NULL: there was none before, or there is none any more. */
void ql_commit_count(struct tally *tally, const struct head *was, const struct head *is);

int ql_commit_find_head(
	struct ql_db *db, const struct ql_record *record, struct head *ret_head, struct ql_err *e);

/* What the head is once that state is written. */
void ql_commit_advance(struct head *head, const struct ql_state *state);

/* At the head of the evaluation's chain. The row shows the head's attempt and status. */
int ql_commit_write_row(
	struct ql_db *db, struct head *head, const struct ql_change *change, struct ql_err *e);

/* One for an attempt: a new one goes to the head of the chain, the attempt's own is written over. */
int ql_commit_write_cancel(
	struct ql_db *db, struct head *head, const struct ql_record *record, struct ql_err *e);

/* After the evaluation itself: what its letters say is read from there. */
int ql_commit_write_letters(
	struct ql_db *db, int64_t seq, const struct ql_change *change, struct ql_err *e);

#endif
