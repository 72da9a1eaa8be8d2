/*
 * Rules that stop by themselves, and the sessions that some of them watch. Both are documents in the
 * store; the engine keeps a copy of all of them, loaded after its start, and asks each enabled rule
 * every so often whom to stop. It stops through ql_engine_stop, as everybody does, with the actor
 * policy:NAME, and keeps nothing of a round: a restart begins with the next one.
 */
#ifndef QL_ENGINE_POLICY_H
#define QL_ENGINE_POLICY_H

#include "engine/engine.h"
#include "rules/lease.h"
#include "rules/policy.h"

/* Bounds. */
#define QL_ROUND_STOPS 500 /* of one rule, in one round */
#define QL_ROUND_PAGE 500 /* records that it reads at a time */
#define QL_ROUND_LEAVE_MS 60000 /* so long one that gives way may take until another follows */
#define QL_TRIAL_RECORDS 100000 /* that a trial looks at */
#define QL_TRIAL_SAMPLE 20
#define QL_TRIALS_MAX 8 /* at once */
#define QL_SESSIONS_MAX 100000 /* known at once, those that are over included */
#define QL_SESSION_KEEP_MS (7 * 86400000LL) /* one that is over is known for so long */
#define QL_SESSION_LEASE_MAX_MS 86400000LL
#define QL_SESSION_TEXT 256 /* bytes of its name */

/* ---- rules ---- */

/* A rule and what it did since it was made. */
struct ql_rule_view {
	struct ql_rule rule;
	int64_t rounds; /* since the server's start */
	int64_t stops; /* asked for and accepted */
	int64_t last_at; /* of the latest stop; 0 = none */
	char last_eval_id[QL_EVAL_ID];
	char last_why[QL_REASON_MAX];
	char trouble[QL_ERR_TEXT]; /* why its latest round came to nothing; "" = it didn't */
};

/* Rules and sessions are read right after the start: QL_E_UNAVAILABLE until they are known. */
int ql_engine_rules_check(const struct ql_engine *engine, struct ql_err *e);

/* By name; NULL = none. It is the engine's and holds until the loop turns. */
const struct ql_rule_view *ql_engine_rule(const struct ql_engine *engine, const char *name);
/* The next one by name, from NULL on. */
const struct ql_rule_view *
ql_engine_rule_next(const struct ql_engine *engine, const struct ql_rule_view *view);

/* Makes a rule durable, in the place of the one of its name if `replaces`, or drops it. */
struct ql_rule_write {
	struct ql_rule rule; /* taken; for a drop its name alone */
	bool replaces;
	bool drops;
	struct ql_change *beside; /* becomes durable with it; taken */
	void (*done)(struct ql_rule_write *op, int status);
	struct ql_err err; /* CONFLICT it exists; NOT_FOUND; LIMIT; UNAVAILABLE … */
	void *engine_private;
};
void ql_engine_rule_write(struct ql_engine *engine, struct ql_rule_write *op);

/* Whom would it stop now, or might it have stopped since a time? Nothing is stopped. */
struct ql_trial {
	struct ql_rule rule; /* the caller's until done */
	int64_t since; /* 0 = now */
	void (*done)(struct ql_trial *op, int status);
	int64_t looked; /* records that it looked at */
	int64_t picked;
	int64_t live; /* evaluations that are not over */
	bool whole; /* false: it stopped looking at QL_TRIAL_RECORDS */
	bool at_most; /* it stops one after the other, and may be content before the last */
	bool only_now; /* the past can't be told for such a trigger: it is of now */
	struct ql_trial_pick {
		char eval_id[QL_EVAL_ID];
		int64_t at;
		char why[QL_REASON_MAX];
	} sample[QL_TRIAL_SAMPLE];
	size_t sample_count;
	struct ql_err err;
	void *engine_private;
};
void ql_engine_trial(struct ql_engine *engine, struct ql_trial *op);

/* ---- sessions ---- */

/* Takes or renews its lease, or ends it. */
struct ql_session_write {
	struct ql_caller caller;
	const char *session;
	bool ends;
	int64_t lease_ms;
	struct ql_change *beside; /* becomes durable with it; taken */
	void (*done)(struct ql_session_write *op, int status);
	struct ql_lease lease; /* as it is then */
	struct ql_err err; /* CONFLICT it was ended; LIMIT; UNAVAILABLE … */
	void *engine_private;
};
void ql_engine_session_write(struct ql_engine *engine, struct ql_session_write *op);

/* A connection is its lease for as long as it lasts; then the lease's time begins. */
int ql_engine_session_hold(
	struct ql_engine *engine, const char *owner, const char *session, struct ql_err *e);
void ql_engine_session_release(struct ql_engine *engine, const char *owner, const char *session);

/* false: nobody ever leased or ended it. */
bool ql_engine_session(const struct ql_engine *engine, const char *owner, const char *session,
	struct ql_lease *ret_lease);

#endif
