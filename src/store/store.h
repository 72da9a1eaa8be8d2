/*
 * The store: what is durable. One seam, three drivers under one contract suite: sqlite, memory,
 * and faulty (which wraps another and fails the n-th commit before or after it became durable).
 *
 * Order of calls: a driver's open (blocking, at start) -> commit and read, any number -> close.
 * An operation is a struct embedded in its caller's. Its `done` is called exactly once, on the
 * loop's thread, never from within the call that submitted it. Until then the operation and all
 * it points to belong to the store and must not change.
 *
 * At most one commit is in flight: the caller gathers what is decided meanwhile. A commit makes
 * all of its changes durable, or none. After one that failed, reads show none of it; yet if the
 * process ends before the next one that holds, it may turn out to be durable, as a whole.
 *
 * What is settled is write-once for (eval_id, attempt): the database refuses a change of its
 * status (a bug in the caller, QL_E_INTERNAL). A cancellation, once made, is never taken back
 * within its attempt and keeps its requested_at; times never go back from commit to commit.
 *
 * Reads see every commit that was answered before they were asked for, each of them one moment of
 * the store, and run on threads of the store's own. The loop must turn once more after close,
 * which lets go of the store's handles on it. Bounds stand in store/limits.h.
 */
#ifndef QL_STORE_STORE_H
#define QL_STORE_STORE_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "core/record.h"
#include "core/selector.h"
#include "core/step.h"
#include "store/pool.h"

struct ql_store;

/* ---- commit ---- */

enum ql_change_kind {
	QL_CHANGE_NEW, /* a new evaluation: the whole record, payload included; its seq is
			      filled in, above all that there ever were. An eval_id that exists or has a tombstone: QL_E_CONFLICT */
	QL_CHANGE_STATE, /* record.state of an existing one, and those of error, worker, runtime,
			      container, actor, reason, payload that are not NULL; a new attempt (state.attempt
			      above the stored one) clears them all first */
	QL_CHANGE_FORGET, /* delete a settled evaluation, its timeline, cancellations and payload;
			      its tombstone stays, so that the id is never used again */
	QL_CHANGE_DISOWN, /* delete an adopted one of which nothing was ever seen; no tombstone stays, so
			     that whoever sends that task later can */
	QL_CHANGE_REFUSAL, /* a stop that was refused: record.eval_id, actor, reason, and the row,
			      which the timeline of that evaluation shows too; `at` is never 0 */
	QL_CHANGE_REPLAY, /* an Idempotency-Key: key, fingerprint, record.owner and eval_ids */
	QL_CHANGE_REPORT, /* the storage service's view of it: record.eval_id and report */
	QL_CHANGE_DELIVERED, /* delete an outlet's letters, from letter to letter_last; those that are
			      gone are no error */
	QL_CHANGE_PUT_OBJECT, /* an object, in the place of the one of that kind and id: object,
				      object_id, at, text */
	QL_CHANGE_DROP_OBJECT, /* object, object_id; one that is gone is no error */
	QL_CHANGE_AUDIT, /* the next row of the audit: at, text; its seq is filled in */
	QL_CHANGE_AUDIT_TRIM, /* delete the audit's oldest rows, audit_seq included; what stays goes on
				      from there. Rows that are gone are no error, one that is to
				      come is QL_E_INTERNAL */
};

struct ql_change {
	struct ql_change *next;
	enum ql_change_kind kind;
	struct ql_record
		record; /* owned; what each kind reads of it is said above. Of one that exists its
				    seq is that it has, or 0: then it is looked for */

	/* the timeline row of this decision; at = 0 for none */
	int64_t at;
	int32_t rung; /* enum ql_rung that it belongs to, for a cancellation's steps */
	char *what; /* owned; never NULL where there is a row */

	/*
	 * NEW, STATE: whom to tell, as bits 1 << enum ql_outlet_kind. Each gets a letter, durable
	 * with the status that it tells of, which is settled, or unconfirmed for webhooks (else
	 * QL_E_INTERNAL)
	 */
	uint32_t outlets;
	char *task_id; /* of that attempt; only where there are outlets */

	enum ql_outlet_kind outlet; /* DELIVERED, and these two */
	int64_t letter, letter_last;
	enum ql_mode mode; /* REFUSAL: what was asked for */
	char *replay_key; /* REPLAY */
	char *fingerprint; /* REPLAY: hex SHA-256 of method, path and body */
	char *replay_ids; /* REPLAY: the eval_ids of the answer, one a line */
	char *report; /* REPORT: JSON text: output, error, result, reported_status */
	enum ql_object_kind object; /* PUT_OBJECT, DROP_OBJECT; so is object_id */
	char *object_id;
	char *text; /* PUT_OBJECT, AUDIT: JSON */
	int64_t audit_seq; /* AUDIT: filled in; AUDIT_TRIM */
};

