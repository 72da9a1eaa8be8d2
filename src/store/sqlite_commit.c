#include <string.h>

#include "store/field.h"
#include "store/sqlite.h"

/* ---- the parts of an evaluation that have tables of their own ---- */

static int
run_with_seq(struct ql_db *db, enum ql_sql id, int64_t seq, struct ql_err *e)
{
	sqlite3_stmt *stmt = ql_db_statement(db, id, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, seq);
	return ql_db_run(db, stmt, e);
}

static int
run_with_text(struct ql_db *db, enum ql_sql id, int64_t seq, const char *text, struct ql_err *e)
{
	sqlite3_stmt *stmt = ql_db_statement(db, id, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, seq);
	ql_field_bind_text(stmt, 2, text);
	return ql_db_run(db, stmt, e);
}

static int
write_runs(struct ql_db *db, int64_t seq, const struct ql_state *state, struct ql_err *e)
{
	if (run_with_seq(db, QL_SQL_DROP_RUNS, seq, e))
		return -1;
	for (int n = 0; n < QL_RUNS; n++) {
		if (!state->runs[n].incarnation)
			continue;
		sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_NEW_RUN, e);
		if (!stmt)
			return -1;
		sqlite3_bind_int64(stmt, 1, seq);
		sqlite3_bind_int(stmt, 2, n);
		ql_field_bind_run(stmt, 3, &state->runs[n]);
		if (ql_db_run(db, stmt, e))
			return -1;
	}
	return 0;
}

/* The tombstone goes with the request itself, so that no door is open in between. */
static int
write_cancel(struct ql_db *db, int64_t seq, const struct ql_record *record, struct ql_err *e)
{
	const struct ql_state *state = &record->state;
	if (!state->cancel.requested_at)
		return 0;
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_CANCEL, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, seq);
	sqlite3_bind_int(stmt, 2, state->attempt);
	ql_field_bind_text(stmt, 3, record->actor);
	ql_field_bind_text(stmt, 4, record->reason);
	ql_field_bind_cancel(stmt, 5, &state->cancel);
	if (ql_db_run(db, stmt, e))
		return -1;
	stmt = ql_db_statement(db, QL_SQL_TOMBSTONE, e);
	if (!stmt)
		return -1;
	ql_field_bind_text(stmt, 1, record->eval_id);
	sqlite3_bind_int(stmt, 2, state->attempt);
	return ql_db_run(db, stmt, e);
}

static int
write_row(struct ql_db *db, int64_t seq, const struct ql_change *change, struct ql_err *e)
{
	if (!change->at)
		return 0;
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_ROW, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, seq);
	sqlite3_bind_int64(stmt, 2, change->at);
	sqlite3_bind_int(stmt, 3, change->rung);
	ql_field_bind_text(stmt, 4, change->what);
	return ql_db_run(db, stmt, e);
}

static int
find_seq(struct ql_db *db, const char *eval_id, int64_t *ret_seq, struct ql_err *e)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_SEQ, e);
	if (!stmt)
		return -1;
	ql_field_bind_text(stmt, 1, eval_id);
	int rc = ql_db_step(db, stmt, e);
	if (rc == 0)
		return ql_fail(e, QL_E_NOT_FOUND, "there is no evaluation %s", eval_id);
	*ret_seq = sqlite3_column_int64(stmt, 0);
	return rc == 1 ? 0 : -1;
}

/* ---- one function for each kind of change ---- */

static int
insert(struct ql_db *db, const struct ql_record *record, struct ql_err *e)
{
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_NEW, e);
	if (!stmt)
		return -1;
	const char *texts[] = {record->eval_id, record->owner, record->language, record->queue,
		record->labels, record->session, record->supersedes};
	for (int i = 0; i < 7; i++)
		ql_field_bind_text(stmt, i + 1, texts[i]);
	sqlite3_bind_int(stmt, 8, record->priority);
	ql_field_bind_text(stmt, 9, record->error);
	ql_field_bind_text(stmt, 10, record->worker);
	ql_field_bind_text(stmt, 11, record->runtime);
	ql_field_bind_text(stmt, 12, record->container);
	sqlite3_bind_int(stmt, 13, (int)ql_row_place(&record->state));
	ql_field_bind_eval(stmt, 14, &record->state);
	return ql_db_run(db, stmt, e);
}

static int
write_new(struct ql_db *db, struct ql_change *change, struct ql_err *e)
{
	struct ql_record *record = &change->record;
	if (insert(db, record, e))
		return -1;
	int64_t seq = record->seq = sqlite3_last_insert_rowid(db->sql);
	if (record->payload && run_with_text(db, QL_SQL_NEW_PAYLOAD, seq, record->payload, e))
		return -1;
	if (record->labels && run_with_text(db, QL_SQL_NEW_LABELS, seq, record->labels, e))
		return -1;
	if (record->state.runs[0].incarnation && write_runs(db, seq, &record->state, e))
		return -1;
	return write_cancel(db, seq, record, e) || write_row(db, seq, change, e) ? -1 : 0;
}

