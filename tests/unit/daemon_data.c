/* The data folder: its lock and its keys. */
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

#include "daemon/data.h"
#include "daemon/rundir.h"

struct fixture {
	char top[64];
	struct ql_data data;
};

static int
open_fixture(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	char dir[128];
	strcpy(fixture->top, "/tmp/quell-data-XXXXXX");
	assert_non_null(mkdtemp(fixture->top));
	snprintf(dir, sizeof(dir), "%s/deep/er", fixture->top);
	assert_int_equal(ql_data_open(dir, &fixture->data, NULL), 0);
	*state = fixture;
	return 0;
}

static int
close_fixture(void **state)
{
	struct fixture *fixture = *state;
	char command[128];
	ql_data_close(&fixture->data);
	snprintf(command, sizeof(command), "rm -r %s", fixture->top);
	assert_int_equal(system(command), 0);
	free(fixture);
	return 0;
}

static void
write_file(const struct fixture *fixture, const char *name, const char *text, mode_t mode)
{
	char path[PATH_MAX];
	assert_int_equal(ql_data_path(&fixture->data, name, path, sizeof(path), NULL), 0);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void
test_a_second_server_is_refused_by_name(void **state)
{
	struct fixture *fixture = *state;
	struct ql_data second;
	struct ql_err err;
	struct stat st;
	assert_int_equal(stat(fixture->data.dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	ql_data_sign(&fixture->data, "http://127.0.0.1:1");
	assert_int_equal(ql_data_open(fixture->data.dir, &second, &err), -1);
	assert_int_equal(err.code, QL_E_CONFLICT);
	assert_non_null(strstr(err.text, "at http://127.0.0.1:1"));
	ql_data_close(&fixture->data);
	assert_int_equal(ql_data_open(fixture->data.dir, &second, &err), 0);
	ql_data_close(&second);
}

static void
test_the_admin_key_is_made_once(void **state)
{
	struct fixture *fixture = *state;
	char key[QL_KEY_TEXT], again[QL_KEY_TEXT], path[PATH_MAX];
	struct stat st;
	assert_int_equal(ql_data_admin_key(&fixture->data, key, NULL), 0);
	assert_int_equal(ql_data_admin_key(&fixture->data, again, NULL), 0);
	assert_int_equal(strlen(key), QL_KEY_TEXT - 1);
	assert_string_equal(key, again);
	assert_int_equal(ql_data_path(&fixture->data, "admin.key", path, sizeof(path), NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
test_a_key_that_others_can_read_is_refused(void **state)
{
	struct fixture *fixture = *state;
	char key[QL_KEY_TEXT];
	struct ql_err err;
	write_file(fixture, "admin.key", "0123456789abcdef0123\n", 0644);
	assert_int_equal(ql_data_admin_key(&fixture->data, key, &err), -1);
	assert_non_null(strstr(err.text, "chmod 600"));
	write_file(fixture, "admin.key", "short\n", 0600);
	assert_int_equal(ql_data_admin_key(&fixture->data, key, &err), -1);
	assert_non_null(strstr(err.text, "under 16"));
}

static int
collect(void *arg, const char *owner, const char *key, struct ql_err *e)
{
	char *all = arg;
	(void)e;
	strcat(strcat(strcat(strcat(all, owner), "="), key), ";");
	return 0;
}

static void
test_user_keys(void **state)
{
	struct fixture *fixture = *state;
	char all[256] = "";
	struct ql_err err;
	assert_int_equal(ql_data_user_keys(&fixture->data, collect, all, &err), 0);
	assert_string_equal(all, "");
	write_file(fixture, "users.keys",
		"# who\nalice 0123456789abcdef\n\n bob\tfedcba9876543210 # new\n", 0600);
	assert_int_equal(ql_data_user_keys(&fixture->data, collect, all, &err), 0);
	assert_string_equal(all, "alice=0123456789abcdef;bob=fedcba9876543210;");
	write_file(fixture, "users.keys", "alice 0123456789abcdef\ncarol\n", 0600);
	assert_int_equal(ql_data_user_keys(&fixture->data, collect, all, &err), -1);
	assert_non_null(strstr(err.text, "line 2"));
}

static void
test_the_run_folder_is_taken_up_while_a_run_is_in_it(void **state)
{
	struct fixture *fixture = *state;
	char path[PATH_MAX], run[PATH_MAX + 8];
	struct stat st, again;
	assert_int_equal(ql_rundir_open(&fixture->data, path, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(lstat(path, &again), 0);
	bool in_memory = S_ISLNK(again.st_mode);
	snprintf(run, sizeof(run), "%s/1", path);
	assert_int_equal(mkdir(run, 0700), 0);
	ql_rundir_close(&fixture->data);
	assert_int_equal(ql_rundir_open(&fixture->data, path, NULL), 0);
	assert_int_equal(stat(path, &again), 0);
	assert_int_equal(st.st_ino, again.st_ino);
	assert_int_equal(rmdir(run), 0);
	ql_rundir_close(&fixture->data);
	if (in_memory)
		assert_int_equal(lstat(path, &again), -1);
}

static void
test_a_link_to_nowhere_is_replaced(void **state)
{
	struct fixture *fixture = *state;
	char path[PATH_MAX];
	struct stat st;
	assert_int_equal(ql_data_path(&fixture->data, "run", path, sizeof(path), NULL), 0);
	assert_int_equal(symlink("/nowhere/at/all", path), 0);
	assert_int_equal(ql_rundir_open(&fixture->data, path, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	ql_rundir_close(&fixture->data);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_fixture, close_fixture)
	const struct CMUnitTest tests[] = {
		TEST(test_a_second_server_is_refused_by_name),
		TEST(test_the_admin_key_is_made_once),
		TEST(test_a_key_that_others_can_read_is_refused),
		TEST(test_user_keys),
		TEST(test_the_run_folder_is_taken_up_while_a_run_is_in_it),
		TEST(test_a_link_to_nowhere_is_replaced),
	};
	return cmocka_run_group_tests_name("data folder", tests, NULL, NULL);
}
