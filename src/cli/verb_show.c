#include "cli/call.h"
#include "cli/cli.h"
#include "cli/detail.h"
#include "cli/print.h"

static const struct ql_option options[] = {
	{"wait", 'w', "DURATION", "first wait so long for its end"},
	{NULL},
};

static int
show(struct ql_cmd *cmd, const char *id, void *arg, struct ql_err *e)
{
	const int64_t *wait_ms = arg;
	struct ql_answer answer;
	int rc = ql_client_await(cmd->client, id, *wait_ms, &answer, e);
	if (ql_cmd_has(cmd, "json") && answer.body.len)
		rc |= ql_print_raw(&answer.body, e);
	else if (rc == 0)
		ql_detail_print(answer.json);
	ql_answer_done(&answer);
	return rc;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	int64_t wait_ms = 0;
	if (ql_cmd_duration(cmd, "wait", &wait_ms, e))
		return -1;
	return ql_cmd_each(cmd, show, &wait_ms, e);
}

const struct ql_verb ql_verb_show = {
	.name = "show",
	.operands = "ID...",
	.brief = "show all that is known of an evaluation",
	.about = "Shows an evaluation: what it is, where it stands, how it ended, and its stop\n"
		 "with each step and the evidence. With --wait it shows it once it is settled,\n"
		 "or when the time has passed.\n",
	.options = options,
	.min_operands = 1,
	.max_operands = -1,
	.operand = QL_OPERAND_ID,
	.also = "get inspect status describe wait",
	.run = run,
};
