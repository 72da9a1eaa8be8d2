/* The Docker drivers: settings and how they are opened. */
#ifndef QL_RUNTIME_DOCKER_DOCKER_H
#define QL_RUNTIME_DOCKER_DOCKER_H

#include "runtime/containers.h"
#include "runtime/docker/api.h"

struct ql_docker_config {
	struct ql_docker_address address;
	const char *label; /* "quell.eval_id={eval_id}", or NULL */
	const char *name; /* "eval-{eval_id}", or NULL; one of the two there must be */
};

/* Does not wait for the daemon: one that is away shows in health. */
int ql_containers_docker_open(uv_loop_t *loop, const struct ql_docker_config *config,
	struct ql_containers **ret_containers, struct ql_err *e);

struct ql_docker_runtime_config {
	struct ql_docker_address
		address; /* of a daemon on this host: it shares folders with its runs */
	const char *run_dir; /* absolute, 0700, on a disk: one folder a run */
	const char *image; /* for evaluations that name none, or NULL */
};

/* Quell's own runs in Docker: containers with no network and no rights, made held. */
int ql_runtime_docker_open(uv_loop_t *loop, const struct ql_docker_runtime_config *config,
	struct ql_runtime **ret_runtime, struct ql_err *e);

#endif
