#include "cli/call.h"

static int
resume(struct ql_cmd *cmd, const char *id, void *arg, struct ql_err *e)
{
	(void)arg;
	return ql_cmd_again(cmd, id, "/resume", e);
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	return ql_cmd_each(cmd, resume, NULL, e);
}

const struct ql_verb ql_verb_resume = {
	.name = "resume",
	.operands = "ID...",
	.brief = "run stopped evaluations again from their checkpoints",
	.about = "Runs a stopped evaluation again, as its next attempt. It finds in\n"
		 "QUELL_CHECKPOINT what the attempt before it had saved.\n",
	.min_operands = 1,
	.max_operands = -1,
	.operand = QL_OPERAND_ID,
	.also = "restart retry rerun",
	.run = run,
};
