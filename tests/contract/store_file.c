/* The database file: who may read it, what it refuses, what is left untouched, how it grows up. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/limits.h"
#include "store/schema.h"
#include "store/sql.h"
#include "store/sqlite.h"
#include "store_kit.h"

/* ---- raw access ---- */

static sqlite3 *
raw_open(const char *path)
{
	sqlite3 *sql;
	assert_int_equal(sqlite3_open_v2(path, &sql, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	return sql;
}

static void
raw_do(const char *path, const char *text)
{
	sqlite3 *sql = raw_open(path);
	if (sqlite3_exec(sql, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(sql));
	sqlite3_close(sql);
}

static void
raw_refused(const char *path, const char *text, const char *why)
{
	sqlite3 *sql = raw_open(path);
	assert_int_equal(sqlite3_exec(sql, text, NULL, NULL, NULL) & 0xff, SQLITE_CONSTRAINT);
	if (!strstr(sqlite3_errmsg(sql), why))
		fail_msg("%s: %s", text, sqlite3_errmsg(sql));
	sqlite3_close(sql);
}

static struct ql_buf
slurp(const char *path)
{
	struct ql_buf bytes = {0};
	char part[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	for (ssize_t n; fd >= 0 && (n = read(fd, part, sizeof(part))) > 0;)
		assert_int_equal(ql_buf_add(&bytes, part, (size_t)n), 0);
	if (fd >= 0)
		close(fd);
	return bytes;
}

static void
spew(const char *path, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

/* Opening fails with words that say why, and changes neither the file nor its log. */
static void
stays_untouched(struct kit *kit, const char *why)
{
	char log[128];
	snprintf(log, sizeof(log), "%s-wal", kit->path);
	struct ql_buf before = slurp(kit->path), log_before = slurp(log);
	assert_int_equal(kit_reopen(kit), -1);
	assert_int_equal(uv_run(&kit->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(kit->err.code, QL_E_UNAVAILABLE);
	if (!strstr(kit->err.text, why) || !strstr(kit->err.text, kit->path))
		fail_msg("%s, not %s", kit->err.text, why);
	struct ql_buf after = slurp(kit->path), log_after = slurp(log);
	assert_int_equal(before.len, after.len);
	assert_true(before.len == 0 || !memcmp(before.data, after.data, before.len));
	assert_int_equal(log_before.len, log_after.len);
	assert_true(
		log_before.len == 0 || !memcmp(log_before.data, log_after.data, log_before.len));
	ql_buf_done(&before);
	ql_buf_done(&after);
	ql_buf_done(&log_before);
	ql_buf_done(&log_after);
}

/* ---- the file ---- */

static int
mode_of(struct kit *kit, const char *end)
{
	char path[128];
	struct stat st;
	snprintf(path, sizeof(path), "%s%s", kit->path, end);
	return stat(path, &st) ? -1 : (int)(st.st_mode & 07777);
}

static void
is_its_owners_alone(void **state)
{
	struct kit *kit = *state;
	kit_shut(kit);
	assert_int_equal(unlink(kit->path), 0);
	mode_t before = umask(0);
	assert_int_equal(kit_reopen(kit), 0);
	kit_ok(kit, kit_new("one", 1000));
	umask(before);
	assert_int_equal(mode_of(kit, ""), 0600);
	assert_int_equal(mode_of(kit, "-wal"), 0600);
	assert_int_equal(mode_of(kit, "-shm"), 0600);
	kit_shut(kit);
	assert_int_equal(mode_of(kit, "-wal"), -1);
	assert_int_equal(mode_of(kit, "-shm"), -1);
}

static void
knows_what_it_held_when_it_is_opened_again(void **state)
{
	struct kit *kit = *state;
	assert_string_equal(kit->store->facts.clock.boot_id, "");
	assert_int_equal(kit->store->facts.last_ms, 0);
	struct ql_change *changes = NULL;
	for (int i = 0; i < 5; i++) {
		struct ql_change *change = kit_new((char[]){(char)('a' + i), 0}, 1000 + i);
		change->record.state.queue_until = i ? 5000 - i : 0;
		kit_add(&changes, change);
	}
	kit_ok(kit, changes);
	kit_ok(kit, kit_cancelled(kit, "e", 2000));
	kit_ok(kit, kit_status(kit, "d", 1500, QL_STATUS_RUNNING));
	struct ql_clock clock = {.offset_ms = -77, .boot_id = "a-boot"};
	assert_int_equal(kit->store->ops->keep_clock(kit->store, &clock, &kit->err), 0);
	kit_shut(kit);
	assert_int_equal(kit_reopen(kit), 0);
	const struct ql_store_facts *facts = &kit->store->facts;
	assert_int_equal(facts->queued, 3);
	assert_int_equal(facts->next_queue_until, 4998);
	assert_int_equal(facts->last_ms, 2000);
	assert_int_equal(facts->clock.offset_ms, -77);
	assert_string_equal(facts->clock.boot_id, "a-boot");
	kit_ok(kit, kit_change(QL_CHANGE_FORGET, "e"));
	kit_shut(kit);
	assert_int_equal(kit_reopen(kit), 0);
	assert_int_equal(kit->store->facts.queued, 3);
}

/* What must never be is refused by the database itself, whoever writes. */
static void
refuses_by_itself_what_must_not_be(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("done", 1000));
	kit_ok(kit, kit_new("gone", 1000));
	kit_ok(kit, kit_new("waits", 1000));
	kit_ok(kit, kit_status(kit, "done", 1001, QL_STATUS_CANCELLED));
	kit_ok(kit, kit_status(kit, "gone", 1001, QL_STATUS_CANCELLED));
	kit_ok(kit, kit_change(QL_CHANGE_FORGET, "gone"));
	kit_shut(kit);
	const char *once = "write-once", *for_ever = "for ever", *check = "CHECK";
	raw_refused(kit->path, "UPDATE evaluations SET status = 3 WHERE eval_id = 'done'", once);
	raw_refused(kit->path, "UPDATE evaluations SET status = 0 WHERE eval_id = 'done'", once);
	raw_refused(kit->path, "UPDATE evaluations SET status = 4, attempt = 0", once);
	raw_refused(kit->path, "UPDATE evaluations SET status = 1", once);
	raw_refused(kit->path, "DELETE FROM tombstones", for_ever);
	raw_refused(kit->path, "UPDATE tombstones SET attempt = 9", for_ever);
	raw_refused(kit->path, "DELETE FROM evaluations WHERE eval_id = 'waits'", "settled");
	raw_refused(kit->path, "UPDATE evaluations SET eval_id = 'done' WHERE eval_id = 'waits'",
		"UNIQUE");
	raw_refused(kit->path, "UPDATE evaluations SET status = 7 WHERE eval_id = 'waits'", check);
	raw_refused(kit->path, "UPDATE evaluations SET priority = 10", check);
	raw_refused(kit->path,
		"CREATE TEMP TABLE t AS SELECT * FROM evaluations WHERE eval_id = 'waits';"
		" UPDATE t SET eval_id = 'gone', seq = 99; INSERT INTO evaluations SELECT * FROM t",
		"used before");
	assert_int_equal(
		kit_raw_number(kit, "SELECT sum(status) FROM evaluations"), QL_STATUS_CANCELLED);
	raw_do(kit->path, "UPDATE evaluations SET status = 1, attempt = 2 WHERE eval_id = 'done'");
}

static void
keeps_its_counters(void **state)
{
	struct kit *kit = *state;
	for (int i = 0; i < 3; i++) {
		char eval_id[2] = {(char)('a' + i), 0};
		kit_ok(kit, kit_new(eval_id, 1000));
		struct ql_change *change = kit_status(kit, eval_id, 1001, QL_STATUS_FAILED);
		change->record.state.output_bytes = 100 << i;
		kit_ok(kit, change);
	}
	kit_ok(kit, kit_change(QL_CHANGE_FORGET, "b"));
	struct ql_change *change = kit_state(kit, "c", 1002);
	change->record.state.checkpoint_bytes = 7;
	kit_ok(kit, change);
	kit_ok(kit, kit_new("d", 1003));
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "SELECT kept_bytes FROM meta"), 507);
	assert_int_equal(kit_raw_number(kit, "SELECT queued FROM meta"), 1);
}

static void
keeps_the_newest_refusals_only(void **state)
{
	struct kit *kit = *state;
	struct ql_change *change = kit_change(QL_CHANGE_REFUSAL, "one");
	change->at = 1000;
	kit_ok(kit, change);
	char text[64];
	snprintf(text, sizeof(text), "UPDATE refusals SET id = %d", QL_STORE_REFUSALS_MAX);
	raw_do(kit->path, text);
	for (int i = 1; i <= 2; i++) {
		change = kit_change(QL_CHANGE_REFUSAL, "two");
		change->at = 1000 + i;
		kit_ok(kit, change);
	}
	assert_int_equal(kit_raw_number(kit, "SELECT count(*) FROM refusals"), 3);
	raw_do(kit->path, "DELETE FROM refusals WHERE eval_id = 'one';"
			  "UPDATE refusals SET id = 1 WHERE at = 1001");
	change = kit_change(QL_CHANGE_REFUSAL, "three");
	change->at = 1003;
	kit_ok(kit, change);
	assert_int_equal(kit_raw_number(kit, "SELECT count(*) FROM refusals"), 2);
	assert_int_equal(kit_raw_number(kit, "SELECT min(at) FROM refusals"), 1002);
}

/* ---- how it is asked ---- */

/* What may be gone through from end to end: one row, one evaluation's own, or an index alone. */
static bool
scans_little(const char *plan)
{
	static const char *const small[] = {"meta", "json_each", "j VIRTUAL", "chain", "CONSTANT",
		"(subquery", "evaluations USING COVERING INDEX", "outbox USING COVERING INDEX"};
	if (strncmp(plan, "SCAN ", 5) != 0)
		return true;
	for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
		if (!strncmp(plan + 5, small[i], strlen(small[i])))
			return true;
	}
	return false;
}

static void
check_plan(sqlite3 *sql, const char *text)
{
	struct ql_err e;
	struct ql_buf filled = {0};
	sqlite3_stmt *stmt;
	ql_buf_adds(&filled, "EXPLAIN QUERY PLAN ");
	if (ql_sql_fill(&filled, text, &e))
		fail_msg("%s", e.text);
	if (sqlite3_prepare_v2(sql, filled.data, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", filled.data, sqlite3_errmsg(sql));
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		const char *plan = (const char *)sqlite3_column_text(stmt, 3);
		bool sorts = strstr(plan, "TEMP B-TREE") && !strstr(text, "FROM refusals");
		if (sorts || !scans_little(plan))
			fail_msg("%s: %s", text, plan);
	}
	sqlite3_finalize(stmt);
	ql_buf_done(&filled);
}

static void
finds_everything_by_an_index(void **state)
{
	static const char *const texts[] = {
#define X(name, text) text,
#include "store/statement.def"
#undef X
	};
	struct kit *kit = *state;
	sqlite3 *sql = raw_open(kit->path);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		check_plan(sql, texts[i]);
	sqlite3_close(sql);
}

/* ---- others on the same file ---- */

static void
waits_for_another_process_but_not_for_ever(void **state)
{
	struct kit *kit = *state;
	sqlite3 *other = raw_open(kit->path);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	kit_refused(kit, kit_new("one", 1000), QL_E_UNAVAILABLE);
	assert_non_null(strstr(kit->err.text, "another process"));
	struct ql_store_read op = {.kind = QL_READ_LIST};
	assert_string_equal(kit_ids(kit, &op), "");
	assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	kit_ok(kit, kit_new("one", 1000));
}

static off_t
size_of(struct kit *kit)
{
	struct stat st;
	assert_int_equal(stat(kit->path, &st), 0);
	return st.st_size;
}

/* By a thread of its own: the log stays far below the size at which commits would do it. */
static void
copies_its_log_while_it_runs(void **state)
{
	struct kit *kit = *state;
	off_t before = size_of(kit);
	size_t bytes = 1 << 20;
	for (size_t n = 0; n < QL_STORE_WAL_PAGES_MAX / 4 * (size_t)4096 / bytes; n++) {
		char eval_id[16];
		snprintf(eval_id, sizeof(eval_id), "e%zu", n);
		struct ql_change *change = kit_new(eval_id, 1000);
		free(change->record.payload);
		change->record.payload = calloc(1, bytes);
		memset(change->record.payload, 'x', bytes - 1);
		kit_ok(kit, change);
	}
	uint64_t deadline = uv_hrtime() + 20 * 1000000000ull;
	while (size_of(kit) == before && uv_hrtime() < deadline)
		sched_yield();
	assert_true(size_of(kit) > before);
}

/* ---- what is refused ---- */

static int
newest(void)
{
	int steps = 0;
	while (ql_schema_steps[steps])
		steps++;
	return steps + 1;
}

static void
set_version(struct kit *kit, int version)
{
	char text[64];
	snprintf(text, sizeof(text), "PRAGMA user_version = %d", version);
	raw_do(kit->path, text);
}

static void
leaves_a_newer_one_alone(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	kit_shut(kit);
	raw_do(kit->path, "PRAGMA user_version = 99");
	stays_untouched(kit, "its version is 99");
	set_version(kit, newest());
	assert_int_equal(kit_reopen(kit), 0);
}

/* What a newer server left in its log when it was killed is not copied by an older one. */
static void
leaves_a_newer_ones_log_alone(void **state)
{
	struct kit *kit = *state;
	kit_shut(kit);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		sqlite3 *sql;
		if (sqlite3_open(kit->path, &sql) ||
			sqlite3_exec(sql, "PRAGMA user_version = 99", NULL, NULL, NULL))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	stays_untouched(kit, "its version is 99");
}

static void
leaves_another_programs_file_alone(void **state)
{
	struct kit *kit = *state;
	kit_shut(kit);
	raw_do(kit->path, "PRAGMA application_id = 7");
	stays_untouched(kit, "another program's");
	unlink(kit->path);
	spew(kit->path, "", 0);
	raw_do(kit->path, "CREATE TABLE mine (a)");
	stays_untouched(kit, "another program's");
}

static void
leaves_a_damaged_one_alone(void **state)
{
	struct kit *kit = *state;
	struct ql_change *changes = NULL;
	for (int i = 0; i < 200; i++) {
		char eval_id[16];
		snprintf(eval_id, sizeof(eval_id), "e%d", i);
		kit_add(&changes, kit_new(eval_id, 1000));
	}
	kit_ok(kit, changes);
	kit_shut(kit);
	struct ql_buf good = slurp(kit->path);
	assert_true(good.len > 16 * 4096);

	spew(kit->path, good.data, good.len / 2);
	stays_untouched(kit, "put a copy of it in its place");
	char *bad = malloc(good.len);
	for (size_t page = 0; page < good.len / 4096; page += 5) {
		memcpy(bad, good.data, good.len);
		memset(bad + page * 4096, 0xa5, 4096);
		spew(kit->path, bad, good.len);
		stays_untouched(kit, "put a copy of it in its place");
	}
	spew(kit->path,
		"this is no database, but it is longer than a header of one would be, "
		"which has a hundred bytes",
		95);
	stays_untouched(kit, "put a copy of it in its place");
	spew(kit->path, good.data, good.len);
	assert_int_equal(kit_reopen(kit), 0);
	free(bad);
	ql_buf_done(&good);
}

static void
leaves_one_with_other_words_alone(void **state)
{
	struct kit *kit = *state;
	kit_shut(kit);
	raw_do(kit->path, "UPDATE words SET word = 'SLEEPING' WHERE kind = 'status' AND value = 3");
	stays_untouched(kit, "stand for other things");
}

static void
says_that_there_is_no_folder(void **state)
{
	struct kit *kit = *state;
	struct ql_store *store;
	assert_int_equal(
		ql_store_sqlite_open(&kit->loop, "/no/such/quell.db", &store, &kit->err), -1);
	assert_non_null(strstr(kit->err.text, "/no/such/quell.db"));
	assert_non_null(strstr(kit->err.text, "No such file"));
}

/* ---- growing up ---- */

#define STEPS_MAX 32

/* With two more steps than there are. */
static int
open_with(struct kit *kit, const char *one, const char *two)
{
	const char *steps[STEPS_MAX] = {0};
	int at = newest() - 1;
	assert_true(at + 3 < STEPS_MAX);
	memcpy(steps, ql_schema_steps, (size_t)at * sizeof(*steps));
	steps[at] = one;
	steps[at + 1] = two;
	return ql_sqlite_open(&kit->loop, kit->path, steps, &kit->store, &kit->err);
}

static const char *const second = "CREATE TABLE more (n INTEGER) STRICT;"
				  "ALTER TABLE evaluations ADD COLUMN later INTEGER";
static const char *const third = "UPDATE evaluations SET later = seq * 2";

static void
brings_an_older_one_forward(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "PRAGMA user_version"), newest());
	raw_do(kit->path, "DELETE FROM words WHERE kind = 'phase' AND value = 6");
	if (open_with(kit, second, third))
		fail_msg("%s", kit->err.text);
	struct ql_store_read op = {.kind = QL_READ_LIST};
	assert_string_equal(kit_ids(kit, &op), "one");
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "PRAGMA user_version"), newest() + 2);
	assert_int_equal(kit_raw_number(kit, "SELECT later FROM evaluations"), 2);
	assert_int_equal(kit_raw_number(kit, "SELECT count(*) FROM more"), 0);
	assert_int_equal(kit_raw_number(kit, "SELECT count(*) FROM words WHERE kind = 'phase'"),
		QL_PHASE_COUNT);
	char why[64];
	snprintf(why, sizeof(why), "its version is %d", newest() + 2);
	stays_untouched(kit, why);
	assert_int_equal(open_with(kit, second, third), 0);
}

