/*
 * The runtime: where runs live. One seam, with real drivers (sandbox; docker), a fake and a faulty
 * one under one contract suite.
 *
 * A run is named by its incarnation, for ever; a driver maps it to what it really is (supervisor,
 * container id and started-at) and refuses to touch anything else. An operation is a struct
 * embedded in its caller's: `done` is called exactly once, on the loop's thread, never from within
 * the call that submitted it, and at the latest at its deadline. `done` only says whether the act
 * was taken over (a promise); what is true comes through the sink as a sighting (evidence).
 * Giving up at the deadline means «stop waiting», never «it did not happen».
 */
#ifndef QL_RUNTIME_RUNTIME_H
#define QL_RUNTIME_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/breaker.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/heap.h"
#include "core/step.h"

/* Bounds; a refusal names its number. */
#define QL_RUNTIME_OPS_MAX 4096 /* operations open in one driver */
#define QL_RUNTIME_LIST_MS 10000 /* for a list */
#define QL_RUNTIME_LIST_MAX 65536 /* runs in one list */

/* What a held start needs. All strings stay the caller's until the operation is done. */
struct ql_launch {
	const char *eval_id;
	int32_t attempt;
	int32_t slot; /* for the uid; 0 .. workers-1 */
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in the sandbox's PATH */
	const char *const *env; /* "NAME=value", NULL-terminated: the submitter's own */
	const char *code; /* source text, or NULL; the program finds it as code_name */
	size_t code_len;
	const char *code_name; /* "main.py": in the sandbox's working folder for code */
	const char *language; /* as submitted, or NULL */
	const char *queue; /* for a broker: as submitted, or NULL */
	int32_t priority; /* for a broker: 0..9, 9 first */
	const char *image; /* docker only */
	int64_t memory_mb;
	int64_t pids;
	double cpus;
	const char *
		keep_dir; /* made, in a folder that exists, when there is something to put into it */
	const char *checkpoint; /* a tar to unpack into QUELL_CHECKPOINT first, or NULL */
	int64_t output_max; /* bytes of output that are kept */
};

/* What NOTICE tells the program, as JSON in its notice file. */
struct ql_notice {
	const char *reason; /* or NULL */
	int64_t deadline; /* unix ms of the next rung or the run deadline; 0 = none */
};

/* An operation's place in its driver's books: the driver's own, until done. */
struct ql_ticket {
	struct ql_heap_node due;
	struct ql_ticket *prev, *next;
	void (*done)(struct ql_ticket *ticket);
	struct ql_err *err;
	int status;
	bool answered;
};

struct ql_runtime_op {
	/* START, RELEASE, NOTICE, TERMINATE, KILL, INSPECT, SALVAGE, FORGET */
	enum ql_act_kind kind;
	uint64_t incarnation;
	int32_t epoch;
	int64_t timeout_ms; /* from submission */
	const struct ql_launch *launch; /* START, ENQUEUE */
	struct ql_notice notice; /* NOTICE */

	/* for a broker: whose task it is; the caller's until done */
	const char *eval_id;
	const char *task_id;
	int32_t attempt;
	const char *message; /* ENQUEUE: the bytes that a REMOVE took out, or NULL */
	int64_t grace_ms; /* KILL: the task's own, once its container is ended */
	/* KILL, SALVAGE: for what its containers wrote, as in ql_launch; NULL = it isn't kept */
	const char *keep_dir;
	bool once; /* REMOVE: no other producer sent it */
	bool settles; /* REMOVE: no run of it is known, so that it is cancelled once it is out */
	/* REMOVE, INSPECT with incarnation 0: of its containers, too, before it is said */
	enum ql_boxes boxes;
	bool sought; /* INSPECT with incarnation 0: a look some seconds ago found it nowhere */
	bool twin; /* of a run: another one of its attempt is known, whatever became of that */
	const char *
		place; /* of a run: where it is, as was told last and is durable; NULL = it isn't known */
	enum ql_rung
		reached; /* of a run: the strongest means that may have been tried on it before */

	/* 0: taken over. -1: refused or no answer in time, err says which; nothing is known. */
	void (*done)(struct ql_runtime_op *op, int status);
	struct ql_err err;
	struct ql_ticket ticket;
	void *driver; /* the driver's own, until done */
};

/*
 * What was seen of a run: HELD RUNNING EXITED GONE STUCK LOST ABSENT FAILED_START SALVAGED; a broker's: BOXED.
 * event.now is not filled: the engine does that. event.epoch is that of the INSPECT which found a run
 * HELD, so that a late sighting can't pass for a look; 0 in all others.
 */
struct ql_sighting {
	struct ql_event event;
	const char *text; /* a sentence where there is something to say, or NULL */
	const char *container; /* the runtime's id of it, or NULL */
	const char *container_runtime; /* BOXED: of a container that it began */
	const char *container_name;
	const char *container_image;
	int64_t cpu_us; /* GONE: processor time of all of it; 0 = not known */
	int64_t cpu_burnt_us; /* and of it, after the first means of a stop reached it */

	/* a broker's: whose run it is; NULL where the incarnation says it */
	const char *eval_id;
	const char *worker; /* the node that has it, or NULL */
	const char *
		place; /* RUNNING: where it is, in the driver's own words, to be kept for op.place; or NULL */
	const char *message; /* REMOVED: the bytes that were taken out, or NULL */
	bool told; /* REMOVED: its result says so: no letter to that outlet is needed */
};

/* With texts of its own; NULL when out of memory. */
struct ql_sighting *ql_sighting_copy(const struct ql_sighting *sighting);
void ql_sighting_free(struct ql_sighting *copy);

