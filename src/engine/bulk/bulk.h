/*
 * Batches: many evaluations stopped at one request, or restored. Their set is frozen when it is made:
 * ids in the order in which they were submitted, in durable parts. Then each is asked for as if it
 * came alone, a bounded number at a time, and what was decided is kept. A start after a crash goes on
 * where the last part was kept: an evaluation that is asked for twice says so.
 *
 * It stands on the engine's own operations: nothing here changes an evaluation.
 */
#ifndef QL_ENGINE_BULK_BULK_H
#define QL_ENGINE_BULK_BULK_H

#include "engine/engine.h"
#include "rules/bulk.h"

#define QL_BULK_WINDOW 128 /* items that all batches ask for at a time, */
#define QL_BULK_WINDOW_BROKER \
	512 /* or so many beside a broker: one look through its queues is for all of them */
#define QL_BULK_REMOVALS \
	2048 /* that a broker did not answer: no more are asked for, as its turn would come too late */
#define QL_BULK_LOOKED_FOR 10000 /* besides, ids that are looked for as they are not known */
/*
 * For a moment after somebody asked for one stop alone, no more than so many items go into a commit, and
 * they go with what others want. Only where nobody wanted a commit for a pause they have one for
 * themselves: who asks for one stop after the other finds the store free each time.
 */
#define QL_BULK_BURST 24
#define QL_BULK_BESIDE_MS 100
#define QL_BULK_PAUSE_MS 2
#define QL_BULK_RUNNING_MAX 8 /* batches that ask at a time; more are refused */
#define QL_BULK_OWN_MAX 4 /* of these, one user's */
#define QL_BULK_KEPT 1000 /* batches in the list; the oldest that are over go first */
#define QL_BULK_PAGE 5000 /* matches that one read brings */
#define QL_BULK_RETRY_MS 1000 /* after the store or the broker was away */
#define QL_BULK_STOPS_MS 20000 /* an undo waits for each stop that is under way */

struct ql_bulk_ask {
	struct ql_caller caller;
	enum ql_bulk_verb {
		QL_BULK_MAKE, /* freeze a set; begin, or with preview wait */
		QL_BULK_EXECUTE, /* begin what was previewed */
		QL_BULK_CANCEL, /* ask for no more of it */
		QL_BULK_UNDO, /* restore what it took out of the queue */
	} verb;
	const char *id; /* of the batch; not for MAKE */

	/* MAKE, and all the caller's until done */
	const char *const *ids; /* or the selector; one of them is NULL */
	size_t id_count;
	const struct ql_selector *selector;
	const char *selector_text;
	enum ql_mode mode;
	enum ql_rung top; /* NONE = the mode's own */
	int64_t grace_ms; /* -1 = each evaluation's own */
	const char *reason; /* or NULL */
	int64_t max_matches; /* more are refused */
	int64_t free_matches; /* and more than these unless confirmed, or only previewed; 0 = any */
	bool confirmed;
	bool preview;

	void (*done)(struct ql_bulk_ask *op, int status);
	struct ql_bulk bulk; /* as it is durable: of UNDO the new one; ql_bulk_ask_done frees it */
	struct ql_match sample[QL_BULK_SAMPLE]; /* MAKE: the first ones */
	size_t sample_count;
	int64_t statuses[QL_STATUS_COUNT]; /* MAKE: how many had which, of those that there are */
	int64_t would_stop; /* MAKE: CONFLICT, as so many want a confirmation; else 0 */
	struct ql_err err; /* NOT_FOUND CONFLICT LIMIT INVALID (max_matches) UNAVAILABLE … */
	void *engine_private;
};
void ql_engine_bulk(struct ql_engine *engine, struct ql_bulk_ask *op);
void ql_bulk_ask_done(struct ql_bulk_ask *op);

#endif
