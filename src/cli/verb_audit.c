#include "rules/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "cli/call.h"
#include "cli/cli.h"
#include "cli/print.h"

#define PAGE "1000" /* the most that the API answers at once */

static const struct ql_option options[] = {
	{"since", 0, "TIME", "export: only rows made then or after (2026-01-02T03:04:05.000Z)"},
	{"actor", 0, "ACTOR", "export: only this one's, as user:alice"},
	{"verb", 0, "VERB", "export: only these attempts, as kill"},
	{"server-key", 0, "KEY", "verify: the signature must be this server's (base64)"},
	{NULL},
};

/* ---- export ---- */

static void
add_filters(const struct ql_cmd *cmd, struct ql_buf *path)
{
	static const char *const filters[] = {"since", "actor", "verb"};
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		const char *value = ql_cmd_text(cmd, filters[i]);
		if (value)
			ql_path_query(path, filters[i], value);
	}
}

/* Its rows are as many lines; the last of them that has a seq says where to go on. */
static json_int_t
last_seq(const struct ql_buf *lines, size_t *ret_rows)
{
	json_int_t last = 0;
	*ret_rows = 0;
	for (const char *at = lines->data; at && *at;) {
		size_t len = strcspn(at, "\n");
		json_t *line = json_loadb(at, len, 0, NULL);
		json_t *seq = json_object_get(line, "seq");
		if (seq) {
			last = json_integer_value(seq);
			++*ret_rows;
		}
		json_decref(line);
		at += len + (at[len] != 0);
	}
	return last;
}

static int
get_page(struct ql_cmd *cmd, bool filtered, json_int_t after, struct ql_answer *ret_answer,
	struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf path = {0};
	char cursor[24];
	snprintf(cursor, sizeof(cursor), "%lld", (long long)after);
	ql_buf_adds(&path, "/api/audit");
	ql_path_query(&path, "limit", PAGE);
	if (filtered)
		add_filters(cmd, &path);
	if (after)
		ql_path_query(&path, "cursor", cursor);
	struct ql_call call = {
		.method = "GET", .path = path.data, .accept = "application/x-ndjson"};
	return ql_client_call(cmd->client, &call, ret_answer, e);
}

typedef int(take_fn)(void *arg, const struct ql_buf *lines, struct ql_err *e);

/* A page that is not full is the last one. */
static int
fetch(struct ql_cmd *cmd, bool filtered, take_fn *take, void *arg, struct ql_err *e)
{
	size_t rows, full = (size_t)strtol(PAGE, NULL, 10);
	json_int_t last = 0;
	int rc;
	do {
		struct ql_answer answer;
		rc = get_page(cmd, filtered, last, &answer, e);
		last = last_seq(&answer.body, &rows);
		if (rc == 0 && answer.body.len)
			rc = take(arg, &answer.body, e);
		ql_answer_done(&answer);
	} while (rc == 0 && rows == full);
	return rc;
}

static int
print_lines(void *arg, const struct ql_buf *lines, struct ql_err *e)
{
	(void)arg;
	fwrite(lines->data, 1, lines->len, stdout);
	return ql_print_flush(e);
}

static int export(struct ql_cmd *cmd, struct ql_err *e)
{
	return fetch(cmd, true, print_lines, NULL, e);
}

/* ---- verify ---- */

static int
read_key(const struct ql_cmd *cmd, struct ql_buf *key, struct ql_err *e)
{
	const char *text = ql_cmd_text(cmd, "server-key");
	if (!text)
		return 0;
	if (ql_base64_decode(key, text, strlen(text)) || key->len != QL_SIGN_KEY)
		return ql_fail(e, QL_E_USAGE,
			"--server-key: wants the base64 of %d bytes, as `key` in the export",
			QL_SIGN_KEY);
	return 0;
}

static int
check_line(struct ql_audit_check *check, const char *line, size_t len, struct ql_err *e)
{
	if (len > QL_AUDIT_LINE)
		return ql_fail(e, QL_E_INVALID, "line %lld has more than %d bytes",
			(long long)check->lines + 1, QL_AUDIT_LINE);
	return len ? ql_audit_check(check, line, len, e) : 0;
}

