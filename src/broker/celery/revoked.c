/*
 * The results outlet: REVOKED for what was cancelled, once there is evidence, and for what would have followed it in
 * its chain. Of those only its message knows, so they were kept when that was seen last.
 */
#include <stdlib.h>

#include "broker/celery/driver.h"

struct telling {
	struct ql_redis_command command;
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
	struct follower *follower = OWNER(command, struct follower, command);
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
on_revoked(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct telling *telling = OWNER(command, struct telling, command);
	if (status || !reply->elements)
		answer(telling, status, &command->err);
	else
		tell_followers(telling, reply);
}

static void
go_on(struct telling *telling)
{
	telling->command.done = on_revoked;
	ql_results_revoke(telling->celery, &telling->command, telling->op->task_id, telling->from);
}

void
ql_revoked_deliver(struct ql_outlet *outlet, struct ql_delivery *op)
{
	struct telling *telling = calloc(1, sizeof(*telling));
	if (!telling)
		abort(); /* a few hundred bytes: nothing goes on without them */
	telling->celery = OWNER(outlet, struct ql_celery, results);
	telling->op = op;
	go_on(telling);
}

/* It goes with the broker, whose close answers what is open. */
void
ql_revoked_close(struct ql_outlet *outlet, void (*closed)(void *arg), void *arg)
{
	(void)outlet;
	closed(arg);
}
