/*
 * A selector: which evaluations are meant, as terms that must all hold. It is read from its text by
 * rules/selector.h, and here it is only what the parts that ask it share: the store makes SQL of
 * it, the others match a record. Both answer alike, for each record at each time.
 */
#ifndef QL_CORE_SELECTOR_H
#define QL_CORE_SELECTOR_H

#include <stddef.h>

#include "core/record.h"

enum ql_field {
#define X(field, word, type, value, column, means) QL_FIELD_##field,
#include "core/selector.def"
#undef X
	QL_FIELD_COUNT
};

enum ql_field_type {
	QL_FIELD_TEXT,
	QL_FIELD_LABELLED, /* a text, found by a label's name */
	QL_FIELD_WORD, /* a number that has a word */
	QL_FIELD_NUMBER,
	QL_FIELD_SPAN, /* ms, asked for as 10m */
};

enum ql_compare {
	QL_COMPARE_IN, /* one of the values; = is this one with one value */
	QL_COMPARE_NOT_IN,
	QL_COMPARE_LESS,
	QL_COMPARE_AT_MOST,
	QL_COMPARE_MORE,
	QL_COMPARE_AT_LEAST,
};

#define QL_SELECTOR_TEXT 16384 /* bytes of its text */
#define QL_SELECTOR_TERMS 32
#define QL_SELECTOR_VALUES 500 /* of all its terms together */
#define QL_SELECTOR_VALUE 256 /* bytes of one */
#define QL_SELECTOR_SPAN_MAX (100 * 365 * 86400000LL) /* ms; a hundred years */

#define QL_FIELD_NOTHING INT64_MIN /* a span that has not begun */

struct ql_value {
	int64_t number; /* WORD, NUMBER, SPAN */
	char *text; /* TEXT, LABEL: owned by the selector */
	bool prefix; /* all that begin with the text; with an empty one, all that have a value */
};

struct ql_term {
	enum ql_field field;
	enum ql_compare compare; /* IN and NOT_IN: 1 or more values; the others: one */
	char *key; /* LABEL: its name; else NULL */
	struct ql_value *values; /* owned by the selector */
	size_t value_count;
	size_t at; /* where it begins in its text, in bytes */
};

struct ql_selector {
	struct ql_term *terms;
	size_t count; /* 0 matches all */
};

const char *ql_field_word(enum ql_field field);
enum ql_field_type ql_field_type(enum ql_field field);

/* A field by its word; -1 when there is none. */
int ql_field_parse(const char *word);

/* The value of that label, or NULL; labels is what the caller gave. */
typedef const char *(ql_label_fn)(void *labels, const char *key);

/* Does each term hold for that record at that time? */
bool ql_selector_matches(const struct ql_selector *selector, const struct ql_record *record,
	int64_t now, ql_label_fn *label, void *labels);

/* Does it match an evaluation without looking at anything but this? NULL is the empty text. */
bool ql_term_takes_text(const struct ql_term *term, const char *text);
bool ql_term_takes_number(const struct ql_term *term, int64_t number);

/* Which statuses it leaves possible, as bits 1 << enum ql_status. */
uint32_t ql_selector_statuses(const struct ql_selector *selector);

#endif
