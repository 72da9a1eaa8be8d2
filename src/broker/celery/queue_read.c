/*
 * Through the lists, chunk by chunk. Indexes count from the end where workers take: -1 is the
 * next message. While chunk n is looked at, chunk n+1 is on its way, and asked for before anything
 * of chunk n is changed, so that the last message of chunk n stands in it and shows where to go on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/celery/queue_inside.h"

#define OVERLAP_MAX 4096

static struct ql_queue_list *
list_of(struct ql_queues *queues)
{
	return &queues->lists[queues->reading.list];
}

/* ---- reading ---- */

static void read_chunk(struct ql_queues *queues);

static int
keep(struct ql_buf *buf, const char *bytes, size_t len)
{
	ql_buf_consume(buf, buf->len);
	return ql_buf_add(buf, bytes, len);
}

int
ql_queues_keep(struct ql_queues *queues, const char *bytes, size_t len)
{
	return keep(&queues->reading.kept, bytes, len);
}

static bool
is(const struct ql_buf *buf, const redisReply *message)
{
	return message->str && buf->len == message->len &&
	       !memcmp(buf->data, message->str, message->len);
}

static bool
is_awaited(const struct ql_queues *queues)
{
	const struct ql_queue_want *want = queues->wants;
	while (want && !want->ops)
		want = want->hh.next;
	return want || queues->surveys;
}

/* Nothing that was read before is found again: others take faster, or took the edge itself. */
static void
lost_the_way(struct ql_queues *queues)
{
	struct ql_queue_reading *reading = &queues->reading;
	struct ql_err err;
	if (reading->overlap < OVERLAP_MAX && reading->seen > reading->overlap) {
		reading->overlap *= 8;
		read_chunk(queues);
		return;
	}
	if (++reading->restarts > QL_QUEUE_RESTARTS_MAX || !is_awaited(queues)) {
		ql_fail(&err, QL_E_UNAVAILABLE,
			"The list of queue %s moved %d times in a row faster than it could be "
			"read: ask again",
			list_of(queues)->queue, reading->restarts);
		ql_queues_fail(queues, &err);
		return;
	}
	reading->seen = 0;
	reading->overlap = QL_QUEUE_OVERLAP;
	ql_buf_consume(&reading->edge, reading->edge.len);
	read_chunk(queues);
}

/* How many of the chunk are new: those before the edge. -1: the edge is not in it. */
static int64_t
news_of(const struct ql_queue_reading *reading, const redisReply *chunk)
{
	if (!reading->edge.len)
		return (int64_t)chunk->elements;
	for (size_t i = chunk->elements; i > 0; i--) {
		if (is(&reading->edge, chunk->element[i - 1]))
			return (int64_t)i - 1;
	}
	return -1;
}

/* The next chunk is as large as the bound of bytes lets it be, and at most twice this one. */
static void
adapt(struct ql_queue_reading *reading, const redisReply *chunk)
{
	size_t bytes = 1;
	for (size_t i = 0; i < chunk->elements; i++)
		bytes += chunk->element[i]->len;
	int64_t fit = (int64_t)(QL_QUEUE_CHUNK_BYTES * chunk->elements / bytes) + 1;
	int64_t next = reading->ask * 2;
	if (next > fit)
		next = fit;
	reading->ask = next < QL_QUEUE_CHUNK ? next : QL_QUEUE_CHUNK;
}

/* ---- looking ---- */

static int
see(struct ql_queues *queues, struct ql_queue_take **take, struct ql_queue_want *want,
	const struct ql_message *message, const redisReply *bytes, int64_t index)
{
	const struct ql_queue_list *list = list_of(queues);
	if (!want->listed) {
		want->listed = true;
		want->queue = list->queue;
		want->position = list->before - index - 1;
	}
	if (!want->remove)
		ql_queues_want_over(queues, want);
	if (message->expired) { /* by an earlier request: it never runs */
		want->removed = want->marked = true;
		return 0;
	}
	if (ql_queues_note(queues, want, bytes->str, bytes->len)) {
		want->put_off = true;
		return 0;
	}
	if (!want->remove)
		return 0;
	return ql_queue_take_add(queues, take, want, bytes, index, message->canvas);
}

