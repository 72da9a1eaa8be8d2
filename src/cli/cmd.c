#include "cli/cmd.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/near.h"

#define HELP_OPTION \
	{ \
		"help", 'h', NULL, "show this help" \
	}

static const struct ql_option options_server[] = {
	{"url", 0, "URL", "the server (QUELL_URL; http://127.0.0.1:8080)"},
	{"key", 0, "KEY", "the key to show it (QUELL_KEY; for a local server its admin key file)"},
	{"json", 0, NULL, "print the API's answer as it is"},
	HELP_OPTION,
	{NULL},
};

static const struct ql_option options_local[] = {
	HELP_OPTION,
	{NULL},
};

const struct ql_option *
ql_options_common(const struct ql_verb *verb)
{
	return verb->local ? options_local : options_server;
}

const struct ql_verb *
ql_verb_find(const struct ql_verb *const *verbs, const char *name)
{
	for (; *verbs; verbs++) {
		if (strcmp((*verbs)->name, name) == 0)
			return *verbs;
	}
	return NULL;
}

static bool
is_option(const struct ql_option *option, const char *name, size_t len, char letter)
{
	if (letter)
		return option->letter == letter;
	return strlen(option->name) == len && memcmp(option->name, name, len) == 0;
}

static const struct ql_option *
find_in(const struct ql_option *options, const char *name, size_t len, char letter)
{
	for (; options && options->name; options++) {
		if (is_option(options, name, len, letter))
			return options;
	}
	return NULL;
}

static const struct ql_option *
find_option(const struct ql_verb *verb, const char *name, size_t len, char letter)
{
	const struct ql_option *own = find_in(verb->options, name, len, letter);
	return own ? own : find_in(ql_options_common(verb), name, len, letter);
}

static int
fail_unknown(const struct ql_verb *verb, const char *arg, struct ql_err *e)
{
	char name[QL_NEAR_WORD + 1];
	const struct ql_option *lists[] = {verb->options, ql_options_common(verb)};
	struct ql_near near = {.word = name};
	const char *start = arg + strspn(arg, "-");
	size_t len = strcspn(start, "=");
	ql_str_copy(name, sizeof(name), start);
	if (len < sizeof(name))
		name[len] = 0;
	for (int i = 0; i < 2; i++) {
		for (const struct ql_option *option = lists[i]; option && option->name; option++)
			ql_near_offer(&near, option->name);
	}
	if (near.best)
		return ql_fail(e, QL_E_USAGE, "%s has no option '%.60s'; did you mean --%s?",
			verb->name, arg, near.best);
	return ql_fail(e, QL_E_USAGE, "%s has no option '%.60s'; see: quell help %s", verb->name,
		arg, verb->name);
}

static bool
is_word(const char *words, const char *value)
{
	size_t len = strlen(value);
	for (const char *word = words; *word; word += strspn(word, " ")) {
		size_t n = strcspn(word, " ");
		if (n == len && memcmp(word, value, n) == 0)
			return true;
		word += n;
	}
	return false;
}

static int
add_given(struct ql_cmd *cmd, const struct ql_option *option, const char *value, struct ql_err *e)
{
	if (value && option->words && !is_word(option->words, value))
		return ql_fail(e, QL_E_USAGE, "--%s takes one of: %s; not '%.60s'", option->name,
			option->words, value);
	if (!option->many && value && ql_cmd_text(cmd, option->name))
		return ql_fail(e, QL_E_USAGE, "--%s was given more than once", option->name);
	cmd->given[cmd->given_count++] = (struct ql_given){option, value};
	return 0;
}

/* --name, --name=value, --name value. Returns how many arguments it took, or -1. */
static int
parse_long(struct ql_cmd *cmd, char **argv, struct ql_err *e)
{
	const char *name = argv[0] + 2;
	size_t len = strcspn(name, "=");
	const char *value = name[len] ? name + len + 1 : NULL;
	const struct ql_option *option = find_option(cmd->verb, name, len, 0);
	if (!option)
		return fail_unknown(cmd->verb, argv[0], e);
	if (!option->value && value)
		return ql_fail(e, QL_E_USAGE, "--%s takes no value", option->name);
	int taken = option->value && !value ? 2 : 1;
	if (taken == 2)
		value = argv[1];
	if (option->value && !value)
		return ql_fail(
			e, QL_E_USAGE, "--%s needs a value: %s", option->name, option->value);
	return add_given(cmd, option, value, e) ? -1 : taken;
}

