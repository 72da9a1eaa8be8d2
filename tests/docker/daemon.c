#include "daemon.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <mntent.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "proof/process.h"
#include "runtime/docker/process.h"

#define BUSYBOX "/bin/busybox"

struct ask {
	struct ql_docker_call call;
	json_t *json;
	bool done;
};

/* ---- asking ---- */

static void
answered(struct ql_docker_call *call, int status)
{
	struct ask *ask = call->owner;
	(void)status;
	ask->json = json_incref(call->json);
	ask->done = true;
}

static void
run_until(uv_loop_t *loop, const bool *done)
{
	uint64_t end = uv_hrtime() + DAEMON_PATIENCE_MS * 1000000ULL;
	while (!*done) {
		uv_run(loop, UV_RUN_ONCE);
		assert_true(uv_hrtime() < end);
	}
}

int
daemon_ask(struct daemon *daemon, const char *method, json_t *body, json_t **ret_json,
	const char *path, ...)
{
	struct ask ask = {.call = {.done = answered}};
	char text[1024];
	va_list args;
	va_start(args, path);
	vsnprintf(text, sizeof(text), path, args);
	va_end(args);
	ask.call.owner = &ask;
	if (ql_docker_ask(daemon->docker, &ask.call, method, body, DAEMON_PATIENCE_MS, "%s", text))
		return 0;
	run_until(daemon->loop, &ask.done);
	if (ret_json)
		*ret_json = ask.json;
	else
		json_decref(ask.json);
	return ask.call.http;
}

void
daemon_create(struct daemon *daemon, const char *name, const char *eval_id, const char *script,
	json_t *host_config, char ret_id[static QL_DOCKER_ID])
{
	json_t *reply = NULL;
	json_t *config = host_config ? host_config : json_object();
	json_object_set_new(config, "NetworkMode", json_string("none"));
	json_t *body = json_pack("{s:s, s:[s,s,s], s:b, s:o}", "Image", DAEMON_IMAGE, "Cmd",
		"/bin/busybox", "sh", "-c", "NetworkDisabled", 1, "HostConfig", config);
	json_array_append_new(json_object_get(body, "Cmd"), json_string(script));
	if (eval_id)
		json_object_set_new(body, "Labels", json_pack("{s:s}", "quell.eval_id", eval_id));
	int http = daemon_ask(daemon, "POST", body, &reply, "/containers/create%s%s",
		name ? "?name=" : "", name ? name : "");
	assert_int_equal(http, 201);
	strcpy(ret_id, json_string_value(json_object_get(reply, "Id")));
	json_decref(reply);
}

int
daemon_run(struct daemon *daemon, const char *id)
{
	return daemon_ask(daemon, "POST", NULL, NULL, "/containers/%s/start", id);
}

int
daemon_look(struct daemon *daemon, const char *id, struct ql_docker_state *ret_state)
{
	json_t *json = NULL;
	int http = daemon_ask(daemon, "GET", NULL, &json, "/containers/%s/json", id);
	int status = http == 200 ? ql_docker_state_read(json, ret_state) : -1;
	json_decref(json);
	return status;
}

int32_t
daemon_alive(const char *id)
{
	struct ql_docker_process *process = ql_docker_process_find(id, 0);
	int32_t pid = process ? process->pid : 0;
	if (process)
		ql_docker_process_free(process, NULL, NULL);
	return pid;
}

/* ---- the image ---- */

static void
add_entry(struct ql_buf *tar, const char *name, char type, unsigned mode, size_t size,
	const char *target)
{
	char head[512] = {0};
	unsigned sum = 0;
	snprintf(head, 100, "%s", name);
	snprintf(head + 100, 8, "%07o", mode);
	memcpy(head + 108, "0000000\0000000000", 16);
	snprintf(head + 124, 12, "%011zo", size);
	memcpy(head + 136, "00000000000", 12);
	memset(head + 148, ' ', 8);
	head[156] = type;
	snprintf(head + 157, 100, "%s", target);
	memcpy(head + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(head); i++)
		sum += (unsigned char)head[i];
	snprintf(head + 148, 7, "%06o", sum);
	assert_int_equal(ql_buf_add(tar, head, sizeof(head)), 0);
}

