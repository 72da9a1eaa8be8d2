/*
 * The poster that really posts. Without `private` it goes to public addresses alone, over TLS, as
 * whose URL it is may be anybody. It follows no redirect, asks no proxy and keeps no connection.
 */
#ifndef QL_OUTLET_POST_H
#define QL_OUTLET_POST_H

#include <stdbool.h>

#include "outlet/poster.h"

int ql_poster_open(uv_loop_t *loop, bool private, struct ql_poster **ret_poster, struct ql_err *e);

#endif
