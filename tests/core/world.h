/*
 * A hostile world around ql_step, made from a number: a server that crashes before and after each
 * write, a store whose commits fail, a place of execution with stubborn, forking, stuck, lost and
 * redelivered runs, workers that are not Quell's and hold, retry, revoke and lose, a network that loses, doubles, delays and refuses, users who change their
 * minds, a clock that jumps. At `heals_at` all faults end; from then on everything must come to an
 * end. The same number makes the same world.
 *
 * world_main.c turns the wheel, world_server.c is the server and its store, world_place.c the place
 * of execution, world_broker.c the broker and its workers, world_net.c the network between them,
 * world_rules.c says what must never be. All state is in struct world.
 */
#ifndef TESTS_CORE_WORLD_H
#define TESTS_CORE_WORLD_H

#include <setjmp.h>

#include "base/buf.h"
#include "core/step.h"

#define WORLD_ITEMS 512
#define WORLD_RUNS 64
#define WORLD_ACTS 64
#define WORLD_KEPT 64
#define WORLD_ATTEMPTS 16

/* ---- chance ---- */

struct chance {
	uint64_t state;
};

uint64_t chance_next(struct chance *chance);
/* [0, below) */
int64_t chance_int(struct chance *chance, int64_t below);
/* percent of the times */
bool chance_is(struct chance *chance, int percent);

/* ---- what happens when ---- */

enum item_kind {
	ITEM_EVENT, /* arrives at the server */
	ITEM_ACT, /* arrives at the place of execution, or at the broker */
	ITEM_EXIT, /* the program of a run ends, if it still runs */
	ITEM_CLEAR, /* what was left of a run goes by itself */
	ITEM_LOSE, /* the supervisor or host of a run dies */
	ITEM_COMMIT, /* the commit in flight is answered */
	ITEM_CRASH,
	ITEM_RESTART,
	ITEM_CLAIM,
	ITEM_WORKER, /* a worker takes a message from the queue */
	ITEM_TAKEN, /* what it took is in its books: held, running or dropped */
	ITEM_BEGIN, /* it begins what it holds, or drops it, or gives it back */
	ITEM_KILLED, /* the grace after a worker's KILL is over */
	ITEM_PRODUCE, /* another producer sends its message */
	ITEM_REVOKE, /* another than Quell revokes the task */
	ITEM_UNBOX, /* containers that a dead worker left end by themselves */
	ITEM_HEAL,
	ITEM_HELLO, /* after healing: whatever is there is told again */
};

struct item {
	int64_t at;
	int64_t seq;
	enum item_kind kind;
	int run; /* place of the run it is about */
	int32_t generation; /* of the server: what was sent to an earlier one is not heard */
	int32_t attempt; /* ACT on the task: whose message it names */
	int32_t code; /* EXIT */
	int32_t signal;
	struct ql_event event;
	struct ql_act act;
};

/* ---- the place of execution ---- */

/* In the air: out of the queue, and not yet in its worker's books. Left: its message lives on. */
enum place_phase {
	PLACE_NEVER,
	PLACE_AIR,
	PLACE_HELD,
	PLACE_RUNNING,
	PLACE_EXITED,
	PLACE_GONE,
	PLACE_LEFT
};

enum habit { HABIT_IGNORES, HABIT_WORD, HABIT_EXITS, HABIT_DIES };

struct place_run {
	uint64_t incarnation;
	int32_t attempt;
	enum place_phase phase;
	bool barred; /* said to be absent, or killed before it came: it will never be */
	bool ran; /* its program was let go */
	bool lost;
	bool forgotten;
	bool delivered; /* a worker took it from the queue: nobody claimed it */
	int64_t since; /* when the message that it was came into the queue */
	int64_t shown; /* when it, or what was held before it, came into a worker's books */
	bool warned; /* its worker knows that it must drop it */
	bool retries; /* its program ends to be delivered again */
	bool retried; /* it did */
	int64_t channel_at; /* acts arrive in their order */

	/* how its program behaves */
	enum habit on_notice, on_term;
	bool stubborn_remains; /* something stays after its exit until it is killed */
	bool stuck; /* the kernel keeps it until the world heals */
	bool saves_checkpoint;
	int64_t ends_in; /* after its release; 0 = never by itself */
	int32_t end_code, end_signal;
	bool end_oom;

	/* how it ended */
	enum ql_rung sent; /* strongest so far, while it lives */
	bool kill_waits; /* SIGKILL is delivered and the kernel keeps it */
	bool ended; /* by an exit that its supervisor saw */
	int32_t exit_code, exit_signal, flags;

	/* kept by the rules */
	int64_t term_decided_at; /* the first TERMINATE for it was decided */
	bool stray; /* a kill on sight was decided */
};

/* ---- the server ---- */

struct batch {
	bool any;
	struct ql_state state; /* after the last decision in it */
	int act_count;
	struct ql_act acts[WORLD_ACTS];
	int kept_count;
	struct ql_event kept[WORLD_KEPT]; /* sightings, to be fed again if it fails */
};

/* What was asked of an attempt, by the rules' own account. */
struct asked {
	bool kill; /* at once */
	bool may_kill; /* allowed to climb that far */
	int64_t shortest_grace;
};

enum tally {
#define X(tally, word, least) TALLY_##tally,
#include "tally.def"
#undef X
	TALLY_COUNT
};

struct world {
	uint64_t number;
	struct chance chance;
	struct ql_policy policy;
	int64_t now;
	int64_t heals_at;
	bool healed;

	/* percent */
	int loses, doubles, delays, refuses, crashes, fails;

