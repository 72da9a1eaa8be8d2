/*
 * The system calls that a program in the sandbox is denied: those by which it could get new
 * rights over the kernel (namespaces, mounts, keys, bpf, perf, modules, io_uring …) or over others.
 * Built once by the supervisor, loaded by each process that is given up to the run.
 */
#ifndef QL_RUNNER_FILTER_H
#define QL_RUNNER_FILTER_H

#include <linux/filter.h>

#include "base/err.h"

struct ql_filter {
	struct sock_fprog program; /* filter is owned */
};

int ql_filter_build(struct ql_filter *ret_filter, struct ql_err *e);

/* For the calling process and all that comes of it. Needs no_new_privs. */
int ql_filter_load(const struct ql_filter *filter, struct ql_err *e);

void ql_filter_done(struct ql_filter *filter);

#endif
