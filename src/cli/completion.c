#include "cli/completion.h"

#include <stdio.h>
#include <string.h>

/* Text for within single quotes; the characters of `special` get a backslash before them. */
static void
print_escaped(const char *text, const char *special)
{
	for (const char *c = text; *c; c++) {
		if (strchr(special, *c))
			putchar('\\');
		if (*c == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*c);
	}
}

static void
print_quoted(const char *text)
{
	putchar('\'');
	print_escaped(text, "");
	putchar('\'');
}

/* Calls fn for each option of the verb, its own first. */
static void
each_option(const struct ql_verb *verb, void (*fn)(const struct ql_option *option))
{
	const struct ql_option *lists[] = {verb->options, ql_options_common(verb)};
	for (int i = 0; i < 2; i++) {
		for (const struct ql_option *option = lists[i]; option && option->name; option++)
			fn(option);
	}
}

static void
print_names(const struct ql_verb *const *verbs)
{
	for (; *verbs; verbs++)
		printf(" %s", (*verbs)->name);
}

/* ---- bash ---- */

static void
bash_option(const struct ql_option *option)
{
	printf(" --%s", option->name);
	if (option->letter)
		printf(" -%c", option->letter);
}

/* After an option that takes a value: its words, or nothing. */
static void
bash_value(const struct ql_option *option)
{
	if (!option->value)
		return;
	printf("\t\t--%s", option->name);
	if (option->letter)
		printf(" | -%c", option->letter);
	printf(") words=\"%s\" operand= ;;\n", option->words ? option->words : "");
}

static void
bash_verb(const struct ql_verb *verb)
{
	static const char *const operands[] = {
		[QL_OPERAND_NONE] = "",
		[QL_OPERAND_ID] = "id",
		[QL_OPERAND_FILE] = "file",
		[QL_OPERAND_VERB] = "verb",
		[QL_OPERAND_WORD] = "",
	};
	printf("\t%s)\n\t\toperand=%s words=\"%s\"\n\t\t[[ $word == -* ]] && words=\"", verb->name,
		operands[verb->operand], verb->operand_words ? verb->operand_words : "");
	each_option(verb, bash_option);
	printf("\" operand=\n\t\tcase $before in\n");
	each_option(verb, bash_value);
	printf("\t\tesac\n\t\t;;\n");
}

void
ql_completion_bash(const struct ql_verb *const *verbs)
{
	printf("# Completions of quell for bash, written by `quell completion bash`.\n"
	       "_quell() {\n"
	       "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
	       "\tlocal words= operand= verbs=\"");
	print_names(verbs);
	printf("\"\n"
	       "\tcase ${COMP_WORDS[1]} in\n");
	for (const struct ql_verb *const *verb = verbs; *verb; verb++)
		bash_verb(*verb);
	printf("\tesac\n"
	       "\t((COMP_CWORD == 1)) && words=$verbs operand=\n"
	       "\t[[ $operand == id ]] && words=$(" QL_COMPLETION_IDS ")\n"
	       "\t[[ $operand == verb ]] && words=$verbs\n"
	       "\tif [[ $operand == file ]]; then\n"
	       "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
	       "\telse\n"
	       "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
	       "\tfi\n"
	       "}\n"
	       "complete -o filenames -F _quell quell\n");
}

/* ---- zsh ---- */

static void
zsh_option(const struct ql_option *option)
{
	printf(" \\\n\t\t\t%s", option->many ? "'*'" : "");
	if (option->letter)
		printf("{-%c,--%s}'[", option->letter, option->name);
	else
		printf("'--%s[", option->name);
	print_escaped(option->help, "[]:");
	putchar(']');
	if (option->value)
		printf(":%s:", option->value);
	if (option->words)
		printf("(%s)", option->words);
	printf("%s'", option->value && !option->words ? " " : "");
}

