#include <string.h>

#include "store/field.h"
#include "store/sqlite_select.h"

static const char *const columns[] = {
#define X(field, word, type, value, column, means) column,
#include "core/selector.def"
#undef X
};

/* A name or a value of a selector, and the text that comes after all that begin with it. */
#define AFTER (QL_SELECTOR_VALUE + 1)

/* ---- parameters ---- */

static bool
is_text(const struct ql_term *term)
{
	return ql_field_type(term->field) <= QL_FIELD_LABELLED;
}

/* All that begin with a text are two bounds; with the empty one, none is needed. */
static int
value_params(const struct ql_value *value)
{
	if (!value->prefix)
		return 1;
	return value->text[0] ? 2 : 0;
}

static int
term_params(const struct ql_term *term)
{
	int count = term->key ? 1 : 0;
	if (term->field == QL_FIELD_STATUS)
		return 0;
	if (ql_field_type(term->field) == QL_FIELD_WORD)
		return 1;
	for (size_t i = 0; i < term->value_count; i++)
		count += is_text(term) ? value_params(&term->values[i]) : 1;
	return count;
}

int
ql_term_param(const struct ql_selector *selector, size_t term)
{
	int param = QL_SELECT_TERMS;
	for (size_t i = 0; i < term; i++)
		param += term_params(&selector->terms[i]);
	return param;
}

/* ---- text ---- */

static void
value_sql(struct ql_buf *sql, const char *column, const struct ql_value *value, int param)
{
	if (!value->prefix)
		ql_buf_addf(sql, "%s = ?%d", column, param);
	else if (value->text[0])
		ql_buf_addf(sql, "(%s >= ?%d AND %s < ?%d)", column, param, column, param + 1);
	else
		ql_buf_addf(sql, "%s <> ''", column);
}

void
ql_term_values_sql(struct ql_buf *sql, const char *column, const struct ql_term *term, int param)
{
	for (size_t i = 0; i < term->value_count; i++) {
		ql_buf_adds(sql, i ? " OR " : "");
		value_sql(sql, column, &term->values[i], param);
		param += is_text(term) ? value_params(&term->values[i]) : 1;
	}
}

/* Each of its values is one that only a label can have: the table of labels knows them. */
static bool
is_indexed(const struct ql_term *term)
{
	for (size_t i = 0; i < term->value_count; i++) {
		if (term->values[i].prefix || !term->values[i].text[0])
			return false;
	}
	return true;
}

static void
label_sql(struct ql_buf *sql, const struct ql_term *term, int param)
{
	char column[64];
	if (!is_indexed(term)) {
		snprintf(column, sizeof(column), "ql_label(e.labels, ?%d)", param);
		ql_term_values_sql(sql, column, term, param + 1);
		return;
	}
	ql_buf_addf(
		sql, "EXISTS (SELECT 1 FROM labels WHERE seq = e.seq AND key = ?%d AND (", param);
	ql_term_values_sql(sql, "value", term, param + 1);
	ql_buf_adds(sql, "))");
}

static void
compare_sql(struct ql_buf *sql, const struct ql_term *term, int param)
{
	static const char *const operators[] = {
		[QL_COMPARE_LESS] = "<",
		[QL_COMPARE_AT_MOST] = "<=",
		[QL_COMPARE_MORE] = ">",
		[QL_COMPARE_AT_LEAST] = ">=",
	};
	ql_buf_addf(sql, "%s %s ?%d", columns[term->field], operators[term->compare], param);
}

static void
add_term(struct ql_buf *sql, const struct ql_term *term, int param, bool in_set)
{
	char column[64];
	ql_buf_adds(sql, term->compare == QL_COMPARE_NOT_IN ? " AND NOT (" : " AND (");
	if (term->compare > QL_COMPARE_NOT_IN) {
		compare_sql(sql, term, param);
	} else if (ql_field_type(term->field) == QL_FIELD_WORD) {
		ql_buf_addf(sql, "?%d >> %s & 1", param, columns[term->field]);
	} else if (in_set) {
		ql_label_sql(sql, term, param);
	} else if (term->key) {
		label_sql(sql, term, param);
	} else if (is_text(term) && term->field != QL_FIELD_EVAL_ID) {
		snprintf(column, sizeof(column), "ifnull(%s, '')", columns[term->field]);
		ql_term_values_sql(sql, column, term, param);
	} else {
		ql_term_values_sql(sql, columns[term->field], term, param);
	}
	ql_buf_adds(sql, ")");
}

void
ql_term_sql(struct ql_buf *sql, const struct ql_selector *selector, size_t term,
	const struct ql_label_sets *sets)
{
	if (selector->terms[term].field != QL_FIELD_STATUS)
		add_term(sql, &selector->terms[term], ql_term_param(selector, term),
			sets->sets[term] != NULL);
}

/* ---- binding ---- */

/* UTF-8 has no byte 0xff, so that the last one can always be raised. */
static void
bind_after(sqlite3_stmt *stmt, int param, const char *text)
{
	char after[AFTER];
	size_t len = strlen(text);
	memcpy(after, text, len);
	after[len - 1]++;
	sqlite3_bind_text(stmt, param, after, (int)len, SQLITE_TRANSIENT);
}

static void
bind_text(sqlite3_stmt *stmt, const struct ql_value *value, int param)
{
	if (!value_params(value))
		return;
	ql_field_bind_text(stmt, param, value->text);
	if (value->prefix)
		bind_after(stmt, param + 1, value->text);
}

void
ql_term_bind(sqlite3_stmt *stmt, const struct ql_selector *selector, size_t at)
{
	const struct ql_term *term = &selector->terms[at];
	int param = ql_term_param(selector, at);
	int64_t set = 0;
	if (term->key)
		ql_field_bind_text(stmt, param++, term->key);
	for (size_t i = 0; i < term->value_count; i++) {
		const struct ql_value *value = &term->values[i];
		if (ql_field_type(term->field) == QL_FIELD_WORD) {
			set |= 1LL << value->number;
			sqlite3_bind_int64(stmt, param, set);
		} else if (is_text(term)) {
			bind_text(stmt, value, param);
			param += value_params(value);
		} else {
			sqlite3_bind_int64(stmt, param++, value->number);
		}
	}
}

void
ql_terms_bind(
	sqlite3_stmt *stmt, const struct ql_selector *selector, const struct ql_label_sets *sets)
{
	for (size_t i = 0; selector && i < selector->count; i++) {
		if (sets->sets[i])
			ql_label_bind(stmt, sets, i, ql_term_param(selector, i));
		else if (selector->terms[i].field != QL_FIELD_STATUS)
			ql_term_bind(stmt, selector, i);
	}
}
