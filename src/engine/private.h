/*
 * The engine's inside, shared by its files only.
 *
 *	feed.c	 an event becomes a decision, the decision a change in the gathering batch
 *	batch.c	 group commit; releases acts and answers after it, or takes everything back
 *	live.c	 the set of evaluations in memory: load, index, drop
 *	load.c	 one read of the store for all that a turn wants from it
 *	scan.c	 brings what a scan of the store names into memory, one after the other
 *	act.c	 performs acts at the place of execution and feeds the answers back; prepare.c before a start
 *	lane.c	 so many acts at once to one target, kills in a room of their own
 *	claim.c	 fills free slots from the queue; ends what waited for too long
 *	wake.c	 one heap of wake times, one timer
 *	recover.c  takes up after a start;  sweep.c  forgets old ones;  trim.c	 the audit's old rows
 *	outbox.c  tells the outlets how attempts were settled
 *	hooks/   webhooks: messages to each (hooks/hooking.h)
 *	write.c	 documents and rows of the audit;  pages.c  reads all of a kind
 *	places.c  where runs of a broker's are, and crew.c its workers: for a driver that is opened anew
 *	orphans/  finds what has no record, and ends it (orphans/orphans.h)
 *	examine.c  looks at what the processes of runs are doing
 *	tally.c	 counts what became durable
 *	bulk/   batches of stops (bulk/private.h)
 *	policing.h  what stops by itself: policies and sessions
 *	submit.c supersede.c stop.c revise.c wait.c  the operations
 */
#ifndef QL_ENGINE_PRIVATE_H
#define QL_ENGINE_PRIVATE_H

#include <uthash.h>
#include <utlist.h>

#include "base/heap.h"
#include "engine/engine.h"
#include "rules/ledger.h"
#include "rules/waste.h"

/* Bounds of the engine. */
#define QL_ENGINE_GATHER_MAX 200000 /* changes that wait for the next commit */
#define QL_ENGINE_KEPT_MAX 100000 /* sightings kept over a failed commit */
#define QL_ENGINE_LOAD_MAX 512 /* evaluations that one read brings into memory */
#define QL_ENGINE_ACT_MS 5000 /* an act's deadline, */
#define QL_ENGINE_TAKE_MS 60000 /* and of one that looks through queues with very many others */
#define QL_ENGINE_LANE_OPEN 64 /* kills, and so many asks, under way to one worker or runtime */
#define QL_ENGINE_LANE_WAITING 100000 /* that wait for it */
#define QL_ENGINE_REST_MS 3000 /* a resume or delete waits for the end of the last run */
#define QL_ENGINE_QUIET_MS 20 /* what nobody waits for is committed after this, or with others */
#define QL_ENGINE_RETRY_MS 1000 /* after a failed commit, read or claim */
#define QL_ENGINE_GIVE_UP_MS 10000 /* of failing commits, when runs are stopped for a shutdown */
#define QL_ENGINE_SWEEP_MS 60000 /* between two looks for what is old */
#define QL_ENGINE_ORPHANS_MS 60000 /* between two looks for orphans */
#define QL_ENGINE_REAP_MS 10000 /* then a sweep takes no further one */
#define QL_ENGINE_SWEEP_BATCH 500
#define QL_ENGINE_TRIM_BATCH 5000 /* rows of the audit that one commit forgets */
#define QL_ENGINE_OVERDUE_BATCH 500
#define QL_ENGINE_LETTERS_MAX 256 /* of one outlet in memory, whatever its backlog */
#define QL_ENGINE_DELIVERIES_MAX 16 /* under way to an outlet that says no number */
#define QL_ENGINE_REMOVE_MS 50 /* delivered letters wait for so long to be removed together */
#define QL_ENGINE_OUTLET_FAILURES 3 /* in a row: then an outlet counts as away */
#define QL_ENGINE_OUTLET_PAUSE_MS 500 /* and is asked again after that; it doubles, up to */
#define QL_ENGINE_OUTLET_PAUSE_MAX_MS 15000
#define QL_ENGINE_UNKNOWN_MAX 256 /* ids that were found nowhere a short while ago */

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

/*
 * Asks for an evaluation in memory. ready gets it pinned and as new as what was decided, or NULL
 * and err when there is none.
 */
struct ql_live;

