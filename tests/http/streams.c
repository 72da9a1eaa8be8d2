/* Outputs, checkpoints and events: answers that come piece by piece. */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/bounds.h"
#include "http/api/events.h"
#include "http/inside.h"
#include "rules/keep.h"

static void
narrow(struct world *world)
{
	world->config.limits.streams = 3;
}

static int
setup_narrow(void **state)
{
	return world_setup_with(state, narrow);
}

static void
sweep_never(struct world *world)
{
	world->config.limits.sweep_ms = 3600000;
}

static int
setup_without_sweep(void **state)
{
	return world_setup_with(state, sweep_never);
}

static void
add_bobs(struct world *world, void *arg)
{
	fake_add(world->engine, arg, "bob")->state.status = QL_STATUS_QUEUED;
}

static void
append(struct world *world, const char *name, const void *data, size_t len)
{
	char path[256];
	struct ql_err e;
	assert_int_equal(ql_keep_make(world->data_dir, "e1", 1, &e), 0);
	ql_keep_path(world->data_dir, "e1", 1, NULL, path, sizeof(path));
	assert_true(!mkdir(path, 0700) || errno == EEXIST);
	ql_keep_path(world->data_dir, "e1", 1, name, path, sizeof(path));
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static void
say(struct world *world, uint32_t stream, const char *text)
{
	struct ql_keep_span span = {.len = (uint32_t)strlen(text), .stream = stream};
	append(world, QL_KEEP_OUTPUT, text, span.len);
	append(world, QL_KEEP_INDEX, &span, sizeof(span));
}

static void
settle(struct world *world, void *arg)
{
	struct ql_record *record = fake_find(world->engine, arg);
	record->state.status = QL_STATUS_SUCCEEDED;
	fake_changed(world->engine, record, false);
}

static void
expect(struct world *world, const char *target, const char *body, const char *next)
{
	struct answer answer = get(world, target);
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer.body, body);
	assert_string_equal(answer_header(&answer, "X-Next-Offset"), next);
	assert_string_equal(answer_header(&answer, "Content-Type"), "text/plain; charset=utf-8");
	answer_done(&answer);
}

static void
test_an_output_is_read(void **state)
{
	struct world *world = *state;
	world_call(world, add_one, "e1");
	expect(world, "/api/eval/e1/output", "", "0");
	expect(world, "/api/eval/e1/output?stream=stderr&offset=7", "", "0");
	say(world, 1, "out0\n");
	say(world, 2, "err0\n");
	say(world, 1, "out1\n");
	expect(world, "/api/eval/e1/output", "out0\nerr0\nout1\n", "15");
	expect(world, "/api/eval/e1/output?offset=10", "out1\n", "15");
	expect(world, "/api/eval/e1/output?offset=15", "", "15");
	expect(world, "/api/eval/e1/output?offset=5000", "", "15");
	expect(world, "/api/eval/e1/output?stream=stdout&attempt=1", "out0\nout1\n", "10");
	expect(world, "/api/eval/e1/output?stream=stdout&offset=7", "t1\n", "10");
	expect(world, "/api/eval/e1/output?stream=stderr&follow=false", "err0\n", "5");
}

static void
test_wrong_outputs(void **state)
{
	static const struct {
		const char *target;
		int status;
	} wrongs[] = {{"/api/eval/e1/output?stream=stdin", 422},
		{"/api/eval/e1/output?offset=-1", 422}, {"/api/eval/e1/output?attempt=0", 422},
		{"/api/eval/e1/output?follow=maybe", 422}, {"/api/eval/e1/output?attempt=2", 404},
		{"/api/eval/e2/output", 404}, {"/api/eval/e1/checkpoint", 404},
		{"/api/eval/e2/checkpoint", 404}};
	struct world *world = *state;
	world_call(world, add_one, "e1");
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		struct answer answer = get(world, wrongs[i].target);
		assert_int_equal(answer.status, wrongs[i].status);
		answer_done(&answer);
	}
}

static void
test_a_large_output_comes_whole(void **state)
{
	struct world *world = *state;
	size_t len = 5 << 20;
	char *text = malloc(len + 1);
	for (size_t i = 0; i < len; i++)
		text[i] = (char)('a' + i * 7 % 26);
	text[len] = 0;
	world_call(world, add_one, "e1");
	say(world, 1, text);
	struct answer answer = get(world, "/api/eval/e1/output?stream=stdout");
	assert_int_equal(answer.status, 200);
	assert_int_equal(answer.body_len, len);
	assert_memory_equal(answer.body, text, len);
	answer_done(&answer);
	answer = get(world, "/api/eval/e1/output?offset=100000");
	assert_int_equal(answer.body_len, len - 100000);
	assert_memory_equal(answer.body, text + 100000, len - 100000);
	answer_done(&answer);
	free(text);
}

