/* Sending, finding and removing, in quiet lists. */
#include "queue_kit.h"

#include <signal.h>

#define STEP_3 \
	"celery\x06\x16" \
	"3"
#define STEP_6 \
	"celery\x06\x16" \
	"6"
#define STEP_9 \
	"celery\x06\x16" \
	"9"

static int
setup(void **state)
{
	struct hall *hall = calloc(1, sizeof(*hall));
	hall_open(hall, NULL, NULL);
	*state = hall;
	return 0;
}

static int
teardown(void **state)
{
	hall_close(*state);
	free(*state);
	return 0;
}

static void
push_new(struct hall *hall, const char *key, const char *id, const char *group)
{
	char *bytes = message(id, group);
	push(hall, key, bytes);
	free(bytes);
}

struct put {
	struct ql_queue_put put;
	int done;
	int status;
};

static void
put_done(struct ql_queue_put *put, int status)
{
	struct put *of = (struct put *)put;
	of->done++;
	of->status = status;
}

static void
put_as(struct hall *hall, struct put *of, const char *id, int step, const char *bytes, bool back)
{
	*of = (struct put){.put = {
				   .task_id = id,
				   .queue = "evaluations",
				   .bytes = bytes,
				   .len = strlen(bytes),
				   .step = step,
				   .back = back,
				   .timeout_ms = 5000,
				   .done = put_done,
			   }};
	ql_queue_put(hall->queues, &of->put);
	UNTIL(&hall->client, of->done, 6000);
	assert_int_equal(of->status, 0);
}

static void
put(struct hall *hall, struct put *of, const char *id, int step, const char *bytes)
{
	put_as(hall, of, id, step, bytes, false);
}

static void
sent_again_it_is_sent_once(void **state)
{
	struct hall *hall = *state;
	struct put first, second, other;
	char *one = message("one", NULL), *two = message("two", NULL);
	put(hall, &first, "one", 0, one);
	put(hall, &second, "one", 0, one);
	put(hall, &other, "two", 5, two);
	assert_false(first.put.again);
	assert_true(second.put.again);
	LISTED(hall, "evaluations", "one");
	LISTED(hall,
		"evaluations\x06\x16"
		"3",
		"two");
	assert_int_equal(number(hall->context, "SISMEMBER _kombu.binding.evaluations %s",
				 "evaluations\x06\x16\x06\x16"
				 "evaluations"),
		1);
	assert_true(number(hall->context, "TTL quell:sent:one") > QL_QUEUE_SENT_S - 60);
	free(one);
	free(two);
}

/* Until it was removed: then it may be sent again, and that undoes the removal. */
static void
what_was_removed_can_be_sent_again(void **state)
{
	struct hall *hall = *state;
	struct put of;
	struct look look = {0};
	char *bytes = message("one", NULL);
	put(hall, &of, "one", 0, bytes);
	take_out(hall, &look, "one");
	assert_true(look.op.removed);
	put(hall, &of, "one", 0, bytes);
	assert_true(of.put.again);
	LISTED(hall, "evaluations", "");
	put_as(hall, &of, "one", 0, look.bytes, true);
	assert_false(of.put.again);
	LISTED(hall, "evaluations", "one");
	assert_int_equal(number(hall->context, "EXISTS quell:removed:one"), 0);
	look_done(&look);
	free(bytes);
}

static void
it_is_found_with_its_place(void **state)
{
	struct hall *hall = *state;
	struct look look = {0};
	push_new(hall, "celery", "a", NULL);
	push_new(hall, "celery", "b", NULL);
	push_new(hall, STEP_6, "c", NULL);
	push_new(hall, STEP_6, "d", NULL);
	find(hall, &look, "b");
	assert_true(look.op.listed);
	assert_false(look.op.removed || look.op.unacked || look.op.marked);
	assert_string_equal(look.op.queue, "celery");
	assert_int_equal(look.op.position, 1);
	assert_non_null(strstr(look.bytes, "\"id\": \"b\""));
	find(hall, &look, "d");
	assert_int_equal(look.op.position, 3); /* behind both of step 0 */
	find(hall, &look, "e");
	assert_false(look.op.listed);
	assert_null(look.bytes);
	look_done(&look);
}

