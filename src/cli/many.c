#include "cli/many.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli/call.h"
#include "cli/cli.h"
#include "cli/grid.h"
#include "cli/print.h"
#include "rules/bulk.h"

#define BAR 30 /* characters of a progress bar */

static const struct ql_grid_column columns[] = {
	{"CAME TO", .whole = true},
	{"EVALUATIONS", .whole = true},
	{NULL},
};

static long long
number_of(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

void
ql_many_path(struct ql_buf *path, const char *id, const char *what)
{
	ql_buf_adds(path, "/api/batches");
	ql_path_segment(path, id);
	ql_buf_adds(path, what);
}

/* ---- what would happen ---- */

static void
add_would(struct ql_buf *line, const json_t *preview, const char *member, const char *verb)
{
	long long count = number_of(json_object_get(preview, "would"), member);
	if (count)
		ql_buf_addf(line, "%s %s %lld", line->len ? "," : "would", verb, count);
}

static void
print_preview(const json_t *preview)
{
	QL_CLEAN_BUF struct ql_buf line = {0};
	add_would(
		&line, preview, ql_outcome_word(QL_OUTCOME_REMOVED), ql_rung_word(QL_RUNG_REMOVE));
	add_would(&line, preview, "noticed", "ask");
	add_would(&line, preview, ql_outcome_word(QL_OUTCOME_TERMINATED),
		ql_rung_word(QL_RUNG_TERMINATE));
	add_would(&line, preview, ql_outcome_word(QL_OUTCOME_KILLED), ql_rung_word(QL_RUNG_KILL));
	add_would(&line, preview, "nothing", "leave");
	ql_print_line(line.data ? line.data : "nothing is selected");
}

/* ---- is that meant? ---- */

static int
confirm(const struct ql_cmd *cmd, long long total, struct ql_err *e)
{
	char line[64] = "";
	int64_t typed = -1;
	if (total <= QL_MANY_FREE || ql_cmd_has(cmd, "yes"))
		return 0;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return ql_fail(e, QL_E_CONFLICT,
			"%lld evaluations are selected, and more than %d want a confirmation: "
			"nothing was done; look with --dry-run, then say --yes",
			total, QL_MANY_FREE);
	fprintf(stderr, "To stop these, type how many they are: ");
	if (fgets(line, sizeof(line), stdin))
		line[strcspn(line, "\r\n")] = 0;
	if (!ql_str_int(line, 0, INT64_MAX, &typed) && typed == total)
		return 0;
	return ql_fail(e, QL_E_CONFLICT, "that is not %lld: nothing was done", total);
}

/* ---- the batch at work ---- */

static void
draw_bar(const json_t *batch)
{
	static const char full[] = "##############################";
	const json_t *progress = json_object_get(batch, "progress");
	long long asked = number_of(progress, "asked"), total = number_of(progress, "total");
	int part = total > 0 ? (int)(asked * BAR / total) : BAR;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r[%-*.*s] %lld of %lld", BAR, part, full, asked, total);
}

void
ql_many_print(const json_t *batch)
{
	struct ql_grid grid;
	const char *name;
	json_t *count;
	char text[24];
	ql_grid_init(&grid, columns);
	json_object_foreach (json_object_get(batch, "progress"), name, count) {
		bool said = strcmp(name, "total") != 0 && strcmp(name, "asked") != 0;
		if (!said || !json_integer_value(count))
			continue;
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(count));
		ql_grid_add(&grid, name);
		ql_grid_add(&grid, text);
	}
	ql_grid_print(&grid, true);
	ql_grid_done(&grid);
}

static bool
is_over(const json_t *batch)
{
	const char *running = ql_bulk_phase_word(QL_BULK_RUNNING);
	return strcmp(ql_member_text(batch, "phase", running), running) != 0;
}

/* Done is that all were asked for, none was refused, and all that was to be put back could be. */
static int
status_of(const json_t *batch)
{
	bool done = !strcmp(ql_member_text(batch, "phase", ""), ql_bulk_phase_word(QL_BULK_DONE));
	const json_t *progress = json_object_get(batch, "progress");
	int64_t failed = number_of(progress, ql_said_word(QL_SAID_REFUSED)) +
			 number_of(progress, ql_said_word(QL_SAID_LOST));
	return done && !failed ? QL_EXIT_DONE : QL_EXIT_FAILED;
}

