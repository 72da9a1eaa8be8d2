/* Programs of the fakes, as words NAME=VALUE in a text. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "runtime/fake/words.h"

static int
set_choice(const struct ql_fake_word *word, const char *value, unsigned *ret_choice)
{
	for (unsigned i = 0; word->choices[i]; i++) {
		if (!strcmp(word->choices[i], value)) {
			*ret_choice = i;
			return 0;
		}
	}
	return -1;
}

static int
set_value(const struct ql_fake_word *word, const char *value, void *ret)
{
	void *field = (char *)ret + word->at;
	switch (word->kind) {
	case QL_FAKE_TEXT:
		return ql_str_copy(field, QL_FAKE_TEXT_SIZE, value);
	case QL_FAKE_CHOICE:
		return set_choice(word, value, field);
	case QL_FAKE_TIME:
		if (!strcmp(value, "never"))
			return *(int64_t *)field = -1, 0;
		break;
	case QL_FAKE_NUMBER:
		break;
	}
	return ql_str_int(value, 0, INT32_MAX, field);
}

static int
set_word(char *text, const struct ql_fake_word *words, void *ret, struct ql_err *e)
{
	char *equals = strchr(text, '=');
	for (const struct ql_fake_word *word = words; equals && word->name; word++) {
		size_t len = strlen(word->name);
		if (len != (size_t)(equals - text) || memcmp(word->name, text, len) != 0)
			continue;
		if (!set_value(word, equals + 1, ret))
			return 0;
	}
	return ql_fail(e, QL_E_INVALID, "The fake knows no word '%s'", text);
}

int
ql_fake_words_read(char *text, const struct ql_fake_word *words, void *ret, struct ql_err *e)
{
	char *rest = NULL;
	for (char *word = strtok_r(text, " \t\n", &rest); word;
		word = strtok_r(NULL, " \t\n", &rest)) {
		if (set_word(word, words, ret, e))
			return -1;
	}
	return 0;
}