static void
it_is_removed_from_each_step(void **state)
{
	static const char *const keys[] = {"celery", STEP_3, STEP_6, STEP_9};
	struct hall *hall = *state;
	struct look looks[4] = {0};
	char id[4][8];
	for (int i = 0; i < 4; i++) {
		snprintf(id[i], sizeof(id[i]), "x%d", i);
		push_new(hall, keys[i], "before", NULL);
		push_new(hall, keys[i], id[i], NULL);
		push_new(hall, keys[i], "after", NULL);
	}
	for (int i = 0; i < 4; i++)
		ask(hall, &looks[i], QL_QUEUE_REMOVE, id[i]);
	for (int i = 0; i < 4; i++) {
		UNTIL(&hall->client, looks[i].done, 5000);
		assert_true(looks[i].op.removed);
		assert_false(looks[i].op.marked);
		LISTED(hall, keys[i], "before,after");
		char *bytes = text(hall->context, "GET quell:removed:%s", id[i]);
		assert_string_equal(bytes, looks[i].bytes);
		free(bytes);
		look_done(&looks[i]);
	}
}

/* Quell's own, at both ends of a long list; the first of them as `put_back` says. The caller's to look at. */
static void
take_own(struct hall *hall, struct look *look, const char *put_back)
{
	struct ql_message_new what = {.task_id = "own",
		.task = "tasks.evaluate_code",
		.queue = "celery",
		.eval_id = "own",
		.code = "pass",
		.language = "python"};
	size_t len;
	char *bytes = ql_message_make(&what, &len), *taken = ql_message_make(&what, &len);
	char *place = strstr(taken, "\"routing_key\"");
	char *again = NULL;
	assert_true(asprintf(&again, "%.*s%s%s", (int)(place - taken), taken, put_back, place) > 0);
	push(hall, "celery", again);
	for (int i = 0; i < 5000; i++)
		push_new(hall, "celery", "other", NULL);
	push(hall, "celery", bytes);
	*look = (struct look){0};
	ask_once(hall, look, "own");
	UNTIL(&hall->client, look->done, 30000);
	free(bytes);
	free(taken);
	free(again);
}

static void
what_was_put_once_is_found_once(void **state)
{
	struct hall *hall = *state;
	struct look look;
	take_own(hall, &look, "");
	assert_true(look.op.removed);
	assert_int_equal(number(hall->context, "LLEN celery"), 5001);
	look_done(&look);
}

/* With the removal, for whoever waits for it: never before it, and never over what there is. */
static void
a_removal_that_settles_is_told(void **state)
{
	struct hall *hall = *state;
	struct look look;
	take_own(hall, &look, "");
	assert_true(look.op.removed && look.op.told);
	char *result = text(hall->context, "GET result:own");
	assert_string_equal(result, "own was revoked");
	long long left = number(hall->context, "TTL result:own");
	assert_in_range(left, 86000, 86400);
	look_done(&look);
	free(result);
}

static void
a_result_that_is_there_stays(void **state)
{
	struct hall *hall = *state;
	struct look look;
	free(text(hall->context, "SET result:own success"));
	take_own(hall, &look, "");
	assert_true(look.op.removed && !look.op.told);
	char *result = text(hall->context, "GET result:own");
	assert_string_equal(result, "success");
	look_done(&look);
	free(result);
}

/* The worker that had it first may run it yet; and of another producer's, or one that may run, nothing says that it settles. */
static void
what_may_have_a_copy_is_not_told(void **state)
{
	struct hall *hall = *state;
	struct look look;
	take_own(hall, &look, "\"redelivered\": true, ");
	assert_true(look.op.removed && !look.op.told);
	assert_int_equal(number(hall->context, "EXISTS result:own"), 0);
	look_done(&look);
	push_new(hall, "celery", "plain", NULL);
	take_out(hall, &look, "plain");
	assert_true(look.op.removed && !look.op.told);
	assert_int_equal(number(hall->context, "EXISTS result:plain"), 0);
	look_done(&look);
}

