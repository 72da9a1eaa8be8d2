/*
 * Looking before trusting: what a Celery deployment believes of its revokes, held against what is
 * true. It only reads: the lists, the results, the containers, and what workers say when inspected.
 * It revokes nothing, answers no hello and writes no key; workers put their replies into a list
 * that it empties.
 *
 * A look asks all workers, goes through the lists, and reads the results of what it met there. What
 * looks wrong may be a moment between two answers: it is told when a second look, a moment
 * later, finds it again.
 */
#ifndef QL_BROKER_CELERY_OBSERVE_OBSERVE_H
#define QL_BROKER_CELERY_OBSERVE_OBSERVE_H

#include <jansson.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "core/record.h"
#include "runtime/containers.h"

/* Bounds and paces. */
#define QL_OBSERVE_PACE_MS 10000 /* from one report to the next look, */
#define QL_OBSERVE_SHARE 10 /* and so many times as long as its looks took */
#define QL_OBSERVE_AGAIN_MS 1500 /* to the second look at what was found */
#define QL_OBSERVE_ASK_MS 3000 /* for workers to answer */
#define QL_OBSERVE_LISTS_MS 120000 /* to go through all lists */
#define QL_OBSERVE_MESSAGES_MAX 250000 /* that one look goes through */
#define QL_OBSERVE_WORKERS_MAX 64 /* whose revokes are compared */
#define QL_OBSERVE_FINDINGS_MAX 1000 /* of one kind in a report; more are counted */
#define QL_OBSERVE_RESULT_MAX "16384" /* bytes of one result that are read */

struct ql_observe;

/* Strings are borrowed until it is closed. As in celery.h where nothing is said. */
struct ql_observe_config {
	const char *broker;
	const char *
		results; /* NULL = the broker; another than Redis is not read, and the report says so */
	const char *queue; /* looked through besides those that are bound */
	const char *instance; /* names its list of replies */
	const char *prefix, *results_prefix, *fanout_prefix, *exchange, *steps, *separator;
	struct ql_containers *containers; /* borrowed until closed; NULL: none are looked for */
	/* Which evaluation a task is of, as its containers are labelled. */
	int (*eval_of)(const void *arg, const char *task_id, char ret_eval_id[static QL_EVAL_ID]);
	/* A report, borrowed; or NULL and why there is none. The next one comes by itself. */
	void (*seen)(void *arg, const json_t *report, const struct ql_err *err);
	void *arg;
};

/* The first look begins at once. */
int ql_observe_open(uv_loop_t *loop, const struct ql_observe_config *config,
	struct ql_observe **ret_observe, struct ql_err *e);
void ql_observe_close(struct ql_observe *observe, void (*closed)(void *arg), void *arg);

#endif
