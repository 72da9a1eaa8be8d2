#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proof/process.h"
#include "proof/proof.h"

#define BIT(check) (1 << QL_CHECK_##check)

/* A child that is past its exec: its environment and arguments are its own. */
static pid_t
start_child(const char *path, char *const *argv, char *const *env)
{
	int fds[2];
	char byte;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		execve(path, argv, env);
		_exit(1);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 0);
	close(fds[0]);
	return pid;
}

static pid_t
start_sleeper(void)
{
	char *argv[] = {(char *)"sleep", (char *)"60", NULL};
	char *env[] = {NULL};
	return start_child("/bin/sleep", argv, env);
}

static uint64_t
start_of(pid_t pid)
{
	struct ql_process process;
	assert_int_equal(ql_process_read(pid, &process), 0);
	return process.start;
}

static void
end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static struct ql_proof
prove(struct ql_proof_subject subject)
{
	struct ql_proof proof;
	ql_prove(&subject, &proof);
	assert_int_equal(proof.passed & proof.failed, 0);
	assert_int_equal((proof.passed | proof.failed) & proof.unasked, 0);
	assert_int_equal(!proof.failed, !proof.text[0]);
	return proof;
}

static void
who_knows_nothing_proves_nothing(void **state)
{
	(void)state;
	struct ql_proof proof = prove((struct ql_proof_subject){.pidfd = -1});
	assert_int_equal(proof.passed | proof.failed, 0);
	assert_true(proof.unasked & BIT(CGROUP));
	assert_false(ql_proof_holds(&proof));
}

static void
marks_alone_are_no_proof(void **state)
{
	(void)state;
	struct ql_proof proof = prove((struct ql_proof_subject){
		.pidfd = -1, .mark = "QUELL_RUN=nobody", .mount = "quell-nobody"});
	assert_int_equal(proof.passed, BIT(MARKS) | BIT(MOUNTS));
	assert_false(ql_proof_holds(&proof));
}

static void
a_pidfd_says_when_it_is_over(void **state)
{
	(void)state;
	siginfo_t info;
	pid_t pid = start_sleeper();
	struct ql_proof_subject subject = {.pidfd = pidfd_open(pid, 0), .init_pid = pid};
	struct ql_proof proof = prove(subject);
	assert_int_equal(proof.failed, BIT(PIDFD));
	assert_int_equal(proof.left, 1);
	assert_int_equal(proof.pids[0], pid);
	assert_non_null(strstr(proof.text, "(sleep), state"));
	kill(pid, SIGKILL);
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	proof = prove(subject);
	assert_int_equal(proof.failed, 0);
	assert_true(ql_proof_holds(&proof));
	close(subject.pidfd);
	end_child(pid);
}

static void
a_pid_counts_with_its_start_time_only(void **state)
{
	(void)state;
	pid_t pid = start_sleeper();
	struct ql_proof_subject subject = {
		.pidfd = -1, .init_pid = pid, .init_start = start_of(pid)};
	assert_int_equal(prove(subject).failed, BIT(PIDFD));
	subject.init_start++;
	assert_int_equal(prove(subject).passed, BIT(PIDFD));
	end_child(pid);
}

static uint64_t
own_pidns(void)
{
	struct stat st;
	assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
	return st.st_ino;
}

/* Our own namespace in the run's place: it is full of others. */
static void
a_namespaces_number_is_anothers_once_its_init_is_dead(void **state)
{
	(void)state;
	pid_t pid = start_sleeper();
	struct ql_proof_subject subject = {.pidfd = -1,
		.init_pid = pid,
		.init_start = start_of(pid),
		.pidns = own_pidns(),
		.uid = getuid()};
	assert_int_equal(prove(subject).failed, BIT(PIDFD) | BIT(PIDNS));
	end_child(pid);
	assert_int_equal(prove(subject).failed, 0);
	assert_int_equal(prove(subject).passed, BIT(PIDFD) | BIT(PIDNS));
	subject.init_pid = 0;
	assert_int_equal(prove(subject).failed, 0);
	subject.pinned = true;
	struct ql_proof proof = prove(subject);
	assert_int_equal(proof.failed, BIT(PIDNS));
	assert_true(proof.left >= 1);
}