/* Of what was made here nothing but that it is gone is kept; the same request has the same answer. */
static void
what_was_put_once_is_known_to_be_gone(void **state)
{
	struct hall *hall = *state;
	struct put of;
	struct look look, again = {0};
	char *bytes = message("own", NULL);
	take_own(hall, &look, "");
	char *sent = text(hall->context, "GET quell:sent:own");
	assert_string_equal(sent, QL_QUEUE_SENT_REMOVED);
	assert_int_equal(number(hall->context, "EXISTS quell:removed:own"), 0);
	number(hall->context, "DEL celery");
	ask_once(hall, &again, "own");
	UNTIL(&hall->client, again.done, 30000);
	assert_true(again.op.removed && !again.op.listed && !again.bytes);
	put(hall, &of, "own", 0, bytes);
	assert_true(of.put.again);
	LISTED(hall, "evaluations", "");
	put_as(hall, &of, "own", 0, bytes, true);
	LISTED(hall, "evaluations", "own");
	look_done(&look);
	look_done(&again);
	free(sent);
	free(bytes);
}

static void
what_was_put_back_may_have_a_copy(void **state)
{
	struct hall *hall = *state;
	struct look look;
	take_own(hall, &look, "\"redelivered\": true, ");
	assert_true(look.op.removed);
	assert_int_equal(number(hall->context, "LLEN celery"), 5000);
	look_done(&look);
}

/* After a crash the same is asked of a server that knows nothing of it. */
static void
asked_again_it_says_the_same(void **state)
{
	struct hall *hall = *state;
	struct look first = {0}, second = {0}, third = {0};
	push_new(hall, "celery", "one", NULL);
	take_out(hall, &first, "one");
	hall_leave(hall);
	hall_enter(hall, NULL, NULL);
	take_out(hall, &second, "one");
	assert_true(second.op.removed);
	assert_false(second.op.listed);
	assert_string_equal(first.bytes, second.bytes);
	number(hall->context, "DEL quell:removed:one");
	take_out(hall, &third, "one");
	assert_false(third.op.removed);
	look_done(&first);
	look_done(&second);
	look_done(&third);
}

static bool forgotten;

static void
forget_done(struct ql_queue_forget *forget, int status)
{
	(void)forget;
	assert_int_equal(status, 0);
	forgotten = true;
}

static void
forgetting_drops_what_was_kept(void **state)
{
	struct hall *hall = *state;
	struct look look = {0};
	struct ql_queue_forget forget = {.task_id = "one", .timeout_ms = 5000, .done = forget_done};
	push_new(hall, "celery", "one", NULL);
	take_out(hall, &look, "one");
	ql_queue_forget(hall->queues, &forget);
	UNTIL(&hall->client, forgotten, 5000);
	take_out(hall, &look, "one");
	assert_false(look.op.removed);
	look_done(&look);
}

static void
a_member_of_a_group_is_marked_in_its_place(void **state)
{
	struct hall *hall = *state;
	struct look look = {0};
	push_new(hall, "celery", "a", "g");
	push_new(hall, "celery", "b", "g");
	push_new(hall, "celery", "c", "g");
	take_out(hall, &look, "b");
	assert_true(look.op.removed && look.op.marked);
	LISTED(hall, "celery", "a,b!,c");
	char *bytes = text(hall->context, "GET quell:removed:b");
	assert_non_null(strstr(bytes, "\"expires\": null")); /* as it was */
	assert_string_equal(bytes, look.bytes);
	free(bytes);
	take_out(hall, &look, "b"); /* once more */
	assert_true(look.op.removed && look.op.marked);
	LISTED(hall, "celery", "a,b!,c");
	look_done(&look);
}

