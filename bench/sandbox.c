/*
 * bench-sandbox SUBJECT COUNT FOLDER [HELPER]: starts a program COUNT times, kills it each time, and
 * prints a line for each: microseconds from the start to the program's own first word, and from the
 * kill to the proof that it is dead.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "subject.h"

extern char **environ;

const char program[] = "echo $EPOCHREALTIME; exec sleep 600";

_Noreturn void
give_up(const char *what)
{
	fprintf(stderr, "bench-sandbox: %s: %s\n", what, strerror(errno));
	exit(1);
}

int64_t
now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

pid_t
spawn(const char *const *argv, const int *fds, int count)
{
	pid_t pid;
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < count; i++) {
		if (fds[i] < 0)
			posix_spawn_file_actions_addopen(&actions, i, "/dev/null", O_RDWR, 0);
		else
			posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	}
	errno = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	if (errno)
		give_up(argv[0]);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

int
open_pid(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		give_up("pidfd_open");
	return fd;
}

void
wait_dead(int pidfd)
{
	struct pollfd look = {.fd = pidfd, .events = POLLIN};
	if (poll(&look, 1, 10000) != 1)
		give_up("it didn't die within ten seconds");
}

/* Reads until the program has said when it began. */
static int64_t
read_began(int fd)
{
	char text[64] = "";
	size_t len = 0;
	int64_t deadline = now_us() + 10000000;
	while (!memchr(text, '\n', len)) {
		ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);
		if (n < 0 || now_us() > deadline)
			give_up("the program said nothing within ten seconds");
		len += (size_t)n;
	}
	char *end;
	int64_t seconds = strtoll(text, &end, 10);
	return seconds * 1000000 + strtoll(end + 1, NULL, 10);
}

static void
try_once(const struct subject *subject, struct trial *trial)
{
	int64_t started = now_us();
	subject->start(trial);
	int64_t began = read_began(trial->out);
	int64_t killed = now_us();
	subject->kill(trial);
	printf("%lld %lld\n", (long long)(began - started), (long long)(trial->dead - killed));
	subject->clean(trial);
	close(trial->out);
}

int
main(int argc, char **argv)
{
	static const struct subject *const subjects[] = {
		&subject_plain, &subject_bwrap, &subject_runc, &subject_quell};
	if (argc < 4) {
		fprintf(stderr, "usage: bench-sandbox SUBJECT COUNT FOLDER [HELPER]\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(subjects) / sizeof(*subjects); i++) {
		if (strcmp(argv[1], subjects[i]->name) != 0)
			continue;
		for (int number = 0; number < atoi(argv[2]); number++) {
			struct trial trial = {.folder = argv[3],
				.helper = argc > 4 ? argv[4] : NULL,
				.number = number,
				.victim = -1};
			try_once(subjects[i], &trial);
		}
		return 0;
	}
	fprintf(stderr, "bench-sandbox: no subject %s\n", argv[1]);
	return 2;
}
