#include "store_kit.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

static const char *kind_of_all;

int
kit_setup(void **state)
{
	*state = calloc(1, sizeof(struct kit));
	assert_non_null(*state);
	kit_open(*state, kind_of_all);
	return 0;
}

int
kit_teardown(void **state)
{
	kit_close(*state);
	free(*state);
	return 0;
}

int
kit_main(int argc, char **argv, const struct CMUnitTest *tests, size_t count)
{
	if (argc != 2)
		return 2;
	kind_of_all = argv[1];
	return _cmocka_run_group_tests(argv[1], tests, count, NULL, NULL);
}

static int
open_inner(struct kit *kit, struct ql_store **ret_store)
{
	if (strstr(kit->kind, "memory"))
		return ql_store_memory_open(&kit->loop, ret_store, &kit->err);
	return ql_store_sqlite_open(&kit->loop, kit->path, ret_store, &kit->err);
}

int
kit_reopen(struct kit *kit)
{
	struct ql_store *store;
	if (open_inner(kit, &store))
		return -1;
	kit->store = store;
	if (strncmp(kit->kind, "faulty", 6) != 0)
		return 0;
	return ql_store_faulty_open(store, &kit->faults, &kit->store, &kit->err);
}

void
kit_open(struct kit *kit, const char *kind)
{
	*kit = (struct kit){.kind = kind};
	assert_int_equal(uv_loop_init(&kit->loop), 0);
	snprintf(kit->dir, sizeof(kit->dir), "/tmp/quell-store-XXXXXX");
	assert_non_null(mkdtemp(kit->dir));
	snprintf(kit->path, sizeof(kit->path), "%s/quell.db", kit->dir);
	if (kit_reopen(kit))
		fail_msg("%s", kit->err.text);
}

void
kit_shut(struct kit *kit)
{
	if (kit->store)
		kit->store->ops->close(kit->store);
	kit->store = NULL;
	assert_int_equal(uv_run(&kit->loop, UV_RUN_DEFAULT), 0);
}

static void
remove_dir(const char *dir)
{
	DIR *stream = opendir(dir);
	assert_non_null(stream);
	for (struct dirent *entry; (entry = readdir(stream));) {
		char path[PATH_MAX];
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_name[0] != '.')
			assert_int_equal(unlink(path), 0);
	}
	closedir(stream);
	assert_int_equal(rmdir(dir), 0);
}

const struct ql_selector *
kit_selector(struct kit *kit, const char *text)
{
	size_t at;
	ql_selector_done(&kit->selector);
	if (ql_selector_parse(text, &kit->selector, &at, &kit->err))
		fail_msg("%s: %s", text, kit->err.text);
	return &kit->selector;
}

void
kit_close(struct kit *kit)
{
	ql_selector_done(&kit->selector);
	kit_shut(kit);
	assert_int_equal(uv_loop_close(&kit->loop), 0);
	remove_dir(kit->dir);
}

/* ---- operations ---- */

struct waiting_commit {
	struct ql_store_commit op; /* first */
	bool answered;
	int status;
};

static void
commit_answered(struct ql_store_commit *op, int status)
{
	struct waiting_commit *waiting = (struct waiting_commit *)op;
	assert_false(waiting->answered);
	waiting->answered = true;
	waiting->status = status;
}

int
kit_commit(struct kit *kit, struct ql_change *changes)
{
	struct waiting_commit waiting = {.op = {.changes = changes, .done = commit_answered}};
	kit->store->ops->commit(kit->store, &waiting.op);
	assert_false(waiting.answered);
	while (!waiting.answered)
		uv_run(&kit->loop, UV_RUN_ONCE);
	assert_ptr_equal(waiting.op.changes, changes);
	kit->err = waiting.op.err;
	ql_changes_free(changes);
	return waiting.status;
}

void
kit_ok(struct kit *kit, struct ql_change *changes)
{
	if (kit_commit(kit, changes))
		fail_msg("%s", kit->err.text);
}

void
kit_refused(struct kit *kit, struct ql_change *changes, enum ql_code code)
{
	assert_int_equal(kit_commit(kit, changes), -1);
	if (kit->err.code != code)
		fail_msg("%s, not %s: %s", ql_code_name(kit->err.code), ql_code_name(code),
			kit->err.text);
	assert_true(strncmp(kit->err.text, "couldn't commit", 15) == 0);
}

struct waiting_read {
	struct ql_store_read op; /* first */
	bool answered;
	int status;
};

static void
read_answered(struct ql_store_read *op, int status)
{
	struct waiting_read *waiting = (struct waiting_read *)op;
	assert_false(waiting->answered);
	waiting->answered = true;
	waiting->status = status;
}

int
kit_read(struct kit *kit, struct ql_store_read *op)
{
	struct waiting_read waiting = {.op = *op};
	waiting.op.done = read_answered;
	kit->store->ops->read(kit->store, &waiting.op);
	assert_false(waiting.answered);
	while (!waiting.answered)
		uv_run(&kit->loop, UV_RUN_ONCE);
	*op = waiting.op;
	kit->err = op->err;
	if (waiting.status)
		assert_true(!op->records && !op->rows && !op->taken && !op->text);
	return waiting.status;
}

/* ---- changes ---- */

void
kit_add(struct ql_change **changes, struct ql_change *change)
{
	while (*changes)
		changes = &(*changes)->next;
	*changes = change;
}