/* A zeroed change of that kind, or NULL when out of memory. */
struct ql_change *ql_change_new(enum ql_change_kind kind);

/* PUT_OBJECT, DROP_OBJECT, AUDIT, with copies of the texts; NULL when out of memory. */
struct ql_change *ql_change_put(enum ql_object_kind kind, const char *id, const char *text);
struct ql_change *ql_change_drop(enum ql_object_kind kind, const char *id);
struct ql_change *ql_change_audit(const char *text);

/* Frees the whole list. */
void ql_changes_free(struct ql_change *changes);

struct ql_store_commit {
	/* in the order in which they were decided; the caller's. None: it is written and synced all
	 * the same, to see whether the store works */
	struct ql_change *changes;
	void (*done)(struct ql_store_commit *op, int status); /* 0, or -1 with err filled */
	struct ql_err err;

	/* the driver's */
	struct ql_job job;
	int status;
	struct ql_store *store;

	/* a wrapping driver's */
	struct ql_store *outer;
	void (*outer_done)(struct ql_store_commit *op, int status);
};

/* ---- read ---- */

enum ql_read_kind {
	QL_READ_GET, /* filter.eval_id: 0 or 1 records, with payload if asked for */
	QL_READ_NAMED, /* ids: those of them that exist, in that order */
	QL_READ_LIST, /* what the filter selects, newest first; next_cursor */
	QL_READ_MATCHES, /* the same, oldest first, as matches alone: thousands a page */
	QL_READ_COUNT, /* the same: how many of each status -> counts; the newest seq of all */
	QL_READ_CLAIMABLE, /* waiting ones that are no message elsewhere, priority then age, up to limit,
				  with payload */
	QL_READ_OVERDUE, /* waiting ones whose queue_until <= until, up to limit; `next_at` is
				  the earliest queue_until after that, or 0 */
	QL_READ_LIVE, /* all that ql_state_live says, with payload: for recovery */
	QL_READ_SUPERSEDED, /* filter.owner, filter.supersedes: those not settled */
	QL_READ_SWEEPABLE, /* settled, not live: finished before `until`, or the oldest beyond
				  keep_bytes of output and checkpoint; up to limit */
	QL_READ_TIMELINE, /* filter.eval_id, oldest first: rows (of filter.attempt when not 0) */
	QL_READ_CANCELLATIONS, /* filter (eval_id and attempt, or owner, mode, actor, statuses, since);
				  newest first; next_cursor. Each record shows that attempt: its
				  number, its cancellation, its actor and reason, and no runs
				  where it isn't the current one; all else is as of now */
	QL_READ_REPLAY, /* filter.owner, replay_key: fingerprint and ids */
	QL_READ_TAKEN, /* ids: which of these exist or have a tombstone -> taken */
	QL_READ_REPORT, /* filter.eval_id: text */
	QL_READ_OUTBOX, /* filter.outlet: its letters above filter.cursor, oldest first, up to limit */
	QL_READ_OBJECTS, /* filter.object: the one with object_id, or those with ids above `after`,
				      ascending, up to limit */
	QL_READ_AUDIT, /* filter (since, actor, verb): rows above filter.cursor, oldest first, or
			      with `newest` those below it, newest first; up to limit; next_cursor;
			      anchor */
	QL_READ_AUDIT_OLD, /* the newest row that may go: made before `until`, or among the oldest
				      beyond keep_bytes of text, and of the `limit` oldest */
};

struct ql_filter {
	const char *eval_id;
	const char *owner; /* NULL = any */
	const char *supersedes;
	const struct ql_selector *selector; /* LIST, MATCHES, COUNT: the caller's; NULL = all */
	const char *actor;
	const char *replay_key;
	uint32_t statuses; /* bits 1 << enum ql_status; 0 = any */
	int32_t mode; /* enum ql_mode; NONE = any */
	int32_t attempt; /* 0 = any */
	int64_t since; /* requested at or after; 0 = any */
	int64_t until;
	int64_t keep_bytes; /* SWEEPABLE: -1 = no bound */
	/* go on below this place, MATCHES and OUTBOX: above it; 0 = from the start */
	int64_t cursor;
	int64_t upto; /* LIST, MATCHES, COUNT: none above this seq, so that a set stays; 0 = any */
	int64_t now; /* what the spans of the selector are reckoned from */
	enum ql_outlet_kind outlet; /* OUTBOX */
	enum ql_object_kind object; /* OBJECTS, and these two */
	const char *object_id; /* or NULL */
	const char *after; /* or NULL */
	const char *verb; /* AUDIT; NULL = any */
	int32_t limit;
	bool with_payload; /* GET, LIST */
	bool newest; /* AUDIT */
};

