#include "core/selector.h"

#include <string.h>

#include "base/word.h"

#define TYPE_TEXT QL_FIELD_TEXT
#define TYPE_LABEL QL_FIELD_LABELLED
#define TYPE_WORD QL_FIELD_WORD
#define TYPE_NUMBER QL_FIELD_NUMBER
#define TYPE_SPAN QL_FIELD_SPAN

static const struct {
	const char *word;
	enum ql_field_type type;
} fields[] = {
#define X(field, word, type, value, column, means) {word, TYPE_##type},
#include "core/selector.def"
#undef X
};

const char *
ql_field_word(enum ql_field field)
{
	return fields[field].word;
}

int
ql_field_parse(const char *word)
{
	return ql_words_find(QL_WORDS(fields), word);
}

enum ql_field_type
ql_field_type(enum ql_field field)
{
	return fields[field].type;
}

/* ---- what a record has ---- */

#define IF_TEXT(field, value) \
	case QL_FIELD_##field: \
		return value;
#define IF_NUMBER(field, value)
#define TEXT_TEXT(field, value) IF_TEXT(field, value)
#define TEXT_LABEL(field, value) IF_NUMBER(field, value)
#define TEXT_WORD(field, value) IF_NUMBER(field, value)
#define TEXT_NUMBER(field, value) IF_NUMBER(field, value)
#define TEXT_SPAN(field, value) IF_NUMBER(field, value)
#define NUMBER_TEXT(field, value) IF_NUMBER(field, value)
#define NUMBER_LABEL(field, value) IF_NUMBER(field, value)
#define NUMBER_WORD(field, value) IF_TEXT(field, value)
#define NUMBER_NUMBER(field, value) IF_TEXT(field, value)
#define NUMBER_SPAN(field, value) IF_TEXT(field, value)

static const char *
text_of(enum ql_field field, const struct ql_record *r)
{
	switch (field) {
#define X(field, word, type, value, column, means) TEXT_##type(field, value)
#include "core/selector.def"
#undef X
	default:
		return NULL;
	}
}

/* From a time, which may not have come, to another or until now. */
static int64_t
since(int64_t from, int64_t until, int64_t now)
{
	return from ? (until ? until : now) - from : QL_FIELD_NOTHING;
}

static int64_t
number_of(enum ql_field field, const struct ql_record *r, int64_t now)
{
	switch (field) {
#define X(field, word, type, value, column, means) NUMBER_##type(field, value)
#include "core/selector.def"
#undef X
	default:
		return QL_FIELD_NOTHING;
	}
}

/* ---- terms ---- */

static bool
is_text(const struct ql_value *value, const char *text)
{
	if (!value->prefix)
		return !strcmp(text, value->text);
	size_t len = strlen(value->text);
	return len ? strlen(text) >= len && !memcmp(text, value->text, len) : *text != 0;
}

bool
ql_term_takes_text(const struct ql_term *term, const char *text)
{
	for (size_t i = 0; i < term->value_count; i++) {
		if (is_text(&term->values[i], text ? text : ""))
			return term->compare == QL_COMPARE_IN;
	}
	return term->compare == QL_COMPARE_NOT_IN;
}

static bool
is_among(const struct ql_term *term, int64_t number)
{
	for (size_t i = 0; i < term->value_count; i++) {
		if (term->values[i].number == number)
			return true;
	}
	return false;
}

bool
ql_term_takes_number(const struct ql_term *term, int64_t number)
{
	int64_t bound = term->values[0].number;
	if (number == QL_FIELD_NOTHING)
		return false;
	switch (term->compare) {
	case QL_COMPARE_IN:
		return is_among(term, number);
	case QL_COMPARE_NOT_IN:
		return !is_among(term, number);
	case QL_COMPARE_LESS:
		return number < bound;
	case QL_COMPARE_AT_MOST:
		return number <= bound;
	case QL_COMPARE_MORE:
		return number > bound;
	case QL_COMPARE_AT_LEAST:
		return number >= bound;
	}
	return false;
}

bool
ql_selector_matches(const struct ql_selector *selector, const struct ql_record *record, int64_t now,
	ql_label_fn *label, void *labels)
{
	for (size_t i = 0; i < selector->count; i++) {
		const struct ql_term *term = &selector->terms[i];
		bool takes;
		if (term->key)
			takes = ql_term_takes_text(term, label(labels, term->key));
		else if (fields[term->field].type == QL_FIELD_TEXT)
			takes = ql_term_takes_text(term, text_of(term->field, record));
		else
			takes = ql_term_takes_number(term, number_of(term->field, record, now));
		if (!takes)
			return false;
	}
	return true;
}

uint32_t
ql_selector_statuses(const struct ql_selector *selector)
{
	uint32_t statuses = (1u << QL_STATUS_COUNT) - 1;
	for (size_t i = 0; i < selector->count; i++) {
		if (selector->terms[i].field != QL_FIELD_STATUS)
			continue;
		for (int status = 0; status < QL_STATUS_COUNT; status++) {
			if (!ql_term_takes_number(&selector->terms[i], status))
				statuses &= ~(1u << status);
		}
	}
	return statuses;
}
