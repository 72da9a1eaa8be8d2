#include "runtime/docker/process.h"

#include <dirent.h>
#include <errno.h>
#include <mntent.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/str.h"
#include "proof/process.h"

#define CGROUP_TEXT 8192 /* bytes of /proc/PID/cgroup */
#define MONITOR "conmon-" /* Podman's, in whose cgroup the id stands too */

/* ---- its cgroups ---- */

/* 1: the id stands in it, 0: it doesn't, -1: there is no such process, or it can't be read. */
static int
is_of(int32_t pid, const char *id, char *text)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	if (ql_process_file(path, text, CGROUP_TEXT) <= 0)
		return -1;
	const char *at = strstr(text, id);
	size_t len = strlen(MONITOR);
	bool monitor = at && at - text >= (ptrdiff_t)len && memcmp(at - len, MONITOR, len) == 0;
	return at && !monitor;
}

/* Controllers that are mounted as one stand there as "cpu,cpuacct"; v2 has no name. */
static bool
is_among(const char *names, const char *end, const char *controller)
{
	size_t want = strlen(controller);
	for (const char *name = names; name <= end;) {
		size_t len = strcspn(name, ",:");
		if (len == want && memcmp(name, controller, len) == 0)
			return true;
		name += len + 1;
	}
	return false;
}

/* The path within the hierarchy: "0::/docker/ID", or the one of a v1 controller. -1: not of that id. */
static int
path_within(const char *text, const char *id, const char *controller, char *ret_path, size_t size)
{
	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		const char *names = strchr(line, ':');
		const char *path = names ? strchr(names + 1, ':') : NULL;
		if (!path)
			return -1;
		if (!is_among(names + 1, path, controller))
			continue;
		const char *at = strstr(++path, id);
		size_t end = strcspn(path, "\n");
		if (!at || at > path + end)
			return -1;
		/* the container's own folder: what it made below belongs to it */
		size_t upto = (size_t)(at - path) + strlen(id);
		upto += strcspn(path + upto, "/\n");
		return snprintf(ret_path, size, "%.*s", (int)upto, path) < (int)size ? 0 : -1;
	}
	return -1;
}

static void
add_cgroup(struct ql_docker_process *process, const char *mount, const char *path)
{
	char full[QL_DOCKER_CGROUP];
	int n = snprintf(full, sizeof(full), "%s%s", mount, path);
	size_t at = 0;
	while (at < QL_DOCKER_CGROUPS && process->cgroups[at][0])
		at++;
	/* one that isn't where we look says nothing when it is «gone» later */
	if (at < QL_DOCKER_CGROUPS && n > 0 && (size_t)n < sizeof(full) && access(full, F_OK) == 0)
		memcpy(process->cgroups[at], full, sizeof(full));
}

/* The v2 tree, and of v1 the hierarchies of pids and of processor time: the daemon puts a container into all. */
static void
find_cgroups(struct ql_docker_process *process, const char *text, const char *id)
{
	static const char *const controllers[] = {"pids", "cpuacct"};
	char path[QL_DOCKER_CGROUP];
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	const struct mntent *mount;
	while (mounts && (mount = getmntent(mounts))) {
		const char *controller = strcmp(mount->mnt_type, "cgroup2") == 0 ? "" : NULL;
		for (int i = 0; i < 2 && strcmp(mount->mnt_type, "cgroup") == 0; i++)
			controller = hasmntopt(mount, controllers[i]) ? controllers[i] : controller;
		if (controller && path_within(text, id, controller, path, sizeof(path)) == 0)
			add_cgroup(process, mount->mnt_dir, path);
	}
	if (mounts)
		endmntent(mounts);
}

/* ---- making sure of it ---- */

static uint64_t
inode_of(const char *path, int *ret_fd)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		*ret_fd = fd;
		return st.st_ino;
	}
	if (fd >= 0)
		close(fd);
	*ret_fd = -1;
	return 0;
}

/* One that shares the host's own is not known by it. */
static void
hold_namespace(struct ql_docker_process *process)
{
	char path[64];
	int own;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", process->pid);
	process->pidns = inode_of(path, &process->pidns_fd);
	uint64_t ours = inode_of("/proc/self/ns/pid", &own);
	if (own >= 0)
		close(own);
	if (process->pidns != ours)
		return;
	process->pidns = 0;
	if (process->pidns_fd >= 0)
		close(process->pidns_fd);
	process->pidns_fd = -1;
}

