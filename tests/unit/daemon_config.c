/* Settings: which source wins, and what each refusal says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/config.h"

/* As if `serve --NAME VALUE` had been given; no flag when name is NULL. */
static int
read_config(struct ql_config *config, struct ql_err *e, const char *name, const char *value)
{
	struct ql_option option = {.name = name};
	struct ql_given given = {.option = &option, .value = value};
	return ql_config_read(&given, name ? 1 : 0, config, e);
}

static int
fresh_environment(void **state)
{
	(void)state;
	static const char *const names[] = {"QUELL_CONFIG", "QUELL_WORKERS", "QUELL_KEEP",
		"QUELL_KEEP_BYTES", "QUELL_AUTH", "QUELL_LISTEN", "QUELL_DATA", "XDG_STATE_HOME",
		"QUELL_STORAGE_URL", "STORAGE_SERVICE_URL"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unsetenv(names[i]);
	setenv("HOME", "/nowhere", 1);
	return 0;
}

static void
test_defaults(void **state)
{
	struct ql_config config;
	struct ql_err err;
	(void)state;
	assert_int_equal(read_config(&config, &err, NULL, NULL), 0);
	assert_string_equal(config.listen, "127.0.0.1:8080");
	assert_string_equal(config.data, "/nowhere/.local/state/quell");
	assert_string_equal(config.auth, "keys");
	assert_int_equal(config.max_queued, 2000000);
	assert_int_equal(config.keep_ms, 30LL * 86400 * 1000);
	assert_int_equal(config.keep_bytes, 10LL << 30);
	assert_int_equal(config.workers, sysconf(_SC_NPROCESSORS_ONLN));
	assert_false(config.stop_runs);
	ql_config_done(&config);
}

static char *
config_file(const char *text)
{
	char *path = strdup("/tmp/quell-config-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	return path;
}

static void
test_flag_beats_environment_beats_file(void **state)
{
	struct ql_config config;
	struct ql_err err;
	char *path = config_file("# of a test\nworkers = 3\nkeep = 2h # short\nauth = none\n");
	(void)state;
	setenv("QUELL_CONFIG", path, 1);
	setenv("QUELL_WORKERS", "4", 1);
	setenv("QUELL_KEEP_BYTES", "1M", 1);
	assert_int_equal(read_config(&config, &err, "workers", "5"), 0);
	assert_int_equal(config.workers, 5);
	assert_int_equal(config.keep_ms, 2 * 3600 * 1000);
	assert_int_equal(config.keep_bytes, 1 << 20);
	assert_string_equal(config.auth, "none");
	ql_config_done(&config);
	assert_int_equal(read_config(&config, &err, "stop-runs", NULL), 0);
	assert_int_equal(config.workers, 4);
	assert_true(config.stop_runs);
	ql_config_done(&config);
	unlink(path);
	free(path);
}

static void
reads_url(const char *name, const char *value, const char *wanted)
{
	struct ql_config config;
	struct ql_err err;
	assert_int_equal(read_config(&config, &err, name, value), 0);
	assert_string_equal(config.storage_url, wanted);
	ql_config_done(&config);
}

/* What is said to all programs of a deployment gives way to what is said to this one. */
static void
test_shared_variables_are_weakest(void **state)
{
	char *path = config_file("storage-url = http://file\n");
	(void)state;
	setenv("STORAGE_SERVICE_URL", "http://shared", 1);
	reads_url(NULL, NULL, "http://shared");
	setenv("QUELL_CONFIG", path, 1);
	reads_url(NULL, NULL, "http://file");
	setenv("QUELL_STORAGE_URL", "", 1);
	reads_url(NULL, NULL, "");
	reads_url("storage-url", "http://flag", "http://flag");
	unlink(path);
	free(path);
}

static void
refused(const char *a, const char *b, const char *says)
{
	struct ql_config config;
	struct ql_err err;
	assert_int_equal(read_config(&config, &err, a, b), -1);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" does not say \"%s\"", err.text, says);
	assert_int_equal(err.code, QL_E_USAGE);
}

static void
test_refusals_name_what_was_wanted(void **state)
{
	(void)state;
	refused("workers", "many", "whole number");
	refused("workers", "5000", "at most 4096");
	refused("keep", "soon", "a duration such as");
	refused("keep-bytes", "10Q", "a size such as");
	refused("stop-runs", "perhaps", "true or false");
	refused("auth", "maybe", "keys or none");
	refused("broker", "carrier-pigeon", "local");
	setenv("QUELL_KEEP", "x", 1);
	refused(NULL, NULL, "QUELL_");
}

static void
test_a_bad_file_is_named_with_its_line(void **state)
{
	struct ql_config config;
	struct ql_err err;
	char *path = config_file("workers = 3\n\nworkrs = 4\n");
	(void)state;
	setenv("QUELL_CONFIG", path, 1);
	refused(NULL, NULL, "line 3: there is no setting \"workrs\"");
	unlink(path);
	assert_int_equal(read_config(&config, &err, NULL, NULL), -1);
	assert_int_equal(err.code, QL_E_SYSTEM);
	assert_non_null(strstr(err.text, path));
	free(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_defaults, fresh_environment),
		cmocka_unit_test_setup(test_flag_beats_environment_beats_file, fresh_environment),
		cmocka_unit_test_setup(test_shared_variables_are_weakest, fresh_environment),
		cmocka_unit_test_setup(test_refusals_name_what_was_wanted, fresh_environment),
		cmocka_unit_test_setup(test_a_bad_file_is_named_with_its_line, fresh_environment),
	};
	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
