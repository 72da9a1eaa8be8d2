/*
 * A worker that starts says hello and listens for one second; then, for a moment, it hears nothing, and
 * then it takes its first task. It is answered with what is buried, and what is buried meanwhile is
 * cast until it answers a ping.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "base/str.h"
#include "broker/celery/control/inside.h"
#include "broker/celery/wire/message.h"

/*
 * Pickled, a hello can't be read, and so not answered: all is cast to whoever it was, as long as to one
 * that does not answer a ping.
 */
#define NOBODY_KNOWN ""

#define LATE_MS 900 /* an answer that took longer was lost, perhaps */
#define LEFTOVER_S "60" /* an answer that came too late goes by itself */

struct answer {
	struct ql_redis_command command;
	struct ql_control *control;
	int64_t began;
	char node[QL_TASK_NODE];
};

static void
drop_bodies(struct ql_control_bodies *bodies)
{
	for (size_t i = 0; i < bodies->count; i++)
		free(bodies->bodies[i]);
	free(bodies->bodies);
	free(bodies->lens);
	*bodies = (struct ql_control_bodies){0};
}

/* The next ids from there on, as the text of a JSON list. */
static char *
list_ids(struct ql_buried **buried)
{
	json_t *ids = json_array();
	for (size_t i = 0; *buried && i < QL_CONTROL_CAST_IDS; i++, *buried = (*buried)->next) {
		if (!(*buried)->tentative) /* of which version who asks is, is not known */
			json_array_append_new(ids, json_string((*buried)->task_id));
	}
	char *text = json_dumps(ids, JSON_COMPACT);
	json_decref(ids);
	return text;
}

/* Two answers under one name would replace each other. */
static char *
make_body(const char *node, size_t number, struct ql_buried **buried, size_t *ret_len)
{
	char name[QL_TASK_NODE + 32];
	char *ids = list_ids(buried);
	if (number)
		snprintf(name, sizeof(name), "%zu.%s", number + 1, node);
	else
		snprintf(name, sizeof(name), "%s", node);
	char *body = ids ? ql_control_hello_body(name, (struct ql_text){ids, strlen(ids)}, ret_len)
			 : NULL;
	free(ids);
	return body;
}

static int
make_bodies(struct ql_control *control)
{
	struct ql_control_bodies *bodies = &control->bodies;
	size_t max = control->config.revokes_max;
	struct ql_buried *buried = ql_tombstones_since(&control->tombstones, 1, max);
	drop_bodies(bodies);
	bodies->bodies = calloc(max / QL_CONTROL_CAST_IDS + 1, sizeof(*bodies->bodies));
	bodies->lens = calloc(max / QL_CONTROL_CAST_IDS + 1, sizeof(*bodies->lens));
	bool made = bodies->bodies && bodies->lens;
	while (buried && made) {
		size_t i = bodies->count;
		bodies->bodies[i] = make_body(control->node, i, &buried, &bodies->lens[i]);
		made = bodies->bodies[i] != NULL;
		bodies->count += made;
	}
	bodies->fresh = made;
	return made ? 0 : -1;
}

/* ---- what comes after the answer ---- */

static void
drop_join(struct ql_control *control, struct ql_control_join *join)
{
	HASH_DEL(control->joins, join);
	ql_control_still(control, &join->due);
	json_decref(join->nodes);
	json_decref(join->knows);
	free(join);
}

static void
pinged(struct ql_ask *ask, int status)
{
	struct ql_control_join *join = QL_OWNER(ask, struct ql_control_join, ping);
	struct ql_control *control = join->control;
	join->pinging = false;
	if (status || control->closing)
		return;
	ql_control_tell(control, join->since);
	ql_control_give_back_joined(control, join);
	ql_control_census(control, 0);
	drop_join(control, join);
}

static void
join_again(struct ql_control *control, struct ql_control_timer *timer)
{
	struct ql_control_join *join = QL_OWNER(timer, struct ql_control_join, due);
	int64_t age = ql_alarm_ms() - join->began;
	ql_control_ring(control, timer, join->pause);
	if (join->pinging)
		return;
	if (age > QL_CONTROL_JOIN_END_MS) {
		drop_join(control, join);
		return;
	}
	if (age > QL_CONTROL_JOIN_FAST_MS)
		join->pause *= 2;
	ql_control_tell(control, join->since);
	join->pinging = true;
	join->ping = (struct ql_ask){.method = "ping",
		.nodes = join->nodes,
		.timeout_ms = QL_CONTROL_JOIN_MS,
		.done = pinged};
	ql_control_ask(control, &join->ping);
}

