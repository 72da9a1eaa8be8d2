/*
 * One way to run a program apart from the rest: how it is started, ended, and cleaned up after.
 * All times are microseconds of the wall clock, as the program itself tells its own.
 */
#ifndef QL_BENCH_SUBJECT_H
#define QL_BENCH_SUBJECT_H

#include <stdint.h>
#include <sys/types.h>

struct trial {
	const char *folder; /* empty, for the files of this trial */
	const char *helper; /* quell-runner's path, or runc's bundle */
	int number;
	int out; /* where the program's output can be read */
	pid_t outer; /* our child */
	int victim; /* pidfd of what has to be dead, or -1 */
	int wire; /* quell: the connection to the supervisor */
	int64_t dead; /* when its death was proven */
};

/* Each exits with a sentence when it can't go on: a benchmark has nobody to report to. */
struct subject {
	const char *name;
	void (*start)(struct trial *trial);
	void (*kill)(struct trial *trial);
	void (*clean)(struct trial *trial);
};

extern const struct subject subject_plain, subject_bwrap, subject_runc, subject_quell;

/* Says when it began, in seconds with six decimals, and then waits to be killed. */
extern const char program[];

int64_t now_us(void);

/* Spawns argv (NULL-terminated) with fd N from fds[N], or /dev/null where that is -1. */
pid_t spawn(const char *const *argv, const int *fds, int count);

/* Opens a pidfd and waits, for ten seconds at most, until it says that the process is dead. */
int open_pid(pid_t pid);
void wait_dead(int pidfd);

_Noreturn void give_up(const char *what);

#endif
