/* A loop with the driver for others' containers on it, and operations that a test waits for. */
#ifndef QL_TESTS_DOCKER_STAGE_H
#define QL_TESTS_DOCKER_STAGE_H

#include "runtime/docker/docker.h"

#define STAGE_PATIENCE_MS 60000
#define STAGE_OUTPUT_MAX 1000

struct stage {
	uv_loop_t loop;
	uv_timer_t patience;
	uv_timer_t pulse; /* turns the loop while something else is waited for */
	struct ql_containers *containers;
	char keep_dir[64]; /* "" = nothing is kept */
	bool impatient, closed;
};

struct cue {
	struct ql_containers_op op;
	struct stage *stage;
	int done, status;
	size_t count; /* of what was found; the first of them is kept */
	struct ql_container found;
};

void stage_init(struct stage *stage);
void stage_open(struct stage *stage, const struct ql_docker_config *config);

/* Closes the driver, if it is open; then the loop, on which nothing else is left. */
void stage_close(struct stage *stage);
void stage_done(struct stage *stage);

void stage_turn(struct stage *stage);
void stage_until(struct stage *stage, bool (*is)(void *arg), void *arg);

void stage_submit(struct stage *stage, struct cue *cue, enum ql_containers_kind kind,
	const char *eval_id, int64_t timeout_ms);
int stage_finish(struct cue *cue);
int
stage_act(struct stage *stage, struct cue *cue, enum ql_containers_kind kind, const char *eval_id);

#endif
