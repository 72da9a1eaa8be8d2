/* Which lists there are: the queues' names, those that were given and those that are bound, and how long each is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "broker/celery/queue/inside.h"

int
ql_queues_name(struct ql_queues *queues, const char *text, size_t len)
{
	struct ql_queue_name *name;
	HASH_FIND(hh, queues->names, text, len, name);
	if (name || !len)
		return 0;
	if (HASH_COUNT(queues->names) >= QL_QUEUE_NAMES_MAX)
		return -1;
	name = calloc(1, sizeof(*name) + len + 1);
	if (!name)
		return -1;
	memcpy(name->text, text, len);
	HASH_ADD_KEYPTR(hh, queues->names, name->text, len, name);
	return 0;
}

static void
bindings_done(struct ql_queues *queues)
{
	for (size_t i = 0; i < queues->binding_count; i++)
		free(queues->bindings[i]);
	free(queues->bindings);
	queues->bindings = NULL;
	queues->binding_count = 0;
}

void
ql_queues_names_done(struct ql_queues *queues)
{
	struct ql_queue_name *name, *next;
	HASH_ITER (hh, queues->names, name, next) {
		HASH_DEL(queues->names, name);
		free(name);
	}
	bindings_done(queues);
}

void
ql_queues_lists_done(struct ql_queues *queues)
{
	for (size_t i = 0; i < queues->list_count; i++)
		free(queues->lists[i].key);
	free(queues->lists);
	queues->lists = NULL;
	queues->list_count = 0;
}

void
ql_queues_reading_done(struct ql_queues *queues)
{
	ql_buf_done(&queues->reading.edge);
	ql_buf_done(&queues->reading.kept);
}

/* ---- how long they are ---- */

/* A queue's steps stand one after the other, and are taken from in that order. */
static void
measured(struct ql_queues *queues)
{
	for (size_t i = 1; i < queues->list_count; i++) {
		struct ql_queue_list *list = &queues->lists[i], *lower = list - 1;
		if (list->queue == lower->queue)
			list->before = lower->before + lower->len;
	}
	ql_queues_tell_lists(queues);
	ql_queues_read(queues);
}

bool
ql_queue_is_other_kind(const struct ql_redis_command *command, int status)
{
	return status && strstr(command->err.text, "WRONGTYPE");
}

static void
measured_one(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct ql_queue_list *list = QL_OWNER(command, struct ql_queue_list, command);
	struct ql_queues *queues = list->queues;
	bool other = ql_queue_is_other_kind(command, status);
	if (!other && !status && reply->type == REDIS_REPLY_INTEGER)
		list->len = reply->integer;
	if (ql_queues_landed(queues, other ? 0 : status, &command->err) && !queues->flying)
		measured(queues);
}

int
ql_queue_steps_parse(const char *text, struct ql_queue_steps *ret_steps, struct ql_err *e)
{
	struct ql_queue_steps steps = {0};
	const char *at = text ? text : "0,3,6,9";
	for (bool more = true; more; steps.count++) {
		char *end = NULL;
		long step = *at >= '0' && *at <= '9' ? strtol(at, &end, 10) : -1;
		bool rises = steps.count ? step > steps.of[steps.count - 1] : step == 0;
		if (steps.count == QL_QUEUE_STEPS_MAX || !rises || step > 255 ||
			(*end && *end != ','))
			return ql_fail(e, QL_E_INVALID,
				"priority steps are up to %d numbers that rise from 0 on, to 255 "
				"at "
				"most, as 0,3,6,9: not \"%.40s\"",
				QL_QUEUE_STEPS_MAX, text);
		steps.of[steps.count] = (int)step;
		more = *end == ',';
		at = end + 1;
	}
	*ret_steps = steps;
	return 0;
}

char *
ql_queue_list_key(const struct ql_queues *queues, const char *name, int step)
{
	char *key;
	int len = step ? asprintf(&key, "%s%s%s%d", queues->prefix, name, queues->separator, step)
		       : asprintf(&key, "%s%s", queues->prefix, name);
	return len < 0 ? NULL : key;
}

static int
add_lists(struct ql_queues *queues, const struct ql_queue_name *name)
{
	for (size_t i = 0; i < queues->steps.count; i++) {
		struct ql_queue_list *list = &queues->lists[queues->list_count];
		*list = (struct ql_queue_list){
			.key = ql_queue_list_key(queues, name->text, queues->steps.of[i]),
			.queue = name->text,
			.queues = queues,
		};
		if (!list->key)
			return -1;
		queues->list_count++;
	}
	return 0;
}