/* -x, -xyz, -x value, -xvalue. Returns how many arguments it took, or -1. */
static int
parse_letters(struct ql_cmd *cmd, char **argv, struct ql_err *e)
{
	for (const char *letter = argv[0] + 1; *letter; letter++) {
		const struct ql_option *option = find_option(cmd->verb, NULL, 0, *letter);
		if (!option)
			return fail_unknown(cmd->verb, argv[0], e);
		if (!option->value) {
			if (add_given(cmd, option, NULL, e))
				return -1;
			continue;
		}
		const char *value = letter[1] ? letter + 1 : argv[1];
		if (!value)
			return ql_fail(
				e, QL_E_USAGE, "-%c needs a value: %s", *letter, option->value);
		if (add_given(cmd, option, value, e))
			return -1;
		return letter[1] ? 1 : 2;
	}
	return 1;
}

static int
check_operands(const struct ql_cmd *cmd, struct ql_err *e)
{
	const struct ql_verb *verb = cmd->verb;
	if (ql_cmd_has(cmd, "help"))
		return 0;
	if (cmd->operand_count < verb->min_operands)
		return ql_fail(e, QL_E_USAGE, "%s needs %s; see: quell help %s", verb->name,
			verb->operands, verb->name);
	if (verb->max_operands >= 0 && cmd->operand_count > verb->max_operands)
		return ql_fail(e, QL_E_USAGE,
			"%s takes %s%s, so '%.60s' is too much; see: quell help %s", verb->name,
			verb->operands ? "only " : "nothing more",
			verb->operands ? verb->operands : "", cmd->operands[verb->max_operands],
			verb->name);
	return 0;
}

int
ql_cmd_parse(struct ql_cmd *cmd, struct ql_err *e)
{
	/* an argument gives at most one operand, or one option for each of its letters */
	size_t letters = 0;
	for (int i = 0; i < cmd->argc; i++)
		letters += strlen(cmd->argv[i]) + 1;
	cmd->given = calloc(letters + 1, sizeof(*cmd->given));
	cmd->operands = calloc((size_t)cmd->argc + 1, sizeof(*cmd->operands));
	cmd->dashes = -1;
	if (!cmd->given || !cmd->operands)
		return ql_fail(e, QL_E_SYSTEM, "out of memory");
	for (int i = 0, taken; i < cmd->argc; i += taken) {
		bool option = cmd->argv[i][0] == '-' && cmd->argv[i][1] && cmd->dashes < 0;
		taken = 1;
		if (option && strcmp(cmd->argv[i], "--") == 0)
			cmd->dashes = cmd->operand_count;
		else if (option && cmd->argv[i][1] == '-')
			taken = parse_long(cmd, cmd->argv + i, e);
		else if (option)
			taken = parse_letters(cmd, cmd->argv + i, e);
		else
			cmd->operands[cmd->operand_count++] = cmd->argv[i];
		if (taken < 0)
			return -1;
	}
	return check_operands(cmd, e);
}

void
ql_cmd_done(struct ql_cmd *cmd)
{
	free(cmd->given);
	free(cmd->operands);
	*cmd = (struct ql_cmd){0};
}

static const struct ql_given *
find_given(const struct ql_cmd *cmd, const char *name)
{
	assert(find_option(cmd->verb, name, strlen(name), 0));
	for (size_t i = cmd->given_count; i > 0; i--) {
		if (strcmp(cmd->given[i - 1].option->name, name) == 0)
			return &cmd->given[i - 1];
	}
	return NULL;
}

bool
ql_cmd_has(const struct ql_cmd *cmd, const char *name)
{
	return find_given(cmd, name) != NULL;
}

const char *
ql_cmd_text(const struct ql_cmd *cmd, const char *name)
{
	const struct ql_given *given = find_given(cmd, name);
	return given ? given->value : NULL;
}

int
ql_cmd_duration(const struct ql_cmd *cmd, const char *name, int64_t *ret_ms, struct ql_err *e)
{
	const char *text = ql_cmd_text(cmd, name);
	if (!text || ql_str_duration(text, ret_ms) == 0)
		return 0;
	return ql_fail(e, QL_E_USAGE,
		"--%s takes a duration such as 10s, 250ms, 5m, 2h or 30d; not '%.60s'", name, text);
}

int
ql_cmd_whole(const struct ql_cmd *cmd, const char *name, int64_t min, int64_t max,
	int64_t *ret_value, struct ql_err *e)
{
	const char *text = ql_cmd_text(cmd, name);
	if (!text || ql_str_int(text, min, max, ret_value) == 0)
		return 0;
	return ql_fail(e, QL_E_USAGE, "--%s takes a whole number from %lld to %lld; not '%.60s'",
		name, (long long)min, (long long)max, text);
}
