/*
 * The database file: what it is, making it, bringing an older one forward. A file that is not ours,
 * newer than we are, or damaged is refused and left as it is, byte for byte.
 *
 * steps[i] brings version i + 1 to i + 2, NULL ends them, so that the newest version is their
 * number + 1; all that are needed are run in one transaction. A new database is made by schema.sql
 * at the newest version. A step for each change of schema.sql or of a table of src/core that it is
 * filled from; the numbers of words never change, new words go to the end.
 */
#ifndef QL_STORE_SCHEMA_H
#define QL_STORE_SCHEMA_H

#include "store/db.h"

#define QL_SCHEMA_APPLICATION 0x5155454c /* "QUEL" */

extern const char *const ql_schema_steps[];

/* Looks at the file without writing: 0 = there is none or it is empty, else its version. */
int ql_schema_probe(const char *path, const char *const *steps, int *ret_version, struct ql_err *e);

/* Brings it from that version to the newest; on -1 the caller closes the connection. */
int ql_schema_apply(struct ql_db *db, int version, const char *const *steps, struct ql_err *e);

#endif
