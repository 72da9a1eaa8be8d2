/*
 * What replies are made of. One reply may be five hundred messages, more pieces than malloc keeps at hand: so those of
 * one connection are cut from blocks, which are used again by its next reply.
 *
 * A reader made here makes replies as hiredis does. They live until ql_replies_drop, each and all its parts, and
 * freeReplyObject is not for them.
 */
#ifndef QL_BROKER_CELERY_REDIS_REPLIES_H
#define QL_BROKER_CELERY_REDIS_REPLIES_H

#include <stddef.h>

#include <hiredis/hiredis.h>

#define QL_REPLIES_BLOCK (64 << 10) /* bytes; a larger piece has a block of its own */
#define QL_REPLIES_KEPT 16 /* blocks that are used again */

struct ql_replies_block;

/* Zeroed: none. */
struct ql_replies {
	struct ql_replies_block *first; /* owned */
	struct ql_replies_block
		*current; /* pieces are cut from this one; those behind it are spare */
};

/* NULL: out of memory. The caller's to free by redisReaderFree, before the replies are done. */
redisReader *ql_replies_reader(struct ql_replies *replies);

/* The last one whole was used; nothing of the next one may have been read by then. */
void ql_replies_drop(struct ql_replies *replies);

void ql_replies_done(struct ql_replies *replies);

#endif
