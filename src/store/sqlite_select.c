#include "store/sqlite_select.h"

#include <stdlib.h>

#include "store/field.h"
#include "store/row.h"

/* By what the rows are found. The queue and the done have an index for each priority or status. */
enum drive { BY_ID, BY_LABEL, BY_OWNER, BY_WAITING, BY_LIVE, BY_DONE, BY_ALL };

static const char *const from[] = {
	[BY_ID] = "evaluations e INDEXED BY sqlite_autoindex_evaluations_1 WHERE +e.seq <= ?5",
	[BY_OWNER] = "evaluations e INDEXED BY evaluations_owner WHERE e.seq <= ?5",
	[BY_WAITING] = "evaluations e INDEXED BY evaluations_waiting"
		       " WHERE e.place = 0 AND e.seq <= ?5",
	[BY_LIVE] = "evaluations e INDEXED BY evaluations_live WHERE e.place = 1 AND e.seq <= ?5",
	[BY_DONE] = "evaluations e INDEXED BY evaluations_done"
		    " WHERE e.place = 2 AND e.status = ?7 AND e.seq <= ?5",
	[BY_ALL] = "evaluations e NOT INDEXED WHERE e.seq <= ?5",
};

#define ALL_STATUSES ((1u << QL_STATUS_COUNT) - 1)

struct query {
	struct ql_db *db;
	struct ql_store_read *op;
	struct ql_finds *finds; /* NULL = only counted */
	const struct ql_selector *selector; /* or NULL */
	uint32_t statuses;
	int owner; /* the parameter that has the one owner; 0 = there may be others */
	int label; /* the parameter that has a label's name, followed by its value; 0 = none */
	size_t label_term; /* 1 + the term that says so */
	struct ql_label_sets sets; /* for what is counted among many */
	size_t id; /* 1 + the term that names whole ids, or what they begin with; 0 = none */
};

static int
no_memory(struct ql_err *e)
{
	return ql_fail(e, QL_E_SYSTEM, "out of memory");
}

/* ---- what the terms say ---- */

static bool
is_one(const struct ql_term *term)
{
	return term->compare == QL_COMPARE_IN && term->value_count == 1 &&
	       !term->values[0].prefix && term->values[0].text[0];
}

/* With an index: whole ids, or one beginning. */
static bool
names_ids(const struct ql_term *term)
{
	if (term->field != QL_FIELD_EVAL_ID || term->compare != QL_COMPARE_IN)
		return false;
	for (size_t i = 0; term->value_count > 1 && i < term->value_count; i++) {
		if (term->values[i].prefix)
			return false;
	}
	return !term->values[0].prefix || term->values[0].text[0];
}

static void
look_at(struct query *query, size_t i)
{
	const struct ql_term *term = &query->selector->terms[i];
	int param = ql_term_param(query->selector, i);
	if (names_ids(term)) {
		query->id = i + 1;
	} else if (term->field == QL_FIELD_OWNER && is_one(term) && !query->owner) {
		query->owner = param;
	} else if (term->field == QL_FIELD_LABEL && is_one(term) && !query->label) {
		query->label = param;
		query->label_term = i + 1;
	}
}

static void
look(struct query *query)
{
	const struct ql_filter *filter = &query->op->filter;
	query->selector = filter->selector;
	query->statuses = filter->statuses ? filter->statuses : ALL_STATUSES;
	query->owner = filter->owner ? QL_SELECT_OWNER : 0;
	if (!query->selector)
		return;
	query->statuses &= ql_selector_statuses(query->selector);
	for (size_t i = 0; i < query->selector->count; i++)
		look_at(query, i);
}

/* Nothing but what the indexes of the queue and of the done hold. */
static bool
is_in_parts(const struct query *query)
{
	bool waits = query->statuses == 1u << QL_STATUS_QUEUED;
	for (size_t i = 0; query->selector && i < query->selector->count; i++) {
		enum ql_field field = query->selector->terms[i].field;
		if (field != QL_FIELD_STATUS && field != QL_FIELD_OWNER &&
			!(field == QL_FIELD_PRIORITY && waits))
			return false;
	}
	return true;
}

static bool
is_of_owner(const struct query *query)
{
	for (size_t i = 0; query->selector && i < query->selector->count; i++) {
		if (query->selector->terms[i].field != QL_FIELD_OWNER)
			return false;
	}
	return query->owner && query->statuses == ALL_STATUSES;
}

/* ---- statements ---- */

static void
from_sql(const struct query *query, enum drive drive, struct ql_buf *sql)
{
	if (drive == BY_LABEL)
		ql_buf_addf(sql,
			"labels l CROSS JOIN evaluations e ON e.seq = l.seq"
			" WHERE l.key = ?%d AND l.value = ?%d AND l.seq <= ?5",
			query->label, query->label + 1);
	else
		ql_buf_adds(sql, from[drive]);
	if (drive == BY_OWNER)
		ql_buf_addf(sql, " AND e.owner = ?%d", query->owner);
}