static int
look_at(struct ql_queues *queues, struct ql_queue_take **take, const redisReply *bytes,
	int64_t index)
{
	struct ql_message message;
	if (bytes->type != REDIS_REPLY_STRING)
		return 0;
	if (ql_queues_is_mark(bytes->str, bytes->len)) {
		queues->reading.standing++;
		return 0;
	}
	ql_queues_tell_message(queues, list_of(queues)->queue, bytes->str, bytes->len);
	struct ql_queue_want *want = ql_queues_match(queues, bytes->str, bytes->len, &message);
	int status = want && want->remove ? 0 : ql_queues_keep(queues, bytes->str, bytes->len);
	if (!want)
		return status;
	status |= see(queues, take, want, &message, bytes, index);
	ql_message_done(&message);
	return status;
}

static void
look(struct ql_queues *queues, const redisReply *chunk, int64_t news)
{
	struct ql_queue_take *take = NULL;
	int64_t first = queues->reading.from;
	for (int64_t i = news; i > 0 && !queues->failed; i--) {
		if (look_at(queues, &take, chunk->element[i - 1], first + i - 1))
			ql_queues_out_of_memory(queues);
	}
	ql_queue_take_go(queues, &take);
}

static void
chunk_read(struct ql_redis_command *command, int status, const redisReply *chunk)
{
	struct ql_queues *queues =
		(void *)((char *)command - offsetof(struct ql_queues, reading.command));
	struct ql_queue_reading *reading = &queues->reading;
	reading->under_way = false;
	if (!ql_queues_landed(queues, status, &command->err))
		return;
	int64_t count = (int64_t)chunk->elements, to = reading->to;
	int64_t news = chunk->type == REDIS_REPLY_ARRAY ? news_of(reading, chunk) : -1;
	if (news < 0 || (!count && to < -1)) {
		lost_the_way(queues);
		return;
	}
	reading->from = to - count + 1;
	reading->at_head = count < reading->wanted;
	if (reading->edge.len) { /* and the way was found */
		reading->restarts = 0;
		if (!reading->at_head)
			reading->moved = news > reading->asked ? news - reading->asked : 0;
	}
	reading->seen = count - 1 - to;
	reading->overlap = QL_QUEUE_OVERLAP + reading->taken;
	reading->taken = 0;
	if (count)
		adapt(reading, chunk);
	if (news && keep(&reading->edge, chunk->element[0]->str, chunk->element[0]->len)) {
		ql_queues_out_of_memory(queues);
		return;
	}
	if (!reading->at_head && reading->marks < reading->enough && ql_queues_want_more(queues))
		read_chunk(queues);
	look(queues, chunk, news);
	ql_queues_read_on(queues);
}

/* seen 0: from the very end. */
static void
read_chunk(struct ql_queues *queues)
{
	struct ql_queue_reading *reading = &queues->reading;
	char from[24], to[24];
	const char *const argv[] = {"LRANGE", list_of(queues)->key, from, to};
	int64_t again = reading->edge.len ? reading->overlap : 0;
	if (again > reading->seen)
		again = reading->seen;
	if (again > reading->ask * 8) /* which is small where messages are large */
		again = reading->ask * 8;
	reading->to = again - reading->seen - 1;
	reading->wanted = reading->ask + again;
	snprintf(from, sizeof(from), "%lld", (long long)-(reading->seen + reading->ask));
	snprintf(to, sizeof(to), "%lld", (long long)reading->to);
	reading->asked = reading->ask;
	reading->under_way = true;
	reading->command.done = chunk_read;
	queues->flying++;
	ql_redis_send(queues->redis, &reading->command, 4, argv, NULL);
}

