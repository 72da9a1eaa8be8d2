#include "cli/call.h"

#include <signal.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/print.h"
#include "core/words.h"

int
ql_cmd_call(struct ql_cmd *cmd, const struct ql_call *call, struct ql_answer *ret_answer,
	struct ql_err *e)
{
	int rc = ql_client_call(cmd->client, call, ret_answer, e);
	if (ret_answer->body.len && ql_cmd_has(cmd, "json") && ql_print_raw(&ret_answer->body, e))
		return -1;
	return rc;
}

int
ql_cmd_call_eval(struct ql_cmd *cmd, const char *method, const char *id, const char *what,
	struct ql_answer *ret_answer, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	json_t *body = strcmp(method, "POST") == 0 ? json_object() : NULL;
	ql_buf_adds(&path, "/api/eval");
	ql_path_segment(&path, id);
	ql_buf_adds(&path, what);
	struct ql_call call = {.method = method, .path = path.data, .body = body};
	int rc = ql_cmd_call(cmd, &call, ret_answer, e);
	json_decref(body);
	return rc;
}

int
ql_cmd_show(struct ql_cmd *cmd, const struct ql_call *call, void (*print)(const json_t *answer),
	struct ql_err *e)
{
	struct ql_answer answer;
	int rc = ql_cmd_call(cmd, call, &answer, e);
	if (rc == 0 && !ql_cmd_has(cmd, "json"))
		print(answer.json);
	ql_answer_done(&answer);
	return rc;
}

int
ql_cmd_each(struct ql_cmd *cmd, ql_each_fn *fn, void *arg, struct ql_err *e)
{
	int status = QL_EXIT_DONE;
	for (int i = 0; i < cmd->operand_count; i++) {
		int rc = fn(cmd, cmd->operands[i], arg, e);
		if (rc < 0 && e->code == QL_E_UNREACHABLE)
			return -1;
		if (rc < 0 && strstr(e->text, cmd->operands[i]))
			ql_cli_say("%s", e->text);
		else if (rc < 0)
			ql_cli_say("%s: %s", cmd->operands[i], e->text);
		if (rc)
			status = QL_EXIT_FAILED;
	}
	return status;
}

int
ql_cmd_again(struct ql_cmd *cmd, const char *id, const char *what, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf line = {0};
	struct ql_answer answer;
	int rc = ql_cmd_call_eval(cmd, "POST", id, what, &answer, e);
	ql_buf_addf(&line, "%s: %s as attempt %lld", id,
		ql_member_text(answer.json, "status", "queued"),
		(long long)json_integer_value(json_object_get(answer.json, "attempt")));
	if (rc == 0 && !ql_cmd_has(cmd, "json"))
		ql_print_line(line.data ? line.data : id);
	ql_answer_done(&answer);
	return rc;
}

static int
status_of(const json_t *evaluation)
{
	return ql_status_parse(ql_member_text(evaluation, "status", ""));
}

bool
ql_json_is_succeeded(const json_t *evaluation)
{
	return status_of(evaluation) == QL_STATUS_SUCCEEDED;
}

bool
ql_json_is_failed(const json_t *evaluation)
{
	return status_of(evaluation) == QL_STATUS_FAILED;
}

bool
ql_json_is_settled(const json_t *evaluation)
{
	int status = status_of(evaluation);
	return status >= 0 && ql_status_settled((enum ql_status)status);
}

bool
ql_json_is_over(const json_t *evaluation)
{
	return ql_json_is_settled(evaluation) || status_of(evaluation) == QL_STATUS_UNCONFIRMED;
}

int
ql_client_await(struct ql_client *client, const char *id, int64_t wait_ms,
	struct ql_answer *ret_answer, struct ql_err *e)
{
	int64_t until = ql_print_steady() + wait_ms;
	for (;;) {
		QL_CLEAN_BUF struct ql_buf path = {0};
		int64_t left = until - ql_print_steady();
		int64_t wait = left < QL_CLIENT_WAIT_MAX * 1000 ? left : QL_CLIENT_WAIT_MAX * 1000;
		char seconds[32];
		snprintf(seconds, sizeof(seconds), "%.3f", (double)(wait > 0 ? wait : 0) / 1000);
		ql_buf_adds(&path, "/api/eval");
		ql_path_segment(&path, id);
		ql_path_query(&path, "wait", seconds);
		struct ql_call call = {.method = "GET", .path = path.data, .wait_ms = wait};
		int rc = ql_client_call(client, &call, ret_answer, e);
		if (rc || ql_json_is_over(ret_answer->json) || ql_print_steady() >= until)
			return rc;
		ql_answer_done(ret_answer);
	}
}

json_t *
ql_json_seconds(int64_t ms)
{
	return ms % 1000 ? json_real((double)ms / 1000) : json_integer(ms / 1000);
}

int
ql_signal_number(const char *name)
{
	for (int i = 1; i < NSIG; i++) {
		const char *brief = sigabbrev_np(i);
		if (brief && strncmp(name, "SIG", 3) == 0 && strcmp(name + 3, brief) == 0)
			return i;
	}
	return 0;
}