struct want {
	struct want *prev, *next;
	void (*ready)(struct want *want, struct ql_live *live, const struct ql_err *err);
};

/*
 * A scan of the store may be older than what was decided since it began: it only names
 * evaluations. Each of them is then wanted, in the scan's order.
 */
struct scan {
	struct ql_engine *engine;
	struct ql_store_read read; /* kind and filter are the owner's to fill */
	struct want want;
	size_t at; /* the record that is visited; how many there were, when it is over */
	int64_t next_at; /* OVERDUE: as the read said, when it is over */
	int64_t next_cursor; /* LIST: the same */
	bool under_way;
	bool visiting; /* guards against recursion: `each` may be called from within ql_live_want */
	bool waiting; /* for the evaluation to be loaded */
	void (*each)(struct scan *scan, struct ql_live *live, const struct ql_err *err);
	void (*over)(struct scan *scan, const struct ql_err *err); /* err: of the read */
};

/* The audit's retention: one read or one write at a time. */
struct trim {
	struct ql_engine *engine;
	struct wake wake;
	struct ql_store_read read;
	struct ql_write write;
};

/* How a sighting finds its evaluation. */
struct run_ref {
	uint64_t incarnation; /* 0 = unused */
	struct ql_live *live;
	UT_hash_handle hh;
};

/* A sighting that waits until its evaluation was read again. */
struct kept {
	struct kept *prev, *next;
	struct ql_sighting *sighting; /* owned */
};

struct ql_live {
	uint32_t magic;
	UT_hash_handle hh;
	struct ql_engine *engine;
	struct ql_record record; /* the newest decided state; texts as durable; no payload */
	struct ql_state durable; /* the last committed */
	struct run_ref refs[QL_RUNS];
	struct wake wake;
	struct want *wants; /* waiting for loading, first come first */
	struct want *rests; /* settled: waiting until its last run is over too */
	struct kept *kept; /* oldest first */
	char *exit_text; /* what the place of execution said of its end; used up when that settles it */
	struct ql_live *next_load; /* while it waits for the turn's read */
	bool loaded; /* the record is there */
	bool loading;
	bool stale; /* nothing is decided before the store's copy was read again */
	bool gone; /* it was forgotten */
	bool stopping; /* counts among the engine's stops */
	enum { QL_TOMB_NONE, QL_TOMB_TENTATIVE, QL_TOMB_LIES } tomb; /* that the broker was given */
	struct acting *taking; /* its REMOVE that is not answered, or NULL */
	int uncommitted; /* decisions that are not durable yet */
	int pins; /* operations and acts that point here */
};

/* Looked for in every place of the broker, twice, and found in none. */
struct unknown {
	char eval_id[QL_EVAL_ID];
	int64_t at; /* 0 = unused */
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
	struct ql_spell spell; /* a run of it is over, and was counted; cpu_us 0 = none is */
	struct ql_attempt *attempt; /* whose row is among the changes, or NULL */
	void (*done)(struct decided *decided, const struct ql_err *err); /* err NULL: durable */
	void *arg;
};

struct batch {
	struct ql_store_commit op;
	struct ql_engine *engine;
	struct decided *first, *last;
	struct ql_change *last_change;
	size_t count;
	bool soon; /* somebody waits for it */
	int riders; /* items of a batch that had waited for it */
	uint64_t begun_ns; /* uv_hrtime when the store got it */
	bool probe; /* submitted although it is empty, to see whether the store works again */
};

struct ql_engine {
	struct ql_engine_config config;
	uv_idle_t turn; /* active while something is to be done in the next turn */
	uv_timer_t timer;
	int handles; /* of these two, not closed yet */
	struct ql_heap wakes;
	struct later *laters, *last_later;

	struct ql_live *lives; /* by eval_id */
	struct run_ref *runs; /* by incarnation */
	struct place *places; /* the same; of a broker's runs that are open */
	struct crew *crew;
	struct ql_live *loads, *last_load; /* to be read at the end of this turn */
	struct load *loading; /* what is being read */
	struct batch *gathering; /* decided, not yet submitted */
	struct batch *in_flight; /* with the store */
	size_t kept_count;
	struct wake quiet; /* ends the wait of a batch for which nobody waits */
	size_t naming; /* sightings whose evaluation is being read */
	struct wake retry; /* after a failed commit */
	bool store_ok; /* the last commit succeeded */
	int64_t failing_since;
	struct ql_err store_err;

