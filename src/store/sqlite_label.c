#include "store/sqlite_label.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite_select.h"

#define POINTER "quell's set of evaluations" /* the type of the pointer, for SQLite */
#define PAGE 4096 /* numbers whose bits are allocated together */
#define SEQ_MAX (1LL << 36) /* far beyond what a store lives to see: 128 MiB of places for pages */

struct page {
	uint64_t bits[PAGE / 64];
};

/* Numbers in use are dense, but for those that were forgotten. */
struct seqs {
	struct page **pages;
	size_t count;
};

/* ---- sets ---- */

static void
seqs_free(struct seqs *seqs)
{
	if (!seqs)
		return;
	for (size_t i = 0; i < seqs->count; i++)
		free(seqs->pages[i]);
	free(seqs->pages);
	free(seqs);
}

static int
grow(struct seqs *seqs, size_t at)
{
	size_t count = 2 * at + 16;
	if (at < seqs->count)
		return 0;
	struct page **pages = realloc(seqs->pages, count * sizeof(*pages));
	if (!pages)
		return -1;
	memset(pages + seqs->count, 0, (count - seqs->count) * sizeof(*pages));
	seqs->pages = pages;
	seqs->count = count;
	return 0;
}

static int
add(struct seqs *seqs, int64_t seq)
{
	size_t at = (size_t)(seq / PAGE);
	if (seq < 0 || seq >= SEQ_MAX || grow(seqs, at))
		return -1;
	if (!seqs->pages[at] && !(seqs->pages[at] = calloc(1, sizeof(struct page))))
		return -1;
	seqs->pages[at]->bits[seq % PAGE / 64] |= 1ULL << seq % 64;
	return 0;
}

static bool
has(const struct seqs *seqs, int64_t seq)
{
	if (seq < 0 || (uint64_t)seq / PAGE >= seqs->count)
		return false;
	const struct page *page = seqs->pages[seq / PAGE];
	return page && page->bits[seq % PAGE / 64] >> seq % 64 & 1;
}

/* ---- read ---- */

/* Who has no such label is taken too: its value is the empty text. */
static bool
takes_none(const struct ql_term *term)
{
	for (size_t i = 0; i < term->value_count; i++) {
		if (!term->values[i].prefix && !term->values[i].text[0])
			return true;
	}
	return false;
}

static int
read_set(struct seqs *seqs, struct ql_db *db, sqlite3_stmt *stmt, struct ql_err *e)
{
	int rc;
	while ((rc = ql_db_step(db, stmt, e)) == 1) {
		if (add(seqs, sqlite3_column_int64(stmt, 0)))
			return ql_fail(e, QL_E_SYSTEM, "out of memory for a set of labels");
	}
	return rc;
}

int
ql_label_read(struct ql_label_sets *sets, struct ql_db *db, const struct ql_selector *selector,
	size_t term, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf sql = {0};
	sqlite3_stmt *stmt;
	int param = ql_term_param(selector, term);
	bool none = takes_none(&selector->terms[term]);
	ql_buf_addf(&sql, "SELECT seq FROM labels WHERE key = ?%d AND %s(", param,
		none ? "value <> '' AND NOT " : "");
	ql_term_values_sql(&sql, "value", &selector->terms[term], param + 1);
	sets->sets[term] = calloc(1, sizeof(*sets->sets[term]));
	if (ql_buf_adds(&sql, ")") || !sets->sets[term])
		return ql_fail(e, QL_E_SYSTEM, "out of memory");
	if (sqlite3_prepare_v2(db->sql, sql.data, -1, &stmt, NULL) != SQLITE_OK)
		return ql_db_fail(db, e, "the database refused");
	ql_term_bind(stmt, selector, term);
	int rc = read_set(sets->sets[term], db, stmt, e);
	sqlite3_finalize(stmt);
	return rc;
}

void
ql_label_sets_done(struct ql_label_sets *sets)
{
	for (size_t i = 0; i < QL_SELECTOR_TERMS; i++)
		seqs_free(sets->sets[i]);
	*sets = (struct ql_label_sets){0};
}

/* ---- in a statement ---- */

void
ql_label_sql(struct ql_buf *sql, const struct ql_term *term, int param)
{
	ql_buf_addf(sql, "%sql_among(?%d, e.seq)", takes_none(term) ? "NOT " : "", param);
}

void
ql_label_bind(sqlite3_stmt *stmt, const struct ql_label_sets *sets, size_t term, int param)
{
	sqlite3_bind_pointer(stmt, param, sets->sets[term], POINTER, NULL);
}

/* ---- functions ---- */

static void
among(sqlite3_context *context, int count, sqlite3_value **values)
{
	const struct seqs *seqs = sqlite3_value_pointer(values[0], POINTER);
	bool found = count == 2 && seqs && has(seqs, sqlite3_value_int64(values[1]));
	sqlite3_result_int(context, found);
}

static void
label_of(sqlite3_context *context, int count, sqlite3_value **values)
{
	const char *text = (const char *)sqlite3_value_text(values[0]);
	const char *name = (const char *)sqlite3_value_text(values[1]);
	json_t *labels = count == 2 && text ? json_loads(text, 0, NULL) : NULL;
	const char *label = name ? json_string_value(json_object_get(labels, name)) : NULL;
	sqlite3_result_text(context, label ? label : "", -1, SQLITE_TRANSIENT);
	json_decref(labels);
}

int
ql_label_register(sqlite3 *sql)
{
	int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
	int rc = sqlite3_create_function_v2(
		sql, "ql_label", 2, flags, NULL, label_of, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return rc;
	return sqlite3_create_function_v2(sql, "ql_among", 2, flags, NULL, among, NULL, NULL, NULL);
}
