#include <stdio.h>
#include <string.h>

#include "base/sign.h"
#include "cli/call.h"
#include "cli/cli.h"
#include "cli/detail.h"
#include "cli/print.h"
#include "rules/receipt.h"

static int
get(struct ql_cmd *cmd, const char *path, struct ql_answer *ret_answer, struct ql_err *e)
{
	struct ql_call call = {.method = "GET", .path = path};
	return ql_client_call(cmd->client, &call, ret_answer, e);
}

static int
print_body(struct ql_cmd *cmd, const char *path, struct ql_err *e)
{
	struct ql_answer answer;
	int rc = get(cmd, path, &answer, e);
	if (rc == 0)
		rc = ql_print_raw(&answer.body, e);
	ql_answer_done(&answer);
	return rc;
}

/* ---- get ---- */

/* The id of a cancellation has a ~, that of an evaluation none: then it is its last attempt's. */
static int
find_cancellation(struct ql_cmd *cmd, const char *id, struct ql_buf *path, struct ql_err *e)
{
	struct ql_answer answer;
	ql_buf_adds(path, "/api/cancellations");
	if (strchr(id, '~')) {
		ql_path_segment(path, id);
		return ql_buf_adds(path, "/receipt");
	}
	QL_CLEAN_BUF struct ql_buf of = {0};
	ql_buf_adds(&of, "/api/eval");
	ql_path_segment(&of, id);
	int rc = get(cmd, of.data, &answer, e);
	const json_t *stop = json_object_get(answer.json, "cancellation");
	const char *name = ql_member_text(stop, "cancellation_id", NULL);
	if (rc == 0 && !name)
		rc = ql_fail(e, QL_E_CONFLICT,
			"nobody has stopped attempt %lld of %s: there is no receipt of it",
			(long long)json_integer_value(json_object_get(answer.json, "attempt")), id);
	if (rc == 0) {
		ql_path_segment(path, name);
		ql_buf_adds(path, "/receipt");
	}
	ql_answer_done(&answer);
	return rc;
}

static int
fetch(struct ql_cmd *cmd, const char *id, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	if (find_cancellation(cmd, id, &path, e))
		return -1;
	return print_body(cmd, path.data, e);
}

/* ---- verify ---- */

static int
read_whole(const char *path, struct ql_buf *ret_text, struct ql_err *e)
{
	char part[4096];
	size_t got;
	FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
	if (!file)
		return ql_fail_sys(e, "%s can't be opened", path);
	while (ret_text->len <= QL_RECEIPT_MAX && (got = fread(part, 1, sizeof(part), file)))
		ql_buf_add(ret_text, part, got);
	bool failed = ferror(file);
	if (file != stdin)
		fclose(file);
	return failed ? ql_fail_sys(e, "%s can't be read", path) : 0;
}

static int
read_signer(struct ql_cmd *cmd, unsigned char ret_key[static QL_SIGN_KEY], struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf pem = {0};
	struct ql_answer answer = {0};
	const char *path = ql_cmd_text(cmd, "signer");
	int rc = path ? read_whole(path, &pem, e) : get(cmd, "/api/signer", &answer, e);
	const struct ql_buf *text = path ? &pem : &answer.body;
	if (rc == 0)
		rc = ql_sign_key_parse(text->data ? text->data : "", text->len, ret_key, e);
	ql_answer_done(&answer);
	return rc;
}

static void
print_checks(const json_t *statement)
{
	size_t i;
	json_t *check;
	json_array_foreach (json_object_get(statement, "checks"), i, check)
		ql_detail_line(ql_member_text(check, "check", "?"), "%s: %s",
			ql_member_text(check, "looks_at", "?"),
			ql_member_text(check, "said", "could not be asked"));
}

static void
print_statement(const json_t *statement)
{
	const json_t *stop = json_object_get(statement, "cancellation");
	ql_detail_line(
		"holds", "signed by the server at %s", ql_member_text(statement, "issued_at", "?"));
	ql_detail_line("evaluation", "%s", ql_member_text(stop, "eval_id", "?"));
	ql_detail_line(
		"attempt", "%lld", (long long)json_integer_value(json_object_get(stop, "attempt")));
	ql_detail_line("asked by", "%s, at %s", ql_member_text(stop, "actor", "?"),
		ql_member_text(stop, "requested_at", "?"));
	ql_detail_line("settled", "%s", ql_member_text(stop, "settled_at", "?"));
	ql_detail_line("message", "%s", ql_member_text(stop, "message", "?"));
	print_checks(statement);
}

static int
verify(struct ql_cmd *cmd, const char *file, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf envelope = {0};
	unsigned char key[QL_SIGN_KEY];
	json_t *statement;
	if (read_whole(file, &envelope, e) || read_signer(cmd, key, e) ||
		ql_receipt_open(
			envelope.data ? envelope.data : "", envelope.len, key, &statement, e))
		return -1;
	if (ql_cmd_has(cmd, "json")) {
		json_dumpf(statement, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_statement(statement);
	}
	json_decref(statement);
	return 0;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	const char *first = cmd->operands[0];
	if (!strcmp(first, "verify") && cmd->operand_count == 2)
		return verify(cmd, cmd->operands[1], e);
	if (cmd->operand_count == 2)
		return ql_fail(e, QL_E_USAGE, "Two operands are `verify FILE`, not `%s %s`", first,
			cmd->operands[1]);
	if (!strcmp(first, "signer"))
		return print_body(cmd, "/api/signer", e);
	return fetch(cmd, first, e);
}

static const struct ql_option options[] = {
	{.name = "signer",
		.value = "FILE",
		.help = "the server's public key in PEM, for verify; else it is asked for it"},
	{NULL},
};

const struct ql_verb ql_verb_receipt = {
	.name = "receipt",
	.operands = "ID | verify FILE | signer",
	.brief = "get or verify the signed record of a stop",
	.about = "With an ID, of an evaluation or of a cancellation, writes the receipt of its\n"
		 "stop: what was seen, when, by which check, and what could not be asked,\n"
		 "signed by the server (Ed25519, in a DSSE envelope).\n"
		 "\n"
		 "`verify` holds one (- is standard input) against the server's public key and\n"
		 "shows what it says. With --signer no server is asked. `signer` writes that\n"
		 "key.\n",
	.options = options,
	.min_operands = 1,
	.max_operands = 2,
	.operand = QL_OPERAND_ID,
	.also = "proof evidence signature",
	.run = run,
};
