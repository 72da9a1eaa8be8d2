#include "cli/help.h"

#include <string.h>

#include "base/buf.h"

void
ql_help_all(const struct ql_verb *const *verbs, FILE *stream)
{
	fputs("Quell runs evaluations, stops them, and proves that they stopped.\n\n"
	      "Usage: quell VERB [OPTION...] [ARGUMENT...]\n\n",
		stream);
	for (; *verbs; verbs++)
		fprintf(stream, "  %-12s %s\n", (*verbs)->name, (*verbs)->brief);
	fputs("\nMore about each: quell help VERB. Exit status: 0 done, 1 refused or failed,\n"
	      "2 wrong usage, 3 no server reached; quell run exits with the program's own.\n",
		stream);
}

static void
print_options(const struct ql_option *options)
{
	for (; options && options->name; options++) {
		QL_CLEAN_BUF struct ql_buf left = {0};
		if (options->letter)
			ql_buf_addf(&left, "-%c, ", options->letter);
		ql_buf_addf(&left, "--%s", options->name);
		if (options->value)
			ql_buf_addf(&left, " %s", options->value);
		printf("  %-24s  %s%s\n", left.data ? left.data : "", options->help,
			options->many ? "; may be repeated" : "");
	}
}

void
ql_help_verb(const struct ql_verb *verb)
{
	printf("Usage: quell %s [OPTION...]%s%s\n\n%s\nOptions:\n", verb->name,
		verb->operands ? " " : "", verb->operands ? verb->operands : "", verb->about);
	print_options(verb->options);
	print_options(ql_options_common(verb));
}
