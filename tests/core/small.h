/*
 * A world small enough to be searched whole: one evaluation, two runs at the most, two stops of
 * different strength, and whatever else may happen, in any order, each a choice: an act arrives or
 * is lost, a message arrives, arrives twice or is lost, the program exits, the worker dies, the
 * kernel keeps what was killed, the server crashes, time goes on to the next deadline, be it while
 * something is still on its way.
 */
#ifndef TESTS_CORE_SMALL_H
#define TESTS_CORE_SMALL_H

#include "base/buf.h"
#include "core/step.h"

#define SMALL_RUNS 2
#define SMALL_PIPE 3
#define SMALL_NET 5
#define SMALL_STOPS 2
#define SMALL_CHOICES 64

/* How a worker takes a message. */
enum small_take {
	SMALL_HOLDS = 1, /* it may hold it first, and then begin, drop or give it back */
	SMALL_FLIES = 2, /* it is in the air first: no look sees it, and no time passes */
};

/* What there is room for in a world: how often each may happen. */
struct small_rules {
	const char *name;
	enum ql_mode stops[SMALL_STOPS];
	enum ql_rung tops[SMALL_STOPS];
	bool remote;
	bool adopts; /* the task is another producer's: its first stop comes with its adoption */
	int64_t ahead_ms;
	int takes; /* bits of enum small_take */
	bool prompt; /* acts arrive at once; only what is told of them takes its time */
	int crashes, losses, doubles, worker_losses, stuck, redeliveries, finishes, restores;
	int lates; /* deadlines that pass while something is on its way */
	int produces; /* messages that another producer sends late */
	int backs; /* held ones that are given back */
	int retries; /* ends that are no ends: it is delivered again */
};

/* Left or retried: its message lives on, in the queue or as another run. */
enum small_phase {
	SMALL_NEVER,
	SMALL_HELD,
	SMALL_RUNNING,
	SMALL_EXITED,
	SMALL_GONE,
	SMALL_AIR,
	SMALL_LEFT,
	SMALL_RETRIED
};

/* Without padding: worlds are told apart by their bytes. */
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct small_act {
	int32_t kind;
	int32_t epoch;
};

struct small_run {
	struct small_act pipe[SMALL_PIPE]; /* on their way to it, in their order */
	int32_t pipe_len;
	int32_t phase;
	int32_t sent; /* before its exit */
	int32_t code; /* -1 = by signal */
	int32_t signal;
	int32_t said; /* it removed its notice */
	int32_t barred, ran, lost, stuck, forgotten;
	int32_t warned; /* its worker knows that it must drop it */
	int32_t overlooked; /* it was in the air at a look, and no look had counted before */
	int32_t told_finish; /* its exit before any signal was told to the server */
	int64_t term_at; /* when its first SIGTERM was decided */
};

struct small_message {
	int32_t kind; /* enum ql_event_kind */
	int32_t run;
	int32_t epoch;
	int32_t answers;
};

struct small_world {
	struct ql_state state; /* durable */
	int64_t now;
	int64_t stops_left; /* bits */
	struct small_run runs[SMALL_RUNS];
	struct small_message net[SMALL_NET]; /* to the server, in no order */
	int32_t net_len;
	int32_t message; /* in the broker's queue */
	int32_t message_of; /* the attempt of which Quell sent one: none is sent twice */
	struct small_act broker; /* on its way to it; kind 0 = none */
	int32_t crashes, losses, doubles, worker_losses, stuck, redeliveries, finishes, restores;
	int32_t lates, produces, backs, retries;
	int32_t remote, takes, unknown, asked_kill, may_kill;
};

#pragma GCC diagnostic pop

enum small_choice_kind {
	CHOICE_ACT, /* the first act in the pipe of `run` arrives */
	CHOICE_LOSE_ACT,
	CHOICE_BROKER,
	CHOICE_LOSE_BROKER,
	CHOICE_MESSAGE, /* message `index` arrives */
	CHOICE_LOSE_MESSAGE,
	CHOICE_DOUBLE_MESSAGE, /* it arrives and will again */
	CHOICE_STOP, /* stop `index` is asked for */
	CHOICE_RESTORE,
	CHOICE_CLAIM,
	CHOICE_FINISH, /* the program of `run` exits with 0 */
	CHOICE_OBEY, /* it does what it was asked to last: the word, or death by SIGTERM */
	CHOICE_KEEP, /* the first act of its pipe is a kill, and the kernel keeps it */
	CHOICE_LET_GO, /* the kernel lets it go */
	CHOICE_WORKER_LOSS,
	CHOICE_DELIVERY, /* a worker takes the message */
	CHOICE_HOLD, /* a worker takes the message, and holds it */
	CHOICE_LAND, /* what is in the air runs */
	CHOICE_BEGIN, /* what is held begins, as another run */
	CHOICE_DROP, /* what is held is dropped, as its worker was told */
	CHOICE_BACK, /* what is held goes back to the queue */
	CHOICE_RETRY, /* the program of `run` ends to be delivered again */
	CHOICE_PRODUCE, /* another producer sends the message */
	CHOICE_CRASH,
	CHOICE_TIME,
};

struct small_choice {
	int32_t kind;
	int32_t run;
	int32_t index;
};

void small_begin(const struct small_rules *rules, struct small_world *ret);

/* All that may happen next. */
int small_choices(const struct small_world *world, struct small_choice ret_choices[SMALL_CHOICES]);

/* NULL, or the rule that is broken. `trace` may be NULL. */
const char *small_apply(const struct small_rules *rules, struct small_world *world,
	const struct small_choice *choice, struct ql_buf *trace);

/* The same for all worlds that can't be told apart by what may still come of them. */
uint64_t small_hash(const struct small_world *world);

/* Nothing more can happen to it, and nothing is open. */
bool small_is_over(const struct small_world *world);

/*
 * From here on all faults are over, no message is lost or late, and no program exits by itself:
 * NULL when it comes to its end, else what it hangs in. `trace` may be NULL.
 */
const char *
small_heal(const struct small_rules *rules, struct small_world *world, struct ql_buf *trace);

#endif