static void
add_busybox(struct ql_buf *tar)
{
	static const char zeros[512];
	char buf[65536];
	struct stat st;
	ssize_t n;
	int fd = open(BUSYBOX, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	size_t size = (size_t)st.st_size;
	add_entry(tar, "bin/busybox", '0', 0755, size, "");
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		assert_int_equal(ql_buf_add(tar, buf, (size_t)n), 0);
	close(fd);
	if (size % 512)
		assert_int_equal(ql_buf_add(tar, zeros, 512 - size % 512), 0);
}

static void
imported(struct ql_fetch_request *request, int status)
{
	struct ask *ask = (struct ask *)request;
	assert_int_equal(status, 0);
	assert_int_equal(request->http, 200);
	ask->done = true;
}

static void
import_image(struct daemon *daemon)
{
	static const char *const links[] = {
		"sh", "sleep", "cat", "echo", "ls", "rm", "kill", "seq", "yes", "head"};
	static const char *const folders[] = {"bin/", "tmp/", "proc/", "dev/"};
	static const char *const headers[] = {"Content-Type: application/x-tar", NULL};
	struct ql_buf tar = {0};
	for (size_t i = 0; i < 4; i++)
		add_entry(&tar, folders[i], '5', strcmp(folders[i], "tmp/") ? 0755 : 01777, 0, "");
	add_busybox(&tar);
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++) {
		char name[64];
		snprintf(name, sizeof(name), "bin/%s", links[i]);
		add_entry(&tar, name, '2', 0777, 0, "busybox");
	}
	char zeros[1024] = {0};
	assert_int_equal(ql_buf_add(&tar, zeros, sizeof(zeros)), 0);
	struct ask ask = {.call.request = {.method = "POST",
				  .url = "http://docker/images/create?fromSrc=-&"
					 "repo=quell-test&tag=1",
				  .headers = headers,
				  .body = tar.data,
				  .body_len = tar.len,
				  .timeout_ms = DAEMON_PATIENCE_MS,
				  .done = imported}};
	ql_fetch(daemon->docker->fetch, &ask.call.request);
	run_until(daemon->loop, &ask.done);
	ql_buf_done(&tar);
}

/* ---- its process ---- */

