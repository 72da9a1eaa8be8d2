/*
 * Docker's news of its containers, as it comes: hints to look, never truth. The stream is opened
 * again whenever it ends, for as long as this lives; so it is also what finds out that a daemon
 * which was away is back.
 */
#ifndef QL_RUNTIME_DOCKER_EVENTS_H
#define QL_RUNTIME_DOCKER_EVENTS_H

#include "base/buf.h"
#include "runtime/docker/api.h"

#define QL_DOCKER_EVENT_MAX (256 << 10) /* bytes of one event: all of a container's labels */
#define QL_DOCKER_REPLAY_S 60 /* of events that are asked for again, for what fell into a gap */
#define QL_DOCKER_AGAIN_MS 250 /* before a stream that ended is opened again */

struct ql_docker_events {
	struct ql_docker *docker;
	const char *label; /* whose key the container must have; NULL = any */
	/* action is "create", "start", "die" and so on */
	void (*happened)(void *owner, const char *action, const char *id, const json_t *attributes,
		int64_t at);
	/* The stream is being opened: what happened before it is only in a list. */
	void (*opened)(void *owner);
	void *owner;

	struct ql_docker_call call;
	struct ql_docker_later later;
	struct ql_buf line;
};

/* All is zero but docker, label and what is called. */
void ql_docker_events_start(struct ql_docker_events *events);
void ql_docker_events_stop(struct ql_docker_events *events);

#endif
