/* Removing: one script for some messages of one list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/owner.h"
#include "broker/celery/queue/inside.h"

#define KEYS_MAX (1 + 3 * QL_QUEUE_BATCH)
#define ARGS_MAX (KEYS_MAX + 6 + 4 * QL_QUEUE_BATCH)
#define BLOCK 4096 /* bytes: a list of Redis is a chain of 8 KiB, half of them empty after sweeps */
#define BLOCK_NS 2
#define COPY_NS 500 /* a message into Lua and out of it */
#define CALL_NS 1000
#define ROOM 4 /* times what others took while the last chunk was on its way, a chunk at most */

/*
 * A task that each application of Celery has, expired long ago: a worker that takes it before it is
 * swept drops it. It is the same each time, so that one command can take out many.
 */
const char ql_queue_mark[] =
	"{\"body\": "
	"\"W1tdLHt9LHsiY2FsbGJhY2tzIjpudWxsLCJlcnJiYWNrcyI6bnVsbCwiY2hhaW4iOm51bGwsImNob3JkIjpudWxs"
	"fV0=\", "
	"\"content-encoding\": \"utf-8\", \"content-type\": \"application/json\", "
	"\"headers\": {\"lang\": \"py\", \"task\": \"celery.accumulate\", \"id\": \"quell:mark\", "
	"\"shadow\": null, \"eta\": null, \"expires\": \"" QL_MESSAGE_MARK "\", \"group\": null, "
	"\"group_index\": null, \"retries\": 0, \"timelimit\": [null, null], "
	"\"root_id\": \"quell:mark\", \"parent_id\": null, \"argsrepr\": \"()\", "
	"\"kwargsrepr\": \"{}\", \"origin\": \"quell\", \"ignore_result\": true}, "
	"\"properties\": {\"correlation_id\": \"quell:mark\", \"reply_to\": \"quell:mark\", "
	"\"delivery_mode\": 2, \"delivery_info\": {\"exchange\": \"\", \"routing_key\": "
	"\"celery\"}, \"priority\": 0, \"body_encoding\": \"base64\", \"delivery_tag\": "
	"\"quell:mark\"}}";

bool
ql_queues_is_mark(const char *bytes, size_t len)
{
	return len == sizeof(ql_queue_mark) - 1 && !memcmp(bytes, ql_queue_mark, len);
}

/*
 * KEYS: the list; then of each message quell:removed:TASK and quell:sent:TASK, or that twice where it says so itself, and
 * its result, or again quell:sent:TASK where none is written. ARGV: from, to (where the messages stood, with some room
 * for what others took since), the mark or "" (out of the list at once), the sign for LREM, seconds, those of a result;
 * then of each the bytes that were read, "" or what stands for them from now on, the index where it is looked at first,
 * or "", and the result or "". Of each 0: it is not there any more, or too far from where it was; 1; or 2: and that is
 * its result now. What is replaced goes first: each LREM moves the messages behind it to other indexes.
 */
static const char take_script[] = /* Lua */
	"local key, from, to, mark = KEYS[1], ARGV[1], ARGV[2], ARGV[3]\n"
	"local place\n"
	"local function find(bytes, index)\n"
	"  if not place and index ~= '' and redis.call('LRANGE', key, index, index)[1] == bytes "
	"then\n"
	"    return index\n"
	"  end\n"
	"  if not place then\n"
	"    local range = redis.call('LRANGE', key, from, to)\n"
	"    local first = tonumber(to) - #range\n"
	"    place = {}\n"
	"    for i = 1, #range do place[range[i]] = first + i end\n"
	"  end\n"
	"  return place[bytes]\n"
	"end\n"
	"local function set(bytes, new, index)\n"
	"  local i = find(bytes, index)\n"
	"  if not i then return 0 end\n"
	"  redis.call('LSET', key, i, new)\n"
	"  if place then place[bytes] = nil end\n"
	"  return 1\n"
	"end\n"
	"local out, sent = {}, {}\n"
	"local function note(n, done)\n"
	"  local k, a = 3 * n, 4 * n\n"
	"  if done > 0 then\n"
	"    if KEYS[k - 1] == KEYS[k] then\n"
	"      redis.call('SET', KEYS[k], '" QL_QUEUE_SENT_REMOVED "', 'EX', ARGV[5])\n"
	"    else\n"
	"      redis.call('SET', KEYS[k - 1], ARGV[a + 3], 'EX', ARGV[5])\n"
	"      sent[#sent + 1] = KEYS[k]\n"
	"    end\n"
	"    local result = ARGV[a + 6]\n"
	"    if result ~= '' and redis.call('SET', KEYS[k + 1], result, 'NX', 'EX', ARGV[6]) then\n"
	"      redis.call('PUBLISH', KEYS[k + 1], result)\n"
	"      done = 2\n"
	"    end\n"
	"  end\n"
	"  out[n] = done\n"
	"end\n"
	"local count = (#KEYS - 1) / 3\n"
	"for n = 1, count do\n"
	"  local a = 4 * n\n"
	"  local new = ARGV[a + 4]\n"
	"  if new == '' then new = mark end\n"
	"  if new ~= '' then note(n, set(ARGV[a + 3], new, ARGV[a + 5])) end\n"
	"end\n"
	"for n = 1, count do\n"
	"  if not out[n] then note(n, redis.call('LREM', key, ARGV[4], ARGV[4 * n + 3])) end\n"
	"end\n"
	"if #sent > 0 then redis.call('DEL', unpack(sent)) end\n"
	"return out\n";