static void
makes_a_new_one_at_the_newest_version(void **state)
{
	struct kit *kit = *state;
	kit_shut(kit);
	assert_int_equal(unlink(kit->path), 0);
	assert_int_equal(open_with(kit, "no SQL at all", NULL), 0);
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "PRAGMA user_version"), newest() + 1);
}

static void
stays_what_it_was_when_a_step_fails(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	kit_shut(kit);
	char why[64];
	snprintf(why, sizeof(why), "version %d to %d", newest() + 1, newest() + 2);
	assert_int_equal(open_with(kit, second, "UPDATE nothing"), -1);
	assert_non_null(strstr(kit->err.text, why));
	assert_int_equal(uv_run(&kit->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(kit_raw_number(kit, "PRAGMA user_version"), newest());
	assert_int_equal(
		kit_raw_number(kit, "SELECT count(*) FROM sqlite_schema WHERE name = 'more'"), 0);
	assert_int_equal(kit_reopen(kit), 0);
	struct ql_store_read op = {.kind = QL_READ_LIST};
	assert_string_equal(kit_ids(kit, &op), "one");
}

/* What the steps brought is taken away again, the newest first. */
static void
take_back_to(struct kit *kit, int version)
{
	static const char *const undo[] = {
		"DROP TABLE outbox; DELETE FROM words WHERE kind = 'outlet'",
		"ALTER TABLE evaluations DROP COLUMN absent_at;"
		"ALTER TABLE evaluations DROP COLUMN again_at;"
		"ALTER TABLE evaluations DROP COLUMN ahead_until;"
		"ALTER TABLE evaluations DROP COLUMN adopted;"
		"ALTER TABLE evaluations DROP COLUMN seen",
		"CREATE TRIGGER count_new AFTER INSERT ON evaluations"
		" BEGIN UPDATE meta SET queued = queued + (NEW.status = 0); END;"
		"CREATE TRIGGER count_change AFTER UPDATE ON evaluations"
		" BEGIN UPDATE meta"
		" SET queued = queued + (NEW.status = 0) - (OLD.status = 0); END;"
		"CREATE TRIGGER count_gone AFTER DELETE ON evaluations"
		" BEGIN UPDATE meta SET queued = queued - (OLD.status = 0); END;",
		"DROP INDEX cancellations_mode;"
		"CREATE INDEX cancellations_mode ON cancellations (mode, id);"
		"CREATE INDEX cancellations_requested ON cancellations (requested_at, id)",
		"DROP TRIGGER forget_done_only;"
		"CREATE TRIGGER forget_done_only BEFORE DELETE ON evaluations"
		" WHEN OLD.place <> 2 BEGIN SELECT raise(ROLLBACK, 'settled first'); END;"
		"DROP INDEX evaluations_waiting;"
		"CREATE INDEX evaluations_waiting ON evaluations"
		" (priority DESC, seq, owner, place) WHERE place = 0;"
		"ALTER TABLE evaluations DROP COLUMN task_id",
		"DROP TABLE objects; DROP TABLE audit; DELETE FROM words WHERE kind = 'object';"
		"ALTER TABLE meta DROP COLUMN audit_seq;"
		"ALTER TABLE meta DROP COLUMN audit_hash;"
		"ALTER TABLE meta DROP COLUMN audit_bytes",
		"ALTER TABLE cancellations DROP COLUMN passed",
		"CREATE TABLE old ("
		" number INTEGER PRIMARY KEY AUTOINCREMENT,"
		" outlet INTEGER NOT NULL CHECK (outlet BETWEEN 0 AND 1),"
		" eval_id TEXT NOT NULL, task_id TEXT NOT NULL, attempt INTEGER NOT NULL,"
		" status INTEGER NOT NULL CHECK (56 >> status & 1),"
		" error TEXT, finished_at INTEGER NOT NULL) STRICT;"
		"INSERT INTO old SELECT * FROM outbox;"
		"DELETE FROM sqlite_sequence WHERE name = 'old';"
		"INSERT INTO sqlite_sequence (name, seq)"
		" SELECT 'old', seq FROM sqlite_sequence WHERE name = 'outbox';"
		"DROP TABLE outbox; ALTER TABLE old RENAME TO outbox;"
		"CREATE INDEX outbox_outlet ON outbox (outlet, number);"
		"DELETE FROM words WHERE kind = 'outlet' AND value = 2",
		"ALTER TABLE meta DROP COLUMN audit_head",
		"ALTER TABLE meta DROP COLUMN last_seq",
		"ALTER TABLE evaluations DROP COLUMN container_runtime;"
		"ALTER TABLE evaluations DROP COLUMN container_name;"
		"ALTER TABLE evaluations DROP COLUMN container_image",
		"ALTER TABLE evaluations DROP COLUMN boxed_at",
	};
	assert_int_equal(newest() - 1, sizeof(undo) / sizeof(undo[0]));
	for (int at = newest(); at > version; at--)
		raw_do(kit->path, undo[at - 2]);
	set_version(kit, version);
}

/* The first version had none. */
static void
gives_an_older_one_an_outbox(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	kit_shut(kit);
	take_back_to(kit, 1);
	if (kit_reopen(kit))
		fail_msg("%s", kit->err.text);
	struct ql_change *change = kit_cancelled(kit, "one", 1001);
	change->outlets = 1 << QL_OUTLET_STORAGE;
	change->task_id = strdup("celery-one");
	kit_ok(kit, change);
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "PRAGMA user_version"), newest());
	assert_int_equal(kit_raw_number(kit, "SELECT count(*) FROM outbox"), 1);
	assert_int_equal(kit_raw_number(kit, "SELECT count(*) FROM words WHERE kind = 'outlet'"),
		QL_OUTLET_COUNT);
	raw_refused(kit->path, "UPDATE outbox SET status = 0", "CHECK");
	raw_refused(kit->path, "UPDATE outbox SET outlet = 3", "CHECK");
}

