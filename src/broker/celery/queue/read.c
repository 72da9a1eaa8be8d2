/*
 * Through the lists, chunk by chunk. Indexes count from the end where workers take: -1 is the
 * next message. While chunk n is looked at, chunk n+1 is on its way, and asked for before anything
 * of chunk n is changed, so that the last message of chunk n stands in it and shows where to go on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/owner.h"
#include "broker/celery/queue/inside.h"

#define OVERLAP_MAX 4096
#define BACK_FADES 64 /* looks, until what stood in disorder is mostly forgotten */

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
is_mark(const redisReply *message)
{
	return message->str && ql_queues_is_mark(message->str, message->len);
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
	if (queues->nearby) {
		reading->at_head = true;
		ql_queues_read_on(queues);
		return;
	}
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
	reading->met = reading->made = 0;
	reading->overlap = QL_QUEUE_OVERLAP;
	ql_buf_consume(&reading->edge, reading->edge.len);
	reading->behind = 0;
	read_chunk(queues);
}

/* How many of the chunk are new: those before the edge, and before the marks there. -1: the edge is not in it. */
static int64_t
news_of(const struct ql_queue_reading *reading, const redisReply *chunk)
{
	if (!reading->edge.len)
		return (int64_t)chunk->elements;
	size_t news = chunk->elements;
	while (news > 0 && !is(&reading->edge, chunk->element[news - 1]))
		news--;
	if (!news)
		return -1;
	news--;
	for (int64_t n = reading->behind; n > 0 && news > 0 && is_mark(chunk->element[news - 1]);
		n--)
		news--;
	return (int64_t)news;
}

static int
keep_edge(struct ql_queue_reading *reading, const redisReply *chunk, int64_t news)
{
	int64_t marks = 0;
	while (marks < news && is_mark(chunk->element[marks]))
		marks++;
	if (marks == news) { /* the edge is where it was */
		reading->behind += news;
		return 0;
	}
	reading->behind = marks;
	return keep(&reading->edge, chunk->element[marks]->str, chunk->element[marks]->len);
}

/* The next chunk is as large as the bound of bytes lets it be, and at most twice this one. */
static void
adapt(struct ql_queues *queues, const redisReply *chunk)
{
	struct ql_queue_reading *reading = &queues->reading;
	size_t bytes = 1;
	for (size_t i = 0; i < chunk->elements; i++)
		bytes += chunk->element[i]->len;
	int64_t fit = (int64_t)(QL_QUEUE_CHUNK_BYTES * chunk->elements / bytes) + 1;
	int64_t next = reading->ask * 2;
	list_of(queues)->fit = fit;
	if (next > fit)
		next = fit;
	reading->ask = next < QL_QUEUE_CHUNK ? next : QL_QUEUE_CHUNK;
}

/* ---- looking ---- */

/* Where the next that is to be taken out may be; what is only looked for says nothing of that. */
static void
note_find(struct ql_queue_reading *reading, int64_t index)
{
	reading->found_at = -index;
	reading->between = reading->stay;
	if (!reading->finds++)
		reading->first_at = -index;
}

static int
see(struct ql_queues *queues, struct ql_queue_take **takes, struct ql_queue_want *want,
	const struct ql_message *message, const redisReply *bytes, int64_t index)
{
	const struct ql_queue_list *list = list_of(queues);
	if (want->remove)
		note_find(&queues->reading, index);
	if (!want->listed) {
		want->listed = true;
		want->queue = list->queue;
		want->position = list->before - index - 1;
	}
	if (!want->remove)
		ql_queues_want_over(queues, want);
	if (ql_queues_note(queues, want, bytes->str, bytes->len)) {
		want->put_off = true;
		return 0;
	}
	if (message->expired) /* by an earlier request: it never runs */
		want->removed = want->marked = true;
	if (!want->remove || message->expired)
		return 0;
	return ql_queue_take_add(queues, takes, want, bytes, index, message->canvas);
}