static int
write_state(struct ql_db *db, const struct ql_change *change, struct ql_err *e)
{
	const struct ql_record *record = &change->record;
	int64_t seq;
	if (find_seq(db, record->eval_id, &seq, e))
		return -1;
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_STATE, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, seq);
	ql_field_bind_text(stmt, 2, record->error);
	ql_field_bind_text(stmt, 3, record->worker);
	ql_field_bind_text(stmt, 4, record->runtime);
	ql_field_bind_text(stmt, 5, record->container);
	sqlite3_bind_int(stmt, 6, record->state.attempt);
	sqlite3_bind_int(stmt, 7, (int)ql_row_place(&record->state));
	ql_field_bind_eval(stmt, 8, &record->state);
	if (ql_db_run(db, stmt, e) || write_runs(db, seq, &record->state, e))
		return -1;
	return write_cancel(db, seq, record, e) || write_row(db, seq, change, e) ? -1 : 0;
}

static int
write_forget(struct ql_db *db, const char *eval_id, struct ql_err *e)
{
	static const enum ql_sql steps[] = {QL_SQL_BURY, QL_SQL_FORGET_LABELS,
		QL_SQL_FORGET_PAYLOAD, QL_SQL_FORGET_CANCELS, QL_SQL_FORGET_TIMELINE,
		QL_SQL_FORGET_REPORT, QL_SQL_DROP_RUNS, QL_SQL_FORGET};
	int64_t seq;
	if (find_seq(db, eval_id, &seq, e))
		return -1;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (run_with_seq(db, steps[i], seq, e))
			return -1;
	}
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_FORGET_REFUSALS, e);
	if (!stmt)
		return -1;
	ql_field_bind_text(stmt, 1, eval_id);
	return ql_db_run(db, stmt, e);
}

static int
write_refusal(struct ql_db *db, const struct ql_change *change, struct ql_err *e)
{
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_REFUSAL, e);
	if (!stmt)
		return -1;
	ql_field_bind_text(stmt, 1, change->record.eval_id);
	sqlite3_bind_int64(stmt, 2, change->at);
	sqlite3_bind_int(stmt, 3, (int)change->mode);
	ql_field_bind_text(stmt, 4, change->record.actor);
	ql_field_bind_text(stmt, 5, change->record.reason);
	sqlite3_bind_int(stmt, 6, change->rung);
	ql_field_bind_text(stmt, 7, change->what);
	if (ql_db_run(db, stmt, e))
		return -1;
	int64_t gone = sqlite3_last_insert_rowid(db->sql) - QL_STORE_REFUSALS_MAX;
	return gone > 0 ? run_with_seq(db, QL_SQL_TRIM_REFUSALS, gone, e) : 0;
}

static int
write_replay(struct ql_db *db, const struct ql_change *change, struct ql_err *e)
{
	if (run_with_seq(db, QL_SQL_TRIM_REPLAYS, QL_STORE_REPLAY_MS, e))
		return -1;
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_REPLAY, e);
	if (!stmt)
		return -1;
	ql_field_bind_text(stmt, 1, change->record.owner);
	ql_field_bind_text(stmt, 2, change->replay_key);
	ql_field_bind_text(stmt, 3, change->fingerprint);
	ql_field_bind_text(stmt, 4, change->replay_ids);
	return ql_db_run(db, stmt, e);
}

static int
write_report(struct ql_db *db, const struct ql_change *change, struct ql_err *e)
{
	int64_t seq;
	if (find_seq(db, change->record.eval_id, &seq, e))
		return -1;
	if (run_with_text(db, QL_SQL_REPORT, seq, change->report, e))
		return -1;
	return write_row(db, seq, change, e);
}

static int
write_change(struct ql_db *db, struct ql_change *change, struct ql_err *e)
{
	switch (change->kind) {
	case QL_CHANGE_NEW:
		return write_new(db, change, e);
	case QL_CHANGE_STATE:
		return write_state(db, change, e);
	case QL_CHANGE_FORGET:
		return write_forget(db, change->record.eval_id, e);
	case QL_CHANGE_REFUSAL:
		return write_refusal(db, change, e);
	case QL_CHANGE_REPLAY:
		return write_replay(db, change, e);
	case QL_CHANGE_REPORT:
		return write_report(db, change, e);
	}
	return ql_fail(e, QL_E_INTERNAL, "there is no change of kind %d", (int)change->kind);
}

/* ---- the commit ---- */

/*
 * First, so that what counts in this transaction by the store's time counts by its latest. Where
 * there is no change that time moves by itself: what stays the same would not be written.
 */
static int
write_last_ms(struct ql_db *db, const struct ql_change *changes, struct ql_err *e)
{
	int64_t last = 0;
	for (const struct ql_change *change = changes; change; change = change->next)
		last = change->at > last ? change->at : last;
	return last ? run_with_seq(db, QL_SQL_LAST_MS, last, e)
		    : run_with_seq(db, QL_SQL_PROBE, 1, e);
}

static int
write_all(struct ql_db *db, struct ql_change *changes, struct ql_err *e)
{
	if (write_last_ms(db, changes, e))
		return -1;
	for (struct ql_change *change = changes; change; change = change->next) {
		if (write_change(db, change, e))
			return -1;
	}
	return ql_db_do(db, QL_SQL_COMMIT, e);
}

int
ql_sqlite_commit(struct ql_db *db, struct ql_store_commit *op)
{
	if (!ql_db_do(db, QL_SQL_BEGIN_WRITE, &op->err) && !write_all(db, op->changes, &op->err))
		return 0;
	ql_err_prefix(&op->err, "couldn't commit to %s", db->path);
	if (!sqlite3_get_autocommit(db->sql))
		ql_db_do(db, QL_SQL_ROLLBACK, NULL);
	return -1;
}
