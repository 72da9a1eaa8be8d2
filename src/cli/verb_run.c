#include <string.h>
#include <unistd.h>

#include "cli/call.h"
#include "cli/cli.h"
#include "cli/detail.h"
#include "cli/print.h"
#include "cli/session.h"
#include "cli/submit.h"
#include "core/words.h"

static const struct ql_option options[] = {
	QL_SUBMIT_OPTIONS,
	{"quiet", 'q', NULL, "say nothing of your own unless something is wrong"},
	{NULL},
};

static bool
is_exit(const char *cause)
{
	return strcmp(cause, ql_cause_word(QL_CAUSE_EXIT)) == 0;
}

/* The error sentence where it says more than the end and its cause do. */
static const char *
error_of(const json_t *evaluation, const char *ended)
{
	const char *cause = ql_member_text(evaluation, "cause", "");
	if (ended && (is_exit(cause) || !ql_json_is_failed(evaluation)))
		return NULL;
	return ql_member_text(evaluation, "error", NULL);
}

/* "ID failed (oom): SIGKILL after 1.2s: <error>" */
static void
say_end(const json_t *evaluation)
{
	QL_CLEAN_BUF struct ql_buf line = {0};
	char text[QL_ENDED_TEXT], took[QL_SPAN_TEXT];
	const char *ended = ql_detail_ended(evaluation, text);
	const char *cause = ql_member_text(evaluation, "cause", NULL);
	const char *error = error_of(evaluation, ended);
	int64_t started = ql_member_time(evaluation, "started_at");
	int64_t finished = ql_member_time(evaluation, "finished_at");
	ql_buf_addf(&line, "%s %s", ql_member_text(evaluation, "eval_id", "?"),
		ql_member_text(evaluation, "status", "?"));
	if (cause && !is_exit(cause))
		ql_buf_addf(&line, " (%s)", cause);
	if (ended)
		ql_buf_addf(&line, ": %s", ended);
	if (started && finished) {
		ql_print_exact(finished - started, took);
		ql_buf_addf(&line, " after %s", took);
	}
	if (error)
		ql_buf_addf(&line, ": %s", error);
	ql_cli_say("%s", line.data ? line.data : "");
}

/* The program's own status; 128 plus the signal's number; or 125, as the program never ended. */
static int
exit_status(const json_t *evaluation)
{
	const json_t *code = json_object_get(evaluation, "exit_code");
	int signal = ql_signal_number(ql_member_text(evaluation, "signal", ""));
	if (json_is_integer(code))
		return (int)json_integer_value(code);
	return signal ? QL_EXIT_SIGNAL + signal : QL_EXIT_RUN;
}

static int
follow(struct ql_cmd *cmd, const char *id, int signal_fd, struct ql_err *e)
{
	bool json = ql_cmd_has(cmd, "json"), quiet = ql_cmd_has(cmd, "quiet");
	struct ql_session_config config = {
		.client = cmd->client, .id = id, .signal_fd = signal_fd, .output = !json};
	json_t *evaluation;
	if (!quiet)
		ql_cli_say("submitted as %s; Ctrl-C cancels it", id);
	if (ql_session_run(&config, &evaluation, e))
		return -1;
	int status = exit_status(evaluation);
	if (!quiet || status == QL_EXIT_RUN)
		say_end(evaluation);
	if (json)
		json_dumpf(evaluation, stdout, JSON_COMPACT);
	if (json)
		putchar('\n');
	json_decref(evaluation);
	return status;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	json_t *body;
	struct ql_answer answer;
	int signal_fd;
	if (ql_submit_body(cmd, &body, e))
		return -1;
	/* from before the submission: a Ctrl-C must not leave behind what nobody knows of */
	if (ql_session_catch(&signal_fd, e)) {
		json_decref(body);
		return -1;
	}
	struct ql_call call = {.method = "POST", .path = "/api/eval", .body = body};
	int rc = ql_client_call(cmd->client, &call, &answer, e);
	json_decref(body);
	if (rc == 0)
		rc = follow(cmd, ql_member_text(answer.json, "eval_id", "?"), signal_fd, e);
	ql_answer_done(&answer);
	close(signal_fd);
	return rc;
}

const struct ql_verb ql_verb_run = {
	.name = "run",
	.operands = "FILE | - | -- CMD...",
	.brief = "run a program in the sandbox and show its output",
	.about = "Submits FILE (or with - what comes on stdin) as code, or the command after\n"
		 "--, and shows its output as it comes, stdout on stdout and stderr on stderr.\n"
		 "\n"
		 "    quell run train.py\n"
		 "    quell run --memory 1G -- sh -c 'echo hello'\n"
		 "\n"
		 "Ctrl-C cancels it: the program is asked to stop. A second Ctrl-C forces it,\n"
		 "a third one kills it, and a fourth one leaves it to the server. SIGTERM\n"
		 "forces it.\n"
		 "\n"
		 "It exits with the program's status, with 128+N after signal N, with 127 or 126\n"
		 "where there is no such program or it can't be executed, and with 125 when Quell\n"
		 "failed or the evaluation was never started. When the server goes away it is\n"
		 "waited for; the evaluation goes on meanwhile. With --json the output isn't\n"
		 "shown: the evaluation as it ended is printed.\n",
	.options = options,
	.max_operands = -1,
	.operand = QL_OPERAND_FILE,
	.also = "exec start",
	.failed = QL_EXIT_RUN,
	.run = run,
};
