/*
 * Which process began a task, as it said itself: kept until a look was answered. A run that was revoked before any
 * look came to it is listed by no worker, whether or not it heeded the signal.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "broker/celery/driver.h"

struct started {
	UT_hash_handle hh; /* the oldest first */
	char task_id[QL_TASK_ID];
	char node[QL_TASK_NODE];
	int64_t pid;
	bool several; /* another one said so meanwhile: which of them an end is of is not known */
};

static struct started *
find(const struct ql_celery *celery, const char *task_id)
{
	struct started *started;
	HASH_FIND_STR(celery->started, task_id, started);
	return started;
}

static void
started_free(struct ql_celery *celery, struct started *started)
{
	HASH_DEL(celery->started, started);
	free(started);
}

void
ql_started_hear(struct ql_celery *celery, const char *task_id, const struct ql_result *result)
{
	struct started *started = find(celery, task_id);
	if (!result->worker || !result->pid)
		return;
	if (started) {
		started->several |=
			started->pid != result->pid || strcmp(started->node, result->worker) != 0;
		return;
	}
	if (HASH_COUNT(celery->started) >= QL_CELERY_STARTED_MAX)
		started_free(celery, celery->started);
	started = calloc(1, sizeof(*started));
	if (!started)
		return; /* it is seen by looks alone */
	if (ql_str_copy(started->task_id, sizeof(started->task_id), task_id) ||
		ql_str_copy(started->node, sizeof(started->node), result->worker)) {
		free(started);
		return;
	}
	started->pid = result->pid;
	HASH_ADD_STR(celery->started, task_id, started);
}

bool
ql_started_place(const struct ql_celery *celery, const char *task_id, struct copy *ret_copy)
{
	const struct started *started = find(celery, task_id);
	if (!started || started->several)
		return false;
	*ret_copy = (struct copy){.place = QL_PLACE_ACTIVE, .pid = started->pid};
	ql_str_copy(ret_copy->node, sizeof(ret_copy->node), started->node);
	return true;
}

void
ql_started_drop(struct ql_celery *celery, const char *task_id)
{
	struct started *started = find(celery, task_id);
	if (started)
		started_free(celery, started);
}

void
ql_started_drop_all(struct ql_celery *celery)
{
	struct started *started, *next;
	HASH_ITER (hh, celery->started, started, next)
		started_free(celery, started);
}
