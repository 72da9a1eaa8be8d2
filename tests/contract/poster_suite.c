/* The contract of a poster; argv[1] says which driver. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "poster_place.h"

static const char *kind_of_all;

static int
setup_with(void **state, int64_t timeout_ms)
{
	*state = calloc(1, sizeof(struct poster_place));
	assert_non_null(*state);
	poster_place_open(*state, kind_of_all, timeout_ms);
	return 0;
}

static int
setup(void **state)
{
	return setup_with(state, POSTER_TIMEOUT_MS);
}

static int
setup_short(void **state)
{
	return setup_with(state, POSTER_SHORT_MS);
}

static int
teardown(void **state)
{
	poster_place_close(*state);
	free(*state);
	return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

struct asked {
	struct ql_post op; /* first */
	const char *headers[4];
	char id[40];
	int answers;
	int status;
};

static void
on_done(struct ql_post *op, int status)
{
	struct asked *asked = (struct asked *)op;
	asked->answers++;
	asked->status = status;
	assert_true(status ? strlen(op->err.text) > 10 : op->http > 0);
}

static void
ask(struct poster_place *place, struct asked *asked, const char *url, const char *body)
{
	static int number;
	*asked = (struct asked){.headers = {asked->id, "webhook-signature: v1,c2lnbmVk"}};
	snprintf(asked->id, sizeof(asked->id), "webhook-id: msg_%d", ++number);
	asked->op = (struct ql_post){.url = url,
		.headers = asked->headers,
		.body = body,
		.body_len = strlen(body),
		.done = on_done};
	place->poster->post(place->poster, &asked->op);
	assert_int_equal(asked->answers, 0);
}

static int
answer_of(struct poster_place *place, struct asked *asked)
{
	while (!asked->answers)
		uv_run(&place->loop, UV_RUN_ONCE);
	assert_int_equal(asked->answers, 1);
	return asked->status;
}

static int
post(struct poster_place *place, struct asked *asked)
{
	ask(place, asked, place->url, "{\"type\":\"evaluation.settled\"}");
	return answer_of(place, asked);
}

static void
carries_it_whole_and_in_order(void **state)
{
	struct poster_place *place = *state;
	static const char *const bodies[] = {"{}", "{\"error\":\"it \\\"said\\\" \xe2\x86\x92\"}"};
	struct asked asked;
	for (size_t i = 0; i < 2; i++) {
		ask(place, &asked, place->url, bodies[i]);
		assert_int_equal(answer_of(place, &asked), 0);
		assert_int_equal(asked.op.http, 200);
		assert_int_equal(asked.op.retry_after_ms, 0);
		const struct poster_sent *sent = poster_place_sent(place, i);
		assert_non_null(sent);
		assert_string_equal(sent->id, strstr(asked.id, "msg_"));
		assert_string_equal(sent->signs, "v1,c2lnbmVk");
		assert_string_equal(sent->body, bodies[i]);
	}
	assert_null(poster_place_sent(place, 2));
}

/* What an answer means is for its caller to judge. */
static void
an_answer_is_an_answer_whatever_it_says(void **state)
{
	struct poster_place *place = *state;
	static const int said[] = {200, 204, 400, 404, 410, 429, 500, 503};
	struct asked asked;
	for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++) {
		poster_place_say(place, said[i], 0);
		assert_int_equal(post(place, &asked), 0);
		assert_int_equal(asked.op.http, said[i]);
	}
}

static void
tells_when_to_come_again(void **state)
{
	struct poster_place *place = *state;
	struct asked asked;
	poster_place_say(place, 429, 7);
	assert_int_equal(post(place, &asked), 0);
	assert_int_equal(asked.op.http, 429);
	assert_int_equal(asked.op.retry_after_ms, 7000);
}

static void
answers_each_of_many_once(void **state)
{
	struct poster_place *place = *state;
	static struct asked many[100];
	for (int i = 0; i < 100; i++)
		ask(place, &many[i], place->url, "{}");
	for (int i = 0; i < 100; i++) {
		assert_int_equal(answer_of(place, &many[i]), 0);
		assert_int_equal(many[i].op.http, 200);
	}
	assert_non_null(poster_place_sent(place, 99));
	assert_null(poster_place_sent(place, 100));
}

static void
says_that_nobody_is_there(void **state)
{
	struct poster_place *place = *state;
	struct asked asked;
	poster_place_set(place, POSTER_AWAY);
	assert_int_equal(post(place, &asked), -1);
	assert_int_equal(asked.op.http, 0);
	assert_null(poster_place_sent(place, 0));
}

static void
waits_for_no_answer_beyond_its_deadline(void **state)
{
	struct poster_place *place = *state;
	struct asked asked;
	poster_place_set(place, POSTER_SILENT);
	uint64_t before = uv_hrtime();
	assert_int_equal(post(place, &asked), -1);
	int64_t took_ms = (int64_t)((uv_hrtime() - before) / 1000000);
	assert_int_equal(asked.op.http, 0);
	assert_in_range(took_ms, POSTER_SHORT_MS - 20, POSTER_SHORT_MS + 20000);
	poster_place_set(place, POSTER_ANSWERS);
	while (post(place, &asked)) /* a busy machine's answer may come too late again */
		assert_int_equal(asked.op.http, 0);
}

static void
on_closed(void *arg)
{
	++*(int *)arg;
}