static void
order_sql(const struct query *query, enum drive drive, struct ql_buf *sql)
{
	bool oldest = query->op->kind == QL_READ_MATCHES;
	const char *seq = drive == BY_LABEL ? "l.seq" : drive == BY_ID ? "+e.seq" : "e.seq";
	if (drive == BY_WAITING)
		ql_buf_adds(sql, " AND e.priority = ?7");
	ql_buf_addf(sql, " AND %s %s ?2", seq, oldest ? ">" : "<");
	ql_buf_addf(sql, " ORDER BY %s %s LIMIT ?1", seq, oldest ? "" : "DESC");
}

/* What waits is queued, and its index doesn't say so once more. */
static int
query_sql(const struct query *query, enum drive drive, struct ql_buf *sql)
{
	if (drive == BY_WAITING)
		ql_buf_addf(sql, "SELECT e.seq, %d FROM ", QL_STATUS_QUEUED);
	else
		ql_buf_adds(sql, "SELECT e.seq, e.status FROM ");
	from_sql(query, drive, sql);
	if (query->op->filter.owner && drive != BY_OWNER)
		ql_buf_adds(sql, " AND e.owner = ?3");
	if (drive != BY_WAITING && query->statuses != ALL_STATUSES)
		ql_buf_adds(sql, " AND ?6 >> e.status & 1");
	for (size_t i = 0; query->selector && i < query->selector->count; i++) {
		if (drive != BY_LABEL || i + 1 != query->label_term) /* found by it: it holds */
			ql_term_sql(sql, query->selector, i, &query->sets);
	}
	if (query->finds)
		order_sql(query, drive, sql);
	return sql->failed ? no_memory(&query->op->err) : 0;
}

static void
bind_all(const struct query *query, sqlite3_stmt *stmt, int64_t limit, int64_t number)
{
	const struct ql_filter *filter = &query->op->filter;
	bool oldest = query->op->kind == QL_READ_MATCHES;
	sqlite3_bind_int64(stmt, QL_SELECT_LIMIT, limit);
	sqlite3_bind_int64(
		stmt, QL_SELECT_CURSOR, filter->cursor || oldest ? filter->cursor : INT64_MAX);
	ql_field_bind_text(stmt, QL_SELECT_OWNER, filter->owner);
	sqlite3_bind_int64(stmt, QL_SELECT_NOW, filter->now);
	sqlite3_bind_int64(stmt, QL_SELECT_UPTO, filter->upto ? filter->upto : INT64_MAX);
	sqlite3_bind_int64(stmt, QL_SELECT_STATUSES, query->statuses);
	sqlite3_bind_int64(stmt, QL_SELECT_NUMBER, number);
	ql_terms_bind(stmt, query->selector, &query->sets);
}

static int
take(struct query *query, sqlite3_stmt *stmt)
{
	struct ql_found found = {
		.seq = sqlite3_column_int64(stmt, 0),
		.status = sqlite3_column_int(stmt, 1),
	};
	if (query->finds)
		return ql_finds_add(query->finds, found, &query->op->err);
	query->op->counts[found.status]++;
	return 0;
}

static int
prepare(struct query *query, const struct ql_buf *sql, sqlite3_stmt **ret_stmt)
{
	if (sqlite3_prepare_v2(query->db->sql, sql->data, -1, ret_stmt, NULL) == SQLITE_OK)
		return 0;
	return ql_db_fail(query->db, &query->op->err, "the database refused");
}

/* number is a priority or a status. One more than asked for says whether there is another page. */
static int
run(struct query *query, enum drive drive, int64_t number)
{
	QL_CLEAN_BUF struct ql_buf sql = {0};
	sqlite3_stmt *stmt;
	if (query_sql(query, drive, &sql) || prepare(query, &sql, &stmt))
		return -1;
	bind_all(query, stmt, (int64_t)ql_row_limit(&query->op->filter) + 1, number);
	int rc;
	while ((rc = ql_db_step(query->db, stmt, &query->op->err)) == 1) {
		if (take(query, stmt)) {
			rc = -1;
			break;
		}
	}
	sqlite3_finalize(stmt);
	return rc;
}

/* Adds how many rows an index would lead to; stops counting when that is more than `most`. */
static int
probe(struct query *query, enum drive drive, int64_t number, int64_t most, int64_t *count)
{
	QL_CLEAN_BUF struct ql_buf sql = {0};
	sqlite3_stmt *stmt;
	if (*count > most)
		return 0;
	ql_buf_adds(&sql, "SELECT count(*) FROM (SELECT 1 FROM ");
	if (drive == BY_LABEL)
		ql_buf_addf(&sql, "labels WHERE key = ?%d AND value = ?%d", query->label,
			query->label + 1);
	else
		from_sql(query, drive, &sql);
	if (drive == BY_ID)
		ql_term_sql(&sql, query->selector, query->id - 1, &query->sets);
	if (ql_buf_adds(&sql, " LIMIT ?1)"))
		return no_memory(&query->op->err);
	if (prepare(query, &sql, &stmt))
		return -1;
	bind_all(query, stmt, most + 1, number);
	int rc = ql_db_step(query->db, stmt, &query->op->err);
	if (rc == 1)
		*count += sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return rc == 1 ? 0 : -1;
}

