/*
 * The engine's inside, shared by its files only.
 *
 *	feed.c	 an event becomes a decision, the decision a change in the gathering batch
 *	batch.c	 group commit; releases acts and answers after it, or takes everything back
 *	live.c	 the set of evaluations in memory: load, index, drop
 *	act.c	 performs acts on the runtime and feeds the answers back
 *	claim.c	 fills free slots from the queue; ends what waited for too long
 *	wake.c	 one heap of wake times, one timer
 *	recover.c  takes up after a start;  sweep.c  forgets old ones
 *	submit.c stop.c revise.c wait.c	 the operations
 */
#ifndef QL_ENGINE_PRIVATE_H
#define QL_ENGINE_PRIVATE_H

#include <uthash.h>
#include <utlist.h>

#include "base/heap.h"
#include "engine/engine.h"

/* Bounds of the engine. */
#define QL_ENGINE_GATHER_MAX 200000 /* changes that wait for the next commit */
#define QL_ENGINE_KEPT_MAX 100000 /* sightings kept over a failed commit */
#define QL_ENGINE_ACT_MS 5000 /* an act's deadline */
#define QL_ENGINE_RETRY_MS 1000 /* after a failed commit or claim */
#define QL_ENGINE_SWEEP_MS 60000 /* between two looks for what is old */
#define QL_ENGINE_SWEEP_BATCH 500
#define QL_ENGINE_OVERDUE_BATCH 500

/* Calls fn at a time, once; embedded in its owner. */
struct wake {
	struct ql_heap_node node;
	void (*fn)(struct wake *wake);
};

/* Runs fn in the next turn of the loop, once; embedded in its owner. */
struct later {
	struct later *next;
	void (*fn)(struct later *later);
};

#define LIVE_MAGIC 0x71e11a11u

/* Asks for an evaluation in memory. ready gets NULL and err when there is none. */
struct ql_live;

struct want {
	struct want *next;
	void (*ready)(struct want *want, struct ql_live *live, const struct ql_err *err);
};

/* How a sighting finds its evaluation. */
struct run_ref {
	uint64_t incarnation; /* 0 = unused */
	struct ql_live *live;
	UT_hash_handle hh;
};

struct ql_live {
	uint32_t magic;
	UT_hash_handle hh;
	struct ql_engine *engine;
	struct ql_record record; /* the newest decided state; texts as durable */
	struct ql_state durable; /* the last committed */
	struct run_ref refs[QL_RUNS];
	struct wake wake;
	struct want *wants; /* waiting for loading */
	struct ql_store_read read; /* while loading */
	bool loading;
	bool stale; /* a commit failed: the store's copy is to be read again */
	int uncommitted; /* decisions that are not durable yet */
	int pins; /* operations and acts that point here */
};

/* One decision on its way to the store, and what is released after it. */
struct decided {
	struct decided *next;
	struct ql_live *live; /* pinned; NULL for changes without one */
	struct ql_change *changes; /* owned by the batch's list; NULL: only an answer that waits */
	size_t change_count; /* one for a decision; a submission has one for each of its own */
	int act_count;
	struct ql_act acts[QL_ACTS];
	struct ql_sighting *sighting; /* owned copy, fed again if the commit fails */
	bool stopping; /* the cancellation changed */
	void (*done)(struct decided *decided, const struct ql_err *err); /* err NULL: durable */
	void *arg;
};

struct batch {
	struct ql_store_commit op;
	struct ql_engine *engine;
	struct decided *first, *last;
	struct ql_change *last_change;
	size_t count;
};

/* A sighting that waits to be fed again. */
struct kept {
	struct kept *next;
	struct ql_sighting sighting;
};

struct ql_engine {
	struct ql_engine_config config;
	uv_idle_t turn; /* active while something is to be done in the next turn */
	uv_timer_t timer;
	struct ql_heap wakes;
	struct later *laters;

	struct ql_live *lives; /* by eval_id */
	struct run_ref *runs; /* by incarnation */
	struct batch *gathering; /* decided, not yet submitted */
	struct batch *in_flight; /* with the store */
	struct kept *kept; /* oldest first */
	size_t kept_count;
	struct wake retry; /* after a failed commit */
	bool store_ok;
	struct ql_err store_err;

