/* What the fake driver does to its world. Each of these is one act that reached a run. */
#ifndef QL_RUNTIME_FAKE_WORLD_H
#define QL_RUNTIME_FAKE_WORLD_H

#include "runtime/fake/fake.h"

struct ql_fake_world {
	uv_loop_t *loop;
	struct ql_alarm alarm; /* what comes next of each run */
	struct ql_fake_run *runs;
	int violations;
	bool away; /* as its driver's health tells it */

	/* The driver that is open on it, or NULL: what happens to a run is told here. */
	void (*happened)(void *arg, struct ql_fake_run *run, enum ql_event_kind kind);
	void *arg;
};

/* The run, whatever became of it, or NULL. */
struct ql_fake_run *ql_fake_find(const struct ql_fake_world *world, uint64_t incarnation);

/* A run that is absent so far; NULL when out of memory. */
struct ql_fake_run *ql_fake_add(struct ql_fake_world *world, uint64_t incarnation);

/* A launch that makes no sense is a start that fails. */
void
ql_fake_start(struct ql_fake_world *world, struct ql_fake_run *run, const struct ql_launch *launch);
void ql_fake_release(struct ql_fake_world *world, struct ql_fake_run *run);
void ql_fake_notice(struct ql_fake_world *world, struct ql_fake_run *run);
void ql_fake_terminate(struct ql_fake_world *world, struct ql_fake_run *run);
void ql_fake_kill(struct ql_fake_world *world, struct ql_fake_run *run);
void ql_fake_salvage(struct ql_fake_world *world, struct ql_fake_run *run);
void ql_fake_forget(struct ql_fake_world *world, struct ql_fake_run *run);

#endif
