/* The parts that own no socket: targets, hosts, JSON, keys, kept files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/auth.h"
#include "http/api/blob.h"
#include "base/json.h"
#include "http/listen.h"
#include "http/target.h"

/* ---- targets ---- */

static void
test_a_target_is_split_and_decoded(void **state)
{
	struct ql_target target;
	struct ql_err e;
	const char *field;
	(void)state;
	assert_int_equal(ql_target_parse("/api/eval/a%2Fb/x%20y?k=v%3d1&flag&plus=a+b%2B", &target,
				 &field, &e),
		0);
	assert_int_equal(target.segment_count, 4);
	assert_string_equal(target.segments[2], "a/b");
	assert_string_equal(target.segments[3], "x y");
	assert_string_equal(ql_target_param(&target, "k"), "v=1");
	assert_string_equal(ql_target_param(&target, "flag"), "");
	assert_string_equal(ql_target_param(&target, "plus"), "a b+");
	assert_null(ql_target_param(&target, "none"));
	ql_target_done(&target);
}

static void
test_an_absolute_target_names_its_authority(void **state)
{
	struct ql_target target;
	struct ql_err e;
	const char *field;
	(void)state;
	assert_int_equal(ql_target_parse("http://h:80/a?b=c", &target, &field, &e), 0);
	assert_string_equal(target.authority, "h:80");
	assert_string_equal(target.segments[0], "a");
	assert_string_equal(ql_target_param(&target, "b"), "c");
	ql_target_done(&target);
}

static void
test_bad_targets_are_refused(void **state)
{
	static const char *const bad[] = {"", "x", "*", "http://h", "/%", "/%2", "/%zz", "/a%00b",
		"/%ff", "/%c0%80", "/%ed%a0%80", "/a?x=%", "/a?x=%f5%80%80%80", "?a=b"};
	struct ql_target target;
	struct ql_err e;
	const char *field;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(ql_target_parse(bad[i], &target, &field, &e), -1);
		assert_int_equal(e.code, QL_E_SYNTAX);
		assert_null(field);
		ql_target_done(&target);
	}
}

static void
test_a_name_given_twice_is_refused(void **state)
{
	struct ql_target target;
	struct ql_err e;
	const char *field;
	(void)state;
	assert_int_equal(ql_target_parse("/a?wait=1&%77ait=2", &target, &field, &e), -1);
	assert_int_equal(e.code, QL_E_INVALID);
	assert_string_equal(field, "wait");
	ql_target_done(&target);
}

static void
test_targets_are_bounded(void **state)
{
	char text[4096] = "/a";
	struct ql_target target;
	struct ql_err e;
	const char *field;
	(void)state;
	assert_int_equal(ql_target_parse("/a/b/c/d/e/f/g/h", &target, &field, &e), 0);
	assert_true(target.segment_count > QL_HTTP_SEGMENTS);
	ql_target_done(&target);
	for (int i = 0; i <= QL_HTTP_PARAMS; i++)
		snprintf(text + strlen(text), 16, "%cp%d", i ? '&' : '?', i);
	assert_int_equal(ql_target_parse(text, &target, &field, &e), -1);
	assert_int_equal(e.code, QL_E_INVALID);
	ql_target_done(&target);
	memset(text + 2, 'x', sizeof(text) - 3);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(ql_target_parse(text, &target, &field, &e), 0);
	assert_int_equal(strlen(target.segments[0]), sizeof(text) - 2);
	ql_target_done(&target);
}

/* ---- hosts ---- */

