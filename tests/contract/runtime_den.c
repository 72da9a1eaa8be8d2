#include "runtime_den.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "runtime/sandbox/errand.h"
#include "runtime_shell.h"

#define WALKS 1000
#define UID_BASE 2000000000 /* nobody else's */

int
den_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;
	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

void
den_setup(struct suite_place *place, uv_loop_t *loop)
{
	struct den *den = place->own;
	den->loop = loop;
	strcpy(den->run_dir, "/tmp/quell-den-XXXXXX");
	assert_non_null(mkdtemp(den->run_dir));
	den->descriptors = den_descriptors();
}

struct ql_runtime *
den_open(struct suite_place *place)
{
	struct den *den = place->own;
	struct ql_runtime *runtime = NULL;
	struct ql_err e;
	const struct ql_sandbox_config config = {
		.runner = den->runner,
		.run_dir = den->run_dir,
		.uid_base = geteuid() ? 0 : UID_BASE,
	};
	if (ql_runtime_sandbox_open(den->loop, &config, &runtime, &e))
		fail_msg("%s", e.text);
	return runtime;
}

void
den_cast(struct suite_place *place, enum suite_program program, struct ql_launch *launch)
{
	(void)place;
	shell_cast(program, launch);
	if (program == PROGRAM_CANNOT)
		launch->keep_dir = "/nowhere/to/be/found";
}

/* PID 1 of a run is a fork of its supervisor, and has its command line. */
static bool
is_outside(const char *pid)
{
	char path[64], ours[64] = "", theirs[64] = "";
	snprintf(path, sizeof(path), "/proc/%s/ns/pid", pid);
	return readlink(path, theirs, sizeof(theirs) - 1) > 0 &&
	       readlink("/proc/self/ns/pid", ours, sizeof(ours) - 1) > 0 && !strcmp(ours, theirs);
}

/* Its command line ends with the run's folder. */
static bool
is_supervisor(const char *pid, const char *folder)
{
	char path[64], line[4096];
	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t len = read(fd, line, sizeof(line) - 1);
	close(fd);
	size_t want = strlen(folder);
	if (len <= (ssize_t)want)
		return false;
	line[len] = 0;
	return !strcmp(line + len - 1 - want, folder) && is_outside(pid);
}

pid_t
den_supervisor(const struct den *den, uint64_t incarnation)
{
	char folder[128], name[QL_RUN_NAME];
	ql_run_name(incarnation, name);
	snprintf(folder, sizeof(folder), "%s/%s", den->run_dir, name);
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	int64_t pid = 0;
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (!ql_str_int(entry->d_name, 1, INT32_MAX, &pid) &&
			is_supervisor(entry->d_name, folder))
			break;
	}
	closedir(dir);
	return entry ? (pid_t)pid : 0;
}

void
den_lose(struct suite_place *place, uint64_t incarnation)
{
	pid_t pid = den_supervisor(place->own, incarnation);
	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

/* Every supervisor was told to forget its run, and must end; a hang here is a failure. */
static void
reap_supervisors(void)
{
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		continue;
	assert_int_equal(errno, ECHILD);
}

static char instance[QL_RUN_NAME];

static int
is_no_cgroup_of_ours(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	if (type == FTW_D && strstr(path + ftw->base, instance)) {
		print_message("left: %s\n", path);
		return 1;
	}
	return 0;
}

/* Others make and remove cgroups meanwhile, and a walk that loses its folder begins again. */
static void
assert_no_cgroup(const struct den *den)
{
	struct ql_err e;
	int runs = open(den->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(ql_run_instance(runs, instance, &e), 0);
	close(runs);
	int found = -1;
	for (int tries = 0; found < 0 && tries < WALKS; tries++)
		found = nftw("/sys/fs/cgroup", is_no_cgroup_of_ours, 16, FTW_PHYS);
	assert_int_equal(found, 0);
}

static void
assert_no_mount(const struct den *den)
{
	static char text[1 << 20];
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	ssize_t len = 0, got;
	while ((got = read(fd, text + len, sizeof(text) - 1 - (size_t)len)) > 0)
		len += got;
	close(fd);
	text[len] = 0;
	assert_null(strstr(text, den->run_dir));
}

void
den_teardown(struct suite_place *place)
{
	struct den *den = place->own;
	reap_supervisors();
	assert_no_cgroup(den);
	assert_no_mount(den);
	assert_int_equal(rmdir(den->run_dir), 0);
	assert_int_equal(den_descriptors(), den->descriptors);
}