static void
test_a_checkpoint_is_sent(void **state)
{
	struct world *world = *state;
	world_call(world, add_one, "e1");
	append(world, QL_KEEP_CHECKPOINT, "tar\0bytes", 9);
	struct answer answer = get(world, "/api/eval/e1/checkpoint");
	assert_int_equal(answer.status, 200);
	assert_string_equal(answer_header(&answer, "Content-Type"), "application/x-tar");
	assert_int_equal(answer.body_len, 9);
	assert_memory_equal(answer.body, "tar\0bytes", 9);
	answer_done(&answer);
}

/* ---- following ---- */

static bool
is_followed(struct world *world)
{
	return world->server->followed && world->server->conns->request.phase == QL_REQUEST_SENT &&
	       world->server->conns->request.suspended;
}

static void
test_follow_goes_on_until_the_end(void **state)
{
	struct world *world = *state;
	char said[4096];
	world_call(world, add_one, "e1");
	say(world, 1, "one");
	int fd = begin(world, ALICE, "GET", "/api/eval/e1/output?follow=true", NULL);
	read_until(fd, "one", said, sizeof(said));
	world_until(world, is_followed);
	say(world, 2, "two");
	read_until(fd, "two", said, sizeof(said));
	say(world, 1, "three");
	world_call(world, settle, "e1");
	read_until(fd, "\r\n0\r\n\r\n", said, sizeof(said));
	assert_non_null(strstr(said, "three"));
	close(fd);
}

/* The folder comes with the attempt's start; one stream is told by the index, written later. */
static void
test_follow_of_one_stream_from_before_the_start(void **state)
{
	struct world *world = *state;
	struct ql_keep_span span = {.len = 4, .stream = 2};
	char said[4096];
	world_call(world, add_one, "e1");
	int fd = begin(world, ALICE, "GET",
		"/api/eval/e1/output?follow=true&stream=stderr&offset=1", NULL);
	world_until(world, is_followed);
	append(world, QL_KEEP_OUTPUT, "noise", 5);
	append(world, QL_KEEP_INDEX, &(struct ql_keep_span){.len = 5, .stream = 1}, sizeof(span));
	append(world, QL_KEEP_OUTPUT, "word", 4);
	append(world, QL_KEEP_INDEX, &span, sizeof(span));
	read_until(fd, "ord", said, sizeof(said));
	assert_null(strstr(said, "word"));
	world_call(world, settle, "e1");
	read_until(fd, "0\r\n\r\n", said, sizeof(said));
	close(fd);
}

/* With the first byte, in a folder in which others' come and go. */
static void
test_follow_sees_the_folder_come(void **state)
{
	struct world *world = *state;
	char said[4096];
	struct ql_err e;
	char path[256];
	world_call(world, add_one, "e1");
	assert_int_equal(ql_keep_make(world->data_dir, "e1", 1, &e), 0);
	int fd = begin(world, ALICE, "GET", "/api/eval/e1/output?follow=true", NULL);
	world_until(world, is_followed);
	ql_keep_path(world->data_dir, "e1", 2, NULL, path, sizeof(path));
	assert_int_equal(mkdir(path, 0700), 0);
	world_until(world, is_followed);
	say(world, 1, "first");
	read_until(fd, "first", said, sizeof(said));
	say(world, 1, "second");
	read_until(fd, "second", said, sizeof(said));
	close(fd);
}

static void
test_follow_of_what_has_ended_ends(void **state)
{
	struct world *world = *state;
	world_call(world, add_one, "e1");
	say(world, 1, "all of it");
	world_call(world, settle, "e1");
	expect(world, "/api/eval/e1/output?follow=true&offset=4", "of it", "4");
}

static bool
nobody_streams(struct world *world)
{
	return !world->server->streams && !world->server->conn_count && !world->server->followed;
}

static void
test_who_leaves_a_stream_is_noticed(void **state)
{
	struct world *world = *state;
	char said[4096];
	world_call(world, add_one, "e1");
	say(world, 1, "one");
	int follow = begin(world, ALICE, "GET", "/api/eval/e1/output?follow=true", NULL);
	int events = begin(world, ALICE, "GET", "/api/events", NULL);
	read_until(follow, "one", said, sizeof(said));
	read_until(events, "id: ", said, sizeof(said));
	close(follow);
	close(events);
	world_until(world, nobody_streams);
}

