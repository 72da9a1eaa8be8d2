#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "broker/celery/wire/text.h"

#define DIGITS_INT 18 /* that many always fit into 64 bits */
#define DIGITS_REAL 300 /* that many always fit into a double */

/* The four letters after \u as a number, or -1. */
static long
code_unit(const char *at, const char *end)
{
	char digits[5] = {0};
	char *rest;
	if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
		return -1;
	memcpy(digits, at + 2, 4);
	long unit = strtol(digits, &rest, 16);
	return *rest || strspn(digits, "+- \t\r\n\v\f") || digits[1] == 'x' || digits[1] == 'X'
		       ? -1
		       : unit;
}

/* At a backslash: copies the escape, or U+FFFD for half a pair. Returns where to go on. */
static const char *
mend_escape(const char *at, const char *end, struct ql_buf *out)
{
	long unit = code_unit(at, end);
	size_t len = unit < 0 ? 2 : 6;
	if ((size_t)(end - at) < len)
		len = (size_t)(end - at);
	if (unit >= 0xd800 && unit <= 0xdbff) {
		long low = code_unit(at + 6, end);
		if (low >= 0xdc00 && low <= 0xdfff)
			len = 12;
		else
			unit = 0xdc00;
	}
	if (unit >= 0xdc00 && unit <= 0xdfff)
		ql_buf_adds(out, "\\ufffd");
	else
		ql_buf_add(out, at, len);
	return at + len;
}

static const char *
mend_string(const char *at, const char *end, struct ql_buf *out)
{
	ql_buf_add(out, at++, 1);
	while (at < end && *at != '"') {
		const char *from = at;
		while (at < end && *at != '"' && *at != '\\')
			at++;
		ql_buf_add(out, from, (size_t)(at - from));
		if (at < end && *at == '\\')
			at = mend_escape(at, end, out);
	}
	if (at < end)
		ql_buf_add(out, at++, 1);
	return at;
}

static bool
is_any_of(const char *at, size_t len, const char *const *words)
{
	for (; *words; words++)
		if (strlen(*words) == len && !memcmp(*words, at, len))
			return true;
	return false;
}

static const char *
mend_word(const char *at, const char *end, struct ql_buf *out)
{
	static const char *const none[] = {"NaN", "Infinity", "-Infinity", NULL};
	const char *from = at, *digits = *at == '-' ? at + 1 : at;
	while (at < end && !strchr(" \t\r\n,:\"[]{}", *at))
		at++;
	size_t len = (size_t)(at - from), count = 0;
	while (digits + count < at && digits[count] >= '0' && digits[count] <= '9')
		count++;
	bool is_int = count && digits + count == at;
	if (is_any_of(from, len, none) || count > DIGITS_REAL) {
		ql_buf_adds(out, "null");
		return at;
	}
	ql_buf_add(out, from, len);
	if (is_int && count > DIGITS_INT)
		ql_buf_adds(out, ".0");
	return at;
}

static void
mend(struct ql_text text, struct ql_buf *out)
{
	const char *at = text.at, *end = at + text.len;
	while (at < end) {
		if (*at == '"')
			at = mend_string(at, end, out);
		else if (strchr(" \t\r\n,:[]{}", *at))
			ql_buf_add(out, at++, 1);
		else
			at = mend_word(at, end, out);
	}
}

json_t *
ql_text_load(struct ql_text text, struct ql_err *e)
{
	const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES;
	json_error_t why;
	json_t *value = json_loadb(text.at, text.len, flags, &why);
	if (value)
		return value;
	struct ql_buf mended QL_CLEAN_BUF = {0};
	mend(text, &mended);
	if (mended.failed) {
		ql_fail(e, QL_E_SYSTEM, "out of memory while reading JSON");
		return NULL;
	}
	if (mended.len)
		value = json_loadb(mended.data, mended.len, flags, &why);
	if (!value)
		ql_fail(e, QL_E_SYNTAX, "this is no JSON at byte %d: %s", why.position, why.text);
	return value;
}

char *
ql_text_copy(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	const char *text = json_string_value(value);
	return text && strlen(text) == json_string_length(value) ? strdup(text) : NULL;
}

/* ".123456" to milliseconds; other digits than the first three only have to be digits. */
static const char *
take_fraction(const char *at, int64_t *ret_ms)
{
	int64_t worth = 100;
	*ret_ms = 0;
	if (*at != '.')
		return at;
	size_t count = strspn(++at, "0123456789");
	if (!count)
		return NULL;
	for (size_t i = 0; i < count && i < 3; i++, worth /= 10)
		*ret_ms += (at[i] - '0') * worth;
	return at + count;
}

/* "+05:30", "-0800", "+01", "Z" or nothing, to milliseconds east. */
static int
take_offset(const char *at, int64_t *ret_ms)
{
	*ret_ms = 0;
	if (!*at || !strcmp(at, "Z"))
		return 0;
	static const char digits[] = "0123456789";
	size_t len = strlen(at);
	bool whole = len == 3 || len == 5 || (len == 6 && at[3] == ':');
	const char *minutes = at + (len == 6 ? 4 : 3);
	if (!whole || (*at != '+' && *at != '-') || strspn(at + 1, digits) < 2 ||
		minutes[strspn(minutes, digits)])
		return -1;
	int64_t east = ((at[1] - '0') * 10 + at[2] - '0') * 60 + strtol(minutes, NULL, 10);
	*ret_ms = (*at == '-' ? -east : east) * 60000;
	return 0;
}

int
ql_text_time(const char *text, int64_t *ret_ms)
{
	char whole[] = "2000-01-01T00:00:00Z";
	const size_t len = sizeof(whole) - 2;
	int64_t ms, fraction, offset;
	if (strlen(text) < len)
		return -1;
	memcpy(whole, text, len);
	const char *rest = take_fraction(text + len, &fraction);
	if (ql_time_parse(whole, &ms) || !rest || take_offset(rest, &offset))
		return -1;
	*ret_ms = ms + fraction - offset;
	return 0;
}