static void
spawn(struct daemon *daemon)
{
	char data[96], exec[96], pid[96], log[96];
	snprintf(data, sizeof(data), "--data-root=%s/data", daemon->folder);
	snprintf(exec, sizeof(exec), "--exec-root=%s/exec", daemon->folder);
	snprintf(pid, sizeof(pid), "--pidfile=%s/pid", daemon->folder);
	snprintf(log, sizeof(log), "%s/log", daemon->folder);
	char *argv[] = {"dockerd", data, exec, pid, "--host", daemon->host, "--storage-driver=vfs",
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false",
		"--exec-opt=native.cgroupdriver=cgroupfs", NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	assert_int_equal(posix_spawnp(&daemon->pid, argv[0], &actions, &attr, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	daemon->pidfd = pidfd_open(daemon->pid, 0);
	assert_true(daemon->pidfd >= 0);
}

static void
end_process(struct daemon *daemon, int signal)
{
	struct pollfd poller = {.fd = daemon->pidfd, .events = POLLIN};
	assert_int_equal(pidfd_send_signal(daemon->pidfd, signal, NULL, 0), 0);
	assert_int_equal(poll(&poller, 1, DAEMON_PATIENCE_MS), 1);
	assert_int_equal(waitpid(daemon->pid, NULL, 0), daemon->pid);
	close(daemon->pidfd);
	daemon->pid = 0;
	daemon->pidfd = -1;
}

static void
pulse(uv_timer_t *timer)
{
	(void)timer;
}

/* The end of what the daemon has to say. */
static void
show_log(const struct daemon *daemon)
{
	char path[96], line[1024];
	snprintf(path, sizeof(path), "%s/log", daemon->folder);
	FILE *log = fopen(path, "re");
	if (!log)
		return;
	fseek(log, -3000, SEEK_END);
	while (fgets(line, sizeof(line), log))
		print_message("# %s", line);
	fclose(log);
}

/* Its socket is tried anew as long as it isn't there. */
static void
await(struct daemon *daemon)
{
	uv_timer_t timer;
	struct pollfd poller = {.fd = daemon->pidfd, .events = POLLIN};
	uint64_t end = uv_hrtime() + DAEMON_PATIENCE_MS * 1000000ULL;
	uv_timer_init(daemon->loop, &timer);
	uv_timer_start(&timer, pulse, 20, 20);
	while (daemon_ask(daemon, "GET", NULL, NULL, "/info") != 200) {
		if (poll(&poller, 1, 0) || uv_hrtime() > end)
			show_log(daemon);
		assert_int_equal(poll(&poller, 1, 0), 0);
		assert_true(uv_hrtime() < end);
		uv_run(daemon->loop, UV_RUN_ONCE);
	}
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(daemon->loop, UV_RUN_NOWAIT);
}

const char *
daemon_missing(void)
{
	if (geteuid())
		return "dockerd needs root";
	if (access("/usr/sbin/dockerd", X_OK) && access("/usr/bin/dockerd", X_OK))
		return "dockerd is not installed";
	return access(BUSYBOX, R_OK) ? "busybox-static is not installed" : NULL;
}

void
daemon_attach(struct daemon *daemon, uv_loop_t *loop)
{
	struct ql_docker_address address = {.host = daemon->host};
	struct ql_err e;
	daemon->loop = loop;
	daemon->closed = false;
	assert_int_equal(ql_docker_open(loop, &address, &daemon->docker, &e), 0);
	daemon->docker->breaker.threshold = INT32_MAX; /* a test asks as often as it likes */
}

static void
client_closed(void *arg)
{
	struct daemon *daemon = arg;
	daemon->closed = true;
}

static void
remove_containers(struct daemon *daemon)
{
	json_t *list = NULL;
	const json_t *container;
	size_t i;
	assert_int_equal(daemon_ask(daemon, "GET", NULL, &list, "/containers/json?all=1"), 200);
	json_array_foreach (list, i, container) {
		const char *id = json_string_value(json_object_get(container, "Id"));
		daemon_ask(daemon, "DELETE", NULL, NULL, "/containers/%s?force=1&v=1", id);
	}
	json_decref(list);
}

void
daemon_detach(struct daemon *daemon)
{
	remove_containers(daemon);
	ql_docker_close(daemon->docker, client_closed, daemon);
	run_until(daemon->loop, &daemon->closed);
	daemon->loop = NULL;
}

void
daemon_start(struct daemon *daemon)
{
	uv_loop_t loop;
	*daemon = (struct daemon){.pidfd = -1};
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* its orphans are reaped here, not some time by pid 1 */
	strcpy(daemon->folder, "/tmp/quell-docker-XXXXXX");
	assert_non_null(mkdtemp(daemon->folder));
	snprintf(daemon->host, sizeof(daemon->host), "unix://%s/socket", daemon->folder);
	uv_loop_init(&loop);
	daemon_attach(daemon, &loop);
	spawn(daemon);
	await(daemon);
	import_image(daemon);
	daemon_detach(daemon);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* Its containerd dies of that too. Unless it is reaped, the next dockerd takes it for alive. */
void
daemon_kill(struct daemon *daemon)
{
	char path[128], text[32];
	snprintf(path, sizeof(path), "%s/exec/containerd/containerd.pid", daemon->folder);
	assert_true(ql_process_file(path, text, sizeof(text)) > 0);
	pid_t containerd = (pid_t)strtol(text, NULL, 10);
	int pidfd = pidfd_open(containerd, 0);
	struct pollfd poller = {.fd = pidfd, .events = POLLIN};
	assert_true(pidfd >= 0);
	end_process(daemon, SIGKILL);
	assert_int_equal(poll(&poller, 1, DAEMON_PATIENCE_MS), 1);
	assert_int_equal(waitpid(containerd, NULL, 0), containerd);
	close(pidfd);
}

void
daemon_freeze(struct daemon *daemon, bool on)
{
	assert_int_equal(pidfd_send_signal(daemon->pidfd, on ? SIGSTOP : SIGCONT, NULL, 0), 0);
}

void
daemon_restart(struct daemon *daemon)
{
	spawn(daemon);
	await(daemon);
}

/* ---- its end ---- */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

/* One mount at a time: the table changes under the reader. */
static bool
unmount_one(const char *folder)
{
	bool found = false;
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	const struct mntent *mount;
	while (!found && mounts && (mount = getmntent(mounts))) {
		if (strncmp(mount->mnt_dir, folder, strlen(folder)) == 0)
			found = umount2(mount->mnt_dir, MNT_DETACH) == 0;
	}
	if (mounts)
		endmntent(mounts);
	return found;
}

/* A containerd that died takes no leave of the shims of its containers: some stay for ever. */
static void
end_shims(const struct daemon *daemon)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	while (proc && (entry = readdir(proc))) {
		char path[300], text[1024] = "";
		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		int len = ql_process_file(path, text, sizeof(text));
		if (len > 0 && strstr(text, "containerd-shim") &&
			memmem(text, (size_t)len, daemon->folder, strlen(daemon->folder)))
			kill((pid_t)strtol(entry->d_name, NULL, 10), SIGKILL);
	}
	if (proc)
		closedir(proc);
	while (waitpid(-1, NULL, WNOHANG) > 0) /* whatever ended under us */
		continue;
}

void
daemon_stop(struct daemon *daemon)
{
	end_process(daemon, SIGTERM);
	end_shims(daemon);
	while (unmount_one(daemon->folder))
		;
	nftw(daemon->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
