/*
 * A container's output as its daemon kept it, written as base/keep.h says: without a terminal it
 * comes in frames, each with its stream.
 */
#ifndef QL_RUNTIME_DOCKER_LOGS_H
#define QL_RUNTIME_DOCKER_LOGS_H

#include "base/keep.h"
#include "runtime/docker/api.h"

#define QL_DOCKER_LOGS_MS 30000 /* for the logs of one container */

struct ql_docker_logs {
	struct ql_docker *docker;
	struct ql_keep *keep;
	int64_t skip; /* bytes at its beginning that are kept already */
	int64_t kept; /* bytes of it that are kept */
	void (*done)(struct ql_docker_logs *logs, int status);
	void *owner;

	struct ql_err err;
	struct ql_docker_call call;
	bool tty;
	unsigned char head[8];
	size_t head_len; /* of the frame's head, that are here */
	size_t left; /* of the frame's bytes, that are to come */
};

/*
 * All is zero but docker, keep, done and owner. With follow it goes on until the container ends.
 * done is called once, from the loop; -1: it is not.
 */
int ql_docker_logs_start(struct ql_docker_logs *logs, const char *id, bool tty, bool follow);

/* Bytes as they came; for those who read them from elsewhere, too. */
void ql_docker_logs_take(struct ql_docker_logs *logs, const char *data, size_t len);

#endif
