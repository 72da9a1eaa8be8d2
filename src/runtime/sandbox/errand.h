/*
 * Errands: the blocking part of reaching a run, done on a thread of the pool. Each works on the
 * run's folder, by descriptor, and ends with a connection to its supervisor or with the proof
 * that there is none and never was one.
 *
 * Who holds the lock of a run folder answers for the run (runner/proto.h). An errand that gets it
 * either hands it to a supervisor that it spawns, or knows that nobody lives there.
 */
#ifndef QL_RUNTIME_SANDBOX_ERRAND_H
#define QL_RUNTIME_SANDBOX_ERRAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct ql_errand {
	/* in */
	int runs; /* descriptor of run_dir; borrowed */
	const char *run_dir; /* absolute; borrowed */
	const char *runner;
	uint64_t incarnation;
	struct ql_buf spec; /* START: the spec file's content; owned */
	const char *code; /* START: borrowed, or NULL */
	size_t code_len;

	/* out: the owner closes both */
	enum ql_errand_end {
		QL_ERRAND_FAILED, /* err says why; nothing was started by it */
		QL_ERRAND_CONNECTED, /* conn; child when it spawned the supervisor */
		QL_ERRAND_BUSY, /* somebody holds the lock and doesn't answer yet: again soon */
		QL_ERRAND_ABSENT, /* there is no run, and its folder, if there was one, is removed */
	} end;
	int conn;
	int child; /* pidfd, or -1 */
	bool made; /* START: the run is new, it was not there before */
	struct ql_err err;
};

/* A run that isn't there is made and its supervisor spawned; one that is there is reached. */
void ql_errand_start(struct ql_errand *errand);

/* A living supervisor is connected to; for a dead one another is spawned that recovers the run. */
void ql_errand_reach(struct ql_errand *errand);

void ql_errand_done(struct ql_errand *errand);

/*
 * Every name in run_dir that is a run's. The caller frees them. QL_E_LIMIT over
 * QL_RUNTIME_LIST_MAX.
 */
int ql_errand_list(int runs, uint64_t **ret_incarnations, size_t *ret_count, struct ql_err *e);

/* "0123456789abcdef" and back; -1 when it is no run's name. */
#define QL_RUN_NAME 17
void ql_run_name(uint64_t incarnation, char ret_name[static QL_RUN_NAME]);
int ql_run_parse(const char *name, uint64_t *ret_incarnation);

/* What tells the cgroups of this run_dir's runs from another server's: its inode, as a name. */
int ql_run_instance(int runs, char ret_name[static QL_RUN_NAME], struct ql_err *e);

#endif