/* In one command: what goes out of the list moves what stays in it, and each keeps its place. */
static void
members_are_marked_while_plain_ones_go(void **state)
{
	struct hall *hall = *state;
	static const char *const ids[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
	struct look looks[8] = {{.done = 0}};
	for (int i = 0; i < 8; i++) {
		char rest[] = {'s', (char)('0' + i), 0};
		push_new(hall, "celery", ids[i], i % 2 ? NULL : "group");
		push_new(hall, "celery", rest, NULL);
	}
	for (int i = 0; i < 8; i++)
		ask(hall, &looks[i], QL_QUEUE_REMOVE, ids[i]);
	for (int i = 0; i < 8; i++) {
		UNTIL(&hall->client, looks[i].done, 20000);
		assert_true(looks[i].op.removed && looks[i].op.marked == !(i % 2));
		look_done(&looks[i]);
	}
	LISTED(hall, "celery", "a!,s0,s1,c!,s2,s3,e!,s4,s5,g!,s6,s7");
}

static void
hold(struct hall *hall, const char *tag, const char *id)
{
	char *bytes = message(id, NULL), *entry;
	assert_true(asprintf(&entry, "[%s, \"\", \"celery\"]", bytes) > 0);
	number(hall->context, "HSET unacked %s %s", tag, entry);
	free(entry);
	free(bytes);
}

static void
what_a_worker_holds_is_marked(void **state)
{
	struct hall *hall = *state;
	struct look look = {0};
	hold(hall, "t1", "a");
	hold(hall, "t2", "b");
	take_out(hall, &look, "a");
	assert_true(look.op.unacked);
	assert_false(look.op.listed || look.op.removed);
	char *a = text(hall->context, "HGET unacked t1");
	char *b = text(hall->context, "HGET unacked t2");
	assert_non_null(strstr(a, "\"expires\": \"" QL_MESSAGE_MARK "\""));
	assert_non_null(strstr(b, "\"expires\": null"));
	assert_int_equal(number(hall->context, "HLEN unacked"), 2);
	assert_int_equal(number(hall->context, "EXISTS quell:removed:a"), 0);
	find(hall, &look, "b");
	assert_true(look.op.unacked);
	free(a);
	free(b);
	look_done(&look);
}

static void
all_copies_are_removed(void **state)
{
	struct hall *hall = *state;
	struct look look = {0};
	push_new(hall, "celery", "x", NULL);
	push_new(hall, "celery", "a", NULL);
	push_new(hall, "celery", "x", NULL); /* the very same bytes */
	push_new(hall, STEP_9, "x", NULL);
	hold(hall, "t", "x");
	take_out(hall, &look, "x");
	assert_true(look.op.removed && look.op.unacked);
	LISTED(hall, "celery", "a");
	LISTED(hall, STEP_9, "");
	look_done(&look);
}

/* Queues that no one named are found by their bindings; keys of another kind are no lists. */
static void
bound_queues_are_looked_through(void **state)
{
	struct hall *hall = *state;
	struct look look = {0};
	number(hall->context, "SADD _kombu.binding.jobs %s", "k\x06\x16*\x06\x16long");
	number(hall->context, "SADD _kombu.binding.other %s", "\x06\x16\x06\x16odd");
	number(hall->context, "SADD _kombu.binding.reply.celery.pidbox %s", "r\x06\x16\x06\x16r");
	free(text(hall->context, "SET odd string"));
	free(text(hall->context, "SET _kombu.binding.string string"));
	push_new(hall,
		"long\x06\x16"
		"3",
		"a", NULL);
	push_new(hall, "r", "b", NULL);
	find(hall, &look, "a");
	assert_string_equal(look.op.queue, "long");
	find(hall, &look, "b");
	assert_false(look.op.listed);
	look_done(&look);
}

/* A worker may read it: it is never taken for one that is not there. */
static void
what_can_be_read_in_part_is_there(void **state)
{
	static const char twice[] =
		"{\"body\":\"W10=\",\"headers\":{\"task\":\"t\",\"id\":\"a\",\"id\":\"b\"}}";
	struct hall *hall = *state;
	struct look look = {0};
	push(hall, "celery", twice);
	find(hall, &look, "a");
	assert_true(look.op.listed);
	take_out(hall, &look, "a"); /* nor torn out, as nobody knows what depends on it */
	assert_true(look.op.listed && !look.op.removed);
	assert_int_equal(number(hall->context, "LLEN celery"), 1);
	free(text(hall->context, "SET unacked string"));
	find(hall, &look, "none");
	assert_false(look.op.listed || look.op.unacked);
	look_done(&look);
}

/* Whatever the names' age, and should another have removed its binding. */
static void
a_queue_that_was_sent_to_is_looked_through(void **state)
{
	struct hall *hall = *state;
	struct look look = {0};
	struct put of;
	char *bytes = message("new", NULL);
	find(hall, &look, "none"); /* the names are known now */
	put(hall, &of, "new", 0, bytes);
	number(hall->context, "DEL _kombu.binding.evaluations");
	take_out(hall, &look, "new");
	assert_true(look.op.removed);
	LISTED(hall, "evaluations", "");
	look_done(&look);
	free(bytes);
}

static void
a_prefix_and_another_separator(void **state)
{
	struct hall *hall = *state;
	struct look look = {0};
	struct put of;
	char *bytes = message("new", NULL);
	hall_leave(hall);
	hall_enter(hall, "pfx_", ":");
	push_new(hall, "celery", "a", NULL);
	push_new(hall, "pfx_celery:3", "a", NULL);
	number(hall->context, "SADD pfx__kombu.binding.jobs %s", "k:*:long");
	number(hall->context, "SADD pfx__kombu.binding.jobs %s", "a:b::a:b");
	push_new(hall, "pfx_long", "b", NULL);
	push_new(hall, "pfx_a:b", "c", NULL);
	find(hall, &look, "c");
	assert_string_equal(look.op.queue, "a:b");
	take_out(hall, &look, "a");
	assert_true(look.op.removed);
	LISTED(hall, "celery", "a"); /* somebody else's */
	LISTED(hall, "pfx_celery:3", "");
	assert_int_equal(number(hall->context, "EXISTS pfx_quell:removed:a"), 1);
	take_out(hall, &look, "b");
	assert_true(look.op.removed);
	put(hall, &of, "new", 9, bytes);
	LISTED(hall, "pfx_evaluations:9", "new");
	look_done(&look);
	free(bytes);
}

static void
steps_of_an_application(void **state)
{
	static const char *const wrong[] = {
		"", "1,2", "0,3,3", "0,a", "0,3,", "0,256", "0, 3", "-1", "0,1,2,3,4,5,6,7,8,9,10"};
	struct ql_queue_steps steps;
	struct ql_err err;
	(void)state;
	assert_int_equal(ql_queue_steps_parse("0,1,2,3,4,5,6,7,8,9", &steps, &err), 0);
	assert_int_equal(steps.count, 10);
	assert_int_equal(ql_queue_steps_parse("0,255", &steps, &err), 0);
	assert_int_equal(steps.of[1], 255);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		assert_int_equal(ql_queue_steps_parse(wrong[i], &steps, &err), -1);
		assert_non_null(strstr(err.text, "rise from 0"));
	}
}

