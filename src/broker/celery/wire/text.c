#include "broker/celery/wire/text.h"

#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\n"

static const char *
skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
		at++;
	return at;
}

/* From after a string's first quote to its last, or NULL. A quote after an odd run of backslashes is none. */
static const char *
string_end(const char *at, const char *end)
{
	const char *from = at;
	for (;;) {
		const char *quote = memchr(from, '"', (size_t)(end - from));
		if (!quote)
			return NULL;
		const char *run = quote;
		while (run > at && run[-1] == '\\')
			run--;
		if ((quote - run) % 2 == 0)
			return quote;
		from = quote + 1;
	}
}

/* A number, true, false, null, or what another writer has instead. */
static const char *
skip_word(const char *at, const char *end)
{
	while (at < end && !strchr(BLANKS ",:\"[]{}", *at))
		at++;
	return at;
}

/* Over one value. Brackets are counted, not matched: what is broken inside a value is for a parser to say. */
static const char *
skip_value(const char *at, const char *end)
{
	size_t depth = 0;
	do {
		at = skip_blanks(at, end);
		if (at == end)
			return NULL;
		if (*at == '"') {
			at = string_end(at + 1, end);
			if (!at)
				return NULL;
		} else if (*at == '{' || *at == '[') {
			depth++;
		} else if (strchr("}],:", *at)) {
			if (!*at || depth == 0)
				return NULL;
			depth -= *at == '}' || *at == ']';
		} else {
			at = skip_word(at, end) - 1;
		}
		at++;
	} while (depth);
	return at;
}

/* Is the inside of that string this name? An escaped letter is rare, and left to a real parser. */
static bool
is_name(const char *at, size_t len, const char *name)
{
	size_t name_len = strlen(name);
	if (len == name_len && !memcmp(at, name, len))
		return true;
	if (len <= name_len || !memchr(at, '\\', len))
		return false;
	json_t *value = json_loadb(at - 1, len + 2, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	bool is = value && json_string_length(value) == name_len &&
		  !strcmp(json_string_value(value), name);
	json_decref(value);
	return is;
}

/* At a member's name: 1 and at its value when the name is the wanted one, else 0 and behind the member. */
static int
look_at_member(const char **at, const char *end, const char *name)
{
	const char *key = *at + 1;
	const char *quote = key < end && **at == '"' ? string_end(key, end) : NULL;
	if (!quote)
		return -1;
	*at = skip_blanks(quote + 1, end);
	if (*at == end || **at != ':')
		return -1;
	*at = skip_blanks(*at + 1, end);
	if (is_name(key, (size_t)(quote - key), name))
		return 1;
	*at = skip_value(*at, end);
	if (!*at)
		return -1;
	*at = skip_blanks(*at, end);
	return 0;
}

int
ql_text_find(struct ql_text object, const char *name, struct ql_text *ret_rest)
{
	const char *end = object.at + object.len;
	const char *at = skip_blanks(object.at, end);
	if (at == end || *at != '{')
		return -1;
	at = skip_blanks(at + 1, end);
	if (at < end && *at == '}')
		return 0;
	while (at < end) {
		int found = look_at_member(&at, end, name);
		if (found > 0)
			*ret_rest = (struct ql_text){at, (size_t)(end - at)};
		if (found)
			return found;
		if (at == end || *at != ',')
			return at < end && *at == '}' ? 0 : -1;
		at = skip_blanks(at + 1, end);
	}
	return -1;
}

/* Cuts a rest down to the value at its start. */
static int
cut(struct ql_text *rest)
{
	const char *end = skip_value(rest->at, rest->at + rest->len);
	if (!end)
		return -1;
	rest->len = (size_t)(end - rest->at);
	return 1;
}

int
ql_text_member(struct ql_text object, const char *name, struct ql_text *ret_value)
{
	struct ql_text rest;
	int found = ql_text_find(object, name, &rest);
	if (found > 0)
		found = cut(&rest);
	if (found > 0)
		*ret_value = rest;
	return found;
}

int
ql_text_first(struct ql_text array, struct ql_text *ret_value)
{
	const char *end = array.at + array.len;
	const char *at = skip_blanks(array.at, end);
	if (at == end || *at != '[')
		return -1;
	at = skip_blanks(at + 1, end);
	if (at < end && *at == ']')
		return 0;
	struct ql_text rest = {at, (size_t)(end - at)};
	if (cut(&rest) < 0)
		return -1;
	*ret_value = rest;
	return 1;
}

bool
ql_text_plain(struct ql_text text, struct ql_text *ret_inside)
{
	if (text.len < 2 || *text.at != '"')
		return false;
	const char *inside = text.at + 1;
	const char *quote = memchr(inside, '"', text.len - 1);
	if (!quote || memchr(inside, '\\', (size_t)(quote - inside)))
		return false;
	*ret_inside = (struct ql_text){inside, (size_t)(quote - inside)};
	return true;
}

char *
ql_text_replace(struct ql_text whole, struct ql_text slice, struct ql_text by, size_t *ret_len)
{
	size_t before = (size_t)(slice.at - whole.at);
	size_t after = whole.len - before - slice.len;
	char *copy = malloc(before + by.len + after + 1);
	if (!copy)
		return NULL;
	memcpy(copy, whole.at, before);
	memcpy(copy + before, by.at, by.len);
	memcpy(copy + before + by.len, slice.at + slice.len, after);
	*ret_len = before + by.len + after;
	copy[*ret_len] = 0;
	return copy;
}
