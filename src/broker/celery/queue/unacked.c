/* What workers have taken and not acknowledged: marked in place, for it is not known who holds it. */
#include <stdlib.h>
#include <string.h>

#include "broker/celery/queue/inside.h"

/* KEYS: unacked. ARGV of each: the field, the entry that was read, the one that stands for it from now on. */
static const char mark_script[] = /* Lua */
	"for n = 1, #ARGV, 3 do\n"
	"  if redis.call('HGET', KEYS[1], ARGV[n]) == ARGV[n + 1] then\n"
	"    redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 2])\n"
	"  end\n"
	"end\n"
	"return redis.status_reply('OK')\n";

struct marking {
	struct ql_redis_command command;
	struct ql_queues *queues;
};

/* The walk goes on by itself; whoever comes last ends the look. */
static void
marked(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct marking *marking = (struct marking *)(void *)command;
	struct ql_queues *queues = marking->queues;
	(void)reply;
	if (ql_queues_landed(queues, status, &command->err) && queues->unacked_read &&
		!queues->flying)
		ql_queues_ask_kept(queues);
	free(marking);
}

static void
mark(struct ql_queues *queues, const redisReply *field, const redisReply *entry)
{
	size_t len;
	char *new = ql_message_expire_unacked(entry->str, entry->len, &len);
	struct marking *marking = new ? calloc(1, sizeof(*marking)) : NULL;
	if (!marking) { /* its body can't be looked into: it stays as it is */
		free(new);
		return;
	}
	const char *const argv[] = {queues->unacked, field->str, entry->str, new};
	const size_t lens[] = {strlen(queues->unacked), field->len, entry->len, len};
	marking->queues = queues;
	marking->command.done = marked;
	queues->flying++;
	ql_redis_eval(queues->redis, &marking->command, mark_script, 1, 4, argv, lens);
	free(new);
}

static void
look_at(struct ql_queues *queues, const redisReply *field, const redisReply *entry)
{
	size_t len;
	struct ql_message message;
	char *bytes = ql_message_of_unacked(entry->str, entry->len, &len);
	if (bytes)
		ql_queues_tell_message(queues, NULL, bytes, len);
	struct ql_queue_want *want = bytes ? ql_queues_match(queues, bytes, len, &message) : NULL;
	if (want) {
		want->unacked = true;
		want->put_off |= ql_queues_note(queues, want, bytes, len) != 0;
		if (want->remove && !message.expired)
			mark(queues, field, entry);
		ql_message_done(&message);
	}
	free(bytes);
}

static void
page(struct ql_queues *queues, const redisReply *items)
{
	for (size_t i = 0; i + 1 < items->elements; i += 2) {
		if (items->element[i]->str && items->element[i + 1]->str)
			look_at(queues, items->element[i], items->element[i + 1]);
	}
}

static void
over(struct ql_queues *queues)
{
	queues->unacked_read = true;
	if (!queues->flying)
		ql_queues_ask_kept(queues);
}

void
ql_queues_look_unacked(struct ql_queues *queues)
{
	queues->unacked_read = false;
	if (!ql_queues_want_more(queues)) {
		ql_queues_finish(queues);
		return;
	}
	ql_queue_walk_start(queues, (struct ql_queue_walk){
					    .verb = "HSCAN",
					    .key = queues->unacked,
					    .page = page,
					    .over = over,
				    });
}
