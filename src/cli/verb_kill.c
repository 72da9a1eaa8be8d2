#include "cli/call.h"
#include "cli/many.h"
#include "cli/stop.h"

static const struct ql_option options[] = {
	QL_STOP_OPTIONS,
	QL_MANY_OPTIONS,
	{NULL},
};

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	return ql_stop_each(cmd, QL_MODE_KILL, json_object(), e);
}

const struct ql_verb ql_verb_kill = {
	.name = "kill",
	.operands = "ID... | --selector TERMS",
	.brief = "kill evaluations at once, with all their processes",
	.about = "Sends SIGKILL to everything that an evaluation runs, and says what is proven\n"
		 "of it. With --wait the exit status is 0 only when the stop was proven in\n"
		 "time; without it, as soon as the request was taken on (see: quell help cancel).\n"
		 "With --selector many are killed as one batch; see: quell help batch\n",
	.options = options,
	.max_operands = -1,
	.operand = QL_OPERAND_ID,
	.run = run,
};