static void
test_hosts_of_a_loopback_address(void **state)
{
	static const char *const good[] = {
		"127.0.0.1:8080", "localhost:8080", "LocalHost:8080", "[::1]:8080"};
	static const char *const bad[] = {"", "127.0.0.1", "localhost", "127.0.0.1:80", "evil:8080",
		"127.0.0.1:8080.evil", "127.0.0.1.evil:8080", "[::1", "[::1]8080",
		"[localhost]:8080", "[127.0.0.1]:8080", "::1:8080", "localhost:", "localhost:8080x",
		"localhost:+8080", "localhost: 8080", "localhost:99999999", "user@localhost:8080",
		"10.0.0.1:8080"};
	struct ql_listen where;
	struct ql_err e;
	(void)state;
	assert_int_equal(ql_listen_parse("127.0.0.1:8080", &where, &e), 0);
	assert_true(where.loopback);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(ql_listen_has_host(&where, good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(ql_listen_has_host(&where, bad[i]));
	assert_true(ql_listen_has_origin(&where, "http://localhost:8080"));
	assert_false(ql_listen_has_origin(&where, "https://localhost:8080"));
	assert_false(ql_listen_has_origin(&where, "null"));
	assert_false(ql_listen_has_origin(&where, "http://localhost:8080/"));
}

static void
test_hosts_of_other_addresses(void **state)
{
	struct ql_listen where;
	struct ql_err e;
	char own[256], host[300];
	(void)state;
	assert_int_equal(ql_listen_parse("10.1.2.3:80", &where, &e), 0);
	assert_true(ql_listen_has_host(&where, "10.1.2.3"));
	assert_true(ql_listen_has_host(&where, "10.1.2.3:80"));
	assert_false(ql_listen_has_host(&where, "localhost:80"));
	assert_int_equal(ql_listen_parse("[::]:8080", &where, &e), 0);
	assert_true(where.any && !where.loopback);
	assert_true(ql_listen_has_host(&where, "192.0.2.7:8080"));
	assert_true(ql_listen_has_host(&where, "[2001:db8::1]:8080"));
	assert_false(ql_listen_has_host(&where, "rebound.example:8080"));
	assert_int_equal(gethostname(own, sizeof(own)), 0);
	snprintf(host, sizeof(host), "%s:8080", own);
	assert_true(ql_listen_has_host(&where, host));
	assert_int_equal(ql_listen_parse("[::1]:9", &where, &e), 0);
	assert_true(where.loopback && ql_listen_has_host(&where, "127.0.0.1:9"));
}

static void
test_bad_listen_addresses(void **state)
{
	static const char *const bad[] = {"", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x",
		"127.0.0.1:65536", "[::1:80", "no such name:80"};
	struct ql_listen where;
	struct ql_err e;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ql_listen_parse(bad[i], &where, &e), -1);
}

/* ---- JSON ---- */

static void
test_json_is_escaped_and_repaired(void **state)
{
	struct ql_json json = {0};
	(void)state;
	ql_json_open(&json, NULL, '{');
	ql_json_text(&json, "a", "quote \" back \\ nl \n tab \t bell \a del \x7f grün €");
	ql_json_text(&json, "b", "cut \xe2\x82 bad \xff end");
	ql_json_open(&json, "c", '[');
	ql_json_int(&json, NULL, -5);
	ql_json_bool(&json, NULL, true);
	ql_json_null(&json, NULL);
	ql_json_close(&json, ']');
	ql_json_time(&json, "d", 1767323045678);
	ql_json_time(&json, "e", 0);
	ql_json_raw(&json, "f", "{\"x\":1}");
	ql_json_close(&json, '}');
	json_t *read = json_loads(json.buf.data, 0, NULL);
	assert_non_null(read);
	assert_string_equal(json_string_value(json_object_get(read, "a")),
		"quote \" back \\ nl \n tab \t bell \a del \x7f grün €");
	assert_string_equal(json_string_value(json_object_get(read, "b")),
		"cut \xef\xbf\xbd\xef\xbf\xbd bad \xef\xbf\xbd end");
	assert_int_equal(json_array_size(json_object_get(read, "c")), 3);
	assert_string_equal(
		json_string_value(json_object_get(read, "d")), "2026-01-02T03:04:05.678Z");
	assert_true(json_is_null(json_object_get(read, "e")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(read, "f"), "x")), 1);
	json_decref(read);
	ql_buf_done(&json.buf);
}

/* ---- keys ---- */

