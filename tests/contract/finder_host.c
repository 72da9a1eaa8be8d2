/* The contract of a finder, held by this host's: real processes, cgroups, mounts and folders. */
#include "finder_suite.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rand.h"
#include "base/str.h"
#include "rules/keep.h"
#include "runner/cgroup.h"
#include "sweeper/host.h"

#define PATH 4096

struct own {
	uv_loop_t *loop;
	char dir[64];
	char run_dir[PATH], data_dir[PATH];
	char server[QL_ORPHAN_SERVER];
	char cgroups[512]; /* where this host lets them be made; "" = nowhere */
	char group[PATH], point[PATH], folder[PATH]; /* as left last; "" = it wasn't */
	pid_t program; /* so is this; 0 = none */
	pid_t guest; /* uses something of it; 0 = nobody */
};

static void
name(char ret_name[static QL_ORPHAN_SERVER])
{
	snprintf(ret_name, QL_ORPHAN_SERVER, "%016" PRIx64, ql_rand_u64() | 1);
}

/* The first hierarchy in which a cgroup can be made. */
static void
find_cgroups(struct own *own)
{
	struct ql_cgroup_host host;
	char path[PATH];
	ql_cgroup_find(NULL, &host);
	for (int i = 0; i < host.count && !own->cgroups[0]; i++) {
		snprintf(path, sizeof(path), "%s/quell-%s-try", host.trees[i].folder, own->server);
		if (mkdir(path, 0700))
			continue;
		rmdir(path);
		ql_str_copy(own->cgroups, sizeof(own->cgroups), host.trees[i].folder);
	}
}

static void
setup(struct finder_place *place, uv_loop_t *loop)
{
	struct own *own = place->own;
	own->loop = loop;
	strcpy(own->dir, "/tmp/quell-finder-XXXXXX");
	assert_non_null(mkdtemp(own->dir));
	snprintf(own->run_dir, sizeof(own->run_dir), "%s/run", own->dir);
	snprintf(own->data_dir, sizeof(own->data_dir), "%s/data", own->dir);
	assert_int_equal(mkdir(own->run_dir, 0700) | mkdir(own->data_dir, 0700), 0);
	name(own->server);
	find_cgroups(own);
	if (!own->cgroups[0])
		print_message(
			"# no cgroups can be made here: processes and cgroups are left out\n");
	place->kinds = 1u << QL_ORPHAN_FOLDER;
	if (own->cgroups[0])
		place->kinds |= 1u << QL_ORPHAN_PROCESS | 1u << QL_ORPHAN_CGROUP;
	if (!geteuid())
		place->kinds |= 1u << QL_ORPHAN_MOUNT;
	place->changing = place->kinds & ~(1u << QL_ORPHAN_MOUNT);
	place->clinging = place->kinds & 1u << QL_ORPHAN_MOUNT;
	place->foreign = place->kinds & ~(1u << QL_ORPHAN_FOLDER);
	place->reborn = place->kinds & 1u << QL_ORPHAN_PROCESS;
}

static void
teardown(struct finder_place *place)
{
	struct own *own = place->own;
	char path[PATH * 2];
	for (int shard = 0; shard < 256; shard++) {
		snprintf(path, sizeof(path), "%s/kept/%02x", own->data_dir, shard);
		rmdir(path);
	}
	snprintf(path, sizeof(path), "%s/kept", own->data_dir);
	rmdir(path);
	assert_int_equal(rmdir(own->data_dir) | rmdir(own->run_dir) | rmdir(own->dir), 0);
}

static struct ql_finder *
open_finder(struct finder_place *place)
{
	const struct own *own = place->own;
	struct ql_host_config config = {
		.server = own->server, .run_dir = own->run_dir, .data_dir = own->data_dir};
	struct ql_finder *finder = ql_finder_host(own->loop, &config);
	assert_non_null(finder);
	return finder;
}

