#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proof/process.h"

/* Stops itself, so that the parent knows that it has come that far. */
static pid_t
start_child(void (*prepare)(void))
{
	pid_t pid = fork();
	if (pid == 0) {
		prepare();
		raise(SIGSTOP);
		for (;;)
			pause();
	}
	int status;
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

static void
end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
become_odd(void)
{
	prctl(PR_SET_NAME, "a) Z (1 2");
}

static void
catch_term(void)
{
	signal(SIGTERM, exit);
	signal(SIGHUP, SIG_IGN);
}

static void
a_name_cannot_forge_the_fields(void **state)
{
	(void)state;
	struct ql_process process;
	pid_t pid = start_child(become_odd);
	assert_int_equal(ql_process_read(pid, &process), 0);
	assert_int_equal(process.pid, pid);
	assert_int_equal(process.ppid, getpid());
	assert_string_equal(process.name, "a) Z (1 2");
	assert_int_equal(process.state, 'T');
	assert_true(process.start > 0);
	end_child(pid);
}

static void
a_process_lives_under_its_own_start_time(void **state)
{
	(void)state;
	struct ql_process process;
	pid_t pid = start_child(become_odd);
	assert_int_equal(ql_process_read(pid, &process), 0);
	assert_true(ql_process_lives(pid, process.start));
	assert_false(ql_process_lives(pid, process.start + 1));
	end_child(pid);
	assert_false(ql_process_lives(pid, process.start));
}

static void
a_zombie_is_dead(void **state)
{
	(void)state;
	struct ql_process process;
	siginfo_t info;
	pid_t pid = start_child(become_odd);
	assert_int_equal(ql_process_read(pid, &process), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_false(ql_process_lives(pid, process.start));
	assert_int_equal(ql_process_read(pid, &process), 0);
	assert_int_equal(process.state, 'Z');
	end_child(pid);
	assert_int_equal(ql_process_read(pid, &process), -1);
}

static void
signals_are_told_apart(void **state)
{
	(void)state;
	uint64_t pending;
	uint64_t caught;
	pid_t pid = start_child(catch_term);
	assert_int_equal(ql_process_signals(pid, &pending, &caught), 0);
	assert_true(caught & 1ULL << (SIGTERM - 1));
	assert_false(caught & 1ULL << (SIGHUP - 1));
	assert_false(pending & 1ULL << (SIGTERM - 1));
	kill(pid, SIGTERM);
	assert_int_equal(ql_process_signals(pid, &pending, &caught), 0);
	assert_true(pending & 1ULL << (SIGTERM - 1));
	end_child(pid);
	assert_int_equal(ql_process_signals(pid, &pending, &caught), -1);
}

static void
a_description_says_who_and_how(void **state)
{
	(void)state;
	char text[160];
	char want[64];
	pid_t pid = start_child(become_odd);
	ql_process_describe(pid, text, sizeof(text));
	snprintf(want, sizeof(want), "%d (a) Z (1 2), state T", pid);
	assert_memory_equal(text, want, strlen(want));
	end_child(pid);
	ql_process_describe(pid, text, sizeof(text));
	snprintf(want, sizeof(want), "%d, gone since", pid);
	assert_string_equal(text, want);
}

static void
a_file_is_read_up_to_the_room_for_it(void **state)
{
	(void)state;
	char text[4];
	assert_int_equal(ql_process_file("/proc/self/stat", text, sizeof(text)), 3);
	assert_int_equal(strlen(text), 3);
	assert_int_equal(ql_process_file("/proc/self/nothing", text, sizeof(text)), -1);
	assert_int_equal(errno, ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_cannot_forge_the_fields),
		cmocka_unit_test(a_process_lives_under_its_own_start_time),
		cmocka_unit_test(a_zombie_is_dead),
		cmocka_unit_test(signals_are_told_apart),
		cmocka_unit_test(a_description_says_who_and_how),
		cmocka_unit_test(a_file_is_read_up_to_the_room_for_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
