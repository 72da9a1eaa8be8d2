#include "core/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* The strings that a record owns, each once. */
#define QL_RECORD_STRINGS(X) \
	X(owner) \
	X(language) \
	X(queue) \
	X(labels) \
	X(session) \
	X(supersedes) \
	X(task_id) \
	X(payload) \
	X(error) \
	X(worker) \
	X(runtime) \
	X(container) \
	X(container_runtime) \
	X(container_name) \
	X(container_image) \
	X(actor) \
	X(reason)

void
ql_record_done(struct ql_record *record)
{
	if (!record)
		return;
#define X(name) free(record->name);
	QL_RECORD_STRINGS(X)
#undef X
	*record = (struct ql_record){0};
}

int
ql_record_copy(struct ql_record *ret_record, const struct ql_record *record)
{
	bool failed = false;
	*ret_record = *record;
#define X(name) \
	ret_record->name = ql_str_dup(record->name); \
	failed |= record->name && !ret_record->name;
	QL_RECORD_STRINGS(X)
#undef X
	if (!failed)
		return 0;
	ql_record_done(ret_record);
	return -1;
}

void
ql_record_task_id(const struct ql_record *record, int32_t attempt, char ret_id[static QL_TASK_ID])
{
	int len = record->task_id ? snprintf(ret_id, QL_TASK_ID, "%s", record->task_id)
				  : snprintf(ret_id, QL_TASK_ID, "celery-%s", record->eval_id);
	if (attempt > 1 && !record->state.adopted && len < QL_TASK_ID)
		snprintf(ret_id + len, (size_t)(QL_TASK_ID - len), "~%d", attempt);
}

int
ql_task_id_parse(const char *text, const char *task_id, char ret_eval_id[static QL_EVAL_ID],
	int32_t *ret_attempt)
{
	const char *hole = strstr(text, QL_TASK_HOLE);
	const char *tail = hole + strlen(QL_TASK_HOLE);
	size_t around = (size_t)(hole - text) + strlen(tail);
	const char *tilde = strrchr(task_id, '~');
	int64_t attempt = 1;
	if (tilde && ql_str_int(tilde + 1, 2, INT32_MAX, &attempt))
		tilde = NULL;
	size_t len = tilde ? (size_t)(tilde - task_id) : strlen(task_id);
	if (len <= around || len - around >= QL_EVAL_ID ||
		memcmp(task_id, text, (size_t)(hole - text)) != 0 ||
		memcmp(task_id + len - strlen(tail), tail, strlen(tail)) != 0)
		return -1;
	memcpy(ret_eval_id, task_id + (hole - text), len - around);
	ret_eval_id[len - around] = 0;
	*ret_attempt = (int32_t)attempt;
	return ql_str_is_eval_id(ret_eval_id) ? 0 : -1;
}

void
ql_cancellation_id(const char *eval_id, int32_t attempt, char ret_id[static QL_TASK_ID])
{
	snprintf(ret_id, QL_TASK_ID, "%s~%d", eval_id, attempt);
}

int
ql_cancellation_parse(const char *id, char ret_eval_id[static QL_EVAL_ID], int32_t *ret_attempt)
{
	const char *tilde = strrchr(id, '~');
	int64_t attempt;
	if (!tilde || tilde - id >= QL_EVAL_ID || ql_str_int(tilde + 1, 1, INT32_MAX, &attempt))
		return -1;
	memcpy(ret_eval_id, id, (size_t)(tilde - id));
	ret_eval_id[tilde - id] = 0;
	*ret_attempt = (int32_t)attempt;
	return ql_str_is_eval_id(ret_eval_id) ? 0 : -1;
}