struct one {
	struct ql_queue_want *want;
	char *removed, *sent; /* keys; owned; removed may be NULL: that it is says `sent` */
	const char *bytes; /* borrowed */
	size_t len;
	char *new; /* owned, or NULL */
	size_t new_len;
	char *result_key, *result; /* owned; NULL where none is written */
	int64_t index;
};

struct ql_queue_take {
	struct ql_queue_take *next; /* until it goes */
	struct ql_redis_command command;
	struct ql_queues *queues;
	size_t count;
	size_t once; /* of them: over when it is done */
	size_t bytes;
	int64_t from, to; /* indexes where they were seen */
	int64_t ns; /* that Redis needs for them, */
	int64_t way_ns; /* and that it needs of it to go where they are */
	bool marks;
	struct one ones[QL_QUEUE_BATCH];
};

static void
drop_texts(struct ql_queue_take *take)
{
	for (size_t i = 0; i < take->count; i++) {
		free(take->ones[i].removed);
		free(take->ones[i].sent);
		free(take->ones[i].new);
		free(take->ones[i].result_key);
		free(take->ones[i].result);
		take->ones[i].removed = take->ones[i].sent = NULL;
		take->ones[i].new = NULL;
		take->ones[i].result_key = take->ones[i].result = NULL;
	}
}

static void
note(struct ql_queue_take *take, size_t i, long long done)
{
	struct ql_queue_want *want = take->ones[i].want;
	if (done <= 0) {
		want->missed = true;
		return;
	}
	bool stays = take->ones[i].new_len > 0; /* the text itself is gone by now */
	want->removed = true;
	want->told |= done == 2;
	want->marked |= stays;
	if (want->once)
		ql_queues_want_over(take->queues, want);
	if (take->marks && !stays)
		ql_queues_mark_made(take->queues);
}

static void
taken(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct ql_queue_take *take = QL_OWNER(command, struct ql_queue_take, command);
	struct ql_queues *queues = take->queues;
	bool fits = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == take->count;
	for (size_t i = 0; fits && i < take->count; i++)
		note(take, i, reply->element[i]->integer);
	if (!status && !fits)
		status =
			ql_fail(&command->err, QL_E_INTERNAL, "Redis answered a removal with less");
	queues->taking -= take->once;
	bool on = ql_queues_landed(queues, status, &command->err);
	free(take);
	if (on)
		ql_queues_read_on(queues);
}

static struct ql_queue_take *
take_new(struct ql_queues *queues)
{
	struct ql_queue_take *take = calloc(1, sizeof(*take));
	if (!take)
		return NULL;
	take->queues = queues;
	int64_t len = queues->lists[queues->reading.list].len;
	int64_t passed = queues->removals > 1 ? (int64_t)queues->removals * len : 0;
	take->marks = queues->removals >= QL_QUEUE_MANY || passed > QL_QUEUE_MANY_PASSED;
	return take;
}

/* One whose body can't be looked into, and of protocol 1, stays: it would be torn from its dependents. */
static int
add(struct ql_queue_take *take, struct one one, bool canvas)
{
	struct ql_queues *queues = take->queues;
	struct ql_queue_reading *reading = &queues->reading;
	if (canvas && !(one.new = ql_message_expire(one.bytes, one.len, &one.new_len)))
		return 0;
	if (canvas && ql_queues_keep(queues, one.new, one.new_len)) {
		free(one.new);
		return -1;
	}
	int status = 0;
	bool kept = !one.want->once;
	one.removed = kept ? ql_queue_key(queues, "quell:removed:", one.want->id) : NULL;
	one.sent = ql_queue_key(queues, "quell:sent:", one.want->id);
	if (one.want->once && one.want->settles && !canvas && queues->revoked)
		status = queues->revoked(
			queues->revoked_arg, one.want->id, &one.result_key, &one.result);
	take->ones[take->count++] = one;
	take->once += one.want->once;
	queues->taking += one.want->once;
	take->bytes += one.len + one.new_len;
	if (!canvas && take->marks)
		reading->marks++;
	else if (!canvas)
		reading->taken++;
	return one.sent && (one.removed || !kept) ? status : -1;
}

/* Nanoseconds that Redis needs to go to an index from the nearer end, block by block; measured. */
static int64_t
way_ns(const struct ql_queues *queues, int64_t index, size_t len)
{
	int64_t from_tail = -index;
	int64_t from_head = queues->lists[queues->reading.list].len + index;
	int64_t way = from_tail < from_head ? from_tail : from_head > 0 ? from_head : 0;
	return way * (int64_t)len / BLOCK * BLOCK_NS;
}

