#include "base/json.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

#define NAME_MAX_LEN 60 /* of a member; each is written in the code */

/* What stands before a value, in one piece. */
static void
put_name(struct ql_json *json, const char *name)
{
	char head[NAME_MAX_LEN + 4] = ",\"";
	size_t len = 1, skip = !json->comma;
	json->comma = true;
	if (name) {
		size_t name_len = strlen(name);
		assert(name_len <= NAME_MAX_LEN);
		memcpy(head + 2, name, name_len);
		memcpy(head + 2 + name_len, "\":", 2);
		len = name_len + 4;
	}
	ql_buf_add(&json->buf, head + skip, len - skip);
}

void
ql_json_open(struct ql_json *json, const char *name, char bracket)
{
	put_name(json, name);
	ql_buf_add(&json->buf, &bracket, 1);
	json->comma = false;
}

void
ql_json_close(struct ql_json *json, char bracket)
{
	ql_buf_add(&json->buf, &bracket, 1);
	json->comma = true;
}

static void
put_escape(struct ql_buf *buf, unsigned char c)
{
	const char *from = "\"\\\n\r\t\b\f", *to = "\"\\nrtbf";
	const char *at = c ? strchr(from, c) : NULL;
	if (at)
		ql_buf_addf(buf, "\\%c", to[at - from]);
	else
		ql_buf_addf(buf, "\\u%04x", c);
}

static bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\' && c != 0x7f;
}

static void
put_text(struct ql_buf *buf, const char *text)
{
	for (;;) {
		size_t run = 0;
		while (is_plain((unsigned char)text[run]))
			run++;
		ql_buf_add(buf, text, run);
		text += run;
		if (!*text)
			return;
		put_escape(buf, (unsigned char)*text++);
	}
}

static void
put_repaired(struct ql_buf *buf, const char *text)
{
	while (*text) {
		size_t step = 1;
		while (step < 4 && text[step] && !ql_str_is_utf8(text, step))
			step++;
		if (!ql_str_is_utf8(text, step)) {
			ql_buf_adds(buf, "\\ufffd");
			text++;
			continue;
		}
		char one[5] = "";
		memcpy(one, text, step);
		put_text(buf, one);
		text += step;
	}
}

/* Bytes at the beginning that stand for themselves in JSON; most texts have no other. */
static size_t
ascii_run(const char *text)
{
	size_t run = 0;
	while (is_plain((unsigned char)text[run]) && (unsigned char)text[run] < 0x80)
		run++;
	return run;
}

void
ql_json_text(struct ql_json *json, const char *name, const char *text)
{
	if (!text) {
		ql_json_null(json, name);
		return;
	}
	put_name(json, name);
	ql_buf_add(&json->buf, "\"", 1);
	size_t run = ascii_run(text);
	if (!text[run])
		ql_buf_add(&json->buf, text, run);
	else if (ql_str_is_utf8(text, strlen(text)))
		put_text(&json->buf, text);
	else
		put_repaired(&json->buf, text);
	ql_buf_add(&json->buf, "\"", 1);
}

void
ql_json_int(struct ql_json *json, const char *name, int64_t value)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%lld", (long long)value);
	put_name(json, name);
	ql_buf_add(&json->buf, text, (size_t)len);
}

void
ql_json_bool(struct ql_json *json, const char *name, bool value)
{
	ql_json_raw(json, name, value ? "true" : "false");
}

void
ql_json_null(struct ql_json *json, const char *name)
{
	ql_json_raw(json, name, "null");
}

void
ql_json_time(struct ql_json *json, const char *name, int64_t ms)
{
	char text[QL_TIME_TEXT];
	if (ms)
		ql_time_text(ms, text);
	ql_json_text(json, name, ms ? text : NULL);
}

void
ql_json_raw(struct ql_json *json, const char *name, const char *text)
{
	put_name(json, name);
	ql_buf_adds(&json->buf, text);
}