	struct ql_live **slots; /* who takes each of the workers' slots */
	int32_t slots_used;
	int64_t queued; /* status queued, durable */
	bool may_wait; /* something may wait in the queue: false once a scan found no more */
	size_t claimed; /* by the scan under way */
	struct scan claims;
	struct wake claim_pause;

	struct scan overdues;
	size_t ended; /* by the scan under way */
	bool overdue_more; /* to be looked for after the commit under way */
	struct wake overdue;

	struct missed {
		struct scan scan;
		struct wake pause;
		bool ready; /* what was live at the start is in memory */
		bool due; /* a pass is to begin */
		bool under_way;
		bool incomplete; /* a look of this pass could not ask every place */
		int again; /* passes after an incomplete one */
	} missed;

	struct recall {
		struct scan scan;
		struct wake wake; /* of the next page, of the end of a pass, of the next telling */
		struct ql_selector selector;
		struct recalled *lying; /* tombstones, by eval_id */
		int64_t since; /* what the broker may have forgotten; 0: that is not known */
		size_t count; /* of this pass */
		bool ready, due, under_way; /* as of `missed` */
	} recall;

	struct scan sweeps;
	struct wake sweep;
	struct trim trim;
	struct sweeping *sweeping;

	struct ql_lane *lanes; /* by name: of those with acts under way */
	size_t stops; /* evaluations in memory that are being stopped */
	size_t removals; /* of messages from a queue, not answered yet */
	int64_t stopped_alone_at; /* when somebody last asked for one stop alone */
	struct acting *preparing; /* starts, and kills whose containers are kept */
	struct acting *sending; /* to a broker, in this order */
	struct outbox *outboxes[QL_OUTLET_COUNT]; /* NULL where there is no such outlet */

	struct bulk *bulks; /* those at work */
	struct asking *bulk_askings; /* those that will be, each with its place */
	struct bulk_item *bulk_held; /* in memory, waiting for a commit */
	struct wake bulk_pause; /* ends that wait where no other commit is begun */
	struct bulk_sweep *bulk_sweep;

	struct watch *watches; /* by eval_id */
	struct ql_subscriber *subscribers;
	struct pending *pending; /* ids and keys of submissions that are not yet durable */
	struct adoption *adoptions; /* under way, by eval_id */
	struct unknown unknowns[QL_ENGINE_UNKNOWN_MAX];
	size_t unknown_next;
	size_t submitting; /* evaluations of submissions that are not yet durable */
	struct submission *superseding; /* the one that holds the door, and those behind it */

	struct hooking *hooking;
	struct ql_waste waste;
	struct policing *policing;
	int64_t submitted; /* evaluations that became durable since the start */

