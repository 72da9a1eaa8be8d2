#include "cli/stop.h"

#include <string.h>

#include "cli/call.h"
#include "cli/cli.h"
#include "cli/many.h"
#include "cli/print.h"
#include "core/words.h"

struct stop {
	const char *what;
	json_t *body;
	int64_t wait_ms; /* -1 = it isn't to be waited for */
};

static void
print_next(struct ql_buf *line, const json_t *cancellation)
{
	const json_t *next = json_object_get(cancellation, "next");
	const char *rung = ql_member_text(next, "rung", NULL);
	char span[QL_SPAN_TEXT];
	if (!rung)
		return;
	ql_print_exact(ql_member_time(next, "at") - ql_print_now(), span);
	ql_buf_addf(line, " What comes by itself: %s in %s.", rung, span);
}

/* The stop found it queued, and nobody was told yet: what is taken out, or looked for, was not asked to stop. */
static bool
told_nobody(const json_t *cancellation)
{
	const json_t *steps = json_object_get(cancellation, "steps");
	const json_t *last = json_array_get(steps, json_array_size(steps) - 1);
	return strcmp(ql_member_text(last, "rung", ""), ql_rung_word(QL_RUNG_REMOVE)) == 0;
}

/* Under way, told by what was asked for and what may be asked for still. */
static void
print_under_way(struct ql_buf *line, const json_t *cancellation, const char *id)
{
	int mode = ql_mode_parse(ql_member_text(cancellation, "mode", ""));
	if (mode == QL_MODE_KILL)
		ql_buf_addf(line, "SIGKILL is on its way; not proven stopped yet.");
	else if (mode == QL_MODE_TERMINATE)
		ql_buf_addf(line, "being terminated; not proven stopped yet.");
	else
		ql_buf_addf(line, "asked to stop; not stopped yet.");
	print_next(line, cancellation);
	if (mode == QL_MODE_KILL)
		ql_buf_addf(line, " Why it takes long: quell doctor %s", id);
	else if (mode == QL_MODE_TERMINATE)
		ql_buf_addf(line, " To kill it at once: quell kill %s", id);
	else
		ql_buf_addf(line, " To force it: quell cancel --terminate %s", id);
}

static void
print_cancellation(const json_t *cancellation, const char *id)
{
	QL_CLEAN_BUF struct ql_buf line = {0};
	const char *outcome = ql_member_text(cancellation, "outcome", NULL);
	ql_buf_addf(&line, "%s: ", id);
	if (!outcome && told_nobody(cancellation))
		ql_buf_adds(
			&line, ql_member_text(cancellation, "message", "the stop is under way"));
	else if (!outcome)
		print_under_way(&line, cancellation, id);
	else if (strcmp(outcome, ql_outcome_word(QL_OUTCOME_UNCONFIRMED)) == 0)
		ql_buf_addf(&line,
			"not confirmed: %s. It is watched on. To see why: quell doctor %s. To try "
			"again: quell kill %s",
			ql_outcome_sentence(QL_OUTCOME_UNCONFIRMED), id, id);
	else
		ql_buf_adds(&line, ql_member_text(cancellation, "message", outcome));
	ql_print_line(line.data ? line.data : id);
}

/* Reads the cancellation again once it is over, or once the time has passed. */
static int
await(struct ql_cmd *cmd, const char *id, int64_t until, struct ql_answer *answer, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	struct ql_answer evaluation;
	ql_buf_adds(&path, "/api/cancellations");
	ql_path_segment(&path, ql_member_text(answer->json, "cancellation_id", ""));
	ql_answer_done(answer);
	int rc = ql_client_await(cmd->client, id, until - ql_print_steady(), &evaluation, e);
	ql_answer_done(&evaluation);
	if (rc)
		return -1;
	struct ql_call call = {.method = "GET", .path = path.data};
	return ql_client_call(cmd->client, &call, answer, e);
}

