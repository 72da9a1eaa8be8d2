#include "rules/member.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "core/record.h"
#include "rules/submission.h"
#include "rules/task.h"

#define DAY 86400.0

static ql_member_check_fn check_id, check_text, check_command, check_env, check_labels,
	check_number, check_whole;

static const struct ql_member members[] = {
	{"eval_id", check_id, 1, QL_EVAL_ID - 1},
	{"code", check_text, 1, QL_CODE_MAX},
	{"language", check_text, 1, QL_TEXT_MAX},
	{"command", check_command, 1, QL_ARGS_MAX},
	{"image", check_text, 1, QL_TEXT_MAX},
	{"env", check_env, 0, QL_ENV_MAX},
	{"queue", check_text, 1, QL_TEXT_MAX, .text = QL_QUEUE_DEFAULT},
	{"priority", check_whole, 0, 9, .number = 5},
	{"timeout_s", check_number, 0.001, 30 * DAY, .number = 3600},
	{"queue_ttl_s", check_number, 0.001, 30 * DAY},
	{"grace_s", check_number, 0, DAY, .number = 10},
	{"memory_mb", check_whole, 16, 1 << 20, .number = 512},
	{"pids", check_whole, 4, 1 << 15, .number = 256},
	{"cpus", check_number, 0.01, 1024, .number = 1},
	{"labels", check_labels, 0, QL_LABELS_MAX},
	{"session", check_text, 1, QL_TEXT_MAX},
	{"supersedes", check_text, 1, QL_TEXT_MAX},
};

#define MEMBER_COUNT (sizeof(members) / sizeof(members[0]))

const struct ql_member *
ql_members(size_t *ret_count)
{
	*ret_count = MEMBER_COUNT;
	return members;
}

const struct ql_member *
ql_member_find(const char *name)
{
	for (size_t i = 0; i < MEMBER_COUNT; i++) {
		if (strcmp(members[i].name, name) == 0)
			return &members[i];
	}
	return NULL;
}

json_t *
ql_member_default(const struct ql_member *member)
{
	if (member->text)
		return json_string(member->text);
	return member->number > 0 ? json_integer((json_int_t)member->number) : NULL;
}

const char *
ql_member_show(const char *text, char ret_shown[static QL_MEMBER_SHOWN + 4])
{
	size_t len = ql_str_fit(text, QL_MEMBER_SHOWN);
	if (!text[len])
		return text;
	memcpy(ret_shown, text, len);
	memcpy(ret_shown + len, "...", 4);
	return ret_shown;
}

const char *
ql_member_type(const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object",
		[JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number",
		[JSON_REAL] = "a number",
		[JSON_TRUE] = "true",
		[JSON_FALSE] = "false",
		[JSON_NULL] = "null",
	};
	return names[json_typeof(value)];
}

/*
 * A string of min to max bytes without \u0000, which no argument, environment or file name of a
 * program can carry. `what` names it in the refusal.
 */
static int
check_string(const char *what, const json_t *value, size_t min, size_t max, struct ql_err *e)
{
	if (!json_is_string(value))
		return ql_fail(e, QL_E_INVALID, "%s must be a string of %zu to %zu bytes, not %s",
			what, min, max, ql_member_type(value));
	size_t len = json_string_length(value);
	if (len < min || len > max)
		return ql_fail(e, QL_E_INVALID,
			"%s must be a string of %zu to %zu bytes, this has %zu", what, min, max,
			len);
	if (memchr(json_string_value(value), 0, len))
		return ql_fail(e, QL_E_INVALID, "%s must not contain \\u0000", what);
	return 0;
}

static json_t *
check_text(const struct ql_member *member, json_t *value, struct ql_err *e)
{
	if (check_string(member->name, value, (size_t)member->min, (size_t)member->max, e))
		return NULL;
	return json_incref(value);
}

static json_t *
check_id(const struct ql_member *member, json_t *value, struct ql_err *e)
{
	const char *id = json_string_value(value);
	if (!id || strlen(id) != json_string_length(value) || !ql_str_is_eval_id(id)) {
		ql_fail(e, QL_E_INVALID,
			"%s must be a string of %g to %g of the characters A-Z a-z 0-9 . _ : - "
			"that begins with a letter or a digit",
			member->name, member->min, member->max);
		return NULL;
	}
	if (!strncmp(id, QL_TASK_FOREIGN, strlen(QL_TASK_FOREIGN))) {
		ql_fail(e, QL_E_INVALID,
			"%s must not begin with '" QL_TASK_FOREIGN
			"': such an id names a task that another program sent",
			member->name);
		return NULL;
	}
	return json_incref(value);
}