/* And to replace what is there: what comes into Lua, where each byte is hashed. */
static int64_t
set_ns(size_t len)
{
	return 6000 + (int64_t)len * 6;
}

static bool
is_full(const struct ql_queue_take *take)
{
	return take->count == QL_QUEUE_BATCH || take->ns > QL_QUEUE_BATCH_US * INT64_C(1000) ||
	       take->bytes > QL_QUEUE_BATCH_BYTES;
}

int
ql_queue_take_add(struct ql_queues *queues, struct ql_queue_take **takes,
	struct ql_queue_want *want, const redisReply *message, int64_t index, bool canvas)
{
	const struct one one = {
		.want = want, .bytes = message->str, .len = message->len, .index = index};
	struct ql_queue_take *take = *takes;
	if (!take || is_full(take)) {
		take = take_new(queues);
		if (!take)
			return -1;
		LL_PREPEND(*takes, take);
	}
	if (!take->count)
		take->to = index;
	take->from = index;
	take->way_ns += way_ns(queues, index, one.len);
	take->ns += way_ns(queues, index, one.len) + set_ns(one.len);
	return add(take, one, canvas);
}

/* For what workers take until the command is there: several times what they took since the last one, in bounds. */
static int64_t
room(int64_t moved)
{
	return moved < QL_QUEUE_CHUNK / ROOM ? moved * ROOM : QL_QUEUE_CHUNK;
}

/* Few messages far apart are each looked at where they stood; else all that is between them is read. */
static bool
is_sparse(const struct ql_queue_take *take, int64_t from, int64_t to)
{
	int64_t count = (int64_t)take->count;
	return count * CALL_NS + take->way_ns < (to - from + 1) * COPY_NS + take->way_ns / count;
}

/* An argument list that grows; the room for it is sure. */
struct words {
	int count;
	const char *argv[ARGS_MAX];
	size_t lens[ARGS_MAX];
};

static void
say(struct words *words, const char *text, size_t len)
{
	words->argv[words->count] = text;
	words->lens[words->count++] = len;
}

static void
says(struct words *words, const char *text)
{
	say(words, text, strlen(text));
}

static void
go(struct ql_queue_take *take, struct words *words)
{
	struct ql_queues *queues = take->queues;
	const struct ql_queue_reading *reading = &queues->reading;
	const struct ql_queue_list *list = &queues->lists[reading->list];
	char from[24], to[24], seconds[16], indexes[QL_QUEUE_BATCH][24];
	int64_t end = take->to + reading->overlap + reading->taken + room(reading->moved);
	bool sparse = is_sparse(take, take->from - QL_QUEUE_FIRST, end);
	snprintf(from, sizeof(from), "%lld", (long long)take->from - QL_QUEUE_FIRST);
	snprintf(to, sizeof(to), "%lld", (long long)(end < -1 ? end : -1));
	snprintf(seconds, sizeof(seconds), "%d", QL_QUEUE_KEPT_S);
	says(words, list->key);
	for (size_t i = 0; i < take->count; i++) {
		const struct one *one = &take->ones[i];
		says(words, one->removed ? one->removed : one->sent);
		says(words, one->sent);
		says(words, one->result ? one->result_key : one->sent);
	}
	int keys = words->count;
	says(words, from);
	says(words, to);
	says(words, take->marks ? ql_queue_mark : "");
	says(words, reading->seen > list->len / 2 ? "1" : "-1");
	says(words, seconds);
	says(words, QL_QUEUE_RESULT_S);
	for (size_t i = 0; i < take->count; i++) {
		say(words, take->ones[i].bytes, take->ones[i].len);
		say(words, take->ones[i].new ? take->ones[i].new : "", take->ones[i].new_len);
		snprintf(indexes[i], sizeof(*indexes), "%lld", (long long)take->ones[i].index);
		says(words, sparse ? indexes[i] : "");
		says(words, take->ones[i].result ? take->ones[i].result : "");
	}
	take->command.done = taken;
	queues->flying++;
	ql_redis_eval(queues->redis, &take->command, take_script, keys, words->count, words->argv,
		words->lens);
}

void
ql_queue_take_go(struct ql_queues *queues, struct ql_queue_take **takes)
{
	struct ql_queue_take *take, *next, *turned = NULL;
	LL_FOREACH_SAFE(*takes, take, next)
	LL_PREPEND(turned, take);
	*takes = NULL;
	LL_FOREACH_SAFE(turned, take, next)
	{
		bool goes = take->count && !queues->failed;
		struct words *words = goes ? calloc(1, sizeof(*words)) : NULL;
		if (goes && !words)
			ql_queues_out_of_memory(queues);
		if (words)
			go(take, words);
		drop_texts(take);
		if (!words)
			free(take);
		free(words);
	}
}
