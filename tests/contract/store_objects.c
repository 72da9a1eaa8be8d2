/* The store's contract, documents and the audit; argv[1] says which driver. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/limits.h"
#include "store_kit.h"

/* ---- documents ---- */

static struct ql_change *
put(enum ql_object_kind kind, const char *id, const char *text, int64_t at)
{
	struct ql_change *change = kit_change(QL_CHANGE_PUT_OBJECT, "");
	change->object = kind;
	change->object_id = strdup(id);
	change->text = strdup(text);
	change->at = at;
	return change;
}

static struct ql_change *
drop(enum ql_object_kind kind, const char *id)
{
	struct ql_change *change = kit_change(QL_CHANGE_DROP_OBJECT, "");
	change->object = kind;
	change->object_id = strdup(id);
	return change;
}

/* The documents of a read as "id=text", with blanks between. */
static const char *
shown(struct kit *kit, struct ql_filter filter)
{
	static char text[4096];
	size_t len = 0;
	struct ql_store_read op = {.kind = QL_READ_OBJECTS, .filter = filter};
	if (kit_read(kit, &op))
		fail_msg("%s", kit->err.text);
	text[0] = 0;
	for (size_t i = 0; i < op.object_count && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s=%s", i ? " " : "",
			op.objects[i].id, op.objects[i].text);
	ql_store_read_done(&op);
	return text;
}

static const char *
keys(struct kit *kit)
{
	return shown(kit, (struct ql_filter){.object = QL_OBJECT_KEY});
}

static void
keeps_documents_by_kind_and_id(void **state)
{
	struct kit *kit = *state;
	struct ql_change *changes = put(QL_OBJECT_KEY, "b", "2", 1000);
	kit_add(&changes, put(QL_OBJECT_KEY, "a", "1", 1000));
	kit_add(&changes, put(QL_OBJECT_POLICY, "a", "3", 1000));
	kit_ok(kit, changes);
	assert_string_equal(keys(kit), "a=1 b=2");
	assert_string_equal(shown(kit, (struct ql_filter){.object = QL_OBJECT_POLICY}), "a=3");
	assert_string_equal(shown(kit, (struct ql_filter){.object = QL_OBJECT_BATCH}), "");
}

static void
replaces_and_drops_them(void **state)
{
	struct kit *kit = *state;
	kit_ok(kit, put(QL_OBJECT_KEY, "a", "1", 1000));
	kit_ok(kit, put(QL_OBJECT_KEY, "a", "2", 1001));
	assert_string_equal(keys(kit), "a=2");
	struct ql_change *changes = put(QL_OBJECT_KEY, "b", "1", 1002);
	kit_add(&changes, drop(QL_OBJECT_KEY, "b"));
	kit_add(&changes, drop(QL_OBJECT_KEY, "a"));
	kit_add(&changes, put(QL_OBJECT_KEY, "a", "3", 1002));
	kit_add(&changes, drop(QL_OBJECT_KEY, "never"));
	kit_ok(kit, changes);
	assert_string_equal(keys(kit), "a=3");
}

static void
says_when_it_was_put_there(void **state)
{
	struct kit *kit = *state;
	struct ql_store_read op = {.kind = QL_READ_OBJECTS, .filter = {.object = QL_OBJECT_KEY}};
	kit_ok(kit, put(QL_OBJECT_KEY, "a", "1", 1000));
	kit_ok(kit, put(QL_OBJECT_KEY, "a", "1", 1234));
	assert_int_equal(kit_read(kit, &op), 0);
	assert_int_equal(op.object_count, 1);
	assert_int_equal(op.objects[0].at, 1234);
	ql_store_read_done(&op);
}

static void
reads_them_page_by_page_or_one(void **state)
{
	struct kit *kit = *state;
	struct ql_change *changes = NULL;
	for (char id = 'a'; id <= 'e'; id++)
		kit_add(&changes, put(QL_OBJECT_CHUNK, (char[]){id, 0}, "x", 1000));
	kit_ok(kit, changes);
	struct ql_filter filter = {.object = QL_OBJECT_CHUNK, .limit = 2};
	assert_string_equal(shown(kit, filter), "a=x b=x");
	filter.after = "b";
	assert_string_equal(shown(kit, filter), "c=x d=x");
	filter.after = "d";
	assert_string_equal(shown(kit, filter), "e=x");
	filter.after = NULL;
	filter.object_id = "c";
	assert_string_equal(shown(kit, filter), "c=x");
	filter.object_id = "z";
	assert_string_equal(shown(kit, filter), "");
}