struct ql_runtime_sink {
	void (*sighted)(void *arg, const struct ql_sighting *sighting);
	void *arg;
};

/* Answer of list: every run of which the place of execution has any trace. */
struct ql_runtime_list {
	void (*done)(struct ql_runtime_list *op, int status);
	struct ql_err err;
	uint64_t *incarnations; /* the caller frees them */
	size_t count;
	struct ql_ticket ticket;
	void *driver; /* the driver's own, until done */
};

/* By what the kernel of this host knows the processes of a run. What is not known is 0 or empty. */
#define QL_NAMES_CGROUPS 4
#define QL_NAMES_PATH 384
struct ql_run_names {
	char boot_id[QL_BOOT_ID];
	int32_t init_pid; /* its first process, with its start time */
	uint64_t init_start;
	uint64_t pidns; /* inode */
	bool has_init; /* its first process is Quell's own, and not the program */
	char cgroups[QL_NAMES_CGROUPS][QL_NAMES_PATH]; /* absolute; "" ends them */
};

/* One process of a run, as /proc shows it. Masks have bit n-1 for signal n. */
struct ql_vital {
	int32_t pid;
	int32_t ppid;
	char name[20];
	char parent[20]; /* the name of ppid's process */
	bool init; /* PID 1 of the run */
	bool frozen; /* by a freezer of v1, which need not be the run's */
	char state; /* R S D T t Z … */
	char wchan[64]; /* where in the kernel it waits; "" = nowhere, or not to be told */
	int32_t tracer; /* pid; 0 = none */
	uint64_t pending;
	uint64_t blocked;
	uint64_t ignored;
	uint64_t caught;
};

#define QL_VITALS_MAX 32 /* processes of one run that are looked at */
struct ql_vitals {
	uint64_t incarnation;
	bool asked; /* else `why` says why not */
	char why[QL_ERR_TEXT];
	bool frozen; /* its cgroup, by v2 */
	size_t count;
	size_t more; /* over the bound */
	struct ql_vital all[QL_VITALS_MAX];
};

/* Looks at them; blocks, for moments. It never signals. */
void ql_vitals_read(const struct ql_run_names *names, struct ql_vitals *ret_vitals);

/* The processor time that it used so far, by its cgroups; 0 = they don't say. Reads a file or two. */
int64_t ql_run_cpu_us(const struct ql_run_names *names);

struct ql_runtime;

struct ql_runtime_ops {
	const char *name; /* "sandbox", "docker", "fake" */

	/*
	 * START answers by HELD or FAILED_START; INSPECT by whatever is true now, ABSENT included,
	 * told as the sightings that led to it; SALVAGE by SALVAGED; the others by what they cause.
	 * TERMINATE is SIGTERM then SIGCONT. EXITED is followed by GONE or, when something stays,
	 * STUCK (and GONE once it went). LOST is followed by GONE.
	 *
	 * Acts on one run take effect in the order in which they came. START of a run that is there
	 * starts nothing and tells the truth again. RELEASE, NOTICE and TERMINATE are refused
	 * (CONFLICT) once it has ended, SALVAGE before it is gone. FORGET drops the runtime's record of a run that
	 * is gone, or whose start failed, or that isn't there; of a live one it is refused. All
	 * others are refused (NOT_FOUND) for a run that isn't there. A name is never used again: no
	 * START after ABSENT, FAILED_START or FORGET.
	 */
	void (*act)(struct ql_runtime *runtime, struct ql_runtime_op *op);

	void (*list)(struct ql_runtime *runtime, struct ql_runtime_list *op);

	/*
	 * For a run without a record: kill what is left of it, prove it, drop every trace. op.kind is
	 * not looked at. done says 0 only when nothing is left. Nothing is sighted of it meanwhile.
	 */
	void (*purge)(struct ql_runtime *runtime, struct ql_runtime_op *op);

	/*
	 * Where the run is on this host, for whoever has to say why it lives on; -1 when that is not known. May be
	 * NULL. Reads one small file at most.
	 */
	int (*names)(struct ql_runtime *runtime, uint64_t incarnation,
		struct ql_run_names *ret_names, struct ql_err *e);

	/* Which limits this host enforces, as one line for the log and `doctor`; static text. */
	const char *(*describe)(struct ql_runtime *runtime);

	/* Whether what it starts runs with is there; the name is the caller's to give. NULL: it needs nobody. */
	void (*health)(const struct ql_runtime *runtime, struct ql_dependency *ret_health);

	/* Stops waiting for everything (each open op is done with -1), then calls closed. Runs go on. */
	void (*close)(struct ql_runtime *runtime, void (*closed)(void *arg), void *arg);
};

struct ql_runtime {
	const struct ql_runtime_ops *ops;
	uv_loop_t *loop;
	struct ql_runtime_sink sink; /* set by the engine before the first act */
};

struct ql_sandbox_config {
	const char *runner; /* path of the quell-runner executable */
	/* absolute; <data>/run, 0700: one folder a run, named by its incarnation in hex */
	const char *run_dir;
	int64_t uid_base; /* as root: run in slot N is uid_base + N; 0 = the server's own uid */
};

/*
 * Blocks while it asks the runner what this host enforces. A live run takes two descriptors of the
 * server, one once the server came back to it; an act under way up to four more for a moment.
 */
int ql_runtime_sandbox_open(uv_loop_t *loop, const struct ql_sandbox_config *config,
	struct ql_runtime **ret_runtime, struct ql_err *e);

#endif
