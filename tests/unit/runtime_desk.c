#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/owner.h"
#include "runtime/desk.h"

struct office {
	uv_loop_t loop;
	struct ql_desk desk;
	struct ql_runtime_sink sink;
	int dropped;
	int told;
	int closed;
	char seen[200]; /* what was sighted, in order */
	bool act_again;
};

struct request {
	struct ql_runtime_op op;
	struct office *office;
	int done;
	int status;
};

static void
sighted(void *arg, const struct ql_sighting *sighting)
{
	struct office *office = arg;
	size_t len = strlen(office->seen);
	snprintf(office->seen + len, sizeof(office->seen) - len, "%s%s%s ",
		ql_event_word(sighting->event.kind), sighting->text ? ":" : "",
		sighting->text ? sighting->text : "");
}

static void
dropped(struct ql_desk *desk, struct ql_runtime_op *op)
{
	(void)desk;
	((struct request *)op)->office->dropped++;
}

static void
told(struct ql_desk *desk, struct ql_news *news)
{
	struct office *office = QL_OWNER(desk, struct office, desk);
	assert_int_equal(news->bits, 0);
	office->told++;
}

static void
closed(void *arg)
{
	((struct office *)arg)->closed++;
}

static void
done(struct ql_runtime_op *op, int status)
{
	struct request *request = (struct request *)op;
	request->done++;
	request->status = status;
	if (!request->office->act_again)
		return;
	request->office->act_again = false;
	op->timeout_ms = 60000;
	assert_int_equal(ql_desk_take(&request->office->desk, op), 0);
	ql_desk_answer(&request->office->desk, op, 0);
}

static struct request
request_of(struct office *office, int64_t timeout_ms)
{
	return (struct request){
		.op = {.kind = QL_ACT_KILL, .timeout_ms = timeout_ms, .done = done},
		.office = office,
	};
}

static int
open_office(void **state)
{
	static struct office office;
	office = (struct office){0};
	office.sink = (struct ql_runtime_sink){.sighted = sighted, .arg = &office};
	assert_int_equal(uv_loop_init(&office.loop), 0);
	assert_int_equal(ql_desk_init(&office.desk, &office.loop, &office.sink, NULL), 0);
	office.desk.dropped = dropped;
	office.desk.told = told;
	*state = &office;
	return 0;
}

static int
close_office(void **state)
{
	struct office *office = *state;
	if (!office->closed)
		ql_desk_close(&office->desk, closed, office);
	uv_run(&office->loop, UV_RUN_DEFAULT);
	assert_int_equal(office->closed, 1);
	assert_int_equal(uv_loop_close(&office->loop), 0);
	return 0;
}

static void
answers_once_and_later(void **state)
{
	struct office *office = *state;
	struct request request = request_of(office, 60000);
	assert_int_equal(ql_desk_take(&office->desk, &request.op), 0);
	ql_desk_answer(&office->desk, &request.op, 0);
	ql_desk_answer(&office->desk, &request.op, -1);
	assert_int_equal(request.done, 0);
	uv_run(&office->loop, UV_RUN_DEFAULT);
	assert_int_equal(request.done, 1);
	assert_int_equal(request.status, 0);
	assert_int_equal(office->dropped, 0);
}

static void
deadline_answers_what_nobody_does(void **state)
{
	struct office *office = *state;
	struct request soon = request_of(office, 1), later = request_of(office, 3);
	assert_int_equal(ql_desk_take(&office->desk, &later.op), 0);
	assert_int_equal(ql_desk_take(&office->desk, &soon.op), 0);
	uv_run(&office->loop, UV_RUN_DEFAULT);
	assert_int_equal(soon.done, 1);
	assert_int_equal(later.done, 1);
	assert_int_equal(soon.status, -1);
	assert_int_equal(soon.op.err.code, QL_E_TIMEOUT);
	assert_int_equal(office->dropped, 2);
}

static void
same_operation_may_be_taken_from_its_done(void **state)
{
	struct office *office = *state;
	struct request request = request_of(office, 1);
	office->act_again = true;
	assert_int_equal(ql_desk_take(&office->desk, &request.op), 0);
	uv_run(&office->loop, UV_RUN_DEFAULT);
	assert_int_equal(request.done, 2);
	assert_int_equal(request.status, 0);
}

