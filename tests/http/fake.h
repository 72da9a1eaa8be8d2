/*
 * An engine without a store or a runtime, for tests of the HTTP side: records in memory, answers
 * in the loop's next turn. A test puts records, scripts what fails or is held, and looks at what
 * was asked. All of it runs on the loop's thread.
 */
#ifndef TESTS_HTTP_FAKE_H
#define TESTS_HTTP_FAKE_H

#include "engine/bulk/bulk.h"
#include "engine/engine.h"
#include "engine/hooks/hook.h"
#include "engine/policy.h"

#define FAKE_RECORDS 64
#define FAKE_ROWS 64
#define FAKE_AUDITS 256
#define FAKE_BATCH "01batch0000000000000000000" /* the id of each batch */
#define FAKE_RULES 4
#define FAKE_HOOKS 4

struct fake_turn;

struct ql_engine {
	uv_loop_t *loop;
	int64_t passed_ms; /* of its time, which stands still else */
	uv_idle_t idle;
	struct fake_turn *turns; /* what is done in the next turn of the loop */
	struct ql_record records[FAKE_RECORDS];
	size_t record_count;
	struct ql_row rows[FAKE_ROWS]; /* the timeline of whatever is asked for; what is owned */
	size_t row_count;
	char *reports[FAKE_RECORDS];
	struct ql_subscriber *subscribers;
	struct ql_wait *waits[FAKE_RECORDS];
	size_t wait_count;
	struct ql_health health;
	struct ql_audit_row audits[FAKE_AUDITS]; /* the first of them; what is owned */
	size_t audit_count;
	struct ql_chain chain;
	size_t writes; /* of documents, and rows of the audit */
	struct ql_vitals vitals[QL_RUNS]; /* what an examination finds */
	size_t vitals_count;
	struct ql_rule_view rules[FAKE_RULES]; /* in the order in which they were made */
	size_t rule_count;
	struct ql_hook_view hooks[FAKE_HOOKS];
	size_t hook_count;
	int hook_http; /* what a test of one is answered with; 0 = nobody answers */
	struct ql_lease session; /* of whatever name is asked for; zeroed = there is none */
	int holds; /* streams that are its lease */
	int64_t trial_picked, trial_live; /* what a trial finds */
	char *replay_key, *fingerprint, *replay_ids;

	struct ql_bulk bulk; /* the last one; owned */
	struct ql_bulk_chunk chunk; /* owned */

	/* the script */
	struct ql_err fail; /* each operation fails with it while code is not 0 */
	struct ql_err fail_read;
	bool hold; /* operations stay open until fake_release */
	/* Decides a stop: changes the record and fills err; NULL = fake_stop_default. */
	int (*stop)(struct ql_engine *engine, struct ql_stop *op, struct ql_record *record);

	/* what was asked last */
	struct ql_stop asked_stop; /* its strings are not kept, but these: */
	char asked_reason[QL_REASON_MAX + 1];
	char asked_actor[256];
	struct ql_filter asked_filter;
	size_t asked_stops;
	struct ql_bulk_ask asked_bulk; /* its strings are not kept */
	size_t asked_bulks;
	int asked_reaps; /* the limits of those that were no dry run */
};

void fake_policies_free(struct ql_engine *engine);
void fake_hooks_free(struct ql_engine *engine);

struct ql_engine *fake_new(uv_loop_t *loop);
void fake_close(struct ql_engine *engine); /* then run the loop, then fake_free */
void fake_free(struct ql_engine *engine);

/* A running evaluation of that owner; the caller may change it and call fake_changed. */
struct ql_record *fake_add(struct ql_engine *engine, const char *eval_id, const char *owner);
struct ql_record *fake_find(struct ql_engine *engine, const char *eval_id);

/* Tells subscribers, and ends the waits that it ends. */
void fake_changed(struct ql_engine *engine, struct ql_record *record, bool stopping);

void fake_row(struct ql_engine *engine, int32_t attempt, enum ql_rung rung, const char *what);

/* fn is called in the next turn of the loop, or by fake_release. */
void fake_later(struct ql_engine *engine, void (*fn)(struct ql_engine *engine, void *op), void *op);

/* fake_bulk.c */
void fake_read_objects(struct ql_engine *engine, struct ql_store_read *op);
void fake_bulk_done(struct ql_engine *engine);

/* What was held is answered now. */
void fake_release(struct ql_engine *engine);

#endif
