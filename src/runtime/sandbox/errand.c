#include "runtime/sandbox/errand.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "runner/proto.h"
#include "runtime/runtime.h"
#include "runtime/sandbox/child.h"

void
ql_run_name(uint64_t incarnation, char ret_name[static QL_RUN_NAME])
{
	snprintf(ret_name, QL_RUN_NAME, "%016llx", (unsigned long long)incarnation);
}

int
ql_run_parse(const char *name, uint64_t *ret_incarnation)
{
	if (strlen(name) != QL_RUN_NAME - 1 || strspn(name, "0123456789abcdef") != QL_RUN_NAME - 1)
		return -1;
	*ret_incarnation = strtoull(name, NULL, 16);
	return *ret_incarnation ? 0 : -1;
}

/*
 * FNV-1a over device, inode and birth: an inode is used again for another folder, which may be another
 * server's. A file system that knows no births counts its inodes up.
 */
int
ql_run_instance(int runs, char ret_name[static QL_RUN_NAME], struct ql_err *e)
{
	struct statx st;
	if (statx(runs, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st))
		return ql_fail_sys(e, "The run folder can't be looked at");
	bool born = st.stx_mask & STATX_BTIME;
	uint64_t hash = 0xcbf29ce484222325ULL;
	const uint64_t parts[] = {makedev(st.stx_dev_major, st.stx_dev_minor), st.stx_ino,
		born ? (uint64_t)st.stx_btime.tv_sec : 0, born ? st.stx_btime.tv_nsec : 0};
	const unsigned char *bytes = (const unsigned char *)parts;
	for (size_t i = 0; i < sizeof(parts); i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
	ql_run_name(hash, ret_name);
	return 0;
}

/* A run folder while an errand works on it. */
struct place {
	char name[QL_RUN_NAME];
	int dir;
	int lock; /* -1 while it isn't ours */
};

static void
leave(struct place *place)
{
	if (place->lock >= 0)
		close(place->lock);
	if (place->dir >= 0)
		close(place->dir);
}

static int
open_lock(struct place *place)
{
	int fd =
		openat(place->dir, QL_RUNNER_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		place->lock = fd;
		return 0;
	}
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int
fail(struct ql_errand *errand, const char *what)
{
	char name[QL_RUN_NAME];
	int error = errno;
	ql_run_name(errand->incarnation, name);
	errno = error;
	errand->end = QL_ERRAND_FAILED;
	return ql_fail_sys(&errand->err, "%s of the run %s", what, name);
}

/*
 * Only what the server itself put there, and a status that was cut short before it was one:
 * whatever else there is makes rmdir refuse.
 */
static int
remove_files(const struct place *place)
{
	const char *const names[] = {QL_RUNNER_STATUS ".new", QL_RUNNER_SPEC, QL_RUNNER_CODE,
		QL_RUNNER_SOCK, QL_RUNNER_LOCK};
	for (size_t i = 0; place->dir >= 0 && i < sizeof(names) / sizeof(*names); i++) {
		if (unlinkat(place->dir, names[i], 0) && errno != ENOENT)
			return -1;
	}
	return 0;
}

static void
remove_folder(struct ql_errand *errand, const struct place *place)
{
	if (remove_files(place) ||
		(unlinkat(errand->runs, place->name, AT_REMOVEDIR) && errno != ENOENT))
		fail(errand, "Can't remove the folder");
	else
		errand->end = QL_ERRAND_ABSENT;
}

static void
spawn(struct ql_errand *errand, const struct place *place, const char *verb)
{
	int ends[2];
	char folder[PATH_MAX];
	snprintf(folder, sizeof(folder), "%s/%s", errand->run_dir, place->name);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		fail(errand, "No connection to the supervisor");
		return;
	}
	errand->end = QL_ERRAND_FAILED;
	if (!ql_child_spawn(errand->runner, verb, folder, place->lock, ends[1], &errand->child,
		    &errand->err)) {
		errand->end = QL_ERRAND_CONNECTED;
		errand->conn = ends[0];
	} else {
		close(ends[0]);
	}
	close(ends[1]);
}

/* A path through the descriptor, as the folder's own may be longer than an address can be. */
static void
connect_to(struct ql_errand *errand, const struct place *place)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", place->dir,
		QL_RUNNER_SOCK);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		fail(errand, "No connection to the supervisor");
		return;
	}
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
		errand->end = QL_ERRAND_CONNECTED;
		errand->conn = fd;
		return;
	}
	bool soon = errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN || errno == EINTR;
	fail(errand, "Can't connect to the supervisor");
	if (soon)
		errand->end = QL_ERRAND_BUSY;
	close(fd);
}

