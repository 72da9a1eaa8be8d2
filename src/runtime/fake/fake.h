/*
 * The fake runtime: a world of virtual programs, and a driver that speaks to it as the real ones
 * speak to theirs. For tests of whatever stands above the seam. No process is made; the only
 * thing on disk is what a program «wrote» into its keep_dir.
 *
 * The world outlives the driver: a server's crash is a driver closed and another one opened on
 * the same world. It remembers every run for ever, forgotten ones too, so that a test can hold
 * what was said of a run against what really happened to it.
 *
 * What a program does is written in its code, or else in its argv, as words in any order:
 *
 *	after=MS|never		runs that long once released (0)
 *	exit=N			its exit code then (0)
 *	signal=N		or the signal that it dies of then
 *	oom=1			that was its memory limit: signal 9
 *	start=ok|fail|never	whether its held start works; never: nothing is ever heard of it
 *	start_after=MS		how long that takes (0)
 *	term=die|ignore|catch	what SIGTERM does: ends it, nothing, or
 *	term_after=MS		it cleans up for that long and leaves with
 *	term_exit=N		that code
 *	notice=ignore|stop	what a notice does: nothing, or it says that it stopped, after
 *	notice_after=MS		and leaves with
 *	notice_exit=N		that code (0)
 *	stuck=MS|never		SIGKILL has no effect for that long (0)
 *	linger=MS|never		something of it stays for that long after its exit (0)
 *	lost=MS			its supervisor dies that long after its release
 *	output=TEXT		it writes that to stdout once released
 *	checkpoint=N		it leaves a checkpoint of N bytes
 *	cpu=MS			it used so much processor time
 *
 * Any other word makes its start fail, and says so.
 */
#ifndef QL_RUNTIME_FAKE_FAKE_H
#define QL_RUNTIME_FAKE_FAKE_H

#include <uthash.h>

#include "runtime/desk.h"
#include "runtime/fake/words.h"
#include "runtime/runtime.h"

struct ql_fake_program {
	int64_t after; /* -1 = never, here and below */
	int64_t exit;
	int64_t signal;
	int64_t oom;
	int64_t start_after;
	int64_t term_after;
	int64_t term_exit;
	int64_t notice_after;
	int64_t notice_exit;
	int64_t stuck;
	int64_t linger;
	int64_t lost;
	int64_t checkpoint;
	int64_t cpu;
	enum ql_fake_start { QL_FAKE_START_OK, QL_FAKE_START_FAIL, QL_FAKE_START_NEVER } start;
	enum ql_fake_term { QL_FAKE_TERM_DIE, QL_FAKE_TERM_IGNORE, QL_FAKE_TERM_CATCH } term;
	enum ql_fake_notice { QL_FAKE_NOTICE_IGNORE, QL_FAKE_NOTICE_STOP } notice;
	char output[QL_FAKE_TEXT_SIZE];
};

/* The words of one launch. */
int ql_fake_program_parse(
	const struct ql_launch *launch, struct ql_fake_program *ret_program, struct ql_err *e);

enum ql_fake_phase {
	QL_FAKE_ABSENT, /* it was asked for by INSPECT only */
	QL_FAKE_STARTING,
	QL_FAKE_HELD,
	QL_FAKE_RUNNING,
	QL_FAKE_EXITED, /* and something of it is left */
	QL_FAKE_GONE,
	QL_FAKE_FAILED, /* its start failed, and nothing is left */
};

/* One run as it really is. Read by tests; written by the world alone. */
struct ql_fake_run {
	uint64_t incarnation;
	char eval_id[129];
	int32_t attempt;
	int32_t slot;
	enum ql_fake_phase phase;
	bool ran; /* its program was let go */
	bool stuck; /* SIGKILL was sent and it is still there */
	bool lost; /* its supervisor died */
	bool forgotten; /* no driver will ever be told of it again */
	bool denied; /* INSPECT said ABSENT of it: a start after that breaks a promise */
	bool resumed; /* it was given a checkpoint */
	int acts[QL_ACT_COUNT]; /* how often each reached it */
	int exit_code;
	int exit_signal;
	enum ql_rung sent;
	int32_t flags;
	struct ql_fake_program program;

	/* the world's own */
	struct ql_heap_node next_at;
	enum ql_fake_next {
		QL_FAKE_NEXT_START,
		QL_FAKE_NEXT_END,
		QL_FAKE_NEXT_TERM_END,
		QL_FAKE_NEXT_NOTICE_END,
		QL_FAKE_NEXT_LOSS,
		QL_FAKE_NEXT_UNSTUCK,
		QL_FAKE_NEXT_VANISH,
	} next;
	struct ql_news news;
	char *keep_dir;
	struct ql_runtime_op *purge;
	UT_hash_handle hh; /* by incarnation */
};

struct ql_fake_world;

/* NULL when out of memory. */
struct ql_fake_world *ql_fake_world_new(uv_loop_t *loop);

/* Only without a driver. The world is freed by the loop's next turns. */
void ql_fake_world_free(struct ql_fake_world *world);

/* NULL when the world never heard of it. */
const struct ql_fake_run *
ql_fake_world_run(const struct ql_fake_world *world, uint64_t incarnation);

/* Every run that ever was, oldest first; follow hh.next. */
const struct ql_fake_run *ql_fake_world_runs(const struct ql_fake_world *world);

/* Programs that are held, running, stuck or left over right now. */
int ql_fake_world_alive(const struct ql_fake_world *world);

/* How often a driver was asked for what can never be right: a start after ABSENT. */
int ql_fake_world_violations(const struct ql_fake_world *world);

/* Its driver's health says from now on that nothing can be started; what is asked for is done all the same. */
void ql_fake_world_be_away(struct ql_fake_world *world, bool away);

/* The program ends by itself now. No effect on one that doesn't run. */
void ql_fake_world_end(
	struct ql_fake_world *world, uint64_t incarnation, int exit_code, int exit_signal);

/* Its supervisor dies now, and all of it. */
void ql_fake_world_lose(struct ql_fake_world *world, uint64_t incarnation);

/* What is stuck or left over goes away now. */
void ql_fake_world_let_go(struct ql_fake_world *world, uint64_t incarnation);

/* One driver at a time; QL_E_CONFLICT for a second. */
int ql_runtime_fake_open(
	struct ql_fake_world *world, struct ql_runtime **ret_runtime, struct ql_err *e);

#endif
