/*
 * A disk that is full or fails: a commit fails as a whole, reads go on, and so do commits once
 * there is room again. The C library's calls that write are taken over here, to count and to fail
 * them; the full disk is a real one, a small tmpfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store_kit.h"

/* ---- the calls ---- */

static atomic_int syncs;
static atomic_int writes;
static atomic_int fail_write_at; /* this one of `writes` fails with EIO; 0 = none */
static atomic_int reads;
static atomic_int fail_read_at;
static atomic_int fail_syncs; /* each one fails with EIO */

static bool
may_write(void)
{
	if (atomic_fetch_add(&writes, 1) + 1 != atomic_load(&fail_write_at))
		return true;
	errno = EIO;
	return false;
}

ssize_t
pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
	return may_write() ? syscall(SYS_pwrite64, fd, bytes, len, at) : -1;
}

static int
sync_by(long call, int fd)
{
	atomic_fetch_add(&syncs, 1);
	if (!atomic_load(&fail_syncs))
		return (int)syscall(call, fd);
	errno = EIO;
	return -1;
}

int
fsync(int fd)
{
	return sync_by(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	return sync_by(SYS_fdatasync, fd);
}

ssize_t
pread64(int fd, void *ret_bytes, size_t len, off64_t at)
{
	if (atomic_fetch_add(&reads, 1) + 1 != atomic_load(&fail_read_at))
		return syscall(SYS_pread64, fd, ret_bytes, len, at);
	errno = EIO;
	return -1;
}

static void
reset_calls(void)
{
	atomic_store(&fail_read_at, 0);
	atomic_store(&reads, 0);
	atomic_store(&fail_write_at, 0);
	atomic_store(&fail_syncs, 0);
	atomic_store(&writes, 0);
	atomic_store(&syncs, 0);
}

/* ---- failing calls ---- */

static struct ql_change *
two_of(int n)
{
	struct ql_change *changes = NULL;
	for (int i = 0; i < 2; i++) {
		char eval_id[16];
		snprintf(eval_id, sizeof(eval_id), "e%d-%d", n, i);
		kit_add(&changes, kit_new(eval_id, 1000 + n));
	}
	return changes;
}

static size_t
count(struct kit *kit)
{
	struct ql_store_read op = {.kind = QL_READ_LIST};
	if (kit_read(kit, &op))
		fail_msg("%s", kit->err.text);
	size_t found = op.record_count;
	ql_store_read_done(&op);
	return found;
}

static void
answers_after_the_disk_said_yes(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, two_of(1));
	for (int n = 2; n < 6; n++) {
		reset_calls();
		kit_ok(kit, two_of(n));
		assert_true(atomic_load(&syncs) >= 1);
		assert_true(atomic_load(&writes) >= 1);
	}
}

static void
fails_as_a_whole_at_each_write(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, two_of(0));
	reset_calls();
	kit_ok(kit, two_of(1));
	int needed = atomic_load(&writes);
	assert_true(needed > 2);
	for (int at = 1; at <= needed; at++) {
		reset_calls();
		atomic_store(&fail_write_at, at);
		kit_refused(kit, two_of(1 + at), QL_E_UNAVAILABLE);
		assert_int_equal(count(kit), 2 + 2 * (size_t)at);
		kit_ok(kit, two_of(1 + at));
	}
	reset_calls();
	kit_shut(kit);
	assert_int_equal(kit_reopen(kit), 0);
	assert_int_equal(count(kit), 4 + 2 * (size_t)needed);
}

static void
fails_when_nothing_can_be_made_durable(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, two_of(1));
	atomic_store(&fail_syncs, 1);
	for (int i = 0; i < 3; i++)
		kit_refused(kit, two_of(2), QL_E_UNAVAILABLE);
	kit_refused(kit, NULL, QL_E_UNAVAILABLE); /* no change asks whether it works again */
	assert_int_equal(count(kit), 2);
	reset_calls();
	kit_ok(kit, NULL);
	assert_true(atomic_load(&syncs) >= 1);
	kit_ok(kit, two_of(2));
	assert_int_equal(count(kit), 4);
}

#define PAYLOAD 40000

static struct ql_change *
large(int n)
{
	struct ql_change *changes = two_of(n);
	for (struct ql_change *change = changes; change; change = change->next) {
		free(change->record.payload);
		change->record.payload = calloc(1, PAYLOAD);
		memset(change->record.payload, 'x', PAYLOAD - 1);
	}
	return changes;
}

