#include <string.h>

#include "cli/call.h"
#include "cli/cli.h"
#include "cli/detail.h"
#include "cli/print.h"

static const struct ql_option options[] = {
	{"lease", 0, "TIME", "heartbeat: it is lost unless another one comes within that (60s)"},
	{NULL},
};

static void
print_session(const json_t *session)
{
	const char *until = ql_member_text(session, "until", NULL);
	const char *over = ql_member_text(session, "over_at", NULL);
	ql_detail_line("session", "%s", ql_member_text(session, "session", "?"));
	ql_detail_line("owner", "%s", ql_member_text(session, "owner", "?"));
	ql_detail_line("state", "%s", ql_member_text(session, "state", "?"));
	if (until)
		ql_detail_line("until", "%s, unless it is renewed", until);
	if (over)
		ql_detail_line("over at", "%s", over);
}

static int
ask(struct ql_cmd *cmd, const char *method, const char *what, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	struct ql_answer answer;
	int64_t lease_ms = 0;
	char lease[24];
	if (ql_cmd_duration(cmd, "lease", &lease_ms, e))
		return -1;
	ql_buf_adds(&path, "/api/sessions");
	ql_path_segment(&path, cmd->operands[1]);
	ql_buf_adds(&path, what);
	snprintf(lease, sizeof(lease), "%.15g", (double)lease_ms / 1000);
	if (ql_cmd_has(cmd, "lease"))
		ql_path_query(&path, "lease_s", lease);
	struct ql_call call = {.method = method, .path = path.data};
	int rc = ql_cmd_call(cmd, &call, &answer, e);
	if (rc == 0 && !ql_cmd_has(cmd, "json"))
		print_session(answer.json);
	ql_answer_done(&answer);
	return rc;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	const char *what = cmd->operands[0];
	bool beats = !strcmp(what, "heartbeat");
	if (ql_cmd_has(cmd, "lease") && !beats)
		return ql_fail(e, QL_E_USAGE, "session: --lease goes with heartbeat");
	if (beats)
		return ask(cmd, "POST", "/heartbeat", e);
	if (!strcmp(what, "end"))
		return ask(cmd, "POST", "/end", e);
	if (!strcmp(what, "show"))
		return ask(cmd, "GET", "", e);
	return ql_fail(e, QL_E_USAGE, "session: wants show, heartbeat or end, and which");
}

const struct ql_verb ql_verb_session = {
	.name = "session",
	.operands = "show | heartbeat | end NAME",
	.brief = "say that a session is still wanted, or that it is over",
	.about = "What is submitted with --session NAME belongs to that session of yours. Whoever\n"
		 "waits for it leases the session by a `heartbeat`, and renews that in time; when\n"
		 "none comes any more it is lost. What belongs to one that is lost, or that was\n"
		 "ended, is stopped by a policy with the trigger session_ended.\n",
	.options = options,
	.min_operands = 2,
	.max_operands = 2,
	.operand = QL_OPERAND_WORD,
	.operand_words = "show heartbeat end",
	.also = "lease logout notebook",
	.run = run,
};
