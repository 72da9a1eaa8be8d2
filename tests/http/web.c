/* The page at `/`: in the form that the client takes, with what keeps other pages away from it. */
#include "world.h"

#include <stdio.h>
#include <string.h>

#include "http/web.h"

static struct answer
get_page(struct world *world, const char *method, const char *headers)
{
	return ask(world, NULL, method, "/", headers, NULL);
}

static void
assert_form(struct world *world, const char *headers, const char *coding,
	const struct ql_web_form *form)
{
	struct answer answer = get_page(world, "GET", headers);
	const char *told = answer_header(&answer, "Content-Encoding");
	assert_int_equal(answer.status, 200);
	if (coding)
		assert_string_equal(told, coding);
	else
		assert_null(told);
	assert_int_equal(answer.body_len, form->len);
	assert_memory_equal(answer.body, form->data, form->len);
	answer_done(&answer);
}

static void
test_it_comes_as_the_client_takes_it(void **state)
{
	struct world *world = *state;
	const struct ql_web_form *best = ql_web.brotli.len ? &ql_web.brotli : &ql_web.gzip;
	const char *coding = ql_web.brotli.len ? "br" : "gzip";
	assert_form(world, NULL, NULL, &ql_web.plain);
	assert_form(world, "Accept-Encoding: gzip, deflate, br\r\n", coding, best);
	assert_form(world, "Accept-Encoding: gzip;q=0.5\r\n", "gzip", &ql_web.gzip);
	assert_form(world, "Accept-Encoding: gzip , br;q=0\r\n", "gzip", &ql_web.gzip);
	assert_form(world, "Accept-Encoding: br;q=0.0, gzip; q=0.00\r\n", NULL, &ql_web.plain);
	assert_form(world, "Accept-Encoding: gzipped, brr, identity\r\n", NULL, &ql_web.plain);
}

static void
test_other_pages_are_kept_away_from_it(void **state)
{
	struct answer answer = get_page(*state, "GET", NULL);
	const char *policy = answer_header(&answer, "Content-Security-Policy");
	assert_non_null(strstr(policy, "default-src 'none'"));
	assert_non_null(strstr(policy, "frame-ancestors 'none'"));
	assert_null(strstr(policy, "unsafe"));
	assert_string_equal(answer_header(&answer, "X-Content-Type-Options"), "nosniff");
	assert_string_equal(answer_header(&answer, "Referrer-Policy"), "no-referrer");
	assert_string_equal(answer_header(&answer, "Content-Type"), "text/html; charset=utf-8");
	assert_null(answer_header(&answer, "Set-Cookie"));
	answer_done(&answer);
}

static void
test_who_has_it_is_told_so(void **state)
{
	char headers[256];
	struct answer answer = get_page(*state, "HEAD", "Accept-Encoding: gzip\r\n");
	snprintf(headers, sizeof(headers), "Accept-Encoding: gzip\r\nIf-None-Match: %s\r\n",
		answer_header(&answer, "ETag"));
	answer_done(&answer);
	answer = get_page(*state, "GET", headers);
	assert_int_equal(answer.status, 304);
	assert_int_equal(answer.body_len, 0);
	answer_done(&answer);
	answer = get_page(*state, "GET", "If-None-Match: \"another\"\r\n");
	assert_int_equal(answer.status, 200);
	answer_done(&answer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_it_comes_as_the_client_takes_it),
		WORLD_TEST(test_other_pages_are_kept_away_from_it),
		WORLD_TEST(test_who_has_it_is_told_so),
	};
	return cmocka_run_group_tests_name("web", tests, NULL, NULL);
}
