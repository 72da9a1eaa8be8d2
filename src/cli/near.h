/* The word that was probably meant. */
#ifndef QL_CLI_NEAR_H
#define QL_CLI_NEAR_H

#include <stddef.h>

#define QL_NEAR_WORD 64 /* longer words have no near one */

struct ql_near {
	const char *word; /* what was written */
	const char *best; /* the nearest so far; NULL = none is near enough */
	size_t distance;
};

/* Offers one candidate. Near is: at most one in three letters differs, or one begins the other. */
void ql_near_offer(struct ql_near *near, const char *candidate);

#endif
