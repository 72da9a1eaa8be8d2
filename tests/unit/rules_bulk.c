/* A batch's words, its document and its parts: what is written is read again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "rules/bulk.h"

static struct ql_bulk
example(void)
{
	struct ql_bulk bulk = {.id = "01b",
		.undoes = "01a",
		.undone_by = "01c",
		.phase = QL_BULK_STOPPED,
		.mode = QL_MODE_TERMINATE,
		.top = QL_RUNG_KILL,
		.grace_ms = -1,
		.actor = ql_str_dup("user:a \"b\""),
		.owner = ql_str_dup("a"),
		.all = true,
		.selector = ql_str_dup("label.x=\"é,\""),
		.created_at = 1,
		.started_at = 2,
		.finished_at = 3,
		.expires_at = 4,
		.upto = 5,
		.total = 1000000,
		.left = 6,
		.joined = 7};
	for (int i = 0; i < QL_SAID_COUNT; i++)
		bulk.said[i] = 10 + i;
	for (int i = 0; i < QL_RUNG_COUNT; i++)
		bulk.would[i] = 20 + i;
	return bulk;
}

static void
test_a_head_is_read_as_it_was_written(void **state)
{
	struct ql_bulk bulk = example(), again;
	struct ql_buf text = {0}, second = {0};
	struct ql_err e;
	(void)state;
	assert_int_equal(ql_bulk_print(&text, &bulk), 0);
	assert_int_equal(ql_bulk_parse(text.data, &again, &e), 0);
	assert_int_equal(ql_bulk_print(&second, &again), 0);
	assert_string_equal(text.data, second.data);
	assert_string_equal(again.undoes, "01a");
	assert_string_equal(again.selector, "label.x=\"é,\"");
	assert_null(again.reason);
	assert_int_equal(again.phase, QL_BULK_STOPPED);
	assert_int_equal(again.mode, QL_MODE_TERMINATE);
	assert_int_equal(again.top, QL_RUNG_KILL);
	assert_int_equal(again.grace_ms, -1);
	assert_true(again.all);
	assert_int_equal(again.total, 1000000);
	assert_int_equal(again.joined, 7);
	assert_memory_equal(again.said, bulk.said, sizeof(bulk.said));
	assert_memory_equal(again.would, bulk.would, sizeof(bulk.would));
	ql_buf_done(&text);
	ql_buf_done(&second);
	ql_bulk_done(&again);
	ql_bulk_done(&bulk);
}

static void
test_a_copy_stands_alone(void **state)
{
	struct ql_bulk bulk = example(), copy;
	(void)state;
	assert_int_equal(ql_bulk_copy(&copy, &bulk), 0);
	ql_bulk_done(&bulk);
	assert_string_equal(copy.owner, "a");
	assert_null(copy.reason);
	ql_bulk_done(&copy);
}

static void
test_what_is_no_head_is_refused(void **state)
{
	static const char *const broken[] = {"", "[]", "{}", "{\"id\":5}",
		"{\"id\":\"a\",\"undoes\":\"\",\"undone_by\":\"\",\"phase\":\"odd\",\"mode\":"
		"\"kill\"}",
		"{\"id\":\"a\",\"undoes\":\"\",\"undone_by\":\"\",\"phase\":\"done\",\"mode\":"
		"\"odd\"}"};
	struct ql_bulk bulk;
	struct ql_err e;
	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		assert_int_equal(ql_bulk_parse(broken[i], &bulk, &e), -1);
		assert_int_equal(e.code, QL_E_INTERNAL);
		assert_null(bulk.actor);
	}
}

static void
test_a_part_keeps_what_was_said(void **state)
{
	struct ql_bulk_chunk chunk, again;
	struct ql_buf text = {0};
	struct ql_err e;
	char id[16];
	(void)state;
	assert_int_equal(ql_bulk_chunk_init(&chunk), 0);
	for (int i = 0; i < QL_BULK_CHUNK; i++) {
		snprintf(id, sizeof(id), i ? "e%d" : "a \"%d\"", i);
		ql_bulk_chunk_add(&chunk, id);
		ql_bulk_chunk_say(&chunk, (size_t)i, (enum ql_said)(i % QL_SAID_COUNT));
	}
	assert_int_equal(ql_bulk_chunk_print(&text, &chunk), 0);
	assert_int_equal(ql_bulk_chunk_parse(text.data, &again, &e), 0);
	assert_int_equal(again.count, QL_BULK_CHUNK);
	for (size_t i = 0; i < again.count; i++) {
		assert_string_equal(again.ids[i], chunk.ids[i]);
		assert_int_equal(ql_bulk_chunk_said(&again, i), (int)(i % QL_SAID_COUNT));
	}
	ql_buf_done(&text);
	ql_bulk_chunk_done(&again);
	ql_bulk_chunk_done(&chunk);
}

static void
test_what_is_no_part_is_refused(void **state)
{
	static const char *const broken[] = {"", "{}", "{\"ids\":[\"a\"],\"said\":\"\"}",
		"{\"ids\":[5],\"said\":\"-\"}", "{\"ids\":[\"a\"]}"};
	struct ql_bulk_chunk chunk;
	struct ql_err e;
	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		assert_int_equal(ql_bulk_chunk_parse(broken[i], &chunk, &e), -1);
		assert_null(chunk.ids);
	}
}

static void
test_the_parts_sort_by_their_number(void **state)
{
	char nine[QL_BULK_CHUNK_ID], ten[QL_BULK_CHUNK_ID];
	(void)state;
	ql_bulk_chunk_id("01b", 9, nine);
	ql_bulk_chunk_id("01b", 10, ten);
	assert_string_equal(nine, "01b/00009");
	assert_true(strcmp(nine, ten) < 0);
}

static void
test_words_and_letters_are_one_each(void **state)
{
	(void)state;
	for (int i = 0; i < QL_SAID_COUNT; i++) {
		for (int j = 0; j < i; j++)
			assert_string_not_equal(
				ql_said_word((enum ql_said)i), ql_said_word((enum ql_said)j));
	}
	assert_false(ql_bulk_phase_ends(QL_BULK_PREVIEW));
	assert_false(ql_bulk_phase_ends(QL_BULK_RUNNING));
	assert_true(ql_bulk_phase_ends(QL_BULK_STOPPED));
	assert_true(ql_bulk_phase_ends(QL_BULK_DONE));
}

static void
test_what_a_stop_would_begin_with(void **state)
{
	(void)state;
	assert_int_equal(ql_bulk_would(QL_MODE_KILL, QL_STATUS_QUEUED), QL_RUNG_REMOVE);
	assert_int_equal(ql_bulk_would(QL_MODE_CANCEL, QL_STATUS_RUNNING), QL_RUNG_NOTICE);
	assert_int_equal(ql_bulk_would(QL_MODE_TERMINATE, QL_STATUS_CANCELLING), QL_RUNG_TERMINATE);
	assert_int_equal(ql_bulk_would(QL_MODE_KILL, QL_STATUS_UNCONFIRMED), QL_RUNG_KILL);
	assert_int_equal(ql_bulk_would(QL_MODE_KILL, QL_STATUS_FAILED), QL_RUNG_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_head_is_read_as_it_was_written),
		cmocka_unit_test(test_a_copy_stands_alone),
		cmocka_unit_test(test_what_is_no_head_is_refused),
		cmocka_unit_test(test_a_part_keeps_what_was_said),
		cmocka_unit_test(test_what_is_no_part_is_refused),
		cmocka_unit_test(test_the_parts_sort_by_their_number),
		cmocka_unit_test(test_words_and_letters_are_one_each),
		cmocka_unit_test(test_what_a_stop_would_begin_with),
	};
	return cmocka_run_group_tests_name("rules_bulk", tests, NULL, NULL);
}
