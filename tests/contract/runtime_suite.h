/*
 * What every runtime driver must do, as plays against the seam. A driver's test names its place
 * of execution, what each program is there, and how its world can be hurt; runtime_suite_run
 * then performs all plays. Nothing sleeps: the loop runs until what is waited for was seen, or
 * until SUITE_PATIENCE_MS are over, which fails the play.
 */
#ifndef QL_TESTS_CONTRACT_RUNTIME_SUITE_H
#define QL_TESTS_CONTRACT_RUNTIME_SUITE_H

#include "runtime/runtime.h"

#define SUITE_PATIENCE_MS 20000

enum suite_program {
	PROGRAM_EXIT_3, /* writes "hello" to stdout, exits with 3 */
	PROGRAM_STAYS, /* runs until it is stopped; SIGTERM ends it */
	PROGRAM_IGNORES_TERM, /* runs on */
	PROGRAM_CATCHES_TERM, /* exits with 7 */
	PROGRAM_NOTICED, /* on a notice it removes the file and exits with 0 */
	PROGRAM_CHECKPOINTS, /* leaves something in its checkpoint folder, then exits with 0 */
	PROGRAM_CANNOT, /* its held start fails */
	PROGRAM_COUNT
};

struct suite_place {
	const char *name;
	void *own; /* the place's */

	/* A fresh place of execution on that loop. */
	void (*setup)(struct suite_place *place, uv_loop_t *loop);
	/* Opens the driver on it; again after a close. */
	struct ql_runtime *(*open)(struct suite_place *place);
	/* Fills argv, code and whatever else that program needs; the rest is filled already. */
	void (*cast)(
		struct suite_place *place, enum suite_program program, struct ql_launch *launch);
	int crowd; /* how many runs it takes at once; 0 = 50 */
	/* The run's supervisor dies. NULL: it has none that could die alone. */
	void (*lose)(struct suite_place *place, uint64_t incarnation);
	/* The driver is closed; every run must have gone from the place. */
	void (*teardown)(struct suite_place *place);
};

/* The number of plays that failed. */
int runtime_suite_run(struct suite_place *place);

#endif
