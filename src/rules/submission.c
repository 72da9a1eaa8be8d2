#include "rules/submission.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/rand.h"
#include "base/str.h"
#include "rules/language.h"

#define DAY 86400.0

struct member;

/*
 * Checks one value against its row. Returns what goes into the payload (a new reference), or NULL
 * with e filled.
 */
typedef json_t *(check_fn)(const struct member *member, json_t *value, struct ql_err *e);

struct member {
	const char *name;
	check_fn *check;
	double min; /* of a number; of a text's bytes; of how many there may be in it */
	double max;
	double number; /* the default, 0 = none */
	const char *text; /* the default, NULL = none */
};

static check_fn check_id, check_text, check_language, check_command, check_env, check_labels,
	check_number, check_whole;

static const struct member members[] = {
	{"eval_id", check_id, 1, QL_EVAL_ID - 1},
	{"code", check_text, 1, QL_CODE_MAX},
	{"language", check_language, 1, QL_TEXT_MAX},
	{"command", check_command, 1, QL_ARGS_MAX},
	{"image", check_text, 1, QL_TEXT_MAX},
	{"env", check_env, 0, QL_ENV_MAX},
	{"queue", check_text, 1, QL_TEXT_MAX, .text = "default"},
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

/* How many bytes of a caller's own words a refusal repeats. */
#define SHOWN 48

/* The text as a refusal shows it: cut between characters, so that it stays UTF-8. */
static const char *
show(const char *text, char ret_shown[static SHOWN + 4])
{
	size_t len = strlen(text);
	if (len <= SHOWN)
		return text;
	len = SHOWN;
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	memcpy(ret_shown, text, len);
	memcpy(ret_shown + len, "...", 4);
	return ret_shown;
}

static const char *
type_name(const json_t *value)
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
			what, min, max, type_name(value));
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
check_text(const struct member *member, json_t *value, struct ql_err *e)
{
	if (check_string(member->name, value, (size_t)member->min, (size_t)member->max, e))
		return NULL;
	return json_incref(value);
}

static json_t *
check_id(const struct member *member, json_t *value, struct ql_err *e)
{
	if (json_is_string(value) &&
		strlen(json_string_value(value)) == json_string_length(value) &&
		ql_str_is_eval_id(json_string_value(value)))
		return json_incref(value);
	ql_fail(e, QL_E_INVALID,
		"%s must be a string of %g to %g of the characters A-Z a-z 0-9 . _ : - that begins "
		"with a "
		"letter or a digit",
		member->name, member->min, member->max);
	return NULL;
}

static json_t *
check_language(const struct member *member, json_t *value, struct ql_err *e)
{
	char shown[SHOWN + 4];
	if (check_string(member->name, value, (size_t)member->min, (size_t)member->max, e))
		return NULL;
	return ql_language_find(show(json_string_value(value), shown), e) ? json_incref(value)
									  : NULL;
}

