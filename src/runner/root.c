/*
 * The sandbox's file system. While it is built the builder's working folder is the new root, so
 * that each path without a leading slash is inside and each with one is the host's.
 *
 *	/usr				the host's, read-only; bin, lib … link into it as they do there
 *	/etc				a few files of our own; the linker's cache and alternatives of the host's
 *	/dev				null zero full random urandom, links to /proc/self/fd, shm
 *	/tmp /work /dev/shm		one tmpfs of bounded size; the code is in /work
 *	/quell/cancel			a small tmpfs where the notice appears
 *	/quell/checkpoint		a bounded tmpfs that the supervisor holds
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner/file.h"
#include "runner/plan.h"

static int
make_folders(struct ql_err *e)
{
	static const char *const folders[] = {"usr", "etc", "etc/alternatives", "dev", "dev/shm",
		"proc", "tmp", "work", "quell", "quell/cancel", "quell/checkpoint"};
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (mkdir(folders[i], 0755))
			return ql_fail_sys(e, "make the sandbox's /%s", folders[i]);
	}
	return 0;
}

static int
make_file(const char *path, const char *text, struct ql_err *e)
{
	QL_CLEAN_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || ql_file_write(fd, text, strlen(text)))
		return ql_fail_sys(e, "make the sandbox's /%s", path);
	return 0;
}

static int
mount_tmpfs(const struct ql_plan *plan, const char *path, int64_t bytes, int inodes, mode_t mode,
	struct ql_err *e)
{
	char options[160];
	snprintf(options, sizeof(options), "size=%lld,nr_inodes=%d,mode=%o,uid=%u,gid=%u",
		(long long)bytes, inodes, mode, plan->uid, plan->gid);
	if (mount(plan->name, path, "tmpfs", MS_NOSUID | MS_NODEV, options))
		return ql_fail_sys(e, "mount a tmpfs for the sandbox");
	return 0;
}

/* A part of the host's tree, read-only with all that is mounted below it. */
static int
bind_read_only(const char *from, const char *to, struct ql_err *e)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV};
	QL_CLEAN_FD int tree =
		open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0 ||
		mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) ||
		move_mount(tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH))
		return ql_fail_sys(e, "show the host's %s in the sandbox", from);
	return 0;
}

static int
bind_if_there(const char *from, const char *to, struct ql_err *e)
{
	return access(from, F_OK) ? 0 : bind_read_only(from, to, e);
}

/* /bin, /lib …: links into /usr on a merged host, folders of their own on another. */
static int
take_over(const char *name, struct ql_err *e)
{
	char host[32];
	char link[PATH_MAX];
	struct stat st;
	snprintf(host, sizeof(host), "/%s", name);
	if (lstat(host, &st))
		return 0;
	if (S_ISDIR(st.st_mode)) {
		if (mkdir(name, 0755))
			return ql_fail_sys(e, "make the sandbox's %s", host);
		return bind_read_only(host, name, e);
	}
	ssize_t n = readlink(host, link, sizeof(link) - 1);
	if (n < 0)
		return 0;
	link[n] = 0;
	return symlink(link, name) ? ql_fail_sys(e, "make the sandbox's %s", host) : 0;
}

static int
make_usr(struct ql_err *e)
{
	static const char *const names[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};
	if (bind_read_only("/usr", "usr", e))
		return -1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (take_over(names[i], e))
			return -1;
	}
	return 0;
}

static int
make_etc(const struct ql_plan *plan, struct ql_err *e)
{
	char passwd[256];
	char group[128];
	char zone[PATH_MAX];
	snprintf(passwd, sizeof(passwd),
		"root:x:0:0::/:/usr/sbin/nologin\nquell:x:%u:%u::" QL_SANDBOX_WORK ":/bin/sh\n",
		plan->uid, plan->gid);
	snprintf(group, sizeof(group), "root:x:0:\nquell:x:%u:\n", plan->gid);
	if (make_file("etc/passwd", passwd, e) || make_file("etc/group", group, e) ||
		make_file("etc/hosts", "127.0.0.1 localhost quell\n::1 localhost\n", e) ||
		make_file("etc/resolv.conf", "", e) ||
		make_file("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n", e) ||
		make_file("etc/ld.so.cache", "", e))
		return -1;
	ssize_t n = readlink("/etc/localtime", zone, sizeof(zone) - 1);
	if (n > 0) {
		zone[n] = 0;
		/* Without it the time is UTC. */
		(void)!symlink(zone, "etc/localtime");
	}
	if (bind_if_there("/etc/ld.so.cache", "etc/ld.so.cache", e))
		return -1;
	return bind_if_there("/etc/alternatives", "etc/alternatives", e);
}

