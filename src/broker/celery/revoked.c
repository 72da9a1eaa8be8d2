/*
 * The results outlet: REVOKED for what was cancelled, once there is evidence, and for what would have followed it in
 * its chain. Of those only its message knows, so they were kept when that was seen last. Those that come
 * while some are being written are written together.
 */
#include <stdlib.h>

#include "base/owner.h"
#include "broker/celery/driver.h"

struct telling {
	struct telling *prev, *next; /* while it waits */
	struct ql_redis_command command; /* of a further page */
	struct ql_celery *celery;
	struct ql_delivery *op;
	size_t from; /* where in its chain the next page begins */
	struct follower *followers; /* this page */
	size_t open; /* of them that are not answered */
	struct ql_err err; /* of one that could not be told */
};

struct follower {
	struct ql_redis_command command;
	struct telling *telling;
};

static void
answer(struct telling *telling, int status, const struct ql_err *err)
{
	struct ql_delivery *op = telling->op;
	if (status)
		op->err = *err;
	op->retry = true;
	free(telling);
	op->done(op, status);
}

/* The next page, until there is none. */
static void go_on(struct telling *telling);

static void
on_follower_told(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct follower *follower = QL_OWNER(command, struct follower, command);
	struct telling *telling = follower->telling;
	(void)reply;
	if (status)
		telling->err = command->err;
	if (--telling->open)
		return;
	free(telling->followers);
	if (telling->err.code)
		answer(telling, -1, &telling->err);
	else
		go_on(telling);
}

static void
tell_followers(struct telling *telling, const redisReply *ids)
{
	struct ql_err err;
	telling->open = ids->elements;
	telling->from += ids->elements;
	telling->followers = calloc(ids->elements, sizeof(*telling->followers));
	if (!telling->followers) {
		answer(telling, ql_fail(&err, QL_E_UNAVAILABLE, "Out of memory for a chain"), &err);
		return;
	}
	for (size_t i = 0; i < ids->elements; i++) {
		struct follower *follower = &telling->followers[i];
		follower->telling = telling;
		follower->command.done = on_follower_told;
		ql_results_set(telling->celery, &follower->command, ids->element[i]->str, "REVOKED",
			"revoked");
	}
}

static void
take_page(struct telling *telling, int status, const redisReply *page, const struct ql_err *err)
{
	if (status || !page->elements)
		answer(telling, status, err);
	else
		tell_followers(telling, page);
}

static void
on_paged(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct telling *telling = QL_OWNER(command, struct telling, command);
	take_page(telling, status, status ? NULL : reply->element[0], &command->err);
}

static void
go_on(struct telling *telling)
{
	const char *task_id = telling->op->task_id;
	telling->command.done = on_paged;
	ql_results_revoke(telling->celery, &telling->command, &task_id, 1, telling->from);
}

/* ---- the first page of several ---- */

struct together {
	struct ql_redis_command command;
	struct ql_celery *celery;
	size_t count;
	struct telling *tellings[QL_CELERY_REVOKED_MAX];
};

static void tell_waiting(struct ql_celery *celery);

static void
on_revoked(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct together *together = QL_OWNER(command, struct together, command);
	struct ql_celery *celery = together->celery;
	for (size_t i = 0; i < together->count; i++)
		take_page(together->tellings[i], status, status ? NULL : reply->element[i],
			&command->err);
	celery->telling = false;
	free(together);
	tell_waiting(celery);
}

static void
tell_waiting(struct ql_celery *celery)
{
	const char *task_ids[QL_CELERY_REVOKED_MAX];
	struct telling *telling, *next;
	if (celery->telling || !celery->tellings)
		return;
	struct together *together = calloc(1, sizeof(*together));
	if (!together)
		abort(); /* a few kilobytes: nothing goes on without them */
	DL_FOREACH_SAFE (celery->tellings, telling, next) {
		if (together->count == QL_CELERY_REVOKED_MAX)
			break;
		DL_DELETE(celery->tellings, telling);
		task_ids[together->count] = telling->op->task_id;
		together->tellings[together->count++] = telling;
	}
	celery->telling = true;
	together->celery = celery;
	together->command.done = on_revoked;
	ql_results_revoke(celery, &together->command, task_ids, together->count, 0);
}

void
ql_revoked_deliver(struct ql_outlet *outlet, struct ql_delivery *op)
{
	struct telling *telling = calloc(1, sizeof(*telling));
	if (!telling)
		abort(); /* a few hundred bytes: nothing goes on without them */
	struct ql_celery *celery = QL_OWNER(outlet, struct ql_celery, results);
	telling->celery = celery;
	telling->op = op;
	DL_APPEND(celery->tellings, telling);
	tell_waiting(celery);
}

/* It goes with the broker, whose close answers what is open. */
void
ql_revoked_close(struct ql_outlet *outlet, void (*closed)(void *arg), void *arg)
{
	(void)outlet;
	closed(arg);
}