static int
look_at(struct ql_queues *queues, struct ql_queue_take **takes, const redisReply *bytes,
	int64_t index)
{
	struct ql_message message;
	if (bytes->type != REDIS_REPLY_STRING)
		return 0;
	if (ql_queues_is_mark(bytes->str, bytes->len)) {
		ql_queues_mark_met(queues);
		return 0;
	}
	ql_queues_tell_message(queues, list_of(queues)->queue, bytes->str, bytes->len);
	struct ql_queue_want *want = ql_queues_match(queues, bytes->str, bytes->len, &message);
	int status = want && want->remove ? 0 : ql_queues_keep(queues, bytes->str, bytes->len);
	if (!want) {
		queues->reading.stay += queues->reading.finds > 0;
		return status;
	}
	status |= see(queues, takes, want, &message, bytes, index);
	ql_message_done(&message);
	return status;
}

static void
look(struct ql_queues *queues, struct ql_queue_take **takes, const redisReply *chunk, int64_t news)
{
	int64_t first = queues->reading.from;
	for (int64_t i = news; i > 0 && !queues->failed; i--) {
		if (look_at(queues, takes, chunk->element[i - 1], first + i - 1))
			ql_queues_out_of_memory(queues);
	}
}

/* Is more looked for than what is being taken? */
static bool
is_more_wanted(const struct ql_queues *queues)
{
	return queues->open > queues->taking || (queues->surveys && ql_queues_want_more(queues));
}

/* What is asked for now may all be behind what was found last, which can be a long way. */
static bool
is_far(const struct ql_queues *queues)
{
	const struct ql_queue_reading *reading = &queues->reading;
	const struct ql_queue_list *list = &queues->lists[reading->list];
	int64_t last = reading->found_at ? reading->found_at : reading->began_at;
	if (last < list->last)
		last = list->last;
	return queues->nearby && reading->seen > last + QL_QUEUE_FAR;
}

