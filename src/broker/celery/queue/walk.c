/* SCAN, SSCAN and HSCAN: a page a command, until the cursor is 0 again. */
#include <stdio.h>
#include <string.h>

#include "broker/celery/queue/inside.h"

static void ask(struct ql_queue_walk *walk, const char *cursor);

static bool
is_page(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
	       reply->element[0]->type == REDIS_REPLY_STRING &&
	       reply->element[1]->type == REDIS_REPLY_ARRAY;
}

static void
answered(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct ql_queue_walk *walk = (struct ql_queue_walk *)(void *)command;
	struct ql_queues *queues = walk->queues;
	struct ql_err err;
	bool other = ql_queue_is_other_kind(command, status);
	if (!ql_queues_landed(queues, other ? 0 : status, &command->err))
		return;
	if (other) { /* nobody binds or takes anything there */
		walk->over(queues);
		return;
	}
	if (!is_page(reply)) {
		ql_fail(&err, QL_E_INTERNAL, "Redis answered %s with no page", walk->verb);
		ql_queues_fail(queues, &err);
		return;
	}
	walk->page(queues, reply->element[1]);
	if (queues->failed)
		return;
	if (!strcmp(reply->element[0]->str, "0")) {
		walk->over(queues);
	} else if (++walk->pages >= QL_QUEUE_WALK_MAX) {
		ql_fail(&err, QL_E_LIMIT,
			"%s of %s was not through after %d pages: the database is too large to be "
			"looked through",
			walk->verb, walk->key ? walk->key : "the keys", QL_QUEUE_WALK_MAX);
		ql_queues_fail(queues, &err);
	} else {
		ask(walk, reply->element[0]->str);
	}
}

static void
ask(struct ql_queue_walk *walk, const char *cursor)
{
	char count[16];
	const char *argv[8];
	int argc = 0;
	snprintf(count, sizeof(count), "%d", walk->key ? QL_QUEUE_PAGE : QL_QUEUE_KEYS_PAGE);
	argv[argc++] = walk->verb;
	if (walk->key)
		argv[argc++] = walk->key;
	argv[argc++] = cursor;
	if (walk->match) {
		argv[argc++] = "MATCH";
		argv[argc++] = walk->match;
	}
	argv[argc++] = "COUNT";
	argv[argc++] = count;
	walk->command.done = answered;
	walk->queues->flying++;
	ql_redis_send(walk->queues->redis, &walk->command, argc, argv, NULL);
}

void
ql_queue_walk_start(struct ql_queues *queues, struct ql_queue_walk how)
{
	queues->walk = how;
	queues->walk.queues = queues;
	ask(&queues->walk, "0");
}
