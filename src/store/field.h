/*
 * A state's fields as columns: one function for each table and direction, grown from the same
 * field_*.def as the structs. `at` is the first parameter or column; the next one is returned.
 */
#ifndef QL_STORE_FIELD_H
#define QL_STORE_FIELD_H

#include <sqlite3.h>

#include "core/state.h"

int ql_field_bind_eval(sqlite3_stmt *stmt, int at, const struct ql_state *state);
int ql_field_bind_cancel(sqlite3_stmt *stmt, int at, const struct ql_cancel *cancel);
int ql_field_bind_run(sqlite3_stmt *stmt, int at, const struct ql_run *run);

int ql_field_read_eval(sqlite3_stmt *stmt, int at, struct ql_state *ret_state);
int ql_field_read_cancel(sqlite3_stmt *stmt, int at, struct ql_cancel *ret_cancel);
int ql_field_read_run(sqlite3_stmt *stmt, int at, struct ql_run *ret_run);

/* Bound without a copy: text must live until the statement was run. NULL is SQL's NULL. */
void ql_field_bind_text(sqlite3_stmt *stmt, int at, const char *text);

/* A copy of the text, NULL for SQL's NULL; -1 when out of memory. */
int ql_field_read_text(sqlite3_stmt *stmt, int at, char **ret_text);

#endif