static int
check_page(void *arg, const struct ql_buf *lines, struct ql_err *e)
{
	for (const char *at = lines->data; *at;) {
		size_t len = strcspn(at, "\n");
		if (check_line(arg, at, len, e))
			return -1;
		at += len + (at[len] != 0);
	}
	return 0;
}

static int
check_file(struct ql_audit_check *check, FILE *file, struct ql_err *e)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int rc = 0;
	while (!rc && (len = getline(&line, &size, file)) >= 0)
		rc = check_line(check, line, (size_t)len - (line[len - 1] == '\n'), e);
	free(line);
	return !rc && ferror(file) ? ql_fail_sys(e, "couldn't read it") : rc;
}

/* Something was piped in, or a file was named as its input: that is meant. */
static bool
has_input(void)
{
	struct stat input;
	return !fstat(STDIN_FILENO, &input) &&
	       (S_ISFIFO(input.st_mode) || S_ISREG(input.st_mode) || S_ISSOCK(input.st_mode));
}

static int
check_from(struct ql_cmd *cmd, const char *path, struct ql_audit_check *check, struct ql_err *e)
{
	if (!path)
		return fetch(cmd, false, check_page, check, e);
	FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
	if (!file)
		return ql_fail_sys(e, "it can't be read");
	int rc = check_file(check, file, e);
	if (file != stdin)
		fclose(file);
	return rc;
}

static void
print_whole(const struct ql_audit_check *check)
{
	QL_CLEAN_BUF struct ql_buf line = {0};
	ql_buf_addf(&line, "%lld rows hold, up to row %lld", (long long)check->rows,
		(long long)check->chain.seq);
	if (!check->anchored)
		ql_buf_addf(
			&line, "; what came before row %lld is not here", (long long)check->first);
	if (!check->headed)
		ql_buf_adds(&line, "; no signed head says that these are all");
	if (check->is_signed) {
		ql_buf_adds(&line, "\nsigned by ");
		ql_base64_encode(&line, check->signed_by, QL_SIGN_KEY);
		if (!check->key)
			ql_buf_adds(&line, " (whose that is, --server-key would say)");
	}
	ql_print_line(line.data ? line.data : "");
}

static int
verify(struct ql_cmd *cmd, struct ql_err *e)
{
	QL_CLEAN_BUF struct ql_buf key = {0};
	const char *path = cmd->operand_count > 1 ? cmd->operands[1] : NULL;
	if (read_key(cmd, &key, e))
		return -1;
	if (!path && has_input())
		path = "-";
	struct ql_audit_check check = {.key = (const unsigned char *)key.data};
	if (check_from(cmd, path, &check, e) || ql_audit_check_end(&check, e))
		return path ? ql_err_prefix(e, "%s", path) : -1;
	print_whole(&check);
	return 0;
}

static int
run(struct ql_cmd *cmd, struct ql_err *e)
{
	const char *what = cmd->operands[0];
	if (!strcmp(what, "export") && cmd->operand_count == 1)
		return export(cmd, e);
	if (!strcmp(what, "verify"))
		return verify(cmd, e);
	return ql_fail(e, QL_E_USAGE, "audit: wants export, or verify [FILE]");
}

const struct ql_verb ql_verb_audit = {
	.name = "audit",
	.operands = "export | verify [FILE]",
	.brief = "who tried what, and whether that record is whole",
	.about = "Exports the audit as JSON lines, oldest first. Each row's hash covers the one\n"
		 "before it, and the server signs where the chain begins and ends; `verify` holds\n"
		 "a file (- is standard input) to that, without a server, and names the first\n"
		 "broken row. Without a FILE, and with nothing piped in, it holds what the server\n"
		 "has now.\n"
		 "\n"
		 "    quell audit export > audit.jsonl && quell audit verify audit.jsonl\n",
	.options = options,
	.min_operands = 1,
	.max_operands = 2,
	.operand = QL_OPERAND_WORD,
	.operand_words = "export verify",
	.also = "log history",
	.run = run,
};
