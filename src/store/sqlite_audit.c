/* The audit: a chain of rows that is added to at its end and cut off at its beginning. */
#include <stdlib.h>
#include <string.h>

#include "store/field.h"
#include "store/sqlite.h"

static int
no_memory(struct ql_err *e)
{
	return ql_fail(e, QL_E_SYSTEM, "out of memory");
}

/* The columns seq and hash. */
static int
read_chain(sqlite3_stmt *stmt, int seq, int hash, struct ql_chain *ret_chain, struct ql_err *e)
{
	const void *bytes = sqlite3_column_blob(stmt, hash);
	if (!bytes || sqlite3_column_bytes(stmt, hash) != QL_DIGEST)
		return ql_fail(e, QL_E_UNAVAILABLE, "the audit has a hash that is none");
	ret_chain->seq = sqlite3_column_int64(stmt, seq);
	memcpy(ret_chain->hash, bytes, QL_DIGEST);
	return 0;
}

/* ---- writing ---- */

/* The anchor, the bytes of what is kept, and the number of the last row that was ever added. */
static int
find_kept(struct ql_db *db, struct ql_chain *ret_anchor, int64_t *ret_bytes, int64_t *ret_head,
	struct ql_err *e)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_AUDIT_KEPT, e);
	if (!stmt || ql_db_step(db, stmt, e) != 1)
		return -1;
	*ret_bytes = sqlite3_column_int64(stmt, 2);
	*ret_head = sqlite3_column_int64(stmt, 3);
	return read_chain(stmt, 0, 1, ret_anchor, e);
}

/*
 * Where all rows were deleted, the anchor goes on for them. A number is never used again: where somebody
 * took the newest rows out, the next one does not follow what is left.
 */
static int
find_head(struct ql_db *db, struct ql_chain *ret_head, struct ql_err *e)
{
	int64_t bytes, head;
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_AUDIT_LAST, e);
	if (!stmt)
		return -1;
	int rc = ql_db_step(db, stmt, e);
	if (rc == 0 && !find_kept(db, ret_head, &bytes, &head, e)) {
		ret_head->seq = head > ret_head->seq ? head : ret_head->seq;
		return 0;
	}
	return rc == 1 ? read_chain(stmt, 0, 1, ret_head, e) : -1;
}

int
ql_sqlite_audit(struct ql_db *db, struct ql_change *change, int64_t *bytes, struct ql_err *e)
{
	struct ql_chain chain;
	if (ql_row_check_text(change, e) || find_head(db, &chain, e) ||
		ql_chain_add(&chain, change->at, change->text, e))
		return -1;
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_AUDIT, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, chain.seq);
	sqlite3_bind_int64(stmt, 2, change->at);
	ql_field_bind_text(stmt, 3, change->text);
	sqlite3_bind_blob(stmt, 4, chain.hash, QL_DIGEST, SQLITE_STATIC);
	change->audit_seq = chain.seq;
	*bytes += (int64_t)strlen(change->text);
	return ql_db_run(db, stmt, e);
}

static int
run_with_seq(struct ql_db *db, enum ql_sql id, int64_t seq, struct ql_err *e)
{
	sqlite3_stmt *stmt = ql_db_statement(db, id, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, seq);
	return ql_db_run(db, stmt, e);
}

/* The anchor first: the database lets no row go that stands behind it. */
int
ql_sqlite_audit_trim(struct ql_db *db, int64_t seq, struct ql_err *e)
{
	int64_t bytes, last;
	struct ql_chain head, anchor;
	if (find_head(db, &head, e) || find_kept(db, &anchor, &bytes, &last, e))
		return -1;
	if (seq > head.seq)
		return ql_fail(e, QL_E_INTERNAL,
			"the audit has no row %lld, and can't be trimmed up to it", (long long)seq);
	if (seq <= anchor.seq)
		return 0;
	return run_with_seq(db, QL_SQL_AUDIT_ANCHOR, seq, e) ||
			       run_with_seq(db, QL_SQL_AUDIT_TRIM, seq, e)
		       ? -1
		       : 0;
}

/* ---- reading ---- */

static int
add_row(struct ql_store_read *op, sqlite3_stmt *stmt, size_t *cap)
{
	if (op->audit_count == *cap) {
		*cap = *cap ? *cap * 2 : 16;
		struct ql_audit_row *rows = realloc(op->audits, *cap * sizeof(*rows));
		if (!rows)
			return no_memory(&op->err);
		op->audits = rows;
	}
	struct ql_audit_row *row = &op->audits[op->audit_count++];
	*row = (struct ql_audit_row){.at = sqlite3_column_int64(stmt, 1)};
	if (ql_field_read_text(stmt, 2, &row->text))
		return no_memory(&op->err);
	return read_chain(stmt, 0, 3, &row->chain, &op->err);
}

static void
bind_filter(sqlite3_stmt *stmt, const struct ql_filter *filter)
{
	bool all = filter->newest && !filter->cursor;
	/* one more than asked for says whether there is another page */
	sqlite3_bind_int64(stmt, 1, (int64_t)ql_row_limit(filter) + 1);
	sqlite3_bind_int64(stmt, 2, all ? INT64_MAX : filter->cursor);
	sqlite3_bind_int64(stmt, 3, filter->since);
	ql_field_bind_text(stmt, 4, filter->actor);
	ql_field_bind_text(stmt, 5, filter->verb);
}

static void
cut_page(struct ql_store_read *op)
{
	if (op->audit_count <= ql_row_limit(&op->filter))
		return;
	free(op->audits[--op->audit_count].text);
	op->next_cursor = op->audits[op->audit_count - 1].chain.seq;
}

int
ql_sqlite_read_audit(struct ql_db *db, struct ql_store_read *op)
{
	int64_t bytes;
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(
		db, op->filter.newest ? QL_SQL_AUDIT_DOWN : QL_SQL_AUDIT_UP, &op->err);
	if (!stmt || find_kept(db, &op->anchor, &bytes, &op->audit_head, &op->err))
		return -1;
	bind_filter(stmt, &op->filter);
	size_t cap = 0;
	int rc;
	while ((rc = ql_db_step(db, stmt, &op->err)) == 1) {
		if (add_row(op, stmt, &cap))
			return -1;
	}
	cut_page(op);
	return rc;
}

/* Oldest first, until neither the time nor the bytes ask for more. */
int
ql_sqlite_read_audit_old(struct ql_db *db, struct ql_store_read *op)
{
	int64_t kept;
	struct ql_audit_row old = {0};
	const struct ql_filter *filter = &op->filter;
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_AUDIT_OLDEST, &op->err);
	if (!stmt || find_kept(db, &op->anchor, &kept, &op->audit_head, &op->err))
		return -1;
	sqlite3_bind_int64(stmt, 1, (int64_t)ql_row_limit(filter));
	int rc;
	while ((rc = ql_db_step(db, stmt, &op->err)) == 1) {
		int64_t at = sqlite3_column_int64(stmt, 1);
		bool over = filter->keep_bytes >= 0 && kept > filter->keep_bytes;
		if (at >= filter->until && !over)
			break;
		kept -= sqlite3_column_int64(stmt, 3);
		old.at = at;
		if (read_chain(stmt, 0, 2, &old.chain, &op->err))
			return -1;
	}
	if (rc < 0 || !old.chain.seq)
		return rc < 0 ? -1 : 0;
	op->audits = malloc(sizeof(*op->audits));
	if (!op->audits)
		return no_memory(&op->err);
	op->audits[op->audit_count++] = old;
	return 0;
}
