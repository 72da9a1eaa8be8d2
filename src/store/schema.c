#include "store/schema.h"

#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/limits.h"
#include "store/sql.h"

/* What numbers stood for when a step was written stays as it was then: nothing is filled in. */
static const char add_outbox[] = "CREATE TABLE outbox ("
				 " number INTEGER PRIMARY KEY AUTOINCREMENT,"
				 " outlet INTEGER NOT NULL CHECK (outlet BETWEEN 0 AND 1),"
				 " eval_id TEXT NOT NULL,"
				 " task_id TEXT NOT NULL,"
				 " attempt INTEGER NOT NULL,"
				 " status INTEGER NOT NULL CHECK (56 >> status & 1),"
				 " error TEXT,"
				 " finished_at INTEGER NOT NULL"
				 ") STRICT;"
				 "CREATE INDEX outbox_outlet ON outbox (outlet, number);";

#define ADD(column) "ALTER TABLE evaluations ADD COLUMN " column " INTEGER NOT NULL DEFAULT 0;"

static const char add_remote[] =
	ADD("absent_at") ADD("again_at") ADD("ahead_until") ADD("adopted") ADD("seen");

static const char count_in_commits[] =
	"DROP TRIGGER count_new; DROP TRIGGER count_change; DROP TRIGGER count_gone;"
	"DROP TRIGGER settled_once;"
	"CREATE TRIGGER settled_once AFTER UPDATE OF status, attempt ON evaluations"
	" WHEN NEW.attempt < OLD.attempt"
	" OR (NEW.attempt = OLD.attempt AND NEW.status <> OLD.status AND 56 >> OLD.status & 1)"
	" BEGIN SELECT raise(ROLLBACK, 'settled is write-once for an attempt'); END;";

static const char index_fewer_cancellations[] =
	"DROP INDEX cancellations_requested; DROP INDEX cancellations_mode;"
	"CREATE INDEX cancellations_mode ON cancellations (mode, id) WHERE mode <> 1;";

/* What was never seen may be dropped before it is settled. */
static const char add_task_id[] =
	"ALTER TABLE evaluations ADD COLUMN task_id TEXT;"
	"DROP TRIGGER forget_done_only;"
	"CREATE TRIGGER forget_done_only BEFORE DELETE ON evaluations"
	" WHEN OLD.place <> 2 AND (NOT OLD.adopted OR OLD.seen)"
	" BEGIN"
	" SELECT raise(ROLLBACK, 'only a settled evaluation can be forgotten');"
	" END;"
	"DROP INDEX evaluations_waiting;"
	"CREATE INDEX evaluations_waiting ON evaluations"
	" (priority DESC, seq, owner, enqueued_at, place) WHERE place = 0;";

static const char add_objects_and_audit[] =
	"CREATE TABLE objects ("
	" kind INTEGER NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL,"
	" PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE audit ("
	" seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, text TEXT NOT NULL,"
	" hash BLOB NOT NULL CHECK (length(hash) = 32)) STRICT;"
	"ALTER TABLE meta ADD COLUMN audit_seq INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE meta ADD COLUMN audit_hash BLOB NOT NULL"
	" DEFAULT X'0000000000000000000000000000000000000000000000000000000000000000';"
	"ALTER TABLE meta ADD COLUMN audit_bytes INTEGER NOT NULL DEFAULT 0;"
	"CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit"
	" BEGIN SELECT raise(ROLLBACK, 'a row of the audit never changes'); END;"
	"CREATE TRIGGER audit_oldest_first BEFORE DELETE ON audit"
	" WHEN OLD.seq > (SELECT audit_seq FROM meta)"
	" BEGIN SELECT raise(ROLLBACK, 'rows of the audit go from the oldest on'); END;";

static const char add_passed[] =
	"ALTER TABLE cancellations ADD COLUMN passed INTEGER NOT NULL DEFAULT 0;";