	struct item items[WORLD_ITEMS]; /* a binary heap by (at, seq) */
	int item_count;
	int64_t seq;

	/* the server */
	bool up;
	int32_t generation;
	struct ql_state durable, memory;
	struct batch inflight, gathered;
	int claims; /* runs named so far */
	int idle_times; /* TIME events in a row at one moment */

	/* the place and the broker */
	struct place_run runs[WORLD_RUNS];
	int run_count;
	int messages; /* copies of the task's message in the queue */
	int64_t message_since; /* when it was put there */
	int32_t message_of; /* the attempt whose message was sent */
	int64_t removed_at; /* when it was taken out */
	int redeliveries;
	int retries;
	bool boxed; /* a worker died, and containers of its task run on */
	int32_t boxed_of; /* the last attempt of which that was so */
	int64_t boxed_since;
	bool adopts; /* the task is another producer's */
	bool revoked; /* another than Quell told the workers to drop it */
	bool together; /* the next decision belongs to the same commit */
	bool unknown; /* it was dropped: nobody knew of it */
	bool existed; /* its message was there at some time */
	int64_t looks[64]; /* when the look of an epoch found nothing, by its last bits */
	int64_t patience[64]; /* until when a kill is not spent, by the last bits of its rung_at */
	int64_t believed[64]; /* the look of which a state's absent_at tells, by its last bits */
	int64_t channel_at; /* acts on the queue arrive in their order */

	struct asked asked[WORLD_ATTEMPTS];
	int64_t tallies[TALLY_COUNT]; /* one where it happened in this world */

	struct ql_buf *trace; /* filled when it is to be printed */
	jmp_buf broken; /* a rule was broken: `fault` says which */
	char fault[200];
};

/* Runs the world to its end: 0, or -1 with world->fault. `trace` may be NULL. */
int world_run(struct world *world, uint64_t number, struct ql_buf *trace);

/* ---- between its files ---- */

struct item *world_at(struct world *world, int64_t in_ms, enum item_kind kind);
void world_note(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_fault(struct world *world, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));
void world_tally(struct world *world, enum tally tally);
const char *world_run_name(uint64_t incarnation, char ret_name[16]);

void server_start(struct world *world);
void server_event(struct world *world, const struct ql_event *event);
void server_commit(struct world *world);
void server_crash(struct world *world);
void server_restart(struct world *world);
void server_claim(struct world *world);
/* When it wants a TIME event; 0 = never. */
int64_t server_wake(const struct world *world);

/* A fault of so many percent, until the world heals. */
bool net_happens(struct world *world, int percent);
struct chance *net_luck(struct world *world);
/* To the server: anything; what is seen of a run; whether an act was taken over. */
void net_event(struct world *world, const struct ql_event *event);
void
net_sight(struct world *world, const struct place_run *run, enum ql_event_kind kind, int32_t epoch);
void net_answer(struct world *world, const struct ql_act *act, bool taken);
/* To the place, or to the broker, in the order of sending. */
void net_send(struct world *world, const struct ql_act *act);

/* Tells whatever is true of a run; epoch is that of the INSPECT which asks, or 0. */
void place_tell(struct world *world, struct place_run *run, int32_t epoch);
/* Its program goes; it ends. */
void place_let_go(struct world *world, struct place_run *run);
void
place_end(struct world *world, struct place_run *run, int32_t code, int32_t signal, int32_t flags);
int place_index(const struct world *world, const struct place_run *run);
/* The run of that name, made when the place hears of it first. */
struct place_run *place_make(struct world *world, uint64_t incarnation, int32_t attempt);
void place_act(struct world *world, const struct item *item);
void place_exit(struct world *world, const struct item *item);
void place_clear(struct world *world, int run);
void place_lose(struct world *world, int run);
void place_heal(struct world *world);
void place_hello(struct world *world);
/* Drops every trace of runs that the server has no record of. */
void place_purge(struct world *world);
struct place_run *place_find(struct world *world, uint64_t incarnation);
/* Something of it is there. */
bool place_is_alive(const struct place_run *run);

/* The task's own acts, and what its workers do. */
void broker_act(struct world *world, const struct ql_act *act, int32_t attempt);
void broker_start(struct world *world);
void broker_produce(struct world *world);
void broker_revoke(struct world *world);
void broker_worker(struct world *world);
void broker_taken(struct world *world, int run);
void broker_begin(struct world *world, int run);
void broker_killed(struct world *world, int run);
/* Its program ends by itself: true when that was for another delivery. */
bool broker_retries(struct world *world, struct place_run *run);
bool broker_kill_held(struct place_run *run);
/* Its worker died while it ran: its containers may run on; they are ended with any run that is seen to its end. */
void broker_box(struct world *world, const struct place_run *run);
void broker_unbox(struct world *world);
void broker_put_back(struct world *world, struct place_run *run);
void broker_hello(struct world *world);
/* What can still run of the attempt, of a message that was there before then; NULL = nothing. */
const char *broker_left(const struct world *world, int32_t attempt, int64_t before);
/* A look made then would have found a run of it that is there still. */
bool broker_has(const struct world *world, int32_t attempt, int64_t then);

/* What must never be: each calls world_fault. */
void rules_step(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_decision *decision);
/* The same for a task whose message is elsewhere; part of rules_step. */
void rules_broker(struct world *world, const struct ql_state *was, const struct ql_event *event,
	const struct ql_decision *decision);
void rules_release(struct world *world);
void rules_kill(struct world *world, struct place_run *run);
void rules_unbox(struct world *world);
void rules_durable(struct world *world, const struct ql_state *was);
void rules_end(struct world *world);

#endif
