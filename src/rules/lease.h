/* A session's lease, and the document that keeps it. */
#ifndef QL_RULES_LEASE_H
#define QL_RULES_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct ql_lease {
	int64_t lease_ms; /* 0 = it has none: it was ended without one */
	int64_t until; /* its end */
	int64_t over_at; /* the session was ended or lost; 0 = neither */
	bool lost;
};

/* The caller frees it; NULL when out of memory. */
char *ql_lease_text(const char *owner, const char *session, const struct ql_lease *lease);

/* The caller frees both names. */
int ql_lease_parse(const char *text, char **ret_owner, char **ret_session,
	struct ql_lease *ret_lease, struct ql_err *e);

#endif
