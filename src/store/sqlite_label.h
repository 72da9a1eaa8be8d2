/*
 * Labels in a search. Of few rows each is asked for its label. Before many are counted, who has it is
 * read from the labels' own table in one pass over an index, into a set of numbers of evaluations:
 * a look into that costs a sixth of the question to the row.
 */
#ifndef QL_STORE_SQLITE_LABEL_H
#define QL_STORE_SQLITE_LABEL_H

#include <sqlite3.h>

#include "base/buf.h"
#include "core/selector.h"
#include "store/db.h"

/* By term; NULL where each row is asked. All zero = empty. */
struct ql_label_sets {
	struct seqs *sets[QL_SELECTOR_TERMS];
};

/* Reads who has the label of that term, or, if it takes those without one too, who must not have it. */
int ql_label_read(struct ql_label_sets *sets, struct ql_db *db, const struct ql_selector *selector,
	size_t term, struct ql_err *e);
void ql_label_sets_done(struct ql_label_sets *sets);

/* The condition on e.seq, without the term's own NOT; param: the first one of the term. */
void ql_label_sql(struct ql_buf *sql, const struct ql_term *term, int param);

/* Binds what that condition looks into. */
void ql_label_bind(sqlite3_stmt *stmt, const struct ql_label_sets *sets, size_t term, int param);

/* The SQL functions ql_label(labels, name), which reads one, and ql_among(set, seq). */
int ql_label_register(sqlite3 *sql);

#endif
