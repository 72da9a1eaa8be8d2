#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Not isdigit and isalnum: those ask the locale. */
static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int
ql_str_copy(char *ret_text, size_t size, const char *text)
{
	size_t len = strlen(text);
	size_t n = len < size ? len : size - 1;
	memcpy(ret_text, text, n);
	ret_text[n] = 0;
	return len < size ? 0 : -1;
}

size_t
ql_str_fit(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);
	if (len <= max)
		return len;
	len = max;
	while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

char *
ql_str_dup(const char *text)
{
	return text ? strdup(text) : NULL;
}

void
ql_str_plain(char *text)
{
	for (; *text; text++)
		*text = (unsigned char)*text < 0x80 ? *text : '?';
}

struct unit {
	const char *name;
	int64_t factor;
};

/* strtoll would also take blanks and a plus sign before the digits. */
static int
parse_number(const char *text, char **ret_end, long long *ret_value)
{
	if (!is_digit(text[text[0] == '-']))
		return -1;
	errno = 0;
	*ret_value = strtoll(text, ret_end, 10);
	return errno ? -1 : 0;
}

static int
parse_unit(const char *text, const struct unit *units, int64_t *ret_value)
{
	char *end;
	long long number;
	if (parse_number(text, &end, &number) || number < 0)
		return -1;
	for (; units->name; units++) {
		if (strcmp(end, units->name) != 0)
			continue;
		int64_t value;
		if (__builtin_mul_overflow(number, units->factor, &value))
			return -1;
		*ret_value = value;
		return 0;
	}
	return -1;
}

int
ql_str_duration(const char *text, int64_t *ret_ms)
{
	static const struct unit units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000},
		{"h", 3600000}, {"d", 86400000}, {NULL, 0}};
	return parse_unit(text, units, ret_ms);
}

int
ql_str_size(const char *text, int64_t *ret_bytes)
{
	static const struct unit units[] = {{"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30},
		{"T", 1LL << 40}, {NULL, 0}};
	return parse_unit(text, units, ret_bytes);
}

int
ql_str_int(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
	char *end;
	long long value;
	if (parse_number(text, &end, &value) || *end || value < min || value > max)
		return -1;
	*ret_value = value;
	return 0;
}

bool
ql_str_is_eval_id(const char *text)
{
	size_t len = strlen(text);
	if (len < 1 || len > 128 || !is_alnum(text[0]))
		return false;
	for (size_t i = 1; i < len; i++) {
		if (!is_alnum(text[i]) && !strchr("._:-", text[i]))
			return false;
	}
	return true;
}

uint64_t
ql_str_hash(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (const char *at = text; *at; at++)
		hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
	return hash ? hash : 1;
}

/* How many bytes the character at `at` takes, 0 when it isn't one (overlong, surrogate, cut). */
static size_t
utf8_len(const unsigned char *at, size_t left)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} shapes[] = {
		{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	for (size_t len = 1; len <= 4; len++) {
		if ((*at & shapes[len - 1].mask) != shapes[len - 1].lead)
			continue;
		if (len > left)
			return 0;
		uint32_t point = *at & (unsigned char)~shapes[len - 1].mask;
		for (size_t i = 1; i < len; i++) {
			if ((at[i] & 0xc0) != 0x80)
				return 0;
			point = point << 6 | (at[i] & 0x3f);
		}
		bool odd = point < shapes[len - 1].least || point > 0x10ffff ||
			   (point >= 0xd800 && point < 0xe000);
		return odd ? 0 : len;
	}
	return 0;
}

bool
ql_str_is_utf8(const char *text, size_t len)
{
	const unsigned char *at = (const unsigned char *)text;
	for (size_t i = 0; i < len;) {
		size_t step = utf8_len(at + i, len - i);
		if (!step)
			return false;
		i += step;
	}
	return true;
}
