#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "proof/process.h"
#include "runner/file.h"
#include "sweeper/inside.h"

#define MARK "QUELL_RUN="
#define BIT(mark) (1u << QL_MARK_##mark)

/* What a process says of itself, and what the kernel says of it. */
struct claims {
	uint64_t environ; /* the run that its environment names; 0 = none */
	uint64_t leaf; /* the run whose cgroup it stands in; 0 = none */
	bool foreign; /* the cgroup is another server's */
};

static int
read_file(struct ql_host *host, int32_t pid, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return ql_process_file(path, host->text, sizeof(host->text));
}

/* Lines "4:memory:/a/quell-SERVER-RUN/b": any part of any path. */
static void
read_leaf(struct ql_host *host, int32_t pid, struct claims *claims)
{
	char *save;
	char server[QL_ORPHAN_SERVER];
	uint64_t incarnation;
	if (read_file(host, pid, "cgroup") <= 0)
		return;
	for (char *part = strtok_r(host->text, "/\n", &save); part;
		part = strtok_r(NULL, "/\n", &save)) {
		if (ql_orphan_leaf(part, server, &incarnation))
			continue;
		if (!ql_finder_is_named(&host->finder, server))
			claims->foreign = true;
		else
			claims->leaf = incarnation;
	}
}

static void
read_environ(struct ql_host *host, int32_t pid, struct claims *claims)
{
	int len = read_file(host, pid, "environ");
	for (const char *s = host->text; len > 0 && s < host->text + len; s += strlen(s) + 1) {
		if (!strncmp(s, MARK, strlen(MARK)) &&
			!ql_orphan_run(s + strlen(MARK), &claims->environ))
			return;
	}
}

/* Another PID namespace than ours. */
static bool
is_apart(int32_t pid)
{
	char path[64], own[64] = "", its[64] = "";
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return readlink("/proc/self/ns/pid", own, sizeof(own) - 1) > 0 &&
	       readlink(path, its, sizeof(its) - 1) > 0 && strcmp(own, its) != 0;
}

/* By which marks it is whose: the incarnation, or 0 for a process that is no run's of ours. */
static uint64_t
look_at(struct ql_host *host, int32_t pid, uint32_t *ret_marks)
{
	struct claims claims = {0};
	read_leaf(host, pid, &claims);
	if (claims.foreign)
		return 0;
	read_environ(host, pid, &claims);
	uint64_t run = claims.leaf ? claims.leaf : claims.environ;
	if (!run)
		return 0;
	*ret_marks = (claims.leaf ? BIT(LEAF) : 0) | (claims.environ == run ? BIT(ENVIRON) : 0) |
		     (is_apart(pid) ? BIT(NAMESPACE) : 0) |
		     (ql_host_has_run(host, run) ? BIT(RUNDIR) : 0);
	return run;
}

static int64_t
age_of(uint64_t start)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	int64_t ticks = sysconf(_SC_CLK_TCK);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000 - (int64_t)start * 1000 / ticks;
}

/* A dead one is its parent's to reap: nobody else can do anything about it. */
static void
consider(struct ql_host *host, struct ql_traces *traces, int32_t pid)
{
	uint32_t marks;
	struct ql_process process;
	uint64_t run = look_at(host, pid, &marks);
	if (!run || ql_process_read(pid, &process) || strchr("ZX", process.state))
		return;
	struct ql_trace *trace = ql_traces_add(traces);
	if (!trace)
		return;
	trace->kind = QL_ORPHAN_PROCESS;
	trace->marks = marks;
	trace->incarnation = run;
	trace->pid = pid;
	trace->start = process.start;
	trace->age_ms = age_of(process.start);
	snprintf(trace->name, sizeof(trace->name), "%d@%" PRIu64, pid, process.start);
	ql_process_describe(pid, trace->text, sizeof(trace->text));
}

int
ql_host_find_processes(struct ql_host *host, struct ql_traces *traces, struct ql_err *e)
{
	DIR *proc = opendir("/proc");
	if (!proc)
		return ql_fail_sys(e, "processes can't be looked for: /proc can't be read");
	int32_t self = getpid();
	const struct dirent *entry;
	while ((entry = readdir(proc)) && !ql_host_is_late(host)) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		if (!*end && pid > 2 && pid != self)
			consider(host, traces, (int32_t)pid);
	}
	traces->partial |= entry != NULL;
	closedir(proc);
	return 0;
}

/* The pidfd holds whoever has the pid now: only then its name and marks are looked at again. */
static int
kill_held(struct ql_host *host, const struct ql_trace *trace, int pidfd, struct ql_err *e)
{
	uint32_t marks = 0;
	if (!ql_process_lives(trace->pid, trace->start))
		return 0;
	if (look_at(host, trace->pid, &marks) != trace->incarnation || !ql_orphan_is_sure(marks))
		return ql_fail(e, QL_E_CONFLICT,
			"process %d carries its marks no more: it was left alone", trace->pid);
	if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) && errno != ESRCH)
		return ql_fail_sys(e, "process %d can't be killed", trace->pid);
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	(void)poll(&ended, 1, QL_REAP_MS);
	if (!ql_process_lives(trace->pid, trace->start))
		return 0;
	char text[QL_TRACE_TEXT];
	ql_process_describe(trace->pid, text, sizeof(text));
	return ql_fail(
		e, QL_E_TIMEOUT, "SIGKILL was sent, and %d ms later there is %s", QL_REAP_MS, text);
}

int
ql_host_reap_process(struct ql_host *host, const struct ql_trace *trace, struct ql_err *e)
{
	QL_CLEAN_FD int pidfd = pidfd_open(trace->pid, 0);
	if (pidfd < 0 && errno == ESRCH)
		return 0;
	if (pidfd < 0)
		return ql_fail_sys(e, "process %d can't be held", trace->pid);
	return kill_held(host, trace, pidfd, e);
}
