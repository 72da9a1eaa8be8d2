#include <stdlib.h>
#include <string.h>

#include "cli/call.h"
#include "cli/cli.h"
#include "cli/detail.h"
#include "cli/listing.h"
#include "cli/print.h"

static const struct ql_option options[] = {
	{"event", 0, "EVENT", "add: of this alone (evaluation.cancelled …; all)",
		"evaluation.succeeded evaluation.failed evaluation.cancelled "
		"evaluation.unconfirmed evaluation.settled",
		true},
	{"selector", 0, "SELECTOR", "add: of these evaluations alone"},
	{"name", 0, "NAME", "add: what people call it"},
	{"owner", 0, "OWNER", "add: of this owner's evaluations (operators and admins)"},
	{"keep", 0, "TIME", "rotate: the old secret signs too for so long (1d)"},
	{NULL},
};

static const struct ql_grid_column columns[] = {
	{"WEBHOOK ID", .whole = true},
	{"NAME"},
	{"URL"},
	{"OWNER"},
	{"STATE", .whole = true},
	{"WAIT", .whole = true},
	{"DELIVERED", .whole = true},
	{"LAST ERROR"},
	{NULL},
};

/* ---- what is shown ---- */

static long long
number_of(const json_t *hook, const char *name)
{
	return json_integer_value(json_object_get(hook, name));
}

static void
add_row(struct ql_grid *grid, const json_t *hook)
{
	char wait[24], delivered[24];
	bool everybody = json_is_true(json_object_get(hook, "everybody"));
	snprintf(wait, sizeof(wait), "%lld", number_of(hook, "backlog"));
	snprintf(delivered, sizeof(delivered), "%lld", number_of(hook, "delivered"));
	ql_grid_add(grid, ql_member_text(hook, "webhook_id", "?"));
	ql_grid_add(grid, ql_member_text(hook, "name", "-"));
	ql_grid_add(grid, ql_member_text(hook, "url", "?"));
	ql_grid_add(grid, everybody ? "everybody" : ql_member_text(hook, "owner", "?"));
	ql_grid_add(grid, ql_member_text(hook, "state", "?"));
	ql_grid_add(grid, wait);
	ql_grid_add(grid, delivered);
	ql_grid_add(grid, ql_member_text(hook, "last_error", "-"));
}

static const struct ql_listing webhooks = {"webhooks", columns, add_row};

static void
print_words(const char *name, const json_t *words)
{
	size_t i;
	json_t *word;
	json_array_foreach (words, i, word)
		ql_detail_line(i ? "" : name, "%s", json_string_value(word));
}

static void
print_state(const json_t *hook)
{
	const char *why = ql_member_text(hook, "disabled_why", NULL);
	const char *error = ql_member_text(hook, "last_error", NULL);
	const char *next = ql_member_text(hook, "next_try_at", NULL);
	ql_detail_line("state", "%s", ql_member_text(hook, "state", "?"));
	if (why)
		ql_detail_line("disabled", "%s: %s", ql_member_text(hook, "disabled_at", "?"), why);
	ql_detail_line("waiting", "%lld messages", number_of(hook, "backlog"));
	ql_detail_line("delivered", "%lld, the last at %s", number_of(hook, "delivered"),
		ql_member_text(hook, "last_delivered_at", "-"));
	ql_detail_line("failed", "%lld tries; %lld messages given up, %lld dropped",
		number_of(hook, "failed"), number_of(hook, "given_up"), number_of(hook, "dropped"));
	if (error)
		ql_detail_line(
			"last error", "%s: %s", ql_member_text(hook, "last_failed_at", "?"), error);
	if (next)
		ql_detail_line("next try", "%s", next);
}

static void
print_webhook(const json_t *hook)
{
	bool everybody = json_is_true(json_object_get(hook, "everybody"));
	const char *old = ql_member_text(hook, "old_secret_until", NULL);
	ql_detail_line("webhook", "%s", ql_member_text(hook, "webhook_id", "?"));
	ql_detail_line("name", "%s", ql_member_text(hook, "name", "-"));
	ql_detail_line("url", "%s", ql_member_text(hook, "url", "?"));
	print_words("events", json_object_get(hook, "events"));
	ql_detail_line("selector", "%s", ql_member_text(hook, "selector", "-"));
	ql_detail_line("owner", "%s", everybody ? "everybody" : ql_member_text(hook, "owner", "?"));
	ql_detail_line("made by", "%s, at %s", ql_member_text(hook, "created_by", "?"),
		ql_member_text(hook, "created_at", "?"));
	if (old)
		ql_detail_line("old secret", "signs too until %s", old);
	print_state(hook);
}

/* The secret alone goes to stdout, so that a script can take it; the rest is for people. */
static void
print_secret(const json_t *hook)
{
	ql_print_line(ql_member_text(hook, "secret", "?"));
	ql_cli_say("webhook %s: this is its secret, shown this once; see that it arrives by "
		   "`quell webhook test %s`",
		ql_member_text(hook, "webhook_id", "?"), ql_member_text(hook, "webhook_id", "?"));
}

static void
print_removed(const json_t *answer)
{
	(void)answer;
	ql_print_line("removed");
}

/* ---- what is asked ---- */

