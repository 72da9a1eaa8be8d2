/* Documents and rows of the audit, through the group commit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ask.h"

struct writing {
	struct ql_write op; /* first */
	bool answered;
	int status;
};

static void
on_written(struct ql_write *op, int status)
{
	struct writing *writing = (struct writing *)op;
	writing->answered = true;
	writing->status = status;
}

static void
write_soon(struct kit *kit, struct writing *writing, struct ql_change *changes)
{
	kit_check(kit, changes);
	*writing = (struct writing){.op = {.changes = changes, .done = on_written}};
	ql_engine_write(kit->engine, &writing->op);
	kit_check(kit, !writing->answered);
}

static enum ql_code
write_all(struct kit *kit, struct ql_change *changes)
{
	struct writing writing;
	write_soon(kit, &writing, changes);
	kit_until_set(kit, &writing.answered, "the answer to a write");
	kit_check(kit, !writing.status == !writing.op.err.code);
	return writing.op.err.code;
}

struct reading {
	struct ql_store_read op; /* first */
	bool answered;
};

static void
on_read(struct ql_store_read *op, int status)
{
	struct reading *reading = (struct reading *)op;
	reading->answered = !status;
}

/* The texts of the keys, or of the audit, with blanks between. */
static const char *
texts(struct kit *kit, enum ql_read_kind kind)
{
	static char text[400];
	size_t len = 0;
	struct reading reading = {.op = {.kind = kind, .done = on_read}};
	ql_engine_read(kit->engine, &reading.op);
	kit_until_set(kit, &reading.answered, "the answer to a read");
	text[0] = 0;
	for (size_t i = 0; i < reading.op.object_count && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
			reading.op.objects[i].text);
	for (size_t i = 0; i < reading.op.audit_count && len < sizeof(text); i++) {
		kit_check(kit, reading.op.audits[i].at > 0);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
			reading.op.audits[i].text);
	}
	ql_store_read_done(&reading.op);
	return text;
}

static void
writes_documents_and_the_audit_together(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	struct ql_change *changes = ql_change_put(QL_OBJECT_KEY, "a", "one");
	changes->next = ql_change_put(QL_OBJECT_KEY, "b", "two");
	changes->next->next = ql_change_audit("{\"n\":1}");
	kit_check(&kit, !write_all(&kit, changes));
	assert_string_equal(texts(&kit, QL_READ_OBJECTS), "one two");
	assert_string_equal(texts(&kit, QL_READ_AUDIT), "{\"n\":1}");
	kit_check(&kit, !write_all(&kit, ql_change_drop(QL_OBJECT_KEY, "a")));
	assert_string_equal(texts(&kit, QL_READ_OBJECTS), "two");
	kit_close(&kit);
}

static void
they_share_a_commit(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	struct writing writing[20];
	int before = kit.book.commits;
	for (int i = 0; i < 20; i++)
		write_soon(&kit, &writing[i], ql_change_audit("{}"));
	for (int i = 0; i < 20; i++)
		kit_until_set(&kit, &writing[i].answered, "the answer to a write");
	kit_check(&kit, kit.book.commits - before <= 2);
	kit_close(&kit);
}

static void
none_of_them_when_the_commit_fails(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	kit.faults.fail_before = kit.book.asked + 1;
	struct ql_change *changes = ql_change_put(QL_OBJECT_KEY, "a", "one");
	changes->next = ql_change_audit("{\"n\":1}");
	kit_check(&kit, write_all(&kit, changes) == QL_E_DISK_FULL);
	assert_string_equal(texts(&kit, QL_READ_OBJECTS), "");
	assert_string_equal(texts(&kit, QL_READ_AUDIT), "");
	kit_check(&kit, !write_all(&kit, ql_change_audit("{\"n\":2}")));
	assert_string_equal(texts(&kit, QL_READ_AUDIT), "{\"n\":2}");
	kit_close(&kit);
}

static void
works_while_the_server_stops(void **state)
{
	(void)state;
	struct kit kit = {0};
	ask_world(&kit);
	ql_engine_stop_accepting(kit.engine);
	kit_check(&kit, !write_all(&kit, ql_change_audit("{}")));
	kit_close(&kit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_documents_and_the_audit_together),
		cmocka_unit_test(they_share_a_commit),
		cmocka_unit_test(none_of_them_when_the_commit_fails),
		cmocka_unit_test(works_while_the_server_stops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