static int
finish(const struct ql_cmd *cmd, const struct ql_answer *answer, struct ql_err *e)
{
	if (isatty(STDERR_FILENO))
		fputc('\n', stderr);
	if (ql_cmd_has(cmd, "json") && ql_print_raw(&answer->body, e))
		return -1;
	if (!ql_cmd_has(cmd, "json"))
		ql_many_print(answer->json);
	return status_of(answer->json);
}

int
ql_many_follow(struct ql_cmd *cmd, const char *id, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	ql_many_path(&path, id, "");
	struct ql_call call = {.method = "GET", .path = path.data};
	for (;;) {
		struct ql_answer answer;
		int rc = ql_client_call(cmd->client, &call, &answer, e);
		bool over = rc || is_over(answer.json);
		if (rc == 0)
			draw_bar(answer.json);
		if (rc == 0 && over)
			rc = finish(cmd, &answer, e);
		ql_answer_done(&answer);
		if (over)
			return rc;
		poll(NULL, 0, QL_MANY_LOOK_MS);
	}
}

/* ---- preview, then execute ---- */

static int
execute(struct ql_cmd *cmd, const char *preview, struct ql_err *e)
{
	struct ql_answer answer;
	json_t *body = json_pack("{ss}", "preview", preview);
	struct ql_call call = {.method = "POST", .path = "/api/batches", .body = body};
	int rc = ql_client_call(cmd->client, &call, &answer, e);
	const json_t *drift = json_object_get(answer.json, "drift");
	long long left = number_of(drift, "left"), joined = number_of(drift, "joined");
	if (rc == 0)
		ql_cli_say("batch %s; to stop asking: quell batch cancel %s", preview, preview);
	if (rc == 0 && (left || joined))
		ql_cli_say("since the preview %lld are selected no more, and %lld more are; "
			   "these are left alone",
			left, joined);
	json_decref(body);
	ql_answer_done(&answer);
	return rc ? rc : ql_many_follow(cmd, preview, e);
}

static int
go_on(struct ql_cmd *cmd, const struct ql_answer *preview, struct ql_err *e)
{
	bool json = ql_cmd_has(cmd, "json"), dry = ql_cmd_has(cmd, "dry-run");
	long long total = number_of(preview->json, "total");
	if (json && (dry || !total))
		return ql_print_raw(&preview->body, e);
	if (!json)
		print_preview(preview->json);
	if (dry || !total)
		return QL_EXIT_DONE;
	if (confirm(cmd, total, e))
		return -1;
	return execute(cmd, ql_member_text(preview->json, "preview", ""), e);
}

static int
fill(struct ql_cmd *cmd, enum ql_mode mode, json_t *body, struct ql_err *e)
{
	const char *reason = ql_cmd_text(cmd, "reason");
	int64_t most = 0;
	if (cmd->operand_count || ql_cmd_has(cmd, "wait") || ql_cmd_has(cmd, "confirm"))
		return ql_fail(e, QL_E_USAGE,
			"--selector goes without IDs, --wait and --confirm; see: quell help %s",
			cmd->verb->name);
	if (ql_cmd_whole(cmd, "max", 1, QL_BULK_MAX, &most, e))
		return -1;
	if (most)
		json_object_set_new(body, "max_matches", json_integer(most));
	json_object_set_new(body, "mode", json_string(ql_mode_word(mode)));
	json_object_set_new(body, "dry_run", json_true());
	if (json_object_set_new(body, "selector", json_string(ql_cmd_text(cmd, "selector"))) ||
		(reason && json_object_set_new(body, "reason", json_string(reason))))
		return ql_fail(e, QL_E_USAGE, "--selector and --reason must be UTF-8 text");
	return 0;
}

int
ql_many_stop(struct ql_cmd *cmd, enum ql_mode mode, json_t *body, struct ql_err *e)
{
	struct ql_answer answer;
	struct ql_call call = {.method = "POST", .path = "/api/batches", .body = body};
	if (fill(cmd, mode, body, e)) {
		json_decref(body);
		return -1;
	}
	int rc = ql_client_call(cmd->client, &call, &answer, e);
	if (rc == 0)
		rc = go_on(cmd, &answer, e);
	else if (ql_cmd_has(cmd, "json") && answer.body.len)
		rc |= ql_print_raw(&answer.body, e);
	ql_answer_done(&answer);
	json_decref(body);
	return rc;
}
