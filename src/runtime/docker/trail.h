/*
 * What the containers of one evaluation wrote, kept in one folder: begun when the first of them is killed or
 * salvaged, as who waits for a container may remove it as soon as it is dead, and over when nobody has
 * asked for it for a while.
 */
#ifndef QL_RUNTIME_DOCKER_TRAIL_H
#define QL_RUNTIME_DOCKER_TRAIL_H

#include "runtime/docker/containers.h"

#define QL_DOCKER_TRAILS_MAX 256 /* at once; each holds two files open */
#define QL_DOCKER_TRAIL_MS 60000 /* since anybody asked for it */

/* Found by its folder, or begun: what is in that folder is emptied then. */
struct ql_docker_trail *ql_docker_trail(struct ql_docker_containers *driver, const char *keep_dir,
	int64_t output_max, struct ql_err *e);

/* The one of that folder, or NULL: nobody began it. */
struct ql_docker_trail *
ql_docker_trail_find(struct ql_docker_containers *driver, const char *keep_dir);

/* Reads this container's logs until it ends, unless they are read or were: what broke goes on where it did. */
int
ql_docker_trail_follow(struct ql_docker_trail *trail, const char *id, bool tty, struct ql_err *e);

/* Reads what was not read yet of one that has ended. */
int
ql_docker_trail_finish(struct ql_docker_trail *trail, const char *id, bool tty, struct ql_err *e);

/* 0: all is there. 1: some is on its way. -1: e says what is missing. */
int ql_docker_trail_state(const struct ql_docker_trail *trail, struct ql_err *e);

/* The bytes that are kept so far. */
const struct ql_keep *ql_docker_trail_keep(const struct ql_docker_trail *trail);

void ql_docker_trails_stop_all(struct ql_docker_containers *driver);

#endif