/* More than a reader keeps in its cache, so that each read asks the disk. */
static void
reads_all_or_nothing(void **state)
{
	struct kit *kit = *state;
	for (int n = 0; n < 100; n++)
		kit_ok(kit, large(n));
	int failed = 0;
	for (int at = 1; at < 2000; at += 37) {
		struct ql_store_read op = {.kind = QL_READ_LIST, .filter = {.with_payload = true}};
		reset_calls();
		atomic_store(&fail_read_at, at);
		int status = kit_read(kit, &op); /* which looks for results after a failure */
		assert_int_equal(
			status ? kit->err.code : QL_E_OK, status ? QL_E_UNAVAILABLE : QL_E_OK);
		assert_int_equal(op.record_count, status ? 0 : 200);
		failed += status != 0;
		ql_store_read_done(&op);
	}
	reset_calls();
	assert_true(failed > 20);
	assert_int_equal(count(kit), 200);
}

/* ---- a full disk ---- */

#define DISK (2 << 20)

static int
mount_small(const char *dir)
{
	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return -1;
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	char options[32];
	snprintf(options, sizeof(options), "size=%d", DISK);
	return mount("none", dir, "tmpfs", 0, options);
}

/* A small disk of this process alone, in the kit's folder, with a store still to be made on it. */
static void
move_to_a_small_disk(struct kit *kit)
{
	kit_shut(kit);
	if (mount_small(kit->dir) == 0)
		return;
	print_message("# skipped: a small disk can't be mounted here: %s\n", strerror(errno));
	skip();
}

/* Takes up room. */
static void
lay_ballast(struct kit *kit, off_t bytes, char ret_path[static 128])
{
	snprintf(ret_path, 128, "%s/ballast", kit->dir);
	int fd = open(ret_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, bytes), 0);
	close(fd);
}

static int
fill_up(struct kit *kit)
{
	int held = 0;
	while (held < 2 * DISK / PAYLOAD && kit_commit(kit, large(held)) == 0)
		held++;
	assert_int_equal(kit->err.code, QL_E_DISK_FULL);
	assert_non_null(strstr(kit->err.text, "make room"));
	return held;
}

static void
goes_on_when_a_full_disk_has_room_again(void **state)
{
	struct kit *kit = *state;
	char ballast[128];
	move_to_a_small_disk(kit);
	lay_ballast(kit, DISK / 4, ballast);
	if (kit_reopen(kit))
		fail_msg("%s", kit->err.text);
	size_t held = (size_t)fill_up(kit);
	assert_true(held > 3);
	kit_refused(kit, large(1000), QL_E_DISK_FULL);
	assert_int_equal(count(kit), 2 * held);
	assert_int_equal(unlink(ballast), 0);
	kit_ok(kit, large(1000));
	assert_int_equal(count(kit), 2 * held + 2);
	kit_shut(kit);
	assert_int_equal(kit_reopen(kit), 0);
	assert_int_equal(count(kit), 2 * held + 2);
	kit_shut(kit);
	assert_int_equal(umount(kit->dir), 0);
}

/* What an open that failed half-way leaves is taken up by the next one. */
static void
opens_once_a_full_disk_has_room_again(void **state)
{
	struct kit *kit = *state;
	char ballast[128];
	move_to_a_small_disk(kit);
	for (int left = 0; left < 40; left += 4) {
		lay_ballast(kit, DISK - (left << 10) - 8192, ballast);
		assert_int_equal(kit_reopen(kit), -1);
		assert_int_equal(kit->err.code, QL_E_DISK_FULL);
		assert_int_equal(uv_run(&kit->loop, UV_RUN_DEFAULT), 0);
		assert_int_equal(unlink(ballast), 0);
	}
	assert_int_equal(kit_reopen(kit), 0);
	kit_ok(kit, two_of(1));
	kit_shut(kit);
	assert_int_equal(umount(kit->dir), 0);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		KIT_CASE(answers_after_the_disk_said_yes),
		KIT_CASE(fails_as_a_whole_at_each_write),
		KIT_CASE(fails_when_nothing_can_be_made_durable),
		KIT_CASE(reads_all_or_nothing),
		KIT_CASE(goes_on_when_a_full_disk_has_room_again),
		KIT_CASE(opens_once_a_full_disk_has_room_again),
	};
	return kit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