/* Held first, then looked at: what is seen is of the one that is held. */
static struct ql_docker_process *
hold(const char *id, int32_t pid, char *text)
{
	struct ql_process seen;
	int pidfd = pidfd_open(pid, 0);
	if (pidfd < 0)
		return NULL;
	int is = is_of(pid, id, text);
	bool lives = ql_process_read(pid, &seen) == 0 && !strchr("ZX", seen.state);
	struct ql_docker_process *process = is == 1 && lives ? calloc(1, sizeof(*process)) : NULL;
	if (!process) {
		close(pidfd);
		errno = !lives ? ESRCH : is == 1 ? ENOMEM : ENXIO;
		return NULL;
	}
	process->pidfd = pidfd;
	process->pid = pid;
	process->start = seen.start;
	find_cgroups(process, text, id);
	hold_namespace(process);
	return process;
}

static int32_t
first_of(const char *id, char *text)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	int32_t found = proc ? 0 : -1;
	while (proc && !found && (entry = readdir(proc))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		struct ql_process process;
		if (!*end && pid > 0 && is_of((int32_t)pid, id, text) == 1 &&
			ql_process_read((int32_t)pid, &process) == 0 &&
			!strchr("ZX", process.state))
			found = (int32_t)pid;
	}
	if (proc)
		closedir(proc);
	return found;
}

struct ql_docker_process *
ql_docker_process_find(const char *id, int64_t pid)
{
	char text[CGROUP_TEXT];
	int32_t found = pid > 0 && pid <= INT32_MAX ? (int32_t)pid : first_of(id, text);
	if (found > 0)
		return hold(id, found, text);
	errno = found ? EACCES : ESRCH;
	return NULL;
}

/* ---- its end ---- */

static void
exited(uv_poll_t *poll, int status, int events)
{
	struct ql_docker_process *process = poll->data;
	(void)status, (void)events;
	uv_poll_stop(poll);
	process->died(process->died_arg);
}

int
ql_docker_process_watch(
	struct ql_docker_process *process, uv_loop_t *loop, void (*died)(void *arg), void *arg)
{
	process->died = died;
	process->died_arg = arg;
	if (uv_poll_init(loop, &process->poll, process->pidfd))
		return -1;
	process->poll.data = process;
	process->watched = true;
	return uv_poll_start(&process->poll, UV_READABLE, exited) ? -1 : 0;
}

int
ql_docker_process_kill(const struct ql_docker_process *process)
{
	return pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0);
}

void
ql_docker_process_names(const struct ql_docker_process *process, struct ql_run_names *ret_names)
{
	*ret_names = (struct ql_run_names){
		.init_pid = process->pid, .init_start = process->start, .pidns = process->pidns};
	for (int i = 0; i < QL_DOCKER_CGROUPS; i++)
		ql_str_copy(ret_names->cgroups[i], QL_NAMES_PATH, process->cgroups[i]);
}

int64_t
ql_docker_process_cpu_us(const struct ql_docker_process *process)
{
	struct ql_run_names names;
	ql_docker_process_names(process, &names);
	return ql_run_cpu_us(&names);
}

void
ql_docker_process_prove(const struct ql_docker_process *process, struct ql_proof *ret_proof)
{
	const char *cgroups[QL_DOCKER_CGROUPS + 1] = {NULL};
	for (size_t i = 0; i < QL_DOCKER_CGROUPS && process->cgroups[i][0]; i++)
		cgroups[i] = process->cgroups[i];
	struct ql_proof_subject subject = {
		.pidfd = process->pidfd,
		.init_pid = process->pid,
		.init_start = process->start,
		.pidns = process->pidns,
		.pinned = process->pidns_fd >= 0,
		.cgroups = cgroups,
		.uid = UINT32_MAX,
	};
	ql_prove(&subject, ret_proof);
}

static void
release(struct ql_docker_process *process)
{
	void (*closed)(void *arg) = process->closed;
	void *arg = process->closed_arg;
	close(process->pidfd);
	if (process->pidns_fd >= 0)
		close(process->pidns_fd);
	free(process);
	if (closed)
		closed(arg);
}

static void
poll_closed(uv_handle_t *handle)
{
	release(handle->data);
}

void
ql_docker_process_free(struct ql_docker_process *process, void (*closed)(void *arg), void *arg)
{
	process->closed = closed;
	process->closed_arg = arg;
	if (process->watched)
		uv_close((uv_handle_t *)&process->poll, poll_closed);
	else
		release(process);
}