struct ql_row {
	int64_t at;
	int32_t attempt;
	int32_t status; /* after the decision */
	int32_t rung;
	char *what; /* owned by the read */
};

struct ql_match {
	int64_t seq;
	int32_t status;
	char eval_id[QL_EVAL_ID];
};

/* What one outlet has still to be told of one attempt. The strings are the read's. */
struct ql_letter {
	int64_t number; /* in the order of the settlements; never used twice */
	char *eval_id;
	char *task_id;
	char *error; /* or NULL */
	char *labels; /* of the evaluation, while that is there; NULL = none. Not for RESULTS, which tells
			 of no trace */
	int64_t finished_at; /* 0 = it isn't */
	int32_t attempt;
	int32_t status;
};

/* May that outlet be told of that status? */
bool ql_letter_fits(enum ql_outlet_kind outlet, enum ql_status status);

void ql_letter_done(struct ql_letter *letter);

/* A durable document. The strings are the read's. */
struct ql_object {
	char *id;
	char *text;
	int64_t at; /* when it was put there */
};

struct ql_audit_row {
	int64_t at;
	char *text; /* the read's */
	struct ql_chain chain; /* as of this row: its seq and its hash */
};

struct ql_store_read {
	enum ql_read_kind kind;
	struct ql_filter filter; /* the strings stay the caller's until done */
	const char *const *ids; /* NAMED, TAKEN */
	size_t id_count;

	void (*done)(struct ql_store_read *op, int status); /* 0, or -1 with err filled */
	struct ql_err err;

	/* results: the caller calls ql_store_read_done when it has used them */
	struct ql_record *records;
	size_t record_count;
	struct ql_row *rows;
	size_t row_count;
	struct ql_letter *letters;
	size_t letter_count;
	struct ql_match *matches;
	size_t match_count;
	int64_t counts[QL_STATUS_COUNT];
	int64_t newest; /* COUNT: the highest seq in the store, selected or not; 0 = it is empty */
	bool *taken; /* one for each of ids */
	struct ql_object *objects;
	size_t object_count;
	struct ql_audit_row *audits;
	size_t audit_count;
	struct ql_chain anchor; /* AUDIT: what the oldest row that is kept follows */
	int64_t audit_head; /* AUDIT: the number of the last row that was ever added */
	int64_t next_cursor; /* 0 = the end */
	int64_t next_at;
	char *fingerprint;
	char *text; /* REPLAY: ids, one a line; REPORT: JSON; NULL = there is none */

	/* the driver's */
	struct ql_job job;
	int status;
	struct ql_store *store;

	/* a wrapping driver's */
	struct ql_store *outer;
	void (*outer_done)(struct ql_store_read *op, int status);
};

/* Frees the results; the parameters stay. Safe on a zeroed struct. */
void ql_store_read_done(struct ql_store_read *op);

/* ---- the seam ---- */

/* What is known right after opening, without a read. */
struct ql_store_facts {
	struct ql_clock clock; /* as kept; boot_id empty when the store is new */
	int64_t last_ms; /* the latest time recorded */
	int64_t queued; /* evaluations with status queued */
	int64_t next_queue_until; /* the earliest one, or 0 */
	int64_t backlog[QL_OUTLET_COUNT]; /* letters of each */
};

struct ql_store_ops {
	const char *name;
	void (*commit)(struct ql_store *store, struct ql_store_commit *op);
	void (*read)(struct ql_store *store, struct ql_store_read *op);
	/* Blocking, at start: the clock to go on with is kept. */
	int (*keep_clock)(struct ql_store *store, const struct ql_clock *clock, struct ql_err *e);
	/* Only when nothing is in flight. Frees the store. */
	void (*close)(struct ql_store *store);
};

struct ql_store {
	const struct ql_store_ops *ops;
	uv_loop_t *loop;
	struct ql_store_facts facts; /* as of opening */
};

/*
 * Opens (or makes, or migrates forward) the database at path. A damaged or newer one is left
 * untouched: QL_E_UNAVAILABLE with what was found and what to do.
 */
int ql_store_sqlite_open(
	uv_loop_t *loop, const char *path, struct ql_store **ret_store, struct ql_err *e);

int ql_store_memory_open(uv_loop_t *loop, struct ql_store **ret_store, struct ql_err *e);

/* Which commits fail, and when. Commits are counted from 1. */
struct ql_store_faults {
	int fail_before; /* this commit fails and nothing of it is durable; 0 = none */
	int fail_after; /* this commit is durable and is answered as failed; 0 = none */
	int fail_count; /* how many in a row from there on; 0 = 1 */
	bool fail_reads;
};

/* Wraps inner (which it owns from then on). faults stays the caller's and may change. */
int ql_store_faulty_open(struct ql_store *inner, const struct ql_store_faults *faults,
	struct ql_store **ret_store, struct ql_err *e);

#endif
