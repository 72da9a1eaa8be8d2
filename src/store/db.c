#include "store/db.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "store/limits.h"
#include "store/sql.h"
#include "store/sqlite_label.h"

static const char *const texts[] = {
#define X(name, text) [QL_SQL_##name] = text,
#include "store/statement.def"
#undef X
};

int
ql_db_open(struct ql_db *db, const char *path, int flags, struct ql_err *e)
{
	*db = (struct ql_db){.path = path};
	int rc = sqlite3_open_v2(
		path, &db->sql, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (rc != SQLITE_OK) {
		ql_db_fail(db, e, "couldn't open it");
		ql_db_close(db);
		return -1;
	}
	if (ql_label_register(db->sql) != SQLITE_OK) {
		ql_db_fail(db, e, "couldn't make its functions");
		ql_db_close(db);
		return -1;
	}
	sqlite3_busy_timeout(db->sql, QL_STORE_BUSY_MS);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return 0;
}

void
ql_db_close(struct ql_db *db)
{
	for (int i = 0; i < QL_SQL_COUNT; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->sql);
	*db = (struct ql_db){0};
}

static bool
out_of_room(struct ql_db *db, int rc)
{
	int sys = sqlite3_system_errno(db->sql);
	return rc == SQLITE_FULL || (rc == SQLITE_IOERR && (sys == ENOSPC || sys == EDQUOT));
}

/* Which of our codes, and what the reader of the sentence can do about it. */
static enum ql_code
explain(struct ql_db *db, const char **ret_advice)
{
	int extended = sqlite3_extended_errcode(db->sql);
	int rc = extended & 0xff;
	*ret_advice = "";
	if (out_of_room(db, rc)) {
		*ret_advice = "; make room there, it goes on by itself";
		return QL_E_DISK_FULL;
	}
	if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY)
		return QL_E_CONFLICT;
	if (rc == SQLITE_CONSTRAINT || rc == SQLITE_ERROR || rc == SQLITE_MISUSE)
		return QL_E_INTERNAL;
	if (rc == SQLITE_NOMEM)
		return QL_E_SYSTEM;
	if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
		*ret_advice = "; another process holds it, end that one";
	else if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB)
		*ret_advice = "; put a copy of it in its place";
	return QL_E_UNAVAILABLE;
}

int
ql_db_fail(struct ql_db *db, struct ql_err *e, const char *fmt, ...)
{
	char doing[QL_ERR_TEXT];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(doing, sizeof(doing), fmt, ap);
	va_end(ap);
	const char *advice;
	enum ql_code code = explain(db, &advice);
	const char *said = db->sql ? sqlite3_errmsg(db->sql) : "out of memory";
	ql_fail(e, code, "%s: %s%s", doing, said, advice);
	if (e && db->sql)
		e->sys = sqlite3_system_errno(db->sql);
	return -1;
}

int
ql_db_exec(struct ql_db *db, const char *sql, struct ql_err *e)
{
	if (sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return ql_db_fail(db, e, "the database refused");
}

int
ql_db_number(struct ql_db *db, const char *sql, int64_t *ret_number, struct ql_err *e)
{
	sqlite3_stmt *stmt;
	if (sqlite3_prepare_v2(db->sql, sql, -1, &stmt, NULL) != SQLITE_OK)
		return ql_db_fail(db, e, "the database refused");
	int rc = ql_db_step(db, stmt, e);
	if (rc == 1)
		*ret_number = sqlite3_column_int64(stmt, 0);
	else if (rc == 0)
		ql_fail(e, QL_E_INTERNAL, "the database had no answer to %s", sql);
	sqlite3_finalize(stmt);
	return rc == 1 ? 0 : -1;
}

sqlite3_stmt *
ql_db_statement(struct ql_db *db, enum ql_sql id, struct ql_err *e)
{
	if (db->statements[id])
		return db->statements[id];
	QL_CLEAN_BUF struct ql_buf text = {0};
	if (ql_sql_fill(&text, texts[id], e))
		return NULL;
	int rc = sqlite3_prepare_v3(
		db->sql, text.data, -1, SQLITE_PREPARE_PERSISTENT, &db->statements[id], NULL);
	if (rc != SQLITE_OK)
		ql_db_fail(db, e, "the database refused");
	return db->statements[id];
}

int
ql_db_step(struct ql_db *db, sqlite3_stmt *stmt, struct ql_err *e)
{
	int rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return ql_db_fail(db, e, "the database refused");
}

int
ql_db_run(struct ql_db *db, sqlite3_stmt *stmt, struct ql_err *e)
{
	int rc;
	while ((rc = ql_db_step(db, stmt, e)) == 1)
		continue;
	sqlite3_reset(stmt);
	return rc;
}

int
ql_db_do(struct ql_db *db, enum ql_sql id, struct ql_err *e)
{
	sqlite3_stmt *stmt = ql_db_statement(db, id, e);
	return stmt ? ql_db_run(db, stmt, e) : -1;
}

void
ql_db_reset(sqlite3_stmt **stmt)
{
	sqlite3_reset(*stmt);
}
