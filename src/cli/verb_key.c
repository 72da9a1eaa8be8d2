#include <stdlib.h>
#include <string.h>

#include "cli/call.h"
#include "cli/cli.h"
#include "cli/listing.h"
#include "cli/print.h"

static const struct ql_option options[] = {
	{"name", 0, "NAME", "create: what people call it"},
	{"role", 0, "ROLE", "create: user (if not given), operator or admin",
		"user operator admin"},
	{"scope", 0, "SCOPE", "create: only this of what the role may",
		"read submit cancel kill delete admin", true},
	{"expires", 0, "TIME", "create: it opens nothing after that (30d)"},
	{NULL},
};

static const struct ql_grid_column columns[] = {
	{"KEY ID", .whole = true},
	{"OWNER"},
	{"ROLE", .whole = true},
	{"NAME"},
	{"AGE", .whole = true},
	{"EXPIRES IN", .whole = true},
	{"SCOPES"},
	{NULL},
};

/* ---- create ---- */

static json_t *
scopes_of(const struct ql_cmd *cmd)
{
	json_t *scopes = json_array();
	for (size_t i = 0; i < cmd->given_count; i++) {
		if (!strcmp(cmd->given[i].option->name, "scope"))
			json_array_append_new(scopes, json_string(cmd->given[i].value));
	}
	return scopes;
}

static int
body_of(const struct ql_cmd *cmd, json_t **ret_body, struct ql_err *e)
{
	int64_t expires_ms = 0;
	const char *name = ql_cmd_text(cmd, "name"), *role = ql_cmd_text(cmd, "role");
	if (ql_cmd_duration(cmd, "expires", &expires_ms, e))
		return -1;
	json_t *body = json_pack("{ss}", "owner", cmd->operands[1]);
	if (!body)
		return ql_fail(e, QL_E_USAGE, "the owner must be UTF-8");
	if (name)
		json_object_set_new(body, "name", json_string(name));
	if (role)
		json_object_set_new(body, "role", json_string(role));
	if (expires_ms)
		json_object_set_new(body, "expires_in_s", json_integer(expires_ms / 1000));
	if (ql_cmd_has(cmd, "scope"))
		json_object_set_new(body, "scopes", scopes_of(cmd));
	*ret_body = body;
	return 0;
}

/* The key alone goes to stdout, so that a script can take it; the rest is for people. */
static void
print_created(const json_t *key)
{
	ql_print_line(ql_member_text(key, "key", "?"));
	ql_cli_say("key %s of %s (%s): it is shown this once and kept nowhere; revoke it by "
		   "`quell key revoke %s`",
		ql_member_text(key, "key_id", "?"), ql_member_text(key, "owner", "?"),
		ql_member_text(key, "role", "?"), ql_member_text(key, "key_id", "?"));
}

static int
create(struct ql_cmd *cmd, struct ql_err *e)
{
	json_t *body;
	struct ql_answer answer;
	if (body_of(cmd, &body, e))
		return -1;
	struct ql_call call = {.method = "POST", .path = "/api/keys", .body = body};
	int rc = ql_cmd_call(cmd, &call, &answer, e);
	if (rc == 0 && !ql_cmd_has(cmd, "json"))
		print_created(answer.json);
	ql_answer_done(&answer);
	json_decref(body);
	return rc;
}

/* ---- list ---- */

static void
add_row(struct ql_grid *grid, const json_t *key)
{
	char age[QL_SPAN_TEXT], left[QL_SPAN_TEXT] = "-";
	int64_t now = ql_print_now(), expires = ql_member_time(key, "expires_at");
	ql_print_span(now - ql_member_time(key, "created_at"), age);
	ql_grid_add(grid, ql_member_text(key, "key_id", "?"));
	if (expires)
		ql_print_span(expires > now ? expires - now : 0, left);
	ql_grid_add(grid, ql_member_text(key, "owner", "?"));
	ql_grid_add(grid, ql_member_text(key, "role", "?"));
	ql_grid_add(grid, ql_member_text(key, "name", "-"));
	ql_grid_add(grid, age);
	ql_grid_add(grid, left);
	ql_listing_add_words(grid, json_object_get(key, "scopes"), " ");
}

static const struct ql_listing keys = {"keys", columns, add_row};

/* ---- revoke ---- */

static int
revoke(struct ql_cmd *cmd, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	QL_CLEAN_BUF struct ql_buf line = {0};
	struct ql_answer answer;
	ql_buf_adds(&path, "/api/keys");
	ql_path_segment(&path, cmd->operands[1]);
	struct ql_call call = {.method = "DELETE", .path = path.data};
	int rc = ql_cmd_call(cmd, &call, &answer, e);
	ql_buf_addf(&line, "%s: revoked", cmd->operands[1]);
	if (rc == 0 && !ql_cmd_has(cmd, "json") && line.data)
		ql_print_line(line.data);
	ql_answer_done(&answer);
	return rc;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	const char *what = cmd->operands[0];
	if (!strcmp(what, "list") && cmd->operand_count == 1)
		return ql_listing_get(&keys, cmd, "/api/keys", e);
	if (!strcmp(what, "create") && cmd->operand_count == 2)
		return create(cmd, e);
	if (!strcmp(what, "revoke") && cmd->operand_count == 2)
		return revoke(cmd, e);
	return ql_fail(e, QL_E_USAGE, "key: wants create OWNER, list, or revoke KEY-ID");
}

const struct ql_verb ql_verb_key = {
	.name = "key",
	.operands = "create OWNER | list | revoke KEY-ID",
	.brief = "make, list and revoke API keys",
	.about = "Makes an API key for an owner and prints it: this once, as the server keeps a "
		 "hash\n"
		 "alone. A user sees and stops what is its owner's, an operator everybody's, and "
		 "an\n"
		 "admin may also change keys and policies and read the audit.\n"
		 "\n"
		 "    quell key create alice --scope submit --scope read --expires 30d\n",
	.options = options,
	.min_operands = 1,
	.max_operands = 2,
	.operand = QL_OPERAND_WORD,
	.operand_words = "create list revoke",
	.also = "keys apikey token",
	.run = run,
};