	int open_ops; /* reads, starts and requests under way: the runtime can't be closed before */
	bool accepting;
	bool stopping; /* it never accepts again */
	bool closing;
	bool shut; /* nothing was under way, and nothing is taken any more */
	int closings; /* of runtime and outlets, not answered yet */
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
/* Decisions can be made on it. */
bool ql_live_ready(const struct ql_live *live);
/* Brings index, wake time and slots in line with the newest state. */
void ql_live_refresh(struct ql_live *live);
void ql_live_release(struct ql_live *live); /* unpin; drops it when nothing holds it */
void ql_live_reload(struct ql_live *live);
/* It was read: its record, which is taken; NULL and no err: there is none. */
void ql_live_loaded(struct ql_live *live, struct ql_record *record, const struct ql_err *err);
void ql_live_free(struct ql_live *live);
bool ql_live_owned(const struct ql_live *live, const struct ql_caller *caller);
/* Settled, and the last of its runs is not over yet, or not durably: it rests in a moment. */
bool ql_live_ends(const struct ql_live *live);
void ql_live_rest(struct ql_live *live, struct want *want);
void ql_live_unrest(struct ql_live *live, struct want *want);
void ql_live_wake_rests(struct ql_live *live);

/* load.c */
void ql_load(struct ql_live *live); /* ql_live_loaded is called later */
void ql_load_flush(struct ql_engine *engine);

/* scan.c */
void ql_scan(struct ql_engine *engine, struct scan *scan);

/* feed.c */
struct feeding {
	struct ql_event event;
	const char *actor; /* CANCEL */
	const char *reason;
	struct ql_attempt *attempt; /* or NULL */
	const struct ql_sighting *sighting;
	void (*done)(struct decided *decided, const struct ql_err *err);
	void *arg;
};
/* The verdict; done is called later, exactly once, if and only if it makes a row. */
enum ql_verdict ql_feed(struct ql_live *live, struct feeding *feeding, struct ql_decision *ret);
/* done is called when everything decided of it so far is durable; -1 when out of memory. */
int
ql_feed_after(struct ql_live *live, void (*done)(struct decided *decided, const struct ql_err *err),
	void *arg, struct ql_err *e);
void ql_sighted(struct ql_engine *engine, const struct ql_sighting *sighting);
void ql_feed_time(struct ql_live *live);
/* Takes the sighting, which may be NULL; it is fed when the evaluation was read again. */
void ql_sighting_keep(struct ql_live *live, struct ql_sighting *sighting);
void ql_kept_feed(struct ql_live *live);
void ql_kept_free(struct ql_live *live);

/* The run that is over by that sighting (or NULL), as it is now; NULL: none is. */
const struct ql_run *ql_run_over(
	const struct ql_state *was, const struct ql_state *is, const struct ql_sighting *sighting);

/* Does it settle an attempt that was not settled before? was may be NULL. */
bool ql_settles(const struct ql_state *was, const struct ql_state *is);

/* batch.c */
/* Takes the list of changes, which may be NULL; NULL when out of memory (it stays the caller's). */
struct decided *ql_batch_add(struct ql_engine *engine, struct ql_change *changes);
/*
 * The same for a change that belongs to an evaluation in memory, which is held until done. Without
 * `soon` it may wait for QL_ENGINE_QUIET_MS.
 */
struct decided *ql_batch_add_to(struct ql_live *live, struct ql_change *changes, bool soon);
/* It does nothing outside and shows nothing: that it is durable makes a difference to nobody. */
bool ql_batch_is_quiet(const struct ql_state *was, const struct ql_decision *decision);
bool ql_batch_full(const struct ql_engine *engine, size_t more);
/* A commit will be answered, soon: it is under way then if it was only gathering. */
bool ql_batch_under_way(struct ql_engine *engine);
void ql_batch_hasten(struct ql_engine *engine);
void ql_batch_flush(struct ql_engine *engine);
/* Reads again what is stale, and looks whether the store works again. */
void ql_batch_retry(struct ql_engine *engine, int64_t in_ms);
/*
 * What is durable has changed: counts it, and tells who follows it. was NULL: it is new; outlets: to
 * whom it left letters.
 */
void ql_batch_changed(struct ql_engine *engine, const struct ql_state *was,
	const struct ql_record *record, bool stopping, uint32_t outlets);

/* act.c */
void ql_act(struct ql_live *live, const struct ql_act *act);
void ql_purge(struct ql_engine *engine, uint64_t incarnation);

/* lane.c */
void ql_lanes_free(struct ql_engine *engine);

/* tomb.c: the broker's copy of its tombstone follows what is durable. */
void ql_tomb_follow(struct ql_live *live);

/* adopt.c: makes a record of what the store doesn't know; want gets it, or why there is none. */
void ql_adopt(
	struct ql_engine *engine, const struct ql_stop *op, const char *eval_id, struct want *want);
/* Whoever asks while that goes on gets the same; false: it doesn't. */
bool ql_adopt_join(struct ql_engine *engine, const char *eval_id, struct want *want);
bool ql_adopt_was_unknown(struct ql_engine *engine, const char *eval_id);
/* It is nowhere: its record goes, and whoever waits for it learns that there is none. */
void ql_disown(struct ql_live *live);

/*
 * resent.c: what another producer sent and is settled may be there again: then it is the next attempt. done is called from
 * the loop, with the live pinned; err says why what is there can't be taken up now. -1 when out of memory.
 */
bool ql_resent_may_be(const struct ql_live *live);
int ql_resent_look(struct ql_live *live,
	void (*done)(void *arg, struct ql_live *live, const struct ql_err *err), void *arg,
	struct ql_err *e);

/* submit.c: a name that is to become durable; -1 when it is taken already. */
int ql_name_take(struct ql_engine *engine, const char *name);
void ql_name_free(struct ql_engine *engine, const char *name);

/* claim.c */
void ql_claim(struct ql_engine *engine);
void ql_overdue_at(struct ql_engine *engine, int64_t at);

/* outbox.c */
int ql_outbox_open(struct ql_engine *engine, struct ql_err *e);
void ql_outbox_start(struct ql_engine *engine);
/* Who is told of what it is now, as bits 1 << enum ql_outlet_kind; was may be NULL. */
uint32_t ql_outbox_whom(const struct ql_engine *engine, const struct ql_record *record,
	const struct ql_state *was, const struct ql_state *is);
/* There are letters to these, durably. */
void ql_outbox_posted(struct ql_engine *engine, uint32_t outlets);
/* That outlet can be told from now on. */
void ql_outbox_go_on(struct ql_engine *engine, enum ql_outlet_kind kind);
/* A commit failed: the letters are counted again. */
void ql_outbox_doubt(struct ql_engine *engine);
/* Begins no delivery any more; what was delivered is removed. */
void ql_outbox_stop(struct ql_engine *engine);
/* -> how many; there is room for QL_OUTLET_COUNT */
size_t ql_outbox_health(const struct ql_engine *engine, struct ql_dependency *ret);
void ql_outbox_free(struct ql_engine *engine);

/* hooks.c (hooking.h) */
int ql_hooks_open(struct ql_engine *engine, struct ql_err *e);
/* Reads them; known is called when that is done, at once where there can be none. */
void ql_hooks_start(struct ql_engine *engine, void (*known)(struct ql_engine *engine));
void ql_hooks_stop(struct ql_engine *engine);
void ql_hooks_free(struct ql_engine *engine);
/* And what waits for them was counted: they are told from now on. */
bool ql_hooks_loaded(const struct ql_engine *engine);
/* May some hook want to be told that an evaluation of that owner's is that now? */
bool ql_hooks_may_want(const struct ql_engine *engine, enum ql_status status, const char *owner);
/* Adds what waits for them, and who fails; false: there are none. */
bool ql_hooks_health(const struct ql_engine *engine, struct ql_dependency *dependency);

/* orphans.c */
int ql_orphans_open(struct ql_engine *engine, struct ql_err *e);
void ql_orphans_start(struct ql_engine *engine);
void ql_orphans_stop(struct ql_engine *engine);
void ql_orphans_free(struct ql_engine *engine);

/* wait.c */
void ql_watch_changed(struct ql_engine *engine, const struct ql_record *record);
void ql_watch_gone(struct ql_engine *engine, const char *eval_id); /* there is no such one */
void ql_watch_end(struct ql_engine *engine); /* all waits are over */
bool ql_wait_is_over(const struct ql_state *state);

/* places.c */
/* Where that run is, as was told last; NULL: that is not known. */
const char *ql_place_of(const struct ql_engine *engine, uint64_t incarnation);
/* What a sighting (or NULL) told of it becomes durable with the changes; of runs that are over by them it goes. */
void ql_places_follow(struct ql_engine *engine, const struct ql_state *was,
	const struct ql_state *is, const struct ql_sighting *sighting, struct ql_change *changes);
/* A sighting that changes nothing else told better where it is. */
void ql_places_learn(struct ql_live *live, const struct ql_sighting *sighting);
/* That is durable: if it was one of these, it is known no more. */
void ql_places_dropped(struct ql_engine *engine, const struct ql_change *change);
void ql_places_load(struct ql_engine *engine, const struct ql_object *object);
/* What is live is in memory: places of other runs go. */
void ql_places_sweep(struct ql_engine *engine);
void ql_places_free(struct ql_engine *engine);

/* crew.c */
int ql_crew_open(struct ql_engine *engine, struct ql_err *e);
void ql_crew_known(void *engine, const char *node, const char *text); /* as of struct ql_broker */
void ql_crew_load(struct ql_engine *engine, const struct ql_object *object);
void ql_crew_free(struct ql_engine *engine);

/*
 * write.c: puts the row of an accepted attempt, which may be NULL, behind the changes; status: what
 * HTTP answers to it. -1 when out of memory.
 */
int
ql_attempt_add(struct ql_change *changes, const struct ql_attempt *attempt, int status, int64_t at);

/* recover.c, sweep.c */
void ql_recover(struct ql_engine *engine);
/* Nobody knows which of its acts were done: asks again for what is open, and looks at its runs. */
void ql_take_up(struct ql_live *live);
void ql_inspect_runs(struct ql_live *live);
void ql_sweep_start(struct ql_engine *engine);
void ql_trim_start(struct ql_engine *engine); /* trim.c */
/* missed.c */
void ql_missed_start(struct ql_engine *engine);
void ql_missed_back(void *engine); /* as of struct ql_broker */
void ql_missed_incomplete(struct ql_engine *engine);
/* recall.c */
void ql_recall_start(struct ql_engine *engine);
void ql_recall_since(void *engine, int64_t since); /* as of struct ql_broker */
/* Its tombstone lies although it is cancelled. */
bool ql_recall_has(const struct ql_engine *engine, const char *eval_id);
/* Its message is being taken out again: what is put back now would be taken for that one. */
bool ql_recall_looks(const struct ql_engine *engine, const char *eval_id);
void ql_recall_looked(struct ql_engine *engine, const char *eval_id);
void ql_recall_done(struct ql_engine *engine);
/* done is called later unless -1 is returned, when it isn't over or is being changed. */
int ql_forget(struct ql_live *live, struct ql_attempt *attempt,
	void (*done)(struct decided *decided, const struct ql_err *err), void *arg,
	struct ql_err *e);
/* Its files, once that is durable. */
void ql_forget_kept(struct ql_engine *engine, const char *eval_id, int32_t attempts);

/* tally.c */
/* A run of it may be over by that sighting (or NULL): what it used, burnt and saved. */
void ql_tally_gone(struct ql_engine *engine, const struct ql_state *was,
	const struct ql_record *record, const struct ql_sighting *sighting);
void ql_tally_start(struct ql_engine *engine);
/* What is durable has changed, as of ql_batch_changed. */
void ql_tally_changed(
	struct ql_engine *engine, const struct ql_state *was, const struct ql_record *record);
void ql_tally_commit(struct ql_engine *engine, const struct batch *batch, bool failed);
void ql_tally_refusal(struct ql_engine *engine, const struct ql_err *err);
/* It was refused, or not answered. */
void ql_tally_act(struct ql_engine *engine, const struct ql_runtime_op *op);
void ql_tally_orphan(struct ql_engine *engine, enum ql_metric metric, enum ql_orphan_kind kind);

/* bulk/sweep.c, bulk/work.c */
void ql_bulks_start(struct ql_engine *engine);
void ql_bulks_stop(struct ql_engine *engine);
void
ql_bulks_room(struct ql_engine *engine); /* fewer stops or removals are under way than before */
void ql_bulks_free(struct ql_engine *engine);

/* bulk/item.c: of those that wait for a commit as many as may go into the next one */
void ql_bulk_items_go(struct ql_engine *engine);
/* A commit ended, or the first of them came: for a moment the store is left to who asks alone. */
void ql_bulk_items_wait(struct ql_engine *engine);

/* stop.c: of what runs, so many more can be stopped by that mode. */
size_t ql_stop_room(const struct ql_engine *engine, enum ql_mode mode);

/* policing.c */
int ql_policing_open(struct ql_engine *engine, struct ql_err *e);
void ql_policing_start(struct ql_engine *engine);
void ql_policing_close(struct ql_engine *engine);
void ql_policing_free(struct ql_engine *engine);

/* spending.c */
/* A run is over: what it used goes into documents behind those changes. -1: out of memory. */
int
ql_spending_add(struct ql_engine *engine, const struct ql_spell *spell, struct ql_change *changes);
/* It did not become durable. */
void ql_spending_take_back(struct ql_engine *engine, const struct ql_spell *spell);

/* engine.c */
void
ql_engine_log(struct ql_engine *engine, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ql_engine_op_begin(struct ql_engine *engine);
void ql_engine_op_end(struct ql_engine *engine);
/* At the end of a turn, with nothing of the engine on the stack: closed may free it. */
void ql_engine_close_if_idle(struct ql_engine *engine);
/* While runs are stopped for a shutdown: this one too. */
void ql_engine_end_runs(struct ql_live *live);
/* Whether what runs are started with is there; a runtime that needs nobody always is. */
void ql_engine_runtime(const struct ql_engine *engine, struct ql_dependency *ret_health);
/* Why new requests are refused, if they are. */
int ql_engine_check_open(const struct ql_engine *engine, struct ql_err *e);

#endif