static bool
has_status(const struct place *place)
{
	struct stat st;
	return fstatat(place->dir, QL_RUNNER_STATUS, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
reach(struct ql_errand *errand, struct place *place)
{
	place->dir = openat(errand->runs, place->name, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (place->dir < 0 && errno == ENOENT) {
		errand->end = QL_ERRAND_ABSENT;
		return;
	}
	if (place->dir < 0) {
		fail(errand, "Can't open the folder");
		return;
	}
	if (open_lock(place) == 0) {
		if (has_status(place))
			spawn(errand, place, "recover");
		else
			remove_folder(errand, place);
	} else if (errno == EWOULDBLOCK) {
		connect_to(errand, place);
	} else if (errno == ENOENT) {
		errand->end = QL_ERRAND_ABSENT; /* removed since it was opened */
	} else {
		fail(errand, "Can't lock the folder");
	}
}

static int
write_file(const struct place *place, const char *name, const char *data, size_t len)
{
	int fd = openat(place->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	while (len) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int error = errno;
			close(fd);
			errno = error;
			return -1;
		}
		data += n;
		len -= (size_t)n;
	}
	return close(fd);
}

static int
fill(struct ql_errand *errand, struct place *place)
{
	place->dir = openat(errand->runs, place->name, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (place->dir < 0)
		return fail(errand, "Can't open the folder");
	if (open_lock(place))
		return fail(errand, "Can't lock the folder");
	if (write_file(place, QL_RUNNER_SPEC, errand->spec.data, errand->spec.len))
		return fail(errand, "Can't write the spec");
	if (errand->code && write_file(place, QL_RUNNER_CODE, errand->code, errand->code_len))
		return fail(errand, "Can't write the code");
	return 0;
}

/* A start that fails leaves nothing half made; its own error is the one that is told. */
static void
make(struct ql_errand *errand, struct place *place)
{
	if (fill(errand, place) == 0)
		spawn(errand, place, "start");
	errand->made = errand->end == QL_ERRAND_CONNECTED;
	if (errand->made)
		return;
	struct ql_err why = errand->err;
	remove_folder(errand, place);
	errand->end = QL_ERRAND_FAILED;
	errand->err = why;
}

static struct place
place_of(struct ql_errand *errand)
{
	struct place place = {.dir = -1, .lock = -1};
	ql_run_name(errand->incarnation, place.name);
	errand->conn = -1;
	errand->child = -1;
	return place;
}

void
ql_errand_start(struct ql_errand *errand)
{
	struct place place = place_of(errand);
	int made = mkdirat(errand->runs, place.name, 0700);
	if (made && errno == EEXIST) {
		reach(errand, &place);
		leave(&place);
		if (errand->end != QL_ERRAND_ABSENT)
			return;
		place = place_of(
			errand); /* a start that a crash cut short: nothing of it is left */
		made = mkdirat(errand->runs, place.name, 0700);
	}
	if (made)
		fail(errand, "Can't make the folder");
	else
		make(errand, &place);
	leave(&place);
}

void
ql_errand_reach(struct ql_errand *errand)
{
	struct place place = place_of(errand);
	reach(errand, &place);
	leave(&place);
}

void
ql_errand_done(struct ql_errand *errand)
{
	ql_buf_done(&errand->spec);
}

static int
add_run(struct ql_buf *found, uint64_t incarnation, struct ql_err *e)
{
	found->limit = QL_RUNTIME_LIST_MAX * sizeof(incarnation);
	if (ql_buf_add(found, &incarnation, sizeof(incarnation)))
		return ql_fail(e, QL_E_LIMIT, "There are more than %d runs in the run folder",
			QL_RUNTIME_LIST_MAX);
	return 0;
}

static int
read_names(DIR *dir, struct ql_buf *found, struct ql_err *e)
{
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (!entry)
			return errno ? ql_fail_sys(e, "The run folder can't be read") : 0;
		uint64_t incarnation;
		if (!ql_run_parse(entry->d_name, &incarnation) && add_run(found, incarnation, e))
			return -1;
	}
}

int
ql_errand_list(int runs, uint64_t **ret_incarnations, size_t *ret_count, struct ql_err *e)
{
	int fd = openat(runs, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		ql_fail_sys(e, "The run folder can't be read");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	QL_CLEAN_BUF struct ql_buf found = {0};
	int status = read_names(dir, &found, e);
	closedir(dir);
	if (status)
		return -1;
	*ret_count = found.len / sizeof(**ret_incarnations);
	*ret_incarnations = (uint64_t *)(void *)ql_buf_take(&found);
	return 0;
}
