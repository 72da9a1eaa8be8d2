/*
 * The inside of what stops by itself, shared by its files only.
 *
 *	policing.c  the rules: loaded, changed, shown
 *	walk.c	    pages of records, and whom a rule picks of them
 *	round.c	    a rule is asked, and whom it picks is stopped
 *	deeds.c	    what each rule did, durable beside it
 *	trial.c	    the same without stopping
 *	session.c   sessions: leased, ended, lost
 *	spending.c  the processor time that an owner's runs use
 */
#ifndef QL_ENGINE_POLICING_H
#define QL_ENGINE_POLICING_H

#include "engine/policy.h"
#include "engine/private.h"
#include "rules/choice.h"
#include "rules/ledger.h"

/* Waits for a look at what the runs that go on used so far. */
struct spending_want {
	struct spending_want *next;
	void (*ready)(struct spending_want *want);
};

/* Looks at what a rule's terms select, page by page, newest first, or one priority after the other. */
struct walk {
	struct ql_engine *engine;
	struct ql_choice choice; /* begun by its owner; ended with the walk */
	struct ql_selector selector;
	struct ql_store_read read;
	int64_t past; /* ms; 0 = now */
	int64_t cursor; /* of the next page */
	int64_t looked;
	int priority; /* -1 = all at once */
	void (*pick)(
		struct walk *walk, const struct ql_record *record, int64_t at, const char *why);
	/* After each page; go on with ql_walk, or end with ql_walk_done. more: something is left. */
	void (*page)(struct walk *walk, bool more, const struct ql_err *err);
};

/* Begins a round or a trial of that rule, which stays the caller's. false: there is nobody to pick. */
bool ql_walk_begin(struct walk *walk, const struct ql_rule *rule, int64_t past, int64_t room,
	struct ql_shedding *shedding);
void ql_walk(struct walk *walk);
void ql_walk_done(struct walk *walk);

struct ruling {
	UT_hash_handle hh;
	struct ql_rule_view view;
	struct ql_engine *engine;
	struct wake wake;
	struct walk walk;
	struct spending_want spending; /* BUDGET: before its walk */
	struct ql_rule asked; /* the round's own copy */
	uint64_t begun_ns; /* uv_hrtime when the round began */
	size_t stopping; /* under way */
	size_t stopped; /* in this round */
	int64_t seen; /* the engine's count of submissions when the last whole round began */
	int64_t seen_now; /* and when this one began */
	bool busy; /* a round is under way */
	bool more; /* the round left something */
	bool paged; /* the page's picks are all asked for */
	bool changing; /* it is being written */
	bool kept; /* it is durable: shown, and asked */
	bool gone; /* dropped in the middle of a round */
	struct ql_shedding shedding;
	int64_t again_at; /* to be asked even if nothing new came */
};

struct policing {
	struct ql_engine *engine;
	struct ruling *rulings; /* by name, in that order */
	struct session *sessions; /* by owner and name */
	size_t sessions_over;
	size_t trials; /* under way */
	struct ql_ledger *ledger;
	struct look *look; /* under way, or NULL */
	struct wake spending_sweep; /* one read or one write at a time */
	struct ql_store_read spending_read;
	struct ql_write spending_write;
	bool spending_more;
	struct ql_facts facts;
	struct ql_store_read load;
	struct wake load_again;
	struct wake sweep; /* of sessions that were over for long */
	size_t loading; /* which kind of document */
	char load_after[QL_EVAL_ID];
	bool loaded;
};

/* policing.c */
int ql_policing_check(const struct ql_engine *engine, struct ql_err *e);

/* round.c */
void ql_round_soon(struct ruling *ruling);
void ql_round_end(struct ruling *ruling);
/* A session is over, or something else changed that such rules look at. */
void ql_rounds_soon(struct policing *policing, enum ql_trigger trigger);

/* deeds.c: the rule's document for the store, with what it did; NULL = out of memory. view may be NULL. */
char *ql_deeds_text(const struct ql_rule *rule, const struct ql_rule_view *view);
void ql_deeds_load(struct ql_rule_view *view, const char *text);
/* Makes it durable; it is kept, and not gone. */
void ql_deeds_tell(struct ruling *ruling);

/* session.c */
int ql_session_load(struct policing *policing, const struct ql_object *object, struct ql_err *e);
int64_t ql_session_over(void *arg, const char *owner, const char *session, bool *ret_lost);
bool ql_session_any_over(void *arg);
void ql_session_loaded(struct policing *policing);
void ql_session_close(struct policing *policing);
void ql_sessions_free(struct policing *policing);

/* spending.c */
/* want.ready is called later, once, when the ledger knows what the runs that go on used. */
void ql_spending_look(struct policing *policing, struct spending_want *want);
int ql_spending_load(struct policing *policing, const struct ql_object *object, struct ql_err *e);
void ql_spending_loaded(struct policing *policing);

#endif
