/* Words in tables: arrays that grow from a .def file, and whose rows begin with their word. */
#ifndef QL_BASE_WORD_H
#define QL_BASE_WORD_H

#include <stddef.h>

#include "base/buf.h"

struct ql_words {
	const void *rows; /* borrowed */
	size_t count;
	size_t size; /* of a row, in bytes: a `const char *`, or NULL for none, is its head */
};

#define QL_WORDS(array) \
	((struct ql_words){(array), sizeof(array) / sizeof((array)[0]), sizeof((array)[0])})

/* The number of the row that has the word; -1 = none has, or it is NULL. */
int ql_words_find(struct ql_words words, const char *word);

/* Appends them all, as "queued, running, lost". */
void ql_words_list(struct ql_words words, struct ql_buf *buf);

#endif