struct ql_change *
kit_new(const char *eval_id, int64_t at)
{
	struct ql_change *change = ql_change_new(QL_CHANGE_NEW);
	assert_non_null(change);
	struct ql_record *record = &change->record;
	assert_int_equal(ql_str_copy(record->eval_id, sizeof(record->eval_id), eval_id), 0);
	record->owner = strdup("alice");
	record->language = strdup("python");
	record->priority = 5;
	record->payload = strdup("{\"code\":\"print(1)\"}");
	record->state = (struct ql_state){
		.created_at = at,
		.queued_at = at,
		.attempt = 1,
		.status = QL_STATUS_QUEUED,
		.exit_code = -1,
	};
	change->at = at;
	kit_say(change, "submit -> queued");
	return change;
}

struct ql_change *
kit_change(enum ql_change_kind kind, const char *eval_id)
{
	struct ql_change *change = ql_change_new(kind);
	assert_non_null(change);
	strcpy(change->record.eval_id, eval_id);
	kit_say(change, "so");
	return change;
}

void
kit_say(struct ql_change *change, const char *what)
{
	free(change->what);
	change->what = strdup(what);
}

struct ql_record
kit_get(struct kit *kit, const char *eval_id)
{
	struct ql_store_read op = {
		.kind = QL_READ_GET, .filter = {.eval_id = eval_id, .with_payload = true}};
	if (kit_read(kit, &op))
		fail_msg("%s", kit->err.text);
	assert_true(op.record_count <= 1);
	struct ql_record record = {0};
	if (op.record_count == 1) {
		record = op.records[0];
		op.record_count = 0; /* its strings are the caller's now */
	}
	ql_store_read_done(&op);
	return record;
}

struct ql_change *
kit_state(struct kit *kit, const char *eval_id, int64_t at)
{
	struct ql_record record = kit_get(kit, eval_id);
	assert_string_equal(record.eval_id, eval_id);
	struct ql_change *change = kit_change(QL_CHANGE_STATE, eval_id);
	change->record.state = record.state;
	change->record.seq = at % 2 ? record.seq : 0; /* as who knows it, and who does not */
	ql_record_done(&record);
	change->at = at;
	char what[64];
	snprintf(what, sizeof(what), "at %lld -> changed", (long long)at);
	kit_say(change, what);
	return change;
}

struct ql_change *
kit_status(struct kit *kit, const char *eval_id, int64_t at, enum ql_status status)
{
	struct ql_change *change = kit_state(kit, eval_id, at);
	change->record.state.status = (int32_t)status;
	if (ql_status_settled(status))
		change->record.state.finished_at = at;
	return change;
}

struct ql_change *
kit_cancelled(struct kit *kit, const char *eval_id, int64_t at)
{
	struct ql_change *change = kit_status(kit, eval_id, at, QL_STATUS_CANCELLED);
	change->record.state.cancel = (struct ql_cancel){
		.requested_at = at,
		.settled_at = at,
		.mode = QL_MODE_CANCEL,
		.cause = QL_CAUSE_USER,
		.outcome = QL_OUTCOME_REMOVED,
		.evidence = QL_EVIDENCE_VERIFIED,
	};
	change->record.actor = strdup("user:alice");
	change->record.reason = strdup("not needed");
	change->rung = QL_RUNG_REMOVE;
	return change;
}

const char *
kit_ids(struct kit *kit, struct ql_store_read *op)
{
	static char text[4096];
	size_t len = 0;
	if (kit_read(kit, op))
		fail_msg("%s", kit->err.text);
	text[0] = 0;
	for (size_t i = 0; i < op->record_count && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
			op->records[i].eval_id);
	assert_true(len < sizeof(text));
	int64_t next_cursor = op->next_cursor, next_at = op->next_at;
	ql_store_read_done(op);
	op->next_cursor = next_cursor;
	op->next_at = next_at;
	return text;
}

int64_t
kit_raw_number(struct kit *kit, const char *sql)
{
	sqlite3 *raw;
	sqlite3_stmt *stmt;
	assert_int_equal(sqlite3_open_v2(kit->path, &raw, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	if (sqlite3_prepare_v2(raw, sql, -1, &stmt, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(raw));
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	int64_t number = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(raw);
	return number;
}

/* ---- states ---- */

static void
fill_cancel(struct ql_cancel *cancel, int64_t n)
{
#define X(type, field, means) cancel->field = (type)(n++);
#include "core/field_cancel.def"
#undef X
	cancel->mode = QL_MODE_TERMINATE;
	cancel->top = QL_RUNG_KILL;
	cancel->rung = QL_RUNG_TERMINATE;
	cancel->cause = QL_CAUSE_TIMEOUT;
	cancel->previous = QL_STATUS_RUNNING;
	cancel->outcome = QL_OUTCOME_TERMINATED;
	cancel->evidence = QL_EVIDENCE_EXITED;
}

static void
fill_run(struct ql_run *run, int64_t n)
{
#define X(type, field, means) run->field = (type)(n++);
#include "core/field_run.def"
#undef X
	run->incarnation = UINT64_MAX - (uint64_t)n; /* all 64 bits are kept */
	run->phase = QL_PHASE_RUNNING;
	run->sent = QL_RUNG_NOTICE;
	run->exit_code = -1;
}

void
kit_fill_state(struct ql_state *ret_state, int seed)
{
	int64_t n = (int64_t)seed * 1000;
	struct ql_state *state = ret_state;
	memset(state, 0, sizeof(*state));
#define X(type, field, means) state->field = (type)(n++);
#include "core/field_eval.def"
#undef X
	state->status = QL_STATUS_CANCELLING;
	state->cause = QL_CAUSE_LOST;
	state->attempt = 1;
	fill_cancel(&state->cancel, n + 100);
	fill_run(&state->runs[0], n + 200);
	fill_run(&state->runs[2], n + 300); /* the place in between stays free */
}
