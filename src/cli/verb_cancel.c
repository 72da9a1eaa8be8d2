#include "cli/call.h"
#include "cli/cli.h"
#include "cli/many.h"
#include "cli/stop.h"

static const struct ql_option options[] = {
	{"terminate", 't', NULL, "force: begin with SIGTERM, kill after the grace"},
	{"escalate", 0, "RUNG", "how far to go by itself", .words = "none terminate kill"},
	{"grace", 0, "DURATION", "from one means to the next"},
	QL_STOP_OPTIONS,
	QL_MANY_OPTIONS,
	{NULL},
};

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	const char *escalate = ql_cmd_text(cmd, "escalate");
	int64_t grace_ms = -1;
	if (ql_cmd_duration(cmd, "grace", &grace_ms, e))
		return -1;
	json_t *body = json_object();
	if (ql_cmd_has(cmd, "terminate"))
		json_object_set_new(body, "terminate", json_true());
	if (escalate)
		json_object_set_new(body, "escalate", json_string(escalate));
	if (grace_ms >= 0)
		json_object_set_new(body, "grace", ql_json_seconds(grace_ms));
	bool forced = ql_cmd_has(cmd, "terminate");
	return ql_stop_each(cmd, forced ? QL_MODE_TERMINATE : QL_MODE_CANCEL, body, e);
}

const struct ql_verb ql_verb_cancel = {
	.name = "cancel",
	.operands = "ID... | --selector TERMS",
	.brief = "stop evaluations: ask, or force with --terminate",
	.about = "Takes a queued evaluation out of the queue, and asks a running one to stop\n"
		 "at its next checkpoint. It is not forced unless --terminate or --escalate\n"
		 "says so.\n"
		 "\n"
		 "Beside Celery, task:TASK-ID names any task of the broker, whoever sent it.\n"
		 "\n"
		 "A request that was accepted is not a stop: the answer says what is proven.\n"
		 "With --wait the exit status is 0 only when the stop was proven in time, so\n"
		 "that\n"
		 "\n"
		 "    quell cancel --wait 5s ID || quell kill ID\n"
		 "\n"
		 "does what it says. One that had finished first is a failure too: nothing was\n"
		 "stopped.\n"
		 "\n"
		 "Without --wait it is 0 as soon as the request was taken on. Beside Celery that\n"
		 "may be for an ID that nobody has seen: it is looked for, for two seconds or\n"
		 "more, and only --wait learns that it is nowhere.\n"
		 "\n"
		 "With --selector many are stopped as one batch: what would happen is said first,\n"
		 "and above 100 evaluations their number is asked for. See: quell help batch\n",
	.options = options,
	.max_operands = -1,
	.operand = QL_OPERAND_ID,
	.also = "stop revoke abort terminate",
	.run = run,
};