static void
zsh_verb(const struct ql_verb *verb)
{
	printf("\t%s)\n\t\t_arguments", verb->name);
	each_option(verb, zsh_option);
	if (verb->operand == QL_OPERAND_ID)
		printf(" \\\n\t\t\t'*:ID:_quell_ids'");
	else if (verb->operand == QL_OPERAND_FILE)
		printf(" \\\n\t\t\t'*:FILE:_files'");
	else if (verb->operand == QL_OPERAND_VERB)
		printf(" \\\n\t\t\t'*:VERB:_quell_verbs'");
	else if (verb->operand == QL_OPERAND_WORD)
		printf(" \\\n\t\t\t'*:WORD:(%s)'", verb->operand_words);
	printf("\n\t\t;;\n");
}

void
ql_completion_zsh(const struct ql_verb *const *verbs)
{
	printf("#compdef quell\n"
	       "# Completions of quell for zsh, written by `quell completion zsh`.\n"
	       "_quell_ids() {\n"
	       "\tlocal -a ids\n"
	       "\tids=(${(f)\"$(" QL_COMPLETION_IDS ")\"})\n"
	       "\tcompadd -a ids\n"
	       "}\n"
	       "_quell_verbs() {\n"
	       "\tlocal -a verbs\n"
	       "\tverbs=(\n");
	for (const struct ql_verb *const *verb = verbs; *verb; verb++) {
		printf("\t\t%s:", (*verb)->name);
		print_quoted((*verb)->brief);
		putchar('\n');
	}
	printf("\t)\n"
	       "\t_describe verb verbs\n"
	       "}\n"
	       "_quell() {\n"
	       "\tif ((CURRENT == 2)); then\n"
	       "\t\t_quell_verbs\n"
	       "\t\treturn\n"
	       "\tfi\n"
	       "\tshift words\n"
	       "\t((CURRENT--))\n"
	       "\tcase $words[1] in\n");
	for (const struct ql_verb *const *verb = verbs; *verb; verb++)
		zsh_verb(*verb);
	printf("\tesac\n"
	       "}\n"
	       "if [[ $funcstack[1] == _quell ]]; then\n"
	       "\t_quell \"$@\"\n"
	       "else\n"
	       "\tcompdef _quell quell\n"
	       "fi\n");
}

/* ---- fish ---- */

#define FISH "complete -c quell -n "

static void
fish_option(const char *verb, const struct ql_option *option)
{
	printf(FISH "'__fish_seen_subcommand_from %s' -l %s", verb, option->name);
	if (option->letter)
		printf(" -s %c", option->letter);
	if (option->value)
		printf(" -x");
	if (option->words)
		printf(" -a '%s'", option->words);
	printf(" -d ");
	print_quoted(option->help);
	putchar('\n');
}

static void
fish_operand(const struct ql_verb *verb)
{
	const char *name = verb->name;
	if (verb->operand == QL_OPERAND_ID)
		printf(FISH "'__fish_seen_subcommand_from %s' -a '(" QL_COMPLETION_IDS ")'\n",
			name);
	else if (verb->operand == QL_OPERAND_FILE)
		printf(FISH "'__fish_seen_subcommand_from %s' -F\n", name);
	else if (verb->operand == QL_OPERAND_WORD)
		printf(FISH "'__fish_seen_subcommand_from %s' -a '%s'\n", name,
			verb->operand_words);
}

void
ql_completion_fish(const struct ql_verb *const *verbs)
{
	printf("# Completions of quell for fish, written by `quell completion fish`.\n"
	       "complete -c quell -f\n");
	for (const struct ql_verb *const *at = verbs; *at; at++) {
		const struct ql_verb *verb = *at;
		const struct ql_option *lists[] = {verb->options, ql_options_common(verb)};
		printf(FISH "__fish_use_subcommand -a %s -d ", verb->name);
		print_quoted(verb->brief);
		putchar('\n');
		for (int i = 0; i < 2; i++) {
			for (const struct ql_option *o = lists[i]; o && o->name; o++)
				fish_option(verb->name, o);
		}
		fish_operand(verb);
		if (verb->operand != QL_OPERAND_VERB)
			continue;
		printf(FISH "'__fish_seen_subcommand_from %s' -a '", verb->name);
		print_names(verbs);
		printf("'\n");
	}
}
