/* Questions, and the replies that come to Quell's own list. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "broker/celery/control/inside.h"
#include "broker/celery/wire/message.h"

#define BLOCK_S \
	"2" /* below QL_REDIS_SILENCE_MS, after which a connection without an answer is given up */
#define POP_AGAIN_MS 100
#define NAMES_SHOWN 5

static struct ql_ask *
find(const struct ql_control *control, uint64_t ticket)
{
	struct ql_ask *ask;
	HASH_FIND(hh, control->asks, &ticket, sizeof(ticket), ask);
	return ask;
}

static void
say_missing(struct ql_ask *ask)
{
	char names[200] = "";
	size_t len = 0, shown = 0, count = json_object_size(ask->missing);
	const char *node;
	json_t *value;
	json_object_foreach (ask->missing, node, value) {
		if (shown == NAMES_SHOWN || len + strlen(node) + 8 > sizeof(names))
			break;
		len += (size_t)snprintf(
			names + len, sizeof(names) - len, "%s%s", shown++ ? ", " : "", node);
	}
	if (ask->heard < 0)
		ql_fail(&ask->err, QL_E_UNAVAILABLE,
			"'%s' could not be put to the workers: Redis is away", ask->method);
	else if (count)
		ql_fail(&ask->err, QL_E_TIMEOUT, "no answer to '%s' from %s%s", ask->method, names,
			shown < count ? " and others" : "");
	else
		ql_fail(&ask->err, QL_E_TIMEOUT,
			"'%s' was heard by %" PRId64 " worker%s and answered by %zu", ask->method,
			ask->heard, ask->heard == 1 ? "" : "s", json_object_size(ask->replies));
}

static void
finish(struct ql_control *control, struct ql_ask *ask, int status)
{
	if (ask->over)
		return;
	ask->over = true;
	HASH_DEL(control->asks, ask);
	ql_control_still(control, &ask->due);
	json_t *replies = ask->replies, *missing = ask->missing;
	ask->done(ask, status);
	json_decref(replies);
	json_decref(missing);
}

static void
overdue(struct ql_control *control, struct ql_control_timer *timer)
{
	struct ql_ask *ask = QL_OWNER(timer, struct ql_ask, due);
	if (!ask->err.text[0])
		say_missing(ask);
	finish(control, ask, -1);
}

/* Nobody else can answer: it is over, at the loop's next turn. */
static void
maybe_over(struct ql_control *control, struct ql_ask *ask)
{
	int64_t answered = (int64_t)json_object_size(ask->replies) + ask->unreadable;
	int64_t named = (int64_t)json_array_size(ask->nodes);
	int64_t able = ask->nodes && named < ask->heard ? named : ask->heard;
	bool all = json_object_size(ask->missing) == 0;
	if (ask->heard < 0 || answered < able)
		return;
	if (all && !ask->unreadable)
		finish(control, ask, 0);
	else
		overdue(control, &ask->due);
}

static void
heard(struct ql_control *control, uint64_t about, int64_t count)
{
	struct ql_ask *ask = find(control, about);
	if (!ask)
		return;
	ask->heard = count;
	if (count < 0)
		overdue(control, &ask->due);
	else
		maybe_over(control, ask);
}

static json_t *
expected(const struct ql_control *control, const json_t *nodes)
{
	json_t *names = json_object();
	struct ql_worker *worker, *next;
	size_t i;
	json_t *node;
	json_array_foreach (nodes, i, node)
		json_object_set_new(names, json_string_value(node), json_null());
	if (nodes)
		return names;
	HASH_ITER (hh, control->workers.by_node, worker, next)
		if (worker->state == QL_WORKER_HERE)
			json_object_set_new(names, worker->node, json_null());
	return names;
}

