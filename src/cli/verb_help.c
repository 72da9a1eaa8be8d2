#include <string.h>

#include "cli/cli.h"
#include "cli/help.h"

static const struct ql_option options[] = {
	{"man", 0, NULL, "print the whole manual as a man page"},
	{NULL},
};

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	if (ql_cmd_has(cmd, "man")) {
		ql_help_man(cmd->verbs);
		return QL_EXIT_DONE;
	}
	if (cmd->operand_count == 0) {
		ql_help_all(cmd->verbs, stdout);
		return QL_EXIT_DONE;
	}
	const struct ql_verb *verb = ql_verb_find(cmd->verbs, cmd->operands[0]);
	if (!verb)
		return ql_fail(e, QL_E_USAGE, "there is no verb '%.60s'; see: quell help",
			cmd->operands[0]);
	ql_help_verb(verb);
	return QL_EXIT_DONE;
}

const struct ql_verb ql_verb_help = {
	.name = "help",
	.operands = "[VERB]",
	.brief = "explain the verbs",
	.about = "Lists the verbs, or explains one of them.\n",
	.options = options,
	.max_operands = 1,
	.operand = QL_OPERAND_VERB,
	.also = "man usage",
	.local = true,
	.run = run,
};