/* ---- sweeping ---- */

static void sweep(struct ql_queues *queues);

/* All that stood behind the last message that stays is gone: the way goes on behind that one. */
static int
go_on_behind_kept(struct ql_queue_reading *reading)
{
	int64_t seen = reading->seen - reading->swept;
	bool any = reading->kept.len > 0;
	reading->seen = any && seen < 1 ? 1 : any ? seen : 0;
	reading->marks = 0;
	reading->enough = reading->seen > QL_QUEUE_MARKS ? reading->seen : QL_QUEUE_MARKS;
	reading->swept = 0;
	reading->standing = 0;
	reading->sweeping = false;
	ql_buf_consume(&reading->edge, reading->edge.len);
	return any ? ql_buf_add(&reading->edge, reading->kept.data, reading->kept.len) : 0;
}

static void
swept(struct ql_redis_command *command, int status, const redisReply *reply)
{
	struct ql_queues *queues =
		(void *)((char *)command - offsetof(struct ql_queues, reading.command));
	if (!ql_queues_landed(queues, status, &command->err))
		return;
	struct ql_queue_reading *reading = &queues->reading;
	reading->swept += reply->integer;
	reading->standing -= reply->integer;
	if (reply->integer == reading->wanted && reading->standing > 0) {
		sweep(queues);
		return;
	}
	if (go_on_behind_kept(reading))
		ql_queues_out_of_memory(queues);
	ql_queues_read_on(queues);
}

/*
 * From the end that the marks are nearer to, and no more than there are: LREM goes on to the other
 * end for one that it does not find.
 */
static void
sweep(struct ql_queues *queues)
{
	struct ql_queue_reading *reading = &queues->reading;
	char count[24];
	const char *const argv[] = {"LREM", list_of(queues)->key, count, ql_queue_mark};
	int64_t most = reading->standing < QL_QUEUE_SWEEP ? reading->standing : QL_QUEUE_SWEEP;
	bool forward = reading->seen > list_of(queues)->len / 2;
	snprintf(count, sizeof(count), "%lld", (long long)(forward ? most : -most));
	reading->wanted = most;
	reading->sweeping = true;
	reading->command.done = swept;
	queues->flying++;
	ql_redis_send(queues->redis, &reading->command, 4, argv, NULL);
}

/* ---- from list to list ---- */

static void
next_list(struct ql_queues *queues)
{
	struct ql_queue_reading *reading = &queues->reading;
	bool done = !ql_queues_want_more(queues);
	while (reading->list < queues->list_count && !queues->lists[reading->list].len)
		reading->list++;
	if (done || reading->list == queues->list_count) {
		ql_queues_look_unacked(queues);
		return;
	}
	ql_buf_consume(&reading->edge, reading->edge.len);
	ql_buf_consume(&reading->kept, reading->kept.len);
	*reading = (struct ql_queue_reading){
		.list = reading->list,
		.edge = reading->edge,
		.kept = reading->kept,
		.enough = QL_QUEUE_MARKS,
		.ask = QL_QUEUE_FIRST,
		.overlap = QL_QUEUE_OVERLAP,
	};
	read_chunk(queues);
}

void
ql_queues_read_on(struct ql_queues *queues)
{
	struct ql_queue_reading *reading = &queues->reading;
	if (queues->failed || reading->under_way || reading->sweeping || queues->flying)
		return;
	bool through = reading->at_head || !ql_queues_want_more(queues);
	bool full = through || reading->marks >= reading->enough;
	if (full && reading->standing > 0) {
		sweep(queues);
	} else if (through) {
		reading->list++;
		next_list(queues);
	} else {
		reading->marks = 0; /* where all of them failed, too */
		read_chunk(queues);
	}
}

void
ql_queues_read(struct ql_queues *queues)
{
	queues->reading.list = 0;
	next_list(queues);
}