static void
test_keys(void **state)
{
	struct ql_auth auth = {0};
	struct ql_principal who;
	struct ql_err e;
	char own[QL_HASH_TEXT], header[128];
	(void)state;
	assert_int_equal(ql_auth_add(&auth, "secret", "alice", false, &e), 0);
	assert_int_equal(ql_auth_check(&auth, "Bearer secret", NULL, 0, &who, &e), 0);
	assert_string_equal(who.owner, "alice");
	assert_string_equal(who.actor, "user:alice");
	assert_int_equal(who.role, QL_ROLE_USER);
	assert_int_equal(ql_auth_check(&auth, "bearer   secret", NULL, 0, &who, &e), 0);
	assert_int_equal(ql_auth_check(&auth, "Bearer secre", NULL, 0, &who, &e), -1);
	assert_int_equal(ql_auth_check(&auth, "Basic secret", NULL, 0, &who, &e), -1);
	assert_int_equal(ql_auth_check(&auth, NULL, NULL, 0, &who, &e), -1);
	assert_int_equal(e.code, QL_E_UNAUTHORIZED);
	assert_int_equal(ql_auth_eval_key(&auth, "e1", own), -1);
	assert_int_equal(ql_auth_secret(&auth, "key", &e), 0);
	assert_int_equal(ql_auth_eval_key(&auth, "e1", own), 0);
	/* printf eval:e1 | openssl dgst -sha256 -hmac key */
	assert_string_equal(
		own, "ec4cfdb18d5937be4ddaef636a9b4dbdcd44c86d222f1ee93d63ec7dbb650669");
	snprintf(header, sizeof(header), "Bearer %s", own);
	assert_int_equal(ql_auth_check(&auth, header, "e1", 0, &who, &e), 0);
	assert_int_equal(ql_auth_check(&auth, header, "e2", 0, &who, &e), -1);
	assert_int_equal(ql_auth_check(&auth, header, NULL, 0, &who, &e), -1);
	assert_int_equal(ql_auth_add(&auth, "", "x", false, &e), -1);
	ql_auth_done(&auth);
	auth.none = true;
	assert_int_equal(ql_auth_check(&auth, NULL, NULL, 0, &who, &e), 0);
	assert_int_equal(who.role, QL_ROLE_ADMIN);
}

/* ---- kept files ---- */

struct kept {
	char dir[32];
	char output[256], index[256];
};

static int
make_kept(void **state)
{
	struct kept *kept = calloc(1, sizeof(*kept));
	struct ql_err e;
	snprintf(kept->dir, sizeof(kept->dir), "/tmp/quell-blob-XXXXXX");
	assert_non_null(mkdtemp(kept->dir));
	assert_int_equal(ql_keep_make(kept->dir, "e", 1, &e), 0);
	ql_keep_path(kept->dir, "e", 1, NULL, kept->output, sizeof(kept->output));
	assert_int_equal(mkdir(kept->output, 0700), 0);
	ql_keep_path(kept->dir, "e", 1, QL_KEEP_OUTPUT, kept->output, sizeof(kept->output));
	ql_keep_path(kept->dir, "e", 1, QL_KEEP_INDEX, kept->index, sizeof(kept->index));
	*state = kept;
	return 0;
}

static int
drop_kept(void **state)
{
	struct kept *kept = *state;
	struct ql_err e;
	char command[64];
	assert_int_equal(ql_keep_remove(kept->dir, "e", 1, &e), 0);
	snprintf(command, sizeof(command), "rm -r '%s'", kept->dir);
	assert_int_equal(system(command), 0);
	free(kept);
	return 0;
}

