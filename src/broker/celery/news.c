/* What a worker wrote is news of a task: a look tells what it means. */
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "broker/celery/stop.h"

struct news {
	struct ql_quest look;
	struct ql_celery *celery;
	struct news *next; /* of those that wait */
	int looks;
	int32_t attempt;
	char eval_id[QL_EVAL_ID];
	char task_id[QL_TASK_ID];
};

/* A pool is faster than its worker's books: what is over is listed as held yet, and there is no more news of it. */
static void
look_after_held(const struct news *news)
{
	struct delivery *delivery;
	if (!ql_quest_is_over(&news->look))
		return;
	DL_FOREACH (ql_deliveries_of(news->celery, news->task_id), delivery) {
		if (delivery->held && !delivery->told_gone)
			ql_stop_watch_closely(delivery);
	}
}

/* It is known to run: its own end is looked for. */
static bool
is_awaited(struct ql_celery *celery, const char *task_id)
{
	const struct delivery *delivery;
	DL_FOREACH (ql_deliveries_of(celery, task_id), delivery) {
		if (!delivery->forgotten && !delivery->told_absent && !delivery->held)
			return true;
	}
	return false;
}

/*
 * REVOKED, and it may come back: its worker dropped it, and acknowledges it next, or a place did not say what it has, or
 * was not asked.
 */
static bool
is_unsaid(const struct news *news)
{
	const struct ql_quest *look = &news->look;
	bool asked = !look->workers_only && ql_quest_is_nowhere(look);
	return ql_quest_is_over(look) && !ql_quest_is_finished(look) && !look->copy_count &&
	       !look->find.listed && !asked && !is_awaited(news->celery, news->task_id);
}

static void
wait_for_next(struct news *news)
{
	struct ql_celery *celery = news->celery;
	news->looks++;
	news->look.workers_only = false;
	celery->news_due++;
	LL_PREPEND(celery->news, news);
}

static void
on_looked(struct ql_quest *look)
{
	struct news *news = QL_OWNER(look, struct news, look);
	struct ql_celery *celery = news->celery;
	ql_tell_look(celery, news->eval_id, news->task_id, news->attempt, look, 0);
	look_after_held(news);
	bool unsaid = is_unsaid(news);
	if (!unsaid && ql_quest_is_complete(look) && (look->copy_count || ql_quest_is_over(look)))
		ql_started_drop(celery, news->task_id); /* it is known as a run by now */
	ql_quest_done(look);
	if (unsaid && news->looks < QL_CELERY_NEWS_LOOKS &&
		celery->news_due < QL_CELERY_NEWS_DUE_MAX && !celery->closing)
		wait_for_next(news);
	else
		free(news);
}

void
ql_news_look(struct ql_celery *celery, const char *task_id, bool revoked)
{
	struct news *news = calloc(1, sizeof(*news));
	if (!news || ql_results_whose(celery, task_id, news->eval_id, &news->attempt)) {
		free(news);
		return;
	}
	news->celery = celery;
	ql_str_copy(news->task_id, sizeof(news->task_id), task_id);
	news->look.task_id = news->task_id;
	news->look.workers_only = !revoked || is_awaited(celery, task_id);
	news->look.done = on_looked;
	ql_quest(celery, &news->look);
}

void
ql_news_again(struct ql_celery *celery)
{
	struct news *due = celery->news, *news, *next;
	celery->news = NULL;
	celery->news_due = 0;
	LL_FOREACH_SAFE(due, news, next)
	ql_quest(celery, &news->look);
}

void
ql_news_free(struct ql_celery *celery)
{
	struct news *news, *next;
	LL_FOREACH_SAFE(celery->news, news, next)
	free(news);
	celery->news = NULL;
}
