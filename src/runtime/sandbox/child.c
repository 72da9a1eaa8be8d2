#include "runtime/sandbox/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/proto.h"
#include "runtime/alarm.h"

#define FIRST_FREE 10 /* above every descriptor that the child is given by number */

static int
add_nulls(posix_spawn_file_actions_t *actions)
{
	for (int fd = 0; fd <= 2; fd++) {
		int error = posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
		if (error)
			return error;
	}
	return 0;
}

/* The server's own dispositions and its mask must not reach the supervisor. */
static int
set_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	int error = posix_spawnattr_setsigmask(attr, &none);
	if (!error)
		error = posix_spawnattr_setsigdefault(attr, &all);
	if (!error)
		error = posix_spawnattr_setflags(
			attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return error;
}

/* from[i] becomes descriptor to[i]; from is above all of to, so that none overwrites another. */
struct handover {
	int from[2];
	int to[2];
	int count;
};

static int
spawn(const char *const *argv, const struct handover *handover, pid_t *ret_pid)
{
	char *const env[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	if ((errno = posix_spawn_file_actions_init(&actions)))
		return -1;
	if ((errno = posix_spawnattr_init(&attr))) {
		posix_spawn_file_actions_destroy(&actions);
		return -1;
	}
	int error = add_nulls(&actions);
	for (int i = 0; i < handover->count && !error; i++)
		error = posix_spawn_file_actions_adddup2(
			&actions, handover->from[i], handover->to[i]);
	if (!error)
		error = set_attributes(&attr);
	if (!error)
		error = posix_spawn(ret_pid, argv[0], &actions, &attr, (char *const *)argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	errno = error;
	return error ? -1 : 0;
}

/* It is our child and not waited for yet, so its pid can't be another's. */
static int
spawn_pidfd(
	const char *const *argv, const struct handover *handover, int *ret_pidfd, struct ql_err *e)
{
	pid_t pid;
	if (spawn(argv, handover, &pid))
		return ql_fail_sys(e, "%s can't be run", argv[0]);
	*ret_pidfd = pidfd_open(pid, 0);
	if (*ret_pidfd >= 0)
		return 0;
	ql_fail_sys(e, "No pidfd for %s", argv[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return -1;
}

static int
raise_fd(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE);
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

int
ql_child_spawn(const char *runner, const char *verb, const char *folder, int lock, int conn,
	int *ret_pidfd, struct ql_err *e)
{
	struct handover handover = {
		.from = {raise_fd(lock), raise_fd(conn)},
		.to = {QL_RUNNER_LOCK_FD, QL_RUNNER_CONN_FD},
		.count = 2,
	};
	int status = -1;
	if (handover.from[0] < 0 || handover.from[1] < 0)
		ql_fail_sys(e, "No descriptors for a supervisor");
	else
		status = spawn_pidfd(
			(const char *const[]){runner, verb, folder, NULL}, &handover, ret_pidfd, e);
	close_fd(handover.from[0]);
	close_fd(handover.from[1]);
	return status;
}

int
ql_child_reap(int pidfd)
{
	siginfo_t info = {0};
	while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED) && errno == EINTR)
		continue;
	close(pidfd);
	return info.si_code == CLD_EXITED ? info.si_status : -1;
}

/* Until its end of file, its bound, or the deadline. */
static int
read_line(int fd, char ret_line[static QL_PROBE_TEXT], struct ql_err *e)
{
	int64_t until = ql_alarm_ms() + QL_PROBE_MS;
	size_t len = 0;
	ssize_t got = 1;
	while (got && len < QL_PROBE_TEXT - 1) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		int64_t left = until - ql_alarm_ms();
		if (left <= 0 || poll(&ready, 1, (int)left) == 0)
			return ql_fail(e, QL_E_TIMEOUT, "no answer within %d ms", QL_PROBE_MS);
		got = read(fd, ret_line + len, QL_PROBE_TEXT - 1 - len);
		if (got < 0 && errno != EINTR)
			return ql_fail_sys(e, "its answer can't be read");
		len += got > 0 ? (size_t)got : 0;
	}
	ret_line[len] = 0;
	ret_line[strcspn(ret_line, "\n")] = 0;
	return len ? 0 : ql_fail(e, QL_E_UNAVAILABLE, "it ended without an answer");
}

static int
take_answer(int pidfd, int fd, char ret_line[static QL_PROBE_TEXT], struct ql_err *e)
{
	int failed = read_line(fd, ret_line, e);
	if (failed)
		pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	int status = ql_child_reap(pidfd);
	if (!failed && status)
		return ql_fail(e, QL_E_UNAVAILABLE, "%s", ret_line);
	return failed;
}

int
ql_child_probe(const char *runner, char ret_line[static QL_PROBE_TEXT], struct ql_err *e)
{
	int ends[2];
	int pidfd;
	if (pipe2(ends, O_CLOEXEC))
		return ql_fail_sys(e, "No pipe for %s", runner);
	struct handover handover = {.from = {raise_fd(ends[1])}, .to = {1}, .count = 1};
	close(ends[1]);
	if (handover.from[0] < 0) {
		close(ends[0]);
		return ql_fail_sys(e, "No descriptor for %s", runner);
	}
	int status =
		spawn_pidfd((const char *const[]){runner, "--probe", NULL}, &handover, &pidfd, e);
	close(handover.from[0]);
	if (!status && (status = take_answer(pidfd, ends[0], ret_line, e)))
		ql_err_prefix(e, "%s --probe", runner);
	close(ends[0]);
	return status;
}
