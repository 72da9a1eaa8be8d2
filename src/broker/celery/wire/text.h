/*
 * JSON as text, and JSON as Python writes it. What Quell edits in another program's message it edits
 * as text, so that not one other byte of it changes; and what it looks for in 200,000 messages it finds
 * without building 200,000 trees. Slices are borrowed from the text. Every function is total:
 * any bytes are welcome, nothing recurses.
 */
#ifndef QL_BROKER_CELERY_WIRE_TEXT_H
#define QL_BROKER_CELERY_WIRE_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct ql_text {
	const char *at;
	size_t len;
};

/*
 * The value of an object's first member of that name, an array's first element, as they stand: 1;
 * there is none: 0; the text is neither, or is broken before the place: -1.
 */
int ql_text_member(struct ql_text object, const char *name, struct ql_text *ret_value);
int ql_text_first(struct ql_text array, struct ql_text *ret_value);

/*
 * The same, without a look at what follows: 1 with where the value starts, up to the end of the
 * object's text. What comes first is found first, however long the rest.
 */
int ql_text_find(struct ql_text object, const char *name, struct ql_text *ret_rest);

/* The inside of the string at the start of a text, where nothing in it is escaped. */
bool ql_text_plain(struct ql_text text, struct ql_text *ret_inside);

/* A copy with the slice of it replaced; NULL = no memory. The caller frees it. */
char *
ql_text_replace(struct ql_text whole, struct ql_text slice, struct ql_text by, size_t *ret_len);

/*
 * The value. What Python writes and JSON does not have (NaN, Infinity, half a surrogate pair, integers
 * beyond 64 bits) is read as the nearest that JSON has: null, U+FFFD, a real. A name twice in one object is
 * refused, since readers differ in which of the two they take. NULL: e has a sentence.
 */
json_t *ql_text_load(struct ql_text text, struct ql_err *e);

/* A copy of a string member without NUL in it; NULL where it is none. The caller frees it. */
char *ql_text_copy(const json_t *object, const char *name);

/* Python's isoformat(), UTC where it says none, to unix ms. -1 when it isn't such a time. */
int ql_text_time(const char *text, int64_t *ret_ms);

#endif
