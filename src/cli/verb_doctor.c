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

/* Why it is in its status, and what to do if one wants it otherwise. */
static const char *const advice[QL_STATUS_COUNT] = {
	[QL_STATUS_QUEUED] = "it waits for a free slot: the server runs as many at once as it has "
			     "workers, by priority and then by age",
	[QL_STATUS_RUNNING] = "its program runs and nobody has asked it to stop; its run deadline "
			      "bounds it",
	[QL_STATUS_CANCELLING] = "a stop is under way: the steps above say what was done, and NEXT "
				 "what comes by itself",
	[QL_STATUS_SUCCEEDED] = "it isn't alive: it ended by itself",
	[QL_STATUS_FAILED] = "it isn't alive: it failed, see ERROR and ENDED BY",
	[QL_STATUS_CANCELLED] = "it isn't alive: its stop is proven, and it never runs again under "
				"this attempt",
	[QL_STATUS_UNCONFIRMED] = "every means was used and something of it may still run: the "
				  "kernel keeps it. It is watched on and its slot stays taken; the "
				  "last rows below say what was seen",
};

static void
print_advice(const json_t *evaluation, const char *id)
{
	int status = ql_status_parse(ql_member_text(evaluation, "status", ""));
	const json_t *stop = json_object_get(evaluation, "cancellation");
	bool has_next = json_is_object(json_object_get(stop, "next"));
	if (status >= 0)
		ql_detail_line("WHY", "%s", advice[status]);
	if (status == QL_STATUS_CANCELLING && !has_next)
		ql_detail_line("", "nothing stronger comes by itself");
	if (status == QL_STATUS_QUEUED || status == QL_STATUS_RUNNING)
		ql_detail_line("TO STOP IT", "quell cancel %s", id);
	else if (status == QL_STATUS_CANCELLING || status == QL_STATUS_UNCONFIRMED)
		ql_detail_line("TO FORCE IT", "quell kill %s", id);
}

static int
examine_evaluation(struct ql_cmd *cmd, const char *id, struct ql_err *e)
{
	struct ql_answer evaluation, timeline = {0};
	bool quiet = ql_cmd_has(cmd, "json");
	int rc = ql_cmd_call_eval(cmd, "GET", id, "", &evaluation, e);
	if (rc && evaluation.status == 404)
		rc = ql_fail(e, QL_E_NOT_FOUND,
			"%s: this server knows no such evaluation, or it belongs to another owner: "
			"a mistyped ID, another server (--url; this one is %s), or one that was "
			"forgotten by rm or by --keep",
			id, cmd->client->url);
	if (rc == 0)
		rc = ql_cmd_call_eval(cmd, "GET", id, "/timeline", &timeline, e);
	if (rc == 0 && !quiet) {
		ql_detail_print(evaluation.json);
		print_advice(evaluation.json, id);
		ql_print_line("");
		ql_timeline_print(timeline.json, LAST_ROWS);
	}
	ql_answer_done(&evaluation);
	ql_answer_done(&timeline);
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
		 "lacks, and whether the key is good. With ID: where the evaluation stands and\n"
		 "why, what comes next by itself, and the last decisions about it.\n\n"
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
