#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/call.h"
#include "cli/cli.h"
#include "cli/detail.h"
#include "cli/findings.h"
#include "cli/print.h"
#include "cli/timeline.h"
#include "core/words.h"

#define LAST_ROWS 8

static int
get(struct ql_cmd *cmd, const char *path, struct ql_answer *ret_answer, struct ql_err *e)
{
	struct ql_call call = {.method = "GET", .path = path};
	return ql_cmd_call(cmd, &call, ret_answer, e);
}

/* ---- the server ---- */

static void
print_dependencies(const json_t *ready)
{
	const char *name;
	json_t *dependency;
	json_object_foreach (json_object_get(ready, "dependencies"), name, dependency) {
		const char *detail = ql_member_text(dependency, "detail", NULL);
		const char *since = ql_member_text(dependency, "since", NULL);
		char waits[64] = "";
		json_int_t backlog = json_integer_value(json_object_get(dependency, "backlog"));
		if (backlog)
			snprintf(waits, sizeof(waits), "; %lld wait to be told to it",
				(long long)backlog);
		ql_detail_line(name, "%s%s%s%s%s%s", ql_member_text(dependency, "state", "?"),
			since ? " since " : "", since ? since : "", detail ? ": " : "",
			detail ? detail : "", waits);
	}
}

/* Whether the key is good: a list of one is the cheapest question that needs it. */
static int
check_key(struct ql_cmd *cmd, struct ql_err *e)
{
	struct ql_answer answer;
	struct ql_call call = {.method = "GET", .path = "/api/evaluations?limit=1"};
	int rc = ql_client_call(cmd->client, &call, &answer, e);
	bool quiet = ql_cmd_has(cmd, "json");
	if (!quiet)
		ql_detail_line("key", "%s%s%s", cmd->client->key_source, rc ? ": " : ", accepted",
			rc ? e->text : "");
	ql_answer_done(&answer);
	return rc;
}

static int
examine_server(struct ql_cmd *cmd, struct ql_err *e)
{
	struct ql_answer health, ready;
	bool quiet = ql_cmd_has(cmd, "json");
	int rc = get(cmd, "/healthz", &health, e);
	if (!quiet) {
		ql_detail_line("quell", QL_VERSION);
		ql_detail_line("server", "%s%s%s", cmd->client->url,
			rc ? "" : " is alive, version ",
			rc ? "" : ql_member_text(health.json, "version", "unknown"));
	}
	ql_answer_done(&health);
	if (rc)
		return -1;
	rc = get(cmd, "/readyz", &ready, e);
	if (!quiet && ready.status) {
		ql_detail_line("readiness", "%s", ql_member_text(ready.json, "status", e->text));
		print_dependencies(ready.json);
	}
	if (rc && json_is_object(json_object_get(ready.json, "dependencies")))
		ql_fail(e, e->code, "the server isn't ready: %s",
			ql_member_text(ready.json, "status", "?"));
	ql_answer_done(&ready);
	return rc ? -1 : check_key(cmd, e);
}

/* ---- one evaluation ---- */

/* What the server found out: of the record, the processes and the broker. */
static void
print_findings(const json_t *found, const char *id)
{
	size_t i;
	json_t *item;
	json_array_foreach (json_object_get(found, "findings"), i, item) {
		const char *advice = ql_member_text(item, "advice", NULL);
		ql_detail_line("WHY", "%s", ql_member_text(item, "what", "?"));
		if (advice)
			ql_detail_line("", "-> %s", advice);
	}
	json_array_foreach (json_object_get(found, "processes"), i, item) {
		const char *wchan = ql_member_text(item, "wchan", NULL);
		ql_detail_line("PROCESS", "%lld (%s), state %s%s%s",
			(long long)json_integer_value(json_object_get(item, "pid")),
			ql_member_text(item, "name", "?"), ql_member_text(item, "state", "?"),
			wchan ? " in " : "", wchan ? wchan : "");
	}
	json_array_foreach (json_object_get(found, "unasked"), i, item)
		ql_detail_line(
			"NOT KNOWN", "%s", json_is_string(item) ? json_string_value(item) : "?");
	int status = ql_status_parse(ql_member_text(found, "status", ""));
	if (status == QL_STATUS_QUEUED || status == QL_STATUS_RUNNING)
		ql_detail_line("TO STOP IT", "quell cancel %s", id);
	else if (status == QL_STATUS_CANCELLING || status == QL_STATUS_UNCONFIRMED)
		ql_detail_line("TO FORCE IT", "quell kill %s", id);
}