static void
append(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static void
append_span(struct kept *kept, uint32_t stream, const char *text)
{
	struct ql_keep_span span = {.len = (uint32_t)strlen(text), .stream = stream};
	append(kept->output, text, span.len);
	append(kept->index, &span, sizeof(span));
}

static void
assert_blob(struct kept *kept, uint32_t stream, int64_t offset, size_t block, const char *wanted)
{
	struct ql_blob blob;
	struct ql_err e;
	char got[256] = "";
	size_t len = 0;
	assert_int_equal(ql_blob_open_output(&blob, kept->dir, "e", 1, stream, offset, &e), 0);
	assert_int_equal(ql_blob_size(&blob, &e), offset + (int64_t)strlen(wanted));
	for (ssize_t n; (n = ql_blob_read(&blob, got + len, block, &e)) > 0;)
		len += (size_t)n;
	assert_string_equal(got, wanted);
	ql_blob_close(&blob);
}

static void
test_streams_are_told_apart(void **state)
{
	struct kept *kept = *state;
	append_span(kept, 1, "out0 ");
	append_span(kept, 2, "err0 ");
	append_span(kept, 1, "out1 ");
	append_span(kept, 1, "");
	append_span(kept, 1, "out2 ");
	append_span(kept, 2, "err1");
	for (size_t block = 1; block < 8; block++) {
		assert_blob(kept, 0, 0, block, "out0 err0 out1 out2 err1");
		assert_blob(kept, 0, 7, block, "r0 out1 out2 err1");
		assert_blob(kept, 1, 0, block, "out0 out1 out2 ");
		assert_blob(kept, 1, 5, block, "out1 out2 ");
		assert_blob(kept, 1, 7, block, "t1 out2 ");
		assert_blob(kept, 2, 6, block, "rr1");
		assert_blob(kept, 2, 9, block, "");
	}
}

static void
test_a_stream_that_grows_is_read_on(void **state)
{
	struct kept *kept = *state;
	struct ql_blob blob;
	struct ql_err e;
	char got[64];
	struct ql_keep_span early = {.len = 4, .stream = 2};
	append_span(kept, 1, "a");
	append_span(kept, 2, "b");
	assert_int_equal(ql_blob_open_output(&blob, kept->dir, "e", 1, 2, 0, &e), 0);
	assert_int_equal(ql_blob_read(&blob, got, sizeof(got), &e), 1);
	assert_int_equal(ql_blob_read(&blob, got, sizeof(got), &e), 0);
	append(kept->index, &early, 5); /* half a span, then all of it, then its bytes by and by */
	assert_int_equal(ql_blob_read(&blob, got, sizeof(got), &e), 0);
	append(kept->index, (char *)&early + 5, sizeof(early) - 5);
	assert_int_equal(ql_blob_read(&blob, got, sizeof(got), &e), 0);
	append(kept->output, "12", 2);
	assert_int_equal(ql_blob_read(&blob, got, sizeof(got), &e), 2);
	append(kept->output, "34", 2);
	assert_int_equal(ql_blob_read(&blob, got, sizeof(got), &e), 2);
	assert_memory_equal(got, "34", 2);
	ql_blob_close(&blob);
}

static void
test_what_is_not_there(void **state)
{
	struct kept *kept = *state;
	struct ql_blob blob;
	struct ql_err e;
	assert_int_equal(ql_blob_open_output(&blob, kept->dir, "e", 1, 0, 0, &e), -1);
	assert_int_equal(e.code, QL_E_NOT_FOUND);
	assert_int_equal(ql_blob_open_checkpoint(&blob, kept->dir, "e", 1, &e), -1);
	assert_int_equal(e.code, QL_E_NOT_FOUND);
	ql_blob_close(&blob);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_target_is_split_and_decoded),
		cmocka_unit_test(test_an_absolute_target_names_its_authority),
		cmocka_unit_test(test_bad_targets_are_refused),
		cmocka_unit_test(test_a_name_given_twice_is_refused),
		cmocka_unit_test(test_targets_are_bounded),
		cmocka_unit_test(test_hosts_of_a_loopback_address),
		cmocka_unit_test(test_hosts_of_other_addresses),
		cmocka_unit_test(test_bad_listen_addresses),
		cmocka_unit_test(test_json_is_escaped_and_repaired),
		cmocka_unit_test(test_keys),
		cmocka_unit_test_setup_teardown(test_streams_are_told_apart, make_kept, drop_kept),
		cmocka_unit_test_setup_teardown(
			test_a_stream_that_grows_is_read_on, make_kept, drop_kept),
		cmocka_unit_test_setup_teardown(test_what_is_not_there, make_kept, drop_kept),
	};
	return cmocka_run_group_tests_name("parts", tests, NULL, NULL);
}