static int
make_device(const char *name, struct ql_err *e)
{
	char from[32];
	snprintf(from, sizeof(from), "/dev/%s", name);
	QL_CLEAN_FD int tree = open_tree(AT_FDCWD, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 || make_file(from + 1, "", e) ||
		move_mount(tree, "", AT_FDCWD, from + 1, MOVE_MOUNT_F_EMPTY_PATH))
		return ql_fail_sys(e, "show the host's %s in the sandbox", from);
	return 0;
}

static int
make_dev(struct ql_err *e)
{
	static const char *const devices[] = {"null", "zero", "full", "random", "urandom"};
	static const char *const links[][2] = {{"/proc/self/fd", "dev/fd"},
		{"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"},
		{"/proc/self/fd/2", "dev/stderr"}};
	for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		if (make_device(devices[i], e))
			return -1;
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if (symlink(links[i][0], links[i][1]))
			return ql_fail_sys(e, "make the sandbox's /%s", links[i][1]);
	}
	return 0;
}

static int
make_owned_folder(const struct ql_plan *plan, const char *path, mode_t mode, struct ql_err *e)
{
	if (mkdir(path, 0700) || chown(path, plan->uid, plan->gid) || chmod(path, mode))
		return ql_fail_sys(e, "make the sandbox's /%s", path);
	return 0;
}

/* Three folders of one bounded file system: it is mounted at /tmp, and then covered by one of them. */
static int
make_scratch(const struct ql_plan *plan, struct ql_err *e)
{
	static const struct {
		const char *folder;
		const char *place;
		mode_t mode;
	} parts[] = {{"tmp/work", "work", 0755}, {"tmp/shm", "dev/shm", 01777},
		{"tmp/tmp", "tmp", 01777}};
	int64_t megabytes = plan->spec->memory_mb / QL_SCRATCH_SHARE;
	if (megabytes < QL_SCRATCH_MIN_MB)
		megabytes = QL_SCRATCH_MIN_MB;
	if (mount_tmpfs(plan, "tmp", megabytes << 20, QL_SCRATCH_INODES, 0755, e))
		return -1;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (make_owned_folder(plan, parts[i].folder, parts[i].mode, e))
			return -1;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (mount(parts[i].folder, parts[i].place, NULL, MS_BIND, NULL))
			return ql_fail_sys(e, "mount the sandbox's /%s", parts[i].place);
	}
	return 0;
}

static int
place_code(const struct ql_plan *plan, struct ql_err *e)
{
	struct stat st;
	if (plan->code < 0)
		return 0;
	QL_CLEAN_FD int work = open("work", O_PATH | O_DIRECTORY | O_CLOEXEC);
	QL_CLEAN_FD int fd =
		openat(work, plan->spec->code_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || fstat(plan->code, &st) || fchown(fd, plan->uid, plan->gid))
		return ql_fail_sys(e, "place the code in the sandbox");
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = sendfile(fd, plan->code, NULL, (size_t)left);
		if (n <= 0)
			return ql_fail_sys(e, "place the code in the sandbox");
		left -= n;
	}
	return 0;
}

static int
make_quell(const struct ql_plan *plan, int ret_fds[QL_REPORT_FDS], struct ql_err *e)
{
	static const char *const folders[QL_REPORT_FDS] = {"quell/cancel", "quell/checkpoint"};
	if (mount_tmpfs(plan, folders[0], QL_NOTICE_BYTES, QL_NOTICE_INODES, 0700, e) ||
		mount_tmpfs(plan, folders[1], QL_CHECKPOINT_BYTES, QL_CHECKPOINT_INODES, 0700, e))
		return -1;
	for (int i = 0; i < QL_REPORT_FDS; i++) {
		ret_fds[i] = open(folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (ret_fds[i] < 0)
			return ql_fail_sys(e, "open the sandbox's /%s", folders[i]);
	}
	return 0;
}

/* The new root is mounted over the run folder, which nobody needs to see from here on. */
static int
begin_root(const struct ql_plan *plan, struct ql_err *e)
{
	char options[64];
	snprintf(options, sizeof(options), "size=%d,mode=755", QL_ROOT_BYTES);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return ql_fail_sys(e, "make the sandbox's mounts private");
	if (mount(plan->name, plan->folder, "tmpfs", MS_NOSUID | MS_NODEV, options) ||
		chdir(plan->folder))
		return ql_fail_sys(e, "mount the sandbox's root");
	return 0;
}

/* Stacks the host's root on ours, and takes it away from there with everything below it. */
int
ql_root_enter(struct ql_err *e)
{
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return ql_fail_sys(e, "enter the sandbox's root");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL))
		return ql_fail_sys(e, "make the sandbox's root read-only");
	return 0;
}

int
ql_root_build(const struct ql_plan *plan, int ret_fds[QL_REPORT_FDS], struct ql_err *e)
{
	umask(0);
	if (begin_root(plan, e) || make_folders(e) || make_usr(e) || make_etc(plan, e) ||
		make_dev(e) || make_scratch(plan, e) || place_code(plan, e))
		return -1;
	return make_quell(plan, ret_fds, e);
}
