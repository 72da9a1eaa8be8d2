/* What the fake driver does to its farm; and the farm's inside, for its two files: the machine and the test's hand. */
#ifndef QL_BROKER_FAKE_FARM_H
#define QL_BROKER_FAKE_FARM_H

#include "broker/fake.h"
#include "runtime/alarm.h"

struct ql_farm_worker {
	struct ql_farm_worker *prev, *next;
	struct ql_farm *farm;
	char node[QL_TASK_NODE];
	int concurrency;
	int prefetch;
	int running;
	int held;
	bool away;
	bool silent; /* nothing comes from it any more, */
	bool known; /* which a driver knows that heard of it before, or was told of it */
	bool kept; /* and that told who keeps it */
};

struct ql_farm_message {
	struct ql_farm_message *prev, *next;
	struct ql_farm_task *task;
	char *bytes;
	struct ql_farm_program program;
	struct ql_heap_node due;
	struct ql_farm_run *copy_of; /* a redelivery: not in the queue until due */
	bool ready; /* a worker may take it */
	bool marked; /* any worker drops it */
};

struct ql_farm {
	uv_loop_t *loop;
	struct ql_alarm messages_due;
	struct ql_alarm runs_due;
	int open_parts; /* of the two alarms, once it is freed */
	struct ql_farm_task *tasks;
	struct ql_farm_message *messages; /* next one first */
	struct ql_farm_worker *workers;
	struct ql_farm_run *runs;
	struct ql_farm_run *by_name;
	uint64_t deliveries;
	bool down;
	bool cut;
	int64_t remembers; /* until when it knows what was done */

	/*
	 * The driver that is open on it, or NULL. happened: to a run; back: somebody is there again, a worker or (all) the
	 * broker itself.
	 */
	void (*happened)(void *arg, struct ql_farm_run *run, enum ql_event_kind kind);
	void (*back)(void *arg, bool all);
	void *arg;
};

int ql_farm_program_parse(const char *bytes, struct ql_farm_program *ret, struct ql_err *e);

/* Never NULL: a test's world without memory has nothing to tell. */
struct ql_farm_task *ql_farm_name_task(struct ql_farm *farm, const char *task_id);
struct ql_farm_run *ql_farm_find(const struct ql_farm *farm, uint64_t incarnation);

/* -1 when its words make no sense. */
int
ql_farm_put(struct ql_farm *farm, struct ql_farm_task *task, const char *bytes, struct ql_err *e);

/* Takes every message of it out; the bytes are kept in the task. False: there was none. */
bool ql_farm_remove(struct ql_farm *farm, struct ql_farm_task *task);

/* Workers begin what they may begin of what they hold, and take what they have room for. */
void ql_farm_work(struct ql_farm *farm);

/* A run that was held goes back to the queue. */
void ql_farm_give_back(struct ql_farm *farm, struct ql_farm_run *run);

void ql_farm_notice(struct ql_farm *farm, struct ql_farm_task *task);
void ql_farm_terminate(struct ql_farm *farm, struct ql_farm_run *run);
void ql_farm_kill(struct ql_farm *farm, struct ql_farm_run *run, int64_t grace_ms);

#endif
