#include "cli/submit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "rules/language.h"
#include "rules/submission.h"

/* How an option's text becomes a member's value; NULL with e when it can't. */
typedef json_t *(value_fn)(const char *option, const char *text, struct ql_err *e);

static json_t *
text_value(const char *option, const char *text, struct ql_err *e)
{
	json_t *value = json_string(text);
	if (!value)
		ql_fail(e, QL_E_USAGE, "--%s must be UTF-8 text", option);
	return value;
}

static json_t *
number_value(const char *option, const char *text, struct ql_err *e)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
	if (json_is_number(value))
		return value;
	json_decref(value);
	ql_fail(e, QL_E_USAGE, "--%s takes a number; not '%.60s'", option, text);
	return NULL;
}

static json_t *
seconds_value(const char *option, const char *text, struct ql_err *e)
{
	int64_t ms;
	if (ql_str_duration(text, &ms) == 0)
		return ms % 1000 ? json_real((double)ms / 1000) : json_integer(ms / 1000);
	ql_fail(e, QL_E_USAGE, "--%s takes a duration such as 90s, 5m, 2h or 1d; not '%.60s'",
		option, text);
	return NULL;
}

static json_t *
megabytes_value(const char *option, const char *text, struct ql_err *e)
{
	int64_t bytes;
	if (ql_str_size(text, &bytes) == 0 && bytes > 0 && bytes % (1 << 20) == 0)
		return json_integer(bytes >> 20);
	ql_fail(e, QL_E_USAGE,
		"--%s takes a size in whole megabytes such as 512M or 2G; not '%.60s'", option,
		text);
	return NULL;
}

static const struct {
	const char *option, *member;
	value_fn *value;
} members[] = {
	{"lang", "language", text_value},
	{"id", "eval_id", text_value},
	{"queue", "queue", text_value},
	{"priority", "priority", number_value},
	{"timeout", "timeout_s", seconds_value},
	{"queue-ttl", "queue_ttl_s", seconds_value},
	{"grace", "grace_s", seconds_value},
	{"memory", "memory_mb", megabytes_value},
	{"pids", "pids", number_value},
	{"cpus", "cpus", number_value},
	{"session", "session", text_value},
	{"supersedes", "supersedes", text_value},
	{"image", "image", text_value},
};

static int
add_members(const struct ql_cmd *cmd, json_t *body, struct ql_err *e)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const char *text = ql_cmd_text(cmd, members[i].option);
		if (!text)
			continue;
		json_t *value = members[i].value(members[i].option, text, e);
		if (!value)
			return -1;
		json_object_set_new(body, members[i].member, value);
	}
	return 0;
}

/* Every --option NAME=VALUE, as one object. */
static int
add_pairs(const struct ql_cmd *cmd, const char *option, const char *member, json_t *body,
	struct ql_err *e)
{
	json_t *pairs = json_object();
	for (size_t i = 0; i < cmd->given_count; i++) {
		const char *text = cmd->given[i].value;
		if (strcmp(cmd->given[i].option->name, option) != 0)
			continue;
		QL_CLEAN_BUF struct ql_buf name = {0};
		const char *equals = strchr(text, '=');
		if (equals && equals > text)
			ql_buf_add(&name, text, (size_t)(equals - text));
		if (!name.len || json_object_set_new(pairs, name.data, json_string(equals + 1))) {
			json_decref(pairs);
			return ql_fail(e, QL_E_USAGE,
				"--%s takes NAME=VALUE as UTF-8 text; not '%.60s'", option, text);
		}
	}
	if (json_object_size(pairs))
		return json_object_set_new(body, member, pairs);
	json_decref(pairs);
	return 0;
}

static int
read_file(const char *path, struct ql_buf *text, struct ql_err *e)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(path, "re");
	char chunk[65536];
	size_t n;
	if (!file)
		return ql_fail(e, QL_E_INVALID, "cannot read %.200s: %s", path, strerror(errno));
	text->limit = QL_CODE_MAX;
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0 && ql_buf_add(text, chunk, n) == 0)
		continue;
	int sys = ferror(file) ? errno : 0;
	if (!is_stdin)
		fclose(file);
	if (sys)
		return ql_fail(e, QL_E_INVALID, "cannot read %.200s: %s", path, strerror(sys));
	if (text->failed)
		return ql_fail(e, QL_E_INVALID,
			"%.200s is larger than the %d bytes that code may have", path, QL_CODE_MAX);
	return 0;
}

static int
add_code(const struct ql_cmd *cmd, json_t *body, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf text = {0};
	const char *path = cmd->operands[0];
	if (!json_object_get(body, "language")) {
		const char *language = ql_language_of_file(path);
		if (!language)
			return ql_fail(e, QL_E_USAGE,
				"the ending of '%.100s' tells no language: name it with --lang",
				path);
		json_object_set_new(body, "language", json_string(language));
	}
	if (read_file(path, &text, e))
		return -1;
	if (json_object_set_new(body, "code", json_stringn(text.data ? text.data : "", text.len)))
		return ql_fail(e, QL_E_INVALID, "%.200s isn't UTF-8 text", path);
	return 0;
}

static int
add_command(const struct ql_cmd *cmd, json_t *body, struct ql_err *e)
{
	json_t *command = json_array();
	for (int i = 0; i < cmd->operand_count; i++) {
		if (json_array_append_new(command, json_string(cmd->operands[i])) == 0)
			continue;
		json_decref(command);
		return ql_fail(e, QL_E_USAGE, "the command must be UTF-8 text");
	}
	return json_object_set_new(body, "command", command);
}

static int
check_operands(const struct ql_cmd *cmd, struct ql_err *e)
{
	if (cmd->dashes > 0)
		return ql_fail(e, QL_E_USAGE,
			"give either FILE or, after --, a command; not both ('%.60s')",
			cmd->operands[0]);
	if (cmd->operand_count == 0)
		return ql_fail(e, QL_E_USAGE,
			"%s needs FILE, - for stdin, or a command after --; see: quell help %s",
			cmd->verb->name, cmd->verb->name);
	if (cmd->dashes < 0 && cmd->operand_count > 1)
		return ql_fail(e, QL_E_USAGE,
			"%s takes one FILE, so '%.60s' is too much; a command goes after --",
			cmd->verb->name, cmd->operands[1]);
	return 0;
}

int
ql_submit_body(const struct ql_cmd *cmd, json_t **ret_body, struct ql_err *e)
{
	if (check_operands(cmd, e))
		return -1;
	json_t *body = json_object();
	int rc = add_members(cmd, body, e);
	if (rc == 0)
		rc = add_pairs(cmd, "env", "env", body, e);
	if (rc == 0)
		rc = add_pairs(cmd, "label", "labels", body, e);
	if (rc == 0)
		rc = cmd->dashes == 0 ? add_command(cmd, body, e) : add_code(cmd, body, e);
	if (rc == 0)
		*ret_body = body;
	else
		json_decref(body);
	return rc;
}