static int
prepare(struct ql_control *control, struct ql_ask *ask)
{
	ask->err = (struct ql_err){0};
	ask->heard = -1;
	ask->unreadable = 0;
	ask->over = false;
	ask->due = (struct ql_control_timer){.rang = overdue};
	ask->ticket = ++control->ticket;
	ask->replies = json_object();
	ask->missing = expected(control, ask->nodes);
	HASH_ADD(hh, control->asks, ticket, sizeof(ask->ticket), ask);
	if (HASH_COUNT(control->asks) > QL_CONTROL_ASKS_MAX)
		return ql_fail(&ask->err, QL_E_LIMIT,
			"%d questions wait for workers' replies already, and no more",
			QL_CONTROL_ASKS_MAX);
	return ask->replies && ask->missing
		       ? 0
		       : ql_fail(&ask->err, QL_E_SYSTEM, "out of memory for a question to workers");
}

void
ql_control_ask(struct ql_control *control, struct ql_ask *ask)
{
	char ticket[64];
	size_t len;
	if (prepare(control, ask)) {
		ql_control_ring(control, &ask->due, 0);
		return;
	}
	snprintf(ticket, sizeof(ticket), "quell-%" PRIu64, ask->ticket);
	char *bytes = ql_control_message_make(
		ask->method, ask->arguments, ask->nodes, ticket, control->reply_list, &len);
	if (!bytes) {
		ql_fail(&ask->err, QL_E_SYSTEM, "out of memory for a question to workers");
		ql_control_ring(control, &ask->due, 0);
		return;
	}
	ql_control_ring(control, &ask->due, ask->timeout_ms ? ask->timeout_ms : QL_CONTROL_ASK_MS);
	ql_control_cast(control, bytes, len, heard, ask->ticket);
}

void
ql_control_drop_asks(struct ql_control *control)
{
	struct ql_ask *ask, *next;
	HASH_ITER (hh, control->asks, ask, next) {
		ql_fail(&ask->err, QL_E_UNAVAILABLE, "the server ends");
		finish(control, ask, -1);
	}
}

/* ---- replies ---- */

static void
take_reply(struct ql_control *control, const char *bytes, size_t len)
{
	char *ticket = NULL, *node = NULL;
	json_t *value = NULL;
	struct ql_err err = {0};
	uint64_t number = 0;
	int rc = ql_control_reply_parse(bytes, len, &ticket, &node, &value, &err);
	if (rc >= 0 && ticket && sscanf(ticket, "quell-%" SCNu64, &number) != 1)
		number = 0;
	struct ql_ask *ask = find(control, number);
	if (node)
		ql_control_heard_of(control, node);
	if (ask && rc == 0) {
		json_object_del(ask->missing, node);
		json_object_set(ask->replies, node, value);
	} else if (ask) {
		ask->unreadable++;
		ask->err = err;
	}
	if (ask)
		maybe_over(control, ask);
	json_decref(value);
	free(node);
	free(ticket);
}

static void
popped(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct ql_control *control = QL_OWNER(command, struct ql_control, pop);
	control->popping = false;
	if (status == 0 && !control->closing && reply->type == REDIS_REPLY_ARRAY &&
		reply->elements == 2 && reply->element[1]->str)
		take_reply(control, reply->element[1]->str, reply->element[1]->len);
	if (control->closing)
		; /* nobody waits any more */
	else if (status == 0)
		ql_control_pop(control);
	else
		ql_control_ring(control, &control->pop_again, POP_AGAIN_MS);
	ql_control_let_go(control);
}

static void
pop_again(struct ql_control *control, struct ql_control_timer *timer)
{
	(void)timer;
	if (ql_redis_is_up(control->replies))
		ql_control_pop(control);
}

void
ql_control_pop(struct ql_control *control)
{
	const char *const argv[] = {"BRPOP", control->reply_key, BLOCK_S};
	if (control->popping || control->closing)
		return;
	control->pop_again.rang = pop_again;
	control->popping = true;
	control->pop = (struct ql_redis_command){.done = popped};
	ql_control_hold(control);
	ql_redis_send(control->replies, &control->pop, 3, argv, NULL);
}