static struct ql_control_join *
find_join(struct ql_control *control, const char *node)
{
	struct ql_control_join *join;
	HASH_FIND_STR(control->joins, node, join);
	return join;
}

static struct ql_control_join *
add_join(struct ql_control *control, const char *node)
{
	struct ql_control_join *join = NULL;
	if (HASH_COUNT(control->joins) < QL_BROKER_WORKERS_MAX)
		join = calloc(1, sizeof(*join));
	json_t *nodes = join ? json_pack("[s]", node) : NULL;
	if (!nodes) {
		free(join);
		return NULL;
	}
	ql_str_copy(join->node, sizeof(join->node), node);
	join->control = control;
	join->nodes = nodes;
	join->since = *node ? control->tombstones.turns + 1 : 1;
	join->due.rang = join_again;
	HASH_ADD_STR(control->joins, node, join);
	return join;
}

bool
ql_control_joins(struct ql_control *control, const char *node)
{
	return find_join(control, node);
}

/*
 * One that says hello again while it joins starts anew, with whatever it may have missed so far. known: what it
 * says it was told, or NULL.
 */
static void
start_join(struct ql_control *control, const char *node, const json_t *known)
{
	struct ql_control_join *join = find_join(control, node);
	if (!join)
		join = add_join(control, node);
	if (!join)
		return;
	json_decref(join->knows);
	join->knows = ql_control_lifted_among(control, known);
	join->began = ql_alarm_ms();
	join->pause = QL_CONTROL_JOIN_MS;
	ql_control_ring(control, &join->due, join->pause);
}

void
ql_control_drop_joins(struct ql_control *control)
{
	struct ql_control_join *join, *next;
	HASH_ITER (hh, control->joins, join, next)
		drop_join(control, join);
	drop_bodies(&control->bodies);
}

/* ---- the answer ---- */

static void
answered(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct answer *answer = (struct answer *)command;
	struct ql_control *control = answer->control;
	struct ql_control_join *join = find_join(control, answer->node);
	(void)reply;
	if (join && (status || ql_alarm_ms() - answer->began > LATE_MS))
		join->since = 1;
	free(answer);
	ql_control_let_go(control);
}

static void
push(struct ql_control *control, const char *node, const char *key, const char *bytes, size_t len)
{
	static const char script[] = "redis.call('LPUSH', KEYS[1], ARGV[1])\n"
				     "return redis.call('EXPIRE', KEYS[1], ARGV[2])\n";
	const char *const argv[] = {key, bytes, LEFTOVER_S};
	const size_t lens[] = {strlen(key), len, sizeof(LEFTOVER_S) - 1};
	struct answer *answer = calloc(1, sizeof(*answer));
	if (!answer)
		return;
	answer->command.done = answered;
	answer->control = control;
	answer->began = ql_alarm_ms();
	ql_str_copy(answer->node, sizeof(answer->node), node);
	ql_control_hold(control);
	ql_redis_eval(control->config.commands, &answer->command, script, 1, 3, argv, lens);
}

static void
answer_all(struct ql_control *control, const struct ql_control_message *hello)
{
	const char *exchange = hello->reply_exchange;
	struct ql_buf key QL_CLEAN_BUF = {0};
	/* kombu's name for the queue of a reply; without an exchange the key is the queue */
	ql_buf_addf(&key, "%s%s%s%s", control->key_prefix, hello->reply_key, *exchange ? "." : "",
		exchange);
	if (key.failed || (!control->bodies.fresh && make_bodies(control)))
		return;
	for (size_t i = 0; i < control->bodies.count; i++) {
		const struct ql_text body = {control->bodies.bodies[i], control->bodies.lens[i]};
		size_t len;
		char *bytes = ql_control_hello_answer(
			hello->ticket, exchange, hello->reply_key, body, &len);
		if (bytes)
			push(control, hello->from_node, key.data, bytes, len);
		free(bytes);
	}
}

void
ql_control_hello(struct ql_control *control, const char *bytes, size_t len)
{
	struct ql_control_message hello;
	if (ql_control_message_parse(bytes, len, &hello, NULL)) {
		start_join(control, NOBODY_KNOWN, NULL);
		return;
	}
	bool is_ours = !hello.from_node || !*hello.from_node ||
		       !strcmp(hello.from_node, control->node) ||
		       strlen(hello.from_node) >= QL_TASK_NODE;
	if (!strcmp(hello.method, "hello") && hello.reply_wanted && !is_ours) {
		start_join(control, hello.from_node, hello.revoked);
		answer_all(control, &hello);
	}
	ql_control_message_done(&hello);
}
