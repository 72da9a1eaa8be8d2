#include "rules/selector.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/member.h"
#include "rules/term.h"

struct reader {
	const char *text;
	const char *at;
	const char *token_at; /* where what is wrong begins */
	char token[QL_SELECTOR_VALUE + 1];
	bool plain; /* the token stood without quotes */
	size_t values;
	struct ql_err *e;
};

/* ---- refusals ---- */

/* Columns count characters from 1, as people do. */
static int
place(struct reader *reader)
{
	int column = 1;
	for (const char *at = reader->text; at < reader->token_at; at++)
		column += ((unsigned char)*at & 0xc0) != 0x80;
	return ql_err_prefix(reader->e, "selector, at column %d", column);
}

static int
wrong(struct reader *reader, const char *at, const char *expected)
{
	reader->token_at = at;
	if (*at)
		ql_fail(reader->e, QL_E_SELECTOR, "expected %s, not '%c'", expected,
			(unsigned char)*at < 0x80 ? *at : '?');
	else
		ql_fail(reader->e, QL_E_SELECTOR, "expected %s, but it ends there", expected);
	return place(reader);
}

static int
over(struct reader *reader, const char *what, int limit)
{
	ql_fail(reader->e, QL_E_SELECTOR, "it may have at most %d %s", limit, what);
	return place(reader);
}

/* ---- tokens ---- */

static void
skip_space(struct reader *reader)
{
	reader->at += strspn(reader->at, " \t\r\n");
}

static bool
skip(struct reader *reader, const char *text)
{
	size_t len = strlen(text);
	skip_space(reader);
	if (strncmp(reader->at, text, len) != 0)
		return false;
	reader->at += len;
	return true;
}

/* A word that stands alone. */
static bool
skip_word(struct reader *reader, const char *word)
{
	const char *before = reader->at;
	if (skip(reader, word) && !ql_char_is_plain(*reader->at))
		return true;
	reader->at = before;
	return false;
}

static int
put(struct reader *reader, size_t *len)
{
	if (*len == QL_SELECTOR_VALUE)
		return over(reader, "bytes in a name or a value", QL_SELECTOR_VALUE);
	reader->token[(*len)++] = *reader->at++;
	return 0;
}

static int
read_quoted(struct reader *reader)
{
	size_t len = 0;
	reader->plain = false;
	for (reader->at++; *reader->at != '"';) {
		if (*reader->at == '\\' && (reader->at[1] == '"' || reader->at[1] == '\\'))
			reader->at++;
		else if (*reader->at == '\\')
			return wrong(reader, reader->at, "\\\" or \\\\ in a quoted text");
		if (!*reader->at)
			return wrong(reader, reader->at, "a closing quote");
		if (put(reader, &len))
			return -1;
	}
	reader->at++;
	reader->token[len] = 0;
	return 0;
}

static int
read_token(struct reader *reader, const char *expected)
{
	size_t len = 0;
	skip_space(reader);
	reader->token_at = reader->at;
	reader->plain = true;
	if (*reader->at == '"')
		return read_quoted(reader);
	while (ql_char_is_plain(*reader->at)) {
		if (put(reader, &len))
			return -1;
	}
	reader->token[len] = 0;
	return len ? 0 : wrong(reader, reader->at, expected);
}

/* ---- terms ---- */

#define FIELD "the name of a field, such as status"
#define VALUE "a value; the empty one is written \"\""

static int
no_memory(struct reader *reader)
{
	return ql_fail(reader->e, QL_E_SYSTEM, "out of memory for the selector");
}

static int
unknown_field(struct reader *reader)
{
	char shown[QL_MEMBER_SHOWN + 4];
	QL_CLEAN_BUF struct ql_buf words = {0};
	for (int field = 0; field < QL_FIELD_LABEL; field++)
		ql_buf_addf(&words, "%s, ", ql_field_word((enum ql_field)field));
	ql_fail(reader->e, QL_E_SELECTOR, "'%s' is no field; those are %s%s.NAME",
		ql_member_show(reader->token, shown), words.data ? words.data : "",
		ql_field_word(QL_FIELD_LABEL));
	return place(reader);
}

/* label.team, or label."a name" */
static int
read_key(struct reader *reader, const char *name, struct ql_term *term)
{
	const char *at = reader->token_at;
	term->field = QL_FIELD_LABEL;
	if (!*name && *reader->at == '"') {
		if (read_token(reader, ""))
			return -1;
		name = reader->token;
	}
	if (!*name) {
		reader->token_at = at;
		ql_fail(reader->e, QL_E_SELECTOR, "a label has a name: label.team=ml");
		return place(reader);
	}
	term->key = strdup(name);
	return term->key ? 0 : no_memory(reader);
}

