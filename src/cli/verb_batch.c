#include <stdio.h>
#include <string.h>

#include "cli/call.h"
#include "cli/cli.h"
#include "cli/listing.h"
#include "cli/many.h"
#include "cli/print.h"

#define PAGE 1000 /* the most that the API answers at once */

static const struct ql_option options[] = {
	{"cursor", 0, "N", "items: go on where the page before ended"},
	{NULL},
};

static const struct ql_grid_column columns[] = {
	{"BATCH", .whole = true},
	{"MODE", .whole = true},
	{"PHASE", .whole = true},
	{"ASKED", .whole = true},
	{"OF", .whole = true},
	{"AGE", .whole = true},
	{"BY"},
	{"SELECTOR"},
	{NULL},
};

/* ---- ls ---- */

static void
add_number(struct ql_grid *grid, const json_t *number)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(number));
	ql_grid_add(grid, text);
}

static void
add_row(struct ql_grid *grid, const json_t *batch)
{
	char age[QL_SPAN_TEXT];
	const json_t *progress = json_object_get(batch, "progress");
	ql_print_span(ql_print_now() - ql_member_time(batch, "created_at"), age);
	ql_grid_add(grid, ql_member_text(batch, "batch_id", "?"));
	ql_grid_add(grid, ql_member_text(batch, "mode", "?"));
	ql_grid_add(grid, ql_member_text(batch, "phase", "?"));
	add_number(grid, json_object_get(progress, "asked"));
	add_number(grid, json_object_get(progress, "total"));
	ql_grid_add(grid, age);
	ql_grid_add(grid, ql_member_text(batch, "actor", "-"));
	ql_grid_add(grid, ql_member_text(batch, "selector", "-"));
}

static const struct ql_listing batches = {"batches", columns, add_row};

/* ---- items ---- */

static const struct ql_grid_column item_columns[] = {
	{"ID", .whole = true},
	{"SAID", .whole = true},
	{"STATUS", .whole = true, .status = true},
	{"OUTCOME"},
	{NULL},
};

static void
add_item(struct ql_grid *grid, const json_t *item)
{
	ql_grid_add(grid, ql_member_text(item, "eval_id", "?"));
	ql_grid_add(grid, ql_member_text(item, "said", "?"));
	ql_grid_add(grid, ql_member_text(item, "status", "-"));
	ql_grid_add(grid, ql_member_text(item, "outcome", "-"));
}

static const struct ql_listing items = {"items", item_columns, add_item};

static void
say_more(const struct ql_cmd *cmd, const json_t *page)
{
	const char *next = ql_member_text(page, "next_cursor", "");
	if (next[0])
		ql_cli_say("more: quell batch items %s --cursor %s", cmd->operands[1], next);
}

static int
list_items(struct ql_cmd *cmd, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	struct ql_answer answer;
	char number[16];
	const char *cursor = ql_cmd_text(cmd, "cursor");
	snprintf(number, sizeof(number), "%d", PAGE);
	ql_many_path(&path, cmd->operands[1], "/items");
	ql_path_query(&path, "limit", number);
	if (cursor)
		ql_path_query(&path, "cursor", cursor);
	struct ql_call call = {.method = "GET", .path = path.data};
	int rc = ql_cmd_call(cmd, &call, &answer, e);
	if (rc == 0 && !ql_cmd_has(cmd, "json")) {
		ql_listing_print(&items, answer.json);
		say_more(cmd, answer.json);
	}
	ql_answer_done(&answer);
	return rc;
}

/* ---- of one ---- */

static void
print_head(const json_t *batch)
{
	QL_CLEAN_BUF struct ql_buf line = {0};
	const json_t *progress = json_object_get(batch, "progress");
	ql_buf_addf(&line, "%s: %s, %s, by %s; %lld of %lld asked for",
		ql_member_text(batch, "batch_id", "?"), ql_member_text(batch, "mode", "?"),
		ql_member_text(batch, "phase", "?"), ql_member_text(batch, "actor", "?"),
		(long long)json_integer_value(json_object_get(progress, "asked")),
		(long long)json_integer_value(json_object_get(progress, "total")));
	ql_print_line(line.data ? line.data : "?");
}

static int
call_one(struct ql_cmd *cmd, const char *method, const char *what, struct ql_answer *ret_answer,
	struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	ql_many_path(&path, cmd->operands[1], what);
	struct ql_call call = {.method = method, .path = path.data};
	return ql_cmd_call(cmd, &call, ret_answer, e);
}

/* Shows it, as it is or after it was cancelled. */
static int
show(struct ql_cmd *cmd, const char *method, const char *what, struct ql_err *e)
{
	struct ql_answer answer;
	int rc = call_one(cmd, method, what, &answer, e);
	if (rc == 0 && !ql_cmd_has(cmd, "json")) {
		print_head(answer.json);
		ql_many_print(answer.json);
	}
	ql_answer_done(&answer);
	return rc;
}

/* An undo is a batch of its own. With --json its end is printed, not its beginning. */
static int
undo(struct ql_cmd *cmd, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	struct ql_answer answer;
	ql_many_path(&path, cmd->operands[1], "/undo");
	struct ql_call call = {.method = "POST", .path = path.data};
	int rc = ql_client_call(cmd->client, &call, &answer, e);
	if (rc == 0)
		rc = ql_many_follow(cmd, ql_member_text(answer.json, "batch_id", ""), e);
	else if (ql_cmd_has(cmd, "json") && answer.body.len)
		rc |= ql_print_raw(&answer.body, e);
	ql_answer_done(&answer);
	return rc;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	const char *what = cmd->operands[0];
	if (!strcmp(what, "ls") && cmd->operand_count == 1)
		return ql_listing_get(&batches, cmd, "/api/batches", e);
	if (!strcmp(what, "show") && cmd->operand_count == 2)
		return show(cmd, "GET", "", e);
	if (!strcmp(what, "items") && cmd->operand_count == 2)
		return list_items(cmd, e);
	if (!strcmp(what, "cancel") && cmd->operand_count == 2)
		return show(cmd, "POST", "/cancel", e);
	if (!strcmp(what, "undo") && cmd->operand_count == 2)
		return undo(cmd, e);
	return ql_fail(e, QL_E_USAGE, "batch: wants ls, show ID, items ID, cancel ID, or undo ID");
}

const struct ql_verb ql_verb_batch = {
	.name = "batch",
	.operands = "ls | show ID | items ID | cancel ID | undo ID",
	.brief = "follow, cancel and undo batches of stops",
	.about =
		"A batch is what `quell cancel --selector` and `quell kill --selector` make: a "
		"set\n"
		"that was frozen when they asked, and what became of each evaluation in it. It\n"
		"goes on without whoever asked, and over a restart of the server.\n"
		"\n"
		"items lists each evaluation of it, with what was said of its stop and its status\n"
		"now, a thousand at a time.\n"
		"\n"
		"cancel asks for no more of it: what it stopped stays stopped. undo queues\n"
		"again, within a day, what it took out of the queue.\n",
	.options = options,
	.min_operands = 1,
	.max_operands = 2,
	.operand = QL_OPERAND_WORD,
	.operand_words = "ls show items cancel undo",
	.also = "batches bulk undo",
	.run = run,
};
