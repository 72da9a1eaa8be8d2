/*
 * The supervisor's loop: descriptors and one deadline. One event is handled at a time, so that a
 * handler may close any source without another one's event going to it.
 */
#ifndef QL_RUNNER_LOOP_H
#define QL_RUNNER_LOOP_H

#include <stdint.h>

#include "base/err.h"

struct ql_source;
typedef void (*ql_ready_fn)(void *arg, struct ql_source *source, uint32_t events);

/* Embedded in its owner, which sets it up with ql_loop_add. */
struct ql_source {
	int fd; /* owned while it is in the loop; -1 = not in it */
	ql_ready_fn ready;
	void *arg;
};

struct ql_loop {
	int epoll;
};

int ql_loop_init(struct ql_loop *loop, struct ql_err *e);

/* Takes over the descriptor, also when it fails. events: EPOLLIN, EPOLLPRI. */
int ql_loop_add(struct ql_loop *loop, struct ql_source *source, int fd, uint32_t events,
	ql_ready_fn ready, void *arg, struct ql_err *e);

/* Closes the descriptor. No harm when it isn't in. */
void ql_loop_remove(struct ql_loop *loop, struct ql_source *source);

/* Waits for one event and handles it, or until the deadline (ql_sys_now_ms; 0 = none). */
void ql_loop_turn(struct ql_loop *loop, int64_t deadline);

#endif
