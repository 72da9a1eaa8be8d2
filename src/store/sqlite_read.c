#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store/field.h"
#include "store/sqlite.h"
#include "store/sqlite_find.h"
#include "store/sqlite_select.h"

static int
no_memory(struct ql_err *e)
{
	return ql_fail(e, QL_E_SYSTEM, "out of memory");
}

/* ---- records ---- */

/* The columns of RECORD, in their order. */
static int
read_columns(sqlite3_stmt *stmt, struct ql_record *ret_record, int32_t *ret_cancel_attempt)
{
	struct ql_record *record = ret_record;
	char **texts[] = {&record->owner, &record->language, &record->queue, &record->labels,
		&record->session, &record->supersedes};
	char **later[] = {&record->error, &record->worker, &record->runtime, &record->container,
		&record->container_runtime, &record->container_name, &record->container_image,
		&record->task_id, &record->actor, &record->reason};
	int failed = 0;
	const char *eval_id = (const char *)sqlite3_column_text(stmt, 0);
	if (!eval_id)
		return -1;
	ql_str_copy(record->eval_id, sizeof(record->eval_id), eval_id);
	for (int i = 0; i < 6; i++)
		failed |= ql_field_read_text(stmt, 1 + i, texts[i]);
	record->priority = sqlite3_column_int(stmt, 7);
	for (int i = 0; i < 10; i++)
		failed |= ql_field_read_text(stmt, 8 + i, later[i]);
	*ret_cancel_attempt = sqlite3_column_int(stmt, 18);
	int at = ql_field_read_eval(stmt, 19, &record->state);
	ql_field_read_cancel(stmt, at, &record->state.cancel);
	return failed ? -1 : 0;
}

static int
read_runs(struct ql_db *db, int64_t seq, struct ql_state *state, struct ql_err *e)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_RUNS, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, seq);
	int rc;
	while ((rc = ql_db_step(db, stmt, e)) == 1)
		ql_field_read_run(stmt, 1, &state->runs[sqlite3_column_int(stmt, 0)]);
	return rc;
}

static int
read_payload(struct ql_db *db, int64_t seq, struct ql_record *record, struct ql_err *e)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_PAYLOAD, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, seq);
	int rc = ql_db_step(db, stmt, e);
	if (rc != 1)
		return rc;
	return ql_field_read_text(stmt, 0, &record->payload) ? no_memory(e) : 0;
}

static int
read_row(struct ql_db *db, const struct ql_found *found, struct ql_record *record,
	int32_t *ret_cancel_attempt, struct ql_err *e)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_RECORD, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, found->seq);
	if (found->cancel)
		sqlite3_bind_int64(stmt, 2, found->cancel);
	else
		sqlite3_bind_null(stmt, 2);
	int rc = ql_db_step(db, stmt, e);
	if (rc != 1)
		return rc ? rc : ql_fail(e, QL_E_INTERNAL, "an evaluation went while it was read");
	record->seq = found->seq;
	return read_columns(stmt, record, ret_cancel_attempt) ? no_memory(e) : 0;
}

static int
read_record(struct ql_db *db, const struct ql_found *found, bool with_payload,
	struct ql_record *record, struct ql_err *e)
{
	int32_t cancel_attempt = 0;
	if (read_row(db, found, record, &cancel_attempt, e) ||
		read_runs(db, found->seq, &record->state, e))
		return -1;
	if (found->cancel) {
		struct ql_cancel cancel = record->state.cancel;
		ql_row_show_cancel(record, cancel_attempt, &cancel);
	}
	return with_payload ? read_payload(db, found->seq, record, e) : 0;
}

static int
read_found(struct ql_db *db, struct ql_store_read *op, const struct ql_finds *finds)
{
	op->records = calloc(finds->count + 1, sizeof(*op->records));
	if (!op->records)
		return no_memory(&op->err);
	bool with_payload = ql_row_wants_payload(op);
	for (size_t i = 0; i < finds->count; i++) {
		op->record_count = i + 1;
		if (read_record(db, &finds->items[i], with_payload, &op->records[i], &op->err))
			return -1;
	}
	return 0;
}

