/* Sending, and what is kept of tasks beside the queues: that one was sent, the bytes of one that was removed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "broker/celery/queue/inside.h"

char *
ql_queue_key(const struct ql_queues *queues, const char *what, const char *task_id)
{
	size_t lens[] = {strlen(queues->prefix), strlen(what), strlen(task_id) + 1};
	char *key = malloc(lens[0] + lens[1] + lens[2]);
	if (!key)
		return NULL;
	memcpy(key, queues->prefix, lens[0]);
	memcpy(key + lens[0], what, lens[1]);
	memcpy(key + lens[0] + lens[1], task_id, lens[2]);
	return key;
}

static void
refuse(struct ql_queues *queues, struct ql_redis_command *command)
{
	ql_fail(&command->err, QL_E_UNAVAILABLE, "Out of memory to ask Redis");
	ql_redis_refuse(queues->redis, command);
}

/* ---- put ---- */

/*
 * KEYS: the list, quell:sent:TASK, quell:removed:TASK, the binding. ARGV: message, member, seconds, back.
 * What comes late, over a connection that was lost, must not undo a removal.
 */
static const char put_script[] = /* Lua */
	"if ARGV[4] == '0' and redis.call('GETRANGE', KEYS[3], 0, 0) ~= '' then return 0 end\n"
	"local removed = redis.call('GET', KEYS[2]) == '" QL_QUEUE_SENT_REMOVED "'\n"
	"if removed and ARGV[4] ~= '0' then redis.call('DEL', KEYS[2]) end\n"
	"if not redis.call('SET', KEYS[2], '1', 'NX', 'EX', ARGV[3]) then return 0 end\n"
	"redis.call('LPUSH', KEYS[1], ARGV[1])\n"
	"redis.call('DEL', KEYS[3])\n"
	"redis.call('SADD', KEYS[4], ARGV[2])\n"
	"return 1\n";

static void
put_done(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct ql_queue_put *put = QL_OWNER(command, struct ql_queue_put, command);
	put->err = command->err;
	put->again = reply && !reply->integer;
	put->done(put, status);
}

/* The largest step that is not over it. */
static int
step_of(const struct ql_queues *queues, int wanted)
{
	int step = 0;
	for (size_t i = 0; i < queues->steps.count; i++) {
		if (queues->steps.of[i] <= wanted && queues->steps.of[i] > step)
			step = queues->steps.of[i];
	}
	return step;
}

/* ROUTING_KEY sep PATTERN sep QUEUE: as producers bind a queue to the exchange of its name. */
static char *
member_of(const struct ql_queues *queues, const char *queue)
{
	char *member;
	int len = asprintf(&member, "%s%s%s%s", queue, queues->separator, queues->separator, queue);
	return len < 0 ? NULL : member;
}

void
ql_queue_put(struct ql_queues *queues, struct ql_queue_put *put)
{
	char seconds[16];
	char *texts[] = {
		ql_queue_list_key(queues, put->queue, step_of(queues, put->step)),
		ql_queue_key(queues, "quell:sent:", put->task_id),
		ql_queue_key(queues, "quell:removed:", put->task_id),
		ql_queue_key(queues, "_kombu.binding.", put->queue),
		member_of(queues, put->queue),
	};
	bool all = texts[0] && texts[1] && texts[2] && texts[3] && texts[4];
	snprintf(seconds, sizeof(seconds), "%d", QL_QUEUE_SENT_S);
	put->command.done = put_done;
	put->command.timeout_ms = put->timeout_ms;
	(void)ql_queues_name(queues, put->queue, strlen(put->queue)); /* else it is found bound */
	if (all) {
		const char *const argv[] = {texts[0], texts[1], texts[2], texts[3], put->bytes,
			texts[4], seconds, put->back ? "1" : "0"};
		const size_t lens[] = {strlen(texts[0]), strlen(texts[1]), strlen(texts[2]),
			strlen(texts[3]), put->len, strlen(texts[4]), strlen(seconds), 1};
		ql_redis_eval(queues->redis, &put->command, put_script, 4, 8, argv, lens);
	} else {
		refuse(queues, &put->command);
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		free(texts[i]);
}

/* ---- forget ---- */

static void
forget_done(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct ql_queue_forget *forget = QL_OWNER(command, struct ql_queue_forget, command);
	(void)reply;
	forget->err = command->err;
	forget->done(forget, status);
}

void
ql_queue_forget(struct ql_queues *queues, struct ql_queue_forget *forget)
{
	char *sent = ql_queue_key(queues, "quell:sent:", forget->task_id);
	char *removed = ql_queue_key(queues, "quell:removed:", forget->task_id);
	const char *const argv[] = {"DEL", sent, removed};
	forget->command.done = forget_done;
	forget->command.timeout_ms = forget->timeout_ms;
	if (sent && removed)
		ql_redis_send(queues->redis, &forget->command, 3, argv, NULL);
	else
		refuse(queues, &forget->command);
	free(sent);
	free(removed);
}

/* ---- what was removed before ---- */

static void ask_page(struct ql_queues *queues);

static void
kept(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct ql_queues *queues = QL_OWNER(command, struct ql_queues, kept);
	if (!ql_queues_landed(queues, status, &command->err))
		return;
	for (size_t i = 0; i < queues->kept_count && i * 2 + 1 < reply->elements; i++) {
		struct ql_queue_want *want = queues->kept_page[i];
		const redisReply *bytes = reply->element[i * 2], *sent = reply->element[i * 2 + 1];
		if (sent->str && !strcmp(sent->str, QL_QUEUE_SENT_REMOVED))
			want->removed = true;
		if (bytes->type != REDIS_REPLY_STRING)
			continue;
		want->removed = true;
		want->put_off |= ql_queues_note(queues, want, bytes->str, bytes->len) != 0;
	}
	ask_page(queues);
}

/* Those that this look did not remove. */
static size_t
gather(struct ql_queues *queues, char *keys[static 2 * QL_QUEUE_PAGE])
{
	size_t count = 0;
	struct ql_queue_want *want = queues->kept_next;
	for (; want && count < QL_QUEUE_PAGE; want = want->hh.next) {
		if (!want->remove || (want->removed && want->bytes))
			continue;
		char **two = keys + count * 2;
		queues->kept_page[count++] = want;
		two[0] = ql_queue_key(queues, "quell:removed:", want->id);
		two[1] = ql_queue_key(queues, "quell:sent:", want->id);
		if (!two[0] || !two[1])
			ql_queues_out_of_memory(queues);
	}
	queues->kept_next = want;
	return count;
}

static void
ask_page(struct ql_queues *queues)
{
	const char *argv[1 + 2 * QL_QUEUE_PAGE] = {"MGET"};
	char *keys[2 * QL_QUEUE_PAGE];
	queues->kept_count = gather(queues, keys);
	size_t count = queues->kept_count * 2;
	for (size_t i = 0; i < count; i++)
		argv[i + 1] = keys[i];
	if (!queues->failed && queues->kept_count) {
		queues->kept.done = kept;
		queues->flying++;
		ql_redis_send(queues->redis, &queues->kept, 1 + (int)count, argv, NULL);
	} else if (!queues->failed) {
		ql_queues_finish(queues);
	}
	for (size_t i = 0; i < count; i++)
		free(keys[i]);
}

void
ql_queues_ask_kept(struct ql_queues *queues)
{
	queues->kept_next = queues->wants;
	ask_page(queues);
}