	struct ql_live **slots; /* who takes each of the workers' slots */
	int32_t slots_used;
	int64_t queued; /* status queued, durable */
	int64_t waiting; /* of these, unclaimed */
	bool claiming; /* a read for claims is under way */
	bool claim_again;
	struct ql_store_read claim_read;
	struct wake claim_pause;

	struct ql_store_read overdue_read;
	bool overdue_reading;
	struct wake overdue;

	struct ql_store_read sweep_read;
	struct wake sweep;

	struct watch *watches; /* by eval_id */
	struct ql_subscriber *subscribers;
	struct pending *pending; /* ids and keys of submissions that are not yet durable */
	struct submission *superseding; /* the one that holds the door, and those behind it */

	int open_ops; /* reads, acts and requests under way: the engine can't be freed before */
	bool accepting;
	bool closing;
	bool stop_runs;
	void (*ready)(void *arg);
	void *ready_arg;
	struct recovery *recovery;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* wake.c */
void ql_wake_set(struct ql_engine *engine, struct wake *wake, int64_t at);
void ql_wake_clear(struct ql_engine *engine, struct wake *wake);
void ql_wake_start(struct ql_engine *engine);
void ql_later(struct ql_engine *engine, struct later *later);
void ql_turn_soon(struct ql_engine *engine);

/* live.c */
void ql_live_want(struct ql_engine *engine, const char *eval_id, struct want *want);
struct ql_live *ql_live_find(struct ql_engine *engine, const char *eval_id);
struct ql_live *ql_live_of_run(struct ql_engine *engine, uint64_t incarnation);
/* Takes the record's strings; NULL when out of memory (then they stay the caller's). */
struct ql_live *ql_live_adopt(struct ql_engine *engine, struct ql_record *record);
/* Brings index, wake time and slots in line with the newest state. */
void ql_live_refresh(struct ql_live *live);
void ql_live_release(struct ql_live *live); /* unpin; drops it when nothing holds it */
void ql_live_reload(struct ql_live *live);
void ql_live_free(struct ql_live *live);
bool ql_live_owned(const struct ql_live *live, const struct ql_caller *caller);

/* feed.c */
struct feeding {
	struct ql_event event;
	const char *actor; /* CANCEL */
	const char *reason;
	const struct ql_sighting *sighting;
	void (*done)(struct decided *decided, const struct ql_err *err);
	void *arg;
};
/* The verdict; done is called later, exactly once, if and only if it makes a row. */
enum ql_verdict ql_feed(struct ql_live *live, struct feeding *feeding, struct ql_decision *ret);
/* done is called when everything decided of it so far is durable. */
void ql_feed_after(struct ql_live *live,
	void (*done)(struct decided *decided, const struct ql_err *err), void *arg);
void ql_sighted(struct ql_engine *engine, const struct ql_sighting *sighting);
void ql_feed_time(struct ql_live *live);

/* batch.c */
/* Takes the list of changes, which may be NULL; NULL when out of memory (it stays the caller's). */
struct decided *ql_batch_add(struct ql_engine *engine, struct ql_change *changes);
bool ql_batch_full(const struct ql_engine *engine, size_t more);
void ql_batch_flush(struct ql_engine *engine);
void ql_batch_retry(struct ql_engine *engine, int64_t in_ms);

/* act.c */
void ql_act(struct ql_live *live, const struct ql_act *act);
void ql_purge(struct ql_engine *engine, uint64_t incarnation);

/* claim.c */
void ql_claim(struct ql_engine *engine);
void ql_overdue_at(struct ql_engine *engine, int64_t at);

/* wait.c */
void ql_watch_changed(struct ql_engine *engine, const struct ql_record *record);
void ql_watch_end(struct ql_engine *engine); /* all waits are over */
bool ql_wait_is_over(const struct ql_state *state);

/* recover.c, sweep.c */
void ql_recover(struct ql_engine *engine);
void ql_sweep_start(struct ql_engine *engine);
void ql_sweep_remove_kept(struct ql_engine *engine, const char *eval_id, int32_t attempts);

/* engine.c */
void
ql_engine_log(struct ql_engine *engine, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ql_engine_op_begin(struct ql_engine *engine);
void ql_engine_op_end(struct ql_engine *engine);
/* Why new requests are refused, if they are. */
int ql_engine_check_open(const struct ql_engine *engine, struct ql_err *e);

#endif
