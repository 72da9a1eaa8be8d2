/*
 * What every driver for others' containers must do, as plays against the seam. A driver's test names its
 * place: where containers come from and what is true of them there.
 */
#ifndef QL_TESTS_CONTRACT_CONTAINERS_SUITE_H
#define QL_TESTS_CONTRACT_CONTAINERS_SUITE_H

#include "runtime/containers.h"

#define CONTAINERS_PATIENCE_MS 30000

enum containers_program {
	CONTAINER_STAYS, /* runs, and ignores SIGTERM */
	CONTAINER_TALKS, /* writes "out\n" to stdout and "err\n" to stderr, and runs on */
	CONTAINER_EXITS, /* as above, then exits with 3 */
	CONTAINER_ARMED, /* runs; whenever it ends by itself it is restarted */
};

struct containers_place {
	void *own;

	/* A fresh place, without containers. */
	void (*setup)(struct containers_place *place, uv_loop_t *loop);
	struct ql_containers *(*open)(struct containers_place *place);
	/* Of that evaluation, not started. */
	void (*create)(struct containers_place *place, const char *eval_id,
		enum containers_program program, char ret_id[static QL_CONTAINER_ID]);
	/* Whether it could be started; one that exits has done so, one that talks has talked. */
	bool (*start)(struct containers_place *place, const char *id);
	/* Does anything of it live? Of the kernel, not of the driver. */
	bool (*alive)(struct containers_place *place, const char *id);
	bool (*there)(struct containers_place *place, const char *id);
	void (*teardown)(struct containers_place *place);
};

/* The number of plays that failed. */
int containers_suite_run(struct containers_place *place);

#endif
