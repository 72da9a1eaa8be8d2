#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/call.h"
#include "cli/cli.h"
#include "cli/listing.h"
#include "cli/print.h"

#define REAP_MS 20000 /* a sweep takes its time, and has a bound */

static const struct ql_option options[] = {
	{"reap", 0, NULL, "end those that were found twice; says what that would be, and asks"},
	{"yes", 'y', NULL, "with --reap: do not ask"},
	{"limit", 0, "N", "with --reap: at most so many (32, which is the most)"},
	{NULL},
};

static const struct ql_grid_column columns[] = {
	{"KIND", .whole = true},
	{"STATE", .whole = true},
	{"AGE", .whole = true},
	{"MARKS"},
	{"WHAT", .whole = true},
	{NULL},
};

static const char *
state_of(const json_t *orphan)
{
	const char *outcome = ql_member_text(orphan, "outcome", NULL);
	if (outcome)
		return outcome;
	if (json_is_true(json_object_get(orphan, "reapable")))
		return "reapable";
	return strcmp(ql_member_text(orphan, "verdict", "?"), "orphan") ? "unsure" : "found once";
}

static void
add_row(struct ql_grid *grid, const json_t *orphan)
{
	char age[QL_SPAN_TEXT];
	QL_CLEAN_BUF struct ql_buf what = {0};
	const char *why = ql_member_text(orphan, "why", ql_member_text(orphan, "what", NULL));
	ql_print_span(ql_print_now() - ql_member_time(orphan, "found_at"), age);
	ql_buf_addf(&what, "%s%s%s", ql_member_text(orphan, "name", "?"), why ? ": " : "",
		why ? why : "");
	ql_grid_add(grid, ql_member_text(orphan, "kind", "?"));
	ql_grid_add(grid, state_of(orphan));
	ql_grid_add(grid, age);
	ql_listing_add_words(grid, json_object_get(orphan, "marks"), ", ");
	ql_grid_add(grid, what.data ? what.data : "-");
}

static const struct ql_listing listing = {"orphans", columns, add_row};

static size_t
reapable(const json_t *orphans)
{
	size_t i, count = 0;
	json_t *orphan;
	json_array_foreach (orphans, i, orphan)
		count += json_is_true(json_object_get(orphan, "reapable"));
	return count;
}

static void
print(const json_t *answer)
{
	if (json_array_size(json_object_get(answer, "orphans")))
		ql_listing_print(&listing, answer);
	else
		ql_cli_say("no orphans%s", json_is_true(json_object_get(answer, "partial"))
						   ? " in the places that were looked at"
						   : "");
}

static int
reap_body(const struct ql_cmd *cmd, bool dry_run, json_t **ret_body, struct ql_err *e)
{
	int64_t limit = 0;
	if (ql_cmd_whole(cmd, "limit", 1, 32, &limit, e))
		return -1;
	json_t *body = json_pack("{sb}", "dry_run", dry_run);
	if (body && limit)
		json_object_set_new(body, "limit", json_integer(limit));
	*ret_body = body;
	return body ? 0 : ql_fail(e, QL_E_SYSTEM, "out of memory");
}

/* A dry run prints nothing: with --json there is one answer on stdout. */
static int
call_reap(struct ql_cmd *cmd, bool dry_run, struct ql_answer *ret_answer, struct ql_err *e)
{
	json_t *body;
	if (reap_body(cmd, dry_run, &body, e))
		return -1;
	struct ql_call call = {
		.method = "POST", .path = "/api/orphans/reap", .body = body, .wait_ms = REAP_MS};
	int rc = dry_run ? ql_client_call(cmd->client, &call, ret_answer, e)
			 : ql_cmd_call(cmd, &call, ret_answer, e);
	json_decref(body);
	return rc;
}

/* The dry run, and the question; 1: go on. */
static int
ask(struct ql_cmd *cmd, struct ql_err *e)
{
	struct ql_answer answer = {0};
	char line[16] = "";
	if (call_reap(cmd, true, &answer, e)) {
		ql_answer_done(&answer);
		return -1;
	}
	size_t count = reapable(json_object_get(answer.json, "orphans"));
	print(answer.json);
	ql_answer_done(&answer);
	if (!count) {
		ql_cli_say("none bears two marks and was found in two looks: nothing to reap now");
		return 0;
	}
	if (!isatty(STDIN_FILENO))
		return ql_fail(e, QL_E_USAGE,
			"%zu would be reaped: say --yes, as nobody can be asked here", count);
	ql_cli_say("reap %zu? [y/N]", count);
	return fgets(line, sizeof(line), stdin) && (*line == 'y' || *line == 'Y');
}

static int
reap(struct ql_cmd *cmd, struct ql_err *e)
{
	struct ql_answer answer = {0};
	int rc = ql_cmd_has(cmd, "yes") ? 1 : ask(cmd, e);
	if (rc <= 0)
		return rc;
	rc = call_reap(cmd, false, &answer, e);
	if (rc == 0 && !ql_cmd_has(cmd, "json")) {
		print(answer.json);
		ql_cli_say("%lld reaped, %lld stuck",
			json_integer_value(json_object_get(answer.json, "reaped")),
			json_integer_value(json_object_get(answer.json, "stuck")));
	}
	if (rc == 0 && json_integer_value(json_object_get(answer.json, "stuck")))
		rc = 1;
	ql_answer_done(&answer);
	return rc;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	struct ql_answer answer;
	if (ql_cmd_has(cmd, "reap"))
		return reap(cmd, e);
	struct ql_call call = {.method = "GET", .path = "/api/orphans"};
	int rc = ql_cmd_call(cmd, &call, &answer, e);
	if (rc == 0 && !ql_cmd_has(cmd, "json"))
		print(answer.json);
	ql_answer_done(&answer);
	return rc;
}

const struct ql_verb ql_verb_orphans = {
	.name = "orphans",
	.brief = "what runs or lies about without a record",
	.about = "Looks for processes, cgroups, mounts and folders of runs that no record accounts "
		 "for,\n"
		 "and for tasks and containers that live on though their evaluation is settled.\n"
		 "One that bears two independent marks of this server and was found in two looks "
		 "is\n"
		 "reapable; with one mark it is shown and never touched. --reap ends them, and "
		 "each\n"
		 "is proven gone or told as stuck.\n",
	.options = options,
	.also = "zombies sweep leftovers reap",
	.run = run,
};