static void
test_streams_are_bounded(void **state)
{
	struct world *world = *state;
	int fds[3];
	char said[4096];
	for (int i = 0; i < 3; i++) {
		fds[i] = begin(world, ALICE, "GET", "/api/events", NULL);
		read_until(fds[i], "id: ", said, sizeof(said));
	}
	struct answer answer = get(world, "/api/events");
	assert_int_equal(answer.status, 429);
	assert_int_equal(json_integer_value(json_object_get(answer.json, "limit")), 3);
	answer_done(&answer);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	world_until(world, nobody_streams);
}

/* ---- events ---- */

static void
change(struct world *world, void *arg)
{
	fake_changed(world->engine, fake_find(world->engine, arg), false);
}

static void
stop_it(struct world *world, void *arg)
{
	struct ql_record *record = fake_find(world->engine, arg);
	record->state.status = QL_STATUS_CANCELLED;
	record->state.cancel = (struct ql_cancel){.requested_at = 5000,
		.settled_at = 6000,
		.mode = QL_MODE_KILL,
		.outcome = QL_OUTCOME_KILLED,
		.evidence = QL_EVIDENCE_VERIFIED};
	fake_changed(world->engine, record, true);
}

/* The id of the last event of that text. */
static void
last_id(const char *said, char *ret_id, size_t size)
{
	const char *id = NULL;
	for (const char *at = said; (at = strstr(at, "id: ")); at++)
		id = at + 4;
	assert_non_null(id);
	snprintf(ret_id, size, "%.*s", (int)strcspn(id, "\n"), id);
}

static void
test_events_are_told_to_their_owner(void **state)
{
	struct world *world = *state;
	char hers[8192], his[8192];
	int alice = begin(world, ALICE, "GET", "/api/events", NULL);
	int bob = begin(world, BOB, "GET", "/api/events", NULL);
	read_until(alice, "\n\n", hers, sizeof(hers));
	assert_non_null(strstr(hers, "text/event-stream"));
	read_until(bob, "id: ", his, sizeof(his));
	world_call(world, add_one, "e1");
	world_call(world, change, "e1");
	world_call(world, change, "e1"); /* nothing that shows has changed: no event */
	world_call(world, stop_it, "e1");
	read_until(alice, "event: cancellation", hers, sizeof(hers));
	assert_non_null(strstr(hers, "event: evaluation"));
	const char *running = strstr(hers, "\"status\":\"running\"");
	assert_non_null(running);
	assert_null(strstr(running + 1, "\"status\":\"running\""));
	close(alice);
	world_call(world, add_bobs, "e2");
	world_call(world, change, "e2");
	read_until(bob, "event: evaluation", his, sizeof(his));
	assert_null(strstr(his, "\"status\":\"running\""));
	close(bob);
}

static void
test_events_are_selected_and_still_owned(void **state)
{
	struct world *world = *state;
	char said[8192];
	int stopped = begin(world, ALICE, "GET",
		"/api/events?selector=status%3Dcancelled%2Cowner%20in%20%28alice%2Cbob%29", NULL);
	read_until(stopped, "\n\n", said, sizeof(said));
	world_call(world, add_bobs, "e2");
	world_call(world, stop_it, "e2");
	world_call(world, add_one, "e1");
	world_call(world, change, "e1");
	world_call(world, stop_it, "e1");
	read_until(stopped, "event: cancellation", said, sizeof(said));
	assert_non_null(strstr(said, "\"status\":\"cancelled\""));
	assert_null(strstr(said, "\"status\":\"running\""));
	assert_null(strstr(said, "\"e2\""));
	close(stopped);
	struct answer answer = get(world, "/api/events?selector=age%3D1s");
	assert_int_equal(answer.status, 422);
	assert_string_equal(answer_text(&answer, "field"), "selector");
	answer_done(&answer);
}

