#include "http/target.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; the text only gets shorter. */
static int
decode(char *text, bool plus, struct ql_err *e)
{
	char *to = text;
	for (const char *at = text; *at; at++) {
		if (*at != '%') {
			*to++ = plus && *at == '+' ? ' ' : *at;
			continue;
		}
		int high = hex(at[1]), low = high < 0 ? -1 : hex(at[2]);
		if (low < 0 || !(high | low))
			return ql_fail(e, QL_E_SYNTAX,
				"the request's target has a '%%' that isn't followed by two hex "
				"digits of a byte other than 0");
		*to++ = (char)(high << 4 | low);
		at += 2;
	}
	*to = 0;
	if (ql_str_is_utf8(text, (size_t)(to - text)))
		return 0;
	return ql_fail(e, QL_E_SYNTAX, "the request's target is not UTF-8 once decoded");
}

static int
split_path(struct ql_target *target, char *path, struct ql_err *e)
{
	if (*path != '/')
		return ql_fail(e, QL_E_SYNTAX, "the request's target must begin with '/'");
	for (char *at = path + 1; at;) {
		char *segment = strsep(&at, "/");
		if (++target->segment_count > QL_HTTP_SEGMENTS)
			return 0;
		if (decode(segment, false, e))
			return -1;
		target->segments[target->segment_count - 1] = segment;
	}
	return 0;
}

static int
add_param(struct ql_target *target, char *name, const char **ret_field, struct ql_err *e)
{
	char *value = strchr(name, '=');
	if (value)
		*value++ = 0;
	if (decode(name, true, e) || (value && decode(value, true, e)))
		return -1;
	if (ql_target_param(target, name)) {
		*ret_field = name;
		return ql_fail(e, QL_E_INVALID, "the query has '%.64s' twice; give it once", name);
	}
	if (target->param_count == QL_HTTP_PARAMS)
		return ql_fail(
			e, QL_E_INVALID, "the query has more than %d parameters", QL_HTTP_PARAMS);
	target->params[target->param_count++] =
		(struct ql_param){.name = name, .value = value ? value : ""};
	return 0;
}

static char *
skip_authority(struct ql_target *target, char *text)
{
	if (strncasecmp(text, "http://", 7) != 0)
		return text;
	/* The authority moves one byte to the left, so that its NUL leaves the path's slash. */
	char *authority = text + 7;
	size_t len = strcspn(authority, "/?");
	if (authority[len] != '/')
		return text;
	memmove(authority - 1, authority, len);
	authority[len - 1] = 0;
	target->authority = authority - 1;
	return authority + len;
}

int
ql_target_parse(
	const char *text, struct ql_target *ret_target, const char **ret_field, struct ql_err *e)
{
	struct ql_target *target = ret_target;
	target->heap = NULL;
	target->authority = NULL;
	target->segment_count = target->param_count = 0;
	*ret_field = NULL;
	size_t len = strlen(text);
	char *copy = target->room;
	if (len >= sizeof(target->room)) {
		copy = target->heap = malloc(len + 1);
		if (!copy)
			return ql_fail(e, QL_E_SYSTEM, "out of memory for the request's target");
	}
	memcpy(copy, text, len + 1);
	copy[strcspn(copy, "#")] = 0;
	char *query = skip_authority(target, copy);
	char *path = strsep(&query, "?");
	if (split_path(target, path, e))
		return -1;
	while (query) {
		char *param = strsep(&query, "&");
		if (*param && add_param(target, param, ret_field, e))
			return -1;
	}
	return 0;
}

void
ql_target_done(struct ql_target *target)
{
	free(target->heap);
	target->heap = NULL;
}

const char *
ql_target_param(const struct ql_target *target, const char *name)
{
	for (size_t i = 0; i < target->param_count; i++) {
		if (!strcmp(target->params[i].name, name))
			return target->params[i].value;
	}
	return NULL;
}
