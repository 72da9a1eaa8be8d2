#include <stdio.h>
#include <string.h>

#include "cli/call.h"
#include "cli/cli.h"
#include "cli/detail.h"
#include "cli/listing.h"
#include "cli/print.h"

static const struct ql_option options[] = {
	{"since", 0, "TIME", "simulate: as of that time, or so long ago (7d); `now` for now"},
	{"confirm", 0, NULL, "add, enable: though it stops more than half of what lives"},
	{NULL},
};

static const struct ql_grid_column columns[] = {
	{"NAME", .whole = true},
	{"TRIGGER"},
	{"SELECTOR"},
	{"MODE", .whole = true},
	{"ENABLED", .whole = true},
	{"STOPS", .whole = true},
	{NULL},
};

/* ---- what is shown ---- */

/* Its kind, and what it is given: run_deadline after_s=600. */
static void
put_trigger(struct ql_buf *text, json_t *trigger)
{
	const char *name;
	json_t *value;
	ql_buf_adds(text, ql_member_text(trigger, "kind", "?"));
	json_object_foreach (trigger, name, value) {
		if (json_is_number(value))
			ql_buf_addf(text, " %s=%.15g", name, json_number_value(value));
		else if (strcmp(name, "kind") != 0)
			ql_buf_addf(text, " %s=%s", name, json_string_value(value));
	}
}

static void
add_row(struct ql_grid *grid, const json_t *policy)
{
	char stops[24];
	QL_CLEAN_BUF struct ql_buf trigger = {0};
	put_trigger(&trigger, json_object_get(policy, "trigger"));
	snprintf(stops, sizeof(stops), "%lld",
		(long long)json_integer_value(json_object_get(policy, "stops")));
	ql_grid_add(grid, ql_member_text(policy, "name", "?"));
	ql_grid_add(grid, trigger.data ? trigger.data : "");
	ql_grid_add(grid, ql_member_text(policy, "selector", "?"));
	ql_grid_add(grid, ql_member_text(policy, "mode", "?"));
	ql_grid_add(grid, json_is_true(json_object_get(policy, "enabled")) ? "yes" : "no");
	ql_grid_add(grid, stops);
}

static void
print_policy(const json_t *policy)
{
	QL_CLEAN_BUF struct ql_buf trigger = {0};
	const json_t *last = json_object_get(policy, "last");
	const json_t *grace = json_object_get(policy, "grace_s");
	put_trigger(&trigger, json_object_get(policy, "trigger"));
	ql_detail_line("name", "%s", ql_member_text(policy, "name", "?"));
	ql_detail_line("trigger", "%s", trigger.data ? trigger.data : "?");
	ql_detail_line("selector", "%s", ql_member_text(policy, "selector", "?"));
	ql_detail_line("mode", "%s", ql_member_text(policy, "mode", "?"));
	if (json_is_string(json_object_get(policy, "escalate")))
		ql_detail_line("escalate", "%s", ql_member_text(policy, "escalate", "?"));
	if (json_is_number(grace))
		ql_detail_line("grace", "%.15g s", json_number_value(grace));
	ql_detail_line(
		"enabled", "%s", json_is_true(json_object_get(policy, "enabled")) ? "yes" : "no");
	ql_detail_line("made by", "%s, at %s", ql_member_text(policy, "created_by", "?"),
		ql_member_text(policy, "created_at", "?"));
	ql_detail_line(
		"stops", "%lld", (long long)json_integer_value(json_object_get(policy, "stops")));
	if (json_is_object(last))
		ql_detail_line("last stop", "%s: %s", ql_member_text(last, "eval_id", "?"),
			ql_member_text(last, "why", "?"));
	if (json_is_string(json_object_get(policy, "trouble")))
		ql_detail_line("trouble", "%s", ql_member_text(policy, "trouble", ""));
}

static void
print_simulation(const json_t *answer)
{
	size_t i;
	json_t *pick;
	const char *since = ql_member_text(answer, "since", NULL);
	ql_detail_line("would stop", "%lld%s",
		(long long)json_integer_value(json_object_get(answer, "would_stop")),
		json_is_true(json_object_get(answer, "whole")) ? "" : " or more");
	ql_detail_line("since", "%s", since ? since : "now");
	ql_detail_line(
		"live", "%lld", (long long)json_integer_value(json_object_get(answer, "live")));
	if (json_is_string(json_object_get(answer, "note")))
		ql_detail_line("note", "%s", ql_member_text(answer, "note", ""));
	json_array_foreach (json_object_get(answer, "sample"), i, pick)
		ql_detail_line(i ? "" : "such as", "%s, at %s: %s",
			ql_member_text(pick, "eval_id", "?"), ql_member_text(pick, "at", "?"),
			ql_member_text(pick, "why", "?"));
}

