/* The folders that outputs and checkpoints are kept in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "rules/keep.h"

static int
make_dir(void **state)
{
	char *dir = strdup("/tmp/quell-keep-XXXXXX");
	*state = dir;
	return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
	char path[256];
	for (int i = 0; i < 256; i++) {
		snprintf(path, sizeof(path), "%s/kept/%02x", (const char *)*state, (unsigned)i);
		rmdir(path);
	}
	snprintf(path, sizeof(path), "%s/kept", (const char *)*state);
	rmdir(path);
	int rc = rmdir(*state);
	free(*state);
	return rc;
}

/* As the run does it when it has something to keep. */
static void
make(const char *dir, int32_t attempt)
{
	char path[256];
	struct ql_err e = {0};
	assert_int_equal(ql_keep_make(dir, "eval", attempt, &e), 0);
	assert_int_equal(ql_keep_path(dir, "eval", attempt, NULL, path, sizeof(path)), 0);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void
put_file(const char *dir, const char *name)
{
	char path[256];
	assert_int_equal(ql_keep_path(dir, "eval", 2, name, path, sizeof(path)), 0);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
}

static void
test_paths(void **state)
{
	(void)state;
	char path[64];
	assert_int_equal(ql_keep_path("/d", "eval", 2, NULL, path, sizeof(path)), 0);
	assert_memory_equal(path, "/d/kept/", 8);
	assert_string_equal(path + 10, "/eval~2");
	assert_int_equal(ql_keep_path("/d", "eval", 2, QL_KEEP_OUTPUT, path, sizeof(path)), 0);
	assert_string_equal(path + 10, "/eval~2/output");
	assert_int_equal(ql_keep_path("/d", "eval", 2, NULL, path, 17), -1);
	assert_int_equal(ql_keep_path("/d", "eval", 2, NULL, path, 18), 0);
}

static void
test_ids_are_spread(void **state)
{
	(void)state;
	int used[256] = {0}, most = 0;
	for (int i = 0; i < 25600; i++) {
		char id[16], path[64];
		unsigned shard;
		snprintf(id, sizeof(id), "eval-%d", i);
		assert_int_equal(ql_keep_path("/d", id, 1, NULL, path, sizeof(path)), 0);
		assert_int_equal(sscanf(path, "/d/kept/%2x/", &shard), 1);
		most = ++used[shard] > most ? used[shard] : most;
	}
	assert_in_range(most, 100, 200);
}

static void
test_make_and_remove(void **state)
{
	const char *dir = *state;
	char path[256];
	struct stat st;
	struct ql_err e = {0};
	assert_int_equal(ql_keep_make(dir, "eval", 2, &e), 0);
	assert_int_equal(ql_keep_path(dir, "eval", 2, NULL, path, sizeof(path)), 0);
	assert_int_equal(stat(path, &st), -1);
	make(dir, 2);
	*strrchr(path, '/') = 0;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	put_file(dir, QL_KEEP_OUTPUT);
	put_file(dir, QL_KEEP_CHECKPOINT);
	assert_int_equal(ql_keep_remove(dir, "eval", 2, &e), 0);
	assert_int_equal(ql_keep_path(dir, "eval", 2, NULL, path, sizeof(path)), 0);
	assert_int_equal(stat(path, &st), -1);
	assert_int_equal(ql_keep_remove(dir, "eval", 2, &e), 0);
}

/* The newest one of this attempt or before; a later attempt's is not looked at. */
static void
test_the_newest_checkpoint_is_found(void **state)
{
	const char *dir = *state;
	char path[256], wanted[256];
	struct ql_err e = {0};
	assert_int_equal(ql_keep_checkpoint(dir, "eval", 3, path, sizeof(path)), -1);
	make(dir, 2);
	put_file(dir, QL_KEEP_CHECKPOINT);
	assert_int_equal(
		ql_keep_path(dir, "eval", 2, QL_KEEP_CHECKPOINT, wanted, sizeof(wanted)), 0);
	assert_int_equal(ql_keep_checkpoint(dir, "eval", 3, path, sizeof(path)), 0);
	assert_string_equal(path, wanted);
	assert_int_equal(ql_keep_checkpoint(dir, "eval", 1, path, sizeof(path)), -1);
	assert_int_equal(ql_keep_remove(dir, "eval", 2, &e), 0);
}

/* A link in its place isn't followed: what it leads to isn't ours. */
static void
test_a_link_is_not_followed(void **state)
{
	const char *dir = *state;
	char path[256], target[256];
	struct ql_err e = {0};
	make(dir, 2);
	put_file(dir, QL_KEEP_OUTPUT);
	assert_int_equal(ql_keep_path(dir, "eval", 2, NULL, target, sizeof(target)), 0);
	assert_int_equal(ql_keep_path(dir, "eval", 3, NULL, path, sizeof(path)), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(ql_keep_remove(dir, "eval", 3, &e), -1);
	assert_non_null(strstr(e.text, path));
	assert_int_equal(access(target, F_OK), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ql_keep_remove(dir, "eval", 2, &e), 0);
}

static void
test_a_missing_data_folder_is_said(void **state)
{
	char dir[256];
	struct ql_err e = {0};
	snprintf(dir, sizeof(dir), "%s/none", (const char *)*state);
	assert_int_equal(ql_keep_make(dir, "eval", 1, &e), -1);
	assert_non_null(strstr(e.text, "/none/kept: No such file or directory"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_ids_are_spread),
		cmocka_unit_test_setup_teardown(
			test_the_newest_checkpoint_is_found, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_make_and_remove, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_a_link_is_not_followed, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			test_a_missing_data_folder_is_said, make_dir, remove_dir),
	};
	return cmocka_run_group_tests_name("keep", tests, NULL, NULL);
}
