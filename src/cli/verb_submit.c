#include "cli/call.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/submit.h"

static const struct ql_option options[] = {
	QL_SUBMIT_OPTIONS,
	{"idempotency-key", 0, "KEY", "the same key and content again submits nothing new"},
	{"wait", 'w', "DURATION", "wait so long for its end"},
	{NULL},
};

/* The answer once it is over; --wait makes anything but a success a failure. */
static int
await(struct ql_cmd *cmd, int64_t wait_ms, struct ql_answer *answer, struct ql_err *e)
{
	struct ql_answer last;
	const char *id = ql_member_text(answer->json, "eval_id", "");
	int rc = ql_client_await(cmd->client, id, wait_ms, &last, e);
	ql_answer_done(answer);
	*answer = last;
	if (rc)
		return -1;
	return ql_json_is_succeeded(answer->json) ? QL_EXIT_DONE : QL_EXIT_FAILED;
}

static void
print_answer(const struct ql_cmd *cmd, const struct ql_answer *answer)
{
	QL_CLEAN_BUF struct ql_buf line = {0};
	ql_buf_adds(&line, ql_member_text(answer->json, "eval_id", "?"));
	if (ql_cmd_has(cmd, "wait"))
		ql_buf_addf(&line, " %s", ql_member_text(answer->json, "status", "?"));
	ql_print_line(line.data ? line.data : "");
}

static int
submit(struct ql_cmd *cmd, const json_t *body, int64_t wait_ms, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf header = {0};
	struct ql_answer answer;
	const char *key = ql_cmd_text(cmd, "idempotency-key");
	ql_buf_addf(&header, "Idempotency-Key: %s", key ? key : "");
	struct ql_call call = {.method = "POST",
		.path = "/api/eval",
		.body = body,
		.header = key ? header.data : NULL};
	int rc = ql_client_call(cmd->client, &call, &answer, e);
	if (rc == 0 && wait_ms >= 0)
		rc = await(cmd, wait_ms, &answer, e);
	if (ql_cmd_has(cmd, "json") && answer.body.len)
		rc = ql_print_raw(&answer.body, e) ? -1 : rc;
	else if (rc >= 0)
		print_answer(cmd, &answer);
	ql_answer_done(&answer);
	return rc;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	json_t *body;
	int64_t wait_ms = -1;
	if (ql_cmd_duration(cmd, "wait", &wait_ms, e) || ql_submit_body(cmd, &body, e))
		return -1;
	int rc = submit(cmd, body, wait_ms, e);
	json_decref(body);
	return rc;
}

const struct ql_verb ql_verb_submit = {
	.name = "submit",
	.operands = "FILE | - | -- CMD...",
	.brief = "queue an evaluation and print its ID",
	.about = "Submits FILE (or with - what comes on stdin) as code, or the command after\n"
		 "--, and prints the ID. With --wait the status follows it once it is settled,\n"
		 "and the exit status is 0 only for succeeded.\n",
	.options = options,
	.max_operands = -1,
	.operand = QL_OPERAND_FILE,
	.also = "add queue enqueue new",
	.run = run,
};