static int
read_field(struct reader *reader, struct ql_term *term)
{
	if (read_token(reader, FIELD))
		return -1;
	const char *label = ql_field_word(QL_FIELD_LABEL);
	size_t len = strlen(label);
	term->at = (size_t)(reader->token_at - reader->text);
	if (!strcmp(reader->token, label))
		return read_key(reader, "", term);
	if (!strncmp(reader->token, label, len) && reader->token[len] == '.')
		return read_key(reader, reader->token + len + 1, term);
	int field = ql_field_parse(reader->token);
	if (field < 0)
		return unknown_field(reader);
	term->field = (enum ql_field)field;
	return 0;
}

/* The longer ones first. */
static const struct {
	const char *text;
	enum ql_compare compare;
} operators[] = {
	{"!=", QL_COMPARE_NOT_IN},
	{"<=", QL_COMPARE_AT_MOST},
	{">=", QL_COMPARE_AT_LEAST},
	{"=", QL_COMPARE_IN},
	{"<", QL_COMPARE_LESS},
	{">", QL_COMPARE_MORE},
};

/* What a field of that type takes, as a refusal says it. */
static const char *
operators_of(enum ql_field_type type)
{
	if (type == QL_FIELD_SPAN)
		return "<, <=, > or >=";
	return type == QL_FIELD_NUMBER ? "=, !=, <, <=, >, >=, in or not in"
				       : "=, !=, in or not in";
}

static bool
fits(enum ql_field_type type, enum ql_compare compare)
{
	if (type == QL_FIELD_SPAN)
		return compare >= QL_COMPARE_LESS;
	return type == QL_FIELD_NUMBER || compare < QL_COMPARE_LESS;
}

static int
read_operator(struct reader *reader, struct ql_term *term, bool *ret_set)
{
	enum ql_field_type type = ql_field_type(term->field);
	char expected[64];
	skip_space(reader);
	reader->token_at = reader->at;
	snprintf(expected, sizeof(expected), "%s", operators_of(type));
	*ret_set = true;
	if (skip_word(reader, "in")) {
		term->compare = QL_COMPARE_IN;
	} else if (skip_word(reader, "not") && skip_word(reader, "in")) {
		term->compare = QL_COMPARE_NOT_IN;
	} else {
		*ret_set = false;
		reader->at = reader->token_at;
		size_t i = 0, count = sizeof(operators) / sizeof(operators[0]);
		while (i < count && !skip(reader, operators[i].text))
			i++;
		if (i == count)
			return wrong(reader, reader->at, expected);
		term->compare = operators[i].compare;
	}
	if (fits(type, term->compare))
		return 0;
	ql_fail(reader->e, QL_E_SELECTOR, "%s takes %s", ql_field_word(term->field), expected);
	return place(reader);
}

static int
read_value(struct reader *reader, struct ql_term *term)
{
	if (read_token(reader, VALUE))
		return -1;
	if (reader->values++ == QL_SELECTOR_VALUES)
		return over(reader, "values in all", QL_SELECTOR_VALUES);
	return ql_term_add(term, reader->token, reader->plain, reader->e) ? place(reader) : 0;
}

static int
read_set(struct reader *reader, struct ql_term *term)
{
	if (!skip(reader, "("))
		return wrong(reader, reader->at, "( and the values");
	skip_space(reader);
	reader->token_at = reader->at;
	if (*reader->at == ')') {
		ql_fail(reader->e, QL_E_SELECTOR, "the set is empty: name one value or more");
		return place(reader);
	}
	do {
		if (read_value(reader, term))
			return -1;
	} while (skip(reader, ","));
	return skip(reader, ")") ? 0 : wrong(reader, reader->at, ", or )");
}

static int
read_term(struct reader *reader, struct ql_term *term)
{
	bool set;
	if (read_field(reader, term) || read_operator(reader, term, &set))
		return -1;
	if (set ? read_set(reader, term) : read_value(reader, term))
		return -1;
	if (term->field == QL_FIELD_STATE) /* its values are the statuses already */
		term->field = QL_FIELD_STATUS;
	return 0;
}

/* Room for one more, zeroed, which counts from now on. */
static struct ql_term *
grow(struct ql_selector *selector)
{
	size_t size = (selector->count + 1) * sizeof(*selector->terms);
	struct ql_term *terms = realloc(selector->terms, size);
	if (!terms)
		return NULL;
	selector->terms = terms;
	terms[selector->count] = (struct ql_term){0};
	return &terms[selector->count++];
}

static int
read_terms(struct reader *reader, struct ql_selector *selector)
{
	do {
		skip_space(reader);
		reader->token_at = reader->at;
		if (selector->count == QL_SELECTOR_TERMS)
			return over(reader, "terms", QL_SELECTOR_TERMS);
		struct ql_term *term = grow(selector);
		if (!term)
			return no_memory(reader);
		if (read_term(reader, term))
			return -1;
	} while (skip(reader, ","));
	skip_space(reader);
	return *reader->at ? wrong(reader, reader->at, "a comma or the end") : 0;
}

