#include "store/sqlite_find.h"

#include <stdlib.h>

#include "base/buf.h"
#include "store/field.h"
#include "store/row.h"
#include "store/sqlite_select.h"

static int
no_memory(struct ql_err *e)
{
	return ql_fail(e, QL_E_SYSTEM, "out of memory");
}

int
ql_finds_add(struct ql_finds *finds, struct ql_found found, struct ql_err *e)
{
	if (finds->count == finds->cap) {
		size_t cap = finds->cap ? finds->cap * 2 : 64;
		struct ql_found *items = realloc(finds->items, cap * sizeof(*items));
		if (!items)
			return no_memory(e);
		finds->items = items;
		finds->cap = cap;
	}
	finds->items[finds->count++] = found;
	return 0;
}

/* Runs a bound statement whose first column is a seq. */
static int
find_rows(struct ql_db *db, sqlite3_stmt *stmt, struct ql_finds *finds, struct ql_err *e)
{
	int rc;
	while ((rc = ql_db_step(db, stmt, e)) == 1) {
		int64_t seq = sqlite3_column_int64(stmt, 0);
		if (ql_finds_add(finds, (struct ql_found){.seq = seq}, e))
			return -1;
	}
	return rc;
}

/* ---- which records ---- */

static int
find_named(struct ql_db *db, struct ql_store_read *op, struct ql_finds *finds)
{
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_FIND_ID, &op->err);
	int rc = stmt ? 0 : -1;
	for (size_t i = 0; rc == 0 && i < op->id_count; i++) {
		sqlite3_bind_int64(stmt, 1, 1);
		ql_field_bind_text(stmt, 2, op->ids[i]);
		rc = find_rows(db, stmt, finds, &op->err);
		sqlite3_reset(stmt);
	}
	return rc;
}

static int
find_simple(struct ql_db *db, enum ql_sql id, struct ql_store_read *op, struct ql_finds *finds)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, id, &op->err);
	if (!stmt)
		return -1;
	bool all = op->kind == QL_READ_LIVE;
	sqlite3_bind_int64(stmt, 1, all ? -1 : (int64_t)ql_row_limit(&op->filter));
	if (op->kind == QL_READ_GET)
		ql_field_bind_text(stmt, 2, op->filter.eval_id);
	else if (op->kind == QL_READ_OVERDUE)
		sqlite3_bind_int64(stmt, 2, op->filter.until);
	else if (op->kind == QL_READ_SUPERSEDED)
		ql_field_bind_text(stmt, 2, op->filter.owner);
	if (op->kind == QL_READ_SUPERSEDED)
		ql_field_bind_text(stmt, 3, op->filter.supersedes);
	return find_rows(db, stmt, finds, &op->err);
}

static int
find_overdue(struct ql_db *db, struct ql_store_read *op, struct ql_finds *finds)
{
	if (find_simple(db, QL_SQL_FIND_OVERDUE, op, finds))
		return -1;
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_NEXT_OVERDUE, &op->err);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, op->filter.until);
	if (ql_db_step(db, stmt, &op->err) != 1)
		return -1;
	op->next_at = sqlite3_column_int64(stmt, 0);
	return 0;
}

static int
kept_bytes(struct ql_db *db, int64_t *ret_bytes, struct ql_err *e)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_KEPT_BYTES, e);
	if (!stmt || ql_db_step(db, stmt, e) != 1)
		return -1;
	*ret_bytes = sqlite3_column_int64(stmt, 0);
	return 0;
}

/* Oldest first, until neither the time nor the bytes ask for more. */
static int
find_sweepable(struct ql_db *db, struct ql_store_read *op, struct ql_finds *finds)
{
	int64_t kept;
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_FIND_FINISHED, &op->err);
	if (!stmt || kept_bytes(db, &kept, &op->err))
		return -1;
	sqlite3_bind_int64(stmt, 1, (int64_t)ql_row_limit(&op->filter));
	int rc;
	while ((rc = ql_db_step(db, stmt, &op->err)) == 1) {
		bool over = op->filter.keep_bytes >= 0 && kept > op->filter.keep_bytes;
		if (sqlite3_column_int64(stmt, 1) >= op->filter.until && !over)
			return 0;
		kept -= sqlite3_column_int64(stmt, 2);
		if (ql_finds_add(finds, (struct ql_found){.seq = sqlite3_column_int64(stmt, 0)},
			    &op->err))
			return -1;
	}
	return rc;
}

/* Of the one more that was looked for, only the cursor is left: it says where to go on. */
static void
cut_page(struct ql_store_read *op, struct ql_finds *finds)
{
	size_t limit = ql_row_limit(&op->filter);
	if (finds->count <= limit)
		return;
	finds->count = limit;
	const struct ql_found *last = &finds->items[limit - 1];
	op->next_cursor = last->cancel ? last->cancel : last->seq;
}

