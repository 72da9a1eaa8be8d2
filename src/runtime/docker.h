/* The Docker drivers: settings and how they are opened. */
#ifndef QL_RUNTIME_DOCKER_H
#define QL_RUNTIME_DOCKER_H

#include "runtime/containers.h"
#include "runtime/docker_api.h"

struct ql_docker_config {
	struct ql_docker_address address;
	const char *label; /* "quell.eval_id={eval_id}", or NULL */
	const char *name; /* "eval-{eval_id}", or NULL; one of the two there must be */
};

/* Does not wait for the daemon: one that is away shows in health. */
int ql_containers_docker_open(uv_loop_t *loop, const struct ql_docker_config *config,
	struct ql_containers **ret_containers, struct ql_err *e);

#endif
