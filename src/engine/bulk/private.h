/*
 * The inside of batches, shared by the files of this folder alone.
 *
 *	bulk.c	       the requests, and which batches there are
 *	freeze.c  a selector or a list of ids becomes a frozen set
 *	drift.c   what of a frozen set is still selected
 *	undo.c    what an undo puts back
 *	work.c    asks for the items of a set, part by part, and keeps what was said
 *	item.c    one of them
 *	sweep.c   goes on after a start; drops what is old
 */
#ifndef QL_ENGINE_BULK_PRIVATE_H
#define QL_ENGINE_BULK_PRIVATE_H

#include "engine/bulk/bulk.h"
#include "engine/private.h"

struct bulk_part {
	struct bulk_part *prev, *next;
	struct bulk *bulk;
	struct ql_bulk_chunk chunk;
	int64_t number;
	size_t drawn; /* items that were asked for, or need not be */
	size_t under_way;
	size_t put_off; /* of those drawn: there was no room for their stop */
	bool changed; /* since it was read */
	bool asked[QL_BULK_CHUNK]; /* and not answered */
	struct ql_write write;
};

/*
 * A batch that asks for its items. Those for whose stop there was no room, as too many are under way,
 * are asked for again when it went through its set: then only as many at a time as there is room for.
 */
struct bulk {
	struct bulk *prev, *next;
	struct ql_engine *engine;
	struct ql_bulk head; /* as of the newest part that was kept, or is being kept */
	struct bulk_part *parts; /* those with items to ask for, or asked for */
	int64_t next_part; /* the next one to read */
	size_t under_way; /* items asked for, parts read or kept, and `room` */
	size_t looked_for; /* of these items: nobody has said yet that he knows of them */
	bool reading;
	bool ending; /* it asks for no more */
	bool troubled; /* the store or the broker is away: it waits, then asks again */
	bool put_off; /* something was, on this way through the set */
	bool again; /* it is not the first */
	bool room_told;
	struct later room; /* a stop ended */
	struct wake retry;
	struct ql_store_read read;
	char part_id[QL_BULK_CHUNK_ID];
};

/* bulk.c */
struct bulk *ql_bulk_find(struct ql_engine *engine, const char *id);

/* work.c: takes the head's texts; -1 when out of memory (then they stay the caller's). */
int ql_bulk_begin(struct ql_engine *engine, struct ql_bulk *head, struct ql_err *e);
void ql_bulk_end(struct bulk *bulk); /* what is asked for is waited for, then it is over */
void ql_bulk_work(struct bulk *bulk); /* something of it was answered: it may be freed */
void ql_bulk_rest(struct bulk *bulk); /* what is not answered is asked for again later */

/* item.c: under_way counts it until ql_bulk_work */
void ql_bulk_item_ask(struct bulk_part *part, size_t at);

/* freeze.c: the head is durable, and its set; total, would and sample are filled in. */
struct bulk_freeze {
	struct ql_engine *engine;
	struct ql_bulk *head; /* the caller's */
	struct ql_bulk_ask *op;
	void (*done)(struct bulk_freeze *freeze, const struct ql_err *err);
	struct ql_store_read read;
	struct ql_write write;
	struct ql_filter filter;
	struct ql_bulk_chunk chunk;
	struct ql_change *changes; /* parts that are full */
	int64_t parts; /* so far */
	size_t at; /* ids: how many of them are in it */
};
void ql_bulk_freeze(struct bulk_freeze *freeze);
/* -1: so many want a confirmation, and `would_stop` says how many. */
int ql_bulk_check_confirmed(struct ql_bulk_ask *op, int64_t count, struct ql_err *e);

/* drift.c: left and joined of the head are filled in. */
struct bulk_drift {
	struct ql_engine *engine;
	struct ql_bulk *head; /* the caller's */
	void (*done)(struct bulk_drift *drift, const struct ql_err *err);
	struct ql_store_read read;
	struct ql_selector selector;
	struct ql_bulk_chunk chunk;
	const char *ids[QL_BULK_CHUNK];
	char part_id[QL_BULK_CHUNK_ID];
	int64_t part;
	int64_t still; /* of the frozen set, selected now too */
};
void ql_bulk_drift(struct bulk_drift *drift);

/* undo.c: the head's total is filled in; its parts are in changes, which are the caller's then. */
struct bulk_undo {
	struct ql_engine *engine;
	const struct ql_bulk *old; /* the caller's: what is taken back */
	struct ql_bulk *head; /* the caller's: the new one */
	void (*done)(struct bulk_undo *undo, const struct ql_err *err);
	struct ql_change *changes;
	struct ql_store_read read;
	struct ql_bulk_chunk chunk; /* of the new set */
	struct ql_bulk_chunk old_chunk; /* as it is read */
	const char *ids[QL_BULK_CHUNK]; /* its ids */
	char part_id[QL_BULK_CHUNK_ID];
	int64_t part; /* the next one of the old set */
	int64_t parts; /* of the new one, so far */
};
void ql_bulk_undo(struct bulk_undo *undo);

/* The row of the audit for the request, into the commit that answers it; -1 when out of memory. */
int ql_bulk_add_attempt(const struct ql_bulk_ask *op, struct ql_change *changes);
void ql_bulk_attempt_kept(const struct ql_bulk_ask *op, int status);

/* Those that a batch can stop, and the caller may. */
void ql_bulk_filter(const struct ql_engine *engine, const struct ql_bulk *head,
	const struct ql_selector *selector, struct ql_filter *ret_filter);

/* The change that keeps it; NULL when out of memory. */
struct ql_change *ql_bulk_keep_head(const struct ql_bulk *head);
struct ql_change *
ql_bulk_keep_part(const struct ql_bulk *head, int64_t number, const struct ql_bulk_chunk *chunk);

#endif
