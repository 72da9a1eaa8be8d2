/*
 * How much processor time the runs of each owner used in the last day, by the minute: what a run used
 * is spread evenly over the time in which it ran. What the runs that are not over used so far is told
 * anew at each look, and counts beside it.
 *
 * Each minute of an owner is a document too. Its id begins with the minute, and ends with the `life` of
 * the server that wrote it: a server writes its own sums alone, and adds to them what it reads of those
 * before it, in any order.
 */
#ifndef QL_RULES_LEDGER_H
#define QL_RULES_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QL_LEDGER_OWNERS 1000 /* for another one, the one that ran longest ago is forgotten */
#define QL_LEDGER_MINUTES 1440
#define QL_LEDGER_RUNS 1000 /* that are not over, told of at once */
#define QL_LEDGER_ID 112

struct ql_ledger;

/* One run: unix ms, and processor time in us. */
struct ql_spell {
	const char *owner; /* borrowed */
	int64_t from, to;
	int64_t cpu_us;
};

/* life: of this server, above that of any before. NULL = out of memory. */
struct ql_ledger *ql_ledger_new(int64_t life);

/* A run is over. -1: out of memory, and nothing is counted. */
int ql_ledger_add(struct ql_ledger *ledger, const struct ql_spell *spell);
/* It was not: what was added is taken off again. */
void ql_ledger_take_back(struct ql_ledger *ledger, const struct ql_spell *spell);

/*
 * The documents that a run changed, after it was added: `put` gets each. -1: out of memory, or put said
 * so.
 */
int ql_ledger_documents(const struct ql_ledger *ledger, const struct ql_spell *spell,
	int (*put)(void *arg, const char *id, const char *text), void *arg);

/* One that a server before this one wrote. */
int ql_ledger_load(struct ql_ledger *ledger, const char *text, struct ql_err *e);

/* Documents with ids below this one are too old to count. */
void ql_ledger_oldest(int64_t now, char ret_id[static QL_LEDGER_ID]);

/* Those that run now, in the place of what was told before; their owners are borrowed for the call. */
void ql_ledger_run(struct ql_ledger *ledger, const struct ql_spell *spells, size_t count);

/* What its runs used within the window; whole minutes, the one that goes on included. */
int64_t ql_ledger_used(struct ql_ledger *ledger, const char *owner, int64_t now, int64_t window_ms);

/* The highest of all owners. */
int64_t ql_ledger_most(struct ql_ledger *ledger, int64_t now, int64_t window_ms);

/* Safe on NULL. */
void ql_ledger_free(struct ql_ledger *ledger);

#endif