/* Which ones may have been meant, after the server's own sentence. */
static int
fail_unknown(const struct ql_cmd *cmd, const json_t *found, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf text = {0};
	size_t i;
	json_t *id;
	ql_buf_addf(&text, "%s (asked: %s)", e->text, cmd->client->url);
	json_array_foreach (json_object_get(found, "meant"), i, id)
		ql_buf_addf(&text, "%s%s", i ? ", " : "; did you mean ",
			json_is_string(id) ? json_string_value(id) : "?");
	return ql_fail(e, QL_E_NOT_FOUND, "%s", text.data ? text.data : e->text);
}

static int
print_evaluation(struct ql_cmd *cmd, const char *id, const json_t *found, struct ql_err *e)
{
	struct ql_answer evaluation, timeline = {0};
	int rc = ql_cmd_call_eval(cmd, "GET", id, "", &evaluation, e);
	if (rc == 0)
		rc = ql_cmd_call_eval(cmd, "GET", id, "/timeline", &timeline, e);
	if (rc == 0) {
		ql_detail_print(evaluation.json);
		print_findings(found, id);
		ql_print_line("");
		ql_timeline_print(timeline.json, LAST_ROWS);
	}
	ql_answer_done(&evaluation);
	ql_answer_done(&timeline);
	return rc;
}

static int
examine_evaluation(struct ql_cmd *cmd, const char *id, struct ql_err *e)
{
	struct ql_answer found;
	int rc = ql_cmd_call_eval(cmd, "GET", id, "/doctor", &found, e);
	if (rc && found.status == 404)
		rc = fail_unknown(cmd, found.json, e);
	else if (rc == 0 && !ql_cmd_has(cmd, "json"))
		rc = print_evaluation(cmd, id, found.json, e);
	ql_answer_done(&found);
	return rc;
}

/* ---- a broker that Quell need not serve ---- */

static int
examine_broker(struct ql_cmd *cmd, struct ql_err *e)
{
	json_t *report;
	if (cmd->operand_count)
		return ql_fail(e, QL_E_USAGE,
			"doctor looks at a broker (--broker) or at an evaluation, not at both");
	if (!cmd->beside)
		return ql_fail(
			e, QL_E_USAGE, "this program has no server's parts: it knows no broker");
	if (cmd->beside->look(cmd, &report, e))
		return -1;
	if (ql_cmd_has(cmd, "json"))
		ql_findings_dump(report);
	else
		ql_findings_print(report);
	bool found = json_integer_value(json_object_get(report, "found")) > 0;
	json_decref(report);
	return found ? QL_EXIT_FAILED : QL_EXIT_DONE;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	if (ql_cmd_has(cmd, "broker"))
		return examine_broker(cmd, e);
	if (cmd->operand_count == 0)
		return examine_server(cmd, e);
	return examine_evaluation(cmd, cmd->operands[0], e);
}

static const struct ql_option options[] = {
	{"broker", 0, "URL", "look at this Celery deployment, and only look: redis://HOST:6379/0"},
	{"result-backend", 0, "URL", "its results, where they are elsewhere"},
	{"config", 0, "FILE", "the rest of its settings, as of quell serve"},
	{NULL},
};

const struct ql_verb ql_verb_doctor = {
	.name = "doctor",
	.operands = "[ID]",
	.options = options,
	.brief = "say what is wrong with the server or a broker, or why one still lives",
	.about = "Without ID: whether a server is there, whether it is ready and what it\n"
		 "lacks, and whether the key is good. With ID: why the evaluation is still alive\n"
		 "(what its processes wait for, which signals they take, who holds its message),\n"
		 "what comes next by itself, and the last decisions about it; or why it can't be\n"
		 "found, and which one may have been meant.\n\n"
		 "With --broker no server is asked, but a Celery deployment itself: what is\n"
		 "called REVOKED and still runs, which revokes workers have forgotten or will,\n"
		 "containers without a task, queues that nobody takes from. It only reads. Exit\n"
		 "status 0: nothing was found; 1: something was. Prefixes, Docker and the rest\n"
		 "are the settings of quell serve, from --config and the environment.\n",
	.max_operands = 1,
	.operand = QL_OPERAND_ID,
	.also = "check diagnose ping health why",
	.run = run,
};
