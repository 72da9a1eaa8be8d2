/* What /proc says of one process. Nothing is kept open; a pid may have changed hands since. */
#ifndef QL_PROOF_PROCESS_H
#define QL_PROOF_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ql_process {
	int32_t pid;
	int32_t ppid;
	uint64_t start; /* field 22 of stat: with the pid and the boot, its name for ever */
	int64_t cpu_us; /* that it used, and its children that it has waited for; by the clock's ticks */
	char state; /* Z and X are dead; an unreaped zombie still has a /proc entry */
	char name[20];
};

/* -1 when there is no such process. */
int ql_process_read(int32_t pid, struct ql_process *ret_process);

/* It exists and is neither a zombie nor another one under a recycled pid. */
bool ql_process_lives(int32_t pid, uint64_t start);

/* Signal masks, bit n-1 for signal n. -1 when it can't be read. */
int ql_process_signals(int32_t pid, uint64_t *ret_pending, uint64_t *ret_caught);

/* The whole of what a signal meets there. -1 when it can't be read. */
struct ql_process_masks {
	uint64_t pending; /* to it or to its group */
	uint64_t blocked;
	uint64_t ignored;
	uint64_t caught;
	int32_t tracer; /* pid; 0 = none */
};
int ql_process_masks(int32_t pid, struct ql_process_masks *ret_masks);

/* Where in the kernel it waits; "" when it waits nowhere or that is not to be told. */
void ql_process_wchan(int32_t pid, char *ret_text, size_t size);

/* «12 (python3), state D in request_wait_answer, SIGKILL pending» */
void ql_process_describe(int32_t pid, char *ret_text, size_t size);

/*
 * Reads a /proc (or cgroup) file of at most size-1 bytes and ends it with a NUL. The length, or -1
 * with errno.
 */
int ql_process_file(const char *path, char *ret_text, size_t size);

#endif