/* Another outlet, which is told of more. Numbers are never used again, so they go on. */
static const char add_webhooks[] =
	"CREATE TABLE outbox_next ("
	" number INTEGER PRIMARY KEY AUTOINCREMENT,"
	" outlet INTEGER NOT NULL CHECK (outlet BETWEEN 0 AND 2),"
	" eval_id TEXT NOT NULL,"
	" task_id TEXT NOT NULL,"
	" attempt INTEGER NOT NULL,"
	" status INTEGER NOT NULL,"
	" error TEXT,"
	" finished_at INTEGER NOT NULL,"
	" CHECK (56 >> status & 1 OR (status = 6 AND outlet = 2))"
	") STRICT;"
	"INSERT INTO outbox_next SELECT * FROM outbox;"
	"DELETE FROM sqlite_sequence WHERE name = 'outbox_next';"
	"INSERT INTO sqlite_sequence (name, seq)"
	" SELECT 'outbox_next', seq FROM sqlite_sequence WHERE name = 'outbox';"
	"DROP TABLE outbox;"
	"ALTER TABLE outbox_next RENAME TO outbox;"
	"CREATE INDEX outbox_outlet ON outbox (outlet, number);";

static const char add_audit_head[] =
	"ALTER TABLE meta ADD COLUMN audit_head INTEGER NOT NULL DEFAULT 0;"
	"UPDATE meta SET audit_head = max(audit_seq, coalesce((SELECT max(seq) FROM audit), 0));";

static const char add_last_seq[] =
	"ALTER TABLE meta ADD COLUMN last_seq INTEGER NOT NULL DEFAULT 0;";

static const char add_container[] = "ALTER TABLE evaluations ADD COLUMN container_runtime TEXT;"
				    "ALTER TABLE evaluations ADD COLUMN container_name TEXT;"
				    "ALTER TABLE evaluations ADD COLUMN container_image TEXT;";

static const char add_boxed[] = ADD("boxed_at");

const char *const ql_schema_steps[] = {add_outbox, add_remote, count_in_commits,
	index_fewer_cancellations, add_task_id, add_objects_and_audit, add_passed, add_webhooks,
	add_audit_head, add_last_seq, add_container, add_boxed, NULL};

static int
newest_of(const char *const *steps)
{
	int newest = 1;
	while (*steps++)
		newest++;
	return newest;
}

/* ---- looking ---- */

/* A number that means something else than it did would be read as another status. */
static int
check_words(struct ql_db *db, struct ql_err *e)
{
	int64_t strangers;
	QL_CLEAN_BUF struct ql_buf sql = {0};
	ql_buf_adds(&sql, "SELECT count(*) FROM words"
			  " WHERE (kind, value, word) NOT IN (VALUES ('', 0, '')");
	for (const struct ql_sql_words *words = ql_sql_words; words->kind; words++) {
		for (int i = 0; i < words->count; i++)
			ql_buf_addf(&sql, ", ('%s', %d, '%s')", words->kind, i, words->words[i]);
	}
	if (ql_buf_adds(&sql, ")"))
		return ql_fail(e, QL_E_SYSTEM, "out of memory");
	if (ql_db_number(db, sql.data, &strangers, e))
		return -1;
	if (!strangers)
		return 0;
	return ql_fail(e, QL_E_UNAVAILABLE,
		"%d of its words stand for other things in this Quell; use the Quell that wrote it",
		(int)strangers);
}

static int
check_pages(struct ql_db *db, struct ql_err *e)
{
	int64_t pages, size, sound;
	if (ql_db_number(db, "PRAGMA page_count", &pages, e) ||
		ql_db_number(db, "PRAGMA page_size", &size, e))
		return -1;
	if (pages * size > QL_STORE_CHECK_BYTES)
		return 0;
	/* a whole check of a large one would keep the server from starting for long */
	if (ql_db_number(db,
		    "SELECT count(*) = 0 FROM pragma_quick_check(1)"
		    " WHERE quick_check <> 'ok'",
		    &sound, e))
		return -1;
	if (sound)
		return 0;
	return ql_fail(e, QL_E_UNAVAILABLE, "it is damaged; put a copy of it in its place");
}

