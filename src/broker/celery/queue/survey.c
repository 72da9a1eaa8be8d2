/* Telling what there is, to whoever surveys the queues. */
#include <utlist.h>

#include "broker/celery/queue/inside.h"

void
ql_queues_tell_lists(struct ql_queues *queues)
{
	struct ql_queue_op *op;
	DL_FOREACH (queues->surveys, op) {
		struct ql_queue_survey *survey = (struct ql_queue_survey *)(void *)op;
		for (size_t i = 0; i < queues->list_count; i++) {
			if (queues->lists[i].len)
				survey->list(survey, queues->lists[i].queue, queues->lists[i].len);
		}
	}
}

void
ql_queues_tell_message(struct ql_queues *queues, const char *queue, const char *bytes, size_t len)
{
	struct ql_queue_op *op;
	DL_FOREACH (queues->surveys, op) {
		struct ql_queue_survey *survey = (struct ql_queue_survey *)(void *)op;
		if (!survey->enough)
			survey->enough = !survey->each(survey, queue, bytes, len);
	}
}

bool
ql_queues_want_more(const struct ql_queues *queues)
{
	const struct ql_queue_op *op;
	DL_FOREACH (queues->surveys, op) {
		if (!((const struct ql_queue_survey *)(const void *)op)->enough)
			return true;
	}
	return queues->open > 0;
}