/* ---- the whole ---- */

static int
refuse_conflict(const struct ql_selector *selector, size_t *ret_at, struct ql_err *e)
{
	const struct ql_term *other;
	const struct ql_term *term = ql_selector_conflict(selector, &other);
	if (!term)
		return 0;
	*ret_at = term->at;
	if (other)
		return ql_fail(e, QL_E_SELECTOR,
			"what is asked of %s can't hold beside what is asked of %s: it would match "
			"nothing",
			ql_field_word(term->field), ql_field_word(other->field));
	return ql_fail(e, QL_E_SELECTOR,
		"what is asked of %s can't all hold: it would match nothing",
		ql_field_word(term->field));
}

int
ql_selector_parse(
	const char *text, struct ql_selector *ret_selector, size_t *ret_at, struct ql_err *e)
{
	struct ql_err unheard;
	struct reader reader = {.text = text, .at = text, .token_at = text, .e = e ? e : &unheard};
	*ret_selector = (struct ql_selector){0};
	int rc = strlen(text) > QL_SELECTOR_TEXT ? over(&reader, "bytes", QL_SELECTOR_TEXT)
						 : read_terms(&reader, ret_selector);
	*ret_at = (size_t)(reader.token_at - text);
	if (rc == 0 && refuse_conflict(ret_selector, ret_at, reader.e)) {
		reader.token_at = text + *ret_at;
		rc = place(&reader);
	}
	if (rc)
		ql_selector_done(ret_selector);
	return rc;
}

static int
fill_term(struct ql_term *term, const char *key, const char *const *values, size_t count,
	struct ql_err *e)
{
	term->key = key ? strdup(key) : NULL;
	if (key && !term->key)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for the selector");
	for (size_t i = 0; i < count; i++) {
		if (ql_term_add(term, values[i], false, e))
			return -1;
	}
	return 0;
}

int
ql_selector_add(struct ql_selector *selector, enum ql_field field, const char *key,
	const char *const *values, size_t count, struct ql_err *e)
{
	size_t at;
	struct ql_term *term = grow(selector);
	if (!term)
		return ql_fail(e, QL_E_SYSTEM, "out of memory for the selector");
	*term = (struct ql_term){.field = field};
	if (!fill_term(term, key, values, count, e) && !refuse_conflict(selector, &at, e))
		return 0;
	ql_term_done(&selector->terms[--selector->count]);
	return -1;
}

static void
print_term(struct ql_buf *buf, const struct ql_term *term)
{
	bool set = term->value_count > 1;
	ql_buf_adds(buf, ql_field_word(term->field));
	if (term->key) {
		ql_buf_adds(buf, ".");
		ql_text_print(buf, term->key);
	}
	for (size_t i = 0; !set && i < sizeof(operators) / sizeof(operators[0]); i++) {
		if (operators[i].compare == term->compare)
			ql_buf_adds(buf, operators[i].text);
	}
	if (set)
		ql_buf_adds(buf, term->compare == QL_COMPARE_IN ? " in (" : " not in (");
	for (size_t i = 0; i < term->value_count; i++) {
		ql_buf_adds(buf, i ? "," : "");
		ql_value_print(buf, term, &term->values[i]);
	}
	ql_buf_adds(buf, set ? ")" : "");
}

int
ql_selector_print(struct ql_buf *buf, const struct ql_selector *selector)
{
	for (size_t i = 0; i < selector->count; i++) {
		ql_buf_adds(buf, i ? "," : "");
		print_term(buf, &selector->terms[i]);
	}
	return buf->failed ? -1 : 0;
}

void
ql_selector_done(struct ql_selector *selector)
{
	for (size_t i = 0; i < selector->count; i++)
		ql_term_done(&selector->terms[i]);
	free(selector->terms);
	*selector = (struct ql_selector){0};
}

/* ---- matching ---- */

/* Most selectors ask of no label: the text is parsed at the first that does. */
struct labels {
	const char *text;
	json_t *json;
};

static const char *
find_label(void *arg, const char *key)
{
	struct labels *labels = arg;
	if (!labels->json && labels->text)
		labels->json = json_loads(labels->text, 0, NULL);
	return json_string_value(json_object_get(labels->json, key));
}

bool
ql_selector_match(const struct ql_selector *selector, const struct ql_record *record, int64_t now)
{
	struct labels labels = {.text = record->labels};
	bool matches = ql_selector_matches(selector, record, now, find_label, &labels);
	json_decref(labels.json);
	return matches;
}
