/*
 * The inside of the outbox, shared by its files only.
 *
 *	outbox.c        one outlet and its deliveries
 *	outbox_store.c  its letters, in and out of the store
 */
#ifndef QL_ENGINE_OUTBOXING_H
#define QL_ENGINE_OUTBOXING_H

#include "base/breaker.h"
#include "engine/private.h"
#include "rules/trace.h"

enum stage {
	STAGE_WAITING,
	STAGE_UNDER_WAY,
	STAGE_DELIVERED, /* or refused for good: to be removed */
	STAGE_REMOVING, /* by a commit that is under way */
};

struct parcel {
	struct parcel *prev, *next;
	struct outbox *outbox;
	struct parcel
		*after; /* the one before of the same evaluation, if it is not delivered yet */
	struct parcel *then; /* the one whose `after` this is */
	UT_hash_handle hh; /* while it is not delivered, and the last one of its evaluation */
	struct ql_letter letter; /* owned */
	struct ql_trace_context trace;
	struct ql_delivery op;
	enum stage stage;
	int tries; /* that failed */
	int64_t again_at; /* 0 = at once */
};

struct outbox {
	struct ql_engine *engine;
	struct ql_outlet *outlet;
	enum ql_outlet_kind kind;
	struct ql_breaker breaker;
	struct wake wake;
	struct later
		turn; /* what several answers leave to be done is done once, at the end of theirs */
	bool turning;
	struct parcel *parcels; /* in the order of their letters */
	struct parcel *lasts; /* by eval_id: the last one that is not delivered */
	size_t count;
	size_t under_way;
	size_t most; /* under way at once */
	size_t delivered; /* in that stage */
	size_t removing;
	int64_t remove_at; /* those that are delivered, not earlier */
	int64_t backlog; /* letters, here and in the store */
	struct ql_store_read read;
	int64_t cursor; /* what was read so far */
	int64_t read_at; /* not earlier */
	bool reading;
	bool more; /* there may be letters above the cursor */
	bool doubt; /* a commit failed, and may be durable all the same: so many may wait or not */
};

/* outbox.c: does what can be done now, and sets the wake for what can't. */
void ql_outbox_pump(struct outbox *outbox);

/* outbox_store.c */
void ql_parcel_free(struct parcel *parcel);
void ql_parcels_read(struct outbox *outbox, int64_t now);
/* Several with one commit, and not in a hurry: stops come first. One commit at a time. */
void ql_parcels_remove(struct outbox *outbox, int64_t now);

#endif
