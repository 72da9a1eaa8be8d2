#include "cli/call.h"
#include "cli/cli.h"
#include "cli/timeline.h"

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	struct ql_answer answer;
	int rc = ql_cmd_call_eval(cmd, "GET", cmd->operands[0], "/timeline", &answer, e);
	if (rc == 0 && !ql_cmd_has(cmd, "json"))
		ql_timeline_print(answer.json, 0);
	ql_answer_done(&answer);
	return rc;
}

const struct ql_verb ql_verb_timeline = {
	.name = "timeline",
	.operands = "ID",
	.brief = "show every decision about an evaluation",
	.about = "Shows every decision about an evaluation, oldest first: when, in which\n"
		 "attempt, the status after it, and in one sentence why it was taken and what\n"
		 "it does.\n",
	.min_operands = 1,
	.max_operands = 1,
	.operand = QL_OPERAND_ID,
	.also = "history events audit",
	.run = run,
};
