/* Documents: written and read as they are. */
#include <stdlib.h>

#include "store/field.h"
#include "store/sqlite.h"

static int
no_memory(struct ql_err *e)
{
	return ql_fail(e, QL_E_SYSTEM, "out of memory");
}

int
ql_sqlite_object(struct ql_db *db, const struct ql_change *change, struct ql_err *e)
{
	bool put = change->kind == QL_CHANGE_PUT_OBJECT;
	if (ql_row_check_text(change, e))
		return -1;
	sqlite3_stmt *stmt = ql_db_statement(db, put ? QL_SQL_PUT_OBJECT : QL_SQL_DROP_OBJECT, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int(stmt, 1, (int)change->object);
	ql_field_bind_text(stmt, 2, change->object_id);
	if (put) {
		sqlite3_bind_int64(stmt, 3, change->at);
		ql_field_bind_text(stmt, 4, change->text);
	}
	return ql_db_run(db, stmt, e);
}

static int
add_object(struct ql_store_read *op, sqlite3_stmt *stmt, size_t *cap)
{
	if (op->object_count == *cap) {
		*cap = *cap ? *cap * 2 : 16;
		struct ql_object *objects = realloc(op->objects, *cap * sizeof(*objects));
		if (!objects)
			return no_memory(&op->err);
		op->objects = objects;
	}
	struct ql_object *object = &op->objects[op->object_count++];
	*object = (struct ql_object){.at = sqlite3_column_int64(stmt, 1)};
	int failed = ql_field_read_text(stmt, 0, &object->id);
	failed |= ql_field_read_text(stmt, 2, &object->text);
	return failed ? no_memory(&op->err) : 0;
}

int
ql_sqlite_read_objects(struct ql_db *db, struct ql_store_read *op)
{
	const struct ql_filter *filter = &op->filter;
	const char *after = filter->after ? filter->after : "";
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(
		db, filter->object_id ? QL_SQL_FIND_OBJECT : QL_SQL_FIND_OBJECTS, &op->err);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, (int64_t)ql_row_limit(filter));
	sqlite3_bind_int(stmt, 2, (int)filter->object);
	ql_field_bind_text(stmt, 3, filter->object_id ? filter->object_id : after);
	size_t cap = 0;
	int rc;
	while ((rc = ql_db_step(db, stmt, &op->err)) == 1) {
		if (add_object(op, stmt, &cap))
			return -1;
	}
	return rc;
}