static void
test_last_event_id_resumes(void **state)
{
	struct world *world = *state;
	char said[8192], id[64], header[128], again[8192];
	world_call(world, add_one, "e1");
	int fd = begin(world, ALICE, "GET", "/api/events", NULL);
	read_until(fd, "id: ", said, sizeof(said));
	world_call(world, change, "e1");
	read_until(fd, "\"status\":\"running\"", said, sizeof(said));
	last_id(said, id, sizeof(id));
	close(fd);
	world_until(world, nobody_streams);
	world_call(world, stop_it, "e1"); /* while nobody listens */
	snprintf(header, sizeof(header), "Last-Event-ID: %s\r\n", id);
	for (int i = 0; i < 2; i++) {
		fd = begin(world, ALICE, "GET", "/api/events", header);
		read_until(fd,
			"\"outcome\":\"killed\",\"evidence\":\"verified\",\"unasked\":[],"
			"\"message\"",
			said, sizeof(said));
		assert_null(strstr(said, "reset"));
		assert_null(strstr(said, "\"status\":\"running\""));
		if (i)
			assert_string_equal(strstr(said, "id: "), strstr(again, "id: "));
		memcpy(again, said, sizeof(said));
		close(fd);
		world_until(world, nobody_streams);
	}
}

static void
test_an_id_that_is_not_kept_is_reset(void **state)
{
	static const char *const ids[] = {"999999", "nonsense", "-1", "abc-1", ""};
	struct world *world = *state;
	char said[8192], header[128], id[64];
	int fd = begin(world, ALICE, "GET", "/api/events", NULL);
	read_until(fd, "\n\n", said, sizeof(said));
	last_id(said, id, sizeof(id));
	close(fd);
	for (size_t i = 0; i <= sizeof(ids) / sizeof(ids[0]); i++) {
		bool future = i == sizeof(ids) / sizeof(ids[0]);
		snprintf(header, sizeof(header), "Last-Event-ID: %s%s\r\n", future ? id : ids[i],
			future ? "9" : "");
		fd = begin(world, ALICE, "GET", "/api/events", header);
		read_until(fd, "event: reset", said, sizeof(said));
		close(fd);
		world_until(world, nobody_streams);
	}
}

/* One that doesn't read falls behind the ring; it is told so, and nothing is kept for it. */
static void
change_often(struct world *world, void *arg)
{
	struct ql_record *record = fake_find(world->engine, arg);
	for (int i = 0; i < 2 * QL_EVENTS_MAX; i++) {
		record->state.output_bytes++;
		fake_changed(world->engine, record, false);
	}
}

static void
test_who_falls_behind_is_reset(void **state)
{
	struct world *world = *state;
	char said[8192], *rest = malloc(64 << 20);
	world_call(world, add_one, "e1");
	int fd = begin(world, ALICE, "GET", "/api/events", NULL);
	read_until(fd, "id: ", said, sizeof(said));
	world_call(world, change_often, "e1");
	read_until(fd, "event: reset", rest, 64 << 20);
	world_call(world, stop_it, "e1");
	read_until(fd, "\"outcome\":\"killed\"", rest, 64 << 20);
	close(fd);
	free(rest);
}

static void
beat_often(struct world *world)
{
	world->config.limits.beat_ms = 50;
}

static int
setup_beat(void **state)
{
	return world_setup_with(state, beat_often);
}

static void
test_silence_is_filled_with_comments(void **state)
{
	char said[4096];
	int fd = begin(*state, ALICE, "GET", "/api/events", NULL);
	read_until(fd, ": still here\n\n", said, sizeof(said));
	read_until(fd, ": still here\n\n", said, sizeof(said));
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(test_an_output_is_read),
		WORLD_TEST(test_wrong_outputs),
		WORLD_TEST(test_a_large_output_comes_whole),
		WORLD_TEST(test_a_checkpoint_is_sent),
		WORLD_TEST(test_follow_goes_on_until_the_end),
		WORLD_TEST(test_follow_of_one_stream_from_before_the_start),
		cmocka_unit_test_setup_teardown(
			test_follow_sees_the_folder_come, setup_without_sweep, world_teardown),
		WORLD_TEST(test_follow_of_what_has_ended_ends),
		WORLD_TEST(test_who_leaves_a_stream_is_noticed),
		cmocka_unit_test_setup_teardown(
			test_streams_are_bounded, setup_narrow, world_teardown),
		WORLD_TEST(test_events_are_told_to_their_owner),
		WORLD_TEST(test_events_are_selected_and_still_owned),
		WORLD_TEST(test_last_event_id_resumes),
		WORLD_TEST(test_an_id_that_is_not_kept_is_reset),
		WORLD_TEST(test_who_falls_behind_is_reset),
		cmocka_unit_test_setup_teardown(
			test_silence_is_filled_with_comments, setup_beat, world_teardown),
	};
	return cmocka_run_group_tests_name("streams", tests, NULL, NULL);
}