static int
check_version(struct ql_db *db, int newest, int *ret_version, struct ql_err *e)
{
	int64_t application, version, tables;
	if (ql_db_number(db, "PRAGMA application_id", &application, e) ||
		ql_db_number(db, "PRAGMA user_version", &version, e) ||
		ql_db_number(db, "SELECT count(*) FROM sqlite_schema", &tables, e))
		return -1;
	*ret_version = (int)version;
	if (application == 0 && version == 0 && tables == 0)
		return 0;
	if (application != QL_SCHEMA_APPLICATION || version < 1)
		return ql_fail(e, QL_E_UNAVAILABLE,
			"it is another program's database; name another data folder");
	if (version > newest)
		return ql_fail(e, QL_E_UNAVAILABLE,
			"its version is %d and this Quell knows up to %d; use a newer Quell",
			(int)version, newest);
	return 0;
}

static int
look(struct ql_db *db, const char *const *steps, int *ret_version, struct ql_err *e)
{
	int version;
	if (check_version(db, newest_of(steps), &version, e))
		return -1;
	if (version > 0 && (check_pages(db, e) || check_words(db, e)))
		return -1;
	*ret_version = version;
	return 0;
}

int
ql_schema_probe(const char *path, const char *const *steps, int *ret_version, struct ql_err *e)
{
	struct ql_db db;
	*ret_version = 0;
	if (access(path, F_OK) && errno == ENOENT)
		return 0;
	if (ql_db_open(&db, path, SQLITE_OPEN_READONLY, e))
		return -1;
	int rc = look(&db, steps, ret_version, e);
	ql_db_close(&db);
	return rc;
}

/* ---- making ---- */

static int
make_tables(struct ql_db *db, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf sql = {0};
	return ql_sql_fill(&sql, ql_sql_schema, e) || ql_db_exec(db, sql.data, e) ? -1 : 0;
}

static int
add_words(struct ql_db *db, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf sql = {0};
	for (const struct ql_sql_words *words = ql_sql_words; words->kind; words++) {
		for (int i = 0; i < words->count; i++)
			ql_buf_addf(&sql, "INSERT OR IGNORE INTO words VALUES ('%s', %d, '%s');",
				words->kind, i, words->words[i]);
	}
	if (sql.failed)
		return ql_fail(e, QL_E_SYSTEM, "out of memory");
	return ql_db_exec(db, sql.data, e);
}

static int
set_version(struct ql_db *db, int version, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf sql = {0};
	if (ql_buf_addf(&sql, "PRAGMA application_id = %d; PRAGMA user_version = %d",
		    QL_SCHEMA_APPLICATION, version))
		return ql_fail(e, QL_E_SYSTEM, "out of memory");
	return ql_db_exec(db, sql.data, e);
}

static int
climb(struct ql_db *db, int version, const char *const *steps, struct ql_err *e)
{
	int newest = newest_of(steps);
	if (version == 0 && make_tables(db, e))
		return -1;
	for (int at = version; at > 0 && at < newest; at++) {
		if (ql_db_exec(db, steps[at - 1], e))
			return ql_err_prefix(e, "version %d to %d", at, at + 1);
	}
	if (add_words(db, e) || set_version(db, newest, e))
		return -1;
	return ql_db_do(db, QL_SQL_COMMIT, e);
}

int
ql_schema_apply(struct ql_db *db, int version, const char *const *steps, struct ql_err *e)
{
	if (version == newest_of(steps))
		return 0;
	if (ql_db_do(db, QL_SQL_BEGIN_WRITE, e))
		return -1;
	return climb(db, version, steps, e);
}
