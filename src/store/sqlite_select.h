/*
 * What a filter's selector means: the statement is written for it, as no fixed text would let an
 * index fit all of them. The terms are SQL with parameters of their own; what drives the search is
 * the index that few rows stand in, or else all rows in the order of their submission.
 */
#ifndef QL_STORE_SQLITE_SELECT_H
#define QL_STORE_SQLITE_SELECT_H

#include "base/buf.h"
#include "store/sqlite_find.h"
#include "store/sqlite_label.h"

/* LIST and MATCHES: one more than the limit, in their order. On -1 op->err is filled. */
int ql_sqlite_select(struct ql_db *db, struct ql_store_read *op, struct ql_finds *finds);

/* COUNT: fills op->counts. */
int ql_sqlite_count(struct ql_db *db, struct ql_store_read *op);

/*
 * The parameters of each such statement. Those of the terms follow, term by term: a label's name,
 * then the values.
 */
enum ql_select_param {
	QL_SELECT_LIMIT = 1,
	QL_SELECT_CURSOR,
	QL_SELECT_OWNER,
	QL_SELECT_NOW, /* selector.def has it as ?4 */
	QL_SELECT_UPTO,
	QL_SELECT_STATUSES, /* a set */
	QL_SELECT_NUMBER, /* a priority or a status, of a part */
	QL_SELECT_TERMS,
};

/* The first parameter of that term. */
int ql_term_param(const struct ql_selector *selector, size_t term);

/* Appends " AND …" for that term; nothing for those on the status, which are one set. */
void ql_term_sql(struct ql_buf *sql, const struct ql_selector *selector, size_t term,
	const struct ql_label_sets *sets);

/* "a OR b OR …": that column has one of its values; param: the first one's. */
void
ql_term_values_sql(struct ql_buf *sql, const char *column, const struct ql_term *term, int param);

/* One term's values, in any statement that has its parameters; and all of them. */
void ql_term_bind(sqlite3_stmt *stmt, const struct ql_selector *selector, size_t at);
void ql_terms_bind(
	sqlite3_stmt *stmt, const struct ql_selector *selector, const struct ql_label_sets *sets);

#endif