static void
chunk_read(struct ql_redis_command *command, int status, const redisReply *chunk)
{
	struct ql_queues *queues = QL_OWNER(command, struct ql_queues, reading.command);
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
	if (count)
		adapt(queues, chunk);
	if (keep_edge(reading, chunk, news)) {
		ql_queues_out_of_memory(queues);
		return;
	}
	reading->overlap = QL_QUEUE_OVERLAP + reading->taken + reading->behind;
	reading->taken = 0;
	struct ql_queue_take *takes = NULL;
	look(queues, &takes, chunk, news);
	if (!queues->failed && !reading->at_head && reading->marks < reading->enough &&
		is_more_wanted(queues) && !is_far(queues))
		read_chunk(queues);
	ql_queue_take_go(queues, &takes);
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

/* ---- from list to list ---- */

/* With what stands before them, for that may be asked for a moment later. */
static int64_t
begin_at(const struct ql_queues *queues, const struct ql_queue_list *list)
{
	return queues->nearby ? list->near - queues->nearby : 0;
}

static bool
is_to_be_read(const struct ql_queues *queues, const struct ql_queue_list *list)
{
	if (!ql_queues_want_more(queues))
		return list->standing > 0 && ql_queues_sweep_is_due(queues, list);
	return list->len > 0 && (!queues->nearby || begin_at(queues, list) > 0);
}

/* At least as many as are looked for, where they are as large as they were. */
static int64_t
first_ask(const struct ql_queues *queues, const struct ql_queue_list *list)
{
	int64_t most = list->fit < QL_QUEUE_CHUNK ? list->fit : QL_QUEUE_CHUNK;
	int64_t stride = list->stride ? list->stride : 1;
	int64_t ask = (int64_t)queues->open * stride + queues->nearby;
	if (ask > most)
		ask = most;
	return ask > QL_QUEUE_FIRST ? ask : QL_QUEUE_FIRST;
}

static void
begin_list(struct ql_queues *queues)
{
	struct ql_queue_reading *reading = &queues->reading;
	int64_t seen = begin_at(queues, list_of(queues));
	ql_buf_consume(&reading->edge, reading->edge.len);
	ql_buf_consume(&reading->kept, reading->kept.len);
	*reading = (struct ql_queue_reading){
		.list = reading->list,
		.edge = reading->edge,
		.kept = reading->kept,
		.seen = seen,
		.began_at = seen,
		.enough = seen > QL_QUEUE_MARKS ? seen : QL_QUEUE_MARKS,
		.ask = first_ask(queues, list_of(queues)),
		.overlap = QL_QUEUE_OVERLAP,
	};
	if (ql_queues_want_more(queues))
		read_chunk(queues);
	else
		ql_queues_read_on(queues);
}

static void
next_list(struct ql_queues *queues)
{
	struct ql_queue_reading *reading = &queues->reading;
	while (reading->list < queues->list_count && !is_to_be_read(queues, list_of(queues)))
		reading->list++;
	if (reading->list < queues->list_count) {
		begin_list(queues);
	} else if (queues->nearby) { /* a wider circle, and then everywhere */
		queues->nearby = queues->nearby == QL_QUEUE_NEAR ? QL_QUEUE_NEARBY : 0;
		reading->list = 0;
		next_list(queues);
	} else {
		ql_queues_look_unacked(queues);
	}
}

void
ql_queues_found(struct ql_queue_list *list, int64_t first, int64_t last)
{
	if (!list->first_now || first < list->first_now)
		list->first_now = first;
	if (last > list->last_now)
		list->last_now = last;
}

/*
 * The next finds are looked for near these, and as far before their end as others stood of late: who asks for many
 * does not do so quite in the order in which they stand.
 */
static void
settle(struct ql_queue_list *list)
{
	if (!list->last_now)
		return;
	int64_t back = list->last - list->first_now, span = list->last_now - list->first_now;
	list->back -= list->back / BACK_FADES;
	if (back > list->back && back <= QL_QUEUE_DISORDER_MAX)
		list->back = back;
	int64_t again = span < QL_QUEUE_DISORDER ? span : QL_QUEUE_DISORDER;
	if (again < list->back)
		again = list->back;
	list->last = list->last_now;
	list->near = list->last > again ? list->last - again : 1;
	list->first_now = list->last_now = 0;
}

static void
leave_list(struct ql_queues *queues)
{
	struct ql_queue_reading *reading = &queues->reading;
	struct ql_queue_list *list = list_of(queues);
	int64_t stride = reading->finds ? reading->between / reading->finds + 1 : list->stride;
	list->stride = stride < QL_QUEUE_STRIDE ? stride : QL_QUEUE_STRIDE;
	if (reading->finds)
		ql_queues_found(list, reading->first_at, reading->found_at);
	reading->list++;
	next_list(queues);
}

void
ql_queues_read_on(struct ql_queues *queues)
{
	struct ql_queue_reading *reading = &queues->reading;
	if (queues->failed || reading->under_way || reading->sweeping || queues->flying)
		return;
	const struct ql_queue_list *list = list_of(queues);
	bool through = reading->at_head || is_far(queues) || !ql_queues_want_more(queues);
	bool full = reading->marks >= reading->enough;
	if (list->standing > 0 && (full || (through && ql_queues_sweep_is_due(queues, list)))) {
		ql_queues_sweep(queues);
	} else if (through) {
		leave_list(queues);
	} else {
		reading->marks = 0; /* where all of them failed, too */
		reading->overlap += reading->taken;
		read_chunk(queues);
	}
}

/* Where all that is looked for has one copy each, which may be near those that were found last. */
static bool
is_nearby(const struct ql_queues *queues)
{
	for (const struct ql_queue_want *want = queues->wants; want; want = want->hh.next) {
		if (!want->once || !want->remove)
			return false;
	}
	return queues->wants && !queues->surveys;
}

void
ql_queues_read(struct ql_queues *queues)
{
	for (size_t i = 0; i < queues->list_count; i++)
		settle(&queues->lists[i]);
	queues->reading.list = 0;
	queues->nearby = is_nearby(queues) ? QL_QUEUE_NEAR : 0;
	next_list(queues);
}
