/*
 * The poster that really posts. Without `private` it goes to public addresses alone, over TLS, as
 * whose URL it is may be anybody. It follows no redirect, asks no proxy and keeps no connection.
 */
#ifndef QL_OUTLET_POST_H
#define QL_OUTLET_POST_H

#include <stdbool.h>

#include "outlet/poster.h"

struct ql_poster_config {
	bool private; /* any address will do, and http:// */
	int64_t timeout_ms; /* of one post; 0 = QL_POST_TIMEOUT_MS */
};

int ql_poster_open(uv_loop_t *loop, const struct ql_poster_config *config,
	struct ql_poster **ret_poster, struct ql_err *e);

#endif
