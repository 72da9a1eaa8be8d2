/*
 * Selectors as people write them:
 *
 *	owner=alice,status in (queued,running),priority<5,age>10m,label.team=ml,language!=c
 *
 * Terms with a comma between them, which must all hold. core/selector.def names the fields and what
 * each type of them takes; a value with anything but plain characters stands in double quotes, with
 * \" and \\ for these two; an unquoted text that ends in * stands for all that begin so. What an
 * evaluation doesn't have is the empty text: session="" are those without a session, session=* those
 * with one. A selector is parsed once and then asked by the store, or of a record.
 */
#ifndef QL_RULES_SELECTOR_H
#define QL_RULES_SELECTOR_H

#include "base/buf.h"
#include "base/err.h"
#include "core/selector.h"

/*
 * text is UTF-8. On failure (QL_E_SELECTOR) the sentence names the column and what was expected,
 * *ret_at is the same place in bytes from the start, and the selector is empty. A text without
 * terms is refused, and terms that nothing can match together.
 */
int ql_selector_parse(
	const char *text, struct ql_selector *ret_selector, size_t *ret_at, struct ql_err *e);

/*
 * Adds a term: one of the values, as they stand, which are copied. key is a label's name, else
 * NULL. The selector may be a zeroed one, and is as it was on failure.
 */
int ql_selector_add(struct ql_selector *selector, enum ql_field field, const char *key,
	const char *const *values, size_t count, struct ql_err *e);

/* Its one text, whatever it was read from: parsed again, it gives the same. */
int ql_selector_print(struct ql_buf *buf, const struct ql_selector *selector);

/* Does it match that evaluation at that time (unix ms)? */
bool
ql_selector_match(const struct ql_selector *selector, const struct ql_record *record, int64_t now);

/* Safe on a zeroed struct. */
void ql_selector_done(struct ql_selector *selector);

#endif
