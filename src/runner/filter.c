#include "runner/filter.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

/* Written by make_filter.c. */
static const struct sock_filter instructions[] = {
#include "runner/filter.inc"
};

int
ql_filter_load(struct ql_err *e)
{
	const struct sock_fprog program = {
		.len = sizeof(instructions) / sizeof(instructions[0]),
		.filter = (struct sock_filter *)instructions,
	};
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return ql_fail_sys(e, "load the sandbox's system call filter");
	return 0;
}