#define CROWD 64

/* PID 1 of a namespace with many others, half of them orphans. Each holds `alive`. */
static void
be_init(int alive)
{
	for (int i = 0; i < CROWD; i++) {
		if (fork())
			continue;
		if (i % 2 == 0 || fork() == 0) {
			for (;;)
				pause();
		}
		_exit(0);
	}
	if (write(alive, "x", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static pid_t
start_namespace(int *ret_pidfd, int *ret_alive)
{
	int fds[2];
	char byte;
	struct clone_args args = {
		.flags = CLONE_NEWPID | CLONE_PIDFD | (geteuid() ? CLONE_NEWUSER : 0u),
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = SIGCHLD,
	};
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		be_init(fds[1]);
	close(fds[1]);
	*ret_alive = fds[0];
	assert_true(pid > 0 || errno == EPERM);
	assert_true(pid < 0 || read(fds[0], &byte, 1) == 1);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	return pid;
}

/* What the verifier relies on, of the kernel. */
static void
a_namespace_is_empty_as_soon_as_its_init_is_seen_dead(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		int pidfd = -1, alive;
		char byte;
		pid_t pid = start_namespace(&pidfd, &alive);
		if (pid < 0)
			skip(); /* an ordinary user who may have no namespaces */
		assert_int_equal(read(alive, &byte, 1), -1);
		assert_int_equal(kill(pid, SIGKILL), 0);
		struct pollfd dead = {.fd = pidfd, .events = POLLIN};
		assert_int_equal(poll(&dead, 1, 10000), 1);
		assert_int_equal(read(alive, &byte, 1), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		close(pidfd);
		close(alive);
	}
}

static void
a_mark_is_found_where_its_uid_is(void **state)
{
	(void)state;
	char *argv[] = {(char *)"sleep", (char *)"60", NULL};
	char *env[] = {(char *)"A=1", (char *)"QUELL_RUN=unit-test", (char *)"B=2", NULL};
	pid_t pid = start_child("/bin/sleep", argv, env);
	struct ql_proof_subject subject = {
		.pidfd = -1, .mark = "QUELL_RUN=unit-test", .uid = getuid()};
	struct ql_proof proof = prove(subject);
	assert_int_equal(proof.failed, BIT(MARKS));
	assert_int_equal(proof.pids[0], pid);
	subject.mark = "QUELL_RUN=unit-tes";
	assert_int_equal(prove(subject).failed, 0);
	subject.mark = "QUELL_RUN=unit-test";
	subject.uid = getuid() + 1;
	assert_int_equal(prove(subject).failed, 0);
	end_child(pid);
}

static int32_t
prove_arguments(const char *first, const char *second, const char *third)
{
	const struct ql_proof_subject subject = {.pidfd = -1, .folder = "/run/unit"};
	char *const env[] = {NULL};
	char *const argv[] = {(char *)"x", (char *)first, (char *)second, (char *)third, NULL};
	pid_t pid = start_child("/proc/self/exe", argv, env);
	struct ql_proof proof = prove(subject);
	assert_true(!proof.failed || proof.pids[0] == pid);
	end_child(pid);
	return proof.failed;
}

static void
only_a_supervisors_fork_has_its_arguments(void **state)
{
	(void)state;
	assert_int_equal(prove_arguments("start", "/run/unit", NULL), BIT(MARKS));
	assert_int_equal(prove_arguments("start", "/run/unit2", NULL), 0);
	assert_int_equal(prove_arguments("recover", "/run/unit", NULL), 0);
	assert_int_equal(prove_arguments("/run/unit", NULL, NULL), 0);
	assert_int_equal(prove_arguments("-f", "start", "/run/unit"), 0);
}

/* A folder with the two files that the verifier reads of a cgroup. */
static void
make_cgroup(char *folder, const char *events, const char *procs)
{
	char path[96];
	const char *const texts[][2] = {{"cgroup.events", events}, {"cgroup.procs", procs}};
	assert_non_null(mkdtemp(folder));
	for (int i = 0; i < 2; i++) {
		if (!texts[i][1])
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, texts[i][0]);
		FILE *file = fopen(path, "w");
		assert_non_null(file);
		fputs(texts[i][1], file);
		fclose(file);
	}
}

static void
drop_cgroup(const char *folder)
{
	char path[96];
	snprintf(path, sizeof(path), "%s/cgroup.events", folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	unlink(path);
	rmdir(folder);
}

static int32_t
prove_cgroup(const char *events, const char *procs)
{
	char folder[] = "/tmp/quell-unit-XXXXXX";
	const char *cgroups[] = {"/tmp/quell-unit-nowhere", folder, NULL};
	make_cgroup(folder, events, procs);
	struct ql_proof proof = prove((struct ql_proof_subject){.pidfd = -1, .cgroups = cgroups});
	drop_cgroup(folder);
	assert_int_equal(proof.passed | proof.failed, BIT(CGROUP));
	return proof.failed;
}

static void
a_cgroup_is_asked_as_its_version_wants(void **state)
{
	(void)state;
	char self[32];
	snprintf(self, sizeof(self), "%d\n", getpid());
	assert_true(prove_cgroup("populated 1\nfrozen 0\n", self));
	assert_false(prove_cgroup("populated 0\nfrozen 0\n", ""));
	assert_true(prove_cgroup(NULL, self));
	assert_false(prove_cgroup(NULL, ""));
	assert_false(prove_cgroup(NULL, NULL));
}

static void
another_boot_is_the_end_of_everything(void **state)
{
	(void)state;
	pid_t pid = start_sleeper();
	struct ql_proof_subject subject = {.boot_id = "00000000-0000-4000-8000-000000000000",
		.pidfd = -1,
		.init_pid = pid,
		.init_start = start_of(pid),
		.pidns = own_pidns(),
		.pinned = true};
	struct ql_proof proof = prove(subject);
	assert_int_equal(proof.failed | proof.unasked, 0);
	assert_true(ql_proof_holds(&proof));
	subject.boot_id = "";
	assert_true(prove(subject).failed);
	end_child(pid);
}

static void
count(void *arg, int32_t pid)
{
	(void)pid;
	++*(int *)arg;
}

static void
nobody_is_to_be_ended_for_a_mark(void **state)
{
	(void)state;
	int found = 0;
	char *argv[] = {(char *)"sleep", (char *)"60", NULL};
	char *env[] = {(char *)"QUELL_RUN=unit-test", NULL};
	pid_t pid = start_child("/bin/sleep", argv, env);
	struct ql_proof_subject subject = {
		.pidfd = -1, .mark = "QUELL_RUN=unit-test", .uid = getuid()};
	assert_true(prove(subject).failed);
	ql_proof_each(&subject, count, &found);
	assert_int_equal(found, 0);
	assert_false(ql_proof_matches(&subject, pid));
	subject.init_pid = pid;
	subject.init_start = start_of(pid);
	ql_proof_each(&subject, count, &found);
	assert_int_equal(found, 1);
	assert_true(ql_proof_matches(&subject, pid));
	end_child(pid);
}

int
main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1) /* somebody to be looked at */
		return pause();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_knows_nothing_proves_nothing),
		cmocka_unit_test(marks_alone_are_no_proof),
		cmocka_unit_test(a_pidfd_says_when_it_is_over),
		cmocka_unit_test(a_pid_counts_with_its_start_time_only),
		cmocka_unit_test(a_namespaces_number_is_anothers_once_its_init_is_dead),
		cmocka_unit_test(a_namespace_is_empty_as_soon_as_its_init_is_seen_dead),
		cmocka_unit_test(a_mark_is_found_where_its_uid_is),
		cmocka_unit_test(only_a_supervisors_fork_has_its_arguments),
		cmocka_unit_test(a_cgroup_is_asked_as_its_version_wants),
		cmocka_unit_test(another_boot_is_the_end_of_everything),
		cmocka_unit_test(nobody_is_to_be_ended_for_a_mark),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
