/* A place for runs in Docker: a daemon of the test's own and a folder. */
#ifndef QL_TESTS_DOCKER_HOUSE_H
#define QL_TESTS_DOCKER_HOUSE_H

#include "../contract/runtime_suite.h"
#include "daemon.h"

struct house {
	struct daemon daemon;
	char run_dir[64];
	const char *image; /* the driver's; set anew for each play */
};

void house_setup(struct suite_place *place, uv_loop_t *loop);
struct ql_runtime *house_open(struct suite_place *place);

/* Every run was purged: no container and no folder may be left. */
void house_teardown(struct suite_place *place);

#endif
