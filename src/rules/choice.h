/*
 * One round of a rule: of the records that its terms select, newest first, whom does it stop, and in
 * which words why? Pure: what is known of the world besides the records is given in a struct ql_facts.
 *
 * Order of calls: ql_choice_begin -> ql_choice_pick for each record -> ql_choice_done.
 */
#ifndef QL_RULES_CHOICE_H
#define QL_RULES_CHOICE_H

#include "base/buf.h"
#include "core/record.h"
#include "rules/policy.h"

#define QL_CHOICE_SEEN_MAX 100000 /* keys that one round can tell apart */

/* The world as a rule sees it. */
struct ql_facts {
	/* the measure of an overload; -1 = it can't be read */
	double (*level)(void *arg, enum ql_measure measure);
	/* a session that is over: since when, and whether its lease was lost; 0 = it isn't over */
	int64_t (*session_over)(void *arg, const char *owner, const char *session, bool *ret_lost);
	/* processor time that an owner's runs used within the window, in us */
	int64_t (*used)(void *arg, const char *owner, int64_t window_ms);
	int64_t (*most_used)(void *arg, int64_t window_ms); /* the highest of all owners */
	bool (*any_session_over)(void *arg);
	void *arg;
};

/* Of an overload, from round to round; zeroed = it never was at its high mark. */
struct ql_shedding {
	bool on; /* it was at its high mark, and not at its low one since */
	double level; /* at the last look */
};

struct ql_choice {
	const struct ql_rule *rule; /* borrowed */
	const struct ql_facts *facts; /* borrowed */
	int64_t now;
	bool past; /* whom might it have stopped? */
	bool full; /* more keys than can be told apart were seen, and the rest was left */
	double level; /* OVERLOAD: as measured when it began */
	int64_t room; /* how many may be stopped yet */
	struct seen *seen; /* SUPERSEDED: the newest of each key */
};

/*
 * false: nothing can be picked now, so that nobody need look. room: the most that may be picked. What
 * falls by itself, after a stop or without one, is left to fall.
 */
bool ql_choice_begin(struct ql_choice *choice, const struct ql_rule *rule,
	const struct ql_facts *facts, int64_t now, int64_t room, struct ql_shedding *shedding);

/* *ret_at: when it is, or would have been, stopped; why: the sentence. */
bool ql_choice_pick(struct ql_choice *choice, const struct ql_record *record, int64_t *ret_at,
	char ret_why[static QL_REASON_MAX]);

/* It looks at one priority after the other, lowest first; the others look at all at once. */
bool ql_choice_by_priority(const struct ql_rule *rule);

void ql_choice_done(struct ql_choice *choice);

#endif