static json_t *
check_command(const struct member *member, json_t *value, struct ql_err *e)
{
	size_t index, bytes = 0;
	json_t *arg;
	size_t count = json_array_size(value);
	if (!json_is_array(value) || (double)count < member->min || (double)count > member->max) {
		ql_fail(e, QL_E_INVALID, "%s must be an array of %g to %g strings, not %s of %zu",
			member->name, member->min, member->max, type_name(value), count);
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
check_count(const struct member *member, const json_t *value, struct ql_err *e)
{
	if (!json_is_object(value))
		return ql_fail(e, QL_E_INVALID, "%s must be an object of strings, not %s",
			member->name, type_name(value));
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
	char shown[SHOWN + 4];
	if (strlen(name) > QL_TEXT_MAX || !is_env_name(name))
		return ql_fail(e, QL_E_INVALID,
			"a name in env must be 1 to %d of the characters A-Z a-z 0-9 _ that don't "
			"begin with "
			"a digit, not '%s'",
			QL_TEXT_MAX, show(name, shown));
	if (strncmp(name, "QUELL_", 6) == 0)
		return ql_fail(e, QL_E_INVALID,
			"a name in env must not begin with QUELL_, which is Quell's own: '%s'",
			show(name, shown));
	return 0;
}

static json_t *
check_env(const struct member *member, json_t *value, struct ql_err *e)
{
	const char *name;
	json_t *text;
	size_t bytes = 0;
	if (check_count(member, value, e))
		return NULL;
	json_object_foreach (value, name, text) {
		char shown[SHOWN + 4], what[SHOWN + 16];
		if (check_env_name(name, e))
			return NULL;
		snprintf(what, sizeof(what), "env.%s", show(name, shown));
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
check_labels(const struct member *member, json_t *value, struct ql_err *e)
{
	const char *name;
	json_t *text;
	if (check_count(member, value, e))
		return NULL;
	json_object_foreach (value, name, text) {
		char shown[SHOWN + 4], what[SHOWN + 16];
		/* a list is filtered by label=k=v, where the first = ends the name */
		if (!*name || strlen(name) > QL_TEXT_MAX || strchr(name, '=')) {
			ql_fail(e, QL_E_INVALID,
				"a name in labels must have 1 to %d bytes and no '=', not '%s'",
				QL_TEXT_MAX, show(name, shown));
			return NULL;
		}
		snprintf(what, sizeof(what), "labels.%s", show(name, shown));
		if (check_string(what, text, 0, QL_TEXT_MAX, e))
			return NULL;
	}
	return json_incref(value);
}

static json_t *
check_range(const struct member *member, const json_t *value, const char *kind, struct ql_err *e)
{
	double number = json_number_value(value);
	if (!json_is_number(value))
		ql_fail(e, QL_E_INVALID, "%s must be a %s from %.15g to %.15g, not %s",
			member->name, kind, member->min, member->max, type_name(value));
	else if (number < member->min || number > member->max)
		ql_fail(e, QL_E_INVALID, "%s must be a %s from %.15g to %.15g, not %.15g",
			member->name, kind, member->min, member->max, number);
	else
		return number == (double)(json_int_t)number ? json_integer((json_int_t)number)
							    : json_real(number);
	return NULL;
}

static json_t *
check_number(const struct member *member, json_t *value, struct ql_err *e)
{
	return check_range(member, value, "number", e);
}

static json_t *
check_whole(const struct member *member, json_t *value, struct ql_err *e)
{
	json_t *number = check_range(member, value, "whole number", e);
	if (!number || json_is_integer(number))
		return number;
	ql_fail(e, QL_E_INVALID, "%s must be a whole number from %.15g to %.15g, not %.15g",
		member->name, member->min, member->max, json_real_value(number));
	json_decref(number);
	return NULL;
}

static int
refuse_unknown(json_t *object, const char **ret_field, struct ql_err *e)
{
	const char *name;
	json_t *value;
	json_object_foreach (object, name, value) {
		size_t i = 0;
		char shown[SHOWN + 4];
		while (i < MEMBER_COUNT && strcmp(members[i].name, name) != 0)
			i++;
		if (i < MEMBER_COUNT)
			continue;
		*ret_field = NULL;
		return ql_fail(e, QL_E_INVALID,
			"a submission has no member '%s': see POST /api/eval in docs/api.md",
			show(name, shown));
	}
	return 0;
}

/* What only holds between members. */
static int
check_together(const json_t *payload, bool images, const char **ret_field, struct ql_err *e)
{
	bool code = json_object_get(payload, "code");
	bool command = json_object_get(payload, "command");
	bool language = json_object_get(payload, "language");
	*ret_field = code ? "command" : "code";
	if (code == command)
		return ql_fail(e, QL_E_INVALID, "a submission has %s: give exactly one of them",
			code ? "both code and command" : "neither code nor command");
	*ret_field = "language";
	if (code && !language)
		return ql_fail(
			e, QL_E_INVALID, "code needs its language beside it, such as python");
	if (command && language)
		return ql_fail(e, QL_E_INVALID, "language belongs to code: a command has none");
	*ret_field = "image";
	if (!images && json_object_get(payload, "image"))
		return ql_fail(e, QL_E_INVALID,
			"image is of no use here: this server runs evaluations in its own sandbox "
			"on the "
			"host's programs; leave it out");
	*ret_field = NULL;
	return 0;
}

static json_t *
default_of(const struct member *member)
{
	if (member->text)
		return json_string(member->text);
	return member->number > 0 ? json_integer((json_int_t)member->number) : NULL;
}

/* All members in the table's order with the defaults filled in, or NULL. */
static json_t *
normalise(const json_t *object, const char **ret_field, struct ql_err *e)
{
	json_t *payload = json_object();
	for (size_t i = 0; i < MEMBER_COUNT; i++) {
		const struct member *member = &members[i];
		json_t *value = json_object_get(object, member->name);
		bool given = value && !json_is_null(value);
		*ret_field = member->name;
		value = given ? member->check(member, value, e) : default_of(member);
		if (!value && !given)
			continue;
		if (!value || json_object_set_new(payload, member->name, value)) {
			json_decref(payload);
			return NULL;
		}
	}
	*ret_field = NULL;
	return payload;
}

static int64_t
milliseconds(const json_t *payload, const char *name)
{
	return (int64_t)(json_number_value(json_object_get(payload, name)) * 1000 + 0.5);
}

/* Copies a text member, if it is there. */
static bool
copy_text(const json_t *payload, const char *name, char **ret_text)
{
	const char *text = json_string_value(json_object_get(payload, name));
	*ret_text = ql_str_dup(text);
	return !text || *ret_text;
}

static void
fill_event(const json_t *payload, int64_t now, struct ql_event *ret_event)
{
	*ret_event = (struct ql_event){
		.kind = QL_EVENT_SUBMIT,
		.now = now,
		.grace_ms = milliseconds(payload, "grace_s"),
		.timeout_ms = milliseconds(payload, "timeout_s"),
		.queue_ttl_ms = milliseconds(payload, "queue_ttl_s"),
	};
}

static int
fill_record(json_t *payload, int64_t now, struct ql_record *ret_record)
{
	*ret_record = (struct ql_record){0};
	const json_t *labels = json_object_get(payload, "labels");
	const char *eval_id = json_string_value(json_object_get(payload, "eval_id"));
	if (eval_id)
		ql_str_copy(ret_record->eval_id, sizeof(ret_record->eval_id), eval_id);
	else
		ql_rand_id(now, ret_record->eval_id);
	/* the record's own column */
	json_object_del(payload, "eval_id");
	ret_record->priority = (int32_t)json_integer_value(json_object_get(payload, "priority"));
	ret_record->payload = json_dumps(payload, JSON_COMPACT | JSON_REAL_PRECISION(15));
	if (json_object_size(labels))
		ret_record->labels = json_dumps(labels, JSON_COMPACT);
	bool copied = copy_text(payload, "language", &ret_record->language) &&
		      copy_text(payload, "queue", &ret_record->queue) &&
		      copy_text(payload, "session", &ret_record->session) &&
		      copy_text(payload, "supersedes", &ret_record->supersedes) &&
		      ret_record->payload && (ret_record->labels || !json_object_size(labels));
	return copied ? 0 : -1;
}

int
ql_submission_parse(json_t *object, bool images, int64_t now, struct ql_record *ret_record,
	struct ql_event *ret_event, const char **ret_field, struct ql_err *e)
{
	*ret_record = (struct ql_record){0};
	*ret_field = NULL;
	if (!json_is_object(object))
		return ql_fail(e, QL_E_INVALID, "a submission must be a JSON object, not %s",
			object ? type_name(object) : "nothing");
	if (refuse_unknown(object, ret_field, e))
		return -1;
	json_t *payload = normalise(object, ret_field, e);
	if (!payload)
		return -1;
	int rc = check_together(payload, images, ret_field, e);
	if (rc == 0) {
		fill_event(payload, now, ret_event);
		rc = fill_record(payload, now, ret_record);
		if (rc) {
			ql_record_done(ret_record);
			ql_fail(e, QL_E_SYSTEM, "out of memory while reading a submission");
		}
	}
	json_decref(payload);
	return rc;
}
