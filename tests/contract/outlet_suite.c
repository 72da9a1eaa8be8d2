/* The contract of an outlet; argv[1] says which driver. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outlet_place.h"

static const char *kind_of_all;

static int
setup_with(void **state, int64_t timeout_ms)
{
	*state = calloc(1, sizeof(struct place));
	assert_non_null(*state);
	place_open(*state, kind_of_all, timeout_ms);
	return 0;
}

static int
setup(void **state)
{
	return setup_with(state, PLACE_TIMEOUT_MS);
}

static int
setup_short(void **state)
{
	return setup_with(state, PLACE_SHORT_MS);
}

static int
teardown(void **state)
{
	place_close(*state);
	free(*state);
	return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

struct asked {
	struct ql_delivery op; /* first */
	int answers;
	int status;
};

static void
on_done(struct ql_delivery *op, int status)
{
	struct asked *asked = (struct asked *)op;
	asked->answers++;
	asked->status = status;
}

static void
ask(struct place *place, struct asked *asked, const char *eval_id, enum ql_status status,
	const char *error)
{
	*asked = (struct asked){.op = {.eval_id = eval_id,
					.task_id = "celery-one",
					.error = error,
					.attempt = 1,
					.status = status,
					.finished_at = 1700000000000,
					.done = on_done}};
	place->outlet->deliver(place->outlet, &asked->op);
	assert_int_equal(asked->answers, 0);
}

static int
answer_of(struct place *place, struct asked *asked)
{
	while (!asked->answers)
		uv_run(&place->loop, UV_RUN_ONCE);
	assert_int_equal(asked->answers, 1);
	return asked->status;
}

/* 0, or -1 with the sentence in asked->op.err. */
static int
deliver(struct place *place, struct asked *asked)
{
	ask(place, asked, "one", QL_STATUS_CANCELLED, "Task cancelled by user");
	return answer_of(place, asked);
}

static void
tells_how_it_ended(void **state)
{
	struct place *place = *state;
	struct asked asked;
	assert_int_equal(deliver(place, &asked), 0);
	ask(place, &asked, "two", QL_STATUS_SUCCEEDED, NULL);
	assert_int_equal(answer_of(place, &asked), 0);
	ask(place, &asked, "three", QL_STATUS_FAILED, "it \"said\" \xe2\x86\x92 no\n");
	assert_int_equal(answer_of(place, &asked), 0);
	assert_string_equal(place_told(place, 0)->what, "one cancelled \"Task cancelled by user\"");
	assert_string_equal(place_told(place, 1)->what, "two succeeded null");
	assert_string_equal(
		place_told(place, 2)->what, "three failed \"it \\\"said\\\" \xe2\x86\x92 no\\n\"");
	assert_null(place_told(place, 3));
}

static void
may_tell_the_same_again(void **state)
{
	struct place *place = *state;
	struct asked asked;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(deliver(place, &asked), 0);
		assert_string_equal(
			place_told(place, i)->what, "one cancelled \"Task cancelled by user\"");
	}
}

static void
answers_each_of_many_once(void **state)
{
	struct place *place = *state;
	static struct asked many[100];
	static char names[100][8];
	for (int i = 0; i < 100; i++) {
		snprintf(names[i], sizeof(names[i]), "e%d", i);
		ask(place, &many[i], names[i], QL_STATUS_SUCCEEDED, NULL);
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(answer_of(place, &many[i]), 0);
	assert_non_null(place_told(place, 99));
	assert_null(place_told(place, 100));
}

static void
says_that_nobody_is_there(void **state)
{
	struct place *place = *state;
	struct asked asked;
	place_set(place, QL_FAKE_AWAY);
	assert_int_equal(deliver(place, &asked), -1);
	assert_true(asked.op.retry && asked.op.err.text[0]);
	assert_null(place_told(place, 0));
}

static void
says_that_it_is_refused(void **state)
{
	struct place *place = *state;
	struct asked asked;
	place_set(place, QL_FAKE_REFUSES);
	assert_int_equal(deliver(place, &asked), -1);
	assert_false(asked.op.retry);
	assert_non_null(strstr(asked.op.err.text, "one"));
	place_set(place, QL_FAKE_TAKES);
	assert_int_equal(deliver(place, &asked), 0);
}

static void
waits_for_no_answer_beyond_its_deadline(void **state)
{
	struct place *place = *state;
	struct asked asked;
	place_set(place, QL_FAKE_SILENT);
	uint64_t before = uv_hrtime();
	assert_int_equal(deliver(place, &asked), -1);
	int64_t took_ms = (int64_t)((uv_hrtime() - before) / 1000000);
	assert_true(asked.op.retry && asked.op.err.text[0]);
	assert_in_range(took_ms, PLACE_SHORT_MS - 20, PLACE_SHORT_MS + 20000);
	place_set(place, QL_FAKE_TAKES);
	while (deliver(place, &asked)) /* a busy machine's answer may come too late again */
		assert_true(asked.op.retry);
}

static void
on_closed(void *arg)
{
	++*(int *)arg;
}

static void
answers_what_is_open_when_it_is_closed(void **state)
{
	struct place *place = *state;
	static struct asked open[20];
	int closed = 0;
	place_set(place, QL_FAKE_SILENT);
	for (int i = 0; i < 20; i++)
		ask(place, &open[i], "one", QL_STATUS_FAILED, NULL);
	place->outlet->close(place->outlet, on_closed, &closed);
	assert_int_equal(closed, 0);
	while (!closed)
		uv_run(&place->loop, UV_RUN_ONCE);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(open[i].answers, 1);
		assert_int_equal(open[i].status, -1);
		assert_true(open[i].op.retry);
		assert_int_equal(open[i].op.err.code, QL_E_UNAVAILABLE); /* none waited it out */
	}
	place->outlet = NULL;
}

