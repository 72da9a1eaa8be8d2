/*
 * The fake broker: a farm of virtual queues, workers, tasks and results, and a driver that speaks to it
 * as the Celery driver speaks to its own. For tests of whatever stands above the seam.
 *
 * The farm outlives the driver: a server's crash is a driver closed and another one opened on the
 * same farm. It remembers every delivery for ever, so that a test can hold what was said of a run
 * against what really happened to it.
 *
 * What a task does is written in its message, or in the code of which one is made, as words:
 *
 *	wait=MS|never		it lies in the queue that long before a worker takes it (0)
 *	hold=MS|never		a worker has it for that long before it begins it (0)
 *	put_back=N		and gives it back to the queue N times instead (0)
 *	after=MS|never		it runs that long (0)
 *	exit=N			0: SUCCESS then, else FAILURE (0)
 *	retries=N		it ends with RETRY N times first, and is delivered again (0)
 *	redeliver=MS|never	that long after it was begun it is delivered once more (never)
 *	term=die|swallow	what its worker's SIGTERM does: ends it, or nothing
 *	notice=ignore|stop	what a notice does: nothing, or it stops, after
 *	notice_after=MS
 *	containers=N		it runs in N containers: a kill ends them first (0)
 *	stuck=MS|never		no hand reaches its process for that long after a kill (0)
 *	linger=MS|never		something of it is left for that long after its end (0)
 *	deaf=1			the worker that takes it has not heard of its tombstone
 *	cpu=MS			it uses so much processor time, from its begin on (0)
 *	tag=TEXT		nothing; it tells two messages apart
 *
 * Who has it, has not begun it and is not asked tells nothing; all else is told as it happens. What
 * happens while the broker or a worker is away is told when it is back.
 */
#ifndef QL_BROKER_FAKE_H
#define QL_BROKER_FAKE_H

#include <uthash.h>

#include "broker/broker.h"
#include "core/record.h"
#include "runtime/fake/words.h"

struct ql_farm_program {
	int64_t wait; /* -1 = never, here and below */
	int64_t hold;
	int64_t put_back;
	int64_t after;
	int64_t exit;
	int64_t retries;
	int64_t redeliver;
	int64_t notice_after;
	int64_t containers;
	int64_t stuck;
	int64_t linger;
	int64_t cpu;
	int64_t deaf;
	enum ql_farm_term { QL_FARM_TERM_DIE, QL_FARM_TERM_SWALLOW } term;
	enum ql_farm_notice { QL_FARM_NOTICE_IGNORE, QL_FARM_NOTICE_STOP } notice;
	char tag[QL_FAKE_TEXT_SIZE];
};

enum ql_farm_phase {
	QL_FARM_HELD,
	QL_FARM_RUNNING,
	QL_FARM_EXITED, /* and something of it is left */
	QL_FARM_GONE,
	QL_FARM_LEFT, /* given back, retried, or begun as another run */
};

/* All deliveries of one task, and what is kept of it. */
struct ql_farm_task {
	char task_id[QL_TASK_ID];
	char eval_id[QL_EVAL_ID]; /* whose it is; "" = nobody has said so yet */
	int32_t attempt;
	int sent; /* how often a message of it came into a queue by a sender */
	int ran; /* how often it was begun */
	int retried;
	int put_back;
	bool buried; /* the driver that is open was given its tombstone */
	bool told; /* workers know of it */
	bool noticed;
	bool was_sent; /* by the driver: asked again it sends none */
	char *removed; /* the bytes that were taken out */
	int64_t boxes; /* containers that run on where their worker died */
	int32_t fenced; /* the epoch of the last REMOVE or FORGET: an earlier ENQUEUE is too late */
	struct ql_farm_run *end; /* whose end is in the result backend, or NULL */
	UT_hash_handle hh;
};