/* Marks of a server that died before it swept them. */
static void
marks_left_behind_are_swept(void **state)
{
	struct hall *hall = *state;
	struct look look = {0};
	for (int i = 0; i < 3; i++) {
		push_new(hall, "celery", "a", NULL);
		push(hall, "celery", ql_queue_mark);
	}
	find(hall, &look, "none");
	LISTED(hall, "celery", "a,a,a");
	look_done(&look);
}

/* More of them than are read at once: a sweep for one that is not there would pass the whole list. */
static void
marks_are_counted_once(void **state)
{
	struct hall *hall = *state;
	struct look look = {0};
	char id[16];
	free(text(hall->context, "CONFIG SET slowlog-log-slower-than 0"));
	for (int i = 0; i < 600; i++) {
		snprintf(id, sizeof(id), "%d", i);
		if (i / 200 == 1)
			push(hall, "celery", ql_queue_mark);
		else
			push_new(hall, "celery", id, NULL);
	}
	find(hall, &look, "none");
	assert_int_equal(number(hall->context, "LLEN celery"), 400);
	redisReply *log = redisCommand(hall->context, "SLOWLOG GET 20");
	int sweeps = 0;
	for (size_t i = 0; i < log->elements; i++) {
		const redisReply *words = log->element[i]->element[3];
		if (strcmp(words->element[0]->str, "LREM") != 0)
			continue;
		assert_int_equal(labs(strtol(words->element[2]->str, NULL, 10)), 200);
		sweeps++;
	}
	assert_int_equal(sweeps, 1);
	freeReplyObject(log);
	look_done(&look);
}