/* ---- the storage service alone ---- */

static void
knows_which_answer_is_for_good(void **state)
{
	struct place *place = *state;
	static const int good[] = {200, 201, 202, 204, 299};
	static const int dropped[] = {400, 404, 405, 409, 410, 413, 422, 451};
	static const int again[] = {
		300, 301, 307, 401, 403, 407, 408, 425, 429, 500, 502, 503, 504, 599};
	struct asked asked;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		place->http = good[i];
		assert_int_equal(deliver(place, &asked), 0);
	}
	for (size_t i = 0; i < sizeof(dropped) / sizeof(*dropped); i++) {
		place->http = dropped[i];
		assert_int_equal(deliver(place, &asked), -1);
		assert_false(asked.op.retry);
	}
	for (size_t i = 0; i < sizeof(again) / sizeof(*again); i++) {
		place->http = again[i];
		assert_int_equal(deliver(place, &asked), -1);
		assert_true(asked.op.retry);
	}
	assert_non_null(strstr(asked.op.err.text, "599: {\"said\":\"why\"}"));
}

static void
tries_again_what_broke_in_between(void **state)
{
	struct place *place = *state;
	struct asked asked;
	place->hang_up = true;
	assert_int_equal(deliver(place, &asked), -1);
	assert_true(asked.op.retry);
	place->hang_up = false;
	assert_int_equal(deliver(place, &asked), 0);
}

static void
says_who_it_is(void **state)
{
	struct place *place = *state;
	struct asked asked;
	assert_int_equal(deliver(place, &asked), 0);
	const char *head = place_told(place, 0)->head;
	assert_non_null(strstr(head, "Content-Type: application/json"));
	assert_non_null(strstr(head, "Authorization: Bearer a-key"));
	assert_null(strstr(head, "Expect:"));
}

static void
says_whose_trace_it_belongs_to(void **state)
{
	struct place *place = *state;
	struct asked asked;
	assert_int_equal(deliver(place, &asked), 0);
	assert_null(strstr(place_told(place, 0)->head, "trace"));
	asked = (struct asked){.op = {.eval_id = "one",
				       .task_id = "celery-one",
				       .traceparent = "00-0af7-b7ad-01",
				       .tracestate = "rojo=1",
				       .attempt = 1,
				       .status = QL_STATUS_SUCCEEDED,
				       .done = on_done}};
	place->outlet->deliver(place->outlet, &asked.op);
	assert_int_equal(answer_of(place, &asked), 0);
	const char *head = place_told(place, 1)->head;
	assert_non_null(strstr(head, "traceparent: 00-0af7-b7ad-01\r\n"));
	assert_non_null(strstr(head, "tracestate: rojo=1\r\n"));
}

static void
puts_anything_into_its_url_and_body(void **state)
{
	struct place *place = *state;
	struct asked asked;
	ask(place, &asked, "task:a/../b c?d#e%", QL_STATUS_FAILED, "cut \xe2\x86");
	assert_int_equal(answer_of(place, &asked), 0);
	assert_string_equal(
		place_told(place, 0)->what, "task:a%2F..%2Fb%20c%3Fd%23e%25 failed \"cut ??\"");
}

/* ---- the faulty one alone ---- */

static void
hurts_as_asked(void **state)
{
	struct place *place = *state;
	struct asked asked;
	place->faults.refuse = 1000;
	assert_int_equal(deliver(place, &asked), -1);
	assert_true(asked.op.retry);
	assert_null(place_told(place, 0));
	place->faults.refuse = 0;
	place->faults.lose_answer = 1000;
	assert_int_equal(deliver(place, &asked), -1);
	assert_true(asked.op.retry);
	assert_non_null(place_told(place, 0));
	place->faults.lose_answer = 0;
	place->faults.delay_answer = 1000;
	place->faults.delay_ms = 30;
	assert_int_equal(deliver(place, &asked), 0);
	assert_int_equal(place->faults.hurt, 3);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(tells_how_it_ended),
		CASE(may_tell_the_same_again),
		CASE(answers_each_of_many_once),
		CASE(says_that_nobody_is_there),
		CASE(says_that_it_is_refused),
		cmocka_unit_test_setup_teardown(
			waits_for_no_answer_beyond_its_deadline, setup_short, teardown),
		CASE(answers_what_is_open_when_it_is_closed),
	};
	static const struct CMUnitTest storage[] = {
		CASE(knows_which_answer_is_for_good),
		CASE(tries_again_what_broke_in_between),
		CASE(says_who_it_is),
		CASE(says_whose_trace_it_belongs_to),
		CASE(puts_anything_into_its_url_and_body),
	};
	static const struct CMUnitTest faulty[] = {CASE(hurts_as_asked)};
	if (argc != 2)
		return 2;
	kind_of_all = argv[1];
	if (!strcmp(kind_of_all, "storage-alone")) {
		kind_of_all = "storage";
		return cmocka_run_group_tests(storage, NULL, NULL);
	}
	if (!strcmp(kind_of_all, "faulty-alone")) {
		kind_of_all = "faulty";
		return cmocka_run_group_tests(faulty, NULL, NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
