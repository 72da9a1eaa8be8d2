/* The stage of a play: the driver that is open, what was asked of it, and all that was seen. */
#ifndef QL_TESTS_CONTRACT_BROKER_STAGE_H
#define QL_TESTS_CONTRACT_BROKER_STAGE_H

#include "broker_suite.h"

/* One operation; the stage's, until its end. */
struct cue {
	struct ql_runtime_op op;
	struct stage *stage;
	struct cue *next;
	struct ql_launch launch;
	char eval_id[64];
	char task_id[64];
	int done; /* how often */
	int status;
};

struct seen {
	struct ql_sighting *sighting;
	struct seen *prev, *next; /* oldest first */
};

struct stage {
	struct broker_place *place;
	uv_loop_t loop;
	uv_timer_t pulse;
	struct ql_broker *broker;
	struct cue *cues; /* newest first */
	struct seen *seen;
	bool submitting; /* nothing may be called back now */
	bool closed;
	int tasks; /* named so far */
	int backs; /* how often the broker was said to be back, since the driver was opened */
};

/* One play's own task: eval_id s0e1, task_id celery-s0e1. */
struct name {
	char eval_id[64];
	char task_id[64];
};
struct name stage_name(struct stage *stage);

int stage_open(struct stage *stage, struct broker_place *place);
void stage_close(struct stage *stage);
void stage_open_driver(struct stage *stage);
void stage_close_driver(struct stage *stage);

/* Submits and returns at once. Every act of a play has an epoch of its own. */
struct cue *stage_submit(struct stage *stage, enum ql_act_kind kind, const struct name *name,
	uint64_t incarnation, int64_t timeout_ms);
struct cue *
stage_enqueue(struct stage *stage, const struct name *name, enum broker_program program);
struct cue *stage_restore(struct stage *stage, const struct name *name, const char *message);

/* Runs the loop until it is done: its status. */
int stage_finish(struct stage *stage, struct cue *cue);
int stage_act(
	struct stage *stage, enum ql_act_kind kind, const struct name *name, uint64_t incarnation);

/* Runs the loop until that was seen of it; incarnation 0: of any run, or of the task. */
const struct ql_sighting *stage_await(struct stage *stage, const struct name *name,
	enum ql_event_kind kind, uint64_t incarnation);
const struct ql_sighting *stage_await_epoch(
	struct stage *stage, const struct name *name, enum ql_event_kind kind, int32_t epoch);
/* Was ABSENT or EXITED seen, as the answer to a look at the whole task? */
bool stage_has_answer(const struct stage *stage, const struct name *name);
int stage_count(const struct stage *stage, const struct name *name, enum ql_event_kind kind);
/* Of other runs than that one. */
int stage_count_others(
	const struct stage *stage, const struct name *name, enum ql_event_kind kind, uint64_t run);
void stage_forget_seen(struct stage *stage);

/* Turns the loop once; fails the play when more than SUITE_PATIENCE_MS are over since `since`. */
void stage_turn(struct stage *stage, int64_t since, const char *what);

/* Asks for RUNNING until it is seen: how it is named. */
uint64_t stage_running(struct stage *stage, const struct name *name);
/* Ends what runs, whatever it takes, so that the worker is free. */
void stage_end(struct stage *stage, const struct name *name, uint64_t incarnation);

#endif
