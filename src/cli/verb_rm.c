#include "cli/call.h"
#include "cli/cli.h"
#include "cli/print.h"

static int
forget(struct ql_cmd *cmd, const char *id, void *arg, struct ql_err *e)
{
	(void)arg;
	QL_CLEAN_BUF struct ql_buf line = {0};
	struct ql_answer answer;
	int rc = ql_cmd_call_eval(cmd, "DELETE", id, "", &answer, e);
	ql_buf_addf(&line, "%s: forgotten", id);
	if (rc == 0 && !ql_cmd_has(cmd, "json"))
		ql_print_line(line.data ? line.data : id);
	ql_answer_done(&answer);
	return rc;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	return ql_cmd_each(cmd, forget, NULL, e);
}

const struct ql_verb ql_verb_rm = {
	.name = "rm",
	.operands = "ID...",
	.brief = "forget settled evaluations with their output",
	.about = "Deletes settled evaluations, their output and their checkpoints. One that\n"
		 "still lives is refused: stop it first. A forgotten ID is never used again.\n",
	.min_operands = 1,
	.max_operands = -1,
	.operand = QL_OPERAND_ID,
	.also = "delete remove forget",
	.run = run,
};
