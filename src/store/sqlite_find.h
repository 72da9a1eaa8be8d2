/* Which evaluations a read is about: their numbers, by the index that fits. */
#ifndef QL_STORE_SQLITE_FIND_H
#define QL_STORE_SQLITE_FIND_H

#include "store/db.h"
#include "store/store.h"

struct ql_found {
	int64_t seq;
	int32_t status; /* of MATCHES */
	int64_t cancel; /* which cancellation is shown; 0 = the current attempt's */
};

struct ql_finds {
	struct ql_found *items; /* the caller frees them, on failure too */
	size_t count;
	size_t cap;
};

int ql_finds_add(struct ql_finds *finds, struct ql_found found, struct ql_err *e);

/* Also fills op->next_cursor and op->next_at. On -1 op->err is filled. */
int ql_sqlite_find(struct ql_db *db, struct ql_store_read *op, struct ql_finds *finds);

#endif