static void
letter_to(struct kit *kit, const char *eval_id, uint32_t outlets)
{
	kit_ok(kit, kit_new(eval_id, 1000));
	struct ql_change *change = kit_cancelled(kit, eval_id, 1001);
	change->outlets = outlets;
	change->task_id = strdup("celery");
	kit_ok(kit, change);
}

/* The letters that wait stay, and no number is used again, whether or not some wait. */
static void
gives_an_older_one_webhooks(void **state)
{
	struct kit *kit = *state;
	for (int waits = 0; waits < 2; waits++) {
		letter_to(kit, waits ? "two" : "one", 1 << QL_OUTLET_STORAGE);
		kit_shut(kit);
		if (!waits)
			raw_do(kit->path, "DELETE FROM outbox");
		take_back_to(kit, 8);
		if (kit_reopen(kit))
			fail_msg("%s", kit->err.text);
		assert_int_equal(kit->store->facts.backlog[QL_OUTLET_STORAGE], waits);
	}
	letter_to(kit, "three", 1 << QL_OUTLET_WEBHOOKS);
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "PRAGMA user_version"), newest());
	assert_int_equal(kit_raw_number(kit, "SELECT min(number) FROM outbox"), 2);
	assert_int_equal(kit_raw_number(kit, "SELECT number FROM outbox WHERE outlet = 2"), 3);
}

