/*
 * A Docker daemon of the test's own: on its own folder and socket, without a network, with its own
 * containerd, ended by its pid. Its one image is made from the host's busybox; no registry is asked.
 * Whatever fails here fails the test.
 */
#ifndef QL_TESTS_DOCKER_DAEMON_H
#define QL_TESTS_DOCKER_DAEMON_H

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#include "runtime/docker/api.h"
#include "runtime/docker/state.h"

#define DAEMON_IMAGE "quell-test:1"
#define DAEMON_PATIENCE_MS 60000

struct daemon {
	char folder[64];
	char host[128]; /* unix://… */
	int pid, pidfd; /* 0, -1: it doesn't run */

	/* while it is attached to a loop */
	uv_loop_t *loop;
	struct ql_docker *docker; /* the test's own client */
	bool closed;
};

/* NULL, or why no daemon can be started here. */
const char *daemon_missing(void);

void daemon_start(struct daemon *daemon);

/* The test's own client, on that loop; and away again, with every container removed. */
void daemon_attach(struct daemon *daemon, uv_loop_t *loop);
void daemon_detach(struct daemon *daemon);

/* SIGKILL to dockerd, of which its containerd dies; the containers live on. And another one in its place. */
void daemon_kill(struct daemon *daemon);
void daemon_restart(struct daemon *daemon);

/* SIGSTOP and SIGCONT: it is there, but says nothing. */
void daemon_freeze(struct daemon *daemon, bool on);

/* Ends it, and removes its folder. It is not attached. */
void daemon_stop(struct daemon *daemon);

/* A call that the test waits for: the HTTP status; the reply is the caller's, ret_json may be NULL. */
int daemon_ask(struct daemon *daemon, const char *method, json_t *body, json_t **ret_json,
	const char *path, ...) __attribute__((format(printf, 5, 6)));

/* A container of that image running `sh -c script`, not started. extra (or NULL) is taken over. */
void daemon_create(struct daemon *daemon, const char *name, const char *eval_id, const char *script,
	json_t *host_config, char ret_id[static QL_DOCKER_ID]);
int daemon_run(struct daemon *daemon, const char *id); /* starts it: the HTTP status */

/* -1: it is not there. */
int daemon_look(struct daemon *daemon, const char *id, struct ql_docker_state *ret_state);

/* A live process that belongs to the container, by its cgroup; 0 = none. */
int32_t daemon_alive(const char *id);

#endif