/* ---- what is asked ---- */

static int
read_policy(const char *path, json_t **ret_policy, struct ql_err *e)
{
	json_error_t where;
	FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
	if (!file)
		return ql_fail_sys(e, "%s can't be opened", path);
	*ret_policy = json_loadf(file, JSON_REJECT_DUPLICATES, &where);
	if (file != stdin)
		fclose(file);
	if (json_is_object(*ret_policy))
		return 0;
	json_decref(*ret_policy);
	return ql_fail(e, QL_E_SYNTAX, "%s holds no JSON object: %s", path, where.text);
}

static const struct ql_listing policies = {"policies", columns, add_row};

static void
print_removed(const json_t *answer)
{
	(void)answer;
	ql_print_line("removed");
}

static int
add(struct ql_cmd *cmd, const char *file, struct ql_err *e)
{
	json_t *policy;
	if (read_policy(file, &policy, e))
		return -1;
	if (ql_cmd_has(cmd, "confirm"))
		json_object_set_new(policy, "confirm", json_true());
	struct ql_call call = {.method = "POST", .path = "/api/policies", .body = policy};
	int rc = ql_cmd_show(cmd, &call, print_policy, e);
	json_decref(policy);
	return rc;
}

/* Of a policy by its name, or of the one in a file. */
static int
simulate(struct ql_cmd *cmd, const char *which, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	const char *since = ql_cmd_text(cmd, "since");
	json_t *policy = NULL;
	bool file = strchr(which, '/') || strchr(which, '.') || !strcmp(which, "-");
	ql_buf_adds(&path, "/api/policies");
	if (!file)
		ql_path_segment(&path, which);
	else if (read_policy(which, &policy, e))
		return -1;
	ql_buf_adds(&path, "/simulate");
	if (since)
		ql_path_query(&path, "since", since);
	struct ql_call call = {.method = "POST", .path = path.data, .body = policy};
	int rc = ql_cmd_show(cmd, &call, print_simulation, e);
	json_decref(policy);
	return rc;
}

static int
ask(struct ql_cmd *cmd, const char *method, const char *what, void (*print)(const json_t *answer),
	struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	ql_buf_adds(&path, "/api/policies");
	ql_path_segment(&path, cmd->operands[1]);
	ql_buf_adds(&path, what);
	if (ql_cmd_has(cmd, "confirm"))
		ql_path_query(&path, "confirm", "true");
	struct ql_call call = {.method = method, .path = path.data};
	return ql_cmd_show(cmd, &call, print, e);
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	const char *what = cmd->operands[0];
	if (cmd->operand_count == 1 && !strcmp(what, "ls"))
		return ql_listing_get(&policies, cmd, "/api/policies", e);
	if (cmd->operand_count == 2 && !strcmp(what, "show"))
		return ask(cmd, "GET", "", print_policy, e);
	if (cmd->operand_count == 2 && !strcmp(what, "add"))
		return add(cmd, cmd->operands[1], e);
	if (cmd->operand_count == 2 && !strcmp(what, "enable"))
		return ask(cmd, "POST", "/enable", print_policy, e);
	if (cmd->operand_count == 2 && !strcmp(what, "disable"))
		return ask(cmd, "POST", "/disable", print_policy, e);
	if (cmd->operand_count == 2 && !strcmp(what, "rm"))
		return ask(cmd, "DELETE", "", print_removed, e);
	if (cmd->operand_count == 2 && !strcmp(what, "simulate"))
		return simulate(cmd, cmd->operands[1], e);
	return ql_fail(e, QL_E_USAGE,
		"policy: wants ls, or show, add, enable, disable, rm or simulate and which");
}

const struct ql_verb ql_verb_policy = {
	.name = "policy",
	.operands = "ls | add FILE | show | enable | disable | rm | simulate NAME",
	.brief = "what is stopped by itself: late, superseded, over budget",
	.about = "A policy stops by itself what its selector allows and its trigger finds. `add`\n"
		 "takes it as JSON from a file (- is standard input):\n"
		 "\n"
		 "    {\"name\": \"no-stragglers\", \"selector\": \"queue=low\",\n"
		 "     \"trigger\": {\"kind\": \"run_deadline\", \"after_s\": 600},\n"
		 "     \"mode\": \"terminate\", \"grace_s\": 10}\n"
		 "\n"
		 "`simulate`, of a name or of such a file, says whom it would have stopped in the\n"
		 "last week, and stops nobody.\n",
	.options = options,
	.min_operands = 1,
	.max_operands = 2,
	.operand = QL_OPERAND_WORD,
	.operand_words = "ls show add enable disable rm simulate",
	.also = "policies rule deadline ttl",
	.run = run,
};