static void
gives_an_older_one_the_columns_for_a_broker(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("waits", 1000));
	kit_ok(kit, kit_new("done", 1000));
	kit_ok(kit, kit_status(kit, "done", 1001, QL_STATUS_CANCELLED));
	kit_shut(kit);
	take_back_to(kit, 2);
	if (kit_reopen(kit))
		fail_msg("%s", kit->err.text);
	struct ql_change *change = kit_state(kit, "waits", 1002);
	assert_int_equal(change->record.state.queued_at, 1000);
	assert_int_equal(change->record.state.adopted, 0);
	change->record.state.adopted = 1;
	change->record.state.ahead_until = 77;
	kit_ok(kit, change);
	kit_shut(kit);
	assert_int_equal(kit_reopen(kit), 0);
	change = kit_state(kit, "waits", 1003);
	assert_int_equal(change->record.state.adopted, 1);
	assert_int_equal(change->record.state.ahead_until, 77);
	kit_ok(kit, change);
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "PRAGMA user_version"), newest());
	raw_refused(kit->path, "UPDATE evaluations SET status = 3 WHERE eval_id = 'done'",
		"write-once");
}

static struct ql_change *
audit_row(int64_t at)
{
	struct ql_change *change = kit_change(QL_CHANGE_AUDIT, "");
	change->at = at;
	change->text = strdup("{\"actor\":\"user:alice\"}");
	return change;
}