/* One delivery as it really is. */
struct ql_farm_run {
	struct ql_farm_run *prev, *next; /* oldest first */
	uint64_t incarnation;
	struct ql_farm_task *task;
	struct ql_farm_worker *worker; /* NULL once that is dead */
	enum ql_farm_phase phase;
	struct ql_farm_program program;
	bool ran;
	bool stuck;
	bool lost; /* its worker died */
	bool forgotten; /* by the engine */
	bool seen; /* by the driver */
	int acts[QL_ACT_COUNT]; /* how often each reached it */
	int placed; /* how many of these brought with them where it is */
	int exit_code;
	int exit_signal;
	enum ql_rung sent;
	int32_t flags;
	int64_t begun_at; /* of ql_alarm_ms */

	/* the farm's own */
	struct ql_heap_node due;
	enum ql_farm_next {
		QL_FARM_NEXT_BEGIN,
		QL_FARM_NEXT_END,
		QL_FARM_NEXT_NOTICE_END,
		QL_FARM_NEXT_TERM,
		QL_FARM_NEXT_UNSTUCK,
		QL_FARM_NEXT_VANISH,
	} what_next;
	bool ready; /* held, and it may begin when its worker has room */
	char *bytes;
	UT_hash_handle hh;
};

struct ql_farm;
struct ql_farm_worker;

/* NULL when out of memory. */
struct ql_farm *ql_farm_new(uv_loop_t *loop);

/* Only without a driver. The farm is freed by the loop's next turns. */
void ql_farm_free(struct ql_farm *farm);

/* A worker that runs so many tasks at once, and holds so many more. There is none at first. */
struct ql_farm_worker *
ql_farm_hire(struct ql_farm *farm, const char *node, int concurrency, int prefetch);

/* It goes on with what it has, takes nothing, and answers nothing. */
void ql_farm_set_away(struct ql_farm_worker *worker, bool away);

/* Away, for so long that looks are made without it, and say so. Until it is back. */
void ql_farm_set_silent(struct ql_farm_worker *worker);

/* What it holds goes back to the queue, what it runs is lost but for its containers, and it is no more. */
void ql_farm_kill_worker(struct ql_farm_worker *worker);

/* Workers forget the tombstones that no open driver tells them. */
void ql_farm_restart_workers(struct ql_farm *farm);

/* The broker itself: nothing is taken, told or answered until it is back. */
void ql_farm_set_down(struct ql_farm *farm, bool down);

/* The driver's way to it: workers go on, and the driver hears and reaches nothing until it is back. */
void ql_farm_set_cut(struct ql_farm *farm, bool cut);

/* Another producer's message. */
void ql_farm_send(struct ql_farm *farm, const char *task_id, const char *bytes);

/* NULL when nobody ever named it. */
const struct ql_farm_task *ql_farm_task(const struct ql_farm *farm, const char *task_id);

/* The bytes of its first message that waits in the queue, or NULL; and how many there are. */
const char *ql_farm_queued(const struct ql_farm *farm, const char *task_id);
int ql_farm_count(const struct ql_farm *farm, const char *task_id);

/* Every delivery that ever was, oldest first. */
const struct ql_farm_run *ql_farm_runs(const struct ql_farm *farm);

/* The last one of that task, or NULL. */
const struct ql_farm_run *ql_farm_last(const struct ql_farm *farm, const char *task_id);

/* Deliveries that are held, running, stuck or left over; and messages that lie in the queue. */
int ql_farm_alive(const struct ql_farm *farm);
int ql_farm_waiting(const struct ql_farm *farm);

/* What of it lies in the queue or is held for a time, or for ever, waits no longer. */
void ql_farm_hurry(struct ql_farm *farm, const char *task_id);

/* What is stuck or left over goes away now. */
void ql_farm_let_go(struct ql_farm *farm, uint64_t incarnation);

/* One driver at a time; QL_E_CONFLICT for a second. */
int ql_broker_fake_open(struct ql_farm *farm, struct ql_broker **ret_broker, struct ql_err *e);

#endif