static void
bound_is_refused_by_its_number(void **state)
{
	struct office *office = *state;
	struct request *many = calloc(QL_RUNTIME_OPS_MAX + 1, sizeof(*many));
	assert_non_null(many);
	for (int i = 0; i < QL_RUNTIME_OPS_MAX; i++) {
		many[i] = request_of(office, 60000);
		assert_int_equal(ql_desk_take(&office->desk, &many[i].op), 0);
	}
	struct request *last = &many[QL_RUNTIME_OPS_MAX];
	*last = request_of(office, 60000);
	assert_int_equal(ql_desk_take(&office->desk, &last->op), -1);
	assert_int_equal(last->done, 0);
	uv_run(&office->loop, UV_RUN_NOWAIT);
	uv_run(&office->loop, UV_RUN_NOWAIT);
	assert_int_equal(last->done, 1);
	assert_int_equal(last->op.err.code, QL_E_LIMIT);
	assert_non_null(strstr(last->op.err.text, "4096"));
	for (int i = 0; i < QL_RUNTIME_OPS_MAX; i++)
		ql_desk_answer(&office->desk, &many[i].op, 0);
	uv_run(&office->loop, UV_RUN_DEFAULT);
	for (int i = 0; i < QL_RUNTIME_OPS_MAX; i++)
		assert_int_equal(many[i].done, 1);
	free(many);
}

static void
news_are_told_in_the_order_of_a_life(void **state)
{
	struct office *office = *state;
	struct ql_news news = {.facts = {.incarnation = 7}, .text = "why"};
	ql_desk_tell(&office->desk, &news, QL_EVENT_GONE);
	ql_desk_tell(&office->desk, &news, QL_EVENT_LOST);
	ql_desk_tell(&office->desk, &news, QL_EVENT_EXITED);
	ql_desk_tell(&office->desk, &news, QL_EVENT_STUCK);
	ql_desk_tell(&office->desk, &news, QL_EVENT_HELD);
	ql_desk_tell(&office->desk, &news, QL_EVENT_HELD);
	assert_string_equal(office->seen, "");
	uv_run(&office->loop, UV_RUN_DEFAULT);
	assert_string_equal(office->seen, "held exited lost:why gone ");
	assert_int_equal(office->told, 1);
}

static void
hushed_news_are_not_told(void **state)
{
	struct office *office = *state;
	struct ql_news news = {.facts = {.incarnation = 7}};
	ql_desk_tell(&office->desk, &news, QL_EVENT_RUNNING);
	ql_desk_hush(&office->desk, &news);
	uv_run(&office->loop, UV_RUN_DEFAULT);
	assert_string_equal(office->seen, "");
	assert_int_equal(office->told, 1);
}

static void
close_answers_and_tells_no_more(void **state)
{
	struct office *office = *state;
	struct ql_news news = {.facts = {.incarnation = 7}};
	struct request open = request_of(office, 60000), late = request_of(office, 60000);
	assert_int_equal(ql_desk_take(&office->desk, &open.op), 0);
	ql_desk_tell(&office->desk, &news, QL_EVENT_RUNNING);
	ql_desk_close(&office->desk, closed, office);
	assert_int_equal(ql_desk_take(&office->desk, &late.op), -1);
	ql_desk_tell(&office->desk, &news, QL_EVENT_EXITED);
	assert_int_equal(open.done + late.done + office->closed, 0);
	uv_run(&office->loop, UV_RUN_DEFAULT);
	assert_int_equal(open.done, 1);
	assert_int_equal(open.op.err.code, QL_E_UNAVAILABLE);
	assert_int_equal(late.done, 1);
	assert_int_equal(late.op.err.code, QL_E_UNAVAILABLE);
	assert_string_equal(office->seen, "");
	assert_int_equal(office->closed, 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_office, close_office)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_once_and_later),
		TEST(deadline_answers_what_nobody_does),
		TEST(same_operation_may_be_taken_from_its_done),
		TEST(bound_is_refused_by_its_number),
		TEST(news_are_told_in_the_order_of_a_life),
		TEST(hushed_news_are_not_told),
		TEST(close_answers_and_tells_no_more),
	};
	return cmocka_run_group_tests_name("runtime_desk", tests, NULL, NULL);
}
