/*
 * How much processor time the runs of each owner used lately, by the minute. It is kept in memory
 * alone, from runs that ended since the server's start: a budget is counted anew by a restart, and a
 * run counts when it ends.
 */
#ifndef QL_RULES_LEDGER_H
#define QL_RULES_LEDGER_H

#include <stdint.h>

#define QL_LEDGER_OWNERS 1000 /* for another one, the one that ran longest ago is forgotten */
#define QL_LEDGER_MINUTES 1440

struct ql_ledger; /* zeroed pointer = empty */

/* A run of that owner ended at `now` (unix ms) and had used so much. */
void ql_ledger_add(struct ql_ledger **ledger, const char *owner, int64_t now, int64_t cpu_us);

/* What its runs that ended within the window used; whole minutes, the one that goes on included. */
int64_t ql_ledger_used(struct ql_ledger *ledger, const char *owner, int64_t now, int64_t window_ms);

/* The highest of all owners. */
int64_t ql_ledger_most(struct ql_ledger *ledger, int64_t now, int64_t window_ms);

void ql_ledger_free(struct ql_ledger *ledger);

#endif
