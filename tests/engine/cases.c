#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/kit.h"

#define AT_ONCE 24 /* they wait for time most of the time */
#define CASE_SECONDS 60

/* cmocka catches these and would go on with the next test, in this process too. */
static void
die_of_faults(void)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		signal(faults[i], SIG_DFL);
	alarm(CASE_SECONDS);
}

static void
begin(int number, void (*run)(int number, void *arg), void *arg)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		abort();
	if (pid)
		return;
	die_of_faults();
	run(number, arg);
	exit(0);
}

int
kit_ask_case(int (*run)(void *arg), void *arg)
{
	fflush(NULL);
	pid_t pid = fork();
	if (!pid) {
		die_of_faults();
		exit(run(arg));
	}
	int status;
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		abort();
	return WEXITSTATUS(status);
}

int
kit_cases(int count, void (*run)(int number, void *arg), void *arg)
{
	int failed = 0;
	int begun = 0;
	for (int ended = 0; ended < count; ended++) {
		while (begun < count && begun - ended < AT_ONCE)
			begin(++begun, run, arg);
		int status;
		if (wait(&status) < 0)
			abort();
		failed += status != 0;
		if (WIFSIGNALED(status))
			fprintf(stderr, "# a case ended by signal %d\n", WTERMSIG(status));
	}
	return failed;
}
