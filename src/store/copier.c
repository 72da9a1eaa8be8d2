#include "store/copier.h"

#include <stdlib.h>

/*
 * Whether all was copied does not matter: readers may hold some of it back, and a disk that is full
 * or failing keeps the rest in the log, which is durable by itself. The next wake goes on.
 */
static void
copy(void *arg)
{
	struct ql_copier *copier = arg;
	for (;;) {
		uv_sem_wait(&copier->wake);
		if (atomic_load(&copier->stopping))
			return;
		sqlite3_wal_checkpoint_v2(
			copier->db.sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
		atomic_store(&copier->busy, false);
	}
}

int
ql_copier_start(struct ql_copier *copier, const char *path, struct ql_err *e)
{
	int64_t version;
	if (ql_db_open(&copier->db, path, SQLITE_OPEN_READWRITE, e))
		return -1;
	/* until it has read something, a connection knows of no log and copies nothing */
	if (ql_db_number(&copier->db, "PRAGMA user_version", &version, e)) {
		ql_db_close(&copier->db);
		return -1;
	}
	if (uv_sem_init(&copier->wake, 0))
		abort(); /* neither allocates nor can fail on Linux */
	int rc = uv_thread_create(&copier->thread, copy, copier);
	if (rc == 0) {
		atomic_store(&copier->started, true);
		return 0;
	}
	uv_sem_destroy(&copier->wake);
	ql_db_close(&copier->db);
	return ql_fail(e, QL_E_SYSTEM, "couldn't start a thread: %s", uv_strerror(rc));
}

void
ql_copier_wake(struct ql_copier *copier)
{
	if (!atomic_exchange(&copier->busy, true))
		uv_sem_post(&copier->wake);
}

void
ql_copier_stop(struct ql_copier *copier)
{
	if (!atomic_exchange(&copier->started, false))
		return;
	atomic_store(&copier->stopping, true);
	uv_sem_post(&copier->wake);
	uv_thread_join(&copier->thread);
	uv_sem_destroy(&copier->wake);
	ql_db_close(&copier->db);
}
