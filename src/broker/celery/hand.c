#include "broker/celery/hand.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proof/process.h"

/* One number alone: the same one that its worker, in our own PID namespace, knows it by. */
static bool
is_numbered_by_us(int32_t pid)
{
	char path[64], text[4096], *end;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (ql_process_file(path, text, sizeof(text)) <= 0)
		return false;
	const char *line = strstr(text, "\nNSpid:");
	if (!line)
		return false;
	return strtol(line + strlen("\nNSpid:"), &end, 10) == pid && *end == '\n';
}

/* However it is started, its command line or its title has the word; a container's pid may be anybody's here. */
static bool
is_worker(int32_t pid)
{
	char path[64], text[4096];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	int len = ql_process_file(path, text, sizeof(text));
	return len > 0 && memmem(text, (size_t)len, "celery", strlen("celery"));
}

bool
ql_hand_meet(struct ql_hand_process *process, int64_t main_pid)
{
	struct ql_process main;
	*process = (struct ql_hand_process){0};
	if (main_pid <= 0 || main_pid > INT32_MAX || ql_process_read((int32_t)main_pid, &main) ||
		!is_numbered_by_us((int32_t)main_pid) || !is_worker((int32_t)main_pid))
		return false;
	*process = (struct ql_hand_process){.pid = (int32_t)main_pid, .start = main.start};
	return true;
}

bool
ql_hand_lives(const struct ql_hand_process *process)
{
	return ql_process_lives(process->pid, process->start);
}

bool
ql_hand_take(struct ql_hand *hand, int64_t main_pid, int64_t pid)
{
	struct ql_process process;
	hand->holds = false;
	if (main_pid <= 0 || pid <= 0 || pid > INT32_MAX || main_pid > INT32_MAX ||
		ql_process_read((int32_t)pid, &process) || process.ppid != main_pid ||
		!is_numbered_by_us((int32_t)pid) || !is_worker((int32_t)main_pid))
		return false;
	hand->child_count = 0;
	hand->task = (struct ql_hand_process){.pid = (int32_t)pid, .start = process.start};
	hand->cpu_from_us = hand->cpu_us = process.cpu_us;
	hand->holds = true;
	ql_hand_count(hand);
	return true;
}

static int64_t
clock_ms(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool
ql_hand_is_of(const struct ql_hand *hand, int64_t since)
{
	int64_t ticks = sysconf(_SC_CLK_TCK);
	int64_t began = (int64_t)hand->task.start * 1000 / ticks;
	return hand->holds && clock_ms(CLOCK_REALTIME) - clock_ms(CLOCK_BOOTTIME) + began <= since;
}

static bool
is_counted(const struct ql_hand *hand, int32_t pid, uint64_t start)
{
	for (int i = 0; i < hand->child_count; i++) {
		if (hand->children[i].pid == pid && hand->children[i].start == start)
			return true;
	}
	return false;
}

static bool
is_family(const struct ql_hand *hand, int32_t pid)
{
	if (pid == hand->task.pid)
		return true;
	for (int i = 0; i < hand->child_count; i++) {
		if (hand->children[i].pid == pid)
			return true;
	}
	return false;
}

/* One walk finds children whose parent it met before; walks go on until one finds none. */
static bool
walk(struct ql_hand *hand)
{
	struct dirent *entry;
	bool more = false;
	DIR *proc = opendir("/proc");
	while (proc && (entry = readdir(proc))) {
		struct ql_process process;
		int32_t pid = (int32_t)strtol(entry->d_name, NULL, 10);
		if (pid <= 0 || hand->child_count == QL_HAND_CHILDREN ||
			ql_process_read(pid, &process) || !is_family(hand, process.ppid) ||
			is_counted(hand, pid, process.start))
			continue;
		hand->children[hand->child_count++] =
			(struct ql_hand_process){.pid = pid, .start = process.start};
		more = true;
	}
	if (proc)
		closedir(proc);
	return more;
}

void
ql_hand_count(struct ql_hand *hand)
{
	if (!ql_hand_task_lives(hand))
		return;
	while (walk(hand))
		;
	ql_hand_meter(hand);
}

/* 0 where it is another's now. */
static int64_t
cpu_of(const struct ql_hand_process *process)
{
	struct ql_process now;
	return ql_process_read(process->pid, &now) || now.start != process->start ? 0 : now.cpu_us;
}

/* What a child used is its parent's own once that has waited for it. */
void
ql_hand_meter(struct ql_hand *hand)
{
	int64_t cpu_us = hand->holds ? cpu_of(&hand->task) : 0;
	for (int i = 0; cpu_us && i < hand->child_count; i++)
		cpu_us += cpu_of(&hand->children[i]);
	if (cpu_us > hand->cpu_us)
		hand->cpu_us = cpu_us;
}

int64_t
ql_hand_used_us(const struct ql_hand *hand)
{
	int64_t used_us = hand->cpu_us - hand->cpu_from_us;
	if (!hand->holds)
		return 0;
	return used_us > 0 ? used_us : 1; /* less than a tick, which is known, too */
}

bool
ql_hand_task_lives(const struct ql_hand *hand)
{
	return hand->holds && ql_process_lives(hand->task.pid, hand->task.start);
}

int
ql_hand_orphans(const struct ql_hand *hand)
{
	int left = 0;
	for (int i = 0; hand->holds && i < hand->child_count; i++)
		left += ql_process_lives(hand->children[i].pid, hand->children[i].start);
	return left;
}

/* The pidfd is opened first: what it names can't change hands between the look and the signal. */
static int
kill_process(const struct ql_hand_process *process)
{
	int fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	if (fd < 0)
		return errno == ESRCH ? 0 : -1;
	int status = 0;
	if (ql_process_lives(process->pid, process->start))
		status = (int)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	close(fd);
	return status;
}

int
ql_hand_kill_task(const struct ql_hand *hand)
{
	return hand->holds ? kill_process(&hand->task) : -1;
}

void
ql_hand_kill_orphans(const struct ql_hand *hand)
{
	for (int i = 0; hand->holds && i < hand->child_count; i++)
		kill_process(&hand->children[i]);
}