static void
refuses_what_is_too_large(void **state)
{
	struct kit *kit = *state;
	char *long_text = malloc(QL_STORE_OBJECT_BYTES + 2);
	char long_id[QL_STORE_OBJECT_ID + 2] = {0};
	memset(long_text, 'x', QL_STORE_OBJECT_BYTES + 1);
	long_text[QL_STORE_OBJECT_BYTES + 1] = 0;
	memset(long_id, 'x', QL_STORE_OBJECT_ID + 1);
	kit_refused(kit, put(QL_OBJECT_KEY, "a", long_text, 1000), QL_E_INTERNAL);
	kit_refused(kit, put(QL_OBJECT_KEY, long_id, "1", 1000), QL_E_INTERNAL);
	kit_refused(kit, put(QL_OBJECT_KEY, "", "1", 1000), QL_E_INTERNAL);
	long_text[QL_STORE_OBJECT_BYTES] = 0;
	long_id[QL_STORE_OBJECT_ID] = 0;
	kit_ok(kit, put(QL_OBJECT_KEY, long_id, long_text, 1000));
	free(long_text);
}

static void
keeps_all_of_a_commit_or_nothing(void **state)
{
	struct kit *kit = *state;
	struct ql_change *changes = put(QL_OBJECT_KEY, "a", "1", 1000);
	kit_add(&changes, kit_change(QL_CHANGE_STATE, "nobody"));
	kit_refused(kit, changes, QL_E_NOT_FOUND);
	assert_string_equal(keys(kit), "");
}

/* ---- the audit ---- */

static struct ql_change *
audit(const char *actor, const char *verb, int64_t at)
{
	char text[200];
	struct ql_change *change = kit_change(QL_CHANGE_AUDIT, "");
	snprintf(text, sizeof(text), "{\"actor\":\"%s\",\"verb\":\"%s\"}", actor, verb);
	change->text = strdup(text);
	change->at = at;
	return change;
}

static struct ql_change *
trimmed(int64_t seq)
{
	struct ql_change *change = kit_change(QL_CHANGE_AUDIT_TRIM, "");
	change->audit_seq = seq;
	return change;
}

static void
read_audit(struct kit *kit, struct ql_filter filter, struct ql_store_read *ret)
{
	*ret = (struct ql_store_read){.kind = QL_READ_AUDIT, .filter = filter};
	if (kit_read(kit, ret))
		fail_msg("%s", kit->err.text);
}

/* The seqs of a read, with blanks between. */
static const char *
seqs(struct kit *kit, struct ql_filter filter)
{
	static char text[400];
	size_t len = 0;
	struct ql_store_read op;
	read_audit(kit, filter, &op);
	text[0] = 0;
	for (size_t i = 0; i < op.audit_count && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%lld", i ? " " : "",
			(long long)op.audits[i].chain.seq);
	ql_store_read_done(&op);
	return text;
}

/* All that is kept hangs together, from its anchor on. */
static void
assert_chained(struct kit *kit, int64_t anchor, size_t count)
{
	struct ql_store_read op;
	read_audit(kit, (struct ql_filter){0}, &op);
	struct ql_chain chain = op.anchor;
	assert_int_equal(chain.seq, anchor);
	assert_int_equal(op.audit_count, count);
	for (size_t i = 0; i < op.audit_count; i++) {
		const struct ql_audit_row *row = &op.audits[i];
		assert_int_equal(ql_chain_add(&chain, row->at, row->text, NULL), 0);
		assert_memory_equal(&chain, &row->chain, sizeof(chain));
	}
	ql_store_read_done(&op);
}

static void
append(struct kit *kit, int count)
{
	struct ql_change *changes = NULL;
	for (int i = 0; i < count; i++)
		kit_add(&changes,
			audit(i % 2 ? "bob" : "alice", i % 3 ? "stop" : "submit", 1000 + i));
	kit_ok(kit, changes);
}

static void
chains_rows_over_commits(void **state)
{
	struct kit *kit = *state;
	assert_chained(kit, 0, 0);
	append(kit, 3);
	append(kit, 1);
	assert_chained(kit, 0, 4);
	assert_string_equal(seqs(kit, (struct ql_filter){0}), "1 2 3 4");
}

static void
leaves_no_gap_after_a_commit_that_failed(void **state)
{
	struct kit *kit = *state;
	append(kit, 1);
	struct ql_change *changes = audit("eve", "stop", 1001);
	kit_add(&changes, kit_change(QL_CHANGE_STATE, "nobody"));
	kit_refused(kit, changes, QL_E_NOT_FOUND);
	append(kit, 1);
	assert_chained(kit, 0, 2);
}

static void
reads_the_audit_by_pages_and_filters(void **state)
{
	struct kit *kit = *state;
	append(kit, 6);
	assert_string_equal(seqs(kit, (struct ql_filter){.limit = 2}), "1 2");
	assert_string_equal(seqs(kit, (struct ql_filter){.limit = 2, .cursor = 2}), "3 4");
	assert_string_equal(seqs(kit, (struct ql_filter){.newest = true, .limit = 1}), "6");
	assert_string_equal(seqs(kit, (struct ql_filter){.newest = true, .cursor = 3}), "2 1");
	assert_string_equal(seqs(kit, (struct ql_filter){.since = 1004}), "5 6");
	assert_string_equal(seqs(kit, (struct ql_filter){.actor = "bob"}), "2 4 6");
	assert_string_equal(seqs(kit, (struct ql_filter){.verb = "submit"}), "1 4");
	assert_string_equal(seqs(kit, (struct ql_filter){.verb = "submit", .actor = "bob"}), "4");
}