static json_t *
events_of(const struct ql_cmd *cmd)
{
	json_t *events = json_array();
	for (size_t i = 0; i < cmd->given_count; i++) {
		if (!strcmp(cmd->given[i].option->name, "event"))
			json_array_append_new(events, json_string(cmd->given[i].value));
	}
	return events;
}

static int
add(struct ql_cmd *cmd, struct ql_err *e)
{
	static const char *const names[] = {"selector", "name", "owner"};
	json_t *body = json_pack("{ss}", "url", cmd->operands[1]);
	if (!body)
		return ql_fail(e, QL_E_USAGE, "the URL must be UTF-8");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *text = ql_cmd_text(cmd, names[i]);
		if (text)
			json_object_set_new(body, names[i], json_string(text));
	}
	if (ql_cmd_has(cmd, "event"))
		json_object_set_new(body, "events", events_of(cmd));
	const struct ql_call call = {.method = "POST", .path = "/api/webhooks", .body = body};
	int rc = ql_cmd_show(cmd, &call, print_secret, e);
	json_decref(body);
	return rc;
}

/* On one of them, and what follows it ("/enable", or ""). */
static int
ask_one(struct ql_cmd *cmd, const char *method, const char *what,
	void (*print)(const json_t *answer), struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	char seconds[32];
	int64_t keep_ms;
	ql_buf_adds(&path, "/api/webhooks");
	ql_path_segment(&path, cmd->operands[1]);
	ql_buf_adds(&path, what);
	if (ql_cmd_has(cmd, "keep")) {
		if (ql_cmd_duration(cmd, "keep", &keep_ms, e))
			return -1;
		snprintf(seconds, sizeof(seconds), "%lld", (long long)(keep_ms / 1000));
		ql_path_query(&path, "keep_s", seconds);
	}
	const struct ql_call call = {.method = method, .path = path.data};
	return ql_cmd_show(cmd, &call, print, e);
}

/* One that isn't delivered is a failure. */
static int
test(struct ql_cmd *cmd, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	QL_CLEAN_BUF struct ql_buf line = {0};
	struct ql_answer answer;
	ql_buf_adds(&path, "/api/webhooks");
	ql_path_segment(&path, cmd->operands[1]);
	ql_buf_adds(&path, "/test");
	const struct ql_call call = {.method = "POST", .path = path.data};
	int rc = ql_cmd_call(cmd, &call, &answer, e);
	bool delivered = json_is_true(json_object_get(answer.json, "delivered"));
	if (rc == 0 && delivered)
		ql_buf_addf(&line, "delivered: %lld in %lld ms",
			number_of(answer.json, "http_status"), number_of(answer.json, "took_ms"));
	else if (rc == 0)
		rc = ql_fail(e, QL_E_UNAVAILABLE, "webhook %s was not delivered: %s",
			cmd->operands[1], ql_member_text(answer.json, "error", "?"));
	if (line.data && !ql_cmd_has(cmd, "json"))
		ql_print_line(line.data);
	ql_answer_done(&answer);
	return rc;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	const char *what = cmd->operands[0];
	if (cmd->operand_count == 1 && !strcmp(what, "list"))
		return ql_listing_get(&webhooks, cmd, "/api/webhooks", e);
	if (cmd->operand_count == 2 && !strcmp(what, "add"))
		return add(cmd, e);
	if (cmd->operand_count == 2 && !strcmp(what, "show"))
		return ask_one(cmd, "GET", "", print_webhook, e);
	if (cmd->operand_count == 2 && !strcmp(what, "remove"))
		return ask_one(cmd, "DELETE", "", print_removed, e);
	if (cmd->operand_count == 2 && !strcmp(what, "test"))
		return test(cmd, e);
	if (cmd->operand_count == 2 && !strcmp(what, "rotate"))
		return ask_one(cmd, "POST", "/rotate", print_secret, e);
	if (cmd->operand_count == 2 && !strcmp(what, "enable"))
		return ask_one(cmd, "POST", "/enable", print_webhook, e);
	if (cmd->operand_count == 2 && !strcmp(what, "disable"))
		return ask_one(cmd, "POST", "/disable", print_webhook, e);
	return ql_fail(e, QL_E_USAGE,
		"webhook: wants list, add URL, or show, test, rotate, enable, disable or remove "
		"and which");
}

const struct ql_verb ql_verb_webhook = {
	.name = "webhook",
	.operands = "list | add URL | show|test|rotate|enable|disable|remove ID",
	.brief = "be told what happens to evaluations, at a URL",
	.about =
		"A webhook is told what happens to evaluations: a signed POST for each, by the\n"
		"convention of Standard Webhooks, again until it is answered with 2xx. `add` "
		"makes\n"
		"one and prints its secret, this once:\n"
		"\n"
		"    quell webhook add https://ci.example.com/quell --event evaluation.cancelled\n"
		"\n"
		"`test` sends it a message now. `rotate` gives it a new secret; the old one signs\n"
		"too for a day, or as long as --keep says.\n",
	.options = options,
	.min_operands = 1,
	.max_operands = 2,
	.operand = QL_OPERAND_WORD,
	.operand_words = "list add show test rotate enable disable remove",
	.also = "webhooks hook notify callback",
	.run = run,
};