/* Of the names that came since: they stand behind those that were there. */
static int
make_lists(struct ql_queues *queues)
{
	size_t count = HASH_COUNT(queues->names) * queues->steps.count;
	size_t known = queues->list_count / queues->steps.count;
	const struct ql_queue_name *name = queues->names;
	if (queues->list_count == count)
		return 0;
	struct ql_queue_list *lists = realloc(queues->lists, count * sizeof(*lists));
	if (!lists)
		return -1;
	queues->lists = lists;
	queues->list_count = known * queues->steps.count; /* a name has all of its steps or none */
	for (; known; known--)
		name = name->hh.next;
	for (; name; name = name->hh.next) {
		if (add_lists(queues, name))
			return -1;
	}
	return 0;
}

static void
measure(struct ql_queues *queues)
{
	if (make_lists(queues)) {
		ql_queues_out_of_memory(queues);
		return;
	}
	for (size_t i = 0; i < queues->list_count; i++) {
		const char *const argv[] = {"LLEN", queues->lists[i].key};
		queues->lists[i].len = queues->lists[i].before = 0;
		queues->lists[i].command.done = measured_one;
		queues->flying++;
		ql_redis_send(queues->redis, &queues->lists[i].command, 2, argv, NULL);
	}
	if (!queues->list_count)
		measured(queues);
}

/* ---- what they are called ---- */

/* Control messages, their answers and events are no tasks. */
static bool
is_of_tasks(const char *binding)
{
	size_t len = strlen(binding);
	return !(len >= 7 && !strcmp(binding + len - 7, ".pidbox")) && !strstr(binding, "celeryev");
}

static void
too_many(struct ql_queues *queues)
{
	struct ql_err err;
	ql_fail(&err, QL_E_LIMIT,
		"There are more than %d queues bound, or no memory for their names: name those "
		"that Quell shall look through, in a Redis database of their own",
		QL_QUEUE_NAMES_MAX);
	ql_queues_fail(queues, &err);
}

static void
take_bindings(struct ql_queues *queues, const redisReply *items)
{
	size_t count = queues->binding_count + items->elements;
	char **bindings = count > QL_QUEUE_NAMES_MAX
				  ? NULL
				  : realloc(queues->bindings, (count + 1) * sizeof(*bindings));
	if (!bindings) {
		too_many(queues);
		return;
	}
	queues->bindings = bindings;
	for (size_t i = 0; i < items->elements; i++) {
		const char *key = items->element[i]->str;
		if (key && is_of_tasks(key) && (bindings[queues->binding_count] = strdup(key)))
			queues->binding_count++;
	}
}

/*
 * A member is ROUTING_KEY sep PATTERN sep QUEUE. Mostly the pattern is empty: then the separator may stand in the
 * queue's name too, where it is a colon.
 */
static const char *
queue_of(const struct ql_queues *queues, const char *member)
{
	size_t len = strlen(queues->separator);
	const char *last = member;
	for (const char *at = member; (at = strstr(at, queues->separator)); at += len) {
		if (!strncmp(at + len, queues->separator, len))
			return at + 2 * len;
	}
	for (const char *at = member; (at = strstr(at, queues->separator));) {
		at += len;
		last = at;
	}
	return last;
}

static void
take_members(struct ql_queues *queues, const redisReply *items)
{
	for (size_t i = 0; i < items->elements; i++) {
		const char *member = items->element[i]->str;
		const char *name = member ? queue_of(queues, member) : "";
		if (ql_queues_name(queues, name, strlen(name))) {
			too_many(queues);
			return;
		}
	}
}

static void read_binding(struct ql_queues *queues);

static void
binding_read(struct ql_queues *queues)
{
	free(queues->bindings[--queues->binding_count]);
	read_binding(queues);
}

static void
read_binding(struct ql_queues *queues)
{
	if (!queues->binding_count) {
		queues->names_at = ql_alarm_ms();
		measure(queues);
		return;
	}
	ql_queue_walk_start(queues, (struct ql_queue_walk){
					    .verb = "SSCAN",
					    .key = queues->bindings[queues->binding_count - 1],
					    .page = take_members,
					    .over = binding_read,
				    });
}

void
ql_queues_discover(struct ql_queues *queues)
{
	int64_t age = ql_alarm_ms() - queues->names_at;
	queues->names_old = false;
	if (queues->names_at && age < QL_QUEUE_NAMES_MS) {
		queues->names_old = age >= QL_QUEUE_NAMES_YOUNG_MS;
		measure(queues);
		return;
	}
	bindings_done(queues);
	ql_queue_walk_start(queues, (struct ql_queue_walk){
					    .verb = "SCAN",
					    .match = queues->binding_match,
					    .page = take_bindings,
					    .over = read_binding,
				    });
}
