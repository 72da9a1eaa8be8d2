#include <string.h>

#include "store/field.h"
#include "store/sqlite_parts.h"

/* ---- one function for each kind of change ---- */

static int
insert(struct ql_db *db, const struct ql_record *record, int64_t last_row, struct ql_err *e)
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
	ql_field_bind_text(stmt, 13, record->task_id);
	sqlite3_bind_int(stmt, 14, (int)ql_row_place(&record->state));
	ql_commit_bind_link(stmt, 15, last_row);
	sqlite3_bind_int64(stmt, 16, record->seq);
	ql_field_bind_text(stmt, 17, record->container_runtime);
	ql_field_bind_text(stmt, 18, record->container_name);
	ql_field_bind_text(stmt, 19, record->container_image);
	ql_field_bind_eval(stmt, 20, &record->state);
	return ql_db_run(db, stmt, e);
}

/* Once for a commit: from then on it counts for itself. */
static int
find_last_seq(struct ql_db *db, struct tally *tally, struct ql_err *e)
{
	if (tally->last_seq)
		return 0;
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_LAST_SEQ, e);
	if (!stmt || ql_db_step(db, stmt, e) != 1)
		return -1;
	int64_t last = sqlite3_column_int64(stmt, 0);
	tally->last_seq = last > tally->forgotten ? last : tally->forgotten;
	return 0;
}

/* The database says only that a rule of it was broken: which one is found out by looking again. */
static int
explain_insert(struct ql_db *db, const char *eval_id, struct ql_err *e)
{
	QL_CLEAN_STMT sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_TAKEN, NULL);
	if (!stmt || (e->code != QL_E_CONFLICT && e->code != QL_E_INTERNAL))
		return -1;
	ql_field_bind_text(stmt, 1, eval_id);
	if (ql_db_step(db, stmt, NULL) == 1 && sqlite3_column_int(stmt, 0))
		ql_fail(e, QL_E_CONFLICT, "the eval_id %s exists or was used before", eval_id);
	return -1;
}

static int
write_new(struct ql_db *db, struct ql_change *change, struct tally *tally, struct ql_err *e)
{
	struct ql_record *record = &change->record;
	struct head head = {0};
	ql_commit_advance(&head, &record->state);
	ql_commit_count(tally, NULL, &head);
	if (ql_commit_write_row(db, &head, change, e) || find_last_seq(db, tally, e))
		return -1;
	head.seq = record->seq = ++tally->last_seq;
	if (insert(db, record, head.last_row, e))
		return explain_insert(db, record->eval_id, e);
	if (record->payload &&
		ql_commit_run_text(db, QL_SQL_PAYLOAD_IS, head.seq, record->payload, e))
		return -1;
	if (record->labels &&
		ql_commit_run_text(db, QL_SQL_NEW_LABELS, head.seq, record->labels, e))
		return -1;
	if (ql_commit_write_runs(db, head.seq, &record->state, e) ||
		ql_commit_write_cancel(db, &head, record, e))
		return -1;
	if (head.last_cancel && ql_commit_write_link(db, &head, e))
		return -1;
	return ql_commit_write_letters(db, head.seq, change, e);
}

static int
update(struct ql_db *db, const struct head *head, const struct ql_record *record, struct ql_err *e)
{
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_STATE, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, head->seq);
	ql_field_bind_text(stmt, 2, record->error);
	ql_field_bind_text(stmt, 3, record->worker);
	ql_field_bind_text(stmt, 4, record->runtime);
	ql_field_bind_text(stmt, 5, record->container);
	sqlite3_bind_int(stmt, 6, record->state.attempt);
	ql_field_bind_text(stmt, 7, record->container_runtime);
	ql_field_bind_text(stmt, 8, record->container_name);
	ql_field_bind_text(stmt, 9, record->container_image);
	sqlite3_bind_int(stmt, 10, head->place);
	ql_commit_bind_link(stmt, 11, head->last_row);
	ql_commit_bind_link(stmt, 12, head->last_cancel);
	sqlite3_bind_int64(stmt, 13, head->past_bytes);
	ql_field_bind_eval(stmt, 14, &record->state);
	return ql_db_run(db, stmt, e);
}

static int
write_state(struct ql_db *db, const struct ql_change *change, struct tally *tally, struct ql_err *e)
{
	const struct ql_record *record = &change->record;
	struct head head;
	if (ql_commit_find_head(db, record, &head, e))
		return -1;
	struct head was = head;
	ql_commit_advance(&head, &record->state);
	ql_commit_count(tally, &was, &head);
	if (ql_commit_write_row(db, &head, change, e) ||
		ql_commit_write_cancel(db, &head, record, e) || update(db, &head, record, e) ||
		(head.has_runs && ql_commit_run_seq(db, QL_SQL_DROP_RUNS, head.seq, e)) ||
		ql_commit_write_runs(db, head.seq, &record->state, e))
		return -1;
	if (record->payload &&
		ql_commit_run_text(db, QL_SQL_PAYLOAD_IS, head.seq, record->payload, e))
		return -1;
	return ql_commit_write_letters(db, head.seq, change, e);
}