static int
read_records(struct ql_db *db, struct ql_store_read *op)
{
	struct ql_finds finds = {0};
	int rc = ql_sqlite_find(db, op, &finds);
	if (rc == 0)
		rc = read_found(db, op, &finds);
	free(finds.items);
	return rc;
}

/* ---- what a selector means ---- */

static int
read_match(struct ql_db *db, const struct ql_found *found, struct ql_match *ret_match,
	struct ql_err *e)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_EVAL_ID, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, found->seq);
	if (ql_db_step(db, stmt, e) != 1)
		return -1;
	*ret_match = (struct ql_match){.seq = found->seq, .status = found->status};
	const char *eval_id = (const char *)sqlite3_column_text(stmt, 0);
	return eval_id ? ql_str_copy(ret_match->eval_id, QL_EVAL_ID, eval_id) : no_memory(e);
}

static int
read_matches(struct ql_db *db, struct ql_store_read *op)
{
	struct ql_finds finds = {0};
	int rc = ql_sqlite_find(db, op, &finds);
	op->matches = rc ? NULL : calloc(finds.count + 1, sizeof(*op->matches));
	if (rc == 0 && !op->matches)
		rc = no_memory(&op->err);
	for (size_t i = 0; rc == 0 && i < finds.count; i++)
		rc = read_match(db, &finds.items[i], &op->matches[op->match_count++], &op->err);
	free(finds.items);
	return rc;
}

static int
read_count(struct ql_db *db, struct ql_store_read *op)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_NEWEST, &op->err);
	if (!stmt || ql_db_step(db, stmt, &op->err) != 1)
		return -1;
	op->newest = sqlite3_column_int64(stmt, 0);
	return ql_sqlite_count(db, op);
}

/* ---- the rest ---- */

static int
add_row(struct ql_store_read *op, sqlite3_stmt *stmt, size_t *cap)
{
	if (op->row_count == *cap) {
		*cap = *cap ? *cap * 2 : 16;
		struct ql_row *rows = realloc(op->rows, *cap * sizeof(*rows));
		if (!rows)
			return no_memory(&op->err);
		op->rows = rows;
	}
	struct ql_row *row = &op->rows[op->row_count++];
	*row = (struct ql_row){
		.at = sqlite3_column_int64(stmt, 0),
		.attempt = sqlite3_column_int(stmt, 1),
		.status = sqlite3_column_int(stmt, 2),
		.rung = sqlite3_column_int(stmt, 3),
	};
	return ql_field_read_text(stmt, 4, &row->what) ? no_memory(&op->err) : 0;
}

static int
find_last_row(struct ql_db *db, const char *eval_id, int64_t *ret_row, struct ql_err *e)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_HEAD, e);
	if (!stmt)
		return -1;
	ql_field_bind_text(stmt, 1, eval_id);
	sqlite3_bind_int64(stmt, 2, 0);
	int rc = ql_db_step(db, stmt, e);
	if (rc == 1)
		*ret_row = sqlite3_column_int64(stmt, 3);
	return rc;
}

static int
read_timeline(struct ql_db *db, struct ql_store_read *op)
{
	int64_t last_row;
	int rc = find_last_row(db, op->filter.eval_id, &last_row, &op->err);
	if (rc != 1)
		return rc;
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_TIMELINE, &op->err);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, last_row);
	ql_field_bind_text(stmt, 2, op->filter.eval_id);
	sqlite3_bind_int(stmt, 3, op->filter.attempt);
	size_t cap = 0;
	while ((rc = ql_db_step(db, stmt, &op->err)) == 1) {
		if (add_row(op, stmt, &cap))
			return -1;
	}
	return rc;
}

static int
read_replay(struct ql_db *db, struct ql_store_read *op)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_FIND_REPLAY, &op->err);
	if (!stmt)
		return -1;
	ql_field_bind_text(stmt, 1, op->filter.owner);
	ql_field_bind_text(stmt, 2, op->filter.replay_key);
	int rc = ql_db_step(db, stmt, &op->err);
	if (rc != 1)
		return rc;
	int failed = ql_field_read_text(stmt, 0, &op->fingerprint);
	failed |= ql_field_read_text(stmt, 1, &op->text);
	return failed ? no_memory(&op->err) : 0;
}