static void
gives_an_older_one_documents_and_an_audit(void **state)
{
	struct kit *kit = *state;
	kit_shut(kit);
	take_back_to(kit, 6);
	if (kit_reopen(kit))
		fail_msg("%s", kit->err.text);
	struct ql_change *changes = kit_change(QL_CHANGE_PUT_OBJECT, "");
	changes->object_id = strdup("one");
	changes->text = strdup("{}");
	for (int64_t at = 1000; at < 1003; at++)
		kit_add(&changes, audit_row(at));
	kit_ok(kit, changes);
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "PRAGMA user_version"), newest());
	assert_int_equal(kit_raw_number(kit, "SELECT count(*) FROM objects"), 1);
	assert_int_equal(kit_raw_number(kit, "SELECT audit_bytes FROM meta"), 3 * 22);
	raw_refused(kit->path, "UPDATE audit SET text = '{}' WHERE seq = 1", "never changes");
	raw_refused(kit->path, "DELETE FROM audit WHERE seq = 2", "from the oldest on");
	assert_int_equal(kit_reopen(kit), 0);
	changes = kit_change(QL_CHANGE_AUDIT_TRIM, "");
	changes->audit_seq = 2;
	kit_ok(kit, changes);
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "SELECT audit_bytes FROM meta"), 22);
	assert_int_equal(kit_raw_number(kit, "SELECT audit_seq FROM meta"), 2);
	assert_int_equal(kit_raw_number(kit, "SELECT min(seq) FROM audit"), 3);
}

