/*
 * Connections: one that writes, some that read, one that copies the log; each is used by one
 * thread, and by the loop's only while opening and closing. They do not lock the file against
 * other processes (locking_mode NORMAL): exclusive locking would shut out our own readers, a
 * second server is kept away by the lock on the data folder, and so a backup may be taken with
 * sqlite3's own tools while the server runs. A process that holds the write lock for longer than
 * QL_STORE_BUSY_MS makes commits fail, and they go on when it is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "store/copier.h"
#include "store/field.h"
#include "store/schema.h"
#include "store/sqlite.h"

struct sqlite {
	struct ql_driver driver; /* first */
	char *path;
	struct ql_db writer;
	struct ql_db readers[QL_STORE_READERS];
	struct ql_copier copier;
	int log_pages; /* in the log after the last commit; the writing thread's */
};

/* ---- operations ---- */

static int
saw_log(void *arg, sqlite3 *sql, const char *name, int pages)
{
	(void)sql;
	(void)name;
	((struct sqlite *)arg)->log_pages = pages;
	return SQLITE_OK;
}

/*
 * Between two commits nothing is added to the log, so that all of it can be copied and the next
 * commit begins it anew, unless someone reads from its older part: nobody is waited for.
 */
static void
catch_up(struct sqlite *sqlite)
{
	if (sqlite->log_pages > QL_STORE_WAL_PAGES_MAX)
		sqlite3_wal_checkpoint_v2(
			sqlite->writer.sql, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

static int
commit(struct ql_driver *driver, struct ql_store_commit *op)
{
	struct sqlite *sqlite = (struct sqlite *)driver;
	catch_up(sqlite);
	int rc = ql_sqlite_commit(&sqlite->writer, op);
	if (sqlite->log_pages > QL_STORE_WAL_PAGES)
		ql_copier_wake(&sqlite->copier);
	return rc;
}

static int
scan(struct ql_driver *driver, struct ql_store_read *op, int thread)
{
	return ql_sqlite_read(&((struct sqlite *)driver)->readers[thread], op);
}

static int
keep_clock(struct ql_store *store, const struct ql_clock *clock, struct ql_err *e)
{
	struct ql_db *db = &((struct sqlite *)store)->writer;
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_KEEP_CLOCK, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, clock->offset_ms);
	ql_field_bind_text(stmt, 2, clock->boot_id);
	if (ql_db_run(db, stmt, e))
		return ql_err_prefix(e, "couldn't keep the clock in %s", db->path);
	store->facts.clock = *clock;
	return 0;
}

/* A clean end leaves one file: the log is copied and goes with the last connection, the writer's. */
static void
close_store(struct ql_store *store)
{
	struct sqlite *sqlite = (struct sqlite *)store;
	ql_driver_stop(&sqlite->driver);
	ql_copier_stop(&sqlite->copier);
	for (int i = 0; i < QL_STORE_READERS; i++)
		ql_db_close(&sqlite->readers[i]);
	ql_db_close(&sqlite->writer);
	free(sqlite->path);
	free(sqlite);
}

static const struct ql_store_ops sqlite_ops = {
	.name = "sqlite",
	.commit = ql_driver_commit,
	.read = ql_driver_read,
	.keep_clock = keep_clock,
	.close = close_store,
};

/* ---- opening ---- */

/* SQLite would make it readable for all; its log and its index take over the mode. */
static int
make_file(const char *path, struct ql_err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? 0 : ql_fail_sys(e, "couldn't make it");
	close(fd);
	return 0;
}

static int
set_number(struct ql_db *db, const char *name, int64_t number, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf sql = {0};
	if (ql_buf_addf(&sql, "PRAGMA %s = %lld", name, (long long)number))
		return ql_fail(e, QL_E_SYSTEM, "out of memory");
	return ql_db_exec(db, sql.data, e);
}

static int
open_writer(struct sqlite *sqlite, int version, const char *const *steps, struct ql_err *e)
{
	struct ql_db *db = &sqlite->writer;
	if (ql_db_open(db, sqlite->path, SQLITE_OPEN_READWRITE, e) ||
		ql_db_exec(db,
			"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			" PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY",
			e) ||
		set_number(db, "journal_size_limit", QL_STORE_LOG_BYTES, e) ||
		set_number(db, "cache_size", -QL_STORE_WRITER_CACHE_KIB, e))
		return -1;
	sqlite3_wal_hook(db->sql, saw_log, sqlite);
	return ql_schema_apply(db, version, steps, e);
}

static int
open_readers(struct sqlite *sqlite, struct ql_err *e)
{
	for (int i = 0; i < QL_STORE_READERS; i++) {
		struct ql_db *db = &sqlite->readers[i];
		if (ql_db_open(db, sqlite->path, SQLITE_OPEN_READONLY, e) ||
			ql_db_exec(db, "PRAGMA temp_store = MEMORY", e) ||
			set_number(db, "cache_size", -QL_STORE_READER_CACHE_KIB, e))
			return -1;
	}
	return 0;
}

static int
read_backlog(struct ql_db *db, struct ql_store_facts *ret_facts, struct ql_err *e)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_BACKLOG, e);
	if (!stmt)
		return -1;
	int rc;
	while ((rc = ql_db_step(db, stmt, e)) == 1)
		ret_facts->backlog[sqlite3_column_int(stmt, 0)] = sqlite3_column_int64(stmt, 1);
	return rc;
}

