/*
 * A launch of a driver's own. The caller's strings are the caller's again once the operation is
 * done, which its deadline may bring before the driver is through with them.
 */
#ifndef QL_RUNTIME_SANDBOX_LAUNCH_H
#define QL_RUNTIME_SANDBOX_LAUNCH_H

#include "runtime/runtime.h"

/* A deep copy, or NULL when out of memory. */
struct ql_launch *ql_launch_copy(const struct ql_launch *launch);

void ql_launch_free(struct ql_launch *launch);

#endif
