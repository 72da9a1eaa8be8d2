/* Of a commit: the parts of an evaluation that have tables of their own, and the chains that lead to them. */
#include "store/sqlite_parts.h"

#include <string.h>

#include "store/field.h"

int
ql_commit_run_seq(struct ql_db *db, enum ql_sql id, int64_t seq, struct ql_err *e)
{
	sqlite3_stmt *stmt = ql_db_statement(db, id, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, seq);
	return ql_db_run(db, stmt, e);
}

int
ql_commit_run_text(
	struct ql_db *db, enum ql_sql id, int64_t seq, const char *text, struct ql_err *e)
{
	sqlite3_stmt *stmt = ql_db_statement(db, id, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, seq);
	ql_field_bind_text(stmt, 2, text);
	return ql_db_run(db, stmt, e);
}

int
ql_commit_write_runs(struct ql_db *db, int64_t seq, const struct ql_state *state, struct ql_err *e)
{
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

static int64_t
kept_bytes(const struct head *head)
{
	if (head->place != QL_PLACE_DONE)
		return 0;
	return head->past_bytes + head->output_bytes + head->checkpoint_bytes;
}

void
ql_commit_count(struct tally *tally, const struct head *was, const struct head *is)
{
	tally->queued += is && is->status == QL_STATUS_QUEUED;
	tally->queued -= was && was->status == QL_STATUS_QUEUED;
	tally->kept_bytes += is ? kept_bytes(is) : 0;
	tally->kept_bytes -= was ? kept_bytes(was) : 0;
}

int
ql_commit_find_head(
	struct ql_db *db, const struct ql_record *record, struct head *ret_head, struct ql_err *e)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_HEAD, e);
	if (!stmt)
		return -1;
	ql_field_bind_text(stmt, 1, record->eval_id);
	sqlite3_bind_int64(stmt, 2, record->seq);
	int rc = ql_db_step(db, stmt, e);
	if (rc == 0)
		return ql_fail(e, QL_E_NOT_FOUND, "there is no evaluation %s", record->eval_id);
	*ret_head = (struct head){
		.seq = sqlite3_column_int64(stmt, 0),
		.attempt = sqlite3_column_int(stmt, 1),
		.status = sqlite3_column_int(stmt, 2),
		.last_row = sqlite3_column_int64(stmt, 3),
		.last_cancel = sqlite3_column_int64(stmt, 4),
		.cancel_attempt = sqlite3_column_int(stmt, 5),
		.place = sqlite3_column_int(stmt, 6),
		.past_bytes = sqlite3_column_int64(stmt, 7),
		.output_bytes = sqlite3_column_int64(stmt, 8),
		.checkpoint_bytes = sqlite3_column_int64(stmt, 9),
		.has_runs = sqlite3_column_int(stmt, 10) != 0,
	};
	return rc == 1 ? 0 : -1;
}

void
ql_commit_advance(struct head *head, const struct ql_state *state)
{
	if (state->attempt > head->attempt)
		head->past_bytes += head->output_bytes;
	head->attempt = state->attempt;
	head->status = state->status;
	head->place = (int32_t)ql_row_place(state);
	head->output_bytes = state->output_bytes;
	head->checkpoint_bytes = state->checkpoint_bytes;
}

void
ql_commit_bind_link(sqlite3_stmt *stmt, int at, int64_t id)
{
	if (id)
		sqlite3_bind_int64(stmt, at, id);
	else
		sqlite3_bind_null(stmt, at);
}

int
ql_commit_write_link(struct ql_db *db, const struct head *head, struct ql_err *e)
{
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_LINK, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, head->seq);
	ql_commit_bind_link(stmt, 2, head->last_row);
	ql_commit_bind_link(stmt, 3, head->last_cancel);
	return ql_db_run(db, stmt, e);
}

int
ql_commit_write_row(
	struct ql_db *db, struct head *head, const struct ql_change *change, struct ql_err *e)
{
	if (!change->at)
		return 0;
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_ROW, e);
	if (!stmt)
		return -1;
	ql_commit_bind_link(stmt, 1, head->last_row);
	sqlite3_bind_int64(stmt, 2, change->at);
	sqlite3_bind_int(stmt, 3, head->attempt);
	sqlite3_bind_int(stmt, 4, head->status);
	sqlite3_bind_int(stmt, 5, change->rung);
	ql_field_bind_text(stmt, 6, change->what);
	if (ql_db_run(db, stmt, e))
		return -1;
	head->last_row = sqlite3_last_insert_rowid(db->sql);
	return 0;
}

/* Who asked, and why: the last who did. */
static int
write_asked(
	struct ql_db *db, const struct head *head, const struct ql_record *record, struct ql_err *e)
{
	if (!record->actor && !record->reason)
		return 0;
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_CANCEL_ASKED, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, head->last_cancel);
	ql_field_bind_text(stmt, 2, record->actor);
	ql_field_bind_text(stmt, 3, record->reason);
	return ql_db_run(db, stmt, e);
}

static int
raise_cancel(
	struct ql_db *db, const struct head *head, const struct ql_record *record, struct ql_err *e)
{
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_CANCEL, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, head->last_cancel);
	sqlite3_bind_int(stmt, 2, head->cancel_attempt);
	ql_field_bind_cancel(stmt, 3, &record->state.cancel);
	return ql_db_run(db, stmt, e) ? -1 : write_asked(db, head, record, e);
}

int
ql_commit_write_cancel(
	struct ql_db *db, struct head *head, const struct ql_record *record, struct ql_err *e)
{
	const struct ql_state *state = &record->state;
	if (!state->cancel.requested_at)
		return 0;
	if (head->last_cancel && head->cancel_attempt == state->attempt)
		return raise_cancel(db, head, record, e);
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_NEW_CANCEL, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, head->seq);
	ql_commit_bind_link(stmt, 2, head->last_cancel);
	sqlite3_bind_int(stmt, 3, state->attempt);
	ql_field_bind_text(stmt, 4, record->actor);
	ql_field_bind_text(stmt, 5, record->reason);
	ql_field_bind_cancel(stmt, 6, &state->cancel);
	if (ql_db_run(db, stmt, e))
		return -1;
	head->last_cancel = sqlite3_last_insert_rowid(db->sql);
	return 0;
}

int
ql_commit_write_letters(
	struct ql_db *db, int64_t seq, const struct ql_change *change, struct ql_err *e)
{
	for (int outlet = 0; outlet < QL_OUTLET_COUNT; outlet++) {
		if (!(change->outlets >> outlet & 1))
			continue;
		sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_LETTER, e);
		if (!stmt)
			return -1;
		sqlite3_bind_int64(stmt, 1, seq);
		sqlite3_bind_int(stmt, 2, outlet);
		ql_field_bind_text(stmt, 3, change->task_id);
		if (ql_db_run(db, stmt, e))
			return -1;
	}
	return 0;
}
