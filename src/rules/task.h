/*
 * How an evaluation and its task are named after each other. The template (--task-id) makes the
 * first attempt's task id from an eval_id; later attempts have ~N behind it (core/record.h). A task
 * that fits no template is known as the evaluation `task:{task_id}`.
 */
#ifndef QL_RULES_TASK_H
#define QL_RULES_TASK_H

#include "base/err.h"
#include "core/record.h"

#define QL_TASK_TEMPLATE "celery-{eval_id}"
#define QL_TASK_FOREIGN "task:" /* before the id of a task that fits no template */

/* It has {eval_id} once, and no more than 96 other bytes, all printable and none a ~. */
int ql_task_template_check(const char *text, struct ql_err *e);

/* For a record: NULL where the template is the usual one; the caller frees it. */
char *ql_task_id_make(const char *text, const char *eval_id);

/* Of any task id of 1 to 255 bytes without control characters; -1 with a sentence for another. */
int ql_task_eval_id(const char *text, const char *task_id, char ret_eval_id[static QL_EVAL_ID],
	struct ql_err *e);

#endif
