#include "broker/celery/redis/replies.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT sizeof(void *)

/* Under the sanitizer none is kept, so that it sees who holds on to a reply. */
#ifdef __SANITIZE_ADDRESS__
#define KEPT 0
#else
#define KEPT QL_REPLIES_KEPT
#endif

struct ql_replies_block {
	struct ql_replies_block *next;
	size_t size, used;
	char bytes[];
};

/* ---- blocks ---- */

static struct ql_replies_block *
block_new(size_t size)
{
	if (size < QL_REPLIES_BLOCK)
		size = QL_REPLIES_BLOCK;
	struct ql_replies_block *block = malloc(sizeof(*block) + size);
	if (block)
		*block = (struct ql_replies_block){.size = size};
	return block;
}

/* The next one, empty: a spare one, or a new one before those. */
static struct ql_replies_block *
turn(struct ql_replies *replies, size_t size)
{
	struct ql_replies_block **at = replies->current ? &replies->current->next : &replies->first;
	struct ql_replies_block *block = *at;
	if (!block || block->size < size) {
		block = block_new(size);
		if (!block)
			return NULL;
		block->next = *at;
		*at = block;
	}
	block->used = 0;
	replies->current = block;
	return block;
}

static void *
cut(struct ql_replies *replies, size_t size)
{
	struct ql_replies_block *block = replies->current;
	size_t whole = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (!block || block->size - block->used < whole)
		block = turn(replies, whole);
	if (!block)
		return NULL;
	void *piece = block->bytes + block->used;
	block->used += whole;
	return piece;
}

void
ql_replies_drop(struct ql_replies *replies)
{
	struct ql_replies_block **at = &replies->first;
	for (int kept = 0; *at;) {
		struct ql_replies_block *block = *at;
		if (kept < KEPT && block->size == QL_REPLIES_BLOCK) {
			kept++;
			at = &block->next;
			continue;
		}
		*at = block->next;
		free(block);
	}
	replies->current = NULL;
}

void
ql_replies_done(struct ql_replies *replies)
{
	while (replies->first) {
		struct ql_replies_block *block = replies->first;
		replies->first = block->next;
		free(block);
	}
	replies->current = NULL;
}

/* ---- what the reader makes ---- */

static redisReply *
make(const redisReadTask *task)
{
	redisReply *reply = cut(task->privdata, sizeof(*reply));
	if (!reply)
		return NULL;
	*reply = (redisReply){.type = task->type};
	if (task->parent) {
		redisReply *parent = task->parent->obj;
		parent->element[task->idx] = reply;
	}
	return reply;
}

static void *
make_string(const redisReadTask *task, char *text, size_t len)
{
	redisReply *reply = make(task);
	char *copy = reply ? cut(task->privdata, len + 1) : NULL;
	if (!copy)
		return NULL;
	memcpy(copy, text, len);
	copy[len] = 0;
	reply->str = copy;
	reply->len = len;
	return reply;
}

static void *
make_array(const redisReadTask *task, int elements)
{
	redisReply *reply = make(task);
	size_t size = (size_t)elements * sizeof(*reply->element);
	if (!reply || elements <= 0)
		return reply;
	reply->element = cut(task->privdata, size);
	if (!reply->element)
		return NULL;
	memset(reply->element, 0, size);
	reply->elements = (size_t)elements;
	return reply;
}

static void *
make_integer(const redisReadTask *task, long long value)
{
	redisReply *reply = make(task);
	if (reply)
		reply->integer = value;
	return reply;
}

static void *
make_nil(const redisReadTask *task)
{
	redisReply *reply = make(task);
	if (reply)
		reply->type = REDIS_REPLY_NIL; /* the task says what stands for it on the wire */
	return reply;
}

/* What it was made of goes with the blocks. */
static void
free_object(void *object)
{
	(void)object;
}

redisReader *
ql_replies_reader(struct ql_replies *replies)
{
	static const redisReplyObjectFunctions functions = {
		.createString = make_string,
		.createArray = make_array,
		.createInteger = make_integer,
		.createNil = make_nil,
		.freeObject = free_object,
	};
	/* which it only reads */
	redisReader *reader =
		redisReaderCreateWithFunctions((redisReplyObjectFunctions *)&functions);
	if (reader)
		reader->privdata = replies;
	return reader;
}