static void
end(pid_t *pid)
{
	if (!*pid)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

static void
close_finder(struct finder_place *place, struct ql_finder *finder)
{
	struct own *own = place->own;
	char path[PATH + 16];
	end(&own->guest);
	end(&own->program);
	if (own->group[0])
		rmdir(own->group);
	umount2(own->point, MNT_DETACH);
	rmdir(own->point);
	for (const char *const *file = (const char *const[]){"output", "notes", NULL}; *file;
		file++) {
		snprintf(path, sizeof(path), "%s/%s", own->folder, *file);
		unlink(path);
	}
	rmdir(own->folder);
	own->group[0] = own->point[0] = own->folder[0] = 0;
	finder->ops->free(finder);
}

/* ---- what is left ---- */

static void
write_file(const char *folder, const char *file, const char *text)
{
	char path[PATH * 2];
	snprintf(path, sizeof(path), "%s/%s", folder, file);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Returns when it is what it will be. */
static pid_t
start(const char *folder, const char *run)
{
	int fds[2];
	char text[64];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (!pid) {
		if (run)
			setenv("QUELL_RUN", run, 1);
		if (!folder || !chdir(folder))
			execlp("sleep", "sleep", "600", (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], text, sizeof(text)), 0);
	close(fds[0]);
	return pid;
}

static void
enter(const char *group, pid_t pid)
{
	char text[16];
	snprintf(text, sizeof(text), "%d", (int)pid);
	write_file(group, "cgroup.procs", text);
}

static void
make_group(struct own *own, const char *server, const char *run)
{
	snprintf(own->group, sizeof(own->group), "%s/quell-%s-%s", own->cgroups, server, run);
	assert_int_equal(mkdir(own->group, 0700), 0);
}

static void
put(struct own *own, enum ql_orphan_kind kind, const char *server, const char *where)
{
	char run[QL_ORPHAN_SERVER], source[64];
	struct ql_err e;
	name(run);
	if (kind == QL_ORPHAN_PROCESS || kind == QL_ORPHAN_CGROUP)
		make_group(own, server, run);
	if (kind == QL_ORPHAN_PROCESS) {
		own->program = start(NULL, run);
		enter(own->group, own->program);
	} else if (kind == QL_ORPHAN_MOUNT) {
		snprintf(own->point, sizeof(own->point), "%s/%s", where, run);
		snprintf(source, sizeof(source), "quell-%s", run);
		assert_int_equal(mkdir(own->point, 0700), 0);
		assert_int_equal(mount(source, own->point, "tmpfs", 0, NULL), 0);
	} else if (kind == QL_ORPHAN_FOLDER) {
		assert_int_equal(ql_keep_make(own->data_dir, "left", 1, &e), 0);
		ql_keep_path(own->data_dir, "left", 1, NULL, own->folder, sizeof(own->folder));
		assert_int_equal(mkdir(own->folder, 0700), 0);
		write_file(own->folder, QL_KEEP_OUTPUT, "1\n");
	}
}

static void
leave(struct finder_place *place, enum ql_orphan_kind kind, uint32_t *ret_marks)
{
	static const uint32_t marks[QL_ORPHAN_KINDS] = {
		[QL_ORPHAN_PROCESS] = 1u << QL_MARK_ENVIRON | 1u << QL_MARK_LEAF,
		[QL_ORPHAN_CGROUP] = 1u << QL_MARK_NAME | 1u << QL_MARK_EMPTY,
		[QL_ORPHAN_MOUNT] = 1u << QL_MARK_SOURCE | 1u << QL_MARK_PLACE,
		[QL_ORPHAN_FOLDER] = 1u << QL_MARK_NAME | 1u << QL_MARK_EMPTY};
	struct own *own = place->own;
	put(own, kind, own->server, own->run_dir);
	*ret_marks = marks[kind];
}

static void
leave_foreign(struct finder_place *place, enum ql_orphan_kind kind)
{
	struct own *own = place->own;
	char other[QL_ORPHAN_SERVER];
	name(other);
	put(own, kind, other, own->dir);
}

static bool
is_mounted(const char *point)
{
	struct stat here, above;
	char path[PATH + 4];
	snprintf(path, sizeof(path), "%s/..", point);
	return !stat(point, &here) && !stat(path, &above) && here.st_dev != above.st_dev;
}

static bool
is_there(struct finder_place *place, enum ql_orphan_kind kind)
{
	struct own *own = place->own;
	switch (kind) {
	case QL_ORPHAN_PROCESS:
		if (own->program && waitpid(own->program, NULL, WNOHANG) == own->program)
			own->program = 0;
		return own->program;
	case QL_ORPHAN_CGROUP:
		return !access(own->group, F_OK);
	case QL_ORPHAN_MOUNT:
		return is_mounted(own->point);
	default:
		return !access(own->folder, F_OK);
	}
}

static void
change(struct finder_place *place, enum ql_orphan_kind kind)
{
	struct own *own = place->own;
	if (kind == QL_ORPHAN_PROCESS) {
		enter(own->cgroups, own->program);
	} else if (kind == QL_ORPHAN_CGROUP) {
		own->guest = start(NULL, NULL);
		enter(own->group, own->guest);
	} else {
		write_file(own->folder, "notes", "somebody's own");
	}
}

static void
cling(struct finder_place *place, enum ql_orphan_kind kind, bool on)
{
	struct own *own = place->own;
	assert_int_equal(kind, QL_ORPHAN_MOUNT);
	if (on)
		own->guest = start(own->point, NULL);
	else
		end(&own->guest);
}

int
main(void)
{
	struct own own = {0};
	struct finder_place place = {.own = &own,
		.setup = setup,
		.teardown = teardown,
		.open = open_finder,
		.close = close_finder,
		.leave = leave,
		.is_there = is_there,
		.change = change,
		.cling = cling,
		.leave_foreign = leave_foreign};
	return finder_suite_run(&place);
}
