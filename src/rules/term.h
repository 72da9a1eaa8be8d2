/* The parts of a selector, for the files that make one. */
#ifndef QL_RULES_TERM_H
#define QL_RULES_TERM_H

#include "base/buf.h"
#include "base/err.h"
#include "core/selector.h"

/* The words that a WORD field takes: number counts up from 0; NULL stands for the empty one. */
const char *ql_field_value_word(enum ql_field field, int number);
int ql_field_value_count(enum ql_field field);

/* The least and the greatest number that a field can have. */
int64_t ql_field_min(enum ql_field field);
int64_t ql_field_max(enum ql_field field);

/*
 * Adds what the text stands for, as the term's field has it; one of Celery's words may be several
 * statuses. plain: it stood without quotes. What was added before stays on failure.
 */
int ql_term_add(struct ql_term *term, const char *text, bool plain, struct ql_err *e);

/* Appends the value as it is written in a selector. */
void ql_value_print(struct ql_buf *buf, const struct ql_term *term, const struct ql_value *value);

/* Appends the text, in quotes where it needs them. */
void ql_text_print(struct ql_buf *buf, const char *text);

void ql_term_done(struct ql_term *term);

/* May it stand in a name or a value without quotes? */
bool ql_char_is_plain(char c);

/*
 * The last term on a field whose terms together leave nothing to match, or one that can't hold beside
 * *ret_other, of another field; NULL = there is none.
 */
const struct ql_term *
ql_selector_conflict(const struct ql_selector *selector, const struct ql_term **ret_other);

#endif
