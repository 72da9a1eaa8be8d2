#include "base/word.h"

#include <string.h>

static const char *
word_at(struct ql_words words, size_t row)
{
	return *(const char *const *)((const char *)words.rows + row * words.size);
}

int
ql_words_find(struct ql_words words, const char *word)
{
	for (size_t row = 0; word && row < words.count; row++) {
		const char *here = word_at(words, row);
		if (here && !strcmp(here, word))
			return (int)row;
	}
	return -1;
}

void
ql_words_list(struct ql_words words, struct ql_buf *buf)
{
	bool first = true;
	for (size_t row = 0; row < words.count; row++) {
		const char *here = word_at(words, row);
		if (!here)
			continue;
		ql_buf_addf(buf, "%s%s", first ? "" : ", ", here);
		first = false;
	}
}
