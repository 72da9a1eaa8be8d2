/*
 * The real sandbox as a place of execution: a run folder and quell-runner. When a play is over,
 * nothing may be left of it: no process, no cgroup, no mount, no folder, no descriptor.
 */
#ifndef QL_TESTS_CONTRACT_RUNTIME_DEN_H
#define QL_TESTS_CONTRACT_RUNTIME_DEN_H

#include <sys/types.h>

#include "runtime_suite.h"

struct den {
	const char *runner;
	uv_loop_t *loop;
	char run_dir[64];
	int descriptors; /* open ones, before the play */
	const char *argv[4];
};

void den_setup(struct suite_place *place, uv_loop_t *loop);
struct ql_runtime *den_open(struct suite_place *place);
void den_cast(struct suite_place *place, enum suite_program program, struct ql_launch *launch);
void den_lose(struct suite_place *place, uint64_t incarnation);
void den_teardown(struct suite_place *place);

/* Open descriptors of this process. */
int den_descriptors(void);

/* The run's supervisor, or 0. */
pid_t den_supervisor(const struct den *den, uint64_t incarnation);

#endif