/* ---- the queue, the live, the done ---- */

static bool
has_done(const struct query *query, int status)
{
	return query->statuses >> status & 1 && ql_status_settled((enum ql_status)status);
}

static int
probe_parts(struct query *query, int64_t *count)
{
	int rc = 0;
	if (query->statuses >> QL_STATUS_QUEUED & 1)
		rc = probe(query, BY_WAITING, 0, QL_STORE_LOOKUPS_MAX, count);
	for (int status = 0; rc == 0 && status < QL_STATUS_COUNT; status++) {
		if (has_done(query, status))
			rc = probe(query, BY_DONE, status, QL_STORE_LOOKUPS_MAX, count);
	}
	return rc;
}

/* In order, each priority is a part of its own. */
static int
run_waiting(struct query *query)
{
	int rc = 0;
	if (!query->finds)
		return run(query, BY_WAITING, 0);
	for (int priority = 0; rc == 0 && priority <= QL_PRIORITY_MAX; priority++)
		rc = run(query, BY_WAITING, priority);
	return rc;
}

static int
newest_first(const void *a, const void *b)
{
	int64_t one = ((const struct ql_found *)a)->seq;
	int64_t two = ((const struct ql_found *)b)->seq;
	return (one < two) - (one > two);
}

static int
oldest_first(const void *a, const void *b)
{
	return newest_first(b, a);
}

static int
run_parts(struct query *query)
{
	struct ql_finds *finds = query->finds;
	int rc = run(query, BY_LIVE, 0);
	if (rc == 0 && query->statuses >> QL_STATUS_QUEUED & 1)
		rc = run_waiting(query);
	for (int status = 0; rc == 0 && status < QL_STATUS_COUNT; status++) {
		if (has_done(query, status))
			rc = run(query, BY_DONE, status);
	}
	if (finds && finds->count)
		qsort(finds->items, finds->count, sizeof(*finds->items),
			query->op->kind == QL_READ_MATCHES ? oldest_first : newest_first);
	return rc;
}

/* ---- which ---- */

/* Does that index lead to no more rows? */
static int
is_within(struct query *query, enum drive drive, int64_t most, bool *ret_within)
{
	int64_t count = 0;
	*ret_within = false;
	if (probe(query, drive, 0, most, &count))
		return -1;
	*ret_within = count <= most;
	return 0;
}

static int
is_few(struct query *query, enum drive drive, bool *ret_few)
{
	return is_within(query, drive, QL_STORE_LOOKUPS_MAX, ret_few);
}

/* The index of few rows, or BY_ALL; BY_LIVE stands for the three parts. */
static int
choose_few(struct query *query, enum drive *ret_drive)
{
	int64_t count = 0;
	bool few = false;
	*ret_drive = BY_ALL;
	if (query->id && is_few(query, *ret_drive = BY_ID, &few))
		return -1;
	if (!few && query->label && is_few(query, *ret_drive = BY_LABEL, &few))
		return -1;
	if (!few && query->owner && is_few(query, *ret_drive = BY_OWNER, &few))
		return -1;
	if (few)
		return 0;
	*ret_drive = BY_ALL;
	if (query->statuses == ALL_STATUSES)
		return 0;
	if (!is_in_parts(query) && probe_parts(query, &count))
		return -1;
	if (count <= QL_STORE_LOOKUPS_MAX)
		*ret_drive = BY_LIVE;
	return 0;
}

/* Where many rows match either way: what is in order by itself, or has been asked of the label. */
static int
choose_many(struct query *query, enum drive *ret_drive)
{
	bool by_label = query->label;
	if (by_label && !query->finds &&
		is_within(query, BY_LABEL, QL_STORE_LABELLED_MAX, &by_label))
		return -1;
	*ret_drive = by_label ? BY_LABEL : query->finds && is_of_owner(query) ? BY_OWNER : BY_ALL;
	return 0;
}

/* A page is full after few rows, most times: each of them is asked. */
static int
read_labels(struct query *query, enum drive drive)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && query->selector && i < query->selector->count; i++) {
		bool found_by = drive == BY_LABEL && i + 1 == query->label_term;
		if (query->selector->terms[i].field == QL_FIELD_LABEL && !found_by)
			rc = ql_label_read(
				&query->sets, query->db, query->selector, i, &query->op->err);
	}
	return rc;
}

static int
run_all(struct query *query)
{
	enum drive drive;
	look(query);
	if (choose_few(query, &drive))
		return -1;
	if (drive == BY_LIVE)
		return run_parts(query);
	if (drive != BY_ALL)
		return run(query, drive, 0);
	if (choose_many(query, &drive) || (!query->finds && read_labels(query, drive)))
		return -1;
	return run(query, drive, 0);
}

int
ql_sqlite_select(struct ql_db *db, struct ql_store_read *op, struct ql_finds *finds)
{
	struct query query = {.db = db, .op = op, .finds = finds};
	return run_all(&query);
}

int
ql_sqlite_count(struct ql_db *db, struct ql_store_read *op)
{
	struct query query = {.db = db, .op = op};
	int rc = run_all(&query);
	ql_label_sets_done(&query.sets);
	return rc;
}
