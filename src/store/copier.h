/*
 * The thread that copies the write-ahead log into the database with a connection of its own, so
 * that no commit waits for it.
 */
#ifndef QL_STORE_COPIER_H
#define QL_STORE_COPIER_H

#include <stdatomic.h>
#include <uv.h>

#include "store/db.h"

struct ql_copier {
	struct ql_db db; /* the thread's */
	uv_thread_t thread;
	uv_sem_t wake;
	atomic_bool started;
	atomic_bool busy;
	atomic_bool stopping;
};

int ql_copier_start(struct ql_copier *copier, const char *path, struct ql_err *e);

/* From any thread: copy now, unless it does already. */
void ql_copier_wake(struct ql_copier *copier);

/* Ends the thread after the copy under way. Safe on a zeroed struct. */
void ql_copier_stop(struct ql_copier *copier);

#endif
