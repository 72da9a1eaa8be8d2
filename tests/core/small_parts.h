/* The inside of a small world, shared by its files alone. */
#ifndef TESTS_CORE_SMALL_PARTS_H
#define TESTS_CORE_SMALL_PARTS_H

#include "small.h"

/* Deadlines as different as they need to be to come in any order. */
#define SMALL_GRACE 3000
#define SMALL_TIMEOUT 20000

extern const struct ql_policy small_local;

static inline bool
small_is_alive(const struct small_run *run)
{
	return run->phase == SMALL_HELD || run->phase == SMALL_RUNNING ||
	       run->phase == SMALL_EXITED;
}

static inline bool
small_is_settled(const struct ql_state *state)
{
	return ql_status_settled((enum ql_status)state->status);
}

/* ---- small_pipe.c ---- */

/* The same message twice on its way is one; where there is no room, it is lost. */
void small_post(struct small_world *world, enum ql_event_kind kind, int run, int32_t epoch,
	enum ql_act_kind answers);
struct small_message small_take(struct small_world *world, int index);
void small_push(struct small_run *run, const struct ql_act *act);
struct small_act small_pull(struct small_run *run);

/* Messages that can't have an effect any more, whatever comes. */
void small_drop_stale(struct small_world *world);

/* ---- small_server.c: each says which rule is broken, or NULL ---- */

const char *small_feed(const struct small_rules *rules, struct small_world *world,
	struct ql_event *event, struct ql_buf *trace);
const char *small_feed_message(const struct small_rules *rules, struct small_world *world,
	const struct small_message *message, struct ql_buf *trace);

/* SIGKILL arrives at a program that runs. */
const char *small_check_grace(const struct small_world *world, const struct small_run *run);

/* ---- small_place.c ---- */

/* The first act in the pipe of a run arrives; `keeps`: it is a kill, and the kernel keeps the run. */
const char *small_arrive(struct small_world *world, int which, bool keeps);
void small_arrive_at_broker(struct small_world *world);
/* What a worker does with a message: the choices from DELIVERY to RETRY. */
void small_work(struct small_world *world, const struct small_choice *choice);
void small_end(struct small_world *world, int which, int32_t code, int32_t signal);
void small_crash(struct small_world *world);

#endif
