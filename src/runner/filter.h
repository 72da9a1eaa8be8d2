/* The system calls that a program in the sandbox is denied; see make_filter.c for which and why. */
#ifndef QL_RUNNER_FILTER_H
#define QL_RUNNER_FILTER_H

#include "base/err.h"

/* For the calling process and all that comes of it, for ever. Needs no_new_privs. */
int ql_filter_load(struct ql_err *e);

#endif
