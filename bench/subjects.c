/* What a user would run instead: nothing at all, bubblewrap, runc. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "subject.h"

static void
make_pipe(int ret_ends[static 2])
{
	if (pipe2(ret_ends, O_CLOEXEC))
		give_up("pipe");
}

static void
kill_victim(struct trial *trial)
{
	if (syscall(SYS_pidfd_send_signal, trial->victim, SIGKILL, NULL, 0))
		give_up("pidfd_send_signal");
	wait_dead(trial->victim);
	trial->dead = now_us();
}

static void
reap(struct trial *trial)
{
	waitpid(trial->outer, NULL, 0);
	close(trial->victim);
}

/* ---- nothing at all ---- */

static void
plain_start(struct trial *trial)
{
	int ends[2];
	make_pipe(ends);
	const char *argv[] = {"bash", "-c", program, NULL};
	trial->outer = spawn(argv, (int[]){-1, ends[1], -1}, 3);
	close(ends[1]);
	trial->out = ends[0];
	trial->victim = open_pid(trial->outer);
}

const struct subject subject_plain = {"plain", plain_start, kill_victim, reap};

/* ---- bubblewrap ---- */

/* {"child-pid": 123, …} */
static pid_t
read_child(int fd)
{
	char text[512] = "";
	size_t len = 0;
	while (!strchr(text, '}')) {
		ssize_t n = read(fd, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			give_up("bwrap said nothing of its child");
		len += (size_t)n;
	}
	const char *at = strstr(text, "child-pid\":");
	return at ? (pid_t)strtol(at + strlen("child-pid\":"), NULL, 10) : 0;
}

static void
bwrap_start(struct trial *trial)
{
	int ends[2], info[2];
	make_pipe(ends);
	make_pipe(info);
	const char *argv[] = {"bwrap", "--unshare-all", "--die-with-parent", "--new-session",
		"--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib",
		"/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev",
		"--tmpfs", "/tmp", "--info-fd", "3", "bash", "-c", program, NULL};
	trial->outer = spawn(argv, (int[]){-1, ends[1], -1, info[1]}, 4);
	close(ends[1]);
	close(info[1]);
	trial->out = ends[0];
	trial->victim = open_pid(read_child(info[0]));
	close(info[0]);
}

const struct subject subject_bwrap = {"bwrap", bwrap_start, kill_victim, reap};

/* ---- runc ---- */

static void
runc(struct trial *trial, const char *const *argv, int out)
{
	int status;
	pid_t pid = spawn(argv, (int[]){-1, out, -1}, 3);
	if (waitpid(pid, &status, 0) != pid || status) {
		errno = ECHILD;
		give_up(argv[1]);
	}
	trial->outer = pid;
}

static void
runc_start(struct trial *trial)
{
	int ends[2];
	char id[64], file[512], text[32] = "";
	make_pipe(ends);
	snprintf(id, sizeof(id), "bench-%d-%d", (int)getpid(), trial->number);
	snprintf(file, sizeof(file), "%s/pid", trial->folder);
	const char *argv[] = {
		"runc", "run", "--detach", "--bundle", trial->helper, "--pid-file", file, id, NULL};
	runc(trial, argv, ends[1]);
	close(ends[1]);
	trial->out = ends[0];
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		give_up("runc's pid file");
	close(fd);
	trial->victim = open_pid((pid_t)strtol(text, NULL, 10));
}

static void
runc_kill(struct trial *trial)
{
	char id[64];
	snprintf(id, sizeof(id), "bench-%d-%d", (int)getpid(), trial->number);
	const char *argv[] = {"runc", "kill", id, "KILL", NULL};
	runc(trial, argv, -1);
	wait_dead(trial->victim);
	trial->dead = now_us();
}

static void
runc_clean(struct trial *trial)
{
	char id[64];
	snprintf(id, sizeof(id), "bench-%d-%d", (int)getpid(), trial->number);
	const char *argv[] = {"runc", "delete", "--force", id, NULL};
	runc(trial, argv, -1);
	close(trial->victim);
}

const struct subject subject_runc = {"runc", runc_start, runc_kill, runc_clean};