static int
send_stop(struct ql_cmd *cmd, const char *id, const struct stop *stop, struct ql_answer *answer,
	struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	const int64_t bound = QL_CLIENT_WAIT_MAX * 1000;
	int64_t until = ql_print_steady() + stop->wait_ms;
	ql_buf_adds(&path, "/api/eval");
	ql_path_segment(&path, id);
	ql_buf_adds(&path, stop->what);
	struct ql_call call = {
		.method = "POST",
		.path = path.data,
		.body = stop->body,
		.wait_ms = stop->wait_ms < bound ? stop->wait_ms : bound,
	};
	call.wait_ms = call.wait_ms < 0 ? 0 : call.wait_ms;
	int rc = ql_client_call(cmd->client, &call, answer, e);
	bool over = json_is_string(json_object_get(answer->json, "outcome"));
	if (rc || over || stop->wait_ms <= bound)
		return rc;
	return await(cmd, id, until, answer, e);
}

/* Done: without --wait that it was taken on, with it that it is proven. */
static int
status_of(const json_t *cancellation, const struct stop *stop)
{
	if (json_is_true(json_object_get(cancellation, "cancelled")))
		return QL_EXIT_DONE;
	if (json_is_string(json_object_get(cancellation, "outcome")) || stop->wait_ms >= 0)
		return QL_EXIT_FAILED;
	return QL_EXIT_DONE;
}

static int
stop_one(struct ql_cmd *cmd, const char *id, void *arg, struct ql_err *e)
{
	const struct stop *stop = arg;
	struct ql_answer answer;
	int rc = send_stop(cmd, id, stop, &answer, e);
	if (ql_cmd_has(cmd, "json") && answer.body.len)
		rc |= ql_print_raw(&answer.body, e);
	else if (rc == 0)
		print_cancellation(answer.json, id);
	if (rc == 0)
		rc = status_of(answer.json, stop);
	ql_answer_done(&answer);
	return rc;
}

static int
check_ids(const struct ql_cmd *cmd, struct ql_err *e)
{
	if (ql_cmd_has(cmd, "dry-run") || ql_cmd_has(cmd, "yes") || ql_cmd_has(cmd, "max"))
		return ql_fail(e, QL_E_USAGE,
			"--dry-run, --yes and --max go with --selector; see: quell help %s",
			cmd->verb->name);
	if (cmd->operand_count)
		return 0;
	return ql_fail(e, QL_E_USAGE, "%s needs %s; see: quell help %s", cmd->verb->name,
		cmd->verb->operands, cmd->verb->name);
}

int
ql_stop_each(struct ql_cmd *cmd, enum ql_mode mode, json_t *body, struct ql_err *e)
{
	const char *what = mode == QL_MODE_KILL ? "/kill" : "/cancel";
	struct stop stop = {.what = what, .body = body, .wait_ms = -1};
	if (ql_cmd_has(cmd, "selector"))
		return ql_many_stop(cmd, mode, body, e);
	if (check_ids(cmd, e)) {
		json_decref(body);
		return -1;
	}
	const char *reason = ql_cmd_text(cmd, "reason");
	int rc = ql_cmd_duration(cmd, "wait", &stop.wait_ms, e);
	int64_t wait_ms =
		stop.wait_ms < QL_CLIENT_WAIT_MAX * 1000 ? stop.wait_ms : QL_CLIENT_WAIT_MAX * 1000;
	if (rc == 0 && wait_ms >= 0)
		json_object_set_new(body, "wait", ql_json_seconds(wait_ms));
	if (ql_cmd_has(cmd, "confirm"))
		json_object_set_new(body, "confirm", json_true());
	if (rc == 0 && reason && json_object_set_new(body, "reason", json_string(reason)))
		rc = ql_fail(e, QL_E_USAGE, "--reason must be UTF-8 text");
	if (rc == 0)
		rc = ql_cmd_each(cmd, stop_one, &stop, e);
	json_decref(body);
	return rc;
}