/* Who takes the newest rows out of the file leaves a gap, for ever. */
static void
never_numbers_a_row_of_the_audit_again(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, audit_row(1000));
	kit_ok(kit, audit_row(1001));
	kit_shut(kit);
	take_back_to(kit, newest() - 1);
	assert_int_equal(kit_reopen(kit), 0);
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "SELECT audit_head FROM meta"), 2);
	raw_do(kit->path, "DROP TRIGGER audit_oldest_first; DELETE FROM audit WHERE seq = 2");
	assert_int_equal(kit_reopen(kit), 0);
	kit_ok(kit, audit_row(1002));
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "SELECT sum(seq) FROM audit"), 1 + 3);
	raw_do(kit->path, "DELETE FROM audit");
	assert_int_equal(kit_reopen(kit), 0);
	kit_ok(kit, audit_row(1003));
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "SELECT seq FROM audit"), 4);
}

static void
counts_in_an_older_one_once(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("waits", 1000));
	kit_ok(kit, kit_new("done", 1000));
	kit_shut(kit);
	take_back_to(kit, 3);
	if (kit_reopen(kit))
		fail_msg("%s", kit->err.text);
	kit_ok(kit, kit_status(kit, "done", 1001, QL_STATUS_CANCELLED));
	kit_ok(kit, kit_new("new", 1002));
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "SELECT queued FROM meta"), 2);
	raw_refused(kit->path, "UPDATE evaluations SET status = 3 WHERE eval_id = 'done'",
		"write-once");
}

