/*
 * The engine: step -> persist -> act -> feed the answer back. One thread, one libuv loop.
 *
 * It holds in memory what is claimed, running or being stopped; what waits stays in the store.
 * It sees the seams (store, runtime, outlets), never a driver. Every operation below is a struct embedded
 * in its caller's: `done` is called exactly once, on the loop's thread, never from within the
 * call, after what it reports is durable. Until then the strings it points to stay the caller's.
 *
 * Order of calls: ql_engine_new -> ql_engine_start (recovers; `ready` when done) -> operations ->
 * ql_engine_stop_accepting -> ql_engine_close -> (closed) -> ql_engine_free.
 */
#ifndef QL_ENGINE_ENGINE_H
#define QL_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/breaker.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/sign.h"
#include "broker/broker.h"
#include "core/record.h"
#include "core/step.h"
#include "outlet/outlet.h"
#include "outlet/poster.h"
#include "rules/attempt.h"
#include "rules/hook.h"
#include "rules/meter.h"
#include "rules/orphan.h"
#include "rules/policy.h"
#include "runtime/runtime.h"
#include "store/store.h"
#include "sweeper/finder.h"

struct ql_engine;

#define QL_ENGINE_STOPS_MAX 100000 /* under way at once, where the config names no number */

struct ql_engine_config {
	uv_loop_t *loop;
	struct ql_store *store; /* borrowed */
	struct ql_runtime *runtime; /* closed with the engine; NULL with workers = 0 */
	/* Closed with the engine. NULL: the queue is the store's; else policy.remote_broker holds. */
	struct ql_broker *broker;
	bool observes; /* it is looked at alone: the broker is told nothing to remember */
	/* Told of each settled attempt; closed with the engine. NULL where there is none. */
	struct ql_outlet *outlets[QL_OUTLET_COUNT]; /* WEBHOOKS is the engine's own */
	/* Sends webhooks what they are told; closed with the engine. NULL: there are none. */
	struct ql_poster *poster;
	struct ql_hook_patience hook_patience; /* zeroed = the default */
	struct ql_clock clock;
	const char *task_id; /* the template of task ids, or NULL for the usual one */
	const char *data_dir; /* outputs and checkpoints live below it */
	int32_t workers; /* evaluations that run at once; 0 runs none */
	int64_t max_queued;
	int64_t max_stops; /* of what runs, under way at once; 0 = QL_ENGINE_STOPS_MAX */
	int64_t keep_ms; /* settled ones older than this are swept */
	int64_t keep_bytes; /* and the oldest ones beyond this many bytes */
	int64_t audit_keep_ms; /* so for the rows of the audit; both only with a signer */
	int64_t audit_keep_bytes;
	const struct ql_signer *signer; /* borrowed: signs from where the audit goes on; or NULL */
	/* Borrowed: what lies about on this host. NULL: orphans are only the runtime's. */
	struct ql_finder *finder;
	int64_t orphan_age_ms; /* what is younger is left alone */
	bool reap_orphans; /* each minute by itself; else only on demand */
	struct ql_policy policy;
	struct ql_meter *meter; /* borrowed; NULL = nothing is counted */
	/* How full the host is, for policies; -1 = not known. NULL: never known. */
	double (*measure)(void *arg, enum ql_measure measure);
	void *measure_arg;
	void (*log)(const char *line); /* library code does not log by itself; may be NULL */
};

int ql_engine_new(
	const struct ql_engine_config *config, struct ql_engine **ret_engine, struct ql_err *e);

/* Takes up what still runs, settles what ended meanwhile, sweeps what has no record. */
void ql_engine_start(struct ql_engine *engine, void (*ready)(void *arg), void *arg);

/* New requests get QL_E_UNAVAILABLE from now on; no more claims. */
void ql_engine_stop_accepting(struct ql_engine *engine);

/*
 * Ends what is in flight and calls closed. With stop_runs, every run is terminated first and waited
 * for until its stop is settled or unconfirmed; otherwise runs go on under their supervisors.
 */
void
ql_engine_close(struct ql_engine *engine, bool stop_runs, void (*closed)(void *arg), void *arg);
void ql_engine_free(struct ql_engine *engine);

int64_t ql_engine_now(const struct ql_engine *engine);

/* ---- operations ---- */

/* On whose behalf. Across owners everything is QL_E_NOT_FOUND. */
struct ql_caller {
	const char *actor; /* "user:alice"; goes into the record */
	const char *owner;
	bool all; /* sees and stops all owners' */
	/* gets a row in the audit with the decision; the caller's. NULL = it is nobody's attempt */
	struct ql_attempt *attempt;
};

