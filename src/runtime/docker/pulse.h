/*
 * Whether a daemon is there that is only asked when something is to be done: a small question now and then,
 * counted by the breaker as every other call. So its absence shows before anybody needs it, and so does
 * its return.
 */
#ifndef QL_RUNTIME_DOCKER_PULSE_H
#define QL_RUNTIME_DOCKER_PULSE_H

#include "runtime/docker/api.h"

#define QL_DOCKER_PULSE_MS 3000 /* from an answer to the next question */
#define QL_DOCKER_PULSE_AGAIN_MS 250 /* after none, where the breaker has no longer pause */
#define QL_DOCKER_MUTE_MS 2000 /* without an answer it shows as away, long before calls give up */

/* All is zero but docker. */
struct ql_docker_pulse {
	struct ql_docker *docker;
	struct ql_docker_call call;
	struct ql_docker_later later;
	int64_t asked_at; /* the first question since the last answer; 0 = all are answered */
};

void ql_docker_pulse_start(struct ql_docker_pulse *pulse);
void ql_docker_pulse_stop(struct ql_docker_pulse *pulse);

/* The breaker's word, or that the daemon says nothing any more; the name is the caller's to give. */
void ql_docker_pulse_show(const struct ql_docker_pulse *pulse, struct ql_dependency *ret);

#endif
