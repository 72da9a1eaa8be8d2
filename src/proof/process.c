#include "proof/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

int
ql_process_file(const char *path, char *ret_text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, ret_text, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	ret_text[n] = 0;
	return (int)n;
}

int
ql_process_read(int32_t pid, struct ql_process *ret_process)
{
	char path[64];
	char text[1024];
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (ql_process_file(path, text, sizeof(text)) <= 0)
		return -1;
	/* The name may hold anything, parentheses too: the fields start after the last one. */
	char *open = strchr(text, '(');
	char *close = strrchr(text, ')');
	if (!open || !close || close < open)
		return -1;
	struct ql_process process = {.pid = pid};
	*close = 0;
	ql_str_copy(process.name, sizeof(process.name), open + 1);
	unsigned long long start, user, system;
	long long users, systems; /* of its children */
	if (sscanf(close + 1,
		    " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld %*d %*d %*d "
		    "%*d %llu",
		    &process.state, &process.ppid, &user, &system, &users, &systems, &start) != 7)
		return -1;
	process.start = start;
	process.cpu_us =
		((int64_t)(user + system) + users + systems) * 1000000 / sysconf(_SC_CLK_TCK);
	*ret_process = process;
	return 0;
}

bool
ql_process_lives(int32_t pid, uint64_t start)
{
	struct ql_process process;
	return ql_process_read(pid, &process) == 0 && process.start == start &&
	       !strchr("ZX", process.state);
}

static int
read_mask(const char *status, const char *key, uint64_t *ret_mask)
{
	const char *line = strstr(status, key);
	if (!line)
		return -1;
	*ret_mask = strtoull(line + strlen(key), NULL, 16);
	return 0;
}

int
ql_process_masks(int32_t pid, struct ql_process_masks *ret_masks)
{
	char path[64];
	char text[4096];
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (ql_process_file(path, text, sizeof(text)) <= 0)
		return -1;
	uint64_t own;
	uint64_t shared;
	struct ql_process_masks masks;
	const char *tracer = strstr(text, "\nTracerPid:");
	if (read_mask(text, "\nSigPnd:", &own) || read_mask(text, "\nShdPnd:", &shared) ||
		read_mask(text, "\nSigBlk:", &masks.blocked) ||
		read_mask(text, "\nSigIgn:", &masks.ignored) ||
		read_mask(text, "\nSigCgt:", &masks.caught))
		return -1;
	masks.pending = own | shared;
	masks.tracer = tracer ? (int32_t)strtol(tracer + strlen("\nTracerPid:"), NULL, 10) : 0;
	*ret_masks = masks;
	return 0;
}

int
ql_process_signals(int32_t pid, uint64_t *ret_pending, uint64_t *ret_caught)
{
	struct ql_process_masks masks;
	if (ql_process_masks(pid, &masks))
		return -1;
	*ret_pending = masks.pending;
	*ret_caught = masks.caught;
	return 0;
}

void
ql_process_wchan(int32_t pid, char *ret_text, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/wchan", pid);
	if (ql_process_file(path, ret_text, size) <= 0 || !strcmp(ret_text, "0"))
		*ret_text = 0;
}

void
ql_process_describe(int32_t pid, char *ret_text, size_t size)
{
	struct ql_process process;
	if (ql_process_read(pid, &process)) {
		snprintf(ret_text, size, "%d, gone since", pid);
		return;
	}
	char wchan[64];
	ql_process_wchan(pid, wchan, sizeof(wchan));
	bool sleeps = *wchan;
	uint64_t pending = 0;
	uint64_t caught = 0;
	ql_process_signals(pid, &pending, &caught);
	bool killed = pending & (1ULL << (SIGKILL - 1));
	snprintf(ret_text, size, "%d (%s), state %c%s%s%s", pid, process.name, process.state,
		sleeps ? " in " : "", sleeps ? wchan : "", killed ? ", SIGKILL pending" : "");
}