static int
write_forget(
	struct ql_db *db, const struct ql_change *change, struct tally *tally, struct ql_err *e)
{
	static const enum ql_sql steps[] = {QL_SQL_BURY, QL_SQL_FORGET_LABELS,
		QL_SQL_FORGET_PAYLOAD, QL_SQL_FORGET_CANCELS, QL_SQL_FORGET_TIMELINE,
		QL_SQL_FORGET_REPORT, QL_SQL_DROP_RUNS, QL_SQL_FORGET};
	const char *eval_id = change->record.eval_id;
	struct head head;
	if (ql_commit_find_head(db, &change->record, &head, e))
		return -1;
	ql_commit_count(tally, &head, NULL);
	tally->forgotten = head.seq > tally->forgotten ? head.seq : tally->forgotten;
	size_t first = change->kind == QL_CHANGE_DISOWN; /* no tombstone */
	for (size_t i = first; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (ql_commit_run_seq(db, steps[i], head.seq, e))
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
	return gone > 0 ? ql_commit_run_seq(db, QL_SQL_TRIM_REFUSALS, gone, e) : 0;
}

static int
write_replay(struct ql_db *db, const struct ql_change *change, struct ql_err *e)
{
	if (ql_commit_run_seq(db, QL_SQL_TRIM_REPLAYS, QL_STORE_REPLAY_MS, e))
		return -1;
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_REPLAY, e);
	if (!stmt)
		return -1;
	ql_field_bind_text(stmt, 1, change->record.owner);
	ql_field_bind_text(stmt, 2, change->replay_key);
	ql_field_bind_text(stmt, 3, change->fingerprint);
	ql_field_bind_text(stmt, 4, change->replay_ids);
	if (ql_db_run(db, stmt, e) == 0)
		return 0;
	if (e->code == QL_E_CONFLICT)
		ql_fail(e, QL_E_CONFLICT, "the Idempotency-Key %s was used before",
			change->replay_key);
	return -1;
}

static int
write_report(struct ql_db *db, const struct ql_change *change, struct ql_err *e)
{
	struct head head;
	if (ql_commit_find_head(db, &change->record, &head, e) ||
		ql_commit_run_text(db, QL_SQL_REPORT, head.seq, change->report, e) ||
		ql_commit_write_row(db, &head, change, e))
		return -1;
	return change->at ? ql_commit_write_link(db, &head, e) : 0;
}

static int
write_audit(struct ql_db *db, struct ql_change *change, struct tally *tally, struct ql_err *e)
{
	if (ql_sqlite_audit(db, change, &tally->audit_bytes, e))
		return -1;
	tally->audit_head = change->audit_seq;
	return 0;
}

static int
write_delivered(struct ql_db *db, const struct ql_change *change, struct ql_err *e)
{
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_DELIVERED, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, change->letter);
	sqlite3_bind_int64(stmt, 2, change->letter_last);
	sqlite3_bind_int(stmt, 3, (int)change->outlet);
	return ql_db_run(db, stmt, e);
}

static int
write_change(struct ql_db *db, struct ql_change *change, struct tally *tally, struct ql_err *e)
{
	switch (change->kind) {
	case QL_CHANGE_NEW:
		return write_new(db, change, tally, e);
	case QL_CHANGE_STATE:
		return write_state(db, change, tally, e);
	case QL_CHANGE_FORGET:
	case QL_CHANGE_DISOWN:
		return write_forget(db, change, tally, e);
	case QL_CHANGE_REFUSAL:
		return write_refusal(db, change, e);
	case QL_CHANGE_REPLAY:
		return write_replay(db, change, e);
	case QL_CHANGE_REPORT:
		return write_report(db, change, e);
	case QL_CHANGE_DELIVERED:
		return write_delivered(db, change, e);
	case QL_CHANGE_PUT_OBJECT:
	case QL_CHANGE_DROP_OBJECT:
		return ql_sqlite_object(db, change, e);
	case QL_CHANGE_AUDIT:
		return write_audit(db, change, tally, e);
	case QL_CHANGE_AUDIT_TRIM:
		return ql_sqlite_audit_trim(db, change->audit_seq, e);
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
	return last ? ql_commit_run_seq(db, QL_SQL_LAST_MS, last, e)
		    : ql_commit_run_seq(db, QL_SQL_PROBE, 1, e);
}

static int
write_tally(struct ql_db *db, const struct tally *tally, struct ql_err *e)
{
	if (!tally->queued && !tally->kept_bytes && !tally->audit_bytes && !tally->forgotten)
		return 0;
	sqlite3_stmt *stmt = ql_db_statement(db, QL_SQL_TALLY, e);
	if (!stmt)
		return -1;
	sqlite3_bind_int64(stmt, 1, tally->queued);
	sqlite3_bind_int64(stmt, 2, tally->kept_bytes);
	sqlite3_bind_int64(stmt, 3, tally->audit_bytes);
	sqlite3_bind_int64(stmt, 4, tally->audit_head);
	sqlite3_bind_int64(stmt, 5, tally->forgotten);
	return ql_db_run(db, stmt, e);
}

static int
write_all(struct ql_db *db, struct ql_change *changes, struct ql_err *e)
{
	struct tally tally = {0};
	if (write_last_ms(db, changes, e))
		return -1;
	for (struct ql_change *change = changes; change; change = change->next) {
		if (write_change(db, change, &tally, e) == 0)
			continue;
		if (e->code == QL_E_INTERNAL &&
			change->record.eval_id[0]) /* about this very change, not about the disk */
			ql_err_prefix(e, "evaluation %s", change->record.eval_id);
		return -1;
	}
	return write_tally(db, &tally, e) ? -1 : ql_db_do(db, QL_SQL_COMMIT, e);
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
