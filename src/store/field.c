#include "store/field.h"

#include <string.h>

/* Binding a number never fails: the parameter exists, and nothing is allocated. */
#define BIND(object) sqlite3_bind_int64(stmt, at++, (int64_t)(object));

int
ql_field_bind_eval(sqlite3_stmt *stmt, int at, const struct ql_state *state)
{
#define X(type, field, means) BIND(state->field)
#include "core/field_eval.def"
#undef X
	return at;
}

int
ql_field_bind_cancel(sqlite3_stmt *stmt, int at, const struct ql_cancel *cancel)
{
#define X(type, field, means) BIND(cancel->field)
#include "core/field_cancel.def"
#undef X
	return at;
}

int
ql_field_bind_run(sqlite3_stmt *stmt, int at, const struct ql_run *run)
{
#define X(type, field, means) BIND(run->field)
#include "core/field_run.def"
#undef X
	return at;
}

int
ql_field_read_eval(sqlite3_stmt *stmt, int at, struct ql_state *ret_state)
{
#define X(type, field, means) ret_state->field = (type)sqlite3_column_int64(stmt, at++);
#include "core/field_eval.def"
#undef X
	return at;
}

int
ql_field_read_cancel(sqlite3_stmt *stmt, int at, struct ql_cancel *ret_cancel)
{
#define X(type, field, means) ret_cancel->field = (type)sqlite3_column_int64(stmt, at++);
#include "core/field_cancel.def"
#undef X
	return at;
}

int
ql_field_read_run(sqlite3_stmt *stmt, int at, struct ql_run *ret_run)
{
#define X(type, field, means) ret_run->field = (type)sqlite3_column_int64(stmt, at++);
#include "core/field_run.def"
#undef X
	return at;
}

void
ql_field_bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

int
ql_field_read_text(sqlite3_stmt *stmt, int at, char **ret_text)
{
	*ret_text = NULL;
	if (sqlite3_column_type(stmt, at) == SQLITE_NULL)
		return 0;
	const char *text = (const char *)sqlite3_column_text(stmt, at);
	*ret_text = text ? strdup(text) : NULL;
	return *ret_text ? 0 : -1;
}