static void
answers_what_is_open_when_it_is_closed(void **state)
{
	struct poster_place *place = *state;
	static struct asked open[20];
	int closed = 0;
	poster_place_set(place, POSTER_SILENT);
	for (int i = 0; i < 20; i++)
		ask(place, &open[i], place->url, "{}");
	place->poster->close(place->poster, on_closed, &closed);
	assert_int_equal(closed, 0);
	while (!closed)
		uv_run(&place->loop, UV_RUN_ONCE);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(open[i].answers, 1);
		assert_int_equal(open[i].status, -1);
		assert_int_equal(open[i].op.err.code, QL_E_UNAVAILABLE); /* none waited it out */
	}
	place->poster = NULL;
}

/* ---- the one over HTTP alone ---- */

static void
is_a_plain_request(void **state)
{
	struct poster_place *place = *state;
	struct asked asked;
	assert_int_equal(post(place, &asked), 0);
	const char *head = poster_place_sent(place, 0)->head;
	assert_null(strstr(head, "Expect:"));
	assert_null(strstr(head, "Authorization:"));
	assert_null(strstr(head, "Cookie:"));
	assert_non_null(strstr(head, "Content-Length: 29"));
}

/* Nothing that a receiver says leads elsewhere. */
static void
follows_nobody(void **state)
{
	struct poster_place *place = *state;
	struct asked asked;
	poster_place_set(place, POSTER_REDIRECTS);
	assert_int_equal(post(place, &asked), 0);
	assert_int_equal(asked.op.http, 307);
	assert_non_null(poster_place_sent(place, 0));
	assert_null(poster_place_sent(place, 1));
}

/* Its status is known by then; nobody reads the rest. */
static void
an_answer_without_an_end_is_cut(void **state)
{
	struct poster_place *place = *state;
	struct asked asked;
	poster_place_set(place, POSTER_FLOODS);
	assert_int_equal(post(place, &asked), 0);
	assert_int_equal(asked.op.http, 200);
}

static void
a_connection_that_breaks_is_no_answer(void **state)
{
	struct poster_place *place = *state;
	struct asked asked;
	poster_place_set(place, POSTER_HANGS_UP);
	assert_int_equal(post(place, &asked), -1);
	assert_int_equal(asked.op.http, 0);
	poster_place_set(place, POSTER_ANSWERS);
	assert_int_equal(post(place, &asked), 0);
}

/* As one receiver's bytes are never another's. */
static void
keeps_no_connection(void **state)
{
	struct poster_place *place = *state;
	struct asked asked;
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(post(place, &asked), 0);
		assert_int_equal(place->server.accepted, i);
	}
}

/* ---- the same where only public addresses will do ---- */

static void
goes_to_no_address_of_its_own_host(void **state)
{
	struct poster_place *place = *state;
	char named[160];
	struct asked asked;
	snprintf(named, sizeof(named), "https://localhost%s", strrchr(place->url, ':'));
	const char *const urls[] = {named, "https://127.0.0.1:1/", "https://[::1]:1/",
		"https://[::ffff:127.0.0.1]:1/", "https://0x7f.1:1/", "https://2130706433:1/"};
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		ask(place, &asked, urls[i], "{}");
		assert_int_equal(answer_of(place, &asked), -1);
		if (!strstr(asked.op.err.text, "not a public address"))
			fail_msg("%s: %s", urls[i], asked.op.err.text);
	}
	assert_int_equal(post(place, &asked), -1); /* http:// */
	assert_int_equal(place->server.accepted, 0);
}

/* ---- the faulty one alone ---- */

static void
hurts_as_asked(void **state)
{
	struct poster_place *place = *state;
	struct asked asked;
	place->faults.refuse = 1000;
	assert_int_equal(post(place, &asked), -1);
	assert_null(poster_place_sent(place, 0));
	place->faults.refuse = 0;
	place->faults.lose_answer = 1000;
	poster_place_say(place, 429, 7);
	assert_int_equal(post(place, &asked), -1);
	assert_int_equal(asked.op.http, 0);
	assert_int_equal(asked.op.retry_after_ms, 0);
	assert_non_null(poster_place_sent(place, 0));
	place->faults.lose_answer = 0;
	place->faults.delay_answer = 1000;
	place->faults.delay_ms = 30;
	assert_int_equal(post(place, &asked), 0);
	assert_int_equal(asked.op.http, 429);
	assert_int_equal(place->faults.hurt, 3);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(carries_it_whole_and_in_order),
		CASE(an_answer_is_an_answer_whatever_it_says),
		CASE(tells_when_to_come_again),
		CASE(answers_each_of_many_once),
		CASE(says_that_nobody_is_there),
		cmocka_unit_test_setup_teardown(
			waits_for_no_answer_beyond_its_deadline, setup_short, teardown),
		CASE(answers_what_is_open_when_it_is_closed),
	};
	static const struct CMUnitTest http[] = {
		CASE(is_a_plain_request),
		CASE(follows_nobody),
		CASE(an_answer_without_an_end_is_cut),
		CASE(a_connection_that_breaks_is_no_answer),
		CASE(keeps_no_connection),
	};
	static const struct CMUnitTest public[] = {CASE(goes_to_no_address_of_its_own_host)};
	static const struct CMUnitTest faulty[] = {CASE(hurts_as_asked)};
	if (argc != 2)
		return 2;
	kind_of_all = argv[1];
	signal(SIGPIPE, SIG_IGN); /* the server's: its clients leave as they please */
	if (!strcmp(kind_of_all, "public"))
		return cmocka_run_group_tests(public, NULL, NULL);
	if (!strcmp(kind_of_all, "http-alone")) {
		kind_of_all = "http";
		return cmocka_run_group_tests(http, NULL, NULL);
	}
	if (!strcmp(kind_of_all, "faulty-alone")) {
		kind_of_all = "faulty";
		return cmocka_run_group_tests(faulty, NULL, NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
