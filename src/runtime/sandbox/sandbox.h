/*
 * The sandbox driver's inside. It speaks to one quell-runner for each run (runner/proto.h), holds
 * no truth of its own, and gets it again from the supervisor, or from the one that recovers for
 * a dead one, whenever a connection is made.
 *
 * Of a run it has in memory: whom to answer (asks), one connection (link), and, when the
 * supervisor is a child of this process, its pidfd, to wait for it without a race. So a live
 * run takes two descriptors, one after the server came back.
 */
#ifndef QL_RUNTIME_SANDBOX_SANDBOX_H
#define QL_RUNTIME_SANDBOX_SANDBOX_H

#include <uthash.h>

#include "runtime/desk.h"
#include "runtime/sandbox/errand.h"
#include "runtime/sandbox/child.h"
#include "runtime/sandbox/wire.h"

#define QL_SANDBOX_RUNS_MAX 4096 /* runs in memory */
#define QL_SANDBOX_READS 64 /* messages taken of one run in one turn of the loop */
#define QL_SANDBOX_RETRY_MS 5 /* before a supervisor is tried again; doubled each time */
#define QL_SANDBOX_RETRY_MAX_MS 1000 /* up to this */
#define QL_SANDBOX_TRIES 6 /* broken connections in a row before the callers are told */

struct ql_sandbox {
	struct ql_runtime runtime;
	struct ql_desk desk;
	struct ql_alarm retries;
	char *runner;
	char *run_dir; /* absolute */
	int runs; /* descriptor of run_dir */
	char instance[QL_RUN_NAME];
	int64_t uid_base;
	char limits[QL_PROBE_TEXT];
	struct ql_sandbox_run *by_name;
	struct ql_sandbox_run *doomed; /* not found any more; freed once all of them is told */
	struct ql_sandbox_child *children;
	struct ql_sandbox_listing *listings;
	size_t run_count;
	int open_parts; /* desk, retries, links, children, errands: all end before it is freed */
	bool closing;
	void (*closed)(void *arg);
	void *closed_arg;
};

/* One thing that a run was asked for. `op` is NULL for what a purge asks by itself. */
struct ql_sandbox_ask {
	struct ql_sandbox_ask *prev, *next;
	struct ql_sandbox_run *run;
	struct ql_runtime_op *op;
	enum ql_act_kind kind; /* NONE: a purge, which is never sent itself */
	int32_t epoch;
	bool sent; /* over the present link */
};

struct ql_sandbox_run {
	struct ql_news news;
	struct ql_sandbox *sandbox;
	UT_hash_handle hh;
	struct ql_sandbox_run *prev, *next; /* among the doomed */
	uint64_t incarnation;
	enum ql_sandbox_state {
		QL_SANDBOX_IDLE, /* over, and its supervisor left; the next act reaches it again */
		QL_SANDBOX_REACHING, /* an errand is on its way */
		QL_SANDBOX_WAITING, /* to send the next one */
		QL_SANDBOX_LINKED,
		QL_SANDBOX_DOOMED,
	} state;
	struct ql_sandbox_link *link;
	struct ql_sandbox_ask *asks; /* in the order in which they came */
	struct ql_heap_node retry;
	int tries; /* connections that failed since one answered */
	bool is_starting; /* the errand on its way is a start */
	bool is_fresh; /* made by us, and it never told anything */
	bool is_known; /* truth is set */
	bool is_purging; /* one of its asks is a purge: nothing is sighted of it */
	struct ql_runner_truth truth;
};

/* ---- run.c: what becomes of a run ---- */

/* A new one, by name; NULL when out of memory. */
struct ql_sandbox_run *ql_sandbox_run_new(struct ql_sandbox *sandbox, uint64_t incarnation);

struct ql_sandbox_run *ql_sandbox_run_find(struct ql_sandbox *sandbox, uint64_t incarnation);

/* Frees all, at the end of a close. */
void ql_sandbox_run_free(struct ql_sandbox_run *run);

/* Queues it behind what was asked before; -1 when out of memory. */
int ql_sandbox_ask(struct ql_sandbox_run *run, struct ql_runtime_op *op, enum ql_act_kind kind);
void ql_sandbox_ask_free(struct ql_sandbox_ask *ask);

/* Sends what can be sent, or sets out to reach the supervisor. */
void ql_sandbox_go_on(struct ql_sandbox_run *run);

/* The supervisor's message; and its hang-up, or what it said that makes no sense. */
void ql_sandbox_told(struct ql_sandbox_run *run, const struct ql_runner_tell *tell);
void ql_sandbox_hung_up(struct ql_sandbox_run *run, const struct ql_err *why);

/* ---- reach.c: errands ---- */

/* launch is NULL to reach a run; else it is started, and launch is the errand's to free. */
void ql_sandbox_reach(struct ql_sandbox_run *run, struct ql_launch *launch);

/* How the errand ended; run.c. */
void ql_sandbox_reached(struct ql_sandbox_run *run, const struct ql_errand *errand);

/* By what the host knows it: as its supervisor wrote it down; list.c. */
int ql_sandbox_names(struct ql_runtime *runtime, uint64_t incarnation,
	struct ql_run_names *ret_names, struct ql_err *e);

/* Answers a list; list.c. */
void ql_sandbox_list(struct ql_runtime *runtime, struct ql_runtime_list *op);
void ql_sandbox_list_dropped(struct ql_desk *desk, struct ql_runtime_list *op);

/* ---- link.c: connections and children ---- */

/* Owns conn from then on, also when it fails. */
int ql_sandbox_link(struct ql_sandbox_run *run, int conn, struct ql_err *e);

/* 1: sent. 0: later, ql_sandbox_go_on is called when it may be tried again. -1: it hung up. */
int ql_sandbox_send(struct ql_sandbox_run *run, const struct ql_runner_ask *ask);

/* Lets go of the connection; the run goes on. */
void ql_sandbox_unlink(struct ql_sandbox_run *run);

/* Waits for the supervisor when it ends. Owns pidfd. */
void ql_sandbox_mind(struct ql_sandbox *sandbox, int pidfd);
void ql_sandbox_leave_children(struct ql_sandbox *sandbox);

/* One of open_parts ended; sandbox.c. */
void ql_sandbox_part_closed(struct ql_sandbox *sandbox);

#endif
