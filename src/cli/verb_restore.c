#include "cli/call.h"

static int
restore(struct ql_cmd *cmd, const char *id, void *arg, struct ql_err *e)
{
	(void)arg;
	return ql_cmd_again(cmd, id, "/restore", e);
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	return ql_cmd_each(cmd, restore, NULL, e);
}

const struct ql_verb ql_verb_restore = {
	.name = "restore",
	.operands = "ID...",
	.brief = "undo the cancel of evaluations that never started",
	.about = "Queues a cancelled evaluation that never started once more, as its next\n"
		 "attempt.\n",
	.min_operands = 1,
	.max_operands = -1,
	.operand = QL_OPERAND_ID,
	.also = "undo uncancel",
	.run = run,
};