/* Submit one or many: all or none. */
struct ql_submit {
	struct ql_caller caller;
	struct ql_record *records; /* from ql_submission_parse; owned by the caller; filled with
					 owner, state and seq when done */
	const struct ql_event *events; /* as many */
	/* as many: the caller chose its id, and it may be another producer's (foreign.c). NULL = none did */
	const bool *named;
	size_t count;
	const char *replay_key; /* Idempotency-Key, or NULL */
	const char *fingerprint; /* hex SHA-256 of method, path and body */
	void (*done)(struct ql_submit *op, int status);
	bool replayed; /* the first answer again: read replay_ids */
	char *replay_ids; /* one a line; the caller frees */
	struct ql_err err; /* CONFLICT id exists; LIMIT; INVALID */
	bool other_body; /* INVALID: under that replay_key; else field says what, of which record */
	const char *field;
	size_t index;
	void *engine_private;
};
void ql_engine_submit(struct ql_engine *engine, struct ql_submit *op);

/* Cancel, terminate or kill. */
struct ql_stop {
	struct ql_caller caller;
	const char *eval_id;
	const char *task_id; /* or NULL: of the task that is meant, whoever sent it */
	bool ahead; /* an id that nobody has seen keeps its tombstone for a day */
	/* A batch asks for it, or a rule, and again later: nobody makes room for it (bulk.h), and where
	   there is none it leaves no row */
	bool in_bulk;
	int32_t attempt; /* If-Match; 0 = whichever is current */
	enum ql_mode mode;
	enum ql_rung top; /* escalate; NONE = the mode's own */
	enum ql_cause cause;
	int64_t grace_ms; /* -1 = the evaluation's own */
	int64_t wait_ms; /* done is held until it is settled or unconfirmed, or this has passed */
	const char *reason; /* or NULL */
	void (*done)(struct ql_stop *op, int status);
	/* Or NULL. With in_bulk: the id is another producer's, if anybody's, and nothing of it was seen
	   yet. done is held until something was, or nothing twice: it may take seconds from now on */
	void (*looking)(struct ql_stop *op);
	enum ql_verdict verdict; /* DONE JOINED ALREADY, or with -1: FINISHED FENCED REFUSED */
	char what[QL_WHY]; /* DONE: the sentence of its row in the timeline */
	bool no_room; /* with -1 and LIMIT: for as long as so many stops are under way */
	bool only_step; /* nothing but that was done for its cancellation yet: nobody reads it back */
	struct ql_record record; /* as of now; ql_stop_done frees it */
	struct ql_err err; /* NOT_FOUND FENCED FINISHED UNAVAILABLE … */
	void *engine_private;
};
void ql_engine_stop(struct ql_engine *engine, struct ql_stop *op);
void ql_stop_done(struct ql_stop *op);

/*
 * Restore, resume, delete: one evaluation, one request. A resume or delete that comes right after the
 * settlement is held for the moment in which the last run's own record goes.
 */
struct ql_revise {
	struct ql_caller caller;
	const char *eval_id;
	enum ql_revise_kind { QL_REVISE_RESTORE, QL_REVISE_RESUME, QL_REVISE_DELETE } kind;
	/* RESTORE: what was queued again at that time or later was restored already; 0 = never */
	int64_t since;
	void (*done)(struct ql_revise *op, int status);
	struct ql_record
		record; /* as of now, refused or not (DELETE: none); ql_revise_done frees it */
	struct ql_err err; /* NOT_FOUND CONFLICT … */
	bool unkept; /* CONFLICT: nothing is kept of its message, which another producer sent */
	void *engine_private;
};
void ql_engine_revise(struct ql_engine *engine, struct ql_revise *op);
void ql_revise_done(struct ql_revise *op);

/* PUT /evaluations/{id}: what task code reports. A hint only. */
struct ql_report {
	struct ql_caller caller;
	const char *eval_id;
	const char *report; /* JSON text */
	void (*done)(struct ql_report *op, int status);
	struct ql_err err;
	void *engine_private;
};
void ql_engine_report(struct ql_engine *engine, struct ql_report *op);

/*
 * Waits until the evaluation is settled or unconfirmed, or until the time has passed, whichever
 * is first; done either way (the caller then reads). ql_engine_wait_stop takes it back (done is
 * not called any more).
 */
struct ql_wait {
	const char *eval_id;
	int64_t wait_ms;
	bool seen; /* or until something of it was seen anywhere */
	void (*done)(struct ql_wait *op);
	void *engine_private;
};
void ql_engine_wait(struct ql_engine *engine, struct ql_wait *op);
void ql_engine_wait_stop(struct ql_engine *engine, struct ql_wait *op);

