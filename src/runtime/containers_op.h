/* What every driver for others' containers does with an operation before it is its own. */
#ifndef QL_RUNTIME_CONTAINERS_OP_H
#define QL_RUNTIME_CONTAINERS_OP_H

#include "runtime/containers.h"
#include "runtime/desk.h"

/*
 * Takes it over, with its answers cleared. -1: it is refused, and answered. What it is answered with
 * as found is freed after its done.
 */
int ql_containers_op_take(struct ql_desk *desk, struct ql_containers_op *op);

struct ql_containers_op *ql_containers_op_of(struct ql_ticket *ticket);

#endif
