/*
 * One connection to the database and its prepared statements. Used by one thread at a time.
 * The texts of the statements stand in db.c, in one table.
 */
#ifndef QL_STORE_DB_H
#define QL_STORE_DB_H

#include <sqlite3.h>
#include <stdint.h>

#include "base/err.h"

enum ql_sql {
#define X(name, text) QL_SQL_##name,
#include "store/statement.def"
#undef X
	QL_SQL_COUNT
};

struct ql_db {
	sqlite3 *sql; /* NULL = closed */
	const char *path; /* the owner's */
	sqlite3_stmt *statements[QL_SQL_COUNT]; /* prepared at their first use */
};

/* flags: SQLITE_OPEN_READONLY or _READWRITE. Never makes a file. */
int ql_db_open(struct ql_db *db, const char *path, int flags, struct ql_err *e);

/* Safe on a zeroed struct. */
void ql_db_close(struct ql_db *db);

/* Says what the last call on this connection failed with, after the prefix. Returns -1. */
int ql_db_fail(struct ql_db *db, struct ql_err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Statements without parameters or results, one or more. */
int ql_db_exec(struct ql_db *db, const char *sql, struct ql_err *e);

/* The first column of the first row; -1 and QL_E_INTERNAL when there is none. */
int ql_db_number(struct ql_db *db, const char *sql, int64_t *ret_number, struct ql_err *e);

/* The statement, ready for its parameters to be bound; NULL on failure. Give it back by reset. */
sqlite3_stmt *ql_db_statement(struct ql_db *db, enum ql_sql id, struct ql_err *e);

/* Steps to the end and resets. */
int ql_db_run(struct ql_db *db, sqlite3_stmt *stmt, struct ql_err *e);

/* A statement without parameters: ready, run, reset. */
int ql_db_do(struct ql_db *db, enum ql_sql id, struct ql_err *e);

/* 1 = a row, 0 = the end, -1. The caller resets. */
int ql_db_step(struct ql_db *db, sqlite3_stmt *stmt, struct ql_err *e);

/* For a cleanup attribute: resets what is not NULL. */
void ql_db_reset(sqlite3_stmt **stmt);

#define QL_CLEAN_STMT __attribute__((cleanup(ql_db_reset)))

#endif