static int
read_facts(struct ql_db *db, struct ql_store_facts *ret_facts, struct ql_err *e)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_FACTS, e);
	if (!stmt || ql_db_step(db, stmt, e) != 1)
		return -1;
	ret_facts->clock.offset_ms = sqlite3_column_int64(stmt, 0);
	const char *boot_id = (const char *)sqlite3_column_text(stmt, 1);
	if (!boot_id || ql_str_copy(ret_facts->clock.boot_id, QL_BOOT_ID, boot_id))
		return ql_fail(e, QL_E_UNAVAILABLE, "its boot id is no boot id");
	ret_facts->last_ms = sqlite3_column_int64(stmt, 2);
	ret_facts->queued = sqlite3_column_int64(stmt, 3);
	QL_CLEAN_STMT sqlite3_stmt *next = ql_db_statement(db, QL_SQL_NEXT_OVERDUE, e);
	if (!next)
		return -1;
	sqlite3_bind_int64(next, 1, 0);
	if (ql_db_step(db, next, e) != 1)
		return -1;
	ret_facts->next_queue_until = sqlite3_column_int64(next, 0);
	return read_backlog(db, ret_facts, e);
}

/* Each statement is prepared now, so that a database it doesn't fit is refused at once. */
static int
prepare_all(struct ql_db *db, struct ql_err *e)
{
	for (int id = 0; id < QL_SQL_COUNT; id++) {
		if (!ql_db_statement(db, (enum ql_sql)id, e))
			return -1;
	}
	return 0;
}

static int
open_all(struct sqlite *sqlite, const char *const *steps, struct ql_err *e)
{
	int version;
	if (ql_schema_probe(sqlite->path, steps, &version, e))
		return -1;
	if (version == 0 && make_file(sqlite->path, e))
		return -1;
	struct ql_driver *driver = &sqlite->driver;
	if (open_writer(sqlite, version, steps, e) || prepare_all(&sqlite->writer, e) ||
		read_facts(&sqlite->writer, &driver->store.facts, e) || open_readers(sqlite, e) ||
		ql_copier_start(&sqlite->copier, sqlite->path, e))
		return -1;
	return ql_pool_new(driver->store.loop, 1, &driver->writing,
		       e) || ql_pool_new(driver->store.loop, QL_STORE_READERS, &driver->reading, e)
		       ? -1
		       : 0;
}

int
ql_sqlite_open(uv_loop_t *loop, const char *path, const char *const *steps,
	struct ql_store **ret_store, struct ql_err *e)
{
	/* every allocation would take a lock to be counted; refused once SQLite is in use */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	struct sqlite *sqlite = calloc(1, sizeof(*sqlite));
	if (sqlite)
		sqlite->path = strdup(path);
	if (!sqlite || !sqlite->path) {
		free(sqlite);
		return ql_fail(e, QL_E_SYSTEM, "couldn't open the store %s: out of memory", path);
	}
	sqlite->driver = (struct ql_driver){
		.store = {.ops = &sqlite_ops, .loop = loop},
		.commit = commit,
		.read = scan,
	};
	if (open_all(sqlite, steps, e)) {
		close_store(&sqlite->driver.store);
		return ql_err_prefix(e, "couldn't open the store %s", path);
	}
	*ret_store = &sqlite->driver.store;
	return 0;
}

int
ql_store_sqlite_open(
	uv_loop_t *loop, const char *path, struct ql_store **ret_store, struct ql_err *e)
{
	return ql_sqlite_open(loop, path, ql_schema_steps, ret_store, e);
}