static void
indexes_the_cancellations_of_an_older_one(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, kit_new("one", 1000));
	struct ql_change *change = kit_cancelled(kit, "one", 1001);
	change->record.state.cancel.mode = QL_MODE_KILL;
	kit_ok(kit, change);
	kit_shut(kit);
	take_back_to(kit, 4);
	if (kit_reopen(kit))
		fail_msg("%s", kit->err.text);
	struct ql_store_read op = {
		.kind = QL_READ_CANCELLATIONS, .filter = {.mode = QL_MODE_KILL, .since = 1001}};
	assert_string_equal(kit_ids(kit, &op), "one");
	kit_shut(kit);
	assert_int_equal(kit_raw_number(kit, "SELECT count(*) FROM cancellations INDEXED BY"
					     " cancellations_mode WHERE mode = 3 AND mode <> 1"),
		1);
}

static void
lets_an_older_one_disown_what_was_never_seen(void **state)
{
	struct kit *kit = *state;
	struct ql_change *change = kit_new("ghost", 1000);
	change->record.state.adopted = 1;
	kit_ok(kit, change);
	kit_shut(kit);
	take_back_to(kit, 5);
	if (kit_reopen(kit))
		fail_msg("%s", kit->err.text);
	kit_ok(kit, kit_change(QL_CHANGE_DISOWN, "ghost"));
	change = kit_new("ghost", 1001);
	change->record.task_id = strdup("its own");
	kit_ok(kit, change);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		KIT_CASE(is_its_owners_alone),
		KIT_CASE(knows_what_it_held_when_it_is_opened_again),
		KIT_CASE(refuses_by_itself_what_must_not_be),
		KIT_CASE(keeps_its_counters),
		KIT_CASE(keeps_the_newest_refusals_only),
		KIT_CASE(finds_everything_by_an_index),
		KIT_CASE(waits_for_another_process_but_not_for_ever),
		KIT_CASE(copies_its_log_while_it_runs),
		KIT_CASE(leaves_a_newer_one_alone),
		KIT_CASE(leaves_a_newer_ones_log_alone),
		KIT_CASE(leaves_another_programs_file_alone),
		KIT_CASE(leaves_a_damaged_one_alone),
		KIT_CASE(leaves_one_with_other_words_alone),
		KIT_CASE(says_that_there_is_no_folder),
		KIT_CASE(brings_an_older_one_forward),
		KIT_CASE(makes_a_new_one_at_the_newest_version),
		KIT_CASE(stays_what_it_was_when_a_step_fails),
		KIT_CASE(gives_an_older_one_an_outbox),
		KIT_CASE(gives_an_older_one_webhooks),
		KIT_CASE(gives_an_older_one_the_columns_for_a_broker),
		KIT_CASE(gives_an_older_one_documents_and_an_audit),
		KIT_CASE(never_numbers_a_row_of_the_audit_again),
		KIT_CASE(counts_in_an_older_one_once),
		KIT_CASE(indexes_the_cancellations_of_an_older_one),
		KIT_CASE(lets_an_older_one_disown_what_was_never_seen),
	};
	return kit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