static void
a_frozen_server_does_not_hold_an_answer_up(void **state)
{
	struct hall *hall = *state;
	struct look late = {0}, lost = {0}, after = {0};
	push_new(hall, "celery", "a", NULL);
	find(hall, &after, "a");
	server_signal(&hall->server, SIGSTOP);
	ask_for(hall, &late, QL_QUEUE_REMOVE, "a", 300);
	ask(hall, &lost, QL_QUEUE_REMOVE, "a");
	UNTIL(&hall->client, late.done, 1000);
	assert_int_equal(late.op.err.code, QL_E_TIMEOUT); /* its own deadline */
	memset(&late, 0xee, sizeof(late)); /* it is the caller's again */
	UNTIL(&hall->client, lost.done, 10000); /* that of the connection */
	assert_int_equal(lost.status, -1);
	server_signal(&hall->server, SIGCONT);
	UNTIL(&hall->client, ql_redis_is_up(hall->client.redis), 20000);
	take_out(hall, &after, "a"); /* whether or not the others reached it */
	assert_true(after.op.removed);
	LISTED(hall, "celery", "");
	look_done(&lost);
	look_done(&after);
}

static void
closing_answers_what_is_open(void **state)
{
	struct hall *hall = *state;
	struct look under_way = {0}, pending = {0};
	ask(hall, &under_way, QL_QUEUE_FIND, "a");
	uv_run(&hall->client.loop, UV_RUN_ONCE);
	ask(hall, &pending, QL_QUEUE_REMOVE, "b");
	hall_leave(hall);
	assert_int_equal(under_way.done, 1);
	assert_int_equal(pending.done, 1);
	assert_int_equal(pending.status, -1);
	hall_enter(hall, NULL, NULL);
	look_done(&under_way);
	look_done(&pending);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(sent_again_it_is_sent_once),
		TEST(what_was_removed_can_be_sent_again),
		TEST(it_is_found_with_its_place),
		TEST(it_is_removed_from_each_step),
		TEST(what_was_put_once_is_found_once),
		TEST(a_removal_that_settles_is_told),
		TEST(a_result_that_is_there_stays),
		TEST(what_may_have_a_copy_is_not_told),
		TEST(what_was_put_once_is_known_to_be_gone),
		TEST(what_was_put_back_may_have_a_copy),
		TEST(asked_again_it_says_the_same),
		TEST(forgetting_drops_what_was_kept),
		TEST(a_member_of_a_group_is_marked_in_its_place),
		TEST(members_are_marked_while_plain_ones_go),
		TEST(what_a_worker_holds_is_marked),
		TEST(all_copies_are_removed),
		TEST(bound_queues_are_looked_through),
		TEST(a_queue_that_was_sent_to_is_looked_through),
		TEST(a_prefix_and_another_separator),
		TEST(what_can_be_read_in_part_is_there),
		cmocka_unit_test(steps_of_an_application),
		TEST(marks_left_behind_are_swept),
		TEST(marks_are_counted_once),
		TEST(a_frozen_server_does_not_hold_an_answer_up),
		TEST(closing_answers_what_is_open),
	};
	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
