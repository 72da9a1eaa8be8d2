/* The man page. `quell help --man` prints it; docs/quell.1 is its output. */
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/help.h"

/* Text in which nothing is roff's: no escapes, no hyphens for breaking, no requests. */
static void
print_bytes(const char *text, size_t len)
{
	bool line_start = true;
	for (const char *c = text; c < text + len; c++) {
		if (line_start && (*c == '.' || *c == '\''))
			fputs("\\&", stdout);
		line_start = *c == '\n';
		if (*c == '\\')
			fputs("\\e", stdout);
		else if (*c == '-')
			fputs("\\-", stdout);
		else
			putchar(*c);
	}
}

static void
print_text(const char *text)
{
	print_bytes(text, strlen(text));
}

/* Paragraphs; an indented line stands as it is, for it is an example. */
static void
print_about(const char *about)
{
	bool example = false;
	while (*about) {
		size_t len = strcspn(about, "\n");
		bool indented = about[0] == ' ';
		if (indented != example)
			puts(indented ? ".nf" : ".fi");
		example = indented;
		if (len == 0)
			puts(".PP");
		else
			print_bytes(about, len);
		if (len)
			putchar('\n');
		about += len + (about[len] == '\n');
	}
	if (example)
		puts(".fi");
}

static void
print_option(const struct ql_option *option)
{
	fputs(".TP\n\\fB", stdout);
	if (option->letter)
		printf("\\-%c\\fR, \\fB", option->letter);
	print_text("--");
	print_text(option->name);
	fputs("\\fR", stdout);
	if (option->value) {
		fputs(" \\fI", stdout);
		print_text(option->value);
		fputs("\\fR", stdout);
	}
	putchar('\n');
	print_text(option->help);
	puts(option->many ? "; may be repeated." : ".");
}

static void
print_options(const struct ql_option *options)
{
	for (; options && options->name; options++)
		print_option(options);
}

static void
print_verb(const struct ql_verb *verb)
{
	fputs(".SS quell ", stdout);
	print_text(verb->name);
	fputs(" [OPTION...]", stdout);
	if (verb->operands) {
		putchar(' ');
		print_text(verb->operands);
	}
	putchar('\n');
	print_about(verb->about);
	print_options(verb->options);
}

/* The common options, from any verb that has them. */
static void
print_common(const struct ql_verb *const *verbs)
{
	puts(".SH COMMON OPTIONS\nof every verb that talks to a server:");
	while (*verbs && (*verbs)->local)
		verbs++;
	if (*verbs)
		print_options(ql_options_common(*verbs));
}

static void
print_rest(void)
{
	printf(".SH EXIT STATUS\n"
	       ".TP\n%d\ndone\n.TP\n%d\nrefused or failed\n.TP\n%d\nwrong usage\n"
	       ".TP\n%d\nno server reached\n"
	       ".PP\nquell run exits with the program\\(aqs own status, %d+N after signal N,\n"
	       "and %d when it was Quell that failed.\n",
		QL_EXIT_DONE, QL_EXIT_FAILED, QL_EXIT_USAGE, QL_EXIT_UNREACHABLE, QL_EXIT_SIGNAL,
		QL_EXIT_RUN);
	fputs(".SH ENVIRONMENT\n"
	      ".TP\n\\fBQUELL_URL\\fR\nthe server, " QL_CLIENT_URL " if not set\n"
	      ".TP\n\\fBQUELL_KEY\\fR\nthe key to show it\n"
	      ".TP\n\\fBQUELL_DATA\\fR\nthe data folder of a local server, which has its key\n"
	      ".TP\n\\fBNO_COLOR\\fR\nno colours when set\n"
	      ".SH FILES\n"
	      ".TP\n"
	      "\\fI$XDG_STATE_HOME/quell/admin.key\\fR, \\fI~/.local/state/quell/admin.key\\fR\n"
	      "the admin key that a local server wrote. It is shown to no server but one on a\n"
	      "loopback address.\n",
		stdout);
}

void
ql_help_man(const struct ql_verb *const *verbs)
{
	fputs(".\\\" Written by `quell help --man`: change the verbs, not this file.\n"
	      ".TH QUELL 1 \"\" \"quell " QL_VERSION "\" \"Quell\"\n"
	      ".SH NAME\nquell \\- run evaluations, stop them, and prove that they stopped\n"
	      ".SH SYNOPSIS\n.B quell\n\\fIVERB\\fR [\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n"
	      ".SH DESCRIPTION\n"
	      "Quell runs evaluations (code in a sandbox) and stops them for sure: it says\n"
	      "\\fBcancelled\\fR of one only with evidence that nothing of it runs any more.\n"
	      "`quell serve` is the server; the other verbs talk to it.\n"
	      ".SH VERBS\n",
		stdout);
	for (const struct ql_verb *const *verb = verbs; *verb; verb++)
		print_verb(*verb);
	print_common(verbs);
	print_rest();
}
