/* Our own: quell-runner, spoken to as the server does (src/runner/proto.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/proto.h"
#include "subject.h"

static uint64_t
incarnation(const struct trial *trial)
{
	return (uint64_t)getpid() << 32 | (uint32_t)(trial->number + 1);
}

static void
run_path(const struct trial *trial, const char *name, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/%016llx%s%s", trial->folder,
		(unsigned long long)incarnation(trial), *name ? "/" : "", name);
}

static void
put(int fd, const char *key, const char *value)
{
	if (dprintf(fd, "%s=%s%c", key, value, 0) < 0)
		give_up("the spec");
}

static void
write_spec(const struct trial *trial, const char *keep)
{
	char path[512], text[32];
	run_path(trial, QL_RUNNER_SPEC, path, sizeof(path));
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		give_up(path);
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)incarnation(trial));
	put(fd, QL_SPEC_INCARNATION, text);
	put(fd, QL_SPEC_INSTANCE, "bench");
	put(fd, QL_SPEC_EVAL_ID, "bench");
	put(fd, QL_SPEC_ATTEMPT, "1");
	put(fd, QL_SPEC_ARGV, "bash");
	put(fd, QL_SPEC_ARGV, "-c");
	put(fd, QL_SPEC_ARGV, program);
	put(fd, QL_SPEC_KEEP, keep);
	put(fd, QL_SPEC_OUTPUT_MAX, "65536");
	put(fd, QL_SPEC_MEMORY_MB, "512");
	put(fd, QL_SPEC_PIDS, "64");
	put(fd, QL_SPEC_CPU_MILLI, "1000");
	put(fd, QL_SPEC_UID, geteuid() ? "0" : "200000");
	close(fd);
}

static void
ask(const struct trial *trial, int kind)
{
	struct ql_runner_ask message = {.magic = QL_RUNNER_MAGIC,
		.version = QL_RUNNER_VERSION,
		.kind = (uint16_t)kind,
		.incarnation = incarnation(trial),
		.epoch = kind};
	if (send(trial->wire, &message, sizeof(message), 0) != sizeof(message))
		give_up("asking quell-runner");
}

/* Reads until it tells that, or until the end for 0. */
static void
wait_told(const struct trial *trial, int kind)
{
	for (;;) {
		struct ql_runner_tell tell = {0};
		ssize_t n = recv(trial->wire, &tell, sizeof(tell), 0);
		if (n == 0 && kind == 0)
			return;
		if (n <= 0 || tell.kind == QL_TELL_FAILED_START || tell.kind == QL_TELL_REFUSED) {
			fprintf(stderr, "quell-runner: %s\n", tell.text);
			give_up("quell-runner");
		}
		if (tell.kind == kind)
			return;
	}
}

static int
open_lock(const struct trial *trial)
{
	char path[512];
	run_path(trial, QL_RUNNER_LOCK, path, sizeof(path));
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		give_up(path);
	return fd;
}

static void
quell_start(struct trial *trial)
{
	char run[512], keep[512], output[600];
	int wires[2];
	run_path(trial, "", run, sizeof(run));
	snprintf(keep, sizeof(keep), "%s/keep-%d", trial->folder, trial->number);
	snprintf(output, sizeof(output), "%s/output", keep);
	if (mkdir(run, 0700))
		give_up(run);
	write_spec(trial, keep);
	int lock = open_lock(trial);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, wires))
		give_up("socketpair");
	const char *argv[] = {trial->helper, "start", run, NULL};
	trial->outer = spawn(argv, (int[]){-1, -1, -1, lock, wires[1]}, 5);
	close(lock);
	close(wires[1]);
	trial->wire = wires[0];
	wait_told(trial, QL_TELL_HELD);
	ask(trial, QL_ASK_RELEASE);
	wait_told(trial, QL_TELL_OUTPUT);
	trial->out = open(output, O_RDONLY | O_CLOEXEC);
	if (trial->out < 0)
		give_up(output);
}

static void
quell_kill(struct trial *trial)
{
	ask(trial, QL_ASK_KILL);
	wait_told(trial, QL_TELL_GONE);
	trial->dead = now_us();
}

static void
quell_clean(struct trial *trial)
{
	ask(trial, QL_ASK_FORGET);
	wait_told(trial, 0);
	close(trial->wire);
	waitpid(trial->outer, NULL, 0);
}

const struct subject subject_quell = {"quell", quell_start, quell_kill, quell_clean};
