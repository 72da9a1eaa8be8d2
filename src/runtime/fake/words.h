/* Programs of the fakes: what a run does, written as words NAME=VALUE, in any order. */
#ifndef QL_RUNTIME_FAKE_WORDS_H
#define QL_RUNTIME_FAKE_WORDS_H

#include <stddef.h>

#include "base/err.h"

#define QL_FAKE_TEXT_SIZE 64 /* bytes of a TEXT, with its NUL */

enum ql_fake_word_kind {
	QL_FAKE_NUMBER, /* int64_t */
	QL_FAKE_TIME, /* int64_t ms; "never" is -1 */
	QL_FAKE_CHOICE, /* an enum: its place among the choices */
	QL_FAKE_TEXT, /* char[QL_FAKE_TEXT_SIZE] */
};

struct ql_fake_word {
	const char *name; /* NULL ends a table */
	enum ql_fake_word_kind kind;
	size_t at; /* of the field */
	const char *const *choices; /* NULL-terminated */
};

/* Sets the fields that are named; text is cut up. */
int ql_fake_words_read(char *text, const struct ql_fake_word *words, void *ret, struct ql_err *e);

#endif
