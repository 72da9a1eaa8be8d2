/* The sqlite driver's own. */
#ifndef QL_STORE_SQLITE_H
#define QL_STORE_SQLITE_H

#include "store/db.h"
#include "store/driver.h"
#include "store/row.h"

/* ql_store_sqlite_open with other steps than ql_schema_steps, which schema.h explains. */
int ql_sqlite_open(uv_loop_t *loop, const char *path, const char *const *steps,
	struct ql_store **ret_store, struct ql_err *e);

/* On the writing thread: all of op's changes or none. */
int ql_sqlite_commit(struct ql_db *db, struct ql_store_commit *op);

/* Parts of a commit: PUT_OBJECT and DROP_OBJECT; AUDIT, which adds the bytes of its text; AUDIT_TRIM. */
int ql_sqlite_object(struct ql_db *db, const struct ql_change *change, struct ql_err *e);
int ql_sqlite_audit(struct ql_db *db, struct ql_change *change, int64_t *bytes, struct ql_err *e);
int ql_sqlite_audit_trim(struct ql_db *db, int64_t seq, struct ql_err *e);

/* Parts of a read: OBJECTS, AUDIT, AUDIT_OLD. */
int ql_sqlite_read_objects(struct ql_db *db, struct ql_store_read *op);
int ql_sqlite_read_audit(struct ql_db *db, struct ql_store_read *op);
int ql_sqlite_read_audit_old(struct ql_db *db, struct ql_store_read *op);

/* On a reading thread, in one moment of the database. */
int ql_sqlite_read(struct ql_db *db, struct ql_store_read *op);

#endif
