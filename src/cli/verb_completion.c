#include <string.h>

#include "cli/cli.h"
#include "cli/completion.h"

static const struct {
	const char *shell;
	void (*print)(const struct ql_verb *const *verbs);
} shells[] = {
	{"bash", ql_completion_bash},
	{"zsh", ql_completion_zsh},
	{"fish", ql_completion_fish},
};

#define SHELLS "bash zsh fish"

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		if (strcmp(shells[i].shell, cmd->operands[0]) != 0)
			continue;
		shells[i].print(cmd->verbs);
		return QL_EXIT_DONE;
	}
	return ql_fail(e, QL_E_USAGE, "there are completions for %s; not for '%.60s'", SHELLS,
		cmd->operands[0]);
}

const struct ql_verb ql_verb_completion = {
	.name = "completion",
	.operands = "SHELL",
	.brief = "print completions for bash, zsh or fish",
	.about = "Prints a script that completes verbs, options and IDs. To use it at once:\n"
		 "\n"
		 "    bash   source <(quell completion bash)\n"
		 "    zsh    source <(quell completion zsh)\n"
		 "    fish   quell completion fish | source\n"
		 "\n"
		 "To keep it, write it to ~/.local/share/bash-completion/completions/quell, to\n"
		 "a file _quell in a folder of $fpath, or to\n"
		 "~/.config/fish/completions/quell.fish.\n",
	.min_operands = 1,
	.max_operands = 1,
	.operand = QL_OPERAND_WORD,
	.operand_words = SHELLS,
	.local = true,
	.run = run,
};
