/* The stage of a play: a loop, the driver that is open on it, and all that was seen of each run. */
#ifndef QL_TESTS_CONTRACT_RUNTIME_STAGE_H
#define QL_TESTS_CONTRACT_RUNTIME_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <cmocka.h>

#include "runtime_suite.h"

struct seen {
	struct ql_event event;
	char text[200];
};

/* One operation; the stage's, until stage_done. */
struct cue {
	struct ql_runtime_op op;
	struct stage *stage;
	struct cue *next;
	struct ql_launch launch;
	char keep_dir[96];
	int done; /* how often */
	int status;
};

struct stage {
	uv_loop_t loop;
	uv_timer_t patience;
	uv_timer_t pulse; /* turns the loop while a file is waited for */
	struct suite_place *place;
	struct ql_runtime *runtime;
	struct seen *seen;
	size_t seen_count;
	struct cue *cues; /* newest first */
	size_t read_from; /* stage_await looks from here on */
	bool submitting; /* nothing may be called back now */
	bool closed;
	bool impatient;
	char keep_dir[64];

	/* called at each sighting, when set: to act from within one */
	void (*on_sight)(struct stage *stage, const struct ql_event *event);
};

/* Setup and teardown of a play: *state is its place, and the stage while it is played. */
int stage_set(void **state);
int stage_clear(void **state);

void stage_close_driver(struct stage *stage);
void stage_open_driver(struct stage *stage);

/* Submits and returns at once. Every act of a play has an epoch of its own. */
struct cue *stage_submit(struct stage *stage, enum ql_act_kind kind, uint64_t incarnation);
struct cue *stage_submit_for(
	struct stage *stage, enum ql_act_kind kind, uint64_t incarnation, int64_t timeout_ms);
struct cue *stage_start(struct stage *stage, uint64_t incarnation, enum suite_program program,
	int32_t slot, int64_t timeout_ms);

/* Runs the loop until it is done: its status. */
int stage_finish(struct stage *stage, struct cue *cue);
void stage_finish_all(struct stage *stage);

/* Submits and finishes; refused returns the code of its error. */
int stage_act(struct stage *stage, enum ql_act_kind kind, uint64_t incarnation);
enum ql_code stage_refused(struct stage *stage, enum ql_act_kind kind, uint64_t incarnation);
int stage_purge(struct stage *stage, uint64_t incarnation);

/*
 * A fresh run of that program, seen HELD; and one that is released, seen RUNNING, and has written
 * something if it is one that stays, so that it is set up for what comes.
 */
uint64_t stage_hold(struct stage *stage, enum suite_program program);
uint64_t stage_run(struct stage *stage, enum suite_program program);

/* Runs the loop until that was seen of the run, since stage_forget_seen. */
const struct seen *stage_await(struct stage *stage, uint64_t incarnation, enum ql_event_kind kind);
void stage_until(struct stage *stage, bool (*is)(struct stage *stage, void *arg), void *arg);
/* The same for what the loop doesn't tell: it is looked at every millisecond. */
void stage_await_pulse(struct stage *stage, bool (*is)(struct stage *stage, void *arg), void *arg);
void stage_forget_seen(struct stage *stage);

/* How often that was seen of the run, since stage_forget_seen. */
int stage_count(const struct stage *stage, uint64_t incarnation, enum ql_event_kind kind);

/* Where in all that was seen; -1 when it was not. */
int stage_place(const struct stage *stage, uint64_t incarnation, enum ql_event_kind kind);

/* How much output of it is kept so far; and waits until it is that much. */
int64_t stage_kept(const struct stage *stage, uint64_t incarnation);
void stage_await_output(struct stage *stage, uint64_t incarnation, int64_t bytes);

/* Whether list names it now. */
bool stage_listed(struct stage *stage, uint64_t incarnation);

#endif
