#include "rules/task.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define OTHER_MAX 96
#define DIGEST_HEX 40 /* of a SHA-256, where a task id can't be part of an eval_id */

static bool
is_printable(const char *text)
{
	for (const char *at = text; *at; at++) {
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return false;
	}
	return true;
}

int
ql_task_template_check(const char *text, struct ql_err *e)
{
	const char *hole = strstr(text, QL_TASK_HOLE);
	bool once = hole && !strstr(hole + 1, QL_TASK_HOLE);
	if (once && strlen(text) - strlen(QL_TASK_HOLE) <= OTHER_MAX && !strchr(text, '~') &&
		is_printable(text))
		return 0;
	return ql_fail(e, QL_E_INVALID,
		"a task id needs {eval_id} once, at most %d other characters, and no ~: not "
		"'%.64s'",
		OTHER_MAX, text);
}

char *
ql_task_id_make(const char *text, const char *eval_id)
{
	char *made = NULL;
	const char *hole = strstr(text, QL_TASK_HOLE);
	if (!strcmp(text, QL_TASK_TEMPLATE) || !hole)
		return NULL;
	if (asprintf(&made, "%.*s%s%s", (int)(hole - text), text, eval_id,
		    hole + strlen(QL_TASK_HOLE)) < 0)
		return NULL;
	return made;
}

static void
by_digest(const char *task_id, char ret_eval_id[static QL_EVAL_ID])
{
	unsigned char digest[EVP_MAX_MD_SIZE] = {0};
	EVP_Digest(task_id, strlen(task_id), digest, NULL, EVP_sha256(), NULL);
	int at = snprintf(ret_eval_id, QL_EVAL_ID, QL_TASK_FOREIGN "sha256-");
	for (int i = 0; i < DIGEST_HEX / 2; i++, at += 2)
		snprintf(ret_eval_id + at, (size_t)(QL_EVAL_ID - at), "%02x", digest[i]);
}

int
ql_task_eval_id(const char *text, const char *task_id, char ret_eval_id[static QL_EVAL_ID],
	struct ql_err *e)
{
	size_t len = strlen(task_id);
	if (!len || len >= QL_TASK_ID || !is_printable(task_id))
		return ql_fail(e, QL_E_INVALID,
			"a task id has 1 to %d bytes and no control character", QL_TASK_ID - 1);
	int32_t attempt;
	if (!ql_task_id_parse(text, task_id, ret_eval_id, &attempt))
		return 0;
	int made = snprintf(ret_eval_id, QL_EVAL_ID, QL_TASK_FOREIGN "%s", task_id);
	if (made >= QL_EVAL_ID || !ql_str_is_eval_id(ret_eval_id))
		by_digest(task_id, ret_eval_id);
	return 0;
}