/*
 * What is there without a record (rules/orphan.h), looked for now; and with `reap`, its end: of what
 * was found in the look before too, one after the other, up to the limit. One look at a time: others
 * wait for their turn. Each that is reaped leaves a row in the audit.
 */
struct ql_orphan {
	struct ql_trace trace;
	enum ql_orphan_verdict verdict; /* UNSURE, FRESH or RIPE; others are not told of */
	int64_t found_at; /* by the first look that came upon it */
	enum ql_orphan_end { QL_ORPHAN_KEPT, QL_ORPHAN_REAPED, QL_ORPHAN_STUCK } end;
	enum ql_code code; /* STUCK */
	char why[QL_ERR_TEXT];
};

struct ql_orphans {
	bool reap;
	int limit; /* 1 .. QL_ORPHAN_REAPS */
	struct ql_attempt attempt; /* who asks: for the rows */
	void (*done)(struct ql_orphans *op, int status);
	struct ql_orphan *found; /* ql_orphans_done frees them */
	size_t count;
	int reaped;
	int stuck;
	bool partial; /* not every place was looked at */
	const char *server; /* by which this server's things are named; NULL = none */
	struct ql_err err;
	struct ql_orphans *engine_next;
};
void ql_engine_orphans(struct ql_engine *engine, struct ql_orphans *op);
void ql_orphans_done(struct ql_orphans *op);

/*
 * Makes documents and rows of the audit durable, all of them or none: changes of the kinds
 * PUT_OBJECT, DROP_OBJECT, AUDIT and AUDIT_TRIM, in a list. The engine takes them; `at` is filled in
 * where it is 0. It also works while the server starts and stops.
 */
struct ql_write {
	struct ql_change *changes;
	void (*done)(struct ql_write *op, int status);
	struct ql_err err; /* UNAVAILABLE LIMIT DISK_FULL … */
	void *engine_private;
};
void ql_engine_write(struct ql_engine *engine, struct ql_write *op);

/* A read goes straight to the store; owners are the caller's business (filter.owner). */
void ql_engine_read(struct ql_engine *engine, struct ql_store_read *op);

/*
 * Called after each commit for each evaluation that looks different after it, in order: the record
 * as it is durable now. `stopping`: its cancellation changed too.
 */
struct ql_subscriber {
	struct ql_subscriber *next, *prev;
	void (*changed)(struct ql_subscriber *sub, const struct ql_record *record, bool stopping);
};
void ql_engine_subscribe(struct ql_engine *engine, struct ql_subscriber *sub);
void ql_engine_unsubscribe(struct ql_engine *engine, struct ql_subscriber *sub);

/* Where a task is. Only with a broker. */
void ql_engine_locate(struct ql_engine *engine, struct ql_locate *op);

/*
 * What the container of an evaluation that a broker's worker runs was doing when it was looked at last, or
 * NULL; and has it looked at again, for nobody to wait for. Valid until the loop's next turn.
 */
const char *ql_engine_container(struct ql_engine *engine, const struct ql_record *record);

/* What the processes of its open runs are doing. done comes from the loop, once. */
struct ql_examine {
	const struct ql_state *state; /* the caller's until done */
	void (*done)(struct ql_examine *op);
	size_t count;
	struct ql_vitals vitals[QL_RUNS];
};
void ql_engine_examine(struct ql_engine *engine, struct ql_examine *op);

#define QL_HEALTH_DEPENDENCIES 8

/*
 * For /readyz and doctor. All text is static or lives until the next call. Without one of its
 * dependencies the server still does its work, and tells it later.
 */
struct ql_health {
	bool ready;
	bool store_ok;
	const char *store_error; /* the last failed commit's sentence, while it lasts */
	const char *runtime_name; /* "sandbox", or NULL */
	const char *runtime_limits;
	/* Where its runs are started: a runtime that is away stops nobody from submitting. */
	struct ql_dependency runtime;
	int64_t queued;
	int32_t live;
	int32_t slots_used;
	int32_t slots;
	struct ql_dependency dependencies[QL_HEALTH_DEPENDENCIES];
	size_t dependency_count;
};
void ql_engine_health(const struct ql_engine *engine, struct ql_health *ret_health);

/* How many in memory have each durable status, and since when the oldest is being stopped. */
struct ql_census {
	int64_t statuses[QL_STATUS_COUNT];
	int64_t oldest_stop_at; /* of those cancelling; 0 = there is none */
};
void ql_engine_census(const struct ql_engine *engine, struct ql_census *ret_census);

#endif
