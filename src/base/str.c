#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
ql_str_copy(char *ret_text, size_t size, const char *text)
{
	size_t len = strlen(text);
	size_t n = len < size ? len : size - 1;
	memcpy(ret_text, text, n);
	ret_text[n] = 0;
	return len < size ? 0 : -1;
}

char *
ql_str_dup(const char *text)
{
	return text ? strdup(text) : NULL;
}

struct unit {
	const char *name;
	int64_t factor;
};

static int
parse_unit(const char *text, const struct unit *units, int64_t *ret_value)
{
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (end == text || errno || number < 0)
		return -1;
	for (; units->name; units++) {
		if (strcmp(end, units->name) != 0)
			continue;
		return __builtin_mul_overflow(number, units->factor, ret_value) ? -1 : 0;
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
	static const struct unit units[] = {{"", 1}, {"K", 1 << 10}, {"M", 1 << 20},
		{"G", 1 << 30}, {"T", 1LL << 40}, {NULL, 0}};
	return parse_unit(text, units, ret_bytes);
}

int
ql_str_int(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (end == text || *end || errno || value < min || value > max)
		return -1;
	*ret_value = value;
	return 0;
}

bool
ql_str_is_eval_id(const char *text)
{
	size_t len = strlen(text);
	if (len < 1 || len > 128 || !isalnum((unsigned char)text[0]))
		return false;
	for (size_t i = 1; i < len; i++) {
		if (!isalnum((unsigned char)text[i]) && !strchr("._:-", text[i]))
			return false;
	}
	return true;
}
