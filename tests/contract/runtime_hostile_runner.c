/*
 * A supervisor that breaks the wire's rules, in the way that the first word of its run's command
 * names. In the place of quell-runner: `start FOLDER` and `recover FOLDER`, descriptors 3 and 4.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/proto.h"

struct run {
	const char *folder;
	uint64_t incarnation;
	char way[32];
};

static void
read_spec(struct run *run)
{
	char path[4096], spec[4096];
	snprintf(path, sizeof(path), "%s/%s", run->folder, QL_RUNNER_SPEC);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, spec, sizeof(spec) - 1);
	if (len < 0)
		exit(1);
	spec[len] = 0;
	close(fd);
	for (char *at = spec; at < spec + len; at += strlen(at) + 1) {
		if (!strncmp(at, QL_SPEC_INCARNATION "=", 12))
			run->incarnation = strtoull(at + 12, NULL, 16);
		if (!strncmp(at, QL_SPEC_ARGV "=", 5))
			snprintf(run->way, sizeof(run->way), "%s", at + 5);
	}
}

static void
write_status(const struct run *run)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", run->folder, QL_RUNNER_STATUS);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
}

static struct ql_runner_tell
tell_of(const struct run *run, enum ql_runner_tell_kind kind)
{
	return (struct ql_runner_tell){.magic = QL_RUNNER_MAGIC,
		.version = QL_RUNNER_VERSION,
		.kind = (uint16_t)kind,
		.incarnation = run->incarnation,
		.truth = {.phase = QL_RUNNER_HELD, .exit_code = -1, .checkpoint_bytes = -1}};
}

static void
send_tell(const struct ql_runner_tell *tell, size_t len)
{
	if (send(QL_RUNNER_CONN_FD, tell, len, MSG_NOSIGNAL) != (ssize_t)len)
		exit(0);
}

static void
tell(const struct run *run, enum ql_runner_tell_kind kind)
{
	struct ql_runner_tell message = tell_of(run, kind);
	send_tell(&message, sizeof(message));
}

/* Until the server hangs up, or so many; an ask is taken and not answered. */
static void
swallow(int most)
{
	char bytes[sizeof(struct ql_runner_ask)];
	while (most > 0 && recv(QL_RUNNER_CONN_FD, bytes, sizeof(bytes), 0) > 0)
		most--;
}

static void
end_gone(const struct run *run, int32_t flags)
{
	struct ql_runner_tell message = tell_of(run, QL_TELL_EXITED);
	message.truth.phase = QL_RUNNER_GONE;
	message.truth.flags = flags;
	send_tell(&message, sizeof(message));
	message.kind = QL_TELL_GONE;
	send_tell(&message, sizeof(message));
}

/* Acknowledges every ask; at a KILL it is gone, and a FORGET ends it with its folder. */
static void
obey(const struct run *run)
{
	struct ql_runner_ask ask;
	while (recv(QL_RUNNER_CONN_FD, &ask, sizeof(ask), 0) == (ssize_t)sizeof(ask)) {
		struct ql_runner_tell message = tell_of(run, QL_TELL_ACK);
		message.epoch = ask.epoch;
		message.answers = ask.kind;
		if (ask.kind == QL_ASK_KILL)
			end_gone(run, 0);
		if (ask.kind == QL_ASK_FORGET) {
			const char *const names[] = {
				QL_RUNNER_SPEC, QL_RUNNER_STATUS, QL_RUNNER_LOCK, ""};
			for (size_t i = 0; i < 4; i++) {
				char path[4096];
				snprintf(path, sizeof(path), "%s/%s", run->folder, names[i]);
				remove(path);
			}
		}
		send_tell(&message, sizeof(message));
		if (ask.kind == QL_ASK_FORGET)
			return;
	}
}

static void
start(const struct run *run)
{
	struct ql_runner_tell message = tell_of(run, QL_TELL_HELD);
	if (!strcmp(run->way, "exits"))
		return;
	write_status(run);
	if (!strcmp(run->way, "short"))
		send_tell(&message, 10);
	if (!strcmp(run->way, "newer")) {
		message.version++;
		send_tell(&message, sizeof(message));
	}
	if (!strcmp(run->way, "other")) {
		message.incarnation++;
		send_tell(&message, sizeof(message));
	}
	if (!strcmp(run->way, "floods")) {
		for (int i = 0; i < 100000; i++)
			tell(run, QL_TELL_HELD);
	}
	if (!strcmp(run->way, "again"))
		return;
	if (!strcmp(run->way, "dies")) {
		tell(run, QL_TELL_HELD);
		return;
	}
	if (!strcmp(run->way, "silent"))
		swallow(INT_MAX);
	if (!strcmp(run->way, "deaf")) {
		swallow(1);
		return;
	}
	obey(run);
}

static void
recover(const struct run *run)
{
	if (!strcmp(run->way, "again"))
		return;
	end_gone(run, QL_RUNNER_LOST);
	obey(run);
}

int
main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--probe"))
		return puts("hostile: enforces nothing") < 0;
	if (argc != 3)
		return 2;
	struct run run = {.folder = argv[2]};
	signal(SIGPIPE, SIG_IGN);
	read_spec(&run);
	if (!strcmp(argv[1], "recover"))
		recover(&run);
	else
		start(&run);
	return 0;
}
