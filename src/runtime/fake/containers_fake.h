/*
 * Fake containers that others started: a world of them, and a driver for it. For tests of whatever
 * stands above the seam. The world outlives the driver, as containers outlive a server; a test
 * makes and starts them, and reads what became of them.
 */
#ifndef QL_RUNTIME_FAKE_CONTAINERS_FAKE_H
#define QL_RUNTIME_FAKE_CONTAINERS_FAKE_H

#include "runtime/containers.h"

struct ql_fake_container {
	struct ql_fake_container *prev, *next;
	char id[QL_CONTAINER_ID];
	char eval_id[129];
	enum ql_fake_container_state {
		QL_FAKE_CONTAINER_CREATED,
		QL_FAKE_CONTAINER_RUNNING,
		QL_FAKE_CONTAINER_EXITED,
		QL_FAKE_CONTAINER_REMOVED, /* the world remembers it */
	} state;
	int exit_code; /* once it has exited; 137 when it was killed */
	int kills; /* that it was sent */
	int64_t started_at; /* unix ms; the test's, too */
	bool news; /* of which no hint was given yet */
	bool followed; /* what it wrote is kept though it was removed: its kill said so */

	/* the test's, to be set any time */
	int64_t cpu_us; /* that it used; -1 = nobody knows */
	bool immortal; /* a kill has no effect */
	bool oom;
	const char *out, *err; /* what it wrote; NULL = nothing */
};

struct ql_fake_containers {
	uv_loop_t *loop;
	struct ql_fake_container *all;
	int64_t count;
	int64_t clock; /* of starts, where a test sets none */
	struct ql_containers *driver; /* that is open on it, or NULL */

	/* the test's, to be set any time */
	bool away; /* the daemon does not answer: each operation is refused, and bans end nothing */
	bool blind; /* bans end nothing, as nothing of it is seen */
	int32_t unasked; /* what KILL says that it could not ask */
};

struct ql_fake_containers *ql_fake_containers_new(uv_loop_t *loop);

/* No driver is open on it. */
void ql_fake_containers_free(struct ql_fake_containers *world);

/* One of that evaluation, not started; the world's. NULL when out of memory. */
struct ql_fake_container *
ql_fake_container_add(struct ql_fake_containers *world, const char *eval_id);

/* -1: it was removed. One under a ban is dead at once. */
int ql_fake_container_start(struct ql_fake_containers *world, struct ql_fake_container *container);
void ql_fake_container_exit(
	struct ql_fake_containers *world, struct ql_fake_container *container, int exit_code);

int ql_containers_fake_open(
	struct ql_fake_containers *world, struct ql_containers **ret_containers, struct ql_err *e);

#endif
