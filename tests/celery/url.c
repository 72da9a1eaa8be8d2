#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/celery/redis/redis.h"

static struct ql_redis_url
parsed(const char *text)
{
	struct ql_redis_url url;
	struct ql_err err;
	if (ql_redis_url_parse(text, &url, &err))
		fail_msg("%s: %s", text, err.text);
	return url;
}

static void
shows(const char *text, const char *shown)
{
	char out[256];
	struct ql_redis_url url = parsed(text);
	ql_redis_url_show(&url, out, sizeof(out));
	assert_string_equal(out, shown);
	ql_redis_url_done(&url);
}

static void
hosts_ports_and_databases(void **state)
{
	(void)state;
	shows("redis://", "redis://localhost:6379/0");
	shows("redis://h", "redis://h:6379/0");
	shows("redis://h:6380/", "redis://h:6380/0");
	shows("redis://h:6380/7", "redis://h:6380/7");
	shows("redis://h/7?health_check_interval=3&ssl_cert_reqs=none", "redis://h:6379/7");
	shows("redis://h?virtual_host=4", "redis://h:6379/4");
	shows("redis://[::1]:6380/2", "redis://[::1]:6380/2");
	shows("redis://[::1]", "redis://[::1]:6379/0");
	shows("redis+socket:///run/r.sock?virtual_host=5",
		"redis+socket:///run/r.sock?virtual_host=5");
	shows("unix:///run/r.sock?db=6", "redis+socket:///run/r.sock?virtual_host=6");
}

static void
users_and_passwords(void **state)
{
	(void)state;
	struct ql_redis_url url = parsed("redis://me:p%40ss%3a%2F%25@h:1/2");
	assert_string_equal(url.user, "me");
	assert_string_equal(url.password, "p@ss:/%");
	assert_string_equal(url.host, "h");
	assert_int_equal(url.port, 1);
	assert_int_equal(url.db, 2);
	ql_redis_url_done(&url);
	url = parsed("redis://:only@h");
	assert_null(url.user);
	assert_string_equal(url.password, "only");
	ql_redis_url_done(&url);
	url = parsed("redis://:a@b:c@h"); /* an @ that was not encoded */
	assert_string_equal(url.password, "a@b:c");
	assert_string_equal(url.host, "h");
	ql_redis_url_done(&url);
	url = parsed("redis+socket://:word@/run/r.sock");
	assert_string_equal(url.password, "word");
	assert_string_equal(url.host, "/run/r.sock");
	assert_int_equal(url.port, 0);
	ql_redis_url_done(&url);
	ql_redis_url_done(&url); /* once more is nothing */
}

static void
sentinels(void **state)
{
	(void)state;
	struct ql_redis_url url = parsed(
		"sentinel://:word@h1:26379;sentinel://h2;sentinel://h3:1/4?master_name=mymaster");
	assert_string_equal(url.sentinels, "h1:26379 h2:26379 h3:1");
	assert_string_equal(url.master_name, "mymaster");
	assert_string_equal(url.password, "word");
	assert_int_equal(url.db, 4);
	assert_null(url.host);
	ql_redis_url_done(&url);
	shows("sentinel://h1;h2/1?master_name=m", "sentinel://h1:26379 h2:26379/1?master_name=m");
}

static void
a_password_is_never_shown(void **state)
{
	(void)state;
	shows("redis://me:secret@h:1/2", "redis://h:1/2");
	static const char *const wrong[] = {"redis://me:secret@h:port", "redis://:secret@h:1/db",
		"redis://:secret@h:99999", "rediss://:secret@h:1/0", "http://me:secret@h",
		"sentinel://:secret@h", "redis+socket://:secret@relative", "me:secret@h"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct ql_redis_url url;
		struct ql_err err;
		assert_int_equal(ql_redis_url_parse(wrong[i], &url, &err), -1);
		assert_null(strstr(err.text, "secret"));
	}
}

static void
refused(const char *text, const char *why)
{
	struct ql_redis_url url;
	struct ql_err err;
	assert_int_equal(ql_redis_url_parse(text, &url, &err), -1);
	if (!strstr(err.text, why))
		fail_msg("%s: %s", text, err.text);
}

static void
what_is_refused_says_what_to_write(void **state)
{
	(void)state;
	refused("rediss://h:6379/0", "stunnel");
	refused("amqp://h", "redis://[USER:PASSWORD@]HOST:PORT/DB");
	refused("", "redis://");
	refused("redis://h:0", "port");
	refused("redis://h:65536", "port");
	refused("redis://h:1/x", "database");
	refused("redis://h:1/-1", "database");
	refused("redis://h:1/99999999999999999999", "database");
	refused("redis+socket://", "absolute path");
	refused("sentinel://h1:26379/0", "master_name");
	refused("sentinel://h1:26379/0?master_name=", "master_name");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_ports_and_databases),
		cmocka_unit_test(users_and_passwords),
		cmocka_unit_test(sentinels),
		cmocka_unit_test(a_password_is_never_shown),
		cmocka_unit_test(what_is_refused_says_what_to_write),
	};
	return cmocka_run_group_tests_name("redis url", tests, NULL, NULL);
}