static int
is_taken(struct ql_db *db, const char *eval_id, bool *ret_taken, struct ql_err *e)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_TAKEN, e);
	if (!stmt)
		return -1;
	ql_field_bind_text(stmt, 1, eval_id);
	if (ql_db_step(db, stmt, e) != 1)
		return -1;
	*ret_taken = sqlite3_column_int(stmt, 0) != 0;
	return 0;
}

static int
read_taken(struct ql_db *db, struct ql_store_read *op)
{
	op->taken = calloc(op->id_count + 1, sizeof(*op->taken));
	if (!op->taken)
		return no_memory(&op->err);
	for (size_t i = 0; i < op->id_count; i++) {
		if (is_taken(db, op->ids[i], &op->taken[i], &op->err))
			return -1;
	}
	return 0;
}

static int
read_report(struct ql_db *db, struct ql_store_read *op)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_FIND_REPORT, &op->err);
	if (!stmt)
		return -1;
	ql_field_bind_text(stmt, 1, op->filter.eval_id);
	int rc = ql_db_step(db, stmt, &op->err);
	if (rc != 1)
		return rc;
	return ql_field_read_text(stmt, 0, &op->text) ? no_memory(&op->err) : 0;
}

static int
read_letter(sqlite3_stmt *stmt, struct ql_letter *ret_letter)
{
	*ret_letter = (struct ql_letter){
		.number = sqlite3_column_int64(stmt, 0),
		.finished_at = sqlite3_column_int64(stmt, 4),
		.attempt = sqlite3_column_int(stmt, 5),
		.status = sqlite3_column_int(stmt, 6),
	};
	int failed = ql_field_read_text(stmt, 1, &ret_letter->eval_id);
	failed |= ql_field_read_text(stmt, 2, &ret_letter->task_id);
	failed |= ql_field_read_text(stmt, 3, &ret_letter->error);
	failed |= ql_field_read_text(stmt, 7, &ret_letter->labels);
	return failed;
}

static int
read_outbox(struct ql_db *db, struct ql_store_read *op)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_OUTBOX, &op->err);
	if (!stmt)
		return -1;
	size_t limit = ql_row_limit(&op->filter);
	op->letters = calloc(limit, sizeof(*op->letters));
	if (!op->letters)
		return no_memory(&op->err);
	sqlite3_bind_int64(stmt, 1, (int64_t)limit);
	sqlite3_bind_int(stmt, 2, (int)op->filter.outlet);
	sqlite3_bind_int64(stmt, 3, op->filter.cursor);
	int rc;
	while ((rc = ql_db_step(db, stmt, &op->err)) == 1) {
		if (read_letter(stmt, &op->letters[op->letter_count++]))
			return no_memory(&op->err);
	}
	return rc;
}

static int
read_any(struct ql_db *db, struct ql_store_read *op)
{
	switch (op->kind) {
	case QL_READ_TIMELINE:
		return read_timeline(db, op);
	case QL_READ_REPLAY:
		return read_replay(db, op);
	case QL_READ_TAKEN:
		return read_taken(db, op);
	case QL_READ_REPORT:
		return read_report(db, op);
	case QL_READ_OUTBOX:
		return read_outbox(db, op);
	case QL_READ_OBJECTS:
		return ql_sqlite_read_objects(db, op);
	case QL_READ_AUDIT:
		return ql_sqlite_read_audit(db, op);
	case QL_READ_AUDIT_OLD:
		return ql_sqlite_read_audit_old(db, op);
	case QL_READ_MATCHES:
		return read_matches(db, op);
	case QL_READ_COUNT:
		return read_count(db, op);
	default:
		return read_records(db, op);
	}
}

int
ql_sqlite_read(struct ql_db *db, struct ql_store_read *op)
{
	int rc = ql_db_do(db, QL_SQL_BEGIN, &op->err);
	if (rc == 0) {
		rc = read_any(db, op);
		ql_db_do(db, QL_SQL_COMMIT, NULL); /* ends the moment: nothing was written */
	}
	return rc ? ql_err_prefix(&op->err, "couldn't read %s", db->path) : 0;
}
