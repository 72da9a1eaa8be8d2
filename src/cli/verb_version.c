#include <stdio.h>

#include "cli/cli.h"

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	(void)cmd;
	(void)e;
	puts("quell " QL_VERSION);
	return QL_EXIT_DONE;
}

const struct ql_verb ql_verb_version = {
	.name = "version",
	.brief = "print the version",
	.about = "Prints the version of this program. The server's is in `quell doctor`.\n",
	.local = true,
	.run = run,
};