/* The statement is written for the filter: with one fixed text no index would fit all of them. */
static int
cancellations_sql(const struct ql_filter *filter, struct ql_buf *sql)
{
	if (filter->eval_id)
		ql_buf_adds(sql, "WITH RECURSIVE chain (id, prev) AS ("
				 " SELECT id, prev FROM cancellations WHERE id ="
				 " (SELECT last_cancel FROM evaluations WHERE eval_id = ?3)"
				 " UNION ALL SELECT c.id, c.prev"
				 " FROM chain JOIN cancellations c ON c.id = chain.prev) ");
	ql_buf_adds(sql, "SELECT c.seq, c.id FROM cancellations c"
			 " CROSS JOIN evaluations e ON e.seq = c.seq WHERE c.id < ?2");
	if (filter->eval_id)
		ql_buf_adds(sql, " AND c.id IN (SELECT id FROM chain)");
	if (filter->attempt)
		ql_buf_adds(sql, " AND c.attempt = ?4");
	if (filter->mode)
		ql_buf_adds(sql, " AND c.mode = ?5");
	if (filter->mode && filter->mode != QL_MODE_CANCEL) /* it has an index, which ends so */
		ql_buf_addf(sql, " AND c.mode <> %d", QL_MODE_CANCEL);
	if (filter->actor)
		ql_buf_adds(sql, " AND c.actor = ?6");
	if (filter->owner)
		ql_buf_adds(sql, " AND e.owner = ?7");
	if (filter->statuses)
		ql_buf_adds(sql, " AND ?8 >> e.status & 1");
	if (filter->since)
		ql_buf_adds(sql, " AND c.id >= ?9");
	return ql_buf_adds(sql, " ORDER BY c.id DESC LIMIT ?1");
}

/* Ids and times grow together: the first id of that time, or one above all. */
static int
find_since(struct ql_db *db, int64_t since, int64_t *ret_first, struct ql_err *e)
{
	int64_t low = 1, high = since ? INT64_MAX : 1;
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_CANCEL_FROM, e);
	int rc = stmt ? 0 : -1;
	while (rc >= 0 && low < high) {
		int64_t middle = low + (high - low) / 2;
		sqlite3_bind_int64(stmt, 1, middle);
		rc = ql_db_step(db, stmt, e);
		if (rc == 1 && sqlite3_column_int64(stmt, 1) < since)
			low = sqlite3_column_int64(stmt, 0) + 1;
		else
			high = middle;
		sqlite3_reset(stmt);
	}
	*ret_first = low;
	return rc < 0 ? -1 : 0;
}

static void
bind_cancellations(sqlite3_stmt *stmt, const struct ql_filter *filter, int64_t first)
{
	sqlite3_bind_int64(stmt, 1, (int64_t)ql_row_limit(filter) + 1);
	sqlite3_bind_int64(stmt, 2, filter->cursor ? filter->cursor : INT64_MAX);
	ql_field_bind_text(stmt, 3, filter->eval_id);
	sqlite3_bind_int(stmt, 4, filter->attempt);
	sqlite3_bind_int(stmt, 5, filter->mode);
	ql_field_bind_text(stmt, 6, filter->actor);
	ql_field_bind_text(stmt, 7, filter->owner);
	sqlite3_bind_int64(stmt, 8, filter->statuses);
	sqlite3_bind_int64(stmt, 9, first);
}

static int
find_cancellations(struct ql_db *db, struct ql_store_read *op, struct ql_finds *finds)
{
	QL_CLEAN_BUF struct ql_buf sql = {0};
	sqlite3_stmt *stmt;
	int64_t first;
	if (find_since(db, op->filter.since, &first, &op->err))
		return -1;
	if (cancellations_sql(&op->filter, &sql))
		return no_memory(&op->err);
	if (sqlite3_prepare_v2(db->sql, sql.data, -1, &stmt, NULL) != SQLITE_OK)
		return ql_db_fail(db, &op->err, "the database refused");
	bind_cancellations(stmt, &op->filter, first);
	int rc;
	while ((rc = ql_db_step(db, stmt, &op->err)) == 1) {
		struct ql_found found = {
			.seq = sqlite3_column_int64(stmt, 0),
			.cancel = sqlite3_column_int64(stmt, 1),
		};
		if (ql_finds_add(finds, found, &op->err)) {
			rc = -1;
			break;
		}
	}
	sqlite3_finalize(stmt);
	return rc;
}

int
ql_sqlite_find(struct ql_db *db, struct ql_store_read *op, struct ql_finds *finds)
{
	int rc;
	switch (op->kind) {
	case QL_READ_GET:
		return find_simple(db, QL_SQL_FIND_ID, op, finds);
	case QL_READ_NAMED:
		return find_named(db, op, finds);
	case QL_READ_CLAIMABLE:
		return find_simple(db, QL_SQL_FIND_WAITING, op, finds);
	case QL_READ_LIVE:
		return find_simple(db, QL_SQL_FIND_LIVE, op, finds);
	case QL_READ_SUPERSEDED:
		return find_simple(db, QL_SQL_FIND_SUPERSEDED, op, finds);
	case QL_READ_OVERDUE:
		return find_overdue(db, op, finds);
	case QL_READ_SWEEPABLE:
		return find_sweepable(db, op, finds);
	case QL_READ_CANCELLATIONS:
		rc = find_cancellations(db, op, finds);
		break;
	default:
		rc = ql_sqlite_select(db, op, finds);
		break;
	}
	cut_page(op, finds);
	return rc;
}
