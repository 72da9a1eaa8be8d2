/* What Docker or Podman say of a container, read from their JSON. Its opinion, never proof. */
#ifndef QL_RUNTIME_DOCKER_STATE_H
#define QL_RUNTIME_DOCKER_STATE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/containers.h"

#define QL_DOCKER_ID 65 /* 64 hex digits and a NUL */

struct ql_docker_state {
	char id[QL_DOCKER_ID];
	char name[QL_CONTAINER_NAME];
	char image[QL_CONTAINER_IMAGE];
	char word[16]; /* its state in one word */
	char started[40]; /* the time of its last start, as written: another one is another life */
	int64_t started_at; /* unix ms; 0 = never */
	int64_t finished_at; /* unix ms; 0 = not yet */
	int64_t pid; /* in the daemon's numbers; 0 = none */
	int exit_code;
	bool running;
	bool paused;
	bool restarting;
	bool created; /* it was never started: a start that is under way would win over a kill */
	bool oom;
	bool armed; /* a restart policy would bring it back */
	bool tty; /* its output is one stream without frames */
	char host_file
		[PATH_MAX]; /* a file that the daemon keeps of it, on its own host; "" = none */
};

/* Of an inspect's reply. -1 when it is none. */
int ql_docker_state_read(const json_t *json, struct ql_docker_state *ret_state);

/* "/eval-1" or "eval-1" as "eval-1"; NULL when there is none. */
const char *ql_docker_name(const json_t *name);

/* 64 hex digits: everything else is a name or a short form, which another may take. */
bool ql_docker_is_id(const char *text);

#endif