static json_t *
check_command(const struct ql_member *member, json_t *value, struct ql_err *e)
{
	size_t index, bytes = 0;
	json_t *arg;
	size_t count = json_array_size(value);
	if (!json_is_array(value)) {
		ql_fail(e, QL_E_INVALID, "%s must be an array of %g to %g strings, not %s",
			member->name, member->min, member->max, ql_member_type(value));
		return NULL;
	}
	if ((double)count < member->min || (double)count > member->max) {
		ql_fail(e, QL_E_INVALID, "%s must be an array of %g to %g strings, this has %zu",
			member->name, member->min, member->max, count);
		return NULL;
	}
	json_array_foreach (value, index, arg) {
		char what[32];
		snprintf(what, sizeof(what), "%s[%zu]", member->name, index);
		if (check_string(what, arg, index == 0, QL_ARG_MAX, e))
			return NULL;
		bytes += json_string_length(arg) + 1;
	}
	if (bytes <= QL_ARGV_MAX)
		return json_incref(value);
	ql_fail(e, QL_E_INVALID, "%s must have at most %d bytes in all, this has %zu", member->name,
		QL_ARGV_MAX, bytes);
	return NULL;
}

static int
check_count(const struct ql_member *member, const json_t *value, struct ql_err *e)
{
	if (!json_is_object(value))
		return ql_fail(e, QL_E_INVALID, "%s must be an object of strings, not %s",
			member->name, ql_member_type(value));
	if ((double)json_object_size(value) > member->max)
		return ql_fail(e, QL_E_INVALID, "%s must have at most %g members, this has %zu",
			member->name, member->max, json_object_size(value));
	return 0;
}

static bool
is_env_name(const char *name)
{
	if (!isalpha((unsigned char)*name) && *name != '_')
		return false;
	for (; *name; name++) {
		if (!isalnum((unsigned char)*name) && *name != '_')
			return false;
	}
	return true;
}

static int
check_env_name(const char *name, struct ql_err *e)
{
	char shown[QL_MEMBER_SHOWN + 4];
	if (strlen(name) > QL_TEXT_MAX || !is_env_name(name))
		return ql_fail(e, QL_E_INVALID,
			"a name in env must be 1 to %d of the characters A-Z a-z 0-9 _ that "
			"don't begin with a digit, not '%s'",
			QL_TEXT_MAX, ql_member_show(name, shown));
	if (strncmp(name, "QUELL_", 6) == 0)
		return ql_fail(e, QL_E_INVALID,
			"a name in env must not begin with QUELL_, which is Quell's own: '%s'",
			ql_member_show(name, shown));
	return 0;
}

static json_t *
check_env(const struct ql_member *member, json_t *value, struct ql_err *e)
{
	const char *name;
	json_t *text;
	size_t bytes = 0;
	if (check_count(member, value, e))
		return NULL;
	json_object_foreach (value, name, text) {
		char shown[QL_MEMBER_SHOWN + 4], what[QL_MEMBER_SHOWN + 16];
		if (check_env_name(name, e))
			return NULL;
		snprintf(what, sizeof(what), "env.%s", ql_member_show(name, shown));
		if (check_string(what, text, 0, QL_ARG_MAX - 1 - strlen(name), e))
			return NULL;
		bytes += strlen(name) + json_string_length(text) + 2;
	}
	if (bytes <= QL_ARGV_MAX)
		return json_incref(value);
	ql_fail(e, QL_E_INVALID, "%s must have at most %d bytes in all, this has %zu", member->name,
		QL_ARGV_MAX, bytes);
	return NULL;
}

static json_t *
check_labels(const struct ql_member *member, json_t *value, struct ql_err *e)
{
	const char *name;
	json_t *text;
	if (check_count(member, value, e))
		return NULL;
	json_object_foreach (value, name, text) {
		char shown[QL_MEMBER_SHOWN + 4], what[QL_MEMBER_SHOWN + 16];
		/* a list is filtered by label=k=v, where the first = ends the name */
		if (!*name || strlen(name) > QL_TEXT_MAX || strchr(name, '=')) {
			ql_fail(e, QL_E_INVALID,
				"a name in labels must have 1 to %d bytes and no '=', not '%s'",
				QL_TEXT_MAX, ql_member_show(name, shown));
			return NULL;
		}
		snprintf(what, sizeof(what), "labels.%s", ql_member_show(name, shown));
		if (check_string(what, text, 0, QL_TEXT_MAX, e))
			return NULL;
	}
	return json_incref(value);
}

static json_t *
check_range(const struct ql_member *member, const json_t *value, const char *kind, struct ql_err *e)
{
	double number = json_number_value(value);
	if (!json_is_number(value))
		ql_fail(e, QL_E_INVALID, "%s must be a %s from %.15g to %.15g, not %s",
			member->name, kind, member->min, member->max, ql_member_type(value));
	else if (number < member->min || number > member->max)
		ql_fail(e, QL_E_INVALID, "%s must be a %s from %.15g to %.15g, not %.15g",
			member->name, kind, member->min, member->max, number);
	else
		return number == (double)(json_int_t)number ? json_integer((json_int_t)number)
							    : json_real(number);
	return NULL;
}

static json_t *
check_number(const struct ql_member *member, json_t *value, struct ql_err *e)
{
	return check_range(member, value, "number", e);
}

static json_t *
check_whole(const struct ql_member *member, json_t *value, struct ql_err *e)
{
	json_t *number = check_range(member, value, "whole number", e);
	if (!number || json_is_integer(number))
		return number;
	ql_fail(e, QL_E_INVALID, "%s must be a whole number from %.15g to %.15g, not %.15g",
		member->name, member->min, member->max, json_real_value(number));
	json_decref(number);
	return NULL;
}