static void
says_where_the_next_page_begins(void **state)
{
	struct kit *kit = *state;
	struct ql_store_read op;
	append(kit, 3);
	read_audit(kit, (struct ql_filter){.limit = 2}, &op);
	assert_int_equal(op.next_cursor, 2);
	ql_store_read_done(&op);
	read_audit(kit, (struct ql_filter){.limit = 2, .newest = true}, &op);
	assert_int_equal(op.next_cursor, 2);
	ql_store_read_done(&op);
	read_audit(kit, (struct ql_filter){.limit = 3}, &op);
	assert_int_equal(op.next_cursor, 0);
	ql_store_read_done(&op);
}

static void
goes_on_from_where_it_was_trimmed(void **state)
{
	struct kit *kit = *state;
	append(kit, 5);
	kit_ok(kit, trimmed(2));
	assert_chained(kit, 2, 3);
	kit_ok(kit, trimmed(1)); /* gone already */
	assert_chained(kit, 2, 3);
	kit_ok(kit, trimmed(5));
	assert_chained(kit, 5, 0);
	append(kit, 1);
	assert_chained(kit, 5, 1);
	kit_refused(kit, trimmed(7), QL_E_INTERNAL);
	struct ql_change *changes = audit("alice", "stop", 2000);
	kit_add(&changes, trimmed(7));
	kit_ok(kit, changes);
	assert_chained(kit, 7, 0);
}

static int64_t
old(struct kit *kit, int64_t until, int64_t keep_bytes, int32_t limit)
{
	struct ql_store_read op = {.kind = QL_READ_AUDIT_OLD,
		.filter = {.until = until, .keep_bytes = keep_bytes, .limit = limit}};
	if (kit_read(kit, &op))
		fail_msg("%s", kit->err.text);
	assert_true(op.audit_count <= 1);
	int64_t seq = op.audit_count ? op.audits[0].chain.seq : 0;
	ql_store_read_done(&op);
	return seq;
}

static void
finds_what_is_too_old_or_too_much(void **state)
{
	struct kit *kit = *state;
	int64_t one = (int64_t)strlen("{\"actor\":\"alice\",\"verb\":\"stop\"}");
	assert_int_equal(old(kit, 5000, 0, 0), 0);
	for (int i = 0; i < 6; i++)
		kit_ok(kit, audit("alice", "stop", 1000 + i));
	assert_int_equal(old(kit, 1000, -1, 0), 0);
	assert_int_equal(old(kit, 1003, -1, 0), 3);
	assert_int_equal(old(kit, 1003, -1, 2), 2);
	assert_int_equal(old(kit, 0, 6 * one, 0), 0);
	assert_int_equal(old(kit, 0, 6 * one - 1, 0), 1);
	assert_int_equal(old(kit, 0, 2 * one, 0), 4);
	kit_ok(kit, trimmed(4));
	assert_int_equal(old(kit, 0, 2 * one, 0), 0);
	assert_int_equal(old(kit, 0, one, 0), 5);
}

static void
refuses_a_row_without_or_with_too_much_text(void **state)
{
	struct kit *kit = *state;
	struct ql_change *change = kit_change(QL_CHANGE_AUDIT, "");
	change->at = 1000;
	kit_refused(kit, change, QL_E_INTERNAL);
	change = kit_change(QL_CHANGE_AUDIT, "");
	change->text = calloc(1, QL_STORE_AUDIT_BYTES + 2);
	memset(change->text, 'x', QL_STORE_AUDIT_BYTES + 1);
	kit_refused(kit, change, QL_E_INTERNAL);
	assert_chained(kit, 0, 0);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		KIT_CASE(keeps_documents_by_kind_and_id),
		KIT_CASE(replaces_and_drops_them),
		KIT_CASE(says_when_it_was_put_there),
		KIT_CASE(reads_them_page_by_page_or_one),
		KIT_CASE(refuses_what_is_too_large),
		KIT_CASE(keeps_all_of_a_commit_or_nothing),
		KIT_CASE(chains_rows_over_commits),
		KIT_CASE(leaves_no_gap_after_a_commit_that_failed),
		KIT_CASE(reads_the_audit_by_pages_and_filters),
		KIT_CASE(says_where_the_next_page_begins),
		KIT_CASE(goes_on_from_where_it_was_trimmed),
		KIT_CASE(finds_what_is_too_old_or_too_much),
		KIT_CASE(refuses_a_row_without_or_with_too_much_text),
	};
	return kit_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
